// May these bytes be imported?  Some drivers take any address and let the first
// kernel fault, which would take the process with it; the system knows before.
#include "vulkan_internal.h"

#include <inttypes.h>
#include <stdio.h>

// One line of /proc/self/maps: "begin-end rwxp ...".
typedef struct mapping {
  uint64_t begin, end;
  char readable, writable;
} mapping;

static bool read_mapping(FILE *file, mapping *next) {
  if (fscanf(file, "%" SCNx64 "-%" SCNx64 " %c%c", &next->begin, &next->end, &next->readable, &next->writable) != 4)
    return false;
  for (int c = 0; c != '\n' && c != EOF;) c = fgetc(file);
  return true;
}

dw_status dw_vk_mapping_check(const void *host, uint64_t size_bytes, bool readonly, dw_error *error) {
  FILE *file = fopen("/proc/self/maps", "re");
  if (!file) return DW_OK; // a system without it leaves the caller's word
  uint64_t at = (uintptr_t)host, end = at + size_bytes;
  mapping next;
  while (at < end && read_mapping(file, &next)) {
    if (next.end <= at) continue;
    if (next.begin > at || next.readable != 'r' || (!readonly && next.writable != 'w')) break;
    at = next.end;
  }
  fclose(file);
  if (at >= end) return DW_OK;
  return dw_fail(error, DW_INVALID, "import of %" PRIu64 " bytes at %p: from byte %" PRIu64 " on they cannot be %s",
                 size_bytes, host, at - (uintptr_t)host, readonly ? "read" : "read and written");
}
