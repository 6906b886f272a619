// sampler.h: from logits to a token.  The same logits, settings and seed give the same
// token on every machine: the random numbers and the exponential are our own.
#ifndef LLM_SAMPLER_H
#define LLM_SAMPLER_H

#include <stdint.h>

typedef struct llm_candidate {
  float weight;                // first the logit, then its exponential
  uint32_t id;
} llm_candidate;

typedef struct llm_sampler {
  double temperature;          // 0: the likeliest token, of equal ones the first
  double top_p;                // keep the likeliest tokens that together have this much; 1: all
  uint32_t top_k;              // keep so many; 0: all
  uint64_t state;              // of the random numbers: the seed at first
  llm_candidate *candidates;   // [count], or NULL where temperature is 0
} llm_sampler;

// Temperature first, then top_k, then top_p, as transformers does it.  NaN never wins.
uint32_t llm_sample(llm_sampler *sampler, const float *logits, uint32_t count);

#endif
