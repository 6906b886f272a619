// The few functions of wasi_snapshot_preview1 that a C library needs, over the
// actor's own state: a virtual clock, a seeded random source, no files.
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

// Error numbers of WASI preview 1.
enum { WASI_SUCCESS = 0, WASI_BADF = 8, WASI_FAULT = 21, WASI_INVAL = 28 };

#define MAX_TRANSFER (1u << 20) // bytes of one call

#define ARGUMENT(i) ((uint32_t)arguments[i].i32)
#define WASI(name) static int64_t name(dw_actor *actor, const wasmtime_val_raw_t *arguments, wasm_trap_t **trap)

// Every clock is the virtual one: the arrival of the message in hand and a fixed
// tick for each reading, so that a replay reads the same times.
WASI(clock_time_get) {
  (void)trap;
  void *to = dw_actor_at(actor, ARGUMENT(2), 8, 1, "clock_time_get");
  if (!to) return WASI_FAULT;
  actor->clock_ns += DW_CLOCK_TICK_NS;
  memcpy(to, &actor->clock_ns, 8);
  return WASI_SUCCESS;
}

// SplitMix64 (Steele, Lea, Flood 2014): one 64-bit state, seeded at open.
static uint64_t next_random(dw_actor *actor) {
  uint64_t z = (actor->random_state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

WASI(random_get) {
  (void)trap;
  uint32_t length = ARGUMENT(1);
  if (length > MAX_TRANSFER) return WASI_INVAL;
  unsigned char *to = dw_actor_at(actor, ARGUMENT(0), length, 1, "random_get");
  if (!to) return WASI_FAULT;
  for (uint32_t i = 0; i < length; i += 8) {
    uint64_t word = next_random(actor);
    memcpy(to + i, &word, length - i < 8 ? length - i : 8);
  }
  return WASI_SUCCESS;
}

// Adds a guest's bytes to a line of the log, which goes out when it ends or is full.
typedef struct line_buffer {
  dw_actor *actor;
  dw_log_level level;
  size_t length;
  char text[1025];
} line_buffer;

static void flush_line(line_buffer *line) {
  line->text[line->length] = 0;
  if (line->length) dw_engine_log_guest(line->actor, line->level, line->text);
  line->length = 0;
}

static void add_to_line(line_buffer *line, const char *bytes, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    char c = bytes[i];
    if (c != '\n') line->text[line->length++] = c ? c : ' ';
    if (c == '\n' || line->length == sizeof line->text - 1) flush_line(line);
  }
}

// Standard output and error go to the log.  A long write is cut short, as WASI
// allows, so that one call cannot keep its thread.
WASI(fd_write) {
  (void)trap;
  uint32_t fd = ARGUMENT(0), count = ARGUMENT(2), written = 0;
  if (fd != 1 && fd != 2) return WASI_BADF;
  if (count > 1024) return WASI_INVAL;
  const unsigned char *vectors = dw_actor_at(actor, ARGUMENT(1), (uint64_t)count * 8, 1, "fd_write");
  void *answer = dw_actor_at(actor, ARGUMENT(3), 4, 1, "fd_write");
  if (!vectors || !answer) return WASI_FAULT;
  line_buffer line = {.actor = actor, .level = fd == 2 ? DW_LOG_WARNING : DW_LOG_INFO};
  for (uint32_t i = 0; i < count && written < MAX_TRANSFER; i++) {
    uint32_t pair[2];
    memcpy(pair, vectors + 8 * (size_t)i, sizeof pair);
    uint32_t length = pair[1] < MAX_TRANSFER - written ? pair[1] : MAX_TRANSFER - written;
    const char *bytes = dw_actor_at(actor, pair[0], length, 1, "fd_write");
    if (!bytes) return WASI_FAULT;
    add_to_line(&line, bytes, length);
    written += length;
  }
  flush_line(&line);
  memcpy(answer, &written, 4);
  return WASI_SUCCESS;
}

// No arguments and no environment: two zeros.
WASI(empty_sizes) {
  (void)trap;
  void *count = dw_actor_at(actor, ARGUMENT(0), 4, 1, "sizes_get");
  void *size = count ? dw_actor_at(actor, ARGUMENT(1), 4, 1, "sizes_get") : NULL;
  if (!size) return WASI_FAULT;
  memset(count, 0, 4);
  memset(size, 0, 4);
  return WASI_SUCCESS;
}

WASI(empty_get) {
  (void)actor, (void)arguments, (void)trap;
  return WASI_SUCCESS;
}

WASI(proc_exit) {
  dw_fail(&actor->error, DW_GUEST, "the guest exited with code %u", ARGUMENT(0));
  actor->stopped = DW_GUEST;
  static const char words[] = "proc_exit";
  *trap = wasmtime_trap_new(words, sizeof words - 1);
  return 0;
}

const dw_host_function dw_wasi_functions[] = {
    {"clock_time_get", "iIi", 'i', clock_time_get}, {"random_get", "ii", 'i', random_get},
    {"fd_write", "iiii", 'i', fd_write},            {"args_sizes_get", "ii", 'i', empty_sizes},
    {"args_get", "ii", 'i', empty_get},             {"environ_sizes_get", "ii", 'i', empty_sizes},
    {"environ_get", "ii", 'i', empty_get},          {"proc_exit", "i", 0, proc_exit},
};
const size_t dw_wasi_function_count = sizeof dw_wasi_functions / sizeof *dw_wasi_functions;
