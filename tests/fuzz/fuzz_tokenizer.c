// The llm guest's tokeniser: a tokenizer.json, a zero byte, and a text that it cuts.
// Covers: guests/llm/tokenizer.c guests/llm/encode.c guests/llm/pieces.c
// Covers: guests/llm/bpe.c guests/llm/text.c guests/llm/unicode.c
#include "fuzz.h"

#include "guests/llm/bpe.c"
#include "guests/llm/encode.c"
#include "guests/llm/pieces.c"
#include "guests/llm/text.c"
#include "guests/llm/tokenizer.c"
#include "guests/llm/unicode.c"
#include "guests/llm/unicode_tables.c"

// Decoded as a reply is: whole characters, whatever the tokens are.
static void decode(const llm_tokenizer *tokenizer, const llm_ids *ids) {
  llm_text text = {.stops = {"ab", "\xC3\xA9"}, .stop_count = 2};
  llm_text_begin(&text);
  for (uint32_t i = 0; i < ids->count && !text.stopped; i++) {
    uint32_t length;
    MUST(ids->ids[i] < tokenizer->token_count);
    const char *bytes = llm_token_bytes(tokenizer, ids->ids[i], &length);
    MUST(llm_text_add(&text, bytes, length));
    MUST(is_utf8(text.held, text.ready_bytes));
    if (!text.stopped) llm_text_take(&text);
  }
  if (!text.stopped) MUST(llm_text_end(&text) && is_utf8(text.held, text.held_bytes));
  llm_text_free(&text);
}

// Pieces make up the text, and each pattern cuts somewhere.
static void cut(const char *text, size_t length) {
  if (!is_utf8(text, length)) return;
  for (llm_pattern pattern = LLM_PATTERN_NONE; pattern <= LLM_PATTERN_QWEN2; pattern++)
    for (size_t at = 0; at < length;) {
      size_t piece = llm_piece(pattern, text + at, length - at);
      MUST(piece > 0 && piece <= length - at);
      at += piece;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
  size_t json_bytes = zero ? (size_t)(zero - data) : size, text_bytes = zero ? size - json_bytes - 1 : 0;
  char *json = fuzz_copy(data, json_bytes), *text = fuzz_copy(zero ? zero + 1 : data, text_bytes);
  llm_tokenizer tokenizer;
  llm_error error = {""};
  if (!llm_tokenizer_load(&tokenizer, json, json_bytes, &error)) {
    MUST(error.text[0] && !tokenizer.slots);
  } else {
    for (int special = 0; special < 2; special++) {
      llm_ids ids = {0};
      MUST(llm_encode(&tokenizer, text, text_bytes, special, &ids));
      decode(&tokenizer, &ids);
      llm_ids_free(&ids);
    }
    llm_tokenizer_free(&tokenizer);
  }
  cut(text, text_bytes);
  free(json);
  free(text);
  return 0;
}
