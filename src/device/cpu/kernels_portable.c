// The portable set: plain C, the meaning of all the others.
#include "kernels.h"

#include <math.h>
#include <string.h>

#define SET_NAME "portable"
#define UNROLL // its lanes are loops
#define W 1
#define PANEL_M 2
#define PANEL_N 4
#define DIRECT_M 2
#define DOTS_M 1
#define DOTS_N(m) 4

typedef float V;

static inline float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t to_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline V v_zero(void) { return 0; }
static inline V v_set(float value) { return value; }
static inline V v_load(const float *from) { return *from; }
static inline void v_store(float *to, V value) { *to = value; }
static inline V v_add(V a, V b) { return a + b; }
static inline V v_sub(V a, V b) { return a - b; }
static inline V v_mul(V a, V b) { return a * b; }
static inline V v_div(V a, V b) { return a / b; }
static inline V v_fma(V a, V b, V c) { return fmaf(a, b, c); }
static inline V v_max(V a, V b) { return a > b ? a : b; }
static inline V v_min(V a, V b) { return a < b ? a : b; }
static inline V v_less(V a, V b, V x, V y) { return a < b ? x : y; }
static inline V v_abs(V x) { return fabsf(x); }
static inline V v_sign(V magnitude, V sign) { return copysignf(magnitude, sign); }
static inline V v_canonical(V x) { return x == x ? x : from_bits(0x7FC00000); }
static inline V v_load_f16(const uint16_t *from) { return dw_f16_to_f32(*from); }
static inline V v_load_bf16(const uint16_t *from) { return from_bits((uint32_t)*from << 16); }
static inline void v_store_f16(uint16_t *to, V x) { *to = dw_f32_to_f16(x); }
static inline void v_store_bf16(uint16_t *to, V x) { *to = dw_f32_to_bf16(x); }

static inline void v_powers(V t, V *low, V *high) {
  uint32_t n = to_bits(t) - to_bits(12582912.0f);
  uint32_t half = n >> 1 | (n & 0x80000000u); // n / 2, rounded down
  *low = from_bits((half + 127) << 23);
  *high = from_bits((n - half + 127) << 23);
}

typedef struct F {
  V part[DW_LANES];
} F;
typedef struct four {
  float value[4];
} four;

static inline float tree(F f) {
  for (int half = DW_LANES / 2; half > 0; half /= 2)
    for (int l = 0; l < half; l++) f.part[l] += f.part[l + half];
  return v_canonical(f.part[0]);
}

static inline four fold_four(F a, F b, F c, F d) { return (four){{tree(a), tree(b), tree(c), tree(d)}}; }

#include "kernels_body.h"

const dw_cpu_kernels dw_cpu_kernels_portable = KERNELS;

// ---- Single conversions -------------------------------------------------------------------

float dw_bf16_to_f32(uint16_t value) { return from_bits((uint32_t)value << 16); }

uint16_t dw_f32_to_bf16(float value) {
  uint32_t bits = to_bits(value);
  if (value != value) return 0x7FC0;
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

float dw_f16_to_f32(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023u;
  if (exponent == 31) return from_bits(fraction ? 0x7FC00000 : sign | 0x7F800000);
  if (exponent) return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
  float small = (float)fraction * 0x1p-24f; // exact
  return sign ? -small : small;
}

uint16_t dw_f32_to_f16(float value) {
  uint32_t bits = to_bits(value), magnitude = bits & 0x7FFFFFFF;
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  if (magnitude > 0x7F800000) return 0x7E00;
  if (magnitude >= 0x477FF000) return sign | 0x7C00; // 65520 and above round to infinity
  if (magnitude < 0x38800000) {                      // below 2^-14: a multiple of 2^-24
    float scaled = from_bits(magnitude) * 0x1p+24f + SHIFT; // rounds to even
    return sign | (uint16_t)(to_bits(scaled) - to_bits(SHIFT));
  }
  return sign | (uint16_t)((magnitude - (112u << 23) + 0xFFF + (magnitude >> 13 & 1)) >> 13);
}
