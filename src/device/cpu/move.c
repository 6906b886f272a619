// Identity, Cast and Gather: operators that move elements.
#include "cpu.h"

#include <string.h>

#define TILE_ELEMENTS 16384
#define CHUNK 1024

// ---- Runs of elements ---------------------------------------------------------------------

static bool is_float(uint32_t dtype) { return dtype == DW_F32 || dtype == DW_F16 || dtype == DW_BF16; }

// Equal types: the bytes as they are, NaNs too.
static void copy_run(const dw_cpu_view *from, uint64_t at, const dw_cpu_view *to, uint64_t out, uint64_t count) {
  uint64_t bytes = from->element_bytes;
  if (from->strides[3] == 1 && to->strides[3] == 1) {
    memcpy(dw_cpu_at(to, out), dw_cpu_at(from, at), count * bytes);
    return;
  }
  for (uint64_t i = 0; i < count; i++)
    memcpy(dw_cpu_at(to, out + i * to->strides[3]), dw_cpu_at(from, at + i * from->strides[3]), bytes);
}

static void convert_floats(const dw_cpu_kernels *kernels, const dw_cpu_view *from, uint64_t at, const dw_cpu_view *to,
                           uint64_t out, uint64_t count) {
  float buffer[CHUNK];
  for (uint64_t i = 0; i < count; i += CHUNK) {
    uint64_t n = count - i < CHUNK ? count - i : CHUNK;
    const float *values = dw_cpu_load_run(kernels, from, at + i * from->strides[3], from->strides[3], n, buffer);
    dw_cpu_store_run(kernels, to, out + i * to->strides[3], to->strides[3], n, values);
  }
}

// Towards zero; what does not fit becomes the nearest that does, a NaN 0.
static int64_t integer_of(float value, uint32_t dtype) {
  float limit = dtype == DW_I32 ? 0x1p31f : 0x1p63f;
  int64_t least = dtype == DW_I32 ? INT32_MIN : INT64_MIN, most = dtype == DW_I32 ? INT32_MAX : INT64_MAX;
  if (value != value) return 0;
  if (value >= limit) return most;
  return value <= -limit ? least : (int64_t)value;
}

static void store_integer(const dw_cpu_view *to, uint64_t out, int64_t value) {
  if (to->dtype == DW_I64) {
    memcpy(dw_cpu_at(to, out), &value, sizeof value);
  } else {
    uint32_t low = (uint32_t)value; // the low 32 bits, as in C
    memcpy(dw_cpu_at(to, out), &low, sizeof low);
  }
}

static void convert_one(const dw_cpu_kernels *kernels, const dw_cpu_view *from, uint64_t at, const dw_cpu_view *to,
                        uint64_t out) {
  float value;
  if (is_float(from->dtype)) {
    store_integer(to, out, integer_of(*dw_cpu_load_run(kernels, from, at, 1, 1, &value), to->dtype));
  } else if (is_float(to->dtype)) {
    value = (float)dw_cpu_index_at(from, at);
    dw_cpu_store_run(kernels, to, out, 1, 1, &value);
  } else {
    store_integer(to, out, dw_cpu_index_at(from, at));
  }
}

static void convert_run(const dw_cpu_kernels *kernels, const dw_cpu_view *from, uint64_t at, const dw_cpu_view *to,
                        uint64_t out, uint64_t count) {
  if (from->dtype == to->dtype) {
    copy_run(from, at, to, out, count);
  } else if (is_float(from->dtype) && is_float(to->dtype)) {
    convert_floats(kernels, from, at, to, out, count);
  } else {
    for (uint64_t i = 0; i < count; i++)
      convert_one(kernels, from, at + i * from->strides[3], to, out + i * to->strides[3]);
  }
}

// ---- Identity and Cast ----------------------------------------------------------------------

typedef struct job {
  const dw_cpu_call *call;
  dw_cpu_view x, indices, y;
  uint64_t rows, rows_a_tile;  // of the output
} job;

static void move_tile(void *arg, uint64_t tile, dw_worker *worker) {
  (void)worker;
  const job *of = arg;
  uint64_t end = (tile + 1) * of->rows_a_tile < of->rows ? (tile + 1) * of->rows_a_tile : of->rows;
  for (uint64_t row = tile * of->rows_a_tile; row < end; row++)
    convert_run(of->call->kernels, &of->x, dw_cpu_row_offset(&of->x, row), &of->y, dw_cpu_row_offset(&of->y, row),
                of->y.dims[3]);
}

static void for_rows(job *of, dw_tile_fn *tile) {
  of->rows = dw_cpu_rows(&of->y);
  if (of->rows == 0 || of->y.dims[3] == 0) return;
  of->rows_a_tile = 1 + TILE_ELEMENTS / of->y.dims[3];
  dw_pool_for(of->call->pool, (of->rows + of->rows_a_tile - 1) / of->rows_a_tile, tile, of);
}

void dw_cpu_cast(const dw_cpu_call *call) {
  job of = {.call = call, .x = dw_cpu_input(call, 0), .y = dw_cpu_output(call, 0)};
  for_rows(&of, move_tile);
}

void dw_cpu_identity(const dw_cpu_call *call) { dw_cpu_cast(call); }

// ---- Gather ------------------------------------------------------------------------------------
// Y has the indices' axes, then those of data behind its first.  In right-aligned
// axes, the last (data.rank - 1) are data's and the others the index's.

// Negative indices count from the end; what is still outside is clamped.
static uint64_t row_of(int64_t index, uint64_t rows) {
  if (index < 0) index += (int64_t)rows;
  if (index < 0) return 0;
  return (uint64_t)index < rows ? (uint64_t)index : rows - 1;
}

static void split_row(const dw_cpu_view *view, uint64_t row, uint64_t *position) {
  position[2] = row % view->dims[2];
  position[1] = row / view->dims[2] % view->dims[1];
  position[0] = row / view->dims[2] / view->dims[1];
}

static void gather_row(const job *of, uint64_t row) {
  uint64_t position[DW_MAX_RANK] = {0}, index_at = 0, at = 0;
  split_row(&of->y, row, position);
  uint32_t own = of->x.rank - 1, first = DW_MAX_RANK - own; // data's own axes in Y begin here
  for (uint32_t d = first; d < 3; d++) at += position[d] * of->x.strides[d];
  for (uint32_t d = 0; d < first && d < 3; d++)
    if (d + own < DW_MAX_RANK) index_at += position[d] * of->indices.strides[d + own];
  uint64_t count = own ? of->y.dims[3] : 1, width = of->y.dims[3];
  for (uint64_t i = 0; i < width; i += count) {
    // A vector of data: every element of the row has an index of its own.
    uint64_t offset = index_at + (own ? 0 : i * of->indices.strides[3]);
    uint64_t chosen = row_of(dw_cpu_index_at(&of->indices, offset), of->x.dims[first - 1]);
    convert_run(of->call->kernels, &of->x, at + chosen * of->x.strides[first - 1], &of->y,
                dw_cpu_row_offset(&of->y, row) + i * of->y.strides[3], count);
  }
}

static void gather_tile(void *arg, uint64_t tile, dw_worker *worker) {
  (void)worker;
  const job *of = arg;
  uint64_t end = (tile + 1) * of->rows_a_tile < of->rows ? (tile + 1) * of->rows_a_tile : of->rows;
  for (uint64_t row = tile * of->rows_a_tile; row < end; row++) gather_row(of, row);
}

void dw_cpu_gather(const dw_cpu_call *call) {
  job of = {.call = call, .x = dw_cpu_input(call, 0), .indices = dw_cpu_input(call, 1), .y = dw_cpu_output(call, 0)};
  for_rows(&of, gather_tile);
}
