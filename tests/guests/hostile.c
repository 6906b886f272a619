// A guest that does what it should not.  Each message names one misdeed; what the
// host answered is emitted as text, so that the test can say what it expects.
#include "driftwood_guest.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char message[256];
static dw_handle slow_program;   // a program that takes a while
static uint32_t repeats;         // steps left of `sleep`
static bool submit_and_done, garbage_step, error_step, loop_in_step;

static void say(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  dw_emit(text, (uint32_t)length);
}

// ---- Calls with addresses and lengths from hell -------------------------------------

static uint32_t swept, accepted;

static void count(int64_t result) {
  swept++;
  if (result >= 0) accepted++;
}

#define VALUES 9
static uint32_t nasty(uint32_t i) {
  uint32_t size = (uint32_t)__builtin_wasm_memory_size(0) * 65536u;
  const uint32_t values[VALUES] = {8, size - 4, size - 1, size, size + 1, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
  return values[i];
}

// What the guest gives the host to write to lies here, so that an accepted call
// does not write over the guest itself: only the lengths are nasty then.
static char target[64] __attribute__((aligned(256)));

static void sweep_pair(uint32_t address, uint32_t length) {
  char *p = (char *)(uintptr_t)address;
  dw_handle forged[] = {0, 1, 0x4000, 0x7fffffff, 0x80000000, 0xffffffff};
  count(dw_log(1, p, length));
  count(dw_log(length, p, 1));
  if (address >= nasty(1)) { // beyond the end, or nearly
    count(dw_last_error(p, length));
    count(dw_inbox(p, length));
    count(dw_device_info_get((dw_device_info *)p));
  }
  count(dw_model_open(p, length));
  count(dw_kernel_new(p, length));
  count(dw_program_new((const dw_program_desc *)p));
  count(dw_tensor_view((const dw_tensor_desc *)p, target, 1));
  count(dw_tensor_view((const dw_tensor_desc *)target, p, length));
  count(dw_tensor_new((const dw_tensor_desc *)p, p, length));
  count(dw_cache_new((const dw_cache_desc *)p, p, length));
  for (uint32_t i = 0; i < sizeof forged / sizeof *forged; i++) {
    count(dw_model_meta(forged[i], p, length, target, sizeof target));
    count(dw_model_meta(forged[i], target, 4, p, length));
    count(dw_model_read(forged[i], p, length, UINT64_MAX, p, length));
    count(dw_model_size(forged[i], p, length));
    count(dw_model_tensor(forged[i], p, length));
    count(dw_tensor_info_get(forged[i], (dw_tensor_info *)p));
    count(dw_tensor_read(forged[i], UINT64_MAX - length, p, length));
    count(dw_tensor_write(forged[i], length, p, length));
    count(dw_tensor_send(p, length, forged[i], p, length));
    count(dw_cache_truncate(forged[i], length));
    count(dw_program_submit(forged[i], (const uint32_t *)p, length));
    count(dw_release(forged[i]));
  }
}

static void sweep(void) {
  swept = accepted = 0;
  for (uint32_t i = 0; i < VALUES; i++)
    for (uint32_t j = 0; j < VALUES; j++) sweep_pair(nasty(i), nasty(j));
  for (uint32_t i = 1; i < VALUES; i++) count(dw_emit((const void *)(uintptr_t)nasty(i), nasty(8)));
  say("swept %u accepted %u", swept, accepted);
}

// A live tensor and a live cache, read and written where they are not.
static void transfers(void) {
  dw_tensor_desc desc = {.dtype = DW_F32, .rank = 1, .dims = {16}};
  dw_handle tensor = (dw_handle)dw_tensor_new(&desc, "t", 1);
  dw_cache_desc cache_desc = {.dtype = DW_F16, .layers = 1, .kv_heads = 1, .head_dim = 8, .max_rows = 64};
  dw_handle cache = (dw_handle)dw_cache_new(&cache_desc, "c", 1);
  swept = accepted = 0;
  count(dw_tensor_write(tensor, 64, target, 1));
  count(dw_tensor_write(tensor, 61, target, 4));
  count(dw_tensor_write(tensor, UINT64_MAX, target, 4));
  count(dw_tensor_write(tensor, UINT64_MAX - 3, target, 4));
  count(dw_tensor_read(tensor, 0, target, 65));
  count(dw_tensor_read(tensor, 0, (void *)(uintptr_t)nasty(2), 4));
  count(dw_tensor_read(tensor, 0, (void *)(uintptr_t)nasty(8), 4));
  count(dw_tensor_read(cache, 0, target, 4));
  count(dw_cache_truncate(cache, 1));
  count(dw_cache_truncate(cache, UINT64_MAX));
  count(dw_cache_truncate(tensor, 0));
  count(dw_program_submit(tensor, NULL, 0));
  uint32_t first = accepted;
  count(dw_tensor_write(tensor, 60, target, 4)); // this one is right
  dw_release(tensor);
  count(dw_tensor_read(tensor, 0, target, 4)); // stale
  count(dw_release(tensor));
  dw_handle again = (dw_handle)dw_tensor_new(&desc, "t", 1); // the slot is used again
  count(dw_tensor_read(tensor, 0, target, 4));
  say("transfers %u accepted %u right %u reused %d", swept, first, accepted - first, again != tensor);
  dw_release(again);
  dw_release(cache);
}

static void shapes(void) {
  const dw_tensor_desc bad[] = {
      {.dtype = DW_F32, .rank = 0},
      {.dtype = DW_F32, .rank = 5, .dims = {1}},
      {.dtype = 0, .rank = 1, .dims = {1}},
      {.dtype = 99, .rank = 1, .dims = {1}},
      {.dtype = DW_F32, .rank = 1, .dims = {UINT64_MAX}},
      {.dtype = DW_F32, .rank = 2, .dims = {UINT64_C(1) << 32, UINT64_C(1) << 32}},
      {.dtype = DW_F32, .rank = 4, .dims = {65536, 65536, 65536, 65536}},
      {.dtype = DW_F32, .rank = 1, .dims = {1, 7}},
      {.dtype = DW_F32, .rank = 1, .dims = {1}, .reserved = 1},
      {.dtype = DW_F32, .rank = 1, .dims = {UINT64_C(1) << 39}}, // more than max_memory
  };
  swept = accepted = 0;
  for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    count(dw_tensor_new(&bad[i], "t", 1));
    count(dw_tensor_view(&bad[i], "t", 1));
  }
  dw_tensor_desc view = {.dtype = DW_F32, .rank = 1, .dims = {4}, .address = 260}; // not aligned
  count(dw_tensor_view(&view, "t", 1));
  view.address = nasty(3) - 256;
  view.dims[0] = 65;
  count(dw_tensor_view(&view, "t", 1));
  const dw_cache_desc caches[] = {
      {.dtype = DW_F16},
      {.dtype = DW_I64, .layers = 1, .kv_heads = 1, .head_dim = 8, .max_rows = 8},
      {.dtype = DW_F16, .layers = UINT32_MAX, .kv_heads = UINT32_MAX, .head_dim = UINT32_MAX, .max_rows = UINT64_MAX},
      {.dtype = DW_F16, .layers = 1, .kv_heads = 65536, .head_dim = 65536, .max_rows = UINT64_C(1) << 40},
  };
  for (uint32_t i = 0; i < sizeof caches / sizeof *caches; i++) count(dw_cache_new(&caches[i], "c", 1));
  char name[200];
  memset(name, 'n', sizeof name);
  view = (dw_tensor_desc){.dtype = DW_F32, .rank = 1, .dims = {1}};
  count(dw_tensor_new(&view, name, sizeof name));
  count(dw_tensor_new(&view, "a\nb", 3));
  say("shapes %u accepted %u", swept, accepted);
}

static void handles(void) { // more than there may be
  dw_tensor_desc desc = {.dtype = DW_U8, .rank = 1, .dims = {1}};
  uint32_t made = 0;
  int32_t result;
  while ((result = dw_tensor_view(&desc, "t", 1)) > 0) made++;
  say("handles %u then %d", made, result);
}

// ---- Programs ------------------------------------------------------------------------

static dw_affine constant(int64_t value) { return (dw_affine){.constant = value}; }

static dw_program_tensor by_handle(dw_handle handle, uint32_t dtype, uint32_t rows, uint32_t columns) {
  return (dw_program_tensor){.source = DW_SOURCE_HANDLE, .base = handle, .dtype = dtype, .rank = 2,
                             .dims = {constant(rows), constant(columns)}};
}

static int32_t make_program(const dw_program_tensor *tensors, uint32_t tensor_count, const dw_op *ops, uint32_t op_count) {
  dw_program_desc desc = {.abi_version = DW_ABI_VERSION, .tensor_count = tensor_count, .op_count = op_count,
                          .tensors = (dw_ptr)(uintptr_t)tensors, .ops = (dw_ptr)(uintptr_t)ops};
  return dw_program_new(&desc);
}

static dw_op operation(uint32_t code, uint32_t a, uint32_t b, uint32_t y) {
  dw_op op = {.op = code};
  for (uint32_t i = 0; i < DW_OP_INPUTS; i++) op.inputs[i] = DW_NO_TENSOR;
  for (uint32_t i = 0; i < DW_OP_OUTPUTS; i++) op.outputs[i] = DW_NO_TENSOR;
  op.inputs[0] = a;
  op.inputs[1] = b;
  op.outputs[0] = y;
  return op;
}

static dw_handle view_of(void *bytes, uint32_t dtype, uint32_t rows, uint32_t columns) {
  dw_tensor_desc desc = {.dtype = dtype, .rank = 2, .dims = {rows, columns}, .address = (dw_ptr)(uintptr_t)bytes};
  return (dw_handle)dw_tensor_view(&desc, "v", 1);
}

enum { SIDE = 512 };
static float *square;

// Multiplies a 512x512 matrix by itself, 16 times: some milliseconds.
static void make_slow_program(void) {
  if (slow_program) return;
  square = aligned_alloc(256, 2 * SIDE * SIDE * sizeof *square);
  memset(square, 0, 2 * SIDE * SIDE * sizeof *square);
  dw_program_tensor tensors[] = {by_handle(view_of(square, DW_F32, SIDE, SIDE), DW_F32, SIDE, SIDE),
                                 by_handle(view_of(square + SIDE * SIDE, DW_F32, SIDE, SIDE), DW_F32, SIDE, SIDE)};
  dw_op ops[16];
  for (uint32_t i = 0; i < 16; i++) ops[i] = operation(DW_OP_MatMul, 0, 0, 1);
  slow_program = (dw_handle)make_program(tensors, 2, ops, 16);
}

static void submit_twice(void) {
  make_slow_program();
  int32_t first = dw_program_submit(slow_program, NULL, 0), second = dw_program_submit(slow_program, NULL, 0);
  say("submit %d %d", first, second);
}

// Submits, then grows memory and lets go of all that the program uses, in one step.
static void submit_then_change(void) {
  make_slow_program();
  int32_t first = dw_program_submit(slow_program, NULL, 0);
  int grown = (int)__builtin_wasm_memory_grow(0, 16);
  int32_t released = dw_release(slow_program), again = dw_program_submit(slow_program, NULL, 0);
  slow_program = 0;
  say("changed %d %d %d %d", first, grown > 0, released, again);
}

// Token ids and positions far outside of what they index.
static void bad_indices(void) {
  static float table[8 * 4] __attribute__((aligned(256))), out[4 * 4] __attribute__((aligned(256)));
  static int32_t ids[4] __attribute__((aligned(256))) = {0, INT32_MAX, INT32_MIN, 99};
  for (int i = 0; i < 32; i++) table[i] = (float)i;
  dw_program_tensor tensors[] = {by_handle(view_of(table, DW_F32, 8, 4), DW_F32, 8, 4),
                                 by_handle(view_of(ids, DW_I32, 1, 4), DW_I32, 1, 4),
                                 by_handle(view_of(out, DW_F32, 4, 4), DW_F32, 4, 4)};
  tensors[1].rank = 1;
  tensors[1].dims[0] = constant(4);
  tensors[1].dims[1] = constant(0);
  dw_op op = operation(DW_OP_Gather, 0, 1, 2);
  int32_t program = make_program(tensors, 3, &op, 1);
  int32_t result = program > 0 ? dw_program_submit((dw_handle)program, NULL, 0) : program;
  say("indices %d", result);
}

// ---- The rest ------------------------------------------------------------------------

static volatile uint32_t sink;

static int recurse(int depth) {
  volatile char frame[4096];
  frame[depth % 4096] = (char)depth;
  return depth < 0 ? frame[0] : recurse(depth + 1) + frame[depth % 4096];
}

static bool is(const char *name) { return strcmp(message, name) == 0; }

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) {
  char arguments[64] = {0};
  dw_inbox(arguments, length < sizeof arguments ? length : sizeof arguments - 1);
  if (strcmp(arguments, "refuse") == 0) {
    dw_log(0, "it refuses to open", 18);
    return DW_GUEST;
  }
  while (strcmp(arguments, "loop") == 0) sink++;
  return DW_OK;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  memset(message, 0, sizeof message);
  dw_inbox(message, length < sizeof message ? length : sizeof message - 1);
  submit_and_done = garbage_step = error_step = loop_in_step = false;
  repeats = 0;
  if (is("sweep")) sweep();
  else if (is("transfers")) transfers();
  else if (is("shapes")) shapes();
  else if (is("handles")) handles();
  else if (is("submit twice")) submit_twice();
  else if (is("submit then change")) submit_then_change();
  else if (is("bad indices")) bad_indices();
  else if (is("submit and done")) make_slow_program(), submit_and_done = true;
  else if (is("garbage")) garbage_step = true;
  else if (is("error")) error_step = true;
  else if (is("loop")) loop_in_step = true;
  else if (is("past the end")) sink = *(volatile uint32_t *)(uintptr_t)(nasty(3) + 4096);
  else if (is("recurse")) sink = (uint32_t)recurse(0);
  else if (is("unreachable")) __builtin_trap();
  else if (is("exit")) exit(7);
  else if (is("grow")) { // until the limit
    uint32_t pages = 0;
    while (__builtin_wasm_memory_grow(0, 1) != (size_t)-1) pages++;
    say("grew %u pages", pages);
  } else if (strncmp(message, "sleep ", 6) == 0) {
    make_slow_program();
    repeats = (uint32_t)atoi(message + 6);
  } else say("hello %s", message);
  return DW_OK;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) {
  while (loop_in_step) sink++;
  if (garbage_step) return 42;
  if (error_step) {
    dw_log(0, "something went wrong", 20);
    return DW_STEP_ERROR;
  }
  if (submit_and_done) {
    submit_and_done = false;
    say("done %d", dw_program_submit(slow_program, NULL, 0));
    return DW_STEP_DONE;
  }
  if (repeats) {
    repeats--;
    dw_program_submit(slow_program, NULL, 0);
    return DW_STEP_WAIT;
  }
  return DW_STEP_DONE;
}
