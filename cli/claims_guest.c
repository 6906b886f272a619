// Claims about what a guest does: products, calls, accesses past the end, tokens.
#include "claims.h"

#include "model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- The product ------------------------------------------------------------------------

#define N 128
#define REPEATS 64

typedef struct product {
  unsigned wrong;
  double largest, checksum;
} product;

// In f64 from the same bytes; an element may be off by what K roundings to f32 allow.
static product compare_product(const float *a, const float *b, const float *c) {
  product found = {0};
  for (int row = 0; row < N; row++) {
    for (int column = 0; column < N; column++) {
      double exact = 0, size = 0;
      for (int k = 0; k < N; k++) {
        double term = (double)a[row * N + k] * (double)b[k * N + column];
        exact += term;
        size += fabs(term);
      }
      double value = (double)c[row * N + column], off = fabs(value - exact);
      found.wrong += !(off <= N * 0x1p-24 * size);
      if (!(off <= found.largest)) found.largest = off;
      found.checksum += value;
    }
  }
  return found;
}

// The matrix whose guest address stands behind `key`, or NULL.
static const float *matrix(const claim_rig *rig, const dw_actor_memory *memory, const char *key) {
  double address = claim_number(rig, key, -1);
  if (address < 0 || address + N * N * 4 > (double)memory->size_bytes) return NULL;
  return (const float *)((const char *)memory->mapping + (size_t)address);
}

static void judge_product(cli_claim *claim, claim_rig *rig, uint64_t one_ns) {
  dw_actor_memory memory;
  if (dw_actor_memory_get(rig->actor, &memory, &rig->error) != DW_OK) {
    claim_stop(claim, rig, "the gemm guest's memory");
    return;
  }
  const float *a = matrix(rig, &memory, "a"), *b = matrix(rig, &memory, "b"), *c = matrix(rig, &memory, "c");
  if (!a || !b || !c) {
    claim_judge(claim, false, "the gemm guest did not say where its matrices are: %.200s", rig->said);
    return;
  }
  product found = compare_product(a, b, c);
  double read_back = claim_number(rig, "checksum", NAN); // what the guest read
  bool same = fabs(read_back - found.checksum) <= 1e-5;
  claim_judge(
      claim, found.wrong == 0 && same,
      "%u differ from f64 by more than rounding (largest difference %.2g); the guest reads the %s sum; "
      "%.3f ms from submit to next step (median of 9 x %d)",
      found.wrong, found.largest, same ? "same" : "wrong", (double)one_ns / 1e6, REPEATS);
}

void claim_product(cli_claim *claim, const claim_environment *environment) {
  claim_rig rig;
  uint64_t median_ns = 0;
  char message[32];
  snprintf(message, sizeof message, "repeat %d", REPEATS);
  dw_status status = claim_open(&rig, environment, "gemm", &(dw_actor_desc){.arguments = "n=128"});
  if (status == DW_OK) status = claim_tell(&rig, "run"); // touches everything once
  if (status == DW_OK) status = claim_median(&rig, message, 9, &median_ns);
  if (status != DW_OK)
    claim_stop(claim, &rig, "the gemm guest");
  else
    judge_product(claim, &rig, median_ns / REPEATS);
  claim_close(&rig);
}

// ---- Calls ------------------------------------------------------------------------------

#define CALLS 1000000

void claim_host_call(cli_claim *claim, const claim_environment *environment) {
  claim_rig rig;
  char message[32];
  snprintf(message, sizeof message, "calls %d", CALLS);
  dw_status status = claim_open(&rig, environment, "probe", &(dw_actor_desc){0});
  if (status == DW_OK) status = claim_tell(&rig, message);
  double least_ns = 1e18;
  dw_actor_stats before = {0}, after = {0};
  for (int i = 0; i < 7 && status == DW_OK; i++) {
    before = claim_stats(&rig);
    status = claim_tell(&rig, message);
    after = claim_stats(&rig);
    double each_ns = (double)(after.guest_ns - before.guest_ns) / CALLS;
    if (each_ns < least_ns) least_ns = each_ns;
  }
  if (status != DW_OK) {
    claim_stop(claim, &rig, "the probe guest");
  } else {
    uint64_t counted = after.host_calls - before.host_calls, more = counted - CALLS;
    uint64_t moved = after.upload_bytes + after.download_bytes + after.bus_bytes + after.copied_bytes;
    double answered = claim_number(&rig, "answered", 0);
    // Besides the loop the guest reads the message and emits a line.
    claim_judge(claim, counted >= CALLS && more <= 8 && answered == CALLS && moved == 0,
                "1,000,000 calls: %.0f answered, %" PRIu64 " counted with those for the message; "
                "%.1f ns each (least of 7); %" PRIu64 " bytes moved",
                answered, counted, least_ns, moved);
  }
  claim_close(&rig);
}

// ---- Accesses past the end ----------------------------------------------------------------

// Lets a fresh actor reach out; true if it trapped as it should.
static bool traps(claim_rig *rig, const char *access, char *seen, size_t capacity) {
  const claim_environment *environment = rig->environment;
  dw_status status = claim_open_actor(rig, &(dw_actor_desc){0});
  if (status == DW_OK && environment->before_access)
    environment->before_access(environment->user, rig->actor);
  if (status == DW_OK) status = claim_tell(rig, access);
  bool trapped = status == DW_TRAP && strstr(rig->error.detail, "out of bounds");
  snprintf(seen, capacity, "%s: %.100s", access, status == DW_OK ? rig->said : rig->error.detail);
  seen[strcspn(seen, "\n")] = 0;
  char *place = trapped ? strstr(seen, " in ") : NULL; // which function is of no interest
  if (place) *place = 0;
  dw_actor_close(rig->actor);
  rig->actor = NULL;
  return trapped;
}

void claim_guard(cli_claim *claim, const claim_environment *environment) {
  static const char *const accesses[] = {"read", "write", "far"};
  claim_rig rig;
  char seen[3][128];
  if (claim_open(&rig, environment, "probe", &(dw_actor_desc){0}) != DW_OK) {
    claim_stop(claim, &rig, "the probe guest");
    return;
  }
  dw_actor *neighbour = rig.actor;
  unsigned trapped = 0;
  for (int i = 0; i < 3; i++) trapped += traps(&rig, accesses[i], seen[i], sizeof seen[i]);
  rig.actor = neighbour;
  dw_status status = claim_tell(&rig, "alive");
  bool alive = status == DW_OK && strcmp(rig.said, "alive\n") == 0;
  if (trapped == 3)
    claim_judge(claim, alive,
                "reading and writing behind the end, reading at 4 GB: all trap; the neighbour %s",
                alive ? "answers" : "does not answer");
  else
    claim_judge(claim, false, "%u of 3 trap (%s; %s; %s)", trapped, seen[0], seen[1], seen[2]);
  claim_close(&rig);
}

// ---- Tokens -------------------------------------------------------------------------------

// What a discrete device may move for a token: the logits that the guest reads,
// and a few integers each way.
static uint64_t allowed_bytes(const char *model_path) {
  dw_model *model;
  char text[32] = "";
  size_t length;
  if (dw_model_open(model_path, &model, NULL) != DW_OK) return 0;
  dw_status status = dw_model_meta(model, "vocab_size", text, sizeof text - 1, &length, NULL);
  dw_model_release(model);
  return status == DW_OK ? 4 * strtoull(text, NULL, 10) + 256 : 0;
}

// The guest's own error is all that comes through when the host refused its program.
static bool lacks_operator(const claim_rig *rig) {
  return rig->error.code == DW_GUEST && strstr(rig->error.detail, "program_new: not supported");
}

void claim_tokens(cli_claim *claim, const claim_environment *environment) {
  if (!environment->model_path) {
    snprintf(claim->evidence, sizeof claim->evidence, "there is no model to generate with");
    claim->verdict = CLAIM_NOT_APPLICABLE;
    return;
  }
  claim_rig rig;
  const dw_grant grant = {.name = "model", .path = environment->model_path};
  const dw_actor_desc desc = {.models = &grant,
                              .model_count = 1,
                              .arguments =
                                  "model=model\nmode=generate\nmax_tokens=32\ntemperature=0\ncontext=128\n"};
  dw_status status = claim_open(&rig, environment, "llm", &desc);
  if (status == DW_OK) status = claim_tell(&rig, "Once upon a time");
  if (status != DW_OK || !rig.tokens) {
    if (status == DW_OK)
      claim_judge(claim, false, "the llm guest generated no token");
    else
      claim_stop(claim, &rig, "the llm guest");
    if (status != DW_OK && lacks_operator(&rig)) claim->verdict = CLAIM_NOT_APPLICABLE;
  } else {
    dw_actor_stats stats = claim_stats(&rig);
    uint64_t named = stats.upload_bytes + stats.download_bytes;
    bool discrete = stats.bus_bytes > named;
    uint64_t each = (discrete ? stats.bus_bytes : named) / rig.tokens;
    uint64_t most = discrete ? allowed_bytes(environment->model_path) : 0;
    claim_judge(claim, each <= most && (named == 0 || discrete),
                "%" PRIu64 " tokens: %" PRIu64 " bytes copied for each, %" PRIu64
                " bytes of weights at load; %" PRIu64 " programs run, %" PRIu64 " compiled",
                rig.tokens, each, stats.copied_bytes, stats.programs_submitted, stats.programs_compiled);
  }
  claim_close(&rig);
}
