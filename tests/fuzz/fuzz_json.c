// The JSON reader: any text.
// Covers: src/format/json.c
#include "format/json.h"
#include "fuzz.h"

static void check_scalar(const dw_json *json, uint32_t node) {
  uint32_t room = dw_json_raw_bytes(json, node);
  char *value = malloc(room ? room : 1);
  MUST(value != NULL);
  uint32_t bytes = dw_json_string(json, node, value);
  MUST(bytes <= room);
  bool string = dw_json_type_of(json, node) == DW_JSON_STRING;
  MUST(dw_json_equal(json, node, value, bytes) == string);
  MUST(!dw_json_equal(json, node, value, bytes ? bytes - 1 : SIZE_MAX));
  free(value);
}

static void check_number(const dw_json *json, uint32_t node) {
  int64_t signed_value;
  uint64_t unsigned_value;
  double value;
  bool number = dw_json_type_of(json, node) == DW_JSON_NUMBER;
  bool is_signed = dw_json_int64(json, node, &signed_value), is_unsigned = dw_json_uint64(json, node, &unsigned_value);
  bool is_double = dw_json_double(json, node, &value);
  MUST(number || !(is_signed || is_unsigned || is_double));
  if (is_signed) MUST(is_double && value == (double)signed_value);
  if (is_unsigned) MUST(is_double && value == (double)unsigned_value);
  if (is_signed && is_unsigned) MUST((uint64_t)signed_value == unsigned_value);
}

static void check_container(const dw_json *json, uint32_t node) {
  uint32_t count = 0, end = dw_json_end(json, node), at = dw_json_begin(node);
  bool object = dw_json_type_of(json, node) == DW_JSON_OBJECT;
  for (; at < end; at = dw_json_after(json, at + object)) {
    MUST(at > node);
    if (object) {
      MUST(dw_json_type_of(json, at) == DW_JSON_STRING && dw_json_after(json, at) == at + 1);
      uint32_t bytes = dw_json_raw_bytes(json, at);
      char *key = malloc(bytes + 1);
      MUST(key != NULL);
      key[dw_json_string(json, at, key)] = 0;
      // Keys are one of a kind; a zero byte in a key cannot be asked for.
      uint32_t found = dw_json_find(json, node, key);
      MUST(found == at + 1 || strlen(key) < bytes);
      free(key);
    }
    count++;
  }
  MUST(at == end && end <= json->count);
  MUST(count == dw_json_size(json, node));
}

static void check(const dw_json *json, size_t size) {
  MUST(json->nodes[0].next == json->count);
  for (uint32_t i = 0; i < json->count; i++) {
    dw_json_type type = dw_json_type_of(json, i);
    MUST(type >= DW_JSON_NULL && type <= DW_JSON_OBJECT);
    MUST(json->nodes[i].position < size);
    if (type == DW_JSON_ARRAY || type == DW_JSON_OBJECT) {
      check_container(json, i);
    } else {
      MUST(json->nodes[i].next == i + 1);
      MUST(json->nodes[i].length <= size - json->nodes[i].position);
      check_scalar(json, i);
      check_number(json, i);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = fuzz_copy(data, size);
  dw_json any, unique;
  dw_json_error error;
  dw_status status = dw_json_parse(text, size, 0, &any, &error);
  if (status != DW_OK) MUST(error.status == status && error.message && error.position <= size);
  dw_status strict = dw_json_parse(text, size, DW_JSON_UNIQUE_KEYS, &unique, &error);
  MUST(status == DW_OK || strict == status);
  if (strict == DW_OK) {
    MUST(any.count == unique.count);
    check(&unique, size);
  } else {
    MUST(error.position <= size && unique.nodes == NULL);
  }
  dw_json_free(&unique);
  dw_json_free(&any);
  free(text);
  return 0;
}
