// SHA-256 (FIPS 180-4).
#ifndef DW_SHA256_H
#define DW_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define DW_SHA256_BYTES 32

typedef struct dw_sha256 {
  uint32_t state[8];
  uint64_t length_bytes;
  unsigned char block[64];
} dw_sha256;

void dw_sha256_begin(dw_sha256 *hash);
void dw_sha256_add(dw_sha256 *hash, const void *bytes, size_t size_bytes);
void dw_sha256_end(dw_sha256 *hash, unsigned char digest[DW_SHA256_BYTES]);

// Of one piece of memory.
void dw_sha256_of(const void *bytes, size_t size_bytes, unsigned char digest[DW_SHA256_BYTES]);

#endif
