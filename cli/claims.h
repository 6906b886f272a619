// claims.h: what `driftwood prove` claims of this machine, and how each claim is checked.
//
// Each claim opens an engine of its own, does the thing, and judges what was
// measured.  A verdict depends on bytes, pointers, counters and memory, never on
// time; times are evidence.  The environment lets a test break the cause of a
// claim: a device class that copies, a guest that cheats, memory without guard.
#ifndef DW_CLI_CLAIMS_H
#define DW_CLI_CLAIMS_H

#include "driftwood.h"

typedef enum claim_verdict { CLAIM_PASS, CLAIM_FAIL, CLAIM_NOT_APPLICABLE } claim_verdict;

typedef struct cli_claim {
  const char *name;   // one word, for programs
  const char *text;   // what is claimed
  char evidence[640]; // what was seen
  claim_verdict verdict;
} cli_claim;

#define CLAIM_COUNT 9

typedef struct claim_report {
  char device[96];
  cli_claim claims[CLAIM_COUNT];
} claim_report;

typedef struct claim_environment {
  const char *device; // as in dw_engine_desc; NULL: auto
  uint32_t threads;
  const char *cache_dir;                      // of compiled guests
  const struct dw_device_class *device_class; // for tests
  void *device_class_user;
  // Writes the path (4,096 bytes) of the guest gemm, stream, probe or llm; false: not there.
  bool (*guest_path)(void *user, const char *guest, char *path);
  const char *model_path; // for the generation; NULL: that claim is not applicable
  void (*on_begin)(void *user, const cli_claim *claim); // progress; may be NULL
  void (*before_access)(void *user, dw_actor *actor);   // before a guest reaches past its end; may be NULL
  void *user;
} claim_environment;

// Runs all of them.  An error only if no engine can be opened at all.
dw_status claims_run(const claim_environment *environment, claim_report *report, dw_error *error);
const char *claim_verdict_text(claim_verdict verdict);

// ---- For the files of the claims ---------------------------------------------------

// An engine with one actor in it, and what the actor says.
typedef struct claim_rig {
  const claim_environment *environment;
  dw_engine *engine;
  dw_guest *guest;
  dw_actor *actor;
  char said[4096]; // since the last message
  uint64_t tokens; // that the llm guest generated since the last message
  dw_error error;
} claim_rig;

// Opens engine, guest and actor; on failure everything is closed and rig->error tells.
dw_status claim_open(claim_rig *rig, const claim_environment *environment, const char *guest,
                     const dw_actor_desc *desc);
// Another actor of the same guest.
dw_status claim_open_actor(claim_rig *rig, const dw_actor_desc *desc);
dw_status claim_tell(claim_rig *rig, const char *message);
void claim_close(claim_rig *rig);
dw_actor_stats claim_stats(const claim_rig *rig);
// Sends a message and measures its wall time `runs` times; the median in ns.
dw_status claim_median(claim_rig *rig, const char *message, int runs, uint64_t *median_ns);
// The number behind "key=" in what the actor said; `fallback` if there is none.
double claim_number(const claim_rig *rig, const char *key, double fallback);

__attribute__((format(printf, 3, 4))) void claim_judge(cli_claim *claim, bool holds, const char *format, ...);
// The claim failed because something else did.
void claim_stop(cli_claim *claim, const claim_rig *rig, const char *what);

void claim_identity(cli_claim *claim, const claim_environment *environment);
void claim_effect(cli_claim *claim, const claim_environment *environment);
void claim_growth(cli_claim *claim, const claim_environment *environment);
void claim_resident(cli_claim *claim, const claim_environment *environment);
void claim_product(cli_claim *claim, const claim_environment *environment);
void claim_host_call(cli_claim *claim, const claim_environment *environment);
void claim_guard(cli_claim *claim, const claim_environment *environment);
void claim_ownership(cli_claim *claim, const claim_environment *environment);
void claim_tokens(cli_claim *claim, const claim_environment *environment);

#endif
