// driftwood_abi.h: the records and numbers that host and guest share.
//
// Everything here is plain data with a fixed layout: little-endian, no
// implicit padding, 32-bit guest addresses (`dw_ptr`).  The same header is
// compiled by the host, by wasm32 guests and by native twins; the assertions at
// the end keep the three in agreement.  docs/guest-interface.md explains how
// the records are used.
#ifndef DRIFTWOOD_ABI_H
#define DRIFTWOOD_ABI_H

#include <stddef.h>
#include <stdint.h>

#define DW_ABI_VERSION 1

// ---- Status ----------------------------------------------------------------
// Every function of the interface returns 0 (or a non-negative result where it
// says so) or one of these negative codes.
#define DW_STATUS_MAP(X)                                                          \
  X(OK, 0, "ok")                                                                  \
  X(INVALID, -1, "invalid argument")                                              \
  X(BOUNDS, -2, "outside of the bounds")                                          \
  X(HANDLE, -3, "stale or wrong handle")                                          \
  X(BUSY, -4, "busy")                                                             \
  X(LIMIT, -5, "limit reached")                                                   \
  X(NOMEM, -6, "out of memory")                                                   \
  X(UNSUPPORTED, -7, "not supported")                                             \
  X(NOTFOUND, -8, "not found")                                                    \
  X(IO, -9, "input/output error")                                                 \
  X(FORMAT, -10, "malformed data")                                                \
  X(READONLY, -11, "read-only")                                                   \
  X(DENIED, -12, "not granted")                                                   \
  X(TRAP, -13, "guest trapped")                                                   \
  X(GUEST, -14, "guest reported an error")                                        \
  X(DEADLINE, -15, "deadline passed")                                             \
  X(CANCELLED, -16, "cancelled")                                                  \
  X(DEVICE, -17, "device error")                                                  \
  X(LOST, -18, "device lost")                                                     \
  X(VERSION, -19, "version not supported")                                        \
  X(CLOSED, -20, "closed")

typedef enum dw_status {
#define X(name, code, text) DW_##name = code,
  DW_STATUS_MAP(X)
#undef X
} dw_status;

// What driftwood_step() returns.  MORE: call again as soon as the submitted
// program (if any) ended.  WAIT: call again when a program that was submitted
// ended, or else when a message arrives.  DONE: this message is dealt with.
// ERROR: the actor fails; the words are what it logged last.
typedef enum dw_step { DW_STEP_MORE = 0, DW_STEP_WAIT = 1, DW_STEP_DONE = 2, DW_STEP_ERROR = 3 } dw_step;

// ---- Data types --------------------------------------------------------------
// name, code, safetensors name, element bytes
#define DW_DTYPE_MAP(X)                                                           \
  X(F32, 1, "F32", 4)                                                             \
  X(F16, 2, "F16", 2)                                                             \
  X(BF16, 3, "BF16", 2)                                                           \
  X(I32, 4, "I32", 4)                                                             \
  X(U32, 5, "U32", 4)                                                             \
  X(I64, 6, "I64", 8)                                                             \
  X(U8, 7, "U8", 1)                                                               \
  X(I8, 8, "I8", 1)                                                               \
  X(F64, 9, "F64", 8)                                                             \
  X(I16, 10, "I16", 2)                                                            \
  X(U16, 11, "U16", 2)                                                            \
  X(U64, 12, "U64", 8)                                                            \
  X(BOOL, 13, "BOOL", 1)

typedef enum dw_dtype {
  DW_DTYPE_NONE = 0,
#define X(name, code, text, bytes) DW_##name = code,
  DW_DTYPE_MAP(X)
#undef X
} dw_dtype;

#define DW_MAX_RANK 4
#define DW_MAX_NAME 96               // bytes of a name, its terminator not counted
#define DW_VIEW_ALIGNMENT 256        // of views of linear memory and of device tensors, on every device
#define DW_MAX_PROGRAM_TENSORS 8192
#define DW_MAX_PROGRAM_OPS 8192
#define DW_MAX_PROGRAM_PARAMS 16
#define DW_MAX_TENSOR_BYTES (UINT64_C(1) << 40)
#define DW_MAX_HANDLES 16384         // live handles an actor

typedef uint32_t dw_handle;          // slot + generation; 0 is never a handle
typedef uint32_t dw_ptr;             // an address in the guest's linear memory

typedef enum dw_place { DW_PLACE_LINEAR = 1, DW_PLACE_MODEL = 2, DW_PLACE_DEVICE = 3, DW_PLACE_CACHE = 4 } dw_place;

// Shape and element type of a tensor; unused dims are 0.  Row-major, dense.
typedef struct dw_tensor_desc {
  uint32_t dtype;                    // dw_dtype
  uint32_t rank;                     // 1 to DW_MAX_RANK
  uint64_t dims[DW_MAX_RANK];
  dw_ptr address;                    // tensor_view: where the elements begin, a multiple of DW_VIEW_ALIGNMENT
  uint32_t reserved;                 // 0
} dw_tensor_desc;

// What tensor_info answers.
typedef struct dw_tensor_info {
  uint32_t dtype;
  uint32_t rank;
  uint64_t dims[DW_MAX_RANK];
  uint32_t place;                    // dw_place
  uint32_t reserved;
  uint64_t size_bytes;
  uint64_t rows;                     // a cache: rows it holds now; else dims[0]
} dw_tensor_info;

// A key/value cache: for each layer, `rows` pairs of a key row and a value row
// of kv_heads x head_dim elements.  One length for all layers.
typedef struct dw_cache_desc {
  uint32_t dtype;                    // F32 or F16
  uint32_t layers;
  uint32_t kv_heads;
  uint32_t head_dim;                 // elements of one key (and value) of one head
  uint64_t max_rows;                 // capacity, in rows (tokens)
  double rope_theta;                 // for readers of snapshots; not interpreted
} dw_cache_desc;

typedef struct dw_device_info {
  uint32_t abi_version;
  uint32_t kind;                     // dw_device_kind
  uint32_t unified;                  // 1: device tensors are host memory
  uint32_t lanes;                    // worker threads (cpu), 0 elsewhere
  uint64_t view_alignment;           // DW_VIEW_ALIGNMENT
  uint64_t max_binding_bytes;        // the largest tensor an operator takes
  char name[96];                     // zero-terminated
} dw_device_info;

typedef enum dw_device_kind { DW_DEVICE_CPU = 1, DW_DEVICE_VULKAN = 2, DW_DEVICE_METAL = 3, DW_DEVICE_CUDA = 4, DW_DEVICE_FAKE = 5 } dw_device_kind;

// ---- Programs ---------------------------------------------------------------
// An operator list over program tensors.  Every dimension and offset is an
// affine function of at most one parameter; the host proves all bounds for all
// values between the parameters' declared minimum and maximum.

// constant + scale * parameter; parameter is ignored while scale is 0.
typedef struct dw_affine {
  int64_t constant;
  int32_t scale;
  uint32_t param;
} dw_affine;

typedef struct dw_param {
  uint32_t min;
  uint32_t max;
} dw_param;

typedef enum dw_source {
  DW_SOURCE_TEMP = 0,                // scratch of the program; `base` is 0
  DW_SOURCE_HANDLE = 1,              // a tensor of the actor; `base` is its handle
  DW_SOURCE_VIEW = 2                 // another view of an earlier program tensor; `base` is its index
} dw_source;

// A program tensor.  Strides are in elements and constant; 0 in every place
// means dense row-major strides for the *maximum* dimensions.  The offset is
// in elements, from the base's first element.  Permuted and overlapping read
// views are free; a tensor that an operator writes must not overlap itself.
typedef struct dw_program_tensor {
  uint32_t source;                   // dw_source
  uint32_t base;
  uint32_t dtype;                    // of the base for HANDLE and VIEW
  uint32_t rank;                     // 0 for a cache
  dw_affine dims[DW_MAX_RANK];
  uint64_t strides[DW_MAX_RANK];
  dw_affine offset;
} dw_program_tensor;

#define DW_OP_INPUTS 6
#define DW_OP_OUTPUTS 2
#define DW_NO_TENSOR 0xFFFFFFFFu     // an optional operand left out

// Operators: name, code.  Names and meaning follow ONNX; docs/operators.md gives
// the version each follows, its operands, attributes and deviations.
#define DW_OPERATOR_MAP(X)                                                        \
  X(MatMul, 1)                                                                    \
  X(Add, 2)                                                                       \
  X(Mul, 3)                                                                       \
  X(Sub, 4)                                                                       \
  X(Div, 5)                                                                       \
  X(RMSNormalization, 6)                                                          \
  X(RotaryEmbedding, 7)                                                           \
  X(Attention, 8)                                                                 \
  X(Gather, 9)                                                                    \
  X(Swish, 10)                                                                    \
  X(Softmax, 11)                                                                  \
  X(ArgMax, 12)                                                                   \
  X(TopK, 13)                                                                     \
  X(Cast, 14)                                                                     \
  X(Identity, 15)                                                                 \
  X(Sigmoid, 16)                                                                  \
  X(Tanh, 17)                                                                     \
  X(Gelu, 18)                                                                     \
  X(Axpby, 19)

typedef enum dw_operator {
  DW_OP_NONE = 0,
#define X(name, code) DW_OP_##name = code,
  DW_OPERATOR_MAP(X)
#undef X
} dw_operator;

// Attributes, by operator (all others must be 0):
//   MatMul            -                    Y[..,M,N] = A[..,M,K] x B[..,K,N]; B may be a permuted view of [N,K]
//   RMSNormalization  f0 epsilon           over the last axis
//   RotaryEmbedding   i0 num_heads, i1 interleaved, i2 rotary_embedding_dim (0: all)
//   Attention         i0 q_num_heads, i1 kv_num_heads, i2 is_causal (must be 1), i3 layer, f0 scale (0: 1/sqrt(head_dim)), f1 softcap (0: none)
//   Softmax, ArgMax   i0 axis (the last only)
//   TopK              i0 k
//   Swish             f0 alpha (0: 1)
//   Gelu              i0 approximate (0 none, 1 tanh)
//   Axpby             f0 a, f1 b           Y = a*X + b, no ONNX counterpart: the streaming operator of `bench copies`
typedef struct dw_op {
  uint32_t op;                       // dw_operator
  uint32_t inputs[DW_OP_INPUTS];     // program tensor indices or DW_NO_TENSOR
  uint32_t outputs[DW_OP_OUTPUTS];
  uint32_t reserved;                 // 0
  int32_t i[4];
  float f[2];
} dw_op;

// What program_new takes.
typedef struct dw_program_desc {
  uint32_t abi_version;              // DW_ABI_VERSION
  uint32_t tensor_count;
  uint32_t op_count;
  uint32_t param_count;
  dw_ptr tensors;                    // dw_program_tensor[tensor_count]
  dw_ptr ops;                        // dw_op[op_count]
  dw_ptr params;                     // dw_param[param_count]
  uint32_t reserved;                 // 0
} dw_program_desc;

// ---- Layout -----------------------------------------------------------------
#if defined(__cplusplus)
#define DW_ASSERT_LAYOUT(e) static_assert(e, #e)
#else
#define DW_ASSERT_LAYOUT(e) _Static_assert(e, #e)
#endif
DW_ASSERT_LAYOUT(sizeof(dw_tensor_desc) == 48 && offsetof(dw_tensor_desc, address) == 40);
DW_ASSERT_LAYOUT(sizeof(dw_tensor_info) == 64 && offsetof(dw_tensor_info, place) == 40 && offsetof(dw_tensor_info, rows) == 56);
DW_ASSERT_LAYOUT(sizeof(dw_cache_desc) == 32 && offsetof(dw_cache_desc, max_rows) == 16);
DW_ASSERT_LAYOUT(sizeof(dw_device_info) == 128 && offsetof(dw_device_info, name) == 32);
DW_ASSERT_LAYOUT(sizeof(dw_affine) == 16 && offsetof(dw_affine, scale) == 8 && offsetof(dw_affine, param) == 12);
DW_ASSERT_LAYOUT(sizeof(dw_param) == 8);
DW_ASSERT_LAYOUT(sizeof(dw_program_tensor) == 128 && offsetof(dw_program_tensor, dims) == 16 &&
                 offsetof(dw_program_tensor, strides) == 80 && offsetof(dw_program_tensor, offset) == 112);
DW_ASSERT_LAYOUT(sizeof(dw_op) == 64 && offsetof(dw_op, outputs) == 28 && offsetof(dw_op, i) == 40 && offsetof(dw_op, f) == 56);
DW_ASSERT_LAYOUT(sizeof(dw_program_desc) == 32 && offsetof(dw_program_desc, tensors) == 16);

#endif
