// Inside the CPU device: what its files share.
//
// A compiled program is the program itself and a function for each operator.  A
// run goes through them one after the other on the pool's leading thread; an
// operator cuts its output into tiles and has the pool compute them.  Work is cut
// by output only, and every sum has one order (docs/numerics.md), so threads,
// tiles and instruction sets change no bit.
#ifndef DW_CPU_H
#define DW_CPU_H

#include "../device.h"
#include "kernels.h"
#include "pool.h"

// A view at the run's parameters.  Dimensions are right-aligned: dims[3] is the
// last; those that the tensor lacks are 1 with stride 0.
typedef struct dw_cpu_view {
  unsigned char *data;
  uint32_t dtype, rank;
  uint32_t element_bytes;
  uint64_t dims[DW_MAX_RANK];
  uint64_t strides[DW_MAX_RANK]; // elements
} dw_cpu_view;

// One operator of one run.
typedef struct dw_cpu_call {
  const dw_program *program;
  const dw_op *op;
  const dw_run *run;
  const dw_cpu_kernels *kernels;
  dw_pool *pool;
  unsigned char *scratch;        // of the program's temps
} dw_cpu_call;

typedef void dw_cpu_operator(const dw_cpu_call *call);

dw_cpu_view dw_cpu_input(const dw_cpu_call *call, uint32_t position);
dw_cpu_view dw_cpu_output(const dw_cpu_call *call, uint32_t position);

static inline unsigned char *dw_cpu_at(const dw_cpu_view *view, uint64_t element) {
  return view->data + element * view->element_bytes;
}

// The index'th element of an I32 or I64 view, `offset` elements from its data.
int64_t dw_cpu_index_at(const dw_cpu_view *view, uint64_t offset);

// `count` elements with a stride as F32, into `buffer` unless they are that
// already: answers where they are.
const float *dw_cpu_load_run(const dw_cpu_kernels *kernels, const dw_cpu_view *view, uint64_t offset, uint64_t stride,
                             uint64_t count, float *buffer);
void dw_cpu_store_run(const dw_cpu_kernels *kernels, const dw_cpu_view *view, uint64_t offset, uint64_t stride,
                      uint64_t count, const float *values);

// Element offset of row `row`, counted over all dimensions but the last.
static inline uint64_t dw_cpu_row_offset(const dw_cpu_view *view, uint64_t row) {
  uint64_t c = row % view->dims[2], b = row / view->dims[2] % view->dims[1], a = row / view->dims[2] / view->dims[1];
  return a * view->strides[0] + b * view->strides[1] + c * view->strides[2];
}
static inline uint64_t dw_cpu_rows(const dw_cpu_view *view) { return view->dims[0] * view->dims[1] * view->dims[2]; }

// ---- Operators, by file ----------------------------------------------------------
dw_cpu_operator dw_cpu_matmul;                                              // matmul.c
dw_cpu_operator dw_cpu_binary, dw_cpu_unary;                                // elementwise.c
dw_cpu_operator dw_cpu_identity, dw_cpu_cast, dw_cpu_gather;                // move.c
dw_cpu_operator dw_cpu_rms_normalization, dw_cpu_softmax;                   // rows.c
dw_cpu_operator dw_cpu_rotary_embedding;                                    // rotary.c
dw_cpu_operator dw_cpu_attention;                                           // attention.c
dw_cpu_operator dw_cpu_argmax, dw_cpu_topk;                                 // select.c

// What operators need of a thread's own scratch memory.
uint64_t dw_cpu_attention_scratch(const dw_program *program, const dw_op *op);
uint64_t dw_cpu_topk_scratch(const dw_op *op);
uint64_t dw_cpu_matmul_scratch(void);
uint64_t dw_cpu_rows_scratch(const dw_program *program, const dw_op *op);

#define DW_CPU_MAX_TOPK (1 << 20)
#define DW_CPU_MAX_ROW (UINT64_C(1) << 22)  // elements of a row of RMSNormalization and Softmax

#endif
