// Which set of kernels this processor gets.
#include "kernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

// What the processor offers and the system saves at a switch of threads.
typedef struct x86_features {
  bool avx2, avx512;
} x86_features;

static uint32_t saved_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static x86_features look(void) {
  x86_features features = {false, false};
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return features;
  bool osxsave = c & bit_OSXSAVE, base = (c & bit_AVX) && (c & bit_FMA) && (c & bit_F16C);
  if (!osxsave || !base) return features;
  uint32_t state = saved_state();
  if ((state & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
  features.avx2 = b & bit_AVX2;
  features.avx512 = features.avx2 && (state & 0xE6) == 0xE6 && (b & bit_AVX512F) && (b & bit_AVX512BW) &&
                    (b & bit_AVX512VL) && (b & bit_AVX512DQ);
  return features;
}
#endif

const dw_cpu_kernels *dw_cpu_kernels_named(const char *name) {
  if (strcmp(name, "portable") == 0) return &dw_cpu_kernels_portable;
#if defined(__x86_64__)
  x86_features features = look();
  if (strcmp(name, "avx512") == 0 && features.avx512) return &dw_cpu_kernels_avx512;
  if (strcmp(name, "avx2") == 0 && features.avx2) return &dw_cpu_kernels_avx2;
#elif defined(__aarch64__)
  if (strcmp(name, "neon") == 0) return &dw_cpu_kernels_neon;
#endif
  return NULL;
}

static const dw_cpu_kernels *forced;

void dw_cpu_kernels_force(const dw_cpu_kernels *kernels) { forced = kernels; }

const dw_cpu_kernels *dw_cpu_kernels_best(void) {
  static const char *const names[] = {"avx512", "avx2", "neon"};
  if (forced) return forced;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const dw_cpu_kernels *kernels = dw_cpu_kernels_named(names[i]);
    if (kernels) return kernels;
  }
  return &dw_cpu_kernels_portable;
}
