// The llm guest in a running engine, with the default model: what cancelling leaves,
// what two conversations share, what is copied.
#include "dw_test.h"
#include "guest_path.h"

#include "driftwood.h"

#include <pthread.h>

typedef struct talk {
  dw_engine *engine;
  dw_guest *guest;
  dw_actor *actor;
  char said[65536], reply_line[256];
  size_t said_bytes;
  uint32_t pieces, prefills;
  uint32_t cancel_at_piece, cancel_at_prefill; // 0: never
} talk;

static void on_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  talk *t = user;
  CHECK(t->said_bytes + size_bytes < sizeof t->said);
  memcpy(t->said + t->said_bytes, bytes, size_bytes);
  t->said[t->said_bytes += size_bytes] = 0;
  if (++t->pieces == t->cancel_at_piece) dw_actor_cancel(actor);
}

static void on_log(void *user, dw_log_level level, dw_actor *actor, const char *line) {
  talk *t = user;
  if (level == DW_LOG_ERROR) fprintf(stderr, "    %s\n", line);
  if (strncmp(line, "reply ", 6) == 0) snprintf(t->reply_line, sizeof t->reply_line, "%s", line);
  if (strncmp(line, "prefill ", 8) == 0 && ++t->prefills == t->cancel_at_prefill) dw_actor_cancel(actor);
}

static void open_engine(talk *t) {
  dw_error error;
  CHECK_OK(dw_engine_open(&(dw_engine_desc){.device = "cpu", .threads = 2, .on_log = on_log, .user = t},
                          &t->engine, &error),
           &error);
  CHECK_OK(dw_guest_load(t->engine, dw_test_guest("llm"), &t->guest, &error), &error);
}

static dw_actor *open_actor(talk *t, const char *arguments) {
  char path[4096];
  const char *source = getenv("DW_SOURCE_DIR");
  dw_error error;
  dw_actor *actor;
  snprintf(path, sizeof path, "%s/models/default", source ? source : ".");
  const dw_grant grant = {"model", path};
  const dw_actor_desc desc = {.guest = t->guest,
                              .models = &grant,
                              .model_count = 1,
                              .arguments = arguments,
                              .on_emit = on_emit,
                              .user = t};
  CHECK_OK(dw_actor_open(t->engine, &desc, &actor, &error), &error);
  return actor;
}

static void tell(talk *t, dw_actor *actor, const char *text) {
  dw_error error;
  t->said_bytes = t->pieces = t->prefills = 0;
  t->said[0] = t->reply_line[0] = 0;
  CHECK_OK(dw_actor_send(actor, text, strlen(text), &error), &error);
  CHECK_OK(dw_actor_wait(actor, UINT64_MAX, &error), &error);
}

static void close_engine(talk *t) {
  dw_error error;
  dw_guest_close(t->guest);
  CHECK_OK(dw_engine_close(t->engine, &error), &error);
}

#define QUESTION "Tell me a story about a fox who finds a red hat."

// A prompt that was cut off in the middle leaves no trace.
static void test_cancel_prompt(void) {
  static talk t;
  char wanted[sizeof t.said];
  open_engine(&t);
  dw_actor *one = open_actor(&t, "chunk=4\ntemperature=0"), *two = open_actor(&t, "chunk=4\ntemperature=0");
  tell(&t, one, QUESTION);
  memcpy(wanted, t.said, sizeof wanted);
  CHECK(t.prefills > 4 && t.said_bytes > 40 && strstr(t.reply_line, "stop=eos"));
  for (uint32_t at = 1; at <= 3; at++) {
    t.cancel_at_prefill = at;
    tell(&t, two, "What is 123 + 456, and what is 432 + 765, and what is 111 + 222?");
    CHECK(t.said_bytes == 0 && t.reply_line[0] == 0);
  }
  t.cancel_at_prefill = 0;
  tell(&t, two, QUESTION);
  CHECK_STR(t.said, wanted);
  dw_actor_close(one);
  dw_actor_close(two);
  close_engine(&t);
}

// A reply that was cut off stays in the conversation, which goes on.
static void test_cancel_reply(void) {
  static talk t;
  open_engine(&t);
  dw_actor *actor = open_actor(&t, "temperature=0");
  for (uint32_t at = 1; at <= 5; at++) {
    t.cancel_at_piece = at;
    tell(&t, actor, QUESTION);
    CHECK(t.pieces == at && t.reply_line[0] == 0);
    t.cancel_at_piece = 0;
    tell(&t, actor, "What is 123 + 456?");
    CHECK(t.said_bytes > 0 && strstr(t.reply_line, "stop="));
  }
  dw_actor_state state;
  dw_actor_state_get(actor, &state);
  CHECK_EQ(state.code, DW_ACTOR_IDLE);
  dw_actor_close(actor);
  close_engine(&t);
}

// Logits are read where the device wrote them, and a second actor compiles nothing.
static void test_shared(void) {
  static talk t;
  open_engine(&t);
  dw_actor *one = open_actor(&t, "temperature=0"), *two = open_actor(&t, "temperature=0");
  dw_actor_state first, second;
  tell(&t, one, QUESTION);
  char wanted[sizeof t.said];
  memcpy(wanted, t.said, sizeof wanted);
  tell(&t, two, QUESTION);
  CHECK_STR(t.said, wanted);
  dw_actor_state_get(one, &first);
  dw_actor_state_get(two, &second);
  CHECK(first.stats.programs_compiled == 1 && second.stats.programs_compiled == 0);
  CHECK(first.stats.upload_bytes == 0 && first.stats.download_bytes == 0 && first.stats.bus_bytes == 0);
  CHECK(first.stats.copied_bytes == 0 && first.stats.reimports == 0);
  CHECK(first.stats.programs_submitted > 10);
  dw_actor_close(one);
  dw_actor_close(two);
  close_engine(&t);
}

// Without a seed among the arguments, the actor's own source of randomness is taken.
static void test_seed(void) {
  static talk t;
  static char said[3][sizeof t.said];
  open_engine(&t);
  for (int i = 0; i < 3; i++) {
    static const char own[] = "temperature=1.2\nmax_tokens=40",
                      given[] = "temperature=1.2\nmax_tokens=40\nseed=9";
    dw_actor *actor = open_actor(&t, i < 2 ? own : given);
    tell(&t, actor, "Tell me a story.");
    memcpy(said[i], t.said, sizeof t.said);
    dw_actor_close(actor);
  }
  CHECK_STR(said[0], said[1]); // both actors have the seed 0
  CHECK(strcmp(said[0], said[2]) != 0);
  close_engine(&t);
}

static const dw_case cases[] = {
    {"cancel_prompt", "a prompt that is cancelled leaves no trace", test_cancel_prompt},
    {"cancel_reply", "after a reply was cancelled the conversation goes on", test_cancel_reply},
    {"shared", "a second conversation compiles nothing; no byte is copied", test_shared},
    {"seed", "sampling takes the actor's seed unless it is given one", test_seed},
};
DW_TEST_MAIN(cases)
