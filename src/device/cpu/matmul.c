// MatMul: with few activation rows, weights stream past them; with more, blocks of
// both are packed and multiplied.  Both give each element in the canonical order.
#include "cpu.h"

#define BLOCK_M 48             // multiples of every set's panels
#define BLOCK_N 48
#define BLOCK_K 512            // a multiple of 16
#define PANEL_N 4              // of every set: what `fold` takes

// Of weights a tile streams at most, so that they stay in the second-level cache.
#define TILE_BYTES (UINT64_C(1) << 18)
#define TILE_MIN_BYTES (UINT64_C(1) << 15)

typedef struct job {
  const dw_cpu_call *call;
  dw_cpu_view a, b, y;
  uint64_t m, n, k;
  uint64_t blocks_m, blocks_n, rows_a_tile;
} job;

// What a thread packs: A, B, and the 16 lanes of every element of a block.
uint64_t dw_cpu_matmul_scratch(void) {
  return sizeof(float) * (BLOCK_M * BLOCK_K + BLOCK_N * BLOCK_K + BLOCK_M * BLOCK_N * DW_LANES);
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

// Element offset of matrix `batch` of Y in a view; a dimension of 1 is broadcast.
static uint64_t batch_offset(const job *of, const dw_cpu_view *view, uint64_t batch) {
  uint64_t second = batch % of->y.dims[1], first = batch / of->y.dims[1];
  return (view->dims[0] == 1 ? 0 : first * view->strides[0]) + (view->dims[1] == 1 ? 0 : second * view->strides[1]);
}

// ---- Streaming ----------------------------------------------------------------------------

static void stream_tile(void *arg, uint64_t tile, dw_worker *worker) {
  (void)worker;
  const job *of = arg;
  uint64_t batch = tile / of->blocks_n, n = tile % of->blocks_n * of->rows_a_tile;
  uint64_t b_at = batch_offset(of, &of->b, batch) + n * of->b.strides[3];
  uint64_t y_at = batch_offset(of, &of->y, batch) + n * of->y.strides[3];
  dw_dots dots = {.x = (const float *)of->a.data + batch_offset(of, &of->a, batch), .x_stride = of->a.strides[2],
                  .m = of->m, .w = dw_cpu_at(&of->b, b_at), .w_dtype = of->b.dtype, .w_stride = of->b.strides[3],
                  .n = least(of->rows_a_tile, of->n - n), .k = of->k, .y = (float *)of->y.data + y_at,
                  .y_stride_m = of->y.strides[2], .y_stride_n = of->y.strides[3]};
  of->call->kernels->dots(&dots);
}

static void stream(job *of, uint64_t batches) {
  uint64_t row_bytes = of->k * of->b.element_bytes + 1;
  uint64_t rows = 1 + of->n / (dw_pool_threads(of->call->pool) * UINT64_C(4));
  rows = least(rows, 1 + TILE_BYTES / row_bytes);
  if (rows * row_bytes < TILE_MIN_BYTES) rows = 1 + TILE_MIN_BYTES / row_bytes;
  of->rows_a_tile = (rows + 3) / 4 * 4;
  of->blocks_n = (of->n + of->rows_a_tile - 1) / of->rows_a_tile;
  dw_pool_for(of->call->pool, batches * of->blocks_n, stream_tile, of);
}

// ---- Blocks ---------------------------------------------------------------------------------

typedef struct block {
  const job *of;
  uint64_t batch, m0, n0, m, n;
  float *a, *b, *sums;         // scratch
} block;

static void pack(const block *at, uint64_t k0, uint64_t k) {
  const job *of = at->of;
  const dw_cpu_kernels *kernels = of->call->kernels;
  uint64_t a_at = batch_offset(of, &of->a, at->batch) + at->m0 * of->a.strides[2] + k0 * of->a.strides[3];
  uint64_t b_at = batch_offset(of, &of->b, at->batch) + at->n0 * of->b.strides[3] + k0 * of->b.strides[2];
  dw_pack a = {.from = dw_cpu_at(&of->a, a_at), .dtype = DW_F32, .stride_row = of->a.strides[2],
               .stride_k = of->a.strides[3], .rows = at->m, .k = k};
  dw_pack b = {.from = dw_cpu_at(&of->b, b_at), .dtype = of->b.dtype, .stride_row = of->b.strides[3],
               .stride_k = of->b.strides[2], .rows = at->n, .k = k};
  kernels->pack(&a, kernels->panel_m, at->a);
  kernels->pack(&b, PANEL_N, at->b);
}

// The sums of one pair of panels lie together: [panel of m][panel of n][m][n][16].
static void multiply(const block *at, uint64_t k, bool begin) {
  const dw_cpu_kernels *kernels = at->of->call->kernels;
  uint64_t steps = (k + DW_LANES - 1) / DW_LANES, panel_m = kernels->panel_m;
  uint64_t panels_m = (at->m + panel_m - 1) / panel_m, panels_n = (at->n + PANEL_N - 1) / PANEL_N;
  float *sums = at->sums;
  for (uint64_t i = 0; i < panels_m; i++) {
    for (uint64_t j = 0; j < panels_n; j++, sums += panel_m * PANEL_N * DW_LANES)
      kernels->multiply(at->a + i * panel_m * steps * DW_LANES, at->b + j * PANEL_N * steps * DW_LANES, steps, begin,
                        sums);
  }
}

static void finish(const block *at) {
  const job *of = at->of;
  const dw_cpu_kernels *kernels = of->call->kernels;
  uint64_t panel_m = kernels->panel_m, panels_n = (at->n + PANEL_N - 1) / PANEL_N;
  float *y = (float *)of->y.data + batch_offset(of, &of->y, at->batch);
  for (uint64_t i = 0; i < at->m; i++) {
    for (uint64_t j = 0; j < panels_n; j++) {
      float four[PANEL_N];
      kernels->fold(at->sums + (((i / panel_m * panels_n + j) * panel_m + i % panel_m) * PANEL_N) * DW_LANES, four);
      for (uint64_t n = j * PANEL_N; n < at->n && n < (j + 1) * PANEL_N; n++)
        y[(at->m0 + i) * of->y.strides[2] + (at->n0 + n) * of->y.strides[3]] = four[n - j * PANEL_N];
    }
  }
}

static void block_tile(void *arg, uint64_t tile, dw_worker *worker) {
  const job *of = arg;
  block at = {.of = of, .m0 = tile % of->blocks_m * BLOCK_M, .n0 = tile / of->blocks_m % of->blocks_n * BLOCK_N,
              .batch = tile / of->blocks_m / of->blocks_n, .a = (float *)worker->scratch};
  at.m = least(BLOCK_M, of->m - at.m0);
  at.n = least(BLOCK_N, of->n - at.n0);
  at.b = at.a + BLOCK_M * BLOCK_K;
  at.sums = at.b + BLOCK_N * BLOCK_K;
  uint64_t k0 = 0;
  do {
    uint64_t k = least(BLOCK_K, of->k - k0);
    pack(&at, k0, k);
    multiply(&at, k, k0 == 0);
    k0 += k;
  } while (k0 < of->k);
  finish(&at);
}

static void multiply_blocks(job *of, uint64_t batches) {
  of->blocks_m = (of->m + BLOCK_M - 1) / BLOCK_M;
  of->blocks_n = (of->n + BLOCK_N - 1) / BLOCK_N;
  dw_pool_for(of->call->pool, batches * of->blocks_m * of->blocks_n, block_tile, of);
}

void dw_cpu_matmul(const dw_cpu_call *call) {
  job of = {.call = call, .a = dw_cpu_input(call, 0), .b = dw_cpu_input(call, 1), .y = dw_cpu_output(call, 0)};
  of.m = of.y.dims[2];
  of.n = of.y.dims[3];
  of.k = of.a.dims[3];
  uint64_t batches = of.y.dims[0] * of.y.dims[1];
  if (batches == 0 || of.m == 0 || of.n == 0) return;
  bool contiguous = of.a.strides[3] == 1 && of.b.strides[2] == 1;
  if (contiguous && of.m <= call->kernels->direct_m) stream(&of, batches);
  else multiply_blocks(&of, batches);
}
