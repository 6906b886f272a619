// A pool of threads that run one parallel section at a time.
//
// The first thread leads: it takes jobs from the pool's owner (pool_lead) and is
// the only one that calls dw_pool_for.  Between sections the others spin for a
// short while, then sleep.
#ifndef DW_CPU_POOL_H
#define DW_CPU_POOL_H

#include "driftwood.h"

#include <stdatomic.h>

typedef struct dw_pool dw_pool;

// What a tile gets: a thread of the pool with scratch memory of its own.
typedef struct dw_worker {
  uint32_t index;
  unsigned char *scratch;      // aligned to 64 bytes; as it was left by whatever ran before
} dw_worker;

typedef void dw_tile_fn(void *arg, uint64_t tile, dw_worker *worker);
typedef void dw_lead_fn(void *user);

// Starts `threads` threads; the first runs `lead(user)` and the pool ends after it
// returned.  NOMEM.
dw_status dw_pool_open(uint32_t threads, dw_lead_fn *lead, void *user, dw_pool **pool, dw_error *error);
// Joins all threads.  The caller made `lead` return.
void dw_pool_close(dw_pool *pool);

uint32_t dw_pool_threads(const dw_pool *pool);

// ---- On the leading thread only ------------------------------------------------------
// Makes every thread's scratch memory at least so large.  NOMEM.
dw_status dw_pool_scratch(dw_pool *pool, uint64_t size_bytes);

// Runs tiles 0 to count - 1 on all threads, in any order; returns when all are
// done.  While `cancel` is set, tiles that have not begun are left out.
void dw_pool_for(dw_pool *pool, uint64_t count, dw_tile_fn *tile, void *arg);
void dw_pool_cancel_by(dw_pool *pool, atomic_bool *cancel); // NULL: never

#endif
