#include "config.h"

#include "quote.h"

#include <stdlib.h>
#include <string.h>

static uint32_t member(const dw_json *json, uint32_t object, const char *name, size_t length) {
  for (uint32_t i = dw_json_begin(object); i < dw_json_end(json, object); i = dw_json_after(json, i + 1))
    if (dw_json_equal(json, i, name, length)) return i + 1;
  return 0;
}

static uint32_t element(const dw_json *json, uint32_t array, const char *digits, size_t length) {
  if (length == 0 || length > 9) return 0;
  uint32_t number = 0;
  for (size_t i = 0; i < length; i++) {
    if (digits[i] < '0' || digits[i] > '9') return 0;
    number = number * 10 + (uint32_t)(digits[i] - '0');
  }
  if (number >= dw_json_size(json, array)) return 0;
  uint32_t node = dw_json_begin(array);
  while (number--) node = dw_json_after(json, node);
  return node;
}

// The node at the path, or 0.
static uint32_t find(const dw_json *json, const char *path) {
  uint32_t node = 0;
  for (;;) {
    size_t length = strcspn(path, ".");
    dw_json_type type = dw_json_type_of(json, node);
    if (type == DW_JSON_OBJECT) node = member(json, node, path, length);
    else if (type == DW_JSON_ARRAY) node = element(json, node, path, length);
    else node = 0;
    if (!node || !path[length]) return node;
    path += length + 1;
  }
}

dw_status dw_config_text(const dw_json *json, const char *path, char *buffer, size_t capacity, size_t *length,
                         dw_error *error) {
  uint32_t node = find(json, path);
  if (!node) return dw_fail(error, DW_NOTFOUND, "no %s", dw_quote_string(path).text);
  dw_json_type type = dw_json_type_of(json, node);
  if (type == DW_JSON_ARRAY || type == DW_JSON_OBJECT)
    return dw_fail(error, DW_UNSUPPORTED, "%s is %s", dw_quote_string(path).text,
                   type == DW_JSON_ARRAY ? "an array" : "an object");
  uint32_t raw = dw_json_raw_bytes(json, node);
  char *text = malloc(raw ? raw : 1);
  if (!text) return dw_fail(error, DW_NOMEM, "%s", dw_quote_string(path).text);
  size_t bytes = dw_json_string(json, node, text);
  if (length) *length = bytes;
  bool fits = bytes < capacity;
  if (fits) {
    memcpy(buffer, text, bytes);
    buffer[bytes] = 0;
  }
  free(text);
  return fits ? DW_OK : dw_fail(error, DW_LIMIT, "%s is %zu bytes long", dw_quote_string(path).text, bytes);
}
