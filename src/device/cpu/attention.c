// Attention over a cache: appends the new rows, then attends.
//
// Rows of the cache are taken in splits of 256, counted from row 0.  A split gives
// its largest score, the sum of its weights and the weighted sum of its values;
// splits are combined in rising order.  All of it depends on the positions alone,
// so it does not matter how a prompt was cut.
#include "cpu.h"

#include <math.h>
#include <string.h>

#define SPLIT_ROWS 256
#define TILE_QUERIES 24        // rows of queries, of all heads that share a key head, in one tile

typedef struct job {
  const dw_cpu_call *call;
  dw_cpu_view q, k, v, y;
  const dw_cache *cache;
  uint32_t layer;
  uint64_t past, rows;         // committed rows; rows of this run
  uint64_t kv_heads, group, head_dim;
  uint64_t rows_a_tile, row_tiles;
  float scale, softcap;
} job;

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t offset_of(const job *of, const dw_cpu_view *view, uint64_t row, uint64_t head) {
  if (view->rank == 4) return row * view->strides[2] + head * view->strides[1];
  return row * view->strides[2] + head * of->head_dim * view->strides[3];
}

static unsigned char *cache_row(const job *of, uint64_t row, uint64_t head, bool value) {
  const dw_cache *cache = of->cache;
  unsigned char *block = dw_cache_block_host(cache, of->layer, row / cache->block_rows);
  uint64_t in_block = row % cache->block_rows;
  uint64_t at = value ? dw_cache_value_offset(cache, (uint32_t)head, in_block)
                      : dw_cache_key_offset(cache, (uint32_t)head, in_block);
  return block + at * cache->element_bytes;
}

// ---- Appending ------------------------------------------------------------------------------

static void append_row(const job *of, const dw_cpu_view *from, uint64_t row, bool value, float *buffer) {
  const dw_cpu_kernels *kernels = of->call->kernels;
  for (uint64_t head = 0; head < of->kv_heads; head++) {
    const float *x =
        dw_cpu_load_run(kernels, from, offset_of(of, from, row, head), from->strides[3], of->head_dim, buffer);
    kernels->store(of->cache->desc.dtype, x, cache_row(of, of->past + row, head, value), of->head_dim);
  }
}

static void append_tile(void *arg, uint64_t tile, dw_worker *worker) {
  const job *of = arg;
  append_row(of, &of->k, tile, false, (float *)worker->scratch);
  append_row(of, &of->v, tile, true, (float *)worker->scratch);
}

// ---- Attending ------------------------------------------------------------------------------

// The queries of one tile: rows [first, first + rows) of the heads that share a key head.
typedef struct tile_state {
  const job *of;
  uint64_t head, first, rows, count; // count: rows * group
  float *queries, *sums;             // [count][head_dim]
  float *scores;                     // [count][SPLIT_ROWS]
  float *split;                      // [head_dim]
  float *most, *weight;              // [count]
} tile_state;

static uint64_t tile_floats(uint64_t queries, uint64_t head_dim) {
  return queries * (2 * head_dim + SPLIT_ROWS + 2) + head_dim;
}

static uint64_t rows_of_tile(uint64_t group) { return group < TILE_QUERIES ? TILE_QUERIES / group : 1; }

uint64_t dw_cpu_attention_scratch(const dw_program *program, const dw_op *op) {
  const dw_cache_desc *desc = &program->slots[program->views[op->inputs[4]].index].cache;
  uint64_t group = (uint64_t)op->i[0] / (uint64_t)op->i[1];
  return tile_floats(rows_of_tile(group) * group, desc->head_dim) * sizeof(float);
}

static void load_queries(tile_state *at) {
  const job *of = at->of;
  for (uint64_t i = 0; i < at->count; i++) {
    float *to = at->queries + i * of->head_dim;
    uint64_t from = offset_of(of, &of->q, at->first + i / of->group, at->head * of->group + i % of->group);
    const float *x = dw_cpu_load_run(of->call->kernels, &of->q, from, of->q.strides[3], of->head_dim, to);
    if (x != to) memcpy(to, x, of->head_dim * sizeof *to);
  }
}

// Scores of all queries against rows [begin, begin + count), a block at a time.
static void score(tile_state *at, uint64_t begin, uint64_t count) {
  const job *of = at->of;
  uint64_t block_rows = of->cache->block_rows;
  for (uint64_t row = begin; row < begin + count;) {
    uint64_t n = least(block_rows - row % block_rows, begin + count - row);
    dw_dots dots = {.x = at->queries, .x_stride = of->head_dim, .m = at->count,
                    .w = cache_row(of, row, at->head, false), .w_dtype = of->cache->desc.dtype,
                    .w_stride = of->head_dim, .n = n, .k = of->head_dim, .y = at->scores + (row - begin),
                    .y_stride_m = SPLIT_ROWS, .y_stride_n = 1};
    of->call->kernels->dots(&dots);
    row += n;
  }
}

// A split's part in query i's result.
static void take(tile_state *at, uint64_t i, const dw_weigh *weigh, float *scores) {
  const job *of = at->of;
  const dw_cpu_kernels *kernels = of->call->kernels;
  float *sums = at->sums + i * of->head_dim, most, weight;
  dw_weigh part = *weigh;
  kernels->cap(scores, of->scale, of->softcap, part.rows);
  kernels->exponentials(scores, part.rows, &most, &weight);
  part.weights = scores;
  part.y = at->split;
  kernels->weigh(&part);
  float all = most > at->most[i] ? most : at->most[i];
  float before = kernels->exp(at->most[i] - all), now = kernels->exp(most - all);
  kernels->combine(sums, before, at->split, now, of->head_dim);
  at->weight[i] = fmaf(at->weight[i], before, weight * now);
  at->most[i] = all;
}

static void attend_split(tile_state *at, uint64_t begin, uint64_t count) {
  const job *of = at->of;
  const void *blocks[SPLIT_ROWS / DW_CACHE_MIN_BLOCK_ROWS];
  dw_weigh weigh = {.blocks = blocks, .block_rows = least(of->cache->block_rows, SPLIT_ROWS),
                    .dtype = of->cache->desc.dtype, .width = of->head_dim};
  for (uint64_t row = 0; row < count; row += weigh.block_rows)
    blocks[row / weigh.block_rows] = cache_row(of, begin + row, at->head, true);
  score(at, begin, count);
  for (uint64_t i = 0; i < at->count; i++) {
    uint64_t seen = of->past + at->first + i / of->group + 1; // rows that this query attends to
    if (seen <= begin) continue;
    weigh.rows = least(count, seen - begin);
    take(at, i, &weigh, at->scores + i * SPLIT_ROWS);
  }
}

static void store_results(tile_state *at) {
  const job *of = at->of;
  const dw_cpu_kernels *kernels = of->call->kernels;
  for (uint64_t i = 0; i < at->count; i++) {
    float *sums = at->sums + i * of->head_dim;
    for (uint64_t d = 0; d < of->head_dim; d++) at->split[d] = at->weight[i];
    kernels->binary(DW_OP_Div, sums, at->split, sums, of->head_dim);
    uint64_t to = offset_of(of, &of->y, at->first + i / of->group, at->head * of->group + i % of->group);
    dw_cpu_store_run(kernels, &of->y, to, of->y.strides[3], of->head_dim, sums);
  }
}

static void attend_tile(void *arg, uint64_t tile, dw_worker *worker) {
  const job *of = arg;
  // Late rows first: they take longest.
  tile_state at = {.of = of, .head = tile % of->kv_heads,
                   .first = (of->row_tiles - 1 - tile / of->kv_heads) * of->rows_a_tile};
  at.rows = least(of->rows_a_tile, of->rows - at.first);
  at.count = at.rows * of->group;
  at.queries = (float *)worker->scratch;
  at.sums = at.queries + at.count * of->head_dim;
  at.scores = at.sums + at.count * of->head_dim;
  at.split = at.scores + at.count * SPLIT_ROWS;
  at.most = at.split + of->head_dim;
  at.weight = at.most + at.count;
  load_queries(&at);
  memset(at.sums, 0, at.count * of->head_dim * sizeof *at.sums);
  for (uint64_t i = 0; i < at.count; i++) {
    at.most[i] = -INFINITY; // the first split's factor for what was before is exp(-inf) = 0
    at.weight[i] = 0;
  }
  uint64_t end = of->past + at.first + at.rows;
  for (uint64_t begin = 0; begin < end; begin += SPLIT_ROWS) attend_split(&at, begin, least(SPLIT_ROWS, end - begin));
  store_results(&at);
}

void dw_cpu_attention(const dw_cpu_call *call) {
  const dw_op *op = call->op;
  job of = {.call = call, .q = dw_cpu_input(call, 0), .k = dw_cpu_input(call, 1), .v = dw_cpu_input(call, 2),
            .y = dw_cpu_output(call, 0), .layer = (uint32_t)op->i[3], .kv_heads = (uint64_t)op->i[1],
            .group = (uint64_t)op->i[0] / (uint64_t)op->i[1], .softcap = op->f[1]};
  of.cache = call->run->bindings[call->program->views[op->inputs[4]].index].cache;
  of.past = of.cache->rows;
  of.rows = of.q.dims[2];
  of.head_dim = of.cache->desc.head_dim;
  of.scale = op->f[0] != 0 ? op->f[0] : 1.0f / sqrtf((float)of.head_dim);
  of.rows_a_tile = rows_of_tile(of.group);
  of.row_tiles = (of.rows + of.rows_a_tile - 1) / of.rows_a_tile;
  if (of.rows == 0) return;
  dw_pool_for(call->pool, of.rows, append_tile, &of);
  dw_pool_for(call->pool, of.row_tiles * of.kv_heads, attend_tile, &of);
}
