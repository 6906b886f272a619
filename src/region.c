#include "region.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MAP_NORESERVE // not everywhere; only saves swap accounting
#define MAP_NORESERVE 0
#endif

struct dw_region {
  unsigned char *base;
  uint64_t size_bytes;
  uint64_t reserve_bytes;
  uint64_t mapped_bytes;       // reservation and guard
  atomic_uint_fast64_t owners;
};

static atomic_uint_fast64_t unmapped_count;

uint64_t dw_page_size(void) {
  static atomic_uint_fast64_t page_bytes;
  uint64_t known = atomic_load_explicit(&page_bytes, memory_order_relaxed);
  if (known) return known;
  long asked = sysconf(_SC_PAGESIZE);
  known = asked > 0 ? (uint64_t)asked : 65536; // the largest page in use is safe for every alignment
  atomic_store_explicit(&page_bytes, known, memory_order_relaxed);
  return known;
}

// False if the rounded value does not fit.
static bool round_to_pages(uint64_t *size_bytes) {
  uint64_t page = dw_page_size();
  if (*size_bytes > UINT64_MAX - (page - 1)) return false;
  *size_bytes = (*size_bytes + page - 1) / page * page;
  return true;
}

static dw_status commit(dw_region *region, uint64_t size_bytes, dw_error *error) {
  uint64_t more = size_bytes - region->size_bytes;
  if (more && mprotect(region->base + region->size_bytes, more, PROT_READ | PROT_WRITE) != 0) {
    if (errno == ENOMEM) return dw_fail(error, DW_NOMEM, "committing %llu bytes", (unsigned long long)more);
    return dw_fail_errno(error, errno, "committing memory");
  }
  region->size_bytes = size_bytes;
  return DW_OK;
}

dw_status dw_region_new(uint64_t size_bytes, uint64_t reserve_bytes, uint64_t guard_bytes, dw_region **answer,
                        dw_error *error) {
  *answer = NULL;
  if (size_bytes > reserve_bytes)
    return dw_fail(error, DW_INVALID, "region: %llu bytes committed of %llu reserved", (unsigned long long)size_bytes,
                   (unsigned long long)reserve_bytes);
  bool fits = round_to_pages(&size_bytes) && round_to_pages(&reserve_bytes) && round_to_pages(&guard_bytes);
  uint64_t mapped_bytes = reserve_bytes + guard_bytes;
  if (!fits || mapped_bytes < reserve_bytes || mapped_bytes > SIZE_MAX)
    return dw_fail(error, DW_NOMEM, "region: the reservation exceeds the address space");
  if (mapped_bytes == 0) return dw_fail(error, DW_INVALID, "region: nothing to reserve");

  dw_region *region = calloc(1, sizeof *region);
  if (!region) return dw_fail(error, DW_NOMEM, "region");
  void *base = mmap(NULL, mapped_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    free(region);
    return dw_fail(error, DW_NOMEM, "region: cannot reserve %llu bytes of address space",
                   (unsigned long long)mapped_bytes);
  }
  *region = (dw_region){.base = base, .reserve_bytes = reserve_bytes, .mapped_bytes = mapped_bytes};
  atomic_init(&region->owners, 1);
  dw_status status = commit(region, size_bytes, error);
  if (status != DW_OK) {
    munmap(base, mapped_bytes);
    free(region);
    return status;
  }
  *answer = region;
  return DW_OK;
}

void dw_region_retain(dw_region *region) { atomic_fetch_add_explicit(&region->owners, 1, memory_order_relaxed); }

void dw_region_release(dw_region *region) {
  if (!region) return;
  // The last owner must see every write that the others made before they let go.
  if (atomic_fetch_sub_explicit(&region->owners, 1, memory_order_acq_rel) != 1) return;
  if (munmap(region->base, region->mapped_bytes) == 0)
    atomic_fetch_add_explicit(&unmapped_count, 1, memory_order_relaxed);
  free(region);
}

void *dw_region_base(const dw_region *region) { return region->base; }
uint64_t dw_region_size(const dw_region *region) { return region->size_bytes; }
uint64_t dw_region_reserved(const dw_region *region) { return region->reserve_bytes; }

uint64_t dw_region_owners(const dw_region *region) {
  return atomic_load_explicit(&((dw_region *)region)->owners, memory_order_relaxed);
}

dw_status dw_region_grow(dw_region *region, uint64_t size_bytes, dw_error *error) {
  if (size_bytes > region->reserve_bytes)
    return dw_fail(error, DW_LIMIT, "region: %llu bytes wanted, %llu reserved", (unsigned long long)size_bytes,
                   (unsigned long long)region->reserve_bytes);
  if (!round_to_pages(&size_bytes) || size_bytes < region->size_bytes)
    return dw_fail(error, DW_INVALID, "region: cannot shrink from %llu to %llu bytes",
                   (unsigned long long)region->size_bytes, (unsigned long long)size_bytes);
  return commit(region, size_bytes, error);
}

// What lies behind the end of a file cannot be read: refuse it here instead of by SIGBUS later.
static dw_status check_file(int fd, uint64_t end, dw_error *error) {
  struct stat file;
  if (fstat(fd, &file) != 0) return dw_fail_errno(error, errno, "mapping a file over memory");
  if (!S_ISREG(file.st_mode)) return dw_fail(error, DW_INVALID, "region: only a regular file can be mapped");
  uint64_t size_bytes = (uint64_t)file.st_size;
  if (!round_to_pages(&size_bytes) || end > size_bytes)
    return dw_fail(error, DW_BOUNDS, "region: the mapping ends at %llu, the file at %llu", (unsigned long long)end,
                   (unsigned long long)file.st_size);
  return DW_OK;
}

dw_status dw_region_map_file(dw_region *region, uint64_t offset, int fd, uint64_t file_offset, uint64_t length,
                             dw_error *error) {
  uint64_t page = dw_page_size();
  if (offset % page || file_offset % page || length % page)
    return dw_fail(error, DW_INVALID, "region: a file is mapped by whole pages of %llu bytes",
                   (unsigned long long)page);
  if (length > region->size_bytes || offset > region->size_bytes - length)
    return dw_fail(error, DW_BOUNDS, "region: %llu bytes at %llu of %llu committed", (unsigned long long)length,
                   (unsigned long long)offset, (unsigned long long)region->size_bytes);
  if (file_offset > (uint64_t)INT64_MAX - length)
    return dw_fail(error, DW_BOUNDS, "region: file offset %llu", (unsigned long long)file_offset);
  if (length == 0) return DW_OK;
  dw_status status = check_file(fd, file_offset + length, error);
  if (status != DW_OK) return status;
  unsigned char *place = region->base + offset;
  if (mmap(place, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, (off_t)file_offset) != MAP_FAILED)
    return DW_OK;
  int number = errno;
  // The failed call may have left a hole, which another mapping of the process could fill.
  mmap(place, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  return dw_fail_errno(error, number, "mapping a file over memory");
}

uint64_t dw_region_unmapped_count(void) { return atomic_load_explicit(&unmapped_count, memory_order_relaxed); }
