// A Llama-like decoder as program records, built the way a guest builds it:
// for tests of the validator, the planner and the devices.
//
//   llama_program llama;
//   llama_program_build(&llama, &(llama_shape){...});
//   dw_program_source source = llama_source(&llama);
//   dw_program_new(&source, llama_describe, &llama, &program, &error);
//
// Parameter 0 is T, the rows of this run.
#ifndef LLAMA_PROGRAM_H
#define LLAMA_PROGRAM_H

#include "program.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LLAMA_MAX_TENSORS 2048
#define LLAMA_MAX_OPS 1024

typedef struct llama_shape {
  uint32_t layers, hidden, heads, kv_heads, head_dim, inner, vocabulary, context, chunk;
  uint32_t weight_dtype;
} llama_shape;

typedef struct llama_handle {
  dw_place place;
  uint32_t dtype, rank;
  uint64_t dims[DW_MAX_RANK];
} llama_handle;

// Handles are numbered 1.. in the order in which they are made; llama->handles[n - 1] describes handle n.
typedef struct llama_program {
  llama_shape shape;
  dw_program_tensor tensors[LLAMA_MAX_TENSORS];
  dw_op ops[LLAMA_MAX_OPS];
  dw_param params[1];
  llama_handle handles[LLAMA_MAX_TENSORS];
  dw_cache_desc cache;
  uint32_t tensor_count, op_count, handle_count;
  // Program tensors of interest.
  uint32_t tokens, positions, cosines, sines, logits, past, last_row;
} llama_program;

static const dw_affine llama_rows = {.constant = 0, .scale = 1, .param = 0};

static inline dw_affine llama_fixed(uint64_t value) { return (dw_affine){.constant = (int64_t)value}; }

static inline uint32_t llama_tensor(llama_program *llama, uint32_t source, uint32_t base, uint32_t dtype,
                                    uint32_t rank, dw_affine d0, dw_affine d1) {
  dw_program_tensor *tensor = &llama->tensors[llama->tensor_count];
  memset(tensor, 0, sizeof *tensor);
  tensor->source = source;
  tensor->base = base;
  tensor->dtype = dtype;
  tensor->rank = rank;
  if (rank > 0) tensor->dims[0] = d0;
  if (rank > 1) tensor->dims[1] = d1;
  return llama->tensor_count++;
}

static inline uint32_t llama_temp(llama_program *llama, uint64_t columns) {
  return llama_tensor(llama, DW_SOURCE_TEMP, 0, DW_F32, 2, llama_rows, llama_fixed(columns));
}

static inline uint32_t llama_bind(llama_program *llama, dw_place place, uint32_t dtype, uint32_t rank, uint64_t d0,
                                  uint64_t d1) {
  llama->handles[llama->handle_count] = (llama_handle){.place = place, .dtype = dtype, .rank = rank, .dims = {d0, d1}};
  return llama_tensor(llama, DW_SOURCE_HANDLE, ++llama->handle_count, dtype, rank, llama_fixed(d0), llama_fixed(d1));
}

static inline uint32_t llama_weight(llama_program *llama, uint64_t d0, uint64_t d1) {
  return llama_bind(llama, DW_PLACE_MODEL, llama->shape.weight_dtype, d1 ? 2 : 1, d0, d1);
}

static inline dw_op *llama_op(llama_program *llama, uint32_t op, uint32_t output) {
  dw_op *added = &llama->ops[llama->op_count++];
  memset(added, 0, sizeof *added);
  added->op = op;
  memset(added->inputs, 0xFF, sizeof added->inputs);
  memset(added->outputs, 0xFF, sizeof added->outputs);
  added->outputs[0] = output;
  return added;
}

static inline uint32_t llama_two(llama_program *llama, uint32_t op, uint32_t a, uint32_t b, uint32_t output) {
  dw_op *added = llama_op(llama, op, output);
  added->inputs[0] = a;
  added->inputs[1] = b;
  return output;
}

// A [out, in] weight as Hugging Face stores it, seen as [in, out].
static inline uint32_t llama_transposed(llama_program *llama, uint32_t weight) {
  const dw_program_tensor *base = &llama->tensors[weight];
  uint64_t columns = (uint64_t)base->dims[1].constant;
  uint32_t view = llama_tensor(llama, DW_SOURCE_VIEW, weight, base->dtype, 2, base->dims[1], base->dims[0]);
  llama->tensors[view].strides[0] = 1;
  llama->tensors[view].strides[1] = columns;
  return view;
}

static inline uint32_t llama_linear(llama_program *llama, uint32_t x, uint32_t inputs, uint32_t outputs) {
  uint32_t weight = llama_transposed(llama, llama_weight(llama, outputs, inputs));
  return llama_two(llama, DW_OP_MatMul, x, weight, llama_temp(llama, outputs));
}

static inline uint32_t llama_norm(llama_program *llama, uint32_t x) {
  uint32_t hidden = llama->shape.hidden, y = llama_temp(llama, hidden);
  llama_two(llama, DW_OP_RMSNormalization, x, llama_weight(llama, hidden, 0), y);
  llama->ops[llama->op_count - 1].f[0] = 1e-5f;
  return y;
}

static inline uint32_t llama_rotate(llama_program *llama, uint32_t x, uint32_t heads) {
  uint32_t y = llama_temp(llama, (uint64_t)heads * llama->shape.head_dim);
  dw_op *op = llama_op(llama, DW_OP_RotaryEmbedding, y);
  op->inputs[0] = x;
  op->inputs[1] = llama->cosines;
  op->inputs[2] = llama->sines;
  op->inputs[3] = llama->positions;
  op->i[0] = (int32_t)heads;
  return y;
}

static inline uint32_t llama_attend(llama_program *llama, uint32_t x, uint32_t layer) {
  const llama_shape *shape = &llama->shape;
  uint32_t wide = shape->heads * shape->head_dim, narrow = shape->kv_heads * shape->head_dim;
  uint32_t q = llama_rotate(llama, llama_linear(llama, x, shape->hidden, wide), shape->heads);
  uint32_t k = llama_rotate(llama, llama_linear(llama, x, shape->hidden, narrow), shape->kv_heads);
  uint32_t v = llama_linear(llama, x, shape->hidden, narrow), y = llama_temp(llama, wide);
  dw_op *op = llama_op(llama, DW_OP_Attention, y);
  op->inputs[0] = q;
  op->inputs[1] = k;
  op->inputs[2] = v;
  op->inputs[4] = llama->past;
  op->i[0] = (int32_t)shape->heads;
  op->i[1] = (int32_t)shape->kv_heads;
  op->i[2] = 1;
  op->i[3] = (int32_t)layer;
  return llama_linear(llama, y, wide, shape->hidden);
}

static inline uint32_t llama_mlp(llama_program *llama, uint32_t x) {
  const llama_shape *shape = &llama->shape;
  uint32_t gate = llama_linear(llama, x, shape->hidden, shape->inner);
  uint32_t up = llama_linear(llama, x, shape->hidden, shape->inner);
  llama_op(llama, DW_OP_Swish, gate)->inputs[0] = gate; // in place
  llama_two(llama, DW_OP_Mul, gate, up, gate);
  return llama_linear(llama, gate, shape->inner, shape->hidden);
}

static inline void llama_inputs(llama_program *llama) {
  const llama_shape *shape = &llama->shape;
  uint64_t half = shape->head_dim / 2;
  llama->tokens = llama_bind(llama, DW_PLACE_LINEAR, DW_I32, 1, shape->chunk, 0);
  llama->tensors[llama->tokens].dims[0] = llama_rows;
  llama->positions = llama_bind(llama, DW_PLACE_LINEAR, DW_I32, 1, shape->chunk, 0);
  llama->tensors[llama->positions].dims[0] = llama_rows;
  llama->cosines = llama_bind(llama, DW_PLACE_LINEAR, DW_F32, 2, shape->context, half);
  llama->sines = llama_bind(llama, DW_PLACE_LINEAR, DW_F32, 2, shape->context, half);
  llama->past = llama_bind(llama, DW_PLACE_CACHE, DW_F32, 0, 0, 0);
  llama->cache = (dw_cache_desc){.dtype = DW_F32, .layers = shape->layers, .kv_heads = shape->kv_heads,
                                 .head_dim = shape->head_dim, .max_rows = shape->context, .rope_theta = 10000};
}

static inline void llama_outputs(llama_program *llama, uint32_t x) {
  const llama_shape *shape = &llama->shape;
  // Only the last row's logits: a view whose offset is (T - 1) * hidden.
  llama->last_row = llama_tensor(llama, DW_SOURCE_VIEW, x, DW_F32, 2, llama_fixed(1), llama_fixed(shape->hidden));
  llama->tensors[llama->last_row].offset =
      (dw_affine){.constant = -(int64_t)shape->hidden, .scale = (int32_t)shape->hidden, .param = 0};
  llama->logits = llama_bind(llama, DW_PLACE_DEVICE, DW_F32, 2, 1, shape->vocabulary);
  uint32_t head = llama_transposed(llama, llama_weight(llama, shape->vocabulary, shape->hidden));
  llama_two(llama, DW_OP_MatMul, llama->last_row, head, llama->logits);
}

static inline void llama_program_build(llama_program *llama, const llama_shape *shape) {
  memset(llama, 0, sizeof *llama);
  llama->shape = *shape;
  llama->params[0] = (dw_param){.min = 1, .max = shape->chunk};
  llama_inputs(llama);
  uint32_t x = llama_temp(llama, shape->hidden);
  llama_two(llama, DW_OP_Gather, llama_weight(llama, shape->vocabulary, shape->hidden), llama->tokens, x);
  for (uint32_t layer = 0; layer < shape->layers; layer++) {
    uint32_t attended = llama_attend(llama, llama_norm(llama, x), layer);
    x = llama_two(llama, DW_OP_Add, x, attended, llama_temp(llama, shape->hidden));
    uint32_t mixed = llama_mlp(llama, llama_norm(llama, x));
    x = llama_two(llama, DW_OP_Add, x, mixed, llama_temp(llama, shape->hidden));
  }
  llama_outputs(llama, llama_norm(llama, x));
}

static inline dw_program_source llama_source(const llama_program *llama) {
  return (dw_program_source){.tensors = llama->tensors, .tensor_count = llama->tensor_count, .ops = llama->ops,
                             .op_count = llama->op_count, .params = llama->params, .param_count = 1};
}

// A dw_slot_fn whose user is the llama_program.
static inline dw_status llama_describe(void *user, dw_handle handle, dw_slot *slot, dw_error *error) {
  const llama_program *llama = user;
  if (handle == 0 || handle > llama->handle_count) return dw_fail(error, DW_HANDLE, "handle %u", handle);
  const llama_handle *described = &llama->handles[handle - 1];
  *slot = (dw_slot){.handle = handle, .place = described->place, .dtype = described->dtype, .rank = described->rank,
                    .alias = handle};
  memcpy(slot->dims, described->dims, sizeof slot->dims);
  if (described->place == DW_PLACE_CACHE) slot->cache = llama->cache;
  return DW_OK;
}

#endif
