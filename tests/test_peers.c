// What an actor is given: time, randomness, the log, and tensors of its peers.
// The guest is tests/guests/courteous.c.
#include "driftwood.h"
#include "tests/dw_test.h"
#include "tests/guest_path.h"

#include <pthread.h>
#include <time.h>

static dw_engine *engine;
static dw_guest *guest;
static char logged[4096];

static void on_log(void *user, dw_log_level level, dw_actor *actor, const char *line) {
  (void)user, (void)level, (void)actor;
  snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "[%s]", line);
}

static void on_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  (void)actor;
  strncat(user, bytes, size_bytes);
}

static void open_all(void) {
  dw_error error = {0};
  CHECK_OK(dw_engine_open(&(dw_engine_desc){.device = "cpu", .threads = 2, .on_log = on_log}, &engine, &error), &error);
  CHECK_OK(dw_guest_load(engine, dw_test_guest("courteous"), &guest, &error), &error);
}

static dw_actor *open_actor(dw_actor_desc desc, char *emitted) {
  dw_error error = {0};
  dw_actor *actor = NULL;
  desc.guest = guest;
  desc.on_emit = on_emit;
  desc.user = emitted;
  CHECK_OK(dw_actor_open(engine, &desc, &actor, &error), &error);
  return actor;
}

static void close_all(void) {
  dw_error error = {0};
  dw_guest_close(guest);
  CHECK_OK(dw_engine_close(engine, &error), &error);
}

static void tell(dw_actor *actor, const char *message) {
  dw_error error = {0};
  CHECK_OK(dw_actor_send(actor, message, strlen(message), &error), &error);
  CHECK_OK(dw_actor_wait(actor, UINT64_MAX, &error), &error);
}

static void test_clock(void) {
  char emitted[512] = "";
  open_all();
  dw_actor *actor = open_actor((dw_actor_desc){0}, emitted);
  tell(actor, "time");
  long long seconds = 0, tick = 0;
  CHECK_EQ(sscanf(emitted, "seconds %lld tick %lld", &seconds, &tick), 2);
  CHECK_EQ(tick, 1000);
  CHECK(llabs(seconds - (long long)time(NULL)) < 60);
  dw_actor_close(actor);
  close_all();
}

static void random_of(uint64_t seed, char *emitted) {
  dw_actor *actor = open_actor((dw_actor_desc){.seed = seed}, emitted);
  tell(actor, "random");
  dw_actor_close(actor);
}

static void test_random(void) {
  char first[512] = "", again[512] = "", other[512] = "";
  open_all();
  random_of(1, first);
  random_of(1, again);
  random_of(2, other);
  CHECK_STR(again, first);
  CHECK(strcmp(other, first) != 0);
  CHECK_EQ(strlen(first), 16);
  close_all();
}

static void test_log(void) {
  char emitted[512] = "";
  open_all();
  dw_actor *actor = open_actor((dw_actor_desc){0}, emitted);
  tell(actor, "log");
  CHECK_STR(logged, "[one][two [31m  2J]"); // no escape reaches a terminal
  dw_actor_close(actor);
  close_all();
}

static void test_send(void) {
  char from[512] = "", to[512] = "";
  dw_error error = {0};
  open_all();
  dw_actor *receiver = open_actor((dw_actor_desc){0}, to);
  const dw_peer peer = {"friend", receiver};
  dw_actor *sender = open_actor((dw_actor_desc){.peers = &peer, .peer_count = 1}, from);
  tell(sender, "send friend");
  CHECK_STR(from, "sent 0 changed -11 (read-only: gift is read-only)");
  CHECK_OK(dw_actor_wait(receiver, UINT64_MAX, &error), &error);
  CHECK_STR(to, "received 1048576 bytes of 7, changed -11");
  from[0] = 0;
  tell(sender, "send stranger");
  CHECK(strncmp(from, "sent -12 changed 0", 18) == 0); // not granted, so not sealed
  dw_actor_state state;
  dw_actor_state_get(receiver, &state);
  CHECK_EQ(state.stats.device_bytes, 1 << 20); // counted as the receiver's own
  dw_actor_close(receiver);
  from[0] = 0;
  tell(sender, "send friend");
  CHECK(strncmp(from, "sent -20 changed 0", 18) == 0); // it is gone
  dw_actor_close(sender);
  close_all();
}

static void *close_soon(void *receiver) {
  struct timespec pause = {.tv_nsec = 1000000 + (long)((uintptr_t)receiver / 64 % 16) * 200000};
  nanosleep(&pause, NULL);
  dw_actor_close(receiver);
  return NULL;
}

// The receiver goes while tensors are under way to it, before and after; nothing is
// read after it was freed, and nothing is left behind.
static void test_send_while_closing(void) {
  open_all();
  for (int round = 0; round < 20; round++) {
    static char from[1 << 14], to[1 << 14];
    from[0] = to[0] = 0;
    dw_error error = {0};
    dw_actor *receiver = open_actor((dw_actor_desc){0}, to);
    const dw_peer peer = {"friend", receiver};
    dw_actor *sender = open_actor((dw_actor_desc){.peers = &peer, .peer_count = 1}, from);
    for (int i = 0; i < 20; i++) CHECK_OK(dw_actor_send(sender, "send friend", 11, &error), &error);
    pthread_t closer;
    CHECK_EQ(pthread_create(&closer, NULL, close_soon, receiver), 0);
    CHECK_OK(dw_actor_wait(sender, UINT64_MAX, &error), &error);
    pthread_join(closer, NULL);
    dw_actor_close(sender);
  }
  close_all();
}

static const dw_case cases[] = {
    {"clock", "the clock is the message's arrival and a tick a reading", test_clock},
    {"random", "the random source is the seed's", test_random},
    {"log", "standard error goes to the log, line by line, without control characters", test_log},
    {"send", "a sent tensor is sealed, shared and accounted for", test_send},
    {"send_while_closing", "an actor closes while tensors are sent to it", test_send_while_closing},
};
DW_TEST_MAIN(cases)
