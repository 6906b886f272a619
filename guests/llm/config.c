#include "config.h"
#include "../../src/format/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
  dw_json json;
  const char *file;
  llm_error *error;
  bool failed; // the first failure is kept
} reader;

static void complain(reader *read, const char *key, const char *what) {
  if (!read->failed) llm_fail(read->error, "%s: %s %s", read->file, key, what);
  read->failed = true;
}

static bool open_reader(reader *read, const char *json, size_t length) {
  dw_json_error failed;
  if (dw_json_parse(json, length, 0, &read->json, &failed) != DW_OK)
    return llm_fail(read->error, "%s: %s at byte %" PRIu64, read->file, failed.message, failed.position);
  if (dw_json_type_of(&read->json, 0) == DW_JSON_OBJECT) return true;
  dw_json_free(&read->json);
  return llm_fail(read->error, "%s: not an object", read->file);
}

// The value, or 0 if there is none or it is null.
static uint32_t value_of(const reader *read, uint32_t object, const char *key) {
  uint32_t node = dw_json_find(&read->json, object, key);
  return node && dw_json_type_of(&read->json, node) != DW_JSON_NULL ? node : 0;
}

static bool is_text(const reader *read, uint32_t node, const char *text) {
  return node && dw_json_type_of(&read->json, node) == DW_JSON_STRING &&
         dw_json_equal(&read->json, node, text, strlen(text));
}

static uint32_t number(reader *read, const char *key, uint32_t fallback, uint32_t max) {
  uint64_t value = fallback;
  uint32_t node = value_of(read, 0, key);
  if (!node && !fallback)
    complain(read, key, "is missing");
  else if (node && (!dw_json_uint64(&read->json, node, &value) || value < 1 || value > max))
    complain(read, key, "is out of range");
  return (uint32_t)value;
}

static double real(reader *read, uint32_t object, const char *key, double fallback) {
  double value = fallback;
  uint32_t node = value_of(read, object, key);
  if (node && !dw_json_double(&read->json, node, &value)) complain(read, key, "is no number");
  return value;
}

static bool flag(const reader *read, const char *key) {
  uint32_t node = value_of(read, 0, key);
  return node && dw_json_type_of(&read->json, node) == DW_JSON_TRUE;
}

// ---- config.json -----------------------------------------------------------------------

static void check_architecture(reader *read) {
  static const char *const known[] = {"LlamaForCausalLM", "MistralForCausalLM"};
  uint32_t list = value_of(read, 0, "architectures"), name = 0;
  if (list && dw_json_type_of(&read->json, list) == DW_JSON_ARRAY && dw_json_size(&read->json, list))
    name = dw_json_begin(list);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (is_text(read, name, known[i])) return;
  char words[128] = "is missing; LlamaForCausalLM and MistralForCausalLM are supported";
  if (name && dw_json_type_of(&read->json, name) == DW_JSON_STRING)
    snprintf(words, sizeof words, "%.*s is not supported, only LlamaForCausalLM and MistralForCausalLM",
             dw_json_raw_bytes(&read->json, name) < 48 ? (int)dw_json_raw_bytes(&read->json, name) : 48,
             dw_json_raw(&read->json, name));
  complain(read, "architecture", words);
}

// transformers 4 writes rope_theta and rope_scaling, transformers 5 rope_parameters.
static void read_rope(reader *read, llm_config *config) {
  uint32_t parameters = value_of(read, 0, "rope_parameters"),
           scaling = parameters ? parameters : value_of(read, 0, "rope_scaling");
  double theta = real(read, 0, "rope_theta", 10000);
  config->rope_theta = parameters ? real(read, parameters, "rope_theta", theta) : theta;
  if (!(config->rope_theta > 0)) complain(read, "rope_theta", "is not positive");
  double partial = real(read, 0, "partial_rotary_factor", 1);
  if (parameters) partial = real(read, parameters, "partial_rotary_factor", partial);
  if (partial != 1) complain(read, "partial_rotary_factor", "other than 1 is not supported");
  if (!scaling) return;
  uint32_t type = value_of(read, scaling, "rope_type");
  if (!type) type = value_of(read, scaling, "type");
  if (!type || is_text(read, type, "default")) return;
  if (!is_text(read, type, "llama3")) {
    complain(read, "rope_type", "is not supported, only default and llama3");
    return;
  }
  config->llama3_rope = true;
  config->rope_factor = real(read, scaling, "factor", 0);
  config->rope_low = real(read, scaling, "low_freq_factor", 0);
  config->rope_high = real(read, scaling, "high_freq_factor", 0);
  config->rope_original = real(read, scaling, "original_max_position_embeddings", 0);
  if (!(config->rope_factor > 0) || !(config->rope_low > 0) || !(config->rope_high > config->rope_low) ||
      !(config->rope_original > 0))
    complain(read, "rope scaling of type llama3", "lacks a number or has one out of range");
}

static void add_stops(reader *read, llm_config *config) {
  uint32_t node = value_of(read, 0, "eos_token_id");
  uint64_t id;
  if (!node) return;
  if (dw_json_type_of(&read->json, node) != DW_JSON_ARRAY) {
    if (dw_json_uint64(&read->json, node, &id) && id <= LLM_MAX_TOKEN_ID)
      llm_config_add_stop(config, (uint32_t)id);
    return;
  }
  for (uint32_t i = dw_json_begin(node); i < dw_json_end(&read->json, node);
       i = dw_json_after(&read->json, i))
    if (dw_json_uint64(&read->json, i, &id) && id <= LLM_MAX_TOKEN_ID)
      llm_config_add_stop(config, (uint32_t)id);
}

static void read_sizes(reader *read, llm_config *config) {
  config->layers = number(read, "num_hidden_layers", 0, 1024);
  config->hidden = number(read, "hidden_size", 0, 1u << 20);
  config->inner = number(read, "intermediate_size", 0, 1u << 22);
  config->heads = number(read, "num_attention_heads", 0, 4096);
  config->kv_heads = number(read, "num_key_value_heads", config->heads ? config->heads : 1, 4096);
  config->vocabulary = number(read, "vocab_size", 0, LLM_MAX_TOKEN_ID + 1);
  config->context = number(read, "max_position_embeddings", 2048, 1u << 30);
  if (read->failed) return;
  uint32_t shared = config->hidden / config->heads;
  if (!shared && !value_of(read, 0, "head_dim"))
    complain(read, "hidden_size", "is less than num_attention_heads");
  config->head_dim = number(read, "head_dim", shared, 65536);
  if (config->heads % config->kv_heads)
    complain(read, "num_attention_heads", "is no multiple of num_key_value_heads");
  if (config->head_dim % 2) complain(read, "head_dim", "is odd");
  uint32_t window = number(read, "sliding_window", UINT32_MAX, UINT32_MAX);
  if (config->context > window) config->context = window; // inside the window it makes no difference
}

bool llm_config_load(llm_config *config, const char *json, size_t length, llm_error *error) {
  reader read = {.file = "config.json", .error = error};
  *config = (llm_config){.top_p = 1};
  if (!open_reader(&read, json, length)) return false;
  check_architecture(&read);
  read_sizes(&read, config);
  uint32_t activation = value_of(&read, 0, "hidden_act");
  if (activation && !is_text(&read, activation, "silu")) complain(&read, "hidden_act", "is not silu");
  config->epsilon = (float)real(&read, 0, "rms_norm_eps", 1e-6);
  config->tied = flag(&read, "tie_word_embeddings");
  config->attention_bias = flag(&read, "attention_bias");
  config->mlp_bias = flag(&read, "mlp_bias");
  read_rope(&read, config);
  add_stops(&read, config);
  dw_json_free(&read.json);
  return !read.failed;
}

bool llm_config_add_generation(llm_config *config, const char *json, size_t length, llm_error *error) {
  reader read = {.file = "generation_config.json", .error = error};
  if (!open_reader(&read, json, length)) return false;
  add_stops(&read, config);
  config->do_sample = flag(&read, "do_sample");
  config->temperature = real(&read, 0, "temperature", 1);
  config->top_p = real(&read, 0, "top_p", 1);
  double most = real(&read, 0, "top_k", 50); // the default of transformers
  config->top_k = most >= 0 && most < 1e9 ? (uint32_t)most : 0;
  dw_json_free(&read.json);
  return !read.failed;
}

void llm_config_add_stop(llm_config *config, uint32_t token) {
  if (token == LLM_NO_TOKEN || config->stop_count == LLM_MAX_STOPS || llm_config_is_stop(config, token))
    return;
  config->stops[config->stop_count++] = token;
}

bool llm_config_is_stop(const llm_config *config, uint32_t token) {
  for (uint32_t i = 0; i < config->stop_count; i++)
    if (config->stops[i] == token) return true;
  return false;
}

// ---- RoPE ------------------------------------------------------------------------------

// The scaling of Llama 3.1: long waves are stretched, short ones stay, between them it
// goes over smoothly (as in transformers' modeling_rope_utils, in its precision).
static float scaled(const llm_config *config, float frequency) {
  float wave = 2 * 3.14159265358979323846f / frequency, factor = (float)config->rope_factor;
  float low = (float)config->rope_low, high = (float)config->rope_high,
        original = (float)config->rope_original;
  if (wave > original / low) return frequency / factor;
  if (wave < original / high) return frequency;
  float smooth = (original / wave - low) / (high - low);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

void llm_rope_frequencies(const llm_config *config, float *frequencies) {
  for (uint32_t i = 0; i < config->head_dim / 2; i++) {
    float power = powf((float)config->rope_theta, (float)(2 * i) / (float)config->head_dim);
    frequencies[i] = config->llama3_rope ? scaled(config, 1 / power) : 1 / power;
  }
}

// ---- Small files -----------------------------------------------------------------------

static uint32_t named_template(const dw_json *json, uint32_t list) {
  for (uint32_t i = dw_json_begin(list); i < dw_json_end(json, list); i = dw_json_after(json, i)) {
    uint32_t name = dw_json_find(json, i, "name");
    if (name && dw_json_type_of(json, name) == DW_JSON_STRING && dw_json_equal(json, name, "default", 7))
      return dw_json_find(json, i, "template");
  }
  return 0;
}

char *llm_json_text(const char *text, size_t length, const char *key) {
  dw_json json;
  if (dw_json_parse(text, length, 0, &json, NULL) != DW_OK) return NULL;
  uint32_t node = dw_json_find(&json, 0, key);
  if (node && dw_json_type_of(&json, node) == DW_JSON_OBJECT)
    node = dw_json_find(&json, node, "content");
  else if (node && dw_json_type_of(&json, node) == DW_JSON_ARRAY)
    node = named_template(&json, node);
  char *value = NULL;
  if (node && dw_json_type_of(&json, node) == DW_JSON_STRING)
    value = malloc((size_t)dw_json_raw_bytes(&json, node) + 1);
  if (value) value[dw_json_string(&json, node, value)] = 0;
  dw_json_free(&json);
  return value;
}
