#include "pool.h"

#include "status.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define SPIN_NS 40000          // how long a thread waits awake for the next section
#define SPINS_A_LOOK 64        // between looks at the clock

typedef struct thread {
  dw_pool *pool;
  pthread_t handle;
  dw_worker worker;
  uint64_t scratch_bytes;
} thread;

// A section is published by raising `section`; its threads take tiles from `next`
// and raise `arrived` when there are none left for them.
struct dw_pool {
  uint32_t threads;
  thread *members;
  dw_lead_fn *lead;
  void *user;

  dw_tile_fn *tile;            // of the current section
  void *arg;
  uint64_t count;
  atomic_bool *cancel;
  _Alignas(64) atomic_uint_fast64_t next;
  _Alignas(64) atomic_uint arrived;
  _Alignas(64) atomic_uint section;
  atomic_bool ending;
  atomic_uint sleepers;
  pthread_mutex_t lock;
  pthread_cond_t wake;
};

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void relax(void) {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The arithmetic of the canonical order needs denormals and rounding to nearest,
// whatever the thread that opened the device had set.
static void set_arithmetic(void) {
#if defined(__x86_64__)
  _mm_setcsr(0x1F80);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)0));
#endif
}

// ---- Sections ---------------------------------------------------------------------------

static void take_tiles(dw_pool *pool, dw_worker *worker) {
  for (;;) {
    uint64_t tile = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
    if (tile >= pool->count) return;
    if (pool->cancel && atomic_load_explicit(pool->cancel, memory_order_relaxed)) return;
    pool->tile(pool->arg, tile, worker);
  }
}

static void await_others(dw_pool *pool) {
  uint64_t since = 0;
  for (uint32_t spins = 0; atomic_load_explicit(&pool->arrived, memory_order_acquire) != pool->threads - 1; spins++) {
    relax();
    if (spins % SPINS_A_LOOK != SPINS_A_LOOK - 1) continue;
    if (!since) since = now_ns();
    else if (now_ns() - since > SPIN_NS) sched_yield(); // another process may hold our processor
  }
}

void dw_pool_for(dw_pool *pool, uint64_t count, dw_tile_fn *tile, void *arg) {
  dw_worker *leader = &pool->members[0].worker;
  pool->tile = tile;
  pool->arg = arg;
  pool->count = count;
  atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
  if (count < 2 || pool->threads == 1) {
    take_tiles(pool, leader);
    return;
  }
  atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
  atomic_fetch_add(&pool->section, 1);
  if (atomic_load(&pool->sleepers)) {
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
  }
  take_tiles(pool, leader);
  await_others(pool);
}

void dw_pool_cancel_by(dw_pool *pool, atomic_bool *cancel) { pool->cancel = cancel; }

static bool is_called(dw_pool *pool, unsigned seen) {
  return atomic_load_explicit(&pool->section, memory_order_acquire) != seen || atomic_load(&pool->ending);
}

static void sleep_until_called(dw_pool *pool, unsigned seen) {
  pthread_mutex_lock(&pool->lock);
  // Counted before the last look: whoever raises the section after it sees a sleeper.
  atomic_fetch_add(&pool->sleepers, 1);
  while (atomic_load(&pool->section) == seen && !atomic_load(&pool->ending)) pthread_cond_wait(&pool->wake, &pool->lock);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->lock);
}

static void await_section(dw_pool *pool, unsigned seen) {
  uint64_t since = 0;
  for (uint32_t spins = 0; !is_called(pool, seen); spins++) {
    relax();
    if (spins % SPINS_A_LOOK != SPINS_A_LOOK - 1) continue;
    if (!since) since = now_ns();
    else if (now_ns() - since > SPIN_NS) return sleep_until_called(pool, seen);
  }
}

static void *follow(void *arg) {
  thread *self = arg;
  dw_pool *pool = self->pool;
  set_arithmetic();
  for (unsigned seen = 0;; seen++) {
    await_section(pool, seen);
    if (atomic_load(&pool->section) == seen) return NULL; // ending
    take_tiles(pool, &self->worker);
    atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_release);
  }
}

static void *lead(void *arg) {
  thread *self = arg;
  set_arithmetic();
  self->pool->lead(self->pool->user);
  return NULL;
}

// ---- Life -------------------------------------------------------------------------------

static void end_followers(dw_pool *pool, uint32_t started) {
  pthread_mutex_lock(&pool->lock);
  atomic_store(&pool->ending, true);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
  for (uint32_t i = 1; i < started; i++) pthread_join(pool->members[i].handle, NULL);
}

static void free_pool(dw_pool *pool) {
  for (uint32_t i = 0; i < pool->threads; i++) free(pool->members[i].worker.scratch);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->lock);
  free(pool->members);
  free(pool);
}

dw_status dw_pool_open(uint32_t threads, dw_lead_fn *lead_fn, void *user, dw_pool **answer, dw_error *error) {
  dw_pool *pool = aligned_alloc(64, sizeof *pool);
  thread *members = calloc(threads, sizeof *members);
  if (!pool || !members) {
    free(pool);
    free(members);
    return dw_fail(error, DW_NOMEM, "a pool of %u threads", threads);
  }
  memset(pool, 0, sizeof *pool);
  pool->threads = threads;
  pool->members = members;
  pool->lead = lead_fn;
  pool->user = user;
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->wake, NULL);
  // Followers first: the leader may begin at once. It is last, so it is started alone.
  for (uint32_t at = 1; at <= threads; at++) {
    uint32_t i = at % threads;
    members[i].pool = pool;
    members[i].worker.index = i;
    int failed = pthread_create(&members[i].handle, NULL, i ? follow : lead, &members[i]);
    if (failed) {
      end_followers(pool, at);
      free_pool(pool);
      return dw_fail_errno(error, failed, "a thread of the CPU device");
    }
  }
  *answer = pool;
  return DW_OK;
}

void dw_pool_close(dw_pool *pool) {
  pthread_join(pool->members[0].handle, NULL);
  end_followers(pool, pool->threads);
  free_pool(pool);
}

uint32_t dw_pool_threads(const dw_pool *pool) { return pool->threads; }

dw_status dw_pool_scratch(dw_pool *pool, uint64_t size_bytes) {
  size_bytes = (size_bytes + 63) / 64 * 64;
  for (uint32_t i = 0; i < pool->threads; i++) {
    thread *member = &pool->members[i];
    if (member->scratch_bytes >= size_bytes) continue;
    free(member->worker.scratch);
    member->scratch_bytes = 0;
    member->worker.scratch = aligned_alloc(64, size_bytes);
    if (!member->worker.scratch) return DW_NOMEM;
    member->scratch_bytes = size_bytes;
  }
  return DW_OK;
}
