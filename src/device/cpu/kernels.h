// The inner loops of the CPU device, once for each instruction set.
//
// kernels_body.h holds the code; kernels_<set>.c gives it a vector type and
// compiles it.  All sets give the same bits: they do the same IEEE operations on
// the same operands in the same order (docs/numerics.md), and every NaN that is
// stored is the one canonical NaN of its type.
#ifndef DW_CPU_KERNELS_H
#define DW_CPU_KERNELS_H

#include "driftwood_abi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DW_LANES 16                // of the canonical summation order

// y[m][n] = the canonical dot product of row m of x and row n of w, both contiguous in k.
typedef struct dw_dots {
  const float *x;
  uint64_t x_stride;               // elements from row to row
  uint64_t m;
  const void *w;
  uint32_t w_dtype;                // F32, F16, BF16
  uint64_t w_stride;
  uint64_t n, k;
  float *y;
  uint64_t y_stride_m, y_stride_n;
} dw_dots;

// y[d] = the sum over rows of weights[row] * v[row][d] in the canonical order; what
// lies behind the last row is no term.
typedef struct dw_weigh {
  const float *weights;
  const void *const *blocks;       // each block_rows rows of `width` elements
  uint64_t block_rows;             // a multiple of 16
  uint32_t dtype;                  // F32, F16
  uint64_t rows, width;
  float *y;
} dw_weigh;

// Rows to be packed for the blocked product.
typedef struct dw_pack {
  const void *from;
  uint32_t dtype;
  uint64_t stride_row, stride_k;   // elements
  uint64_t rows, k;                // what there is; the rest up to whole panels and steps is zero
} dw_pack;

typedef struct dw_cpu_kernels {
  const char *name;
  // Rows of one panel of the blocked product: of the activations, of the weights.
  uint32_t panel_m, panel_n;
  // Most activation rows for which `dots` beats the blocked product.
  uint32_t direct_m;

  // Contiguous elements to and from F32.
  void (*load)(uint32_t dtype, const void *from, float *to, uint64_t count);
  void (*store)(uint32_t dtype, const float *from, void *to, uint64_t count);

  // Add Mul Sub Div; y may be a or b.
  void (*binary)(uint32_t op, const float *a, const float *b, float *y, uint64_t count);
  // Swish Sigmoid Tanh Gelu Axpby; y may be x.
  void (*unary)(const dw_op *op, const float *x, float *y, uint64_t count);

  float (*sum_of_squares)(const float *x, uint64_t count);
  // y = (x * factor) * scale
  void (*scale)(const float *x, float factor, const float *scale, float *y, uint64_t count);
  void (*softmax)(const float *x, float *y, uint64_t count); // y may be x
  // One split of attention: scores become exp(score - max); answers max and sum.
  void (*exponentials)(float *scores, uint64_t count, float *max, float *sum);
  // y = fma(y, factor, x * weight)
  void (*combine)(float *y, float factor, const float *x, float weight, uint64_t count);
  void (*weigh)(const dw_weigh *weigh);
  float (*exp)(float x);
  // x * scale, then cap * tanh(x / cap) unless cap is 0
  void (*cap)(float *x, float scale, float cap, uint64_t count);

  void (*dots)(const dw_dots *dots);
  // Packs all rows as panels of `panel` rows, and the steps of 16 in k.
  void (*pack)(const dw_pack *pack, uint32_t panel, float *to);
  // sums[panel_m][panel_n][16] of two panels; `begin`: they start from zero.
  void (*multiply)(const float *a, const float *b, uint64_t steps, bool begin, float *sums);
  // y[i] = the tree sum of sums[i][16], i below 4
  void (*fold)(const float *sums, float *y);
} dw_cpu_kernels;

extern const dw_cpu_kernels dw_cpu_kernels_portable;
#if defined(__x86_64__)
extern const dw_cpu_kernels dw_cpu_kernels_avx2;
extern const dw_cpu_kernels dw_cpu_kernels_avx512;
#elif defined(__aarch64__)
extern const dw_cpu_kernels dw_cpu_kernels_neon;
#endif

// The best of what this processor has.
const dw_cpu_kernels *dw_cpu_kernels_best(void);
// By name: "portable", "avx2", "avx512", "neon"; NULL: not in this build or not on this processor.
const dw_cpu_kernels *dw_cpu_kernels_named(const char *name);
// For tests: devices that are opened from now on use this set; NULL: the best.
void dw_cpu_kernels_force(const dw_cpu_kernels *kernels);

// Single conversions, exact or to nearest even; NaNs become canonical.
float dw_f16_to_f32(uint16_t half);
uint16_t dw_f32_to_f16(float value);
float dw_bf16_to_f32(uint16_t value);
uint16_t dw_f32_to_bf16(float value);

#endif
