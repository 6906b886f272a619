#include "claims.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_NS UINT64_C(300000000000)

static const struct {
  const char *name, *text;
  void (*check)(cli_claim *claim, const claim_environment *environment);
} checks[CLAIM_COUNT] = {
    {"identity", "The mapping, the guest's memory and the device's buffer are at the same address.",
     claim_identity},
    {"effect", "A kernel reads what the guest writes, the guest what the kernel writes; no transfer.",
     claim_effect},
    {"growth", "So it is after the guest's memory grew: it did not move, the new part is shared.",
     claim_growth},
    {"resident", "16 MB wrapped add at most 0.05 MB of resident memory; copied, they add 16 MB.",
     claim_resident},
    {"product", "A 128x128 product that the guest issues is right in all 16,384 elements.", claim_product},
    {"host-call", "Each call of the guest reaches the host, and moves no tensor data.", claim_host_call},
    {"guard", "A guest's access past its end traps in the guard; its neighbour goes on.", claim_guard},
    {"ownership", "Memory is unmapped exactly once, after its last import is gone.", claim_ownership},
    {"tokens", "A generated token copies nothing but what the guest asks to read.", claim_tokens},
};

const char *claim_verdict_text(claim_verdict verdict) {
  return verdict == CLAIM_PASS ? "pass" : verdict == CLAIM_FAIL ? "fail" : "not applicable";
}

void claim_judge(cli_claim *claim, bool holds, const char *format, ...) {
  claim->verdict = holds ? CLAIM_PASS : CLAIM_FAIL;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(claim->evidence, sizeof claim->evidence, format, arguments);
  va_end(arguments);
}

void claim_stop(cli_claim *claim, const claim_rig *rig, const char *what) {
  bool lacks = rig->error.code == DW_UNSUPPORTED;
  snprintf(claim->evidence, sizeof claim->evidence, "%s: %s (%s)", what, rig->error.detail,
           rig->error.message ? rig->error.message : "error");
  claim->verdict = lacks ? CLAIM_NOT_APPLICABLE : CLAIM_FAIL;
}

// ---- The rig ------------------------------------------------------------------------

static void on_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  claim_rig *rig = user;
  if (actor != rig->actor && rig->actor) return;
  size_t used = strlen(rig->said), room = sizeof rig->said - 1 - used;
  if (size_bytes > room) size_bytes = room;
  memcpy(rig->said + used, bytes, size_bytes);
  rig->said[used + size_bytes] = 0;
}

static void on_log(void *user, dw_log_level level, dw_actor *actor, const char *line) {
  (void)level, (void)actor;
  claim_rig *rig = user;
  uint64_t prompt, tokens;
  if (sscanf(line, "reply prompt_tokens=%" SCNu64 " tokens=%" SCNu64, &prompt, &tokens) == 2)
    rig->tokens += tokens;
}

static dw_status open_engine(claim_rig *rig) {
  const claim_environment *environment = rig->environment;
  return dw_engine_open(&(dw_engine_desc){.device = environment->device,
                                          .threads = environment->threads,
                                          .cache_dir = environment->cache_dir,
                                          .on_log = on_log,
                                          .user = rig,
                                          .device_class = environment->device_class,
                                          .device_class_user = environment->device_class_user},
                        &rig->engine, &rig->error);
}

static dw_status load_guest(claim_rig *rig, const char *guest) {
  char path[4096];
  if (rig->environment->guest_path(rig->environment->user, guest, path))
    return dw_guest_load(rig->engine, path, &rig->guest, &rig->error);
  snprintf(rig->error.detail, sizeof rig->error.detail, "the guest %s is not there", guest);
  rig->error.code = DW_NOTFOUND;
  return DW_NOTFOUND;
}

dw_status claim_open_actor(claim_rig *rig, const dw_actor_desc *desc) {
  dw_actor_desc all = *desc;
  all.guest = rig->guest;
  all.on_emit = on_emit;
  all.user = rig;
  rig->said[0] = 0;
  return dw_actor_open(rig->engine, &all, &rig->actor, &rig->error);
}

dw_status claim_open(claim_rig *rig, const claim_environment *environment, const char *guest,
                     const dw_actor_desc *desc) {
  memset(rig, 0, sizeof *rig);
  rig->environment = environment;
  dw_status status = open_engine(rig);
  if (status == DW_OK) status = load_guest(rig, guest);
  if (status == DW_OK) status = claim_open_actor(rig, desc);
  if (status != DW_OK) claim_close(rig);
  return status;
}

void claim_close(claim_rig *rig) {
  dw_actor_close(rig->actor);
  rig->actor = NULL;
  dw_guest_close(rig->guest);
  rig->guest = NULL;
  if (rig->engine) dw_engine_close(rig->engine, NULL);
  rig->engine = NULL;
}

dw_status claim_tell(claim_rig *rig, const char *message) {
  rig->said[0] = 0;
  rig->tokens = 0;
  dw_status status = dw_actor_send(rig->actor, message, strlen(message), &rig->error);
  return status == DW_OK ? dw_actor_wait(rig->actor, PATIENCE_NS, &rig->error) : status;
}

dw_actor_stats claim_stats(const claim_rig *rig) {
  dw_actor_state state;
  dw_actor_state_get(rig->actor, &state);
  return state.stats;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

dw_status claim_median(claim_rig *rig, const char *message, int runs, uint64_t *median_ns) {
  uint64_t times[32];
  if (runs > 32) runs = 32;
  for (int i = 0; i < runs; i++) {
    uint64_t begun = now_ns();
    dw_status status = claim_tell(rig, message);
    if (status != DW_OK) return status;
    times[i] = now_ns() - begun;
  }
  qsort(times, (size_t)runs, sizeof *times, compare);
  *median_ns = times[runs / 2];
  return DW_OK;
}

double claim_number(const claim_rig *rig, const char *key, double fallback) {
  size_t length = strlen(key);
  for (const char *at = rig->said; (at = strstr(at, key)); at += length)
    if ((at == rig->said || at[-1] == ' ') && at[length] == '=') return strtod(at + length + 1, NULL);
  return fallback;
}

// ---- All of them --------------------------------------------------------------------

dw_status claims_run(const claim_environment *environment, claim_report *report, dw_error *error) {
  memset(report, 0, sizeof *report);
  claim_rig rig = {.environment = environment};
  if (open_engine(&rig) != DW_OK) {
    if (error) *error = rig.error;
    return rig.error.code;
  }
  snprintf(report->device, sizeof report->device, "%s", dw_engine_device_name(rig.engine));
  claim_close(&rig);
  for (size_t i = 0; i < CLAIM_COUNT; i++) {
    cli_claim *one = &report->claims[i];
    one->name = checks[i].name;
    one->text = checks[i].text;
    if (environment->on_begin) environment->on_begin(environment->user, one);
    checks[i].check(one, environment);
  }
  return DW_OK;
}
