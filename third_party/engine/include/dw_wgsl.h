// dw_wgsl.h: WGSL to SPIR-V, by naga, in Rust behind a C interface.
//
// Thread rule: every function may be called from any thread at any time.
#ifndef DW_WGSL_H
#define DW_WGSL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  DW_WGSL_OK = 0,
  DW_WGSL_TOO_LARGE = 1, // the source is longer than DW_WGSL_SOURCE_MAX bytes
  DW_WGSL_INVALID = 2,   // it does not parse, validate or specialise; the error has line and column
  DW_WGSL_TIMEOUT = 3,   // it took longer than the translator grants
  DW_WGSL_INTERNAL = 4,  // the translator itself failed
};

#define DW_WGSL_SOURCE_MAX 65536u
#define DW_WGSL_BINDINGS_MAX 16u

// A value for `override NAME: T;` (or for an override's numeric @id, as text).
typedef struct dw_wgsl_constant {
  const char *name;
  double value;
} dw_wgsl_constant;

// What the host must enforce, since naga knows no device's limits.
typedef struct dw_wgsl_info {
  uint32_t workgroup_size[3];  // invocations, after the overrides
  uint32_t workgroup_bytes;    // shared memory that the entry point uses
  uint32_t immediate_bytes;    // 0: no immediates
  uint32_t binding_mask;       // bit n: group 0 binding n is used
  uint32_t binding_write_mask; // of those, the ones that may be written
  // The smallest buffer that may be bound: fixed-size arrays are checked
  // against the size in WGSL, not against the bound range.
  uint32_t binding_min_bytes[DW_WGSL_BINDINGS_MAX];
} dw_wgsl_info;

typedef struct dw_wgsl_options {
  const char *entry_point;           // NULL: "main"
  const dw_wgsl_constant *constants; // overrides without one keep their default
  size_t constant_count;
  // 0: out-of-range buffer accesses read zero and write nothing, other indices
  // are clamped.  1: no checks; only for kernels of our own.
  int unchecked;
  dw_wgsl_info *info; // NULL, or filled when the result is DW_WGSL_OK
} dw_wgsl_options;

// Translates one compute entry point to SPIR-V 1.3: group 0 binding n becomes
// descriptor set 0 binding n, `var<immediate>` push constants; 16-bit floats and
// subgroup operations are allowed (without `enable subgroups;`).  Workgroup
// memory is zeroed natively (VK_KHR_zero_initialize_workgroup_memory).
//
// `options` may be NULL.  On DW_WGSL_OK the caller owns *words (dw_wgsl_free);
// else *words is NULL and `error`, cut to its capacity and terminated, says
// what is wrong and at which line and column.  `error` may be NULL.
int dw_wgsl_to_spirv(const char *wgsl, size_t length, const dw_wgsl_options *options, uint32_t **words,
                     size_t *word_count, char *error, size_t error_capacity);

// Frees what dw_wgsl_to_spirv returned; NULL is allowed.
void dw_wgsl_free(uint32_t *words, size_t word_count);

#ifdef __cplusplus
}
#endif
#endif
