// RotaryEmbedding.
#include "cpu.h"

#include <string.h>

#define TILE_ELEMENTS 8192

typedef struct job {
  const dw_cpu_call *call;
  dw_cpu_view x, cosines, sines, positions, y;
  bool indexed, interleaved;
  uint64_t rows, heads, head_dim, rotary, rows_a_tile;
} job;

// Element offset of a row of a head, whether heads are an axis or lie side by side.
static uint64_t offset_of(const job *of, const dw_cpu_view *view, uint64_t row, uint64_t head) {
  if (view->rank == 4) return row * view->strides[2] + head * view->strides[1];
  return row * view->strides[2] + head * of->head_dim * view->strides[3];
}

// The row of the angle tables; positions outside of them are clamped.
static uint64_t angle_row(const job *of, uint64_t row) {
  if (!of->indexed) return row;
  int64_t position = dw_cpu_index_at(&of->positions, row * of->positions.strides[3]);
  if (position < 0) return 0;
  uint64_t last = of->cosines.dims[2] - 1;
  return (uint64_t)position < last ? (uint64_t)position : last;
}

static float angle(const dw_cpu_kernels *kernels, const dw_cpu_view *table, uint64_t row, uint64_t pair) {
  float value;
  return *dw_cpu_load_run(kernels, table, row * table->strides[2] + pair * table->strides[3], 1, 1, &value);
}

static void store(const job *of, uint64_t at, float value) {
  of->call->kernels->store(DW_F32, &value, dw_cpu_at(&of->y, at), 1);
}

// A pair is read before it is written, so that Y may be X.
static void rotate_pair(const job *of, uint64_t row, uint64_t pair, float cosine, float sine) {
  uint64_t first = of->interleaved ? 2 * pair : pair, second = of->interleaved ? first + 1 : pair + of->rotary / 2;
  const float *x = (const float *)of->x.data;
  for (uint64_t head = 0; head < of->heads; head++) {
    uint64_t from = offset_of(of, &of->x, row, head), to = offset_of(of, &of->y, row, head);
    float a = x[from + first * of->x.strides[3]], b = x[from + second * of->x.strides[3]];
    float ac = a * cosine, bs = b * sine, as = a * sine, bc = b * cosine;
    store(of, to + first * of->y.strides[3], ac - bs);
    store(of, to + second * of->y.strides[3], as + bc);
  }
}

static void copy_rest(const job *of, uint64_t row) {
  const float *x = (const float *)of->x.data;
  for (uint64_t head = 0; head < of->heads; head++) {
    uint64_t from = offset_of(of, &of->x, row, head), to = offset_of(of, &of->y, row, head);
    for (uint64_t d = of->rotary; d < of->head_dim; d++)
      memcpy(dw_cpu_at(&of->y, to + d * of->y.strides[3]), &x[from + d * of->x.strides[3]], sizeof *x);
  }
}

static void compute_tile(void *arg, uint64_t tile, dw_worker *worker) {
  (void)worker;
  const job *of = arg;
  const dw_cpu_kernels *kernels = of->call->kernels;
  uint64_t end = (tile + 1) * of->rows_a_tile < of->rows ? (tile + 1) * of->rows_a_tile : of->rows;
  for (uint64_t row = tile * of->rows_a_tile; row < end; row++) {
    uint64_t at = angle_row(of, row);
    for (uint64_t pair = 0; pair < of->rotary / 2; pair++)
      rotate_pair(of, row, pair, angle(kernels, &of->cosines, at, pair), angle(kernels, &of->sines, at, pair));
    copy_rest(of, row);
  }
}

void dw_cpu_rotary_embedding(const dw_cpu_call *call) {
  const dw_op *op = call->op;
  job of = {.call = call, .x = dw_cpu_input(call, 0), .cosines = dw_cpu_input(call, 1),
            .sines = dw_cpu_input(call, 2), .y = dw_cpu_output(call, 0), .indexed = op->inputs[3] != DW_NO_TENSOR,
            .interleaved = op->i[1] != 0};
  if (of.indexed) of.positions = dw_cpu_input(call, 3);
  of.rows = of.x.dims[2];
  of.heads = of.x.rank == 4 ? of.x.dims[1] : (uint64_t)op->i[0];
  of.head_dim = of.x.rank == 4 ? of.x.dims[3] : of.x.dims[3] / of.heads;
  of.rotary = op->i[2] ? (uint64_t)op->i[2] : of.head_dim;
  if (of.rows == 0) return;
  of.rows_a_tile = 1 + TILE_ELEMENTS / (of.heads * of.head_dim);
  dw_pool_for(call->pool, (of.rows + of.rows_a_tile - 1) / of.rows_a_tile, compute_tile, &of);
}
