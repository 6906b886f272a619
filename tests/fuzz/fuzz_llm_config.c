// The llm guest's reader of config.json, generation_config.json and strings of small files.
// Covers: guests/llm/config.c
#include "fuzz.h"

#include "guests/llm/config.c"
#include "guests/llm/tokenizer.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *json = fuzz_copy(data, size);
  llm_config config;
  llm_error error = {""};
  if (llm_config_load(&config, json, size, &error)) {
    MUST(config.heads % config.kv_heads == 0 && config.head_dim % 2 == 0 && config.vocabulary > 0);
    if (config.head_dim <= 4096) {
      float *frequencies = malloc(config.head_dim * sizeof *frequencies);
      MUST(frequencies != NULL);
      llm_rope_frequencies(&config, frequencies);
      free(frequencies);
    }
  } else {
    MUST(error.text[0]);
  }
  if (llm_config_add_generation(&config, json, size, &error)) MUST(config.stop_count <= LLM_MAX_STOPS);
  free(llm_json_text(json, size, "bos_token"));
  free(llm_json_text(json, size, "chat_template"));
  free(json);
  return 0;
}
