#include "dw_test.h"

#include "region.h"

#include <fcntl.h>
#include <pthread.h>

static dw_error error;

static dw_region *new_region(uint64_t size_bytes, uint64_t reserve_bytes, uint64_t guard_bytes) {
  dw_region *region;
  CHECK_OK(dw_region_new(size_bytes, reserve_bytes, guard_bytes, &region, &error), &error);
  CHECK(region != NULL);
  return region;
}

// The signal that ends a child which touches `address`; 0: none does.
static int touch_signal(volatile unsigned char *address, bool write) {
  fflush(NULL);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL); // a sanitizer's handler would turn it into an exit
    signal(SIGBUS, SIG_DFL);
    if (write) *address = 1;
    else (void)*address;
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

// How many bytes of [begin, end) /proc/self/maps lists as mapped in whatever way.
static uint64_t mapped_bytes(uintptr_t begin, uintptr_t end) {
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  char line[4096];
  uint64_t bytes = 0;
  while (fgets(line, sizeof line, maps)) {
    uintptr_t from, to;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) != 2) continue;
    if (from < begin) from = begin;
    if (to > end) to = end;
    if (from < to) bytes += to - from;
  }
  fclose(maps);
  return bytes;
}

static void test_page_size(void) {
  uint64_t page = dw_page_size();
  CHECK_EQ(page, sysconf(_SC_PAGESIZE));
  CHECK(page >= 4096 && (page & (page - 1)) == 0);
  CHECK_EQ(dw_page_size(), page);
}

static void test_commit(void) {
  uint64_t page = dw_page_size();
  dw_region *region = new_region(2 * page, 16 * page, 4 * page);
  unsigned char *base = dw_region_base(region);
  CHECK_EQ((uintptr_t)base % page, 0);
  CHECK_EQ(dw_region_size(region), 2 * page);
  CHECK_EQ(dw_region_reserved(region), 16 * page);
  for (uint64_t i = 0; i < 2 * page; i++) CHECK(base[i] == 0);
  memset(base, 7, 2 * page);
  CHECK_EQ(touch_signal(base + 2 * page - 1, true), 0);
  dw_region_release(region);
}

static void test_guard(void) {
  uint64_t page = dw_page_size();
  dw_region *region = new_region(2 * page, 8 * page, 2 * page);
  unsigned char *base = dw_region_base(region);
  const uint64_t outside[] = {2 * page, 3 * page, 8 * page - 1, 8 * page, 10 * page - 1};
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
    CHECK_EQ(touch_signal(base + outside[i], false), SIGSEGV);
    CHECK_EQ(touch_signal(base + outside[i], true), SIGSEGV);
  }
  dw_region_release(region);
}

static void test_grow(void) {
  uint64_t page = dw_page_size();
  dw_region *region = new_region(page, 64 * page, page);
  unsigned char *base = dw_region_base(region);
  for (uint64_t size = page; size < 64 * page; size += page) {
    base[size - 1] = (unsigned char)(size / page);
    CHECK_OK(dw_region_grow(region, size + page, &error), &error);
    CHECK(dw_region_base(region) == base);
    CHECK_EQ(dw_region_size(region), size + page);
    CHECK_EQ(base[size], 0);
  }
  for (uint64_t i = 1; i < 64; i++) CHECK_EQ(base[i * page - 1], i);
  CHECK_OK(dw_region_grow(region, 64 * page, &error), &error);
  CHECK_EQ(touch_signal(base + 64 * page, false), SIGSEGV);
  dw_region_release(region);
}

static void test_grow_refused(void) {
  uint64_t page = dw_page_size();
  dw_region *region = new_region(2 * page, 4 * page, 0);
  CHECK_STATUS(dw_region_grow(region, 4 * page + 1, &error), DW_LIMIT, &error);
  CHECK_STATUS(dw_region_grow(region, UINT64_MAX, &error), DW_LIMIT, &error);
  CHECK_STATUS(dw_region_grow(region, page, &error), DW_INVALID, &error);
  CHECK_STATUS(dw_region_grow(region, 0, &error), DW_INVALID, &error);
  CHECK_EQ(dw_region_size(region), 2 * page);
  CHECK_OK(dw_region_grow(region, 2 * page, &error), &error);
  dw_region_release(region);
}

static void test_rounding(void) {
  uint64_t page = dw_page_size();
  dw_region *region = new_region(1, page + 1, 1);
  CHECK_EQ(dw_region_size(region), page);
  CHECK_EQ(dw_region_reserved(region), 2 * page);
  uintptr_t base = (uintptr_t)dw_region_base(region);
  CHECK_EQ(mapped_bytes(base, base + 3 * page), 3 * page);
  CHECK_OK(dw_region_grow(region, page + 1, &error), &error);
  CHECK_EQ(dw_region_size(region), 2 * page);
  dw_region_release(region);
  region = new_region(0, page, 0);
  CHECK_EQ(dw_region_size(region), 0);
  CHECK_EQ(touch_signal(dw_region_base(region), false), SIGSEGV);
  dw_region_release(region);
}

static void test_new_refused(void) {
  dw_region *region = (dw_region *)&error;
  const struct {
    uint64_t size_bytes, reserve_bytes, guard_bytes;
    dw_status status;
  } wrong[] = {
      {2, 1, 0, DW_INVALID},
      {0, 0, 0, DW_INVALID},
      {0, UINT64_MAX, 0, DW_NOMEM},
      {0, UINT64_MAX - 4096, UINT64_MAX - 4096, DW_NOMEM},
      {0, UINT64_C(1) << 63, UINT64_C(1) << 63, DW_NOMEM},
      {0, 4096, UINT64_MAX - 65536, DW_NOMEM},
      {0, UINT64_C(1) << 62, 0, DW_NOMEM},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    region = (dw_region *)&error;
    CHECK_STATUS(dw_region_new(wrong[i].size_bytes, wrong[i].reserve_bytes, wrong[i].guard_bytes, &region, &error),
                 wrong[i].status, &error);
    CHECK(region == NULL);
    CHECK_EQ(error.code, wrong[i].status);
  }
  CHECK_STATUS(dw_region_new(2, 1, 0, &region, NULL), DW_INVALID, &error);
}

// What a 32-bit Wasm memory needs.
static void test_four_gib(void) {
  dw_region *region = new_region(65536, UINT64_C(4) << 30, UINT64_C(2) << 30);
  unsigned char *base = dw_region_base(region);
  CHECK_OK(dw_region_grow(region, UINT64_C(1) << 30, &error), &error);
  base[(UINT64_C(1) << 30) - 1] = 9;
  CHECK_EQ(touch_signal(base + (UINT64_C(1) << 30), true), SIGSEGV);
  CHECK_EQ(touch_signal(base + (UINT64_C(6) << 30) - 1, true), SIGSEGV);
  dw_region_release(region);
}

static void test_owners(void) {
  uint64_t page = dw_page_size(), before = dw_region_unmapped_count();
  dw_region *region = new_region(page, 4 * page, page);
  uintptr_t base = (uintptr_t)dw_region_base(region);
  CHECK_EQ(dw_region_owners(region), 1);
  dw_region_retain(region);
  dw_region_retain(region);
  CHECK_EQ(dw_region_owners(region), 3);
  dw_region_release(region);
  dw_region_release(region);
  CHECK_EQ(dw_region_owners(region), 1);
  CHECK_EQ(dw_region_unmapped_count(), before);
  CHECK_EQ(mapped_bytes(base, base + 5 * page), 5 * page);
  *(unsigned char *)base = 1;
  dw_region_release(region);
  CHECK_EQ(dw_region_unmapped_count(), before + 1);
  CHECK_EQ(mapped_bytes(base, base + 5 * page), 0);
  dw_region_release(NULL);
  CHECK_EQ(dw_region_unmapped_count(), before + 1);
}

static void *retain_and_release(void *argument) {
  dw_region *region = argument;
  for (int i = 0; i < 100000; i++) {
    dw_region_retain(region);
    dw_region_release(region);
  }
  dw_region_release(region);
  return NULL;
}

static void test_owners_threads(void) {
  uint64_t page = dw_page_size(), before = dw_region_unmapped_count();
  dw_region *region = new_region(page, page, page);
  uintptr_t base = (uintptr_t)dw_region_base(region);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) dw_region_retain(region);
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, retain_and_release, region) == 0);
  dw_region_release(region);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  CHECK_EQ(dw_region_unmapped_count(), before + 1);
  // The threads' stacks may have been unmapped and mapped anew, but this page belongs to nobody.
  CHECK_EQ(mapped_bytes(base, base + 2 * page), 0);
}

// A file of `pages` pages whose bytes are their page's number + 1.
static int new_file(uint64_t pages, uint64_t more_bytes) {
  char path[] = "/tmp/dw_test_region_XXXXXX";
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  unlink(path);
  uint64_t page = dw_page_size();
  unsigned char *bytes = malloc(page);
  for (uint64_t i = 0; i <= pages; i++) {
    uint64_t size = i < pages ? page : more_bytes;
    memset(bytes, (int)(i + 1), page);
    CHECK(write(fd, bytes, size) == (ssize_t)size);
  }
  free(bytes);
  return fd;
}

static void test_map_file(void) {
  uint64_t page = dw_page_size();
  int fd = new_file(4, 0);
  dw_region *region = new_region(8 * page, 16 * page, page);
  unsigned char *base = dw_region_base(region);
  memset(base, 99, 8 * page);
  CHECK_OK(dw_region_map_file(region, 2 * page, fd, page, 3 * page, &error), &error);
  const int expected[8] = {99, 99, 2, 3, 4, 99, 99, 99};
  for (uint64_t i = 0; i < 8 * page; i++) CHECK(base[i] == expected[i / page]);
  memset(base + 2 * page, 55, 3 * page); // private: the file stays
  unsigned char byte;
  for (uint64_t i = 0; i < 4; i++) {
    CHECK(pread(fd, &byte, 1, (off_t)(i * page + 5)) == 1);
    CHECK_EQ(byte, i + 1);
  }
  close(fd); // the mapping lives on without the descriptor
  CHECK_EQ(base[3 * page], 55);
  CHECK_OK(dw_region_grow(region, 9 * page, &error), &error);
  CHECK_EQ(base[8 * page], 0);
  CHECK(dw_region_base(region) == base);
  uint64_t before = dw_region_unmapped_count();
  dw_region_release(region);
  CHECK_EQ(dw_region_unmapped_count(), before + 1);
  CHECK_EQ(mapped_bytes((uintptr_t)base, (uintptr_t)base + 17 * page), 0);
}

static void test_map_file_partial_page(void) {
  uint64_t page = dw_page_size();
  int fd = new_file(1, 10);
  dw_region *region = new_region(2 * page, 2 * page, 0);
  unsigned char *base = dw_region_base(region);
  CHECK_OK(dw_region_map_file(region, 0, fd, 0, 2 * page, &error), &error);
  CHECK_EQ(base[page + 9], 2);
  CHECK_EQ(base[page + 10], 0); // behind the file's end, within its page
  close(fd);
  dw_region_release(region);
}

static void test_map_file_refused(void) {
  uint64_t page = dw_page_size();
  int fd = new_file(4, 0);
  dw_region *region = new_region(4 * page, 8 * page, page);
  unsigned char *base = dw_region_base(region);
  memset(base, 99, 4 * page);
  const struct {
    uint64_t offset, file_offset, length;
    dw_status status;
  } wrong[] = {
      {1, 0, page, DW_INVALID},
      {0, 1, page, DW_INVALID},
      {0, 0, page - 1, DW_INVALID},
      {0, 0, 5 * page, DW_BOUNDS},                        // beyond what is committed
      {4 * page, 0, page, DW_BOUNDS},
      {UINT64_MAX - page + 1, 0, page, DW_BOUNDS},        // wraps around
      {0, UINT64_MAX - page + 1, page, DW_BOUNDS},
      {page, 0, UINT64_MAX - page + 1, DW_BOUNDS},
      {0, 4 * page, page, DW_BOUNDS},                     // beyond the file
      {0, page, 4 * page, DW_BOUNDS},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    CHECK_STATUS(dw_region_map_file(region, wrong[i].offset, fd, wrong[i].file_offset, wrong[i].length, &error),
                 wrong[i].status, &error);
  CHECK_STATUS(dw_region_map_file(region, 0, -1, 0, page, &error), DW_IO, &error);
  int directory = open("/tmp", O_RDONLY);
  CHECK_STATUS(dw_region_map_file(region, 0, directory, 0, page, &error), DW_INVALID, &error);
  CHECK_OK(dw_region_map_file(region, 0, fd, 0, 0, &error), &error);
  for (uint64_t i = 0; i < 4 * page; i++) CHECK(base[i] == 99);
  close(directory);
  close(fd);
  dw_region_release(region);
}

static const dw_case cases[] = {
    {"page_size", "the page size is the operating system's", test_page_size},
    {"commit", "committed bytes are zero and writable", test_commit},
    {"guard", "an access past the end faults, reserved or guard", test_guard},
    {"grow", "growth keeps base and contents", test_grow},
    {"grow_refused", "growth beyond the reservation and shrinking are errors", test_grow_refused},
    {"rounding", "sizes are rounded up to pages", test_rounding},
    {"new_refused", "sizes that do not fit are errors", test_new_refused},
    {"four_gib", "4 GiB and a guard can be reserved", test_four_gib},
    {"owners", "unmapped once, after the last owner", test_owners},
    {"owners_threads", "owners of several threads", test_owners_threads},
    {"map_file", "a file mapped copy-on-write stays as it is", test_map_file},
    {"map_file_partial_page", "the last page of a file may be partial", test_map_file_partial_page},
    {"map_file_refused", "wrong places and files are errors and change nothing", test_map_file_refused},
};
DW_TEST_MAIN(cases)
