// A guest that takes what it can get.  Each message names one way; what the host
// answered is emitted as text.  For tests/test_limits.c.
#include "driftwood_guest.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static char message[64];
static bool late, run;
static uint32_t growths;
static dw_handle program;
static float floats[1 << 20] __attribute__((aligned(256)));

static void say(const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  dw_emit(text, (uint32_t)length);
}

static dw_affine constant(int64_t value) { return (dw_affine){.constant = value}; }

static dw_op operation(uint32_t code, uint32_t x, uint32_t y) {
  dw_op op = {.op = code};
  for (uint32_t i = 0; i < DW_OP_INPUTS; i++) op.inputs[i] = DW_NO_TENSOR;
  for (uint32_t i = 0; i < DW_OP_OUTPUTS; i++) op.outputs[i] = DW_NO_TENSOR;
  op.inputs[0] = x;
  op.outputs[0] = y;
  return op;
}

static int32_t make_program(const dw_program_tensor *tensors, uint32_t count, const dw_op *op) {
  dw_program_desc desc = {.abi_version = DW_ABI_VERSION, .tensor_count = count, .op_count = 1,
                          .tensors = (dw_ptr)(uintptr_t)tensors, .ops = (dw_ptr)(uintptr_t)op};
  return dw_program_new(&desc);
}

static dw_handle view_of(const void *bytes, uint64_t count) {
  dw_tensor_desc desc = {.dtype = DW_F32, .rank = 1, .dims = {count}, .address = (dw_ptr)(uintptr_t)bytes};
  return (dw_handle)dw_tensor_view(&desc, "v", 1);
}

// ---- Memory of the host ---------------------------------------------------------------

// Tensors of a byte each: the host needs far more for one.
static void tiny_tensors(void) {
  dw_tensor_desc desc = {.dtype = DW_U8, .rank = 1, .dims = {1}};
  uint32_t made = 0;
  int32_t result;
  while ((result = dw_tensor_new(&desc, "t", 1)) > 0) made++;
  say("made %u then %d", made, result);
}

static void empty_tensors(void) {
  dw_tensor_desc desc = {.dtype = DW_U8, .rank = 1};
  uint32_t made = 0;
  int32_t result;
  while ((result = dw_tensor_new(&desc, "t", 1)) > 0) made++;
  say("made %u then %d", made, result);
}

// Views that are released as soon as a program holds them, so that no limit of
// handles applies.
static void pinned_views(void) {
  enum { COUNT = 4096 };
  static dw_program_tensor tensors[COUNT];
  uint32_t made = 0;
  int32_t result = 1;
  while (result > 0) {
    for (uint32_t i = 0; i < COUNT && result > 0; i++) {
      result = (int32_t)view_of(floats, 64);
      tensors[i] = (dw_program_tensor){.source = DW_SOURCE_HANDLE, .base = (dw_handle)result, .dtype = DW_F32,
                                       .rank = 1, .dims = {constant(64)}};
    }
    dw_op op = operation(DW_OP_Axpby, 0, 0);
    if (result > 0) result = make_program(tensors, COUNT, &op);
    if (result > 0) made += COUNT;
    for (uint32_t i = 0; i < COUNT; i++) dw_release(tensors[i].base);
  }
  say("made %u then %d", made, result);
}

// Caches that hold no block, but whose tables are as large as tables get.
static void empty_caches(void) {
  dw_cache_desc desc = {.dtype = DW_F32, .layers = 32, .kv_heads = 8, .head_dim = 128, .max_rows = 1 << 20};
  uint32_t made = 0;
  int32_t result;
  while ((result = dw_cache_new(&desc, "c", 1)) > 0) made++;
  say("made %u then %d", made, result);
}

// A temp of 1 GiB out of 64 KiB.
static void large_scratch(void) {
  enum { SIDE = 1 << 14 };
  dw_program_tensor tensors[] = {
      {.source = DW_SOURCE_HANDLE, .base = view_of(floats, SIDE), .dtype = DW_F32, .rank = 2,
       .dims = {constant(SIDE), constant(SIDE)}, .strides = {0, 1}},
      {.source = DW_SOURCE_TEMP, .dtype = DW_F32, .rank = 2, .dims = {constant(SIDE), constant(SIDE)}}};
  dw_op op = operation(DW_OP_Axpby, 0, 1);
  say("scratch %d", make_program(tensors, 2, &op));
}

// So many heads to one key that a kernel's tile would take a gigabyte.
static void many_heads(void) {
  enum { HEADS = 1 << 18 };
  dw_cache_desc desc = {.dtype = DW_F32, .layers = 1, .kv_heads = 1, .head_dim = 1, .max_rows = 16};
  dw_program_tensor tensors[] = {
      {.source = DW_SOURCE_HANDLE, .base = view_of(floats, HEADS), .dtype = DW_F32, .rank = 2,
       .dims = {constant(1), constant(HEADS)}},
      {.source = DW_SOURCE_HANDLE, .base = view_of(floats, 1), .dtype = DW_F32, .rank = 2,
       .dims = {constant(1), constant(1)}},
      {.source = DW_SOURCE_HANDLE, .base = (dw_handle)dw_cache_new(&desc, "c", 1)},
      {.source = DW_SOURCE_HANDLE, .base = view_of(floats + HEADS, HEADS), .dtype = DW_F32, .rank = 2,
       .dims = {constant(1), constant(HEADS)}}};
  dw_op op = operation(DW_OP_Attention, 0, 3);
  op.inputs[1] = op.inputs[2] = 1;
  op.inputs[4] = 2;
  op.i[0] = HEADS;
  op.i[1] = op.i[2] = 1;
  say("heads %d", make_program(tensors, 4, &op));
}

// ---- Time and growth ------------------------------------------------------------------

static int32_t submit_over(const float *at) {
  dw_program_tensor tensor = {.source = DW_SOURCE_HANDLE, .base = view_of(at, 64), .dtype = DW_F32, .rank = 1,
                              .dims = {constant(64)}};
  dw_op op = operation(DW_OP_Axpby, 0, 0);
  if (program) dw_release(program);
  program = (dw_handle)make_program(&tensor, 1, &op);
  dw_release(tensor.base);
  return dw_program_submit(program, NULL, 0);
}

static bool is(const char *name) { return strcmp(message, name) == 0; }

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) {
  (void)length;
  return DW_OK;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  memset(message, 0, sizeof message);
  dw_inbox(message, length < sizeof message ? length : sizeof message - 1);
  late = run = false;
  if (is("tiny tensors")) tiny_tensors();
  else if (is("empty tensors")) empty_tensors();
  else if (is("pinned views")) pinned_views();
  else if (is("empty caches")) empty_caches();
  else if (is("large scratch")) large_scratch();
  else if (is("many heads")) many_heads();
  else if (is("late")) late = true;
  else if (is("run")) run = true;
  else if (is("growths")) growths = 200;
  return DW_OK;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) {
  if (late) {
    dw_emit("late", 4); // the embedder takes its time; nothing here looks at a clock afterwards
    return DW_STEP_DONE;
  }
  if (run) {
    run = false;
    say("run %d", submit_over(floats));
    return DW_STEP_MORE;
  }
  if (growths) { // a program over each page of memory by itself
    growths--;
    uint32_t page = (uint32_t)__builtin_wasm_memory_grow(0, 1);
    return submit_over((const float *)(uintptr_t)(page * 65536u)) == DW_OK ? DW_STEP_MORE : DW_STEP_ERROR;
  }
  return DW_STEP_DONE;
}
