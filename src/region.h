// A region: address space reserved once, committed as it grows, never moved.
//
// [base, base+size) is readable and writable; everything up to the end of the
// reservation and the guard behind it is PROT_NONE.  The mapping has counted
// owners: the memory that was built on it, and every import that a device
// holds.  It is unmapped once, when the last owner lets go.
//
// Threads: retain and release from any thread; grow and map_file by one owner
// at a time, with no device reading.
#ifndef DW_REGION_H
#define DW_REGION_H

#include "status.h"

typedef struct dw_region dw_region;

// The page size of the operating system, asked once.
uint64_t dw_page_size(void);

// Reserves `reserve_bytes` + `guard_bytes` and commits the first `size_bytes`;
// all are rounded up to whole pages.  The caller is the first owner.
// NOMEM: the reservation failed; INVALID: size exceeds reserve.
dw_status dw_region_new(uint64_t size_bytes, uint64_t reserve_bytes, uint64_t guard_bytes, dw_region **region,
                        dw_error *error);

void dw_region_retain(dw_region *region);
void dw_region_release(dw_region *region);

void *dw_region_base(const dw_region *region);
uint64_t dw_region_size(const dw_region *region);     // committed bytes
uint64_t dw_region_reserved(const dw_region *region); // bytes it can grow to
uint64_t dw_region_owners(const dw_region *region);

// Commits more, in place; new bytes are zero.  LIMIT: beyond the reservation.
// Shrinking is INVALID.
dw_status dw_region_grow(dw_region *region, uint64_t size_bytes, dw_error *error);

// Maps [file_offset, file_offset+length) of `fd` copy-on-write over the committed
// bytes at `offset`.  All three are multiples of the page size.  Writes stay
// private; the file must not be written while the mapping lives.  BOUNDS: the
// file ends before.  After an IO error the bytes may be zero.
dw_status dw_region_map_file(dw_region *region, uint64_t offset, int fd, uint64_t file_offset, uint64_t length,
                             dw_error *error);

// How often a region was unmapped in this process: tests and `prove` watch it.
uint64_t dw_region_unmapped_count(void);

#endif
