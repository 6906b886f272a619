#include "cache.h"

#include "device/device.h"
#include "program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct dw_block {
  atomic_uint owners;
  dw_buffer *buffer;
};

// ---- Blocks -------------------------------------------------------------------------

static void release_buffer(dw_buffer *buffer) { buffer->device->class_->release(buffer); }

static void release_block(dw_block *block) {
  // The last owner must see every write that the others made before they let go.
  if (atomic_fetch_sub_explicit(&block->owners, 1, memory_order_acq_rel) != 1) return;
  release_buffer(block->buffer);
  free(block);
}

static bool is_shared(dw_block *block) { return atomic_load_explicit(&block->owners, memory_order_acquire) > 1; }

static dw_status new_block(const dw_cache *cache, dw_block **answer, dw_error *error) {
  dw_block *block = calloc(1, sizeof *block);
  if (!block) return dw_fail(error, DW_NOMEM, "a cache block");
  dw_status status = cache->device->class_->allocate(cache->device, cache->block_bytes, &block->buffer, error);
  if (status != DW_OK) {
    free(block);
    return status;
  }
  atomic_init(&block->owners, 1);
  *answer = block;
  return DW_OK;
}

static dw_status copy_block(const dw_cache *cache, dw_block *to, dw_block *from, dw_error *error) {
  if (to->buffer->host && from->buffer->host) {
    memcpy(to->buffer->host, from->buffer->host, cache->block_bytes);
    return DW_OK;
  }
  void *bytes = malloc(cache->block_bytes);
  if (!bytes) return dw_fail(error, DW_NOMEM, "copying a cache block");
  dw_status status = cache->device->class_->download(from->buffer, 0, bytes, cache->block_bytes, error);
  if (status == DW_OK) status = cache->device->class_->upload(to->buffer, 0, bytes, cache->block_bytes, error);
  free(bytes);
  return status;
}

static dw_block **entry(const dw_cache *cache, uint32_t layer, uint64_t block) {
  return &cache->blocks[layer * cache->max_blocks + block];
}

// ---- Budget -------------------------------------------------------------------------

static dw_status charge(dw_cache *cache, uint64_t size_bytes, dw_error *error) {
  if (!cache->budget_bytes) return DW_OK;
  if (size_bytes > *cache->budget_bytes)
    return dw_fail(error, DW_LIMIT, "the cache needs %llu bytes more, %llu are left", (unsigned long long)size_bytes,
                   (unsigned long long)*cache->budget_bytes);
  *cache->budget_bytes -= size_bytes;
  return DW_OK;
}

static void refund(dw_cache *cache, uint64_t size_bytes) {
  if (cache->budget_bytes) *cache->budget_bytes += size_bytes;
}

// ---- Life ---------------------------------------------------------------------------

static dw_status check_desc(const dw_cache_desc *desc, dw_error *error) {
  if (desc->dtype != DW_F32 && desc->dtype != DW_F16)
    return dw_fail(error, DW_UNSUPPORTED, "a cache of %s; F32 and F16 are offered", dw_dtype_name(desc->dtype));
  if (!desc->layers || !desc->kv_heads || !desc->head_dim || !desc->max_rows)
    return dw_fail(error, DW_INVALID, "a cache of %u layers, %u heads of %u and %llu rows", desc->layers,
                   desc->kv_heads, desc->head_dim, (unsigned long long)desc->max_rows);
  if (!isfinite(desc->rope_theta)) return dw_fail(error, DW_INVALID, "a cache whose rope_theta is not finite");
  if (desc->layers > DW_CACHE_MAX_LAYERS || desc->kv_heads > DW_CACHE_MAX_HEADS ||
      desc->head_dim > DW_CACHE_MAX_HEAD_DIM || desc->max_rows > DW_CACHE_MAX_ROWS)
    return dw_fail(error, DW_LIMIT, "a cache of %u layers, %u heads of %u and %llu rows", desc->layers, desc->kv_heads,
                   desc->head_dim, (unsigned long long)desc->max_rows);
  return DW_OK;
}

// The limits above keep every product below within 64 bits.
static void lay_out(dw_cache *cache) {
  uint64_t row_bytes = UINT64_C(2) * cache->desc.kv_heads * cache->desc.head_dim * cache->element_bytes;
  cache->block_rows = DW_CACHE_MIN_BLOCK_ROWS;
  while (cache->block_rows * row_bytes < DW_CACHE_BLOCK_ALIGNMENT) cache->block_rows *= 2;
  uint64_t payload_bytes = cache->block_rows * row_bytes;
  cache->block_bytes = (payload_bytes + DW_CACHE_BLOCK_ALIGNMENT - 1) / DW_CACHE_BLOCK_ALIGNMENT *
                       DW_CACHE_BLOCK_ALIGNMENT;
  cache->max_blocks = (cache->desc.max_rows + cache->block_rows - 1) / cache->block_rows;
}

dw_status dw_cache_new(dw_device *device, const dw_cache_desc *desc, uint64_t *budget_bytes, dw_cache **answer,
                       dw_error *error) {
  *answer = NULL;
  dw_status status = check_desc(desc, error);
  if (status != DW_OK) return status;
  dw_cache layout = {.desc = *desc, .device = device, .element_bytes = dw_dtype_bytes(desc->dtype),
                     .budget_bytes = budget_bytes};
  lay_out(&layout);
  if (layout.max_blocks * desc->layers > DW_CACHE_MAX_TABLE)
    return dw_fail(error, DW_LIMIT, "a cache of %u layers and %llu rows", desc->layers,
                   (unsigned long long)desc->max_rows);
  if (layout.block_bytes > device->max_binding_bytes)
    return dw_fail(error, DW_LIMIT, "cache blocks of %llu bytes, but %s binds %llu at most",
                   (unsigned long long)layout.block_bytes, device->name,
                   (unsigned long long)device->max_binding_bytes);
  dw_cache *cache = malloc(sizeof *cache);
  layout.blocks = calloc(layout.max_blocks * desc->layers, sizeof *layout.blocks);
  if (!cache || !layout.blocks) {
    free(cache);
    free(layout.blocks);
    return dw_fail(error, DW_NOMEM, "a cache");
  }
  *cache = layout;
  *answer = cache;
  return DW_OK;
}

// Lets blocks [first, held) of every layer go.
static void drop_blocks(dw_cache *cache, uint64_t first) {
  if (first >= cache->held_blocks) return;
  for (uint32_t layer = 0; layer < cache->desc.layers; layer++) {
    for (uint64_t block = first; block < cache->held_blocks; block++) {
      release_block(*entry(cache, layer, block));
      *entry(cache, layer, block) = NULL;
    }
  }
  refund(cache, (cache->held_blocks - first) * cache->desc.layers * cache->block_bytes);
  cache->held_blocks = first;
}

void dw_cache_free(dw_cache *cache) {
  if (!cache) return;
  drop_blocks(cache, 0);
  free(cache->blocks);
  free(cache);
}

// ---- Rows ---------------------------------------------------------------------------

static uint64_t blocks_of(const dw_cache *cache, uint64_t rows) {
  return (rows + cache->block_rows - 1) / cache->block_rows;
}

// What a reservation replaces or adds; installed when all of it is there.
typedef struct change {
  dw_block **entry;
  dw_block *block;
} change;

typedef struct changes {
  change *list;
  uint64_t count;
  uint64_t copied_bytes;
} changes;

static dw_status prepare(const dw_cache *cache, dw_block **at, bool keep, changes *made, dw_error *error) {
  if (*at && !is_shared(*at)) return DW_OK;
  change *next = &made->list[made->count];
  dw_status status = new_block(cache, &next->block, error);
  if (status != DW_OK) return status;
  next->entry = at;
  made->count++;
  if (!*at || !keep) return DW_OK;
  made->copied_bytes += cache->block_bytes;
  return copy_block(cache, next->block, *at, error);
}

static dw_status prepare_all(const dw_cache *cache, uint64_t first, uint64_t end, changes *made, dw_error *error) {
  dw_status status = DW_OK;
  for (uint32_t layer = 0; layer < cache->desc.layers; layer++) {
    for (uint64_t block = first; status == DW_OK && block < end; block++) {
      bool keep = block * cache->block_rows < cache->rows; // it has rows that count
      status = prepare(cache, entry(cache, layer, block), keep, made, error);
    }
  }
  return status;
}

static void install(dw_cache *cache, changes *made) {
  for (uint64_t i = 0; i < made->count; i++) {
    if (*made->list[i].entry) release_block(*made->list[i].entry);
    *made->list[i].entry = made->list[i].block;
  }
  cache->copied_bytes += made->copied_bytes;
}

dw_status dw_cache_reserve(dw_cache *cache, uint64_t count, dw_error *error) {
  if (count > cache->desc.max_rows - cache->rows)
    return dw_fail(error, DW_LIMIT, "%llu rows more than the %llu of %llu", (unsigned long long)count,
                   (unsigned long long)cache->rows, (unsigned long long)cache->desc.max_rows);
  if (count == 0) return DW_OK;
  uint64_t first = cache->rows / cache->block_rows, end = blocks_of(cache, cache->rows + count);
  uint64_t more = end > cache->held_blocks ? end - cache->held_blocks : 0;
  uint64_t more_bytes = more * cache->desc.layers * cache->block_bytes;
  dw_status status = charge(cache, more_bytes, error);
  if (status != DW_OK) return status;
  changes made = {.list = malloc((end - first) * cache->desc.layers * sizeof *made.list)};
  status = made.list ? prepare_all(cache, first, end, &made, error) : dw_fail(error, DW_NOMEM, "cache blocks");
  if (status == DW_OK) {
    install(cache, &made);
    cache->held_blocks += more;
  } else {
    for (uint64_t i = 0; i < made.count; i++) release_block(made.list[i].block);
    refund(cache, more_bytes);
  }
  free(made.list);
  return status;
}

void dw_cache_commit(dw_cache *cache, uint64_t count) { cache->rows += count; }

// Rows [from, block_rows) of a block, keys and values of all heads.
static dw_status clear_rows(const dw_cache *cache, dw_block *block, uint64_t from, const void *zeros, dw_error *error) {
  uint64_t size_bytes = (cache->block_rows - from) * cache->desc.head_dim * cache->element_bytes;
  dw_status status = DW_OK;
  for (uint32_t head = 0; status == DW_OK && head < 2 * cache->desc.kv_heads; head++)
    status = cache->device->class_->upload(block->buffer, dw_cache_key_offset(cache, head, from) * cache->element_bytes,
                                           zeros, size_bytes, error);
  return status;
}

dw_status dw_cache_forget(dw_cache *cache, dw_error *error) {
  uint64_t last = cache->rows / cache->block_rows, from = cache->rows % cache->block_rows;
  drop_blocks(cache, blocks_of(cache, cache->rows));
  if (from == 0) return DW_OK;
  void *zeros = calloc((cache->block_rows - from) * cache->desc.head_dim, cache->element_bytes);
  if (!zeros) return dw_fail(error, DW_NOMEM, "clearing a cache block");
  dw_status status = DW_OK;
  for (uint32_t layer = 0; status == DW_OK && layer < cache->desc.layers; layer++) {
    dw_block *block = *entry(cache, layer, last);
    if (!is_shared(block)) status = clear_rows(cache, block, from, zeros, error); // a shared one was not written
  }
  free(zeros);
  return status;
}

dw_status dw_cache_truncate(dw_cache *cache, uint64_t rows, dw_error *error) {
  if (rows > cache->rows)
    return dw_fail(error, DW_BOUNDS, "%llu rows of a cache that has %llu", (unsigned long long)rows,
                   (unsigned long long)cache->rows);
  cache->rows = rows;
  drop_blocks(cache, blocks_of(cache, rows));
  return DW_OK;
}

dw_status dw_cache_fork(dw_cache *cache, uint64_t *budget_bytes, dw_cache **answer, dw_error *error) {
  dw_cache *fork;
  *answer = NULL;
  dw_status status = dw_cache_new(cache->device, &cache->desc, budget_bytes, &fork, error);
  if (status != DW_OK) return status;
  uint64_t blocks = blocks_of(cache, cache->rows);
  status = charge(fork, blocks * cache->desc.layers * cache->block_bytes, error);
  if (status != DW_OK) {
    dw_cache_free(fork);
    return status;
  }
  for (uint32_t layer = 0; layer < cache->desc.layers; layer++) {
    for (uint64_t block = 0; block < blocks; block++) {
      dw_block *shared = *entry(cache, layer, block);
      atomic_fetch_add_explicit(&shared->owners, 1, memory_order_relaxed);
      *entry(fork, layer, block) = shared;
    }
  }
  fork->rows = cache->rows;
  fork->held_blocks = blocks;
  *answer = fork;
  return DW_OK;
}

// ---- Looking ------------------------------------------------------------------------

static dw_block *look(const dw_cache *cache, uint32_t layer, uint64_t block) {
  return layer < cache->desc.layers && block < cache->held_blocks ? *entry(cache, layer, block) : NULL;
}

unsigned char *dw_cache_block_host(const dw_cache *cache, uint32_t layer, uint64_t block) {
  dw_block *found = look(cache, layer, block);
  return found ? found->buffer->host : NULL;
}

dw_buffer *dw_cache_block_buffer(const dw_cache *cache, uint32_t layer, uint64_t block) {
  dw_block *found = look(cache, layer, block);
  return found ? found->buffer : NULL;
}

uint32_t dw_cache_block_owners(const dw_cache *cache, uint32_t layer, uint64_t block) {
  dw_block *found = look(cache, layer, block);
  return found ? atomic_load_explicit(&found->owners, memory_order_relaxed) : 0;
}

uint64_t dw_cache_bytes(const dw_cache *cache) {
  return cache->held_blocks * cache->desc.layers * cache->block_bytes;
}
