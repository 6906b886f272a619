// A validated program: what program_new makes of a guest's descriptor.
//
// Validation proves, for every value of the parameters between their declared
// bounds, that each view stays inside its tensor, that shapes agree, that no
// operator writes what it or a neighbour reads at the same time, and that scratch
// memory is written before it is read.  After it, devices trust the program;
// what remains to be checked in a kernel are indices inside tensor data.
//
// Rules beyond the records' own (driftwood_abi.h):
//   - a TEMP may vary in dimension 0 only, and is dense; its first writer writes
//     all of it; views of it stay inside the rows that exist at any parameter value
//   - an output may share bytes with an input only where an elementwise operator
//     has the very same view on both sides
//   - outputs go to TEMP, linear and device tensors, never to model tensors
//   - one (cache, layer) is attended to once a program, and all Attention operators
//     of one cache have the same number of rows
//   - every dimension is at most 2^31 - 1, and a view has at most DW_MAX_TENSOR_BYTES
//   - operators run in the order of the list; each sees all that those before it wrote
//
// Operands, in ONNX's order (F: F32, F16 or BF16; I: I32 or I64; T: any number of rows):
//   MatMul            A F32 [..,M,K], B F [..,K,N] -> Y F32 [..,M,N]; batch dimensions broadcast, ranks >= 2
//   Add Mul Sub Div   A F, B F -> C F, broadcast as in ONNX; C has exactly the broadcast shape
//   Swish Sigmoid Tanh Gelu Axpby   X F -> Y F, equal shapes
//   Identity          X -> Y, any one dtype; Cast: X -> Y between F and I
//   RMSNormalization  X F [..,D], scale F [D] -> Y F
//   RotaryEmbedding   X F32, cos_cache F, sin_cache F, position_ids I (optional) -> Y F32 like X;
//                     X [T, heads*D], [1, T, heads*D] or [1, heads, T, D] (num_heads may be 0 then);
//                     position_ids [T] or [1, T] with cos, sin [positions, rotary/2],
//                     without it cos, sin [T, rotary/2] or [1, T, rotary/2]
//   Attention         Q F32, K F32, V F32, (attn_mask: left out), past: the cache -> Y F32 like Q;
//                     so the cache is inputs[4].  Q [T, q_heads*D], [1, T, q_heads*D] or
//                     [1, q_heads, T, D]; K, V the same with kv_heads and the same rank
//   Gather            data [n, ..], indices I -> Y [indices.., ..] (axis 0), dtype of data, or F32 where data is F
//   Softmax           X F -> Y F; ArgMax: X F [.., n] -> Y I [.., 1] or [..]; n >= 1
//   TopK              X F [.., n] -> Values F [.., k], Indices I [.., k]; 1 <= k <= n
// Fewer input operands than six: the rest are DW_NO_TENSOR, as are unused outputs.
#ifndef DW_PROGRAM_H
#define DW_PROGRAM_H

#include "status.h"

// What the validator must know of a handle.  Programs are shared by digest, which
// has places, types and shapes only: devices read no handle and no alias.
typedef struct dw_slot {
  dw_handle handle;
  dw_place place;
  bool sealed;                 // never written
  uint32_t dtype;
  uint32_t rank;
  uint64_t dims[DW_MAX_RANK];
  uint64_t alias;              // tensors of equal alias may share bytes: 0 for linear memory, else unique
  uint64_t alias_offset_bytes; // of the first element inside that
  dw_cache_desc cache;         // place CACHE
} dw_slot;

typedef struct dw_program_view {
  uint32_t root;               // DW_SOURCE_TEMP or DW_SOURCE_HANDLE
  uint32_t index;              // into temps or slots
  uint32_t dtype;
  uint32_t rank;               // 0: a cache
  dw_affine dims[DW_MAX_RANK];
  uint64_t max_dims[DW_MAX_RANK];
  uint64_t strides[DW_MAX_RANK]; // elements
  dw_affine offset;            // elements from the root's first element
} dw_program_view;

typedef struct dw_temp {
  uint64_t offset_bytes;       // in the scratch memory, a multiple of DW_VIEW_ALIGNMENT
  uint64_t size_bytes;         // at the parameters' maxima
  uint32_t first_op, last_op;  // lifetime
} dw_temp;

// Attention over one cache: how many rows the program appends.
typedef struct dw_append {
  uint32_t slot;
  dw_affine rows;
} dw_append;

typedef struct dw_program {
  uint32_t view_count, slot_count, temp_count, op_count, param_count, append_count;
  dw_program_view *views;      // one a program tensor, same indices as in the operators
  dw_slot *slots;              // one a distinct handle
  dw_temp *temps;
  dw_op *ops;
  dw_append *appends;
  dw_param params[DW_MAX_PROGRAM_PARAMS];
  uint64_t scratch_bytes;
  unsigned char digest[32];    // of everything a device compiles: not of handles or addresses
} dw_program;

// The guest's records, already copied out of its memory.
typedef struct dw_program_source {
  const dw_program_tensor *tensors;
  uint32_t tensor_count;
  const dw_op *ops;
  uint32_t op_count;
  const dw_param *params;
  uint32_t param_count;
} dw_program_source;

// Describes a handle; HANDLE if it is none of the caller's.
typedef dw_status (*dw_slot_fn)(void *user, dw_handle handle, dw_slot *slot, dw_error *error);

// Validates and plans.  Errors: INVALID (shape, operand or attribute; the detail
// names operator and operand), BOUNDS, HANDLE, LIMIT, READONLY, UNSUPPORTED.
dw_status dw_program_new(const dw_program_source *source, dw_slot_fn describe, void *user, dw_program **program,
                         dw_error *error);
void dw_program_free(dw_program *program);

static inline int64_t dw_affine_value(dw_affine affine, const uint32_t *params) {
  return affine.constant + (affine.scale ? (int64_t)affine.scale * params[affine.param] : 0);
}

const char *dw_operator_name(uint32_t op); // "?" if there is none
uint32_t dw_dtype_bytes(uint32_t dtype);   // 0 if there is none
const char *dw_dtype_name(uint32_t dtype); // "?" if there is none
uint32_t dw_dtype_parse(const char *name, size_t length); // by safetensors name; 0 if there is none

#endif
