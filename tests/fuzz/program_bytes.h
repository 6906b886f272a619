// A program and the handles it names as few bytes, so that a change of one byte is
// often a small change of the program: every number is a LEB128, signed ones zigzag.
// fuzz_program.c reads it; seed_program.c writes seeds with it.
#ifndef PROGRAM_BYTES_H
#define PROGRAM_BYTES_H

#include "program.h"

#include <string.h>

#define BYTES_PARAMS 17        // one more than is allowed
#define BYTES_SLOTS 48
#define BYTES_TENSORS 160
#define BYTES_OPS 80

typedef struct program_bytes {
  dw_param params[BYTES_PARAMS];
  dw_slot slots[BYTES_SLOTS];  // handle n is slots[n - 1]
  dw_program_tensor tensors[BYTES_TENSORS];
  dw_op ops[BYTES_OPS];
  uint32_t param_count, slot_count, tensor_count, op_count;
} program_bytes;

// A stream of numbers that is read, or written if `writing`: one description of the
// layout does for both.
typedef struct number_stream {
  uint8_t *at;
  const uint8_t *end;
  bool writing;
} number_stream;

static inline void pass_u64(number_stream *s, uint64_t *value) {
  if (s->writing) {
    uint64_t left = *value;
    do {
      if (s->at < s->end) *s->at++ = (uint8_t)((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
      left >>= 7;
    } while (left);
    return;
  }
  *value = 0;
  for (unsigned shift = 0; s->at < s->end && shift < 64; shift += 7) {
    uint8_t byte = *s->at++;
    *value |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80)) return;
  }
}

static inline void pass_u32(number_stream *s, uint32_t *value) {
  uint64_t wide = *value;
  pass_u64(s, &wide);
  *value = (uint32_t)wide;
}

static inline void pass_i64(number_stream *s, int64_t *value) {
  uint64_t zigzag = (uint64_t)*value << 1 ^ (*value < 0 ? UINT64_MAX : 0);
  pass_u64(s, &zigzag);
  *value = (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
}

static inline void pass_i32(number_stream *s, int32_t *value) {
  int64_t wide = *value;
  pass_i64(s, &wide);
  *value = (int32_t)(uint32_t)(uint64_t)wide;
}

// Of at most `most`; what a reader finds above it is taken modulo.
static inline void pass_count(number_stream *s, uint32_t *count, uint32_t most) {
  pass_u32(s, count);
  *count %= most + 1;
}

static inline void pass_affine(number_stream *s, dw_affine *affine) {
  pass_i64(s, &affine->constant);
  pass_i32(s, &affine->scale);
  if (affine->scale) pass_u32(s, &affine->param);
}

// A handle as the host describes it: always a sound one.
static inline void pass_slot(number_stream *s, dw_slot *slot, uint32_t index) {
  uint32_t place = slot->place ? (uint32_t)slot->place - 1 : 0, sealed = slot->sealed, dtype = slot->dtype - 1;
  pass_count(s, &place, 3);
  pass_count(s, &sealed, 1);
  pass_count(s, &dtype, 12);
  slot->handle = index + 1;
  slot->place = (dw_place)(place + 1);
  slot->sealed = sealed;
  slot->dtype = dtype + 1;
  if (slot->place == DW_PLACE_CACHE) {
    dw_cache_desc *cache = &slot->cache;
    cache->dtype = dtype % 2 + 1;
    pass_count(s, &cache->layers, 1024);
    pass_count(s, &cache->kv_heads, 1024);
    pass_count(s, &cache->head_dim, 1024);
    pass_u64(s, &cache->max_rows);
  } else {
    slot->rank--;
    pass_count(s, &slot->rank, DW_MAX_RANK - 1);
    slot->rank++;
    for (uint32_t d = 0; d < slot->rank; d++) pass_u64(s, &slot->dims[d]);
  }
  uint64_t place_bytes = slot->alias_offset_bytes / 16;
  pass_u64(s, &place_bytes);
  slot->alias_offset_bytes = (uint32_t)place_bytes * UINT64_C(16);
  slot->alias = slot->place == DW_PLACE_LINEAR ? 0 : sealed ? 1 : index + 1;
}

static inline void pass_tensor(number_stream *s, dw_program_tensor *tensor) {
  pass_u32(s, &tensor->source);
  pass_u32(s, &tensor->base);
  pass_u32(s, &tensor->dtype);
  pass_u32(s, &tensor->rank);
  uint32_t strided = 0, spoilt = 0;
  for (uint32_t d = 0; d < DW_MAX_RANK; d++) strided |= tensor->strides[d] != 0;
  for (uint32_t d = 0; d < tensor->rank && d < DW_MAX_RANK; d++) pass_affine(s, &tensor->dims[d]);
  pass_count(s, &strided, 1);
  for (uint32_t d = 0; strided && d < DW_MAX_RANK; d++) pass_u64(s, &tensor->strides[d]);
  pass_affine(s, &tensor->offset);
  pass_count(s, &spoilt, 63); // rarely: what no rank covers
  if (spoilt == 63) tensor->dims[DW_MAX_RANK - 1].constant = 1;
}

static inline void pass_operands(number_stream *s, uint32_t *operands, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    uint32_t shifted = operands[i] + 1; // DW_NO_TENSOR becomes 0
    pass_u32(s, &shifted);
    operands[i] = shifted - 1;
  }
}

static inline void pass_op(number_stream *s, dw_op *op) {
  pass_u32(s, &op->op);
  pass_operands(s, op->inputs, DW_OP_INPUTS);
  pass_operands(s, op->outputs, DW_OP_OUTPUTS);
  uint32_t attributes = 0, bits[2];
  for (uint32_t i = 0; i < 4; i++) attributes |= op->i[i] != 0;
  pass_u32(s, &attributes);
  for (uint32_t i = 0; attributes && i < 4; i++) pass_i32(s, &op->i[i]);
  memcpy(bits, op->f, sizeof bits);
  for (uint32_t i = 0; i < 2; i++) pass_u32(s, &bits[i]);
  memcpy(op->f, bits, sizeof bits);
  if (attributes == 63) op->reserved = 1;
}

static inline void pass_program(number_stream *s, program_bytes *program) {
  pass_count(s, &program->param_count, BYTES_PARAMS);
  pass_count(s, &program->slot_count, BYTES_SLOTS);
  pass_count(s, &program->tensor_count, BYTES_TENSORS);
  pass_count(s, &program->op_count, BYTES_OPS);
  for (uint32_t i = 0; i < program->param_count; i++) {
    pass_u32(s, &program->params[i].min);
    pass_u32(s, &program->params[i].max);
  }
  for (uint32_t i = 0; i < program->slot_count; i++) pass_slot(s, &program->slots[i], i);
  for (uint32_t i = 0; i < program->tensor_count; i++) pass_tensor(s, &program->tensors[i]);
  for (uint32_t i = 0; i < program->op_count; i++) pass_op(s, &program->ops[i]);
}

#endif
