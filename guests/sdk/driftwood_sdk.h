// driftwood_sdk.h: what makes a guest in C short.
//
// Three parts, all of them thin layers over driftwood_guest.h:
//
//   flow       a step function that reads from top to bottom
//   builder    programs out of helper calls instead of hand-filled records
//   text       log lines, the words of errors, `key=value` arguments
//
// Header only: include it in as many files of a guest as you like.
#ifndef DRIFTWOOD_SDK_H
#define DRIFTWOOD_SDK_H

#include "driftwood_guest.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Flow ------------------------------------------------------------------------
// driftwood_step() returns between any two pieces of work and is called again.  A
// flow remembers where it was, so that the function reads as if it waited:
//
//   int32_t driftwood_step(void) {
//     DW_FLOW_BEGIN(&flow);
//     for (i = 0; i < 3; i++) {            // i is static: locals do not survive a wait
//       DW_FLOW_RUN(&flow, program, NULL, 0);
//       ... the program's results are there ...
//     }
//     DW_FLOW_END(&flow);
//   }
//
// It is a switch over line numbers: no `switch` of your own around a wait, one
// wait a line.  Setting flow.line to 0 starts over.
typedef struct dw_flow {
  uint32_t line;
} dw_flow;

#define DW_FLOW_BEGIN(flow) switch ((flow)->line) { case 0:

// Returns `result` (a dw_step) and goes on behind this line at the next step.
#define DW_FLOW_YIELD(flow, result)                                                       \
  do {                                                                                    \
    (flow)->line = __LINE__;                                                              \
    return (result);                                                                      \
  case __LINE__:;                                                                         \
  } while (0)

// Submits a program and goes on when it ended.
#define DW_FLOW_RUN(flow, program, params, count)                                         \
  do {                                                                                    \
    if (dw_program_submit(program, params, count) < 0) {                                  \
      (flow)->line = 0;                                                                   \
      return dw_step_failed("program_submit");                                            \
    }                                                                                     \
    (flow)->line = __LINE__;                                                              \
    return DW_STEP_MORE;                                                                  \
  case __LINE__:;                                                                         \
  } while (0)

// Calls a function that returns a dw_step until it says DONE.
#define DW_FLOW_CALL(flow, call)                                                          \
  do {                                                                                    \
    (flow)->line = __LINE__;                                                              \
    __attribute__((fallthrough));                                                         \
  case __LINE__:;                                                                         \
    int32_t dw_flow_result = (call);                                                      \
    if (dw_flow_result != DW_STEP_DONE) return dw_flow_result;                            \
  } while (0)

#define DW_FLOW_END(flow)                                                                 \
  }                                                                                       \
  (flow)->line = 0;                                                                       \
  return DW_STEP_DONE

// ---- Text ------------------------------------------------------------------------
enum { DW_SDK_ERROR = 0, DW_SDK_WARNING = 1, DW_SDK_INFO = 2, DW_SDK_DEBUG = 3 }; // levels of dw_log

__attribute__((format(printf, 2, 3))) static inline void dw_say(uint32_t level, const char *format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  dw_log(level, line, (uint32_t)length < sizeof line ? (uint32_t)length : (uint32_t)sizeof line - 1);
}

// Logs what failed with the host's words for it; returns DW_GUEST, which
// driftwood_open and driftwood_message may return in turn.
static inline int32_t dw_failed(const char *what) {
  char words[512];
  int32_t length = dw_last_error(words, sizeof words);
  if (length < 0) length = 0;
  dw_say(DW_SDK_ERROR, "%s: %.*s", what, length < (int32_t)sizeof words ? length : (int32_t)sizeof words, words);
  return DW_GUEST;
}

// The same for a step.
static inline int32_t dw_step_failed(const char *what) {
  dw_failed(what);
  return DW_STEP_ERROR;
}

__attribute__((format(printf, 1, 2))) static inline void dw_emit_text(const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length > 0) dw_emit(text, (uint32_t)length < sizeof text ? (uint32_t)length : (uint32_t)sizeof text - 1);
}

// The current message (in driftwood_open: the arguments), terminated; to be freed.
// NULL: no memory.
static inline char *dw_inbox_text(uint32_t length) {
  char *text = malloc((size_t)length + 1);
  if (!text) return NULL;
  if (length && dw_inbox(text, length) < 0) text[0] = 0;
  text[length] = 0;
  return text;
}

// Reads `key=value` pairs that `separator` ('\n' or ' ') divides.  Copies the value
// of the `nth` (from 0) pair with this key into `value`, terminated and with \n, \t
// and \\ resolved.  False: there is none, or it does not fit.
static inline bool dw_argument_nth(const char *text, char separator, const char *key, uint32_t nth, char *value,
                                   size_t capacity) {
  size_t key_length = strlen(key);
  while (*text) {
    const char *end = strchr(text, separator);
    if (!end) end = text + strlen(text);
    if (strncmp(text, key, key_length) == 0 && text[key_length] == '=' && nth-- == 0) {
      size_t count = 0;
      for (const char *at = text + key_length + 1; at < end; at++) {
        char c = *at;
        if (c == '\\' && at + 1 < end && strchr("nt\\", at[1])) c = *++at == 'n' ? '\n' : *at == 't' ? '\t' : '\\';
        if (count + 1 >= capacity) return false;
        value[count++] = c;
      }
      value[count] = 0;
      return true;
    }
    text = *end ? end + 1 : end;
  }
  return false;
}

static inline bool dw_argument(const char *text, char separator, const char *key, char *value, size_t capacity) {
  return dw_argument_nth(text, separator, key, 0, value, capacity);
}

// A number, or `fallback` if the key is not there.  False: it is no number from
// `min` to `max`.
static inline bool dw_argument_number(const char *text, char separator, const char *key, double fallback, double min,
                                      double max, double *number) {
  char value[64], *end = value;
  *number = fallback;
  if (!dw_argument(text, separator, key, value, sizeof value)) return true;
  *number = strtod(value, &end);
  return end != value && *end == 0 && *number >= min && *number <= max;
}

// ---- Memory ------------------------------------------------------------------------
// Memory that can be viewed as a tensor: aligned and padded to DW_VIEW_ALIGNMENT,
// zeroed.  Lives as long as the actor, or until free().
static inline void *dw_tensor_memory(size_t size_bytes) {
  if (size_bytes > SIZE_MAX - DW_VIEW_ALIGNMENT) return NULL;
  size_t padded = (size_bytes + DW_VIEW_ALIGNMENT - 1) / DW_VIEW_ALIGNMENT * DW_VIEW_ALIGNMENT;
  void *memory = aligned_alloc(DW_VIEW_ALIGNMENT, padded ? padded : DW_VIEW_ALIGNMENT);
  if (memory) memset(memory, 0, padded);
  return memory;
}

// A view of rows x columns elements at `memory`; columns 0: a vector of `rows`.
// A handle, or a negative status.
static inline int32_t dw_matrix_view(const char *name, uint32_t dtype, const void *memory, uint64_t rows,
                                     uint64_t columns) {
  dw_tensor_desc desc = {.dtype = dtype,
                         .rank = columns ? 2 : 1,
                         .dims = {rows, columns},
                         .address = (dw_ptr)(uintptr_t)memory};
  return dw_tensor_view(&desc, name, (uint32_t)strlen(name));
}

// ---- Builder -----------------------------------------------------------------------
// Collects a program.  Every function may be called after a failure: the first one
// is kept, logged once by dw_build_end, and nothing is submitted to the host.
//
//   dw_builder b = {0};
//   uint32_t x = dw_build_handle(&b, x_handle), y = dw_build_handle(&b, y_handle);
//   dw_build_op(&b, DW_OP_MatMul, y, 2, x, dw_build_transposed(&b, dw_build_handle(&b, w_handle)));
//   int32_t program = dw_build_end(&b);
typedef struct dw_builder {
  dw_program_tensor *tensors;
  dw_op *ops;
  dw_param params[DW_MAX_PROGRAM_PARAMS];
  uint32_t tensor_count, tensor_capacity, op_count, op_capacity, param_count;
  bool failed;
  char words[160];
} dw_builder;

static inline dw_affine dw_fixed(uint64_t value) { return (dw_affine){.constant = (int64_t)value}; }
// constant + scale * parameter
static inline dw_affine dw_per(uint32_t param, int32_t scale, int64_t constant) {
  return (dw_affine){.constant = constant, .scale = scale, .param = param};
}

static inline void dw_build_fail(dw_builder *b, const char *what, bool ask_host) {
  if (b->failed) return;
  b->failed = true;
  int used = snprintf(b->words, sizeof b->words, "%s", what);
  if (!ask_host || used < 0 || (size_t)used + 3 >= sizeof b->words) return;
  memcpy(b->words + used, ": ", 3);
  uint32_t room = (uint32_t)(sizeof b->words - (size_t)used - 3);
  int32_t length = dw_last_error(b->words + used + 2, room);
  if (length < 0) length = 0;
  b->words[(uint32_t)used + 2 + ((uint32_t)length < room ? (uint32_t)length : room)] = 0;
}

// Room for one more record; false: no memory.
static inline bool dw_build_room(dw_builder *b, void **records, uint32_t count, uint32_t *capacity, size_t size_bytes) {
  if (count < *capacity) return true;
  uint32_t wanted = *capacity ? 2 * *capacity : 64;
  void *grown = realloc(*records, wanted * size_bytes);
  if (!grown) {
    dw_build_fail(b, "no memory for the program", false);
    return false;
  }
  *records = grown;
  *capacity = wanted;
  return true;
}

static inline uint32_t dw_build_param(dw_builder *b, uint32_t min, uint32_t max) {
  if (b->param_count == DW_MAX_PROGRAM_PARAMS) {
    dw_build_fail(b, "too many parameters", false);
    return 0;
  }
  b->params[b->param_count] = (dw_param){min, max};
  return b->param_count++;
}

// Adds a record; the index of its tensor.
static inline uint32_t dw_build_tensor(dw_builder *b, const dw_program_tensor *tensor) {
  void *records = b->tensors;
  if (!dw_build_room(b, &records, b->tensor_count, &b->tensor_capacity, sizeof *tensor)) return 0;
  b->tensors = records;
  b->tensors[b->tensor_count] = *tensor;
  return b->tensor_count++;
}

// A tensor or cache of the actor, whole.  A negative `handle` fails the build with
// the host's last words, so results may be passed on unchecked.
static inline uint32_t dw_build_handle(dw_builder *b, int32_t handle) {
  dw_tensor_info info = {0};
  if (b->failed) return 0;
  if (handle < 0 || dw_tensor_info_get((dw_handle)handle, &info) < 0) {
    dw_build_fail(b, "tensor of a program", true);
    return 0;
  }
  dw_program_tensor tensor = {.source = DW_SOURCE_HANDLE, .base = (dw_handle)handle, .dtype = info.dtype};
  if (info.place == DW_PLACE_CACHE) return dw_build_tensor(b, &tensor);
  tensor.rank = info.rank;
  for (uint32_t i = 0; i < info.rank; i++) tensor.dims[i] = dw_fixed(info.dims[i]);
  return dw_build_tensor(b, &tensor);
}

// Scratch memory of rows x columns.
static inline uint32_t dw_build_temp(dw_builder *b, uint32_t dtype, dw_affine rows, uint64_t columns) {
  dw_program_tensor tensor = {.source = DW_SOURCE_TEMP, .dtype = dtype, .rank = 2, .dims = {rows, dw_fixed(columns)}};
  return dw_build_tensor(b, &tensor);
}

// `rows` rows of a matrix, or elements of a vector, from row `first` on.  `first`
// times the columns is the offset, so a varying `first` works as well.
static inline uint32_t dw_build_rows(dw_builder *b, uint32_t base, dw_affine first, dw_affine rows) {
  if (b->failed || base >= b->tensor_count) return 0;
  dw_program_tensor tensor = b->tensors[base];
  int64_t columns = tensor.rank > 1 ? tensor.dims[1].constant : 1;
  tensor.source = DW_SOURCE_VIEW;
  tensor.base = base;
  tensor.dims[0] = rows;
  tensor.offset = (dw_affine){first.constant * columns, (int32_t)(first.scale * columns), first.param};
  memset(tensor.strides, 0, sizeof tensor.strides);
  return dw_build_tensor(b, &tensor);
}

// The transpose of a matrix, which costs nothing.
static inline uint32_t dw_build_transposed(dw_builder *b, uint32_t base) {
  if (b->failed || base >= b->tensor_count || b->tensors[base].rank != 2) {
    dw_build_fail(b, "only matrices are transposed", false);
    return 0;
  }
  const dw_program_tensor *from = &b->tensors[base];
  dw_program_tensor tensor = {.source = DW_SOURCE_VIEW,
                              .base = base,
                              .dtype = from->dtype,
                              .rank = 2,
                              .dims = {from->dims[1], from->dims[0]},
                              .strides = {1, (uint64_t)from->dims[1].constant}};
  return dw_build_tensor(b, &tensor);
}

// An operator with `count` inputs and one output.  Attributes are set in the record
// that is returned, before the next operator is added.
static inline dw_op *dw_build_op(dw_builder *b, uint32_t op, uint32_t output, uint32_t count, ...) {
  static dw_op nowhere;
  void *records = b->ops;
  if (!dw_build_room(b, &records, b->op_count, &b->op_capacity, sizeof(dw_op))) return &nowhere;
  b->ops = records;
  dw_op *record = &b->ops[b->op_count++];
  memset(record, 0, sizeof *record);
  record->op = op;
  va_list inputs;
  va_start(inputs, count);
  for (uint32_t i = 0; i < DW_OP_INPUTS; i++) record->inputs[i] = i < count ? va_arg(inputs, uint32_t) : DW_NO_TENSOR;
  va_end(inputs);
  for (uint32_t i = 0; i < DW_OP_OUTPUTS; i++) record->outputs[i] = i ? DW_NO_TENSOR : output;
  return record;
}

// Hands the program to the host and frees the records.  A handle; or a negative
// status after the words were logged.
static inline int32_t dw_build_end(dw_builder *b) {
  int32_t program = DW_GUEST;
  if (b->failed) {
    dw_say(DW_SDK_ERROR, "%s", b->words);
  } else {
    dw_program_desc desc = {.abi_version = DW_ABI_VERSION,
                            .tensor_count = b->tensor_count,
                            .op_count = b->op_count,
                            .param_count = b->param_count,
                            .tensors = (dw_ptr)(uintptr_t)b->tensors,
                            .ops = (dw_ptr)(uintptr_t)b->ops,
                            .params = (dw_ptr)(uintptr_t)b->params};
    program = dw_program_new(&desc);
    if (program < 0) dw_failed("program_new");
  }
  free(b->tensors);
  free(b->ops);
  *b = (dw_builder){0};
  return program;
}

#endif
