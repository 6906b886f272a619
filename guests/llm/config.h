// config.h: what config.json and generation_config.json say.
#ifndef LLM_CONFIG_H
#define LLM_CONFIG_H

#include "tokenizer.h"

#define LLM_MAX_STOPS 16

typedef struct llm_config {
  uint32_t layers, hidden, heads, kv_heads, head_dim, inner, vocabulary;
  uint32_t context;            // positions the model was made for
  float epsilon;
  double rope_theta;
  bool llama3_rope;            // else plain RoPE
  double rope_factor, rope_low, rope_high, rope_original;
  bool tied, attention_bias, mlp_bias;
  uint32_t stops[LLM_MAX_STOPS], stop_count; // tokens that end a reply
  bool do_sample;              // of generation_config.json, like the three below
  double temperature, top_p;
  uint32_t top_k;
} llm_config;

// Reads config.json; refuses by name what the decoder cannot do.
bool llm_config_load(llm_config *config, const char *json, size_t length, llm_error *error);
// Adds what generation_config.json says.
bool llm_config_add_generation(llm_config *config, const char *json, size_t length, llm_error *error);
void llm_config_add_stop(llm_config *config, uint32_t token);
bool llm_config_is_stop(const llm_config *config, uint32_t token);

// The angle that one position adds, for each of head_dim / 2 pairs, in float32 as
// transformers computes it.
void llm_rope_frequencies(const llm_config *config, float *frequencies);

// A string of a small JSON file by key: a string, or an object's "content" (as tokens
// are written), or of a list of templates the one named "default".  To be freed; NULL:
// there is none.
char *llm_json_text(const char *json, size_t length, const char *key);

#endif
