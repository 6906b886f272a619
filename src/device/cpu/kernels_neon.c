// NEON of AArch64: four vectors of 4 floats are the 16 lanes.
#include "kernels.h"

#include <arm_neon.h>

#define SET_NAME "neon"
#define W 4
#define PANEL_M 6
#define PANEL_N 4
#define DIRECT_M 6
#define DOTS_M 2
#define DOTS_N(m) ((m) == 1 ? 4 : 2)

typedef float32x4_t V;

static inline V v_zero(void) { return vdupq_n_f32(0); }
static inline V v_set(float value) { return vdupq_n_f32(value); }
static inline V v_load(const float *from) { return vld1q_f32(from); }
static inline void v_store(float *to, V value) { vst1q_f32(to, value); }
static inline V v_add(V a, V b) { return vaddq_f32(a, b); }
static inline V v_sub(V a, V b) { return vsubq_f32(a, b); }
static inline V v_mul(V a, V b) { return vmulq_f32(a, b); }
static inline V v_div(V a, V b) { return vdivq_f32(a, b); }
static inline V v_fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
static inline V v_max(V a, V b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline V v_min(V a, V b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline V v_less(V a, V b, V x, V y) { return vbslq_f32(vcltq_f32(a, b), x, y); }
static inline V v_abs(V x) { return vabsq_f32(x); }
static inline V v_sign(V magnitude, V sign) { return vbslq_f32(vdupq_n_u32(0x80000000u), sign, magnitude); }
static inline V v_canonical(V x) {
  return vbslq_f32(vceqq_f32(x, x), x, vreinterpretq_f32_u32(vdupq_n_u32(0x7FC00000)));
}

static inline V v_load_f16(const uint16_t *from) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))); }
static inline V v_load_bf16(const uint16_t *from) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16)); }
static inline void v_store_f16(uint16_t *to, V x) {
  uint16x4_t number = vmovn_u32(vceqq_f32(x, x));
  vst1_u16(to, vbsl_u16(number, vreinterpret_u16_f16(vcvt_f16_f32(x)), vdup_n_u16(0x7E00)));
}
static inline void v_store_bf16(uint16_t *to, V x) {
  uint32x4_t bits = vreinterpretq_u32_f32(x), odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(vdupq_n_u32(0x7FFF), odd));
  vst1_u16(to, vbsl_u16(vmovn_u32(vceqq_f32(x, x)), vshrn_n_u32(rounded, 16), vdup_n_u16(0x7FC0)));
}

static inline void v_powers(V t, V *low, V *high) {
  int32x4_t n = vsubq_s32(vreinterpretq_s32_f32(t), vdupq_n_s32(0x4B400000));
  int32x4_t half = vshrq_n_s32(n, 1), bias = vdupq_n_s32(127);
  *low = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
  *high = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vsubq_s32(n, half), bias), 23));
}

typedef struct F {
  V part[4];
} F;
typedef struct four {
  float value[4];
} four;

// 8 + 8, then 4 + 4.
static inline V fold_quarters(F f) {
  return vaddq_f32(vaddq_f32(f.part[0], f.part[2]), vaddq_f32(f.part[1], f.part[3]));
}

// 2 + 2 of two: [a a b b]
static inline V fold_pairs(V a, V b) {
  return vaddq_f32(vcombine_f32(vget_low_f32(a), vget_low_f32(b)), vcombine_f32(vget_high_f32(a), vget_high_f32(b)));
}

static inline four fold_four(F a, F b, F c, F d) {
  V ab = fold_pairs(fold_quarters(a), fold_quarters(b)), cd = fold_pairs(fold_quarters(c), fold_quarters(d));
  four result;
  vst1q_f32(result.value, v_canonical(vpaddq_f32(ab, cd)));
  return result;
}

#include "kernels_body.h"

const dw_cpu_kernels dw_cpu_kernels_neon = KERNELS;
