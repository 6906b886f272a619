// What is read of a model besides its weights: model.safetensors.index.json and
// config.json.  An input is a path into the configuration, a newline, and a text
// that is read as both.
// Covers: src/format/index.c src/format/config.c src/format/quote.c
#include "format/config.h"
#include "format/index.h"
#include "format/quote.h"
#include "fuzz.h"

static void check_index(const char *text, size_t size) {
  dw_index index;
  dw_error error = {0};
  dw_status status = dw_index_parse(text, size, &index, &error);
  if (status != DW_OK) {
    MUST(error.code == status && error.detail[0] && index.entries == NULL && error.position <= size);
    return;
  }
  for (uint32_t i = 0; i < index.entry_count; i++) {
    MUST(index.entries[i].file < index.file_count);
    MUST(index.entries[i].name[index.entries[i].name_bytes] == 0 && index.entries[i].position < size);
  }
  for (uint32_t i = 0; i < index.file_count; i++) {
    MUST(dw_plain_name(index.files[i], strlen(index.files[i])));
    for (uint32_t j = 0; j < i; j++) MUST(strcmp(index.files[i], index.files[j]) != 0);
  }
  dw_index_free(&index);
}

static void check_config(const char *path, const char *text, size_t size) {
  dw_json json;
  if (dw_json_parse(text, size, DW_JSON_UNIQUE_KEYS, &json, NULL) != DW_OK) return;
  char small[8];
  size_t length = 0, again = 0;
  dw_error error = {0};
  dw_status status = dw_config_text(&json, path, small, sizeof small, &length, &error);
  if (status == DW_OK) MUST(length < sizeof small && small[length] == 0);
  else MUST(error.code == status && error.detail[0]);
  if (status == DW_LIMIT) {
    char *exact = malloc(length + 1);
    MUST(exact != NULL);
    MUST(dw_config_text(&json, path, exact, length, NULL, NULL) == DW_LIMIT);
    MUST(dw_config_text(&json, path, exact, length + 1, &again, &error) == DW_OK);
    MUST(again == length && exact[length] == 0);
    free(exact);
  }
  dw_json_free(&json);
}

static void check_quote(const char *text, size_t size) {
  dw_quote quote = dw_quote_bytes(text, size);
  size_t length = strlen(quote.text);
  MUST(length >= 2 && length < sizeof quote.text && quote.text[0] == '\'' && quote.text[length - 1] == '\'');
  for (size_t i = 0; i < length; i++) MUST((unsigned char)quote.text[i] >= 0x20 && quote.text[i] != 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
  size_t path_bytes = newline ? (size_t)(newline - data) : 0, skipped = newline ? path_bytes + 1 : 0;
  char *path = malloc(path_bytes + 1), *text = fuzz_copy(data + skipped, size - skipped);
  MUST(path != NULL);
  if (path_bytes) memcpy(path, data, path_bytes);
  path[path_bytes] = 0;
  check_index(text, size - skipped);
  check_config(path, text, size - skipped);
  check_quote(text, size - skipped);
  free(text);
  free(path);
  return 0;
}
