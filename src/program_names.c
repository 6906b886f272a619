// Names and sizes of data types and operators, from the maps of driftwood_abi.h.
#include "program.h"

#include <string.h>

typedef struct dtype_row {
  const char *name;
  uint32_t bytes;
} dtype_row;

static const dtype_row dtypes[] = {
#define X(name, code, text, bytes) [code] = {text, bytes},
    DW_DTYPE_MAP(X)
#undef X
};

#define DTYPE_COUNT (uint32_t)(sizeof dtypes / sizeof *dtypes)

uint32_t dw_dtype_bytes(uint32_t dtype) { return dtype < DTYPE_COUNT ? dtypes[dtype].bytes : 0; }

const char *dw_dtype_name(uint32_t dtype) {
  return dtype < DTYPE_COUNT && dtypes[dtype].name ? dtypes[dtype].name : "?";
}

uint32_t dw_dtype_parse(const char *name, size_t length) {
  for (uint32_t i = 1; i < DTYPE_COUNT; i++)
    if (strlen(dtypes[i].name) == length && memcmp(dtypes[i].name, name, length) == 0) return i;
  return DW_DTYPE_NONE;
}

static const char *const operators[] = {
#define X(name, code) [code] = #name,
    DW_OPERATOR_MAP(X)
#undef X
};

const char *dw_operator_name(uint32_t op) {
  return op < sizeof operators / sizeof *operators && operators[op] ? operators[op] : "?";
}
