// Claims about memory: one mapping, seen by pointer, by effect and by the kernel's accounting.
#include "claims.h"

#include "region.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SMALL "65536"
#define LARGE "16777216"
#define LARGE_BYTES 16777216.0
#define GROWN "1048576"

static dw_status open_stream(claim_rig *rig, const claim_environment *environment) {
  return claim_open(rig, environment, "stream", &(dw_actor_desc){0});
}

// Fills, runs the kernel in place and lets the guest check each element.
static dw_status run_stream(claim_rig *rig, const char *bytes) {
  char message[64];
  snprintf(message, sizeof message, "bytes=%s mode=zerocopy repeat=3", bytes);
  return claim_tell(rig, message);
}

// ---- By pointer -----------------------------------------------------------------------

static bool same_place(const dw_actor_memory *memory) {
  return memory->mapping == memory->guest && memory->mapping == memory->device;
}

void claim_identity(cli_claim *claim, const claim_environment *environment) {
  claim_rig rig;
  dw_actor_memory memory;
  dw_status status = open_stream(&rig, environment);
  if (status == DW_OK) status = run_stream(&rig, SMALL);
  if (status == DW_OK) status = dw_actor_memory_get(rig.actor, &memory, &rig.error);
  if (status != DW_OK)
    claim_stop(claim, &rig, "the stream guest");
  else
    claim_judge(claim, same_place(&memory), "mapping %p, guest memory %p, device buffer %p", memory.mapping,
                memory.guest, memory.device);
  claim_close(&rig);
}

// ---- By effect ------------------------------------------------------------------------

void claim_effect(cli_claim *claim, const claim_environment *environment) {
  claim_rig rig;
  dw_status status = open_stream(&rig, environment);
  if (status == DW_OK) status = run_stream(&rig, SMALL);
  if (status != DW_OK) {
    claim_stop(claim, &rig, "the stream guest");
  } else {
    dw_actor_stats stats = claim_stats(&rig);
    double wrong = claim_number(&rig, "wrong", -1);
    uint64_t transferred = stats.upload_bytes + stats.download_bytes;
    claim_judge(claim, wrong == 0 && transferred == 0,
                "16,384 elements, 3 runs: %.0f wrong when the guest read them; %" PRIu64 " bytes transferred",
                wrong, transferred);
  }
  claim_close(&rig);
}

void claim_growth(cli_claim *claim, const claim_environment *environment) {
  claim_rig rig;
  dw_actor_memory before = {0}, after = {0};
  dw_status status = open_stream(&rig, environment);
  if (status == DW_OK) status = run_stream(&rig, SMALL);
  if (status == DW_OK) status = dw_actor_memory_get(rig.actor, &before, &rig.error);
  if (status == DW_OK) status = claim_tell(&rig, "grow bytes=" GROWN);
  double grown_at = claim_number(&rig, "address", -1);
  if (status == DW_OK) status = run_stream(&rig, GROWN);
  if (status == DW_OK) status = dw_actor_memory_get(rig.actor, &after, &rig.error);
  if (status != DW_OK) {
    claim_stop(claim, &rig, "the stream guest");
  } else {
    dw_actor_stats stats = claim_stats(&rig);
    double wrong = claim_number(&rig, "wrong", -1), address = claim_number(&rig, "address", -2);
    uint64_t transferred = stats.upload_bytes + stats.download_bytes;
    bool stayed =
        before.mapping == after.mapping && same_place(&after) && after.size_bytes > before.size_bytes;
    claim_judge(claim, stayed && wrong == 0 && transferred == 0 && address == grown_at,
                "%" PRIu64 " to %" PRIu64 " bytes, %s at %p; 262,144 elements in the new part, 3 runs: "
                "%.0f wrong; %" PRIu64 " bytes transferred",
                before.size_bytes, after.size_bytes, stayed ? "all three still" : "NOT all three",
                before.mapping, wrong, transferred);
  }
  claim_close(&rig);
}

// ---- By the kernel's accounting ---------------------------------------------------------

// Resident bytes of this process: smaps_rollup counts pages, statm may lag behind.
static uint64_t resident_bytes(const char **source) {
  char line[256];
  uint64_t kilobytes = 0, pages = 0, all = 0;
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  *source = "smaps_rollup";
  while (file && !kilobytes && fgets(line, sizeof line, file)) sscanf(line, "Rss: %" SCNu64, &kilobytes);
  if (file) fclose(file);
  if (kilobytes) return kilobytes * 1024;
  file = fopen("/proc/self/statm", "r");
  *source = "statm";
  if (file && fscanf(file, "%" SCNu64 " %" SCNu64, &all, &pages) != 2) pages = 0;
  if (file) fclose(file);
  return pages * dw_page_size();
}

typedef struct residence {
  double wrapped, copied; // bytes more
  const char *source;
} residence;

// The first run imports the 16 MB; they and everything else were touched before.
static dw_status measure_residence(const claim_environment *environment, claim_rig *rig, residence *answer) {
  dw_status status = open_stream(rig, environment);
  if (status == DW_OK) status = run_stream(rig, SMALL);
  if (status == DW_OK) status = claim_tell(rig, "prepare bytes=" LARGE " mode=zerocopy");
  uint64_t before = resident_bytes(&answer->source);
  if (status == DW_OK) status = claim_tell(rig, "run repeat=2");
  uint64_t wrapped = resident_bytes(&answer->source);
  if (status == DW_OK)
    status = claim_tell(rig, "prepare bytes=" LARGE " mode=copy"); // the guest's own bytes again
  if (status == DW_OK) status = claim_tell(rig, "run repeat=2");
  uint64_t copied = resident_bytes(&answer->source);
  answer->wrapped = (double)wrapped - (double)before;
  answer->copied = (double)copied - (double)wrapped;
  return status;
}

// The least of three: other threads of the process may touch a page of their own.
void claim_resident(cli_claim *claim, const claim_environment *environment) {
  residence least = {.wrapped = 1e18};
  for (int i = 0; i < 3; i++) {
    claim_rig rig;
    residence now = {0};
    dw_status status = measure_residence(environment, &rig, &now);
    if (status != DW_OK) claim_stop(claim, &rig, "the stream guest");
    claim_close(&rig);
    if (status != DW_OK) return;
    if (now.wrapped < least.wrapped) least = now;
  }
  if (least.source && resident_bytes(&least.source) == 0) {
    snprintf(claim->evidence, sizeof claim->evidence, "this system has no /proc with resident memory in it");
    claim->verdict = CLAIM_NOT_APPLICABLE;
    return;
  }
  // A meter that does not see the copy would not see a hidden one either; a copy
  // in the memory of a discrete device is out of its sight.
  claim_judge(claim, least.wrapped <= 0.05e6 && least.copied >= 0.9 * LARGE_BYTES,
              "16 MB wrapped: %+.2f MB resident; copied: %+.2f MB (least of 3, %s)", least.wrapped / 1e6,
              least.copied / 1e6, least.source);
}
