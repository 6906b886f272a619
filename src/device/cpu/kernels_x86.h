// What the AVX2 and AVX-512 sets share: the fold, on 8 lanes that have been added
// to their partners 8 further on.
#include <immintrin.h>

typedef struct four {
  float value[4];
} four;

static inline __attribute__((always_inline)) four fold_halves(__m256 a, __m256 b, __m256 c, __m256 d) {
  // 4 + 4: [a | b], [c | d]
  __m256 ab = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
  __m256 cd = _mm256_add_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
  // 2 + 2: [a a c c | b b d d]
  __m256 twos = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0)),
                              _mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2)));
  // 1 + 1: [a c . . | b d . .]
  __m256 ones = _mm256_add_ps(_mm256_shuffle_ps(twos, twos, _MM_SHUFFLE(2, 0, 2, 0)),
                              _mm256_shuffle_ps(twos, twos, _MM_SHUFFLE(3, 1, 3, 1)));
  __m128 sums = _mm_unpacklo_ps(_mm256_castps256_ps128(ones), _mm256_extractf128_ps(ones, 1));
  __m128 nan = _mm_castsi128_ps(_mm_set1_epi32(0x7FC00000));
  four result;
  _mm_storeu_ps(result.value, _mm_blendv_ps(sums, nan, _mm_cmpunord_ps(sums, sums)));
  return result;
}
