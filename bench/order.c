// order.c: does the canonical order of sums cost speed?
//
//   build/bench/order [THREADS]     built by `ninja -C build bench`
//
// Compares MatMul on the CPU device with what the machine can do: a matrix-vector
// product over bfloat16 weights with reading the same bytes, a blocked product with
// fused multiply-adds on registers. Median, least and most of 7 interleaved runs.
#include "tests/cpu_program.h"

#include "device/cpu/kernels.h"

#include <time.h>

#define RUNS 7

typedef struct job {
  dw_device *device;
  uint32_t threads;
  uint64_t m, n, k;
  void *weights;
  float *x, *y;
} job;

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// ---- The machine ---------------------------------------------------------------------------

typedef struct part {
  const unsigned char *from;
  uint64_t size_bytes;
  uint64_t steps;
  float result;
} part;

typedef uint64_t words __attribute__((vector_size(64)));
typedef float floats __attribute__((vector_size(64)));

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) static void *read_all(void *arg) {
  part *of = arg;
  const words *from = (const words *)of->from;
  words sums[4] = {{0}};
  for (uint64_t i = 0; i + 4 <= of->size_bytes / sizeof *from; i += 4)
    for (int j = 0; j < 4; j++) sums[j] ^= from[i + (uint64_t)j];
  words all = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
  of->result = (float)(all[0] ^ all[3]);
  return NULL;
}

static double spread(uint32_t threads, void *(*work)(void *), part *parts) {
  pthread_t handles[64];
  double begin = now_s();
  for (uint32_t i = 0; i < threads; i++) pthread_create(&handles[i], NULL, work, &parts[i]);
  for (uint32_t i = 0; i < threads; i++) pthread_join(handles[i], NULL);
  return now_s() - begin;
}

static double read_s(const job *of) {
  part parts[64] = {0};
  uint64_t bytes = of->n * of->k * 2 / of->threads;
  for (uint32_t i = 0; i < of->threads; i++)
    parts[i] = (part){.from = (unsigned char *)of->weights + i * bytes, .size_bytes = bytes};
  return spread(of->threads, read_all, parts);
}

// One multiply of panels that stay in the first-level cache is nearly all fused
// multiply-adds; 24 independent ones hide their latency.
static void *multiply_all(void *arg) {
  part *of = arg;
  const dw_cpu_kernels *kernels = dw_cpu_kernels_best();
  static _Thread_local float a[16 * 6 * 16] __attribute__((aligned(64))), b[16 * 4 * 16] __attribute__((aligned(64)));
  static _Thread_local float sums[6 * 4 * 16] __attribute__((aligned(64)));
  for (uint64_t i = 0; i < of->steps; i++) kernels->multiply(a, b, 16, false, sums);
  of->result = sums[0];
  return NULL;
}

static double multiply_s(const job *of) {
  part parts[64] = {0};
  uint64_t each = (uint64_t)dw_cpu_kernels_best()->panel_m * 4 * 16 * 16;
  for (uint32_t i = 0; i < of->threads; i++) parts[i].steps = of->m * of->n * of->k / each / of->threads;
  return spread(of->threads, multiply_all, parts);
}

// ---- The device ----------------------------------------------------------------------------

static double product_s(const job *of) {
  static cpu_program p;
  memset(&p, 0, sizeof p);
  uint32_t a = cpu_dense(&p, DW_F32, 2, (uint64_t[]){of->m, of->k}, of->x);
  uint32_t b = cpu_view(&p, DW_BF16, 2, (uint64_t[]){of->k, of->n}, (uint64_t[]){1, of->k}, 0, of->n * of->k,
                        of->weights);
  cpu_op(&p, DW_OP_MatMul, 2, (uint32_t[]){a, b}, cpu_dense(&p, DW_F32, 2, (uint64_t[]){of->m, of->n}, of->y));
  double begin = now_s();
  cpu_run(&p, of->device);
  return now_s() - begin;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void report(const char *what, const job *of, double (*machine)(const job *), double amount, const char *unit) {
  double ours[RUNS], theirs[RUNS], ratio[RUNS];
  product_s(of);
  machine(of);
  for (int i = 0; i < RUNS; i++) {
    theirs[i] = machine(of);
    ours[i] = product_s(of);
    ratio[i] = 100 * theirs[i] / ours[i];
  }
  qsort(ours, RUNS, sizeof *ours, compare);
  qsort(theirs, RUNS, sizeof *theirs, compare);
  qsort(ratio, RUNS, sizeof *ratio, compare);
  printf("%-7s %3llu x %6llu x %5llu  %u threads  %7.2f (%.2f to %.2f) %s, machine %.2f: %.0f%% (%.0f to %.0f)\n", what,
         (unsigned long long)of->m, (unsigned long long)of->n, (unsigned long long)of->k, of->threads,
         amount / ours[RUNS / 2], amount / ours[RUNS - 1], amount / ours[0], unit, amount / theirs[RUNS / 2],
         ratio[RUNS / 2], ratio[0], ratio[RUNS - 1]);
  fflush(stdout);
}

static void measure(dw_device *device, uint32_t threads, uint64_t m, uint64_t n, uint64_t k) {
  job of = {.device = device, .threads = threads, .m = m, .n = n, .k = k};
  if (posix_memalign(&of.weights, 4096, n * k * 2)) exit(1);
  memset(of.weights, 0x3C, n * k * 2);
  of.x = malloc(m * k * sizeof *of.x);
  of.y = malloc(m * n * sizeof *of.y);
  cpu_fill(1, of.x, m * k);
  memset(of.y, 0, m * n * sizeof *of.y);
  if (m == 1) report("matvec", &of, read_s, 1e-9 * 2 * (double)(n * k), "GB/s");
  else report("product", &of, multiply_s, 2e-9 * (double)(m * n * k), "GFLOP/s");
  free(of.weights);
  free(of.x);
  free(of.y);
}

int main(int argc, char **argv) {
  static const uint64_t shapes[][3] = {{1, 32768, 2048}, {1, 8192, 8192},   {1, 128256, 2048}, {2, 8192, 2048},
                                       {4, 8192, 2048},  {8, 8192, 2048},   {12, 8192, 2048},  {16, 8192, 2048},
                                       {48, 8192, 2048}, {512, 2048, 2048}, {512, 2048, 8192}};
  uint32_t most = argc > 1 ? (uint32_t)atoi(argv[1]) : 2;
  if (most < 1 || most > 64) return 2;
  printf("%s\n", dw_cpu_kernels_best()->name);
  for (uint32_t threads = 1; threads <= most; threads++) {
    dw_device *device = cpu_open(threads);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
      measure(device, threads, shapes[i][0], shapes[i][1], shapes[i][2]);
    device->class_->close(device);
  }
  return 0;
}
