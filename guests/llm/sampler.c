#include "sampler.h"

#include <stdbool.h>
#include <string.h>

// SplitMix64 (Steele, Lea, Flood 2014), to a double in [0, 1).
static double next_random(llm_sampler *sampler) {
  uint64_t z = (sampler->state += UINT64_C(0x9E3779B97F4A7C15));
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

// e^x for x <= 0: 2^k e^r with |r| <= ln(2)/2, and the series of e^r to its 13th term.
static double exponential(double x) {
  if (!(x > -700)) return 0;
  int64_t k = (int64_t)(x * 1.4426950408889634 - 0.5);
  double r = x - (double)k * 0.693147180369123816490, sum = 1;
  r -= (double)k * 1.90821492927058770002e-10;
  for (int n = 13; n > 0; n--) sum = 1 + r / n * sum;
  uint64_t bits = (uint64_t)(k + 1023) << 52;
  double scale;
  memcpy(&scale, &bits, sizeof scale);
  return sum * scale;
}

static uint32_t likeliest(const float *logits, uint32_t count) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < count; i++)
    if (logits[i] > logits[best] || logits[best] != logits[best]) best = i;
  return best;
}

// ---- Heaps of candidates: the first is the likeliest, or, turned, the unlikeliest -------

static bool before(const llm_candidate *a, const llm_candidate *b, bool turned) {
  const llm_candidate *x = turned ? b : a, *y = turned ? a : b;
  return x->weight != y->weight ? x->weight > y->weight : x->id < y->id;
}

static void sift(llm_candidate *heap, uint32_t count, uint32_t at, bool turned) {
  llm_candidate moved = heap[at];
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count && before(&heap[child + 1], &heap[child], turned)) child++;
    if (!before(&heap[child], &moved, turned)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = moved;
}

static void make_heap(llm_candidate *heap, uint32_t count, bool turned) {
  for (uint32_t i = count / 2; i-- > 0;) sift(heap, count, i, turned);
}

// ---- Choosing --------------------------------------------------------------------------

// The `most` largest logits; NaN and minus infinity are none.
static uint32_t collect(llm_candidate *kept, const float *logits, uint32_t count, uint32_t most) {
  uint32_t used = 0;
  for (uint32_t i = 0; i < count; i++) {
    llm_candidate found = {logits[i], i};
    if (!(found.weight >= -3.0e38f)) continue;
    if (used < most) {
      kept[used++] = found;
      if (used == most && most < count) make_heap(kept, most, true);
    } else if (before(&found, &kept[0], false)) {
      kept[0] = found;
      sift(kept, most, 0, true);
    }
  }
  return used;
}

static double weigh(llm_candidate *kept, uint32_t count, double temperature) {
  float largest = kept[0].weight;
  for (uint32_t i = 1; i < count; i++)
    if (kept[i].weight > largest) largest = kept[i].weight;
  double total = 0;
  for (uint32_t i = 0; i < count; i++) {
    kept[i].weight = (float)exponential(((double)kept[i].weight - (double)largest) / temperature);
    total += (double)kept[i].weight;
  }
  return total;
}

// Moves the likeliest that together reach top_p of the total to the end, the likeliest
// last; returns how many, and their sum in `total`.  Candidates below an equal share of
// what may be left out can go at once, which leaves few to order.
static uint32_t keep_top_p(llm_candidate *kept, uint32_t *count, double top_p, double *total) {
  double least = (1 - top_p) * *total / *count, wanted = top_p * *total, sum = 0;
  uint32_t left = 0, taken = 0;
  for (uint32_t i = 0; i < *count; i++)
    if ((double)kept[i].weight >= least) kept[left++] = kept[i];
  *count = left;
  make_heap(kept, left, false);
  while (left && (taken == 0 || sum < wanted)) {
    llm_candidate best = kept[0];
    kept[0] = kept[--left];
    if (left) sift(kept, left, 0, false);
    kept[left] = best;
    sum += (double)best.weight;
    taken++;
  }
  *total = sum;
  return taken;
}

uint32_t llm_sample(llm_sampler *sampler, const float *logits, uint32_t count) {
  if (!(sampler->temperature > 0)) return likeliest(logits, count);
  llm_candidate *kept = sampler->candidates;
  uint32_t most = sampler->top_k && sampler->top_k < count ? sampler->top_k : count;
  uint32_t used = collect(kept, logits, count, most);
  double point = next_random(sampler);
  if (used == 0) return likeliest(logits, count);
  double total = weigh(kept, used, sampler->temperature);
  uint32_t begin = 0;
  if (sampler->top_p < 1) {
    uint32_t taken = keep_top_p(kept, &used, sampler->top_p, &total);
    begin = used - taken;
  }
  point *= total;
  for (uint32_t i = used; i-- > begin;) {
    point -= (double)kept[i].weight;
    if (point < 0) return kept[i].id;
  }
  return kept[used - 1].id;
}
