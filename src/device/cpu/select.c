// ArgMax and TopK over the last axis.
//
// Both follow one total order: NaNs are above all numbers, equals (0 and -0 too)
// stand by rising index.
#include "cpu.h"

#include <string.h>

#define TILE_ELEMENTS 32768
#define CHUNK 1024

typedef struct job {
  const dw_cpu_call *call;
  dw_cpu_view x, values, indices;
  uint64_t rows, width, rows_a_tile, k;
} job;

typedef struct entry {
  float value;
  uint32_t index;              // a dimension is below 2^31
} entry;

static bool above(float a, float b) { return a > b || (a != a && b == b); }

static bool goes_before(entry a, entry b) {
  if (above(a.value, b.value)) return true;
  return !above(b.value, a.value) && a.index < b.index;
}

static void store_index(const dw_cpu_view *to, uint64_t at, uint64_t index) {
  if (to->dtype == DW_I64) ((int64_t *)to->data)[at] = (int64_t)index;
  else ((int32_t *)to->data)[at] = (int32_t)index;
}

static void for_rows(job *of, dw_tile_fn *tile) {
  of->rows = dw_cpu_rows(&of->x);
  of->width = of->x.dims[3];
  if (of->rows == 0) return;
  of->rows_a_tile = of->width < TILE_ELEMENTS ? TILE_ELEMENTS / of->width : 1;
  dw_pool_for(of->call->pool, (of->rows + of->rows_a_tile - 1) / of->rows_a_tile, tile, of);
}

// ---- ArgMax -------------------------------------------------------------------------------

static uint64_t largest(const job *of, uint64_t row) {
  float buffer[CHUNK];
  entry best = {0, 0};
  uint64_t at = dw_cpu_row_offset(&of->x, row), stride = of->x.strides[3];
  for (uint64_t begin = 0; begin < of->width; begin += CHUNK) {
    uint64_t count = of->width - begin < CHUNK ? of->width - begin : CHUNK;
    const float *x = dw_cpu_load_run(of->call->kernels, &of->x, at + begin * stride, stride, count, buffer);
    for (uint64_t i = 0; i < count; i++)
      if (begin + i == 0 || above(x[i], best.value)) best = (entry){x[i], (uint32_t)(begin + i)};
  }
  return best.index;
}

static void argmax_tile(void *arg, uint64_t tile, dw_worker *worker) {
  (void)worker;
  const job *of = arg;
  uint64_t end = (tile + 1) * of->rows_a_tile < of->rows ? (tile + 1) * of->rows_a_tile : of->rows;
  for (uint64_t row = tile * of->rows_a_tile; row < end; row++)
    store_index(&of->indices, dw_cpu_row_offset(&of->indices, row), largest(of, row));
}

void dw_cpu_argmax(const dw_cpu_call *call) {
  job of = {.call = call, .x = dw_cpu_input(call, 0), .indices = dw_cpu_output(call, 0)};
  dw_cpu_view *y = &of.indices;
  if (of.x.rank > 1 && y->rank == of.x.rank - 1) {
    // Without the axis that was reduced: shift the axes so that rows are where X has them.
    memmove(y->dims, y->dims + 1, 3 * sizeof *y->dims);
    memmove(y->strides, y->strides + 1, 3 * sizeof *y->strides);
    y->dims[3] = 1;
    y->strides[3] = 0;
  }
  for_rows(&of, argmax_tile);
}

// ---- TopK -----------------------------------------------------------------------------------
// A heap of the k best so far, the worst of them on top; then it is sorted in place.

uint64_t dw_cpu_topk_scratch(const dw_op *op) { return (uint64_t)op->i[0] * sizeof(entry); }

static void sink(entry *heap, uint64_t count, uint64_t at) {
  entry moving = heap[at];
  for (uint64_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && goes_before(heap[child], heap[child + 1])) child++;
    if (!goes_before(moving, heap[child])) break;
    heap[at] = heap[child];
  }
  heap[at] = moving;
}

static void offer(entry *heap, uint64_t k, uint64_t seen, entry candidate) {
  if (seen < k) {
    heap[seen] = candidate;
    if (seen + 1 == k)
      for (uint64_t i = k / 2; i-- > 0;) sink(heap, k, i);
  } else if (goes_before(candidate, heap[0])) {
    heap[0] = candidate;
    sink(heap, k, 0);
  }
}

static void sort(entry *heap, uint64_t k) {
  for (uint64_t count = k; count > 1;) {
    entry worst = heap[0];
    heap[0] = heap[--count];
    heap[count] = worst;
    sink(heap, count, 0);
  }
}

static void topk_row(const job *of, uint64_t row, entry *heap) {
  const dw_cpu_kernels *kernels = of->call->kernels;
  float buffer[CHUNK];
  uint64_t at = dw_cpu_row_offset(&of->x, row), stride = of->x.strides[3];
  for (uint64_t begin = 0; begin < of->width; begin += CHUNK) {
    uint64_t count = of->width - begin < CHUNK ? of->width - begin : CHUNK;
    const float *x = dw_cpu_load_run(kernels, &of->x, at + begin * stride, stride, count, buffer);
    for (uint64_t i = 0; i < count; i++) offer(heap, of->k, begin + i, (entry){x[i], (uint32_t)(begin + i)});
  }
  sort(heap, of->k);
  uint64_t value_at = dw_cpu_row_offset(&of->values, row), index_at = dw_cpu_row_offset(&of->indices, row);
  for (uint64_t i = 0; i < of->k; i++) {
    dw_cpu_store_run(kernels, &of->values, value_at + i * of->values.strides[3], 1, 1, &heap[i].value);
    store_index(&of->indices, index_at + i * of->indices.strides[3], heap[i].index);
  }
}

static void topk_tile(void *arg, uint64_t tile, dw_worker *worker) {
  const job *of = arg;
  uint64_t end = (tile + 1) * of->rows_a_tile < of->rows ? (tile + 1) * of->rows_a_tile : of->rows;
  for (uint64_t row = tile * of->rows_a_tile; row < end; row++) topk_row(of, row, (entry *)worker->scratch);
}

void dw_cpu_topk(const dw_cpu_call *call) {
  job of = {.call = call, .x = dw_cpu_input(call, 0), .values = dw_cpu_output(call, 0),
            .indices = dw_cpu_output(call, 1), .k = (uint64_t)call->op->i[0]};
  for_rows(&of, topk_tile);
}
