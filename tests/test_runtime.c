// Engine, guests and actors, through the embedder's interface; the guest is
// tests/guests/hostile.c.
#include "driftwood.h"
#include "region.h"
#include "tests/dw_test.h"
#include "tests/guest_path.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

typedef struct talk {
  dw_engine *engine;
  dw_guest *guest;
  dw_actor *actor;
  pthread_mutex_t lock;
  char emitted[1 << 16];
  size_t length;
  char logged[4096];
} talk;

static void on_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  (void)actor;
  talk *t = user;
  pthread_mutex_lock(&t->lock);
  size_t room = sizeof t->emitted - 1 - t->length;
  if (size_bytes > room) size_bytes = room;
  memcpy(t->emitted + t->length, bytes, size_bytes);
  t->length += size_bytes;
  t->emitted[t->length] = 0;
  pthread_mutex_unlock(&t->lock);
}

static void on_log(void *user, dw_log_level level, dw_actor *actor, const char *line) {
  (void)level, (void)actor;
  talk *t = user;
  snprintf(t->logged, sizeof t->logged, "%s", line);
}

static void open_engine(talk *t, uint32_t threads, const char *cache_dir) {
  dw_error error = {0};
  memset(t, 0, sizeof *t);
  pthread_mutex_init(&t->lock, NULL);
  CHECK_OK(dw_engine_open(&(dw_engine_desc){.device = "cpu", .threads = threads, .cache_dir = cache_dir,
                                            .on_log = on_log, .user = t},
                          &t->engine, &error),
           &error);
  CHECK_OK(dw_guest_load(t->engine, dw_test_guest("hostile"), &t->guest, &error), &error);
}

static dw_status open_actor(talk *t, dw_actor_desc desc, dw_error *error) {
  desc.guest = t->guest;
  desc.on_emit = on_emit;
  desc.user = t;
  return dw_actor_open(t->engine, &desc, &t->actor, error);
}

static void close_all(talk *t) {
  dw_error error = {0};
  dw_actor_close(t->actor);
  dw_guest_close(t->guest);
  CHECK_OK(dw_engine_close(t->engine, &error), &error);
}

static void begin(talk *t, dw_actor_desc desc) {
  dw_error error = {0};
  open_engine(t, 2, NULL);
  CHECK_OK(open_actor(t, desc, &error), &error);
}

// Sends and waits; the answer is in t->emitted.
static dw_status tell(talk *t, const char *message, dw_error *error) {
  t->length = 0;
  t->emitted[0] = 0;
  dw_status status = dw_actor_send(t->actor, message, strlen(message), error);
  return status == DW_OK ? dw_actor_wait(t->actor, UINT64_C(120000000000), error) : status;
}

static void check_says(talk *t, const char *message, const char *expected) {
  dw_error error = {0};
  CHECK_OK(tell(t, message, &error), &error);
  CHECK_STR(t->emitted, expected);
}

static void check_fails(const char *message, dw_actor_desc desc, dw_status expected, const char *words) {
  talk t;
  dw_error error = {0};
  begin(&t, desc);
  CHECK_STATUS(tell(&t, message, &error), expected, &error);
  if (!strstr(error.detail, words)) fprintf(stderr, "    the words are: %s\n", error.detail);
  CHECK(strstr(error.detail, words));
  CHECK_STATUS(dw_actor_send(t.actor, "x", 1, &error), DW_CLOSED, &error);
  dw_actor_state state;
  dw_actor_state_get(t.actor, &state);
  CHECK_EQ(state.code, DW_ACTOR_FAILED);
  CHECK_EQ(state.error.code, expected);
  close_all(&t);
}

// ---- The door -----------------------------------------------------------------------

static void test_hello(void) {
  talk t;
  begin(&t, (dw_actor_desc){0});
  check_says(&t, "world", "hello world");
  dw_actor_state state;
  dw_actor_state_get(t.actor, &state);
  CHECK_EQ(state.code, DW_ACTOR_IDLE);
  CHECK_EQ(state.stats.messages, 1);
  CHECK(state.stats.host_calls >= 2);
  CHECK_EQ(state.stats.bus_bytes, 0);
  close_all(&t);
}

static void test_sweep(void) {
  talk t;
  begin(&t, (dw_actor_desc){0});
  dw_error error = {0};
  CHECK_OK(tell(&t, "sweep", &error), &error);
  unsigned swept = 0, accepted = 0;
  CHECK_EQ(sscanf(t.emitted, "swept %u accepted %u", &swept, &accepted), 2);
  CHECK(swept > 6000);
  // Only reading a few bytes of its own memory is right: log, and an empty inbox.
  CHECK(accepted < 200);
  check_says(&t, "world", "hello world");
  close_all(&t);
}

static void test_transfers(void) {
  talk t;
  begin(&t, (dw_actor_desc){0});
  check_says(&t, "transfers", "transfers 16 accepted 0 right 1 reused 1");
  dw_actor_state state;
  dw_actor_state_get(t.actor, &state);
  CHECK_EQ(state.stats.upload_bytes, 4);
  CHECK_EQ(state.stats.download_bytes, 0);
  CHECK_EQ(state.stats.device_bytes, 0);
  close_all(&t);
}

static void test_shapes(void) {
  talk t;
  begin(&t, (dw_actor_desc){.max_memory_bytes = 64 << 20});
  check_says(&t, "shapes", "shapes 28 accepted 0");
  close_all(&t);
}

static void test_handles(void) {
  talk t;
  begin(&t, (dw_actor_desc){0});
  check_says(&t, "handles", "handles 16384 then -5");
  close_all(&t);
}

static void test_bad_indices(void) {
  talk t;
  begin(&t, (dw_actor_desc){0});
  check_says(&t, "bad indices", "indices 0");
  check_says(&t, "world", "hello world");
  close_all(&t);
}

static void test_submit(void) {
  talk t;
  begin(&t, (dw_actor_desc){0});
  check_says(&t, "submit twice", "submit 0 -4");
  check_says(&t, "submit then change", "changed 0 1 0 -3");
  check_says(&t, "submit and done", "done 0");
  dw_actor_state state;
  dw_actor_state_get(t.actor, &state);
  CHECK_EQ(state.stats.programs_submitted, 3);
  CHECK_EQ(state.stats.programs_compiled, 2); // the second was released, so the third is compiled anew
  close_all(&t);
}

// ---- Failing ------------------------------------------------------------------------

static void test_traps(void) {
  check_fails("past the end", (dw_actor_desc){0}, DW_TRAP, "memory access out of bounds");
  check_fails("recurse", (dw_actor_desc){0}, DW_TRAP, "");
  check_fails("unreachable", (dw_actor_desc){0}, DW_TRAP, "unreachable");
  check_fails("exit", (dw_actor_desc){0}, DW_GUEST, "exited with code 7");
  check_fails("garbage", (dw_actor_desc){0}, DW_GUEST, "42");
  check_fails("error", (dw_actor_desc){0}, DW_GUEST, "something went wrong");
}

static void test_loops(void) {
  check_fails("loop", (dw_actor_desc){.deadline_ns = 50000000}, DW_DEADLINE, "50 ms");
  check_fails("loop", (dw_actor_desc){.max_step_ns = 50000000}, DW_LIMIT, "50 ms");
  check_fails("sleep 1000000", (dw_actor_desc){.deadline_ns = 50000000}, DW_DEADLINE, "50 ms");
}

static void test_open_fails(void) {
  talk t;
  dw_error error = {0};
  open_engine(&t, 2, NULL);
  CHECK_STATUS(open_actor(&t, (dw_actor_desc){.arguments = "refuse"}, &error), DW_GUEST, &error);
  CHECK_STR(error.detail, "it refuses to open");
  CHECK_STATUS(open_actor(&t, (dw_actor_desc){.arguments = "loop", .deadline_ns = 30000000}, &error), DW_DEADLINE, &error);
  CHECK_STATUS(open_actor(&t, (dw_actor_desc){.max_memory_bytes = 65536}, &error), DW_TRAP, &error);
  CHECK(strstr(error.detail, "max_memory"));
  CHECK(t.actor == NULL);
  close_all(&t);
}

static void test_grow(void) {
  talk t;
  begin(&t, (dw_actor_desc){.max_memory_bytes = 4 << 20});
  dw_actor_memory before, after;
  dw_error error = {0};
  CHECK_OK(dw_actor_memory_get(t.actor, &before, &error), &error);
  CHECK(before.mapping == before.guest);
  CHECK_OK(tell(&t, "grow", &error), &error);
  CHECK_OK(dw_actor_memory_get(t.actor, &after, &error), &error);
  CHECK(after.mapping == before.mapping && after.guest == before.mapping);
  CHECK(after.size_bytes > before.size_bytes && after.size_bytes <= 4 << 20);
  CHECK_EQ(after.size_bytes, (4 << 20));
  close_all(&t);
}

// ---- Cancelling, closing, waiting -----------------------------------------------------

static void test_cancel(void) {
  talk t;
  begin(&t, (dw_actor_desc){0});
  dw_error error = {0};
  dw_actor_cancel(t.actor); // idle: nothing happens
  check_says(&t, "a", "hello a");
  CHECK_OK(dw_actor_send(t.actor, "sleep 1000000", 13, &error), &error);
  CHECK_OK(dw_actor_send(t.actor, "never", 5, &error), &error);
  CHECK_STATUS(dw_actor_wait(t.actor, 50000000, &error), DW_BUSY, &error);
  dw_actor_memory memory;
  CHECK_STATUS(dw_actor_memory_get(t.actor, &memory, &error), DW_BUSY, &error);
  dw_actor_cancel(t.actor);
  CHECK_OK(dw_actor_wait(t.actor, UINT64_C(60000000000), &error), &error);
  check_says(&t, "b", "hello b");
  close_all(&t);
}

static void test_close_running(void) {
  talk t;
  dw_error error = {0};
  begin(&t, (dw_actor_desc){0});
  CHECK_OK(dw_actor_send(t.actor, "loop", 4, &error), &error);
  CHECK_STATUS(dw_actor_wait(t.actor, 20000000, &error), DW_BUSY, &error);
  CHECK_STATUS(dw_engine_close(t.engine, &error), DW_BUSY, &error);
  close_all(&t); // interrupts the loop
}

static void test_descriptor(void) {
  talk t;
  dw_error error = {0};
  begin(&t, (dw_actor_desc){0});
  struct pollfd poller = {.fd = dw_actor_descriptor(t.actor), .events = POLLIN};
  CHECK_EQ(poll(&poller, 1, 0), 1);
  CHECK_OK(dw_actor_send(t.actor, "sleep 3", 7, &error), &error);
  CHECK_EQ(poll(&poller, 1, 0), 0);
  CHECK_EQ(poll(&poller, 1, 60000), 1);
  CHECK_OK(dw_actor_wait(t.actor, 0, &error), &error);
  close_all(&t);
}

static void test_mailbox(void) {
  talk t;
  dw_error error = {0};
  begin(&t, (dw_actor_desc){0});
  CHECK_OK(dw_actor_send(t.actor, "sleep 1000000", 13, &error), &error);
  dw_status status = DW_OK;
  int sent = 0;
  while ((status = dw_actor_send(t.actor, "x", 1, &error)) == DW_OK) sent++;
  CHECK_EQ(status, DW_LIMIT);
  CHECK(sent >= 1023 && sent <= 1025);
  dw_actor_cancel(t.actor);
  CHECK_OK(dw_actor_wait(t.actor, UINT64_C(60000000000), &error), &error);
  close_all(&t);
}

static void *sender(void *argument) {
  talk *t = argument;
  for (int i = 0; i < 200; i++) {
    dw_error error = {0};
    CHECK_OK(dw_actor_send(t->actor, "y", 1, &error), &error);
  }
  return NULL;
}

static void test_many_senders(void) {
  talk t;
  dw_error error = {0};
  begin(&t, (dw_actor_desc){0});
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, sender, &t) == 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  CHECK_OK(dw_actor_wait(t.actor, UINT64_MAX, &error), &error);
  CHECK_EQ(t.length, 800 * strlen("hello y"));
  close_all(&t);
}

// ---- Many actors ----------------------------------------------------------------------

static atomic_int answers;

static void count_answer(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  (void)user, (void)actor, (void)bytes, (void)size_bytes;
  atomic_fetch_add(&answers, 1);
}

static void test_thousand(void) {
#ifdef __SANITIZE_THREAD__ // has no address space for more reservations of 4 GiB
  enum { ACTORS = 100, LOOPING = 1 };
#else
  enum { ACTORS = 1000, LOOPING = 10 };
#endif
  talk t;
  dw_error error = {0};
  open_engine(&t, 2, NULL);
  dw_actor **actors = calloc(ACTORS, sizeof *actors);
  for (int i = 0; i < ACTORS; i++) {
    dw_actor_desc desc = {.guest = t.guest, .on_emit = count_answer, .max_step_ns = 200000000};
    CHECK_OK(dw_actor_open(t.engine, &desc, &actors[i], &error), &error);
  }
  for (int i = 0; i < LOOPING; i++) CHECK_OK(dw_actor_send(actors[i * 97], "loop", 4, &error), &error);
  for (int i = 0; i < ACTORS; i++) CHECK_OK(dw_actor_send(actors[i], "x", 1, &error), &error);
  int failed = 0;
  for (int i = 0; i < ACTORS; i++) {
    dw_status status = dw_actor_wait(actors[i], UINT64_MAX, &error);
    if (status == DW_LIMIT) failed++;
    else CHECK_OK(status, &error);
  }
  CHECK_EQ(failed, LOOPING);
  CHECK_EQ(atomic_load(&answers), ACTORS - LOOPING);
  for (int i = 0; i < ACTORS; i++) dw_actor_close(actors[i]);
  CHECK_EQ(dw_region_unmapped_count(), ACTORS);
  free(actors);
  close_all(&t);
}

// ---- The module cache -----------------------------------------------------------------

static bool load_cached(const char *directory) {
  talk t;
  open_engine(&t, 1, directory);
  bool cached = dw_guest_was_cached(t.guest);
  dw_error error = {0};
  CHECK_OK(open_actor(&t, (dw_actor_desc){0}, &error), &error);
  check_says(&t, "z", "hello z");
  close_all(&t);
  return cached;
}

static void first_file(const char *directory, char *path, size_t capacity) {
  char command[4200];
  snprintf(command, sizeof command, "ls -d %s/*.cwasm", directory);
  FILE *list = popen(command, "r");
  CHECK(list && fgets(path, (int)capacity, list));
  path[strcspn(path, "\n")] = 0;
  pclose(list);
}

static void test_module_cache(void) {
  char directory[] = "/tmp/dw-modules-XXXXXX", path[4200], command[4300];
  CHECK(mkdtemp(directory));
  CHECK(!load_cached(directory));
  CHECK(load_cached(directory));
  first_file(directory, path, sizeof path);

  CHECK(chmod(path, 0666) == 0); // others could have written it
  CHECK(!load_cached(directory));
  CHECK(load_cached(directory)); // it was written anew

  int fd = open(path, O_RDWR); // a byte of the code is changed
  char byte;
  CHECK(fd >= 0 && pread(fd, &byte, 1, 5000) == 1);
  byte ^= 1;
  CHECK(pwrite(fd, &byte, 1, 5000) == 1);
  close(fd);
  CHECK(!load_cached(directory));

  char other[4200]; // another guest's entry, whole and ours, under this one's name
  talk t;
  dw_error error = {0};
  dw_guest *courteous;
  CHECK(unlink(path) == 0);
  CHECK_OK(dw_engine_open(&(dw_engine_desc){.device = "cpu", .threads = 1, .cache_dir = directory}, &t.engine, &error),
           &error);
  CHECK_OK(dw_guest_load(t.engine, dw_test_guest("courteous"), &courteous, &error), &error);
  dw_guest_close(courteous);
  CHECK_OK(dw_engine_close(t.engine, &error), &error);
  first_file(directory, other, sizeof other);
  CHECK(rename(other, path) == 0);
  CHECK(!load_cached(directory));
  CHECK(load_cached(directory));

  CHECK(truncate(path, 1000) == 0);
  CHECK(!load_cached(directory));
  CHECK(truncate(path, 0) == 0);
  CHECK(!load_cached(directory));

  if (geteuid() == 0) { // somebody else's file, readable and not writable for others
    CHECK(chown(path, 12345, 12345) == 0);
    CHECK(!load_cached(directory));
  }
  snprintf(command, sizeof command, "rm -rf %s", directory);
  CHECK(system(command) == 0);
}

// ---- What is no guest -----------------------------------------------------------------

static void check_refused(talk *t, const char *bytes, size_t size_bytes, dw_status expected, const char *words) {
  dw_error error = {0};
  dw_guest *guest = NULL;
  CHECK_STATUS(dw_guest_load_bytes(t->engine, bytes, size_bytes, &guest, &error), expected, &error);
  if (!strstr(error.detail, words)) fprintf(stderr, "    the words are: %s\n", error.detail);
  CHECK(strstr(error.detail, words));
  CHECK(guest == NULL);
}

static void test_refused_modules(void) {
  static const char header[] = "\0asm\1\0\0";
  // (import "env" "evil" (func)): type section, import section
  static const char import[] = "\0asm\1\0\0\0\1\4\1\x60\0\0\2\x0c\1\3env\4evil\0\0";
  // (import "wasi_snapshot_preview1" "path_open" (func))
  static const char wasi[] = "\0asm\1\0\0\0\1\4\1\x60\0\0\2\x24\1\x16wasi_snapshot_preview1\x09path_open\0\0";
  // (import "driftwood" "memory" (memory 1))
  static const char memory[] = "\0asm\1\0\0\0\2\x15\1\x09" "driftwood\6memory\2\0\1";
  talk t;
  dw_error error = {0};
  open_engine(&t, 1, NULL);
  check_refused(&t, "", 0, DW_FORMAT, "not a module");
  check_refused(&t, "MZ garbage", 10, DW_FORMAT, "not a module");
  check_refused(&t, header, 8, DW_FORMAT, "driftwood_open");
  check_refused(&t, header, 6, DW_FORMAT, "not a module");
  check_refused(&t, import, sizeof import - 1, DW_UNSUPPORTED, "env.evil");
  check_refused(&t, wasi, sizeof wasi - 1, DW_UNSUPPORTED, "wasi_snapshot_preview1.path_open");
  check_refused(&t, memory, sizeof memory - 1, DW_UNSUPPORTED, "an object driftwood.memory");
  dw_guest *guest;
  CHECK_STATUS(dw_guest_load(t.engine, "/nonexistent.wasm", &guest, &error), DW_NOTFOUND, &error);
  close_all(&t);
}

static const dw_case cases[] = {
    {"hello", "a message is answered and counted", test_hello},
    {"sweep", "every host function with wrapping addresses and forged handles", test_sweep},
    {"transfers", "transfers stay inside their tensor, stale handles stay stale", test_transfers},
    {"shapes", "absurd shapes, names and caches are refused", test_shapes},
    {"handles", "the number of handles is limited", test_handles},
    {"bad_indices", "indices in tensor data are clamped", test_bad_indices},
    {"submit", "submitted twice, grown and released after submitting, submitted and done", test_submit},
    {"traps", "a trap, an exit and a bad answer fail the actor alone", test_traps},
    {"loops", "endless loops end by deadline and by step limit", test_loops},
    {"open_fails", "an actor that does not open leaves nothing behind", test_open_fails},
    {"grow", "memory grows in place up to max_memory", test_grow},
    {"cancel", "a cancel ends the message and empties the mailbox", test_cancel},
    {"close_running", "closing interrupts an endless loop", test_close_running},
    {"descriptor", "the descriptor is readable exactly while the actor rests", test_descriptor},
    {"mailbox", "the mailbox has a limit", test_mailbox},
    {"many_senders", "sending is thread-safe", test_many_senders},
    {"thousand", "1,000 actors on 2 threads, 10 of them looping: the others finish", test_thousand},
    {"module_cache", "a compiled guest is taken from the cache only if it is ours and whole", test_module_cache},
    {"refused_modules", "modules that are none are refused by name", test_refused_modules},
};
DW_TEST_MAIN(cases)
