// AVX2 with FMA and F16C: two vectors of 8 floats are the 16 lanes.
#include "kernels.h"

#include "kernels_x86.h"

#define SET_NAME "avx2"
#define W 8
#define PANEL_M 3
#define PANEL_N 4
#define DIRECT_M 9
#define DOTS_M 3
#define DOTS_N(m) ((m) == 1 ? 4 : 2)

typedef __m256 V;

static inline V v_zero(void) { return _mm256_setzero_ps(); }
static inline V v_set(float value) { return _mm256_set1_ps(value); }
static inline V v_load(const float *from) { return _mm256_loadu_ps(from); }
static inline void v_store(float *to, V value) { _mm256_storeu_ps(to, value); }
static inline V v_add(V a, V b) { return _mm256_add_ps(a, b); }
static inline V v_sub(V a, V b) { return _mm256_sub_ps(a, b); }
static inline V v_mul(V a, V b) { return _mm256_mul_ps(a, b); }
static inline V v_div(V a, V b) { return _mm256_div_ps(a, b); }
static inline V v_fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
static inline V v_max(V a, V b) { return _mm256_max_ps(a, b); }
static inline V v_min(V a, V b) { return _mm256_min_ps(a, b); }
static inline V v_less(V a, V b, V x, V y) { return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
static inline V v_abs(V x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
static inline V v_sign(V magnitude, V sign) {
  return _mm256_or_ps(v_abs(magnitude), _mm256_and_ps(_mm256_set1_ps(-0.0f), sign));
}

static inline V v_canonical(V x) {
  return _mm256_blendv_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x7FC00000)), _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

static inline V v_load_f16(const uint16_t *from) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
}
static inline V v_load_bf16(const uint16_t *from) {
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from)), 16));
}
static inline void v_store_f16(uint16_t *to, V x) {
  __m128i halves = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
  __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  __m128i mask = _mm_packs_epi32(_mm256_castsi256_si128(nan), _mm256_extracti128_si256(nan, 1));
  _mm_storeu_si128((__m128i *)to, _mm_blendv_epi8(halves, _mm_set1_epi16(0x7E00), mask));
}
static inline void v_store_bf16(uint16_t *to, V x) {
  __m256i bits = _mm256_castps_si256(v_canonical(x));
  __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  __m256i half = _mm256_andnot_si256(nan, _mm256_add_epi32(_mm256_set1_epi32(0x7FFF), odd));
  __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
  _mm_storeu_si128((__m128i *)to, _mm_packus_epi32(_mm256_castsi256_si128(rounded),
                                                   _mm256_extracti128_si256(rounded, 1)));
}

static inline void v_powers(V t, V *low, V *high) {
  __m256i n = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(0x4B400000));
  __m256i half = _mm256_srai_epi32(n, 1), bias = _mm256_set1_epi32(127);
  *low = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  *high = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(n, half), bias), 23));
}

typedef struct F {
  V part[2];
} F;

static inline __attribute__((always_inline)) four fold_four(F a, F b, F c, F d) {
  return fold_halves(v_add(a.part[0], a.part[1]), v_add(b.part[0], b.part[1]), v_add(c.part[0], c.part[1]),
                     v_add(d.part[0], d.part[1]));
}

#include "kernels_body.h"

const dw_cpu_kernels dw_cpu_kernels_avx2 = KERNELS;
