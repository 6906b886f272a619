// What an actor may take of its process: memory that the host keeps for it, time,
// and threads.  The guest is tests/guests/greedy.c.
#include "driftwood.h"
#include "tests/dw_test.h"
#include "tests/guest_path.h"

#include <time.h>

static dw_engine *engine;
static dw_guest *guest;
static char emitted[512];

static void on_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  (void)user, (void)actor;
  snprintf(emitted, sizeof emitted, "%.*s", (int)size_bytes, (const char *)bytes);
}

static dw_actor *begin(dw_actor_desc desc) {
  dw_error error = {0};
  dw_actor *actor = NULL;
  CHECK_OK(dw_engine_open(&(dw_engine_desc){.device = "cpu", .threads = 1}, &engine, &error), &error);
  CHECK_OK(dw_guest_load(engine, dw_test_guest("greedy"), &guest, &error), &error);
  desc.guest = guest;
  if (!desc.on_emit) desc.on_emit = on_emit;
  CHECK_OK(dw_actor_open(engine, &desc, &actor, &error), &error);
  return actor;
}

static void end(dw_actor *actor) {
  dw_error error = {0};
  dw_actor_close(actor);
  dw_guest_close(guest);
  CHECK_OK(dw_engine_close(engine, &error), &error);
}

static dw_status tell(dw_actor *actor, const char *message, dw_error *error) {
  emitted[0] = 0;
  dw_status status = dw_actor_send(actor, message, strlen(message), error);
  return status == DW_OK ? dw_actor_wait(actor, UINT64_C(60000000000), error) : status;
}

// ---- Memory ---------------------------------------------------------------------------

#define MEMORY (UINT64_C(32) << 20)

// As many as max_memory holds when each takes `least_bytes` of the host.
static void check_made(const char *message, uint64_t least_bytes) {
  dw_error error = {0};
  dw_actor *actor = begin((dw_actor_desc){.max_memory_bytes = MEMORY});
  CHECK_OK(tell(actor, message, &error), &error);
  unsigned made = 0;
  int then = 0;
  CHECK_EQ(sscanf(emitted, "made %u then %d", &made, &then), 2);
  CHECK_EQ(then, DW_LIMIT);
  CHECK(made > 0 && made * least_bytes <= MEMORY);
  end(actor);
}

static void test_tiny_tensors(void) {
  check_made("tiny tensors", 4096);
  check_made("empty tensors", 4096);
}

static void test_pinned_views(void) { check_made("pinned views", 700); }
static void test_empty_caches(void) { check_made("empty caches", 8 * 32 * 65536 / 2); }

static void check_answer(const char *message, const char *answer) {
  dw_error error = {0};
  dw_actor *actor = begin((dw_actor_desc){.max_memory_bytes = MEMORY});
  CHECK_OK(tell(actor, message, &error), &error);
  CHECK_STR(emitted, answer);
  end(actor);
}

static void test_scratch(void) { check_answer("large scratch", "scratch -5"); }
static void test_heads(void) { check_answer("many heads", "heads -5"); }

// What was charged comes back, so that taking and releasing goes on for ever.
static void test_refund(void) {
  dw_error error = {0};
  dw_actor *actor = begin((dw_actor_desc){.max_memory_bytes = MEMORY});
  dw_actor_state before, after;
  CHECK_OK(tell(actor, "run", &error), &error);
  dw_actor_state_get(actor, &before);
  for (int i = 0; i < 3; i++) CHECK_OK(tell(actor, "run", &error), &error);
  dw_actor_state_get(actor, &after);
  CHECK_EQ(before.stats.device_bytes, 0);
  CHECK_EQ(after.stats.device_bytes, 0);
  end(actor);
}

// A guest whose tables of functions would take 32 MiB that nobody is charged for:
// types, functions, 4 tables of 2^20, memory, exports, code.
static void test_tables(void) {
  static const char module[] =
      "\0asm\1\0\0\0"
      "\1\x0a\2\x60\1\x7f\1\x7f\x60\0\1\x7f"
      "\3\4\3\0\0\1"
      "\4\x15\4\x70\0\x80\x80\x40\x70\0\x80\x80\x40\x70\0\x80\x80\x40\x70\0\x80\x80\x40"
      "\5\3\1\0\1"
      "\7\x40\4\6memory\2\0\x0e" "driftwood_open\0\0\x11" "driftwood_message\0\1\x0e" "driftwood_step\0\2"
      "\x0a\x10\3\4\0\x41\0\x0b\4\0\x41\0\x0b\4\0\x41\3\x0b";
  dw_error error = {0};
  dw_actor *actor = begin((dw_actor_desc){0}), *large = NULL;
  dw_guest *tables = NULL;
  CHECK_OK(dw_guest_load_bytes(engine, module, sizeof module - 1, &tables, &error), &error);
  CHECK_STATUS(dw_actor_open(engine, &(dw_actor_desc){.guest = tables}, &large, &error), DW_TRAP, &error);
  CHECK(strstr(error.detail, "table"));
  dw_guest_close(tables);
  end(actor);
}

// ---- Time -----------------------------------------------------------------------------

static void slow_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  on_emit(user, actor, bytes, size_bytes);
  if (size_bytes == 4 && memcmp(bytes, "late", 4) == 0)
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
}

// The deadline of one message is not that of the next.
static void test_late(void) {
  dw_error error = {0};
  dw_actor *actor = begin((dw_actor_desc){.deadline_ns = 200000000, .on_emit = slow_emit});
  CHECK_OK(tell(actor, "late", &error), &error);
  CHECK_OK(tell(actor, "run", &error), &error);
  CHECK_STR(emitted, "run 0");
  end(actor);
}

// ---- Growth ---------------------------------------------------------------------------

static void test_growths(void) {
  dw_error error = {0};
  dw_actor *actor = begin((dw_actor_desc){0});
  CHECK_OK(tell(actor, "growths", &error), &error);
  dw_actor_state state;
  dw_actor_state_get(actor, &state);
  CHECK_EQ(state.stats.programs_submitted, 200);
  CHECK(state.stats.reimports >= 1 && state.stats.reimports <= 20);
  end(actor);
}

// ---- Callbacks ------------------------------------------------------------------------

static dw_status opened_inside, waited_inside;

static void waiting_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  (void)bytes, (void)size_bytes;
  dw_actor *other = *(dw_actor **)user, *third = NULL;
  dw_error error = {0};
  if (!other) return;
  CHECK_OK(dw_actor_send(other, "x", 1, &error), &error);
  waited_inside = dw_actor_wait(other, UINT64_MAX, &error);
  opened_inside = dw_actor_open(engine, &(dw_actor_desc){.guest = guest}, &third, &error);
  (void)actor;
}

// The engine has one thread here: waiting on it for itself would take for ever.
static void test_callback(void) {
  dw_error error = {0};
  dw_actor *other = NULL;
  dw_actor *actor = begin((dw_actor_desc){.on_emit = waiting_emit, .user = &other});
  dw_actor *opened = NULL;
  CHECK_OK(dw_actor_open(engine, &(dw_actor_desc){.guest = guest}, &opened, &error), &error);
  other = opened;
  CHECK_OK(tell(actor, "late", &error), &error);
  CHECK_EQ(waited_inside, DW_BUSY);
  CHECK_EQ(opened_inside, DW_BUSY);
  CHECK_OK(dw_actor_wait(opened, UINT64_MAX, &error), &error);
  dw_actor_close(opened);
  end(actor);
}

static const dw_case cases[] = {
    {"tiny_tensors", "a tensor is charged for what it takes, not for its elements alone", test_tiny_tensors},
    {"pinned_views", "what programs hold is charged, without handles too", test_pinned_views},
    {"empty_caches", "a cache is charged for its table", test_empty_caches},
    {"scratch", "a program's scratch memory is at most max_memory", test_scratch},
    {"heads", "an Attention of absurdly many heads is refused", test_heads},
    {"tables", "a guest's tables of functions are limited", test_tables},
    {"refund", "what was charged comes back", test_refund},
    {"late", "a message that ended late leaves the next one alone", test_late},
    {"growths", "a memory that grows often is not imported in ever more pieces", test_growths},
    {"callback", "waiting inside a callback is refused instead of waiting for ever", test_callback},
};
DW_TEST_MAIN(cases)
