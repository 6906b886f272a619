// model.h: a Llama-family decoder as programs of the host.
#ifndef LLM_MODEL_H
#define LLM_MODEL_H

#include "config.h"
#include "driftwood_sdk.h"

// What a program computes behind the layers.
typedef enum llm_head {
  LLM_HEAD_NONE,               // nothing: a chunk of a prompt that goes on
  LLM_HEAD_LAST,               // the logits of the last row
  LLM_HEAD_ALL,                // the logits of every row
  LLM_HEADS
} llm_head;

typedef struct llm_layer_weights {
  int32_t input_norm, q, k, v, o, post_norm, gate, up, down; // handles
  int32_t q_bias, k_bias, v_bias, o_bias, gate_bias, up_bias, down_bias; // 0: none
} llm_layer_weights;

typedef struct llm_model {
  llm_config config;
  uint32_t context, chunk;     // rows of the cache; of one program
  dw_handle model, cache;
  int32_t embedding, norm, output; // weights
  llm_layer_weights *layers;
  // In linear memory, so that host and guest see the same bytes.
  int32_t *tokens, *positions; // [chunk]
  float *cosines, *sines;      // [context, head_dim / 2]
  float *logits;               // [1 or chunk, vocabulary]
  int32_t tokens_view, positions_view, cosines_view, sines_view, logits_view;
  float *frequencies;          // [head_dim / 2]
  uint32_t angle_rows;         // rows of cosines and sines that are filled
  dw_handle programs[LLM_HEADS];
} llm_model;

// Opens the weights.  config, model, context and chunk are set; `all_logits` makes room
// for every row's.  False: logged.
bool llm_model_open(llm_model *model, uint32_t cache_dtype, bool all_logits);

// Builds the program with this head, if that was not done; 0: logged.
dw_handle llm_model_program(llm_model *model, llm_head head);

// Fills in what a run over these tokens reads, the first of them at `position`.
void llm_model_prepare(llm_model *model, const uint32_t *tokens, uint32_t count, uint32_t position);

#endif
