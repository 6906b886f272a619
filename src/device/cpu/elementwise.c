// Add, Mul, Sub, Div and the functions of one operand.
#include "cpu.h"

#define CHUNK 1024             // elements converted at a time
#define TILE_CHUNKS 8          // chunks of one tile, where rows are long enough

typedef struct job {
  const dw_cpu_call *call;
  dw_cpu_view in[2], out;
  uint32_t inputs;
  uint64_t rows, width;        // width: of the last axis, after merging
  uint64_t row_tiles, rows_a_tile, tile_width;
} job;

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

// A broadcast operand as if it had the output's shape: stride 0 where it has 1.
static void broadcast(dw_cpu_view *view, const dw_cpu_view *to) {
  for (uint32_t d = 0; d < DW_MAX_RANK; d++) {
    if (view->dims[d] == 1) view->strides[d] = 0;
    view->dims[d] = to->dims[d];
  }
}

static bool merges(const dw_cpu_view *view, uint32_t d, uint32_t with) {
  return view->strides[d] == view->strides[with] * view->dims[with];
}

// Moves as many axes as possible into the last one.
static void merge_axes(job *of) {
  for (uint32_t d = 2; d < DW_MAX_RANK; d--) {
    dw_cpu_view *views[] = {&of->out, &of->in[0], &of->in[1]};
    bool all = true;
    for (uint32_t i = 0; i <= of->inputs; i++) all = all && (views[i]->dims[d] == 1 || merges(views[i], d, 3));
    if (!all) return;
    for (uint32_t i = 0; i <= of->inputs; i++) {
      // A last axis of one element has the stride of the axis that replaces it.
      if (views[i]->dims[3] == 1) views[i]->strides[3] = views[i]->strides[d];
      views[i]->dims[3] *= views[i]->dims[d];
      views[i]->dims[d] = 1;
      views[i]->strides[d] = 0;
    }
  }
}

static void compute(const job *of, uint64_t row, uint64_t begin, uint64_t count) {
  const dw_cpu_kernels *kernels = of->call->kernels;
  float buffers[2][CHUNK] __attribute__((aligned(64))), result[CHUNK] __attribute__((aligned(64)));
  const float *values[2] = {NULL, NULL};
  for (uint32_t i = 0; i < of->inputs; i++) {
    const dw_cpu_view *in = &of->in[i];
    uint64_t at = dw_cpu_row_offset(in, row) + begin * in->strides[3];
    values[i] = dw_cpu_load_run(kernels, in, at, in->strides[3], count, buffers[i]);
  }
  const dw_cpu_view *out = &of->out;
  uint64_t at = dw_cpu_row_offset(out, row) + begin * out->strides[3];
  bool direct = out->dtype == DW_F32 && (out->strides[3] == 1 || count == 1);
  float *to = direct ? (float *)out->data + at : result;
  if (of->inputs == 2) kernels->binary(of->call->op->op, values[0], values[1], to, count);
  else kernels->unary(of->call->op, values[0], to, count);
  if (!direct) dw_cpu_store_run(kernels, out, at, out->strides[3], count, result);
}

static void compute_tile(void *arg, uint64_t tile, dw_worker *worker) {
  (void)worker;
  const job *of = arg;
  uint64_t row = tile % of->row_tiles * of->rows_a_tile, end_row = least(row + of->rows_a_tile, of->rows);
  uint64_t first = tile / of->row_tiles * of->tile_width, end = least(first + of->tile_width, of->width);
  for (; row < end_row; row++)
    for (uint64_t at = first; at < end; at += CHUNK) compute(of, row, at, least(CHUNK, end - at));
}

static void run(job *of) {
  for (uint32_t i = 0; i < of->inputs; i++) broadcast(&of->in[i], &of->out);
  merge_axes(of);
  of->rows = dw_cpu_rows(&of->out);
  of->width = of->out.dims[3];
  if (of->rows == 0 || of->width == 0) return;
  of->tile_width = least(of->width, CHUNK * TILE_CHUNKS);
  of->rows_a_tile = CHUNK * TILE_CHUNKS / of->tile_width;
  of->row_tiles = (of->rows + of->rows_a_tile - 1) / of->rows_a_tile;
  dw_pool_for(of->call->pool, of->row_tiles * ((of->width + of->tile_width - 1) / of->tile_width), compute_tile, of);
}

void dw_cpu_binary(const dw_cpu_call *call) {
  job of = {.call = call, .inputs = 2, .in = {dw_cpu_input(call, 0), dw_cpu_input(call, 1)}};
  of.out = dw_cpu_output(call, 0);
  run(&of);
}

void dw_cpu_unary(const dw_cpu_call *call) {
  job of = {.call = call, .inputs = 1, .in = {dw_cpu_input(call, 0)}, .out = dw_cpu_output(call, 0)};
  run(&of);
}
