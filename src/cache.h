// A cache: key and value rows of all layers of one conversation, with one length.
//
// Rows lie in blocks.  A block holds `block_rows` consecutive rows of one layer:
//
//     keys   [kv_heads][block_rows][head_dim]
//     values [kv_heads][block_rows][head_dim]
//     padding to a multiple of 16 KiB
//
// Blocks are reference-counted, so forks share them; a shared block is copied
// before it is written.  Row r lies in block r / block_rows at r % block_rows.
// The same layout serves kernels and files.  A block holds what was last written
// to it: behind the cache's length, in the last block, there may be rows of before
// a truncate, so kernels read no row that is neither committed nor just written.
//
// Every cache is charged for every block it holds, shared or not: so whoever goes
// last never finds the budget short.
//
// Threads: a cache belongs to one actor and is used by one thread at a time;
// the reference counts of blocks are atomic.
#ifndef DW_CACHE_H
#define DW_CACHE_H

#include "status.h"

#define DW_CACHE_BLOCK_ALIGNMENT 16384
#define DW_CACHE_MIN_BLOCK_ROWS 16

struct dw_device;
struct dw_buffer;

typedef struct dw_block dw_block;

typedef struct dw_cache {
  dw_cache_desc desc;
  struct dw_device *device;
  uint32_t element_bytes;
  uint32_t block_rows;         // a power of two
  uint64_t block_bytes;
  uint64_t max_blocks;         // of one layer
  uint64_t rows;               // committed length
  uint64_t held_blocks;        // of each layer: blocks [0, held_blocks) are there
  uint64_t copied_bytes;       // by copy-on-write, so far
  uint64_t *budget_bytes;      // what is left to the owner; NULL: unlimited
  dw_block **blocks;           // [layers][max_blocks], NULL where none is yet
} dw_cache;

#define DW_CACHE_MAX_LAYERS 4096
#define DW_CACHE_MAX_HEADS 1024
#define DW_CACHE_MAX_HEAD_DIM 4096
#define DW_CACHE_MAX_ROWS (UINT64_C(1) << 24)
#define DW_CACHE_MAX_TABLE (UINT64_C(1) << 21) // blocks of all layers together

// Checks the shape; allocates no block.  INVALID, LIMIT, UNSUPPORTED dtype.
// `budget_bytes` is drawn down by blocks and refilled when they go.
dw_status dw_cache_new(struct dw_device *device, const dw_cache_desc *desc, uint64_t *budget_bytes, dw_cache **cache,
                       dw_error *error);
void dw_cache_free(dw_cache *cache);

// Makes rows [rows, rows + count) of every layer writable: new blocks are zero,
// a shared one is copied, what is there already and not shared is kept as it is.
// LIMIT: more than max_rows, or than the budget.  On failure the cache is as before.
dw_status dw_cache_reserve(dw_cache *cache, uint64_t count, dw_error *error);

// The rows that a run has written become part of the cache.
void dw_cache_commit(dw_cache *cache, uint64_t count);

// What a run that did not end has written is no part of the cache and depends on
// when it was stopped: blocks behind the length are given back, and the rest of the
// last one is zero again.  NOMEM, or what the device answers.
dw_status dw_cache_forget(dw_cache *cache, dw_error *error);

// Forgets rows from `rows` on, and gives back the blocks that hold none of the
// others.  BOUNDS: more than there are.
dw_status dw_cache_truncate(dw_cache *cache, uint64_t rows, dw_error *error);

// A second cache with the same rows that shares every block of them.  LIMIT: the
// fork's budget.
dw_status dw_cache_fork(dw_cache *cache, uint64_t *budget_bytes, dw_cache **fork, dw_error *error);

// The bytes of a block, for kernels on devices with host memory.
unsigned char *dw_cache_block_host(const dw_cache *cache, uint32_t layer, uint64_t block);
struct dw_buffer *dw_cache_block_buffer(const dw_cache *cache, uint32_t layer, uint64_t block);
// How many caches hold the block: 0 where there is none.
uint32_t dw_cache_block_owners(const dw_cache *cache, uint32_t layer, uint64_t block);
// Bytes of blocks that this cache holds, shared ones included.
uint64_t dw_cache_bytes(const dw_cache *cache);

// Offsets inside a block, in elements.
static inline uint64_t dw_cache_key_offset(const dw_cache *cache, uint32_t head, uint64_t row_in_block) {
  return ((uint64_t)head * cache->block_rows + row_in_block) * cache->desc.head_dim;
}
static inline uint64_t dw_cache_value_offset(const dw_cache *cache, uint32_t head, uint64_t row_in_block) {
  return dw_cache_key_offset(cache, cache->desc.kv_heads + head, row_in_block);
}

#endif
