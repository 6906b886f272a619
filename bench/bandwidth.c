// bandwidth: how fast this machine reads memory, as a decoder does.
//
//   bandwidth [THREADS [MEGABYTES [RUNS]]]      default 2, 1024, 9
//
// Each thread reads its share of a mapped buffer that is far larger than the
// caches, in order, and adds it up; prints the gigabytes (10^9) a second of each
// run, and the best of them behind "best", which is what decoding is compared with.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define MAX_THREADS 256

typedef struct share {
  const uint64_t *words;
  size_t count;
  uint64_t sum;                // so that no read is left out
  pthread_barrier_t *barrier;
  int runs;
} share;

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Independent sums: the compiler makes vectors of them, and no addition waits.
static uint64_t read_all(const uint64_t *words, size_t count) {
  uint64_t sums[32] = {0};
  for (size_t i = 0; i + 32 <= count; i += 32)
    for (int lane = 0; lane < 32; lane++) sums[lane] += words[i + lane];
  uint64_t sum = 0;
  for (int lane = 0; lane < 32; lane++) sum += sums[lane];
  return sum;
}

static void *work(void *argument) {
  share *own = argument;
  for (int run = 0; run < own->runs; run++) {
    pthread_barrier_wait(own->barrier);
    own->sum += read_all(own->words, own->count);
    pthread_barrier_wait(own->barrier);
  }
  return NULL;
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 2, runs = argc > 3 ? atoi(argv[3]) : 9;
  size_t bytes = (size_t)(argc > 2 ? atoi(argv[2]) : 1024) << 20;
  if (threads < 1 || threads > MAX_THREADS || runs < 1 || bytes == 0) {
    fprintf(stderr, "usage: bandwidth [THREADS [MEGABYTES [RUNS]]]\n");
    return 2;
  }
  unsigned char *buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (buffer == MAP_FAILED) {
    fprintf(stderr, "no memory for %zu bytes\n", bytes);
    return 1;
  }
  memset(buffer, 1, bytes);
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
  pthread_t ids[MAX_THREADS];
  static share shares[MAX_THREADS];
  size_t words = bytes / 8 / (size_t)threads;
  for (int i = 0; i < threads; i++) {
    shares[i] = (share){(const uint64_t *)(void *)buffer + (size_t)i * words, words, 0, &barrier, runs};
    if (pthread_create(&ids[i], NULL, work, &shares[i]) != 0) {
      fprintf(stderr, "a thread could not be started\n");
      return 1;
    }
  }
  double best = 0;
  for (int run = 0; run < runs; run++) {
    pthread_barrier_wait(&barrier);
    double begun = now_s();
    pthread_barrier_wait(&barrier);
    double rate = (double)bytes / (now_s() - begun) / 1e9;
    printf("%.3f\n", rate);
    if (rate > best) best = rate;
  }
  uint64_t sum = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    sum += shares[i].sum;
  }
  printf("best %.3f (%d threads, %zu MB, sum %llx)\n", best, threads, bytes >> 20, (unsigned long long)sum);
  return 0;
}
