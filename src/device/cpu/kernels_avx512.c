// AVX-512 (F, BW, VL, DQ): one vector is the 16 lanes.
#include "kernels.h"

#include "kernels_x86.h"

#define SET_NAME "avx512"
#define W 16
#define PANEL_M 6
#define PANEL_N 4
#define DIRECT_M 512
#define DOTS_M 6
#define DOTS_N(m) 4

typedef __m512 V;

static inline V v_zero(void) { return _mm512_setzero_ps(); }
static inline V v_set(float value) { return _mm512_set1_ps(value); }
static inline V v_load(const float *from) { return _mm512_loadu_ps(from); }
static inline void v_store(float *to, V value) { _mm512_storeu_ps(to, value); }
static inline V v_add(V a, V b) { return _mm512_add_ps(a, b); }
static inline V v_sub(V a, V b) { return _mm512_sub_ps(a, b); }
static inline V v_mul(V a, V b) { return _mm512_mul_ps(a, b); }
static inline V v_div(V a, V b) { return _mm512_div_ps(a, b); }
static inline V v_fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
static inline V v_max(V a, V b) { return _mm512_max_ps(a, b); }
static inline V v_min(V a, V b) { return _mm512_min_ps(a, b); }
static inline V v_less(V a, V b, V x, V y) { return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), x); }
static inline V v_abs(V x) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x); }
static inline V v_sign(V magnitude, V sign) {
  return _mm512_or_ps(v_abs(magnitude), _mm512_and_ps(_mm512_set1_ps(-0.0f), sign));
}

static inline V v_canonical(V x) {
  return _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                            _mm512_castsi512_ps(_mm512_set1_epi32(0x7FC00000)));
}

static inline V v_load_f16(const uint16_t *from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
}
static inline V v_load_bf16(const uint16_t *from) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16));
}
static inline void v_store_f16(uint16_t *to, V x) {
  __m256i halves = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  _mm256_storeu_si256((__m256i *)to, _mm256_mask_mov_epi16(halves, nan, _mm256_set1_epi16(0x7E00)));
}
static inline void v_store_bf16(uint16_t *to, V x) {
  __m512i bits = _mm512_castps_si512(x);
  __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(_mm512_set1_epi32(0x7FFF), odd)), 16);
  __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  rounded = _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7FC0));
  _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16(rounded));
}

static inline void v_powers(V t, V *low, V *high) {
  __m512i n = _mm512_sub_epi32(_mm512_castps_si512(t), _mm512_set1_epi32(0x4B400000));
  __m512i half = _mm512_srai_epi32(n, 1), bias = _mm512_set1_epi32(127);
  *low = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(half, bias), 23));
  *high = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_sub_epi32(n, half), bias), 23));
}

typedef struct F {
  V part[1];
} F;

static inline __m256 fold_half(V x) {
  return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
}

static inline __attribute__((always_inline)) four fold_four(F a, F b, F c, F d) {
  return fold_halves(fold_half(a.part[0]), fold_half(b.part[0]), fold_half(c.part[0]), fold_half(d.part[0]));
}

#include "kernels_body.h"

const dw_cpu_kernels dw_cpu_kernels_avx512 = KERNELS;
