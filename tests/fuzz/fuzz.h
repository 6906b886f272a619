// What the fuzz targets share.  A target is LLVMFuzzerTestOneInput; libFuzzer calls
// it with inputs of its own, standalone.c with those of a folder.
#ifndef DW_FUZZ_H
#define DW_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What must hold for every input.
#define MUST(condition)                                                      \
  do {                                                                       \
    if (!(condition)) {                                                      \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);        \
      abort();                                                               \
    }                                                                        \
  } while (0)

// A copy of exactly this size, so that a sanitizer sees what reads beyond it.
static inline char *fuzz_copy(const void *bytes, size_t size) {
  char *copy = malloc(size ? size : 1);
  MUST(copy != NULL);
  if (size) memcpy(copy, bytes, size);
  return copy;
}

#endif
