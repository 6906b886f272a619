// RMSNormalization and Softmax: operators over the last axis.
#include "cpu.h"

#include <math.h>

#define TILE_ELEMENTS 8192

typedef struct job {
  const dw_cpu_call *call;
  dw_cpu_view x, scale, y;
  uint64_t rows, width, rows_a_tile;
} job;

// Three rows of F32: what is read, the scale, what is written.
uint64_t dw_cpu_rows_scratch(const dw_program *program, const dw_op *op) {
  const dw_program_view *x = &program->views[op->inputs[0]];
  return 3 * (x->max_dims[x->rank - 1] + DW_LANES) * sizeof(float);
}

static void normalise(const job *of, const float *x, float *y, float *scale_row) {
  const dw_cpu_kernels *kernels = of->call->kernels;
  const float *scale = dw_cpu_load_run(kernels, &of->scale, 0, of->scale.strides[3], of->width, scale_row);
  float mean = kernels->sum_of_squares(x, of->width) / (float)of->width;
  kernels->scale(x, 1.0f / sqrtf(mean + of->call->op->f[0]), scale, y, of->width);
}

static void compute_row(const job *of, uint64_t row, float *scratch) {
  const dw_cpu_kernels *kernels = of->call->kernels;
  float *in = scratch, *scale_row = in + of->width, *out = scale_row + of->width;
  const float *x =
      dw_cpu_load_run(kernels, &of->x, dw_cpu_row_offset(&of->x, row), of->x.strides[3], of->width, in);
  uint64_t at = dw_cpu_row_offset(&of->y, row);
  bool direct = of->y.dtype == DW_F32 && of->y.strides[3] == 1;
  float *y = direct ? (float *)of->y.data + at : out;
  if (of->call->op->op == DW_OP_Softmax) kernels->softmax(x, y, of->width);
  else normalise(of, x, y, scale_row);
  if (!direct) dw_cpu_store_run(kernels, &of->y, at, of->y.strides[3], of->width, y);
}

static void compute_tile(void *arg, uint64_t tile, dw_worker *worker) {
  const job *of = arg;
  uint64_t end = (tile + 1) * of->rows_a_tile < of->rows ? (tile + 1) * of->rows_a_tile : of->rows;
  for (uint64_t row = tile * of->rows_a_tile; row < end; row++) compute_row(of, row, (float *)worker->scratch);
}

static void run(job *of) {
  of->rows = dw_cpu_rows(&of->x);
  of->width = of->x.dims[3];
  if (of->rows == 0 || of->width == 0) return;
  of->rows_a_tile = of->width < TILE_ELEMENTS ? TILE_ELEMENTS / of->width : 1;
  dw_pool_for(of->call->pool, (of->rows + of->rows_a_tile - 1) / of->rows_a_tile, compute_tile, of);
}

void dw_cpu_rms_normalization(const dw_cpu_call *call) {
  job of = {.call = call, .x = dw_cpu_input(call, 0), .scale = dw_cpu_input(call, 1), .y = dw_cpu_output(call, 0)};
  run(&of);
}

void dw_cpu_softmax(const dw_cpu_call *call) {
  job of = {.call = call, .x = dw_cpu_input(call, 0), .y = dw_cpu_output(call, 0)};
  run(&of);
}
