#include "dw_test.h"

#include "cache.h"
#include "fake/fake_device.h"

#include <math.h>
#include <pthread.h>

static dw_error error;
static dw_fake *fake;
static dw_device *device;

static void open_device(const dw_fake_options *options) {
  fake = dw_fake_new(options);
  const dw_device_options with = {.user = fake};
  CHECK_OK(dw_fake_device_class.open(&with, &device, &error), &error);
}

static void close_device(void) {
  device->class_->close(device);
  CHECK_EQ(dw_fake_live(fake), 0);
  dw_fake_free(fake);
}

static const dw_cache_desc small = {.dtype = DW_F32, .layers = 3, .kv_heads = 2, .head_dim = 64, .max_rows = 100,
                                    .rope_theta = 10000};

static dw_cache *new_cache(const dw_cache_desc *desc, uint64_t *budget_bytes) {
  dw_cache *cache;
  CHECK_OK(dw_cache_new(device, desc, budget_bytes, &cache, &error), &error);
  return cache;
}

// What a test writes to a row: a value for each place.
static float value_of(uint32_t layer, uint32_t head, uint64_t row, bool key) {
  return (float)(layer * 10000 + head * 1000 + row * 2 + key);
}

// The elements of a block, read and written back through the device where it has no host pointer.
static void with_block(dw_cache *cache, uint32_t layer, uint64_t block, float *elements, bool write) {
  dw_buffer *buffer = dw_cache_block_buffer(cache, layer, block);
  CHECK(buffer != NULL);
  CHECK_EQ(buffer->size_bytes, cache->block_bytes);
  if (write) CHECK_OK(device->class_->upload(buffer, 0, elements, cache->block_bytes, &error), &error);
  else CHECK_OK(device->class_->download(buffer, 0, elements, cache->block_bytes, &error), &error);
}

static void append(dw_cache *cache, uint64_t count) {
  CHECK_OK(dw_cache_reserve(cache, count, &error), &error);
  float *elements = malloc(cache->block_bytes);
  for (uint32_t layer = 0; layer < cache->desc.layers; layer++) {
    for (uint64_t row = cache->rows; row < cache->rows + count; row++) {
      uint64_t block = row / cache->block_rows, at = row % cache->block_rows;
      with_block(cache, layer, block, elements, false);
      for (uint32_t head = 0; head < cache->desc.kv_heads; head++) {
        elements[dw_cache_key_offset(cache, head, at) + cache->desc.head_dim - 1] = value_of(layer, head, row, true);
        elements[dw_cache_value_offset(cache, head, at)] = value_of(layer, head, row, false);
      }
      with_block(cache, layer, block, elements, true);
    }
  }
  free(elements);
  dw_cache_commit(cache, count);
}

static void check_rows(dw_cache *cache) {
  float *elements = malloc(cache->block_bytes);
  for (uint32_t layer = 0; layer < cache->desc.layers; layer++) {
    for (uint64_t row = 0; row < cache->rows; row++) {
      uint64_t at = row % cache->block_rows;
      with_block(cache, layer, row / cache->block_rows, elements, false);
      for (uint32_t head = 0; head < cache->desc.kv_heads; head++) {
        CHECK(elements[dw_cache_key_offset(cache, head, at) + cache->desc.head_dim - 1] ==
              value_of(layer, head, row, true));
        CHECK(elements[dw_cache_value_offset(cache, head, at)] == value_of(layer, head, row, false));
      }
    }
  }
  free(elements);
}

static void test_layout(void) {
  open_device(NULL);
  const struct {
    dw_cache_desc desc;
    uint32_t block_rows;
    uint64_t block_bytes, max_blocks;
  } shapes[] = {
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 2, .head_dim = 64, .max_rows = 100}, 16, 16384, 7},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 8, .head_dim = 64, .max_rows = 16}, 16, 65536, 1},
      {{.dtype = DW_F16, .layers = 1, .kv_heads = 2, .head_dim = 64, .max_rows = 33}, 32, 16384, 2},
      {{.dtype = DW_F16, .layers = 1, .kv_heads = 1, .head_dim = 1, .max_rows = 1}, 4096, 16384, 1},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 3, .head_dim = 48, .max_rows = 64}, 16, 32768, 4},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 1024, .head_dim = 4096, .max_rows = 17}, 16, UINT64_C(1) << 29, 2},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    dw_cache *cache = new_cache(&shapes[i].desc, NULL);
    CHECK_EQ(cache->block_rows, shapes[i].block_rows);
    CHECK_EQ(cache->block_bytes, shapes[i].block_bytes);
    CHECK_EQ(cache->max_blocks, shapes[i].max_blocks);
    CHECK_EQ(cache->rows, 0);
    uint64_t last = dw_cache_value_offset(cache, cache->desc.kv_heads - 1, cache->block_rows - 1);
    CHECK((last + cache->desc.head_dim) * cache->element_bytes <= cache->block_bytes);
    CHECK_EQ(dw_cache_bytes(cache), 0);
    dw_cache_free(cache);
  }
  CHECK_EQ(dw_fake_count(fake, DW_FAKE_ALLOCATE), 0);
  dw_cache_free(NULL);
  close_device();
}

static void test_refused(void) {
  open_device(&(dw_fake_options){.max_binding_bytes = 1 << 20});
  const struct {
    dw_cache_desc desc;
    dw_status status;
  } wrong[] = {
      {{.dtype = DW_BF16, .layers = 1, .kv_heads = 1, .head_dim = 1, .max_rows = 1}, DW_UNSUPPORTED},
      {{.dtype = 0, .layers = 1, .kv_heads = 1, .head_dim = 1, .max_rows = 1}, DW_UNSUPPORTED},
      {{.dtype = UINT32_MAX, .layers = 1, .kv_heads = 1, .head_dim = 1, .max_rows = 1}, DW_UNSUPPORTED},
      {{.dtype = DW_F32, .layers = 0, .kv_heads = 1, .head_dim = 1, .max_rows = 1}, DW_INVALID},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 0, .head_dim = 1, .max_rows = 1}, DW_INVALID},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 1, .head_dim = 0, .max_rows = 1}, DW_INVALID},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 1, .head_dim = 1, .max_rows = 0}, DW_INVALID},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 1, .head_dim = 1, .max_rows = 1, .rope_theta = NAN}, DW_INVALID},
      {{.dtype = DW_F32, .layers = 4097, .kv_heads = 1, .head_dim = 1, .max_rows = 1}, DW_LIMIT},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = UINT32_MAX, .head_dim = 1, .max_rows = 1}, DW_LIMIT},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 1, .head_dim = UINT32_MAX, .max_rows = 1}, DW_LIMIT},
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 1, .head_dim = 1, .max_rows = UINT64_MAX}, DW_LIMIT},
      {{.dtype = DW_F32, .layers = UINT32_MAX, .kv_heads = UINT32_MAX, .head_dim = UINT32_MAX,
        .max_rows = UINT64_MAX}, DW_LIMIT},
      {{.dtype = DW_F32, .layers = 4096, .kv_heads = 8, .head_dim = 64, .max_rows = 1 << 24}, DW_LIMIT}, // the table
      {{.dtype = DW_F32, .layers = 1, .kv_heads = 64, .head_dim = 256, .max_rows = 1}, DW_LIMIT}, // 2 MiB a block
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    dw_cache *cache = (dw_cache *)&error;
    CHECK_STATUS(dw_cache_new(device, &wrong[i].desc, NULL, &cache, &error), wrong[i].status, &error);
    CHECK(cache == NULL);
  }
  close_device();
}

static void test_append(void) {
  open_device(NULL);
  dw_cache *cache = new_cache(&small, NULL);
  const uint64_t counts[] = {1, 1, 14, 1, 15, 40, 28};
  uint64_t rows = 0;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    append(cache, counts[i]);
    rows += counts[i];
    CHECK_EQ(cache->rows, rows);
    CHECK_EQ(dw_cache_bytes(cache), (rows + 15) / 16 * 3 * cache->block_bytes);
    check_rows(cache);
  }
  CHECK_EQ(rows, 100);
  CHECK_EQ(dw_fake_count(fake, DW_FAKE_ALLOCATE), 7 * 3);
  CHECK_EQ(cache->copied_bytes, 0);
  CHECK_STATUS(dw_cache_reserve(cache, 1, &error), DW_LIMIT, &error);
  CHECK_STATUS(dw_cache_reserve(cache, UINT64_MAX, &error), DW_LIMIT, &error);
  CHECK_OK(dw_cache_reserve(cache, 0, &error), &error);
  check_rows(cache);
  dw_cache_free(cache);
  close_device();
}

static void test_reserve_again(void) {
  open_device(NULL);
  dw_cache *cache = new_cache(&small, NULL);
  CHECK_OK(dw_cache_reserve(cache, 20, &error), &error);
  CHECK_OK(dw_cache_reserve(cache, 20, &error), &error); // a run that failed leaves its blocks
  CHECK_OK(dw_cache_reserve(cache, 32, &error), &error);
  CHECK_EQ(dw_fake_count(fake, DW_FAKE_ALLOCATE), 2 * 3);
  CHECK_EQ(cache->rows, 0);
  for (uint32_t layer = 0; layer < 3; layer++) {
    unsigned char *bytes = dw_cache_block_host(cache, layer, 1);
    for (uint64_t i = 0; i < cache->block_bytes; i++) CHECK(bytes[i] == 0);
  }
  CHECK(dw_cache_block_host(cache, 0, 2) == NULL);
  CHECK(dw_cache_block_buffer(cache, 3, 0) == NULL);
  CHECK_EQ(dw_cache_block_owners(cache, 0, 0), 1);
  CHECK_EQ(dw_cache_block_owners(cache, 0, UINT64_MAX), 0);
  CHECK_OK(dw_cache_truncate(cache, 0, &error), &error);
  CHECK_EQ(dw_cache_bytes(cache), 0);
  dw_cache_free(cache);
  close_device();
}

static void test_truncate(void) {
  open_device(NULL);
  uint64_t budget = 1 << 30;
  dw_cache *cache = new_cache(&small, &budget);
  append(cache, 50);
  CHECK_STATUS(dw_cache_truncate(cache, 51, &error), DW_BOUNDS, &error);
  CHECK_OK(dw_cache_truncate(cache, 50, &error), &error);
  CHECK_EQ(dw_cache_bytes(cache), 4 * 3 * cache->block_bytes);
  CHECK_OK(dw_cache_truncate(cache, 33, &error), &error);
  CHECK_EQ(dw_cache_bytes(cache), 3 * 3 * cache->block_bytes);
  CHECK_OK(dw_cache_truncate(cache, 32, &error), &error);
  CHECK_EQ(dw_cache_bytes(cache), 2 * 3 * cache->block_bytes);
  CHECK_EQ(budget, (1 << 30) - 2 * 3 * cache->block_bytes);
  CHECK(dw_cache_block_buffer(cache, 0, 2) == NULL);
  check_rows(cache);
  append(cache, 10);
  check_rows(cache);
  CHECK_OK(dw_cache_truncate(cache, 0, &error), &error);
  CHECK_EQ(budget, 1 << 30);
  CHECK_EQ(cache->copied_bytes, 0);
  dw_cache_free(cache);
  close_device();
}

// What a run that did not end wrote depends on when it was stopped.
static void check_forget(bool discrete) {
  open_device(&(dw_fake_options){.discrete = discrete});
  uint64_t budget = 1 << 30;
  dw_cache *cache = new_cache(&small, &budget);
  append(cache, 20);
  uint64_t before = budget, end = 3 * cache->block_rows;
  CHECK_OK(dw_cache_reserve(cache, end - 20, &error), &error);
  float *elements = malloc(cache->block_bytes);
  for (uint32_t layer = 0; layer < small.layers; layer++) {
    with_block(cache, layer, 1, elements, false);
    for (uint64_t row = 20 - cache->block_rows; row < cache->block_rows; row++)
      for (uint32_t head = 0; head < 2 * small.kv_heads; head++) // keys, then values
        elements[dw_cache_key_offset(cache, head, row) + row] = 7;
    with_block(cache, layer, 1, elements, true);
  }
  CHECK_OK(dw_cache_forget(cache, &error), &error);
  CHECK_EQ(budget, before);
  CHECK_EQ(cache->rows, 20);
  check_rows(cache);
  CHECK_OK(dw_cache_reserve(cache, 1, &error), &error);
  for (uint32_t layer = 0; layer < small.layers; layer++) {
    with_block(cache, layer, 1, elements, false);
    for (uint64_t row = 20 - cache->block_rows; row < cache->block_rows; row++)
      for (uint32_t head = 0; head < 2 * small.kv_heads; head++)
        for (uint32_t i = 0; i < small.head_dim; i++) CHECK(elements[dw_cache_key_offset(cache, head, row) + i] == 0);
  }
  free(elements);
  CHECK_OK(dw_cache_truncate(cache, 16, &error), &error); // nothing behind a full block
  CHECK_OK(dw_cache_forget(cache, &error), &error);
  check_rows(cache);
  dw_cache_free(cache);
  CHECK_EQ(budget, 1 << 30);
  close_device();
}

static void test_forget(void) {
  check_forget(false);
  check_forget(true);
}

static void check_fork(bool discrete) {
  open_device(&(dw_fake_options){.discrete = discrete});
  uint64_t budget = 1 << 30, fork_budget = 1 << 30;
  dw_cache *cache = new_cache(&small, &budget), *fork;
  append(cache, 20);
  uint64_t allocated = dw_fake_count(fake, DW_FAKE_ALLOCATE), uploads = dw_fake_count(fake, DW_FAKE_UPLOAD);
  CHECK_OK(dw_cache_fork(cache, &fork_budget, &fork, &error), &error);
  CHECK_EQ(dw_fake_count(fake, DW_FAKE_ALLOCATE), allocated); // everything is shared
  CHECK_EQ(fork->rows, 20);
  CHECK_EQ(dw_cache_bytes(fork), dw_cache_bytes(cache));
  CHECK_EQ(budget, fork_budget);
  for (uint32_t layer = 0; layer < 3; layer++) {
    for (uint64_t block = 0; block < 2; block++) {
      CHECK(dw_cache_block_buffer(fork, layer, block) == dw_cache_block_buffer(cache, layer, block));
      CHECK_EQ(dw_cache_block_owners(fork, layer, block), 2);
    }
  }
  CHECK_EQ(discrete, dw_cache_block_host(fork, 0, 0) == NULL);
  CHECK_OK(dw_cache_reserve(fork, 1, &error), &error); // copies the last block of every layer
  CHECK_EQ(dw_fake_count(fake, DW_FAKE_ALLOCATE), allocated + 3);
  CHECK_EQ(dw_fake_count(fake, DW_FAKE_UPLOAD), uploads + (discrete ? 3 : 0));
  CHECK_EQ(fork->copied_bytes, 3 * fork->block_bytes);
  CHECK_EQ(budget, fork_budget);
  CHECK(dw_cache_block_buffer(fork, 0, 0) == dw_cache_block_buffer(cache, 0, 0));
  CHECK(dw_cache_block_buffer(fork, 0, 1) != dw_cache_block_buffer(cache, 0, 1));
  CHECK_EQ(dw_cache_block_owners(cache, 0, 1), 1);
  append(fork, 30);
  CHECK_EQ(cache->rows, 20);
  check_rows(cache);
  check_rows(fork);
  append(cache, 5); // nothing shared is in the way any more
  CHECK_EQ(cache->copied_bytes, 0);
  check_rows(cache);
  dw_cache_free(cache);
  CHECK_EQ(budget, 1 << 30);
  check_rows(fork);
  CHECK_EQ(dw_cache_block_owners(fork, 2, 0), 1);
  dw_cache_free(fork);
  CHECK_EQ(fork_budget, 1 << 30);
  close_device();
}

static void test_fork(void) { check_fork(false); }
static void test_fork_discrete(void) { check_fork(true); }

static void test_fork_full_blocks(void) {
  open_device(NULL);
  dw_cache *cache = new_cache(&small, NULL), *fork;
  append(cache, 32);
  CHECK_OK(dw_cache_reserve(cache, 16, &error), &error); // reserved rows are not the fork's
  CHECK_OK(dw_cache_fork(cache, NULL, &fork, &error), &error);
  CHECK_EQ(dw_cache_bytes(fork), 2 * 3 * cache->block_bytes);
  append(fork, 16);
  CHECK_EQ(fork->copied_bytes, 0); // whole blocks are never copied
  CHECK_OK(dw_cache_truncate(fork, 30, &error), &error);
  append(fork, 2);
  CHECK_EQ(fork->copied_bytes, 3 * fork->block_bytes);
  check_rows(fork);
  check_rows(cache);
  CHECK_OK(dw_cache_truncate(cache, 16, &error), &error);
  CHECK_EQ(dw_cache_block_owners(fork, 0, 0), 2);
  CHECK_OK(dw_cache_truncate(fork, 0, &error), &error);
  CHECK_EQ(dw_cache_block_owners(cache, 0, 0), 1);
  check_rows(cache);
  dw_cache_free(fork);
  dw_cache_free(cache);
  close_device();
}

// Every allocation and transfer fails once; the cache stays what it was.
static void test_failures(void) {
  open_device(&(dw_fake_options){.discrete = true});
  uint64_t budget = 1 << 30, before = 0;
  dw_cache *cache = new_cache(&small, &budget), *fork;
  append(cache, 20);
  CHECK_OK(dw_cache_fork(cache, NULL, &fork, &error), &error);
  before = budget;
  const dw_fake_call calls[] = {DW_FAKE_ALLOCATE, DW_FAKE_DOWNLOAD, DW_FAKE_UPLOAD};
  const uint64_t counts[] = {3 + 2 * 3, 3, 3}; // one shared and two new blocks of three layers
  for (size_t c = 0; c < 3; c++) {
    for (uint64_t nth = 1; nth <= counts[c]; nth++) {
      uint64_t live = dw_fake_live(fake);
      dw_fake_fail(fake, calls[c], nth, DW_NOMEM);
      CHECK_STATUS(dw_cache_reserve(cache, 40, &error), DW_NOMEM, &error);
      dw_fake_fail(fake, calls[c], 0, DW_OK);
      CHECK_EQ(dw_fake_live(fake), live);
      CHECK_EQ(budget, before);
      CHECK_EQ(cache->rows, 20);
      CHECK_EQ(cache->held_blocks, 2);
      CHECK_EQ(cache->copied_bytes, 0);
      CHECK_EQ(dw_cache_block_owners(cache, 1, 1), 2);
      check_rows(cache);
    }
  }
  append(cache, 40);
  check_rows(cache);
  check_rows(fork);
  dw_cache_free(fork);
  dw_cache_free(cache);
  CHECK_EQ(budget, 1 << 30);
  close_device();
}

static void test_budget(void) {
  open_device(NULL);
  uint64_t budget = 7 * 16384, fork_budget = 5 * 16384;
  dw_cache *cache = new_cache(&small, &budget), *fork;
  append(cache, 16);
  CHECK_EQ(budget, 4 * 16384);
  CHECK_STATUS(dw_cache_reserve(cache, 33, &error), DW_LIMIT, &error);
  CHECK_EQ(budget, 4 * 16384);
  append(cache, 16);
  CHECK_EQ(budget, 16384);
  CHECK_STATUS(dw_cache_reserve(cache, 1, &error), DW_LIMIT, &error);
  CHECK_STATUS(dw_cache_fork(cache, &fork_budget, &fork, &error), DW_LIMIT, &error);
  CHECK(fork == NULL);
  CHECK_EQ(fork_budget, 5 * 16384);
  fork_budget = 6 * 16384;
  CHECK_OK(dw_cache_truncate(cache, 31, &error), &error);
  CHECK_OK(dw_cache_fork(cache, &fork_budget, &fork, &error), &error);
  CHECK_EQ(fork_budget, 0);
  append(fork, 1); // a copy costs nothing: the shared block is given back for it
  CHECK_EQ(fork_budget, 0);
  check_rows(fork);
  dw_cache_free(cache);
  dw_cache_free(fork);
  CHECK_EQ(budget, 7 * 16384);
  CHECK_EQ(fork_budget, 6 * 16384);
  close_device();
}

// Two owners on two threads: counts are atomic, each copies what it writes.
static void *grow_fork(void *argument) {
  dw_cache *fork = argument;
  dw_error own;
  for (int i = 0; i < 50; i++) {
    if (dw_cache_reserve(fork, 1, &own) != DW_OK) return (void *)"reserve";
    dw_cache_commit(fork, 1);
    dw_cache *again;
    if (dw_cache_fork(fork, NULL, &again, &own) != DW_OK) return (void *)"fork";
    dw_cache_free(again);
  }
  dw_cache_free(fork);
  return NULL;
}

static void test_threads(void) {
  open_device(NULL);
  dw_cache *cache = new_cache(&small, NULL), *forks[3];
  append(cache, 40);
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) CHECK_OK(dw_cache_fork(cache, NULL, &forks[i], &error), &error);
  for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, grow_fork, forks[i]) == 0);
  for (int i = 0; i < 3; i++) {
    void *answer;
    pthread_join(threads[i], &answer);
    CHECK(answer == NULL);
  }
  check_rows(cache);
  CHECK_EQ(dw_cache_block_owners(cache, 0, 0), 1);
  dw_cache_free(cache);
  close_device();
}

static const dw_case cases[] = {
    {"layout", "blocks of at least 16 rows and 16 KiB", test_layout},
    {"refused", "absurd shapes are errors", test_refused},
    {"append", "rows go where the layout says, blocks come as needed", test_append},
    {"reserve_again", "blocks that are there are free", test_reserve_again},
    {"truncate", "whole blocks go back", test_truncate},
    {"forget", "rows of a run that did not end leave no trace", test_forget},
    {"fork", "a fork shares all and copies the block it writes", test_fork},
    {"fork_discrete", "the same in memory that the host cannot read", test_fork_discrete},
    {"fork_full_blocks", "only partial blocks are copied", test_fork_full_blocks},
    {"failures", "a failed reservation leaves the cache as before", test_failures},
    {"budget", "blocks are charged and refunded", test_budget},
    {"threads", "owners on several threads", test_threads},
};
DW_TEST_MAIN(cases)
