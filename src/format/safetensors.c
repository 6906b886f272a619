#include "safetensors.h"

#include "json.h"
#include "quote.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES 8
#define METADATA "__metadata__"

typedef struct reader {
  const dw_json *json;
  dw_safetensors *file;
  char *strings;               // room for the next one
  uint64_t data_bytes;
  dw_error *error;
} reader;

// Where a node stands in the file.
static uint64_t position_of(const reader *r, uint32_t node) {
  const dw_json_node *n = &r->json->nodes[node];
  return LENGTH_BYTES + n->position - (n->type == DW_JSON_STRING);
}

static dw_status malformed(const reader *r, uint32_t node, const dw_safetensors_tensor *tensor, const char *words) {
  return dw_fail_at(r->error, DW_FORMAT, position_of(r, node), "tensor %s: %s",
                    dw_quote_bytes(tensor->name, tensor->name_bytes).text, words);
}

static const char *keep_string(reader *r, uint32_t node, uint32_t *bytes) {
  char *kept = r->strings;
  *bytes = dw_json_string(r->json, node, kept);
  kept[*bytes] = 0;
  r->strings = kept + *bytes + 1;
  return kept;
}

// ---- One tensor ------------------------------------------------------------------------

static const struct {
  const char *name;
  uint32_t dtype, bytes;
} dtypes[] = {
#define X(name, code, text, bytes) {text, code, bytes},
    DW_DTYPE_MAP(X)
#undef X
};

static dw_status read_dtype(const reader *r, uint32_t node, dw_safetensors_tensor *tensor, uint32_t *bytes) {
  if (dw_json_type_of(r->json, node) != DW_JSON_STRING) return malformed(r, node, tensor, "dtype is not a string");
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
    if (!dw_json_equal(r->json, node, dtypes[i].name, strlen(dtypes[i].name))) continue;
    tensor->dtype = dtypes[i].dtype;
    *bytes = dtypes[i].bytes;
    return DW_OK;
  }
  return dw_fail_at(r->error, DW_UNSUPPORTED, position_of(r, node), "tensor %s: data type %s",
                    dw_quote_bytes(tensor->name, tensor->name_bytes).text,
                    dw_quote_bytes(dw_json_raw(r->json, node), dw_json_raw_bytes(r->json, node)).text);
}

static dw_status read_shape(const reader *r, uint32_t shape, dw_safetensors_tensor *tensor) {
  if (dw_json_type_of(r->json, shape) != DW_JSON_ARRAY) return malformed(r, shape, tensor, "shape is not an array");
  if (dw_json_size(r->json, shape) > DW_SAFETENSORS_MAX_RANK)
    return dw_fail_at(r->error, DW_UNSUPPORTED, position_of(r, shape), "tensor %s: %" PRIu32 " dimensions",
                      dw_quote_bytes(tensor->name, tensor->name_bytes).text, dw_json_size(r->json, shape));
  for (uint32_t i = dw_json_begin(shape); i < dw_json_end(r->json, shape); i = dw_json_after(r->json, i))
    if (!dw_json_uint64(r->json, i, &tensor->dims[tensor->rank++]))
      return malformed(r, i, tensor, "a dimension is not an integer from 0 to 2^64-1");
  return DW_OK;
}

static dw_status read_offsets(const reader *r, uint32_t offsets, dw_safetensors_tensor *tensor) {
  uint64_t place[2];
  if (dw_json_type_of(r->json, offsets) != DW_JSON_ARRAY || dw_json_size(r->json, offsets) != 2)
    return malformed(r, offsets, tensor, "data_offsets is not an array of two");
  for (uint32_t i = 0, node = dw_json_begin(offsets); i < 2; i++, node = dw_json_after(r->json, node))
    if (!dw_json_uint64(r->json, node, &place[i]))
      return malformed(r, node, tensor, "an offset is not an integer from 0 to 2^64-1");
  if (place[0] > place[1]) return malformed(r, offsets, tensor, "it ends before it begins");
  if (place[1] > r->data_bytes) return malformed(r, offsets, tensor, "it ends beyond the end of the file");
  tensor->offset_bytes = r->file->data_offset_bytes + place[0];
  tensor->size_bytes = place[1] - place[0];
  return DW_OK;
}

static bool size_of(const dw_safetensors_tensor *tensor, uint64_t bytes, uint64_t *size_bytes) {
  for (uint32_t i = 0; i < tensor->rank; i++)
    if (__builtin_mul_overflow(bytes, tensor->dims[i], &bytes)) return false;
  *size_bytes = bytes;
  return true;
}

static dw_status read_tensor(const reader *r, uint32_t entry, dw_safetensors_tensor *tensor) {
  uint32_t dtype = dw_json_find(r->json, entry, "dtype"), shape = dw_json_find(r->json, entry, "shape");
  uint32_t offsets = dw_json_find(r->json, entry, "data_offsets");
  if (!dtype || !shape || !offsets || dw_json_size(r->json, entry) != 3)
    return malformed(r, entry, tensor, "it is not an object of dtype, shape and data_offsets");
  uint32_t element_bytes = 0;
  dw_status status = read_dtype(r, dtype, tensor, &element_bytes);
  if (status == DW_OK) status = read_shape(r, shape, tensor);
  if (status == DW_OK) status = read_offsets(r, offsets, tensor);
  if (status != DW_OK) return status;
  uint64_t size_bytes = 0;
  if (!size_of(tensor, element_bytes, &size_bytes)) return malformed(r, shape, tensor, "its size overflows");
  if (size_bytes != tensor->size_bytes)
    return dw_fail_at(r->error, DW_FORMAT, position_of(r, offsets),
                      "tensor %s: %" PRIu64 " bytes, but type and shape make %" PRIu64,
                      dw_quote_bytes(tensor->name, tensor->name_bytes).text, tensor->size_bytes, size_bytes);
  return DW_OK;
}

// ---- The header ------------------------------------------------------------------------

static dw_status read_metadata(reader *r, uint32_t metadata) {
  if (dw_json_type_of(r->json, metadata) != DW_JSON_OBJECT)
    return dw_fail_at(r->error, DW_FORMAT, position_of(r, metadata), METADATA " is not an object");
  dw_safetensors *file = r->file;
  uint32_t count = dw_json_size(r->json, metadata);
  file->metadata = calloc(count ? count : 1, sizeof *file->metadata);
  if (!file->metadata) return dw_fail(r->error, DW_NOMEM, "metadata of a safetensors file");
  for (uint32_t key = dw_json_begin(metadata); key < dw_json_end(r->json, metadata);
       key = dw_json_after(r->json, key + 1)) {
    if (dw_json_type_of(r->json, key + 1) != DW_JSON_STRING)
      return dw_fail_at(r->error, DW_FORMAT, position_of(r, key + 1), "a value of " METADATA " is not a string");
    dw_safetensors_pair *pair = &file->metadata[file->metadata_count++];
    pair->key = keep_string(r, key, &pair->key_bytes);
    pair->value = keep_string(r, key + 1, &pair->value_bytes);
  }
  return DW_OK;
}

static dw_status read_entries(reader *r) {
  dw_safetensors *file = r->file;
  for (uint32_t key = dw_json_begin(0); key < dw_json_end(r->json, 0); key = dw_json_after(r->json, key + 1)) {
    dw_status status;
    if (dw_json_equal(r->json, key, METADATA, strlen(METADATA))) {
      status = read_metadata(r, key + 1);
    } else {
      dw_safetensors_tensor *tensor = &file->tensors[file->tensor_count++];
      tensor->name = keep_string(r, key, &tensor->name_bytes);
      tensor->position = position_of(r, key);
      status = read_tensor(r, key + 1, tensor);
    }
    if (status != DW_OK) return status;
  }
  return DW_OK;
}

static int compare_names(const char *left, size_t left_bytes, const char *right, size_t right_bytes) {
  int order = memcmp(left, right, left_bytes < right_bytes ? left_bytes : right_bytes);
  return order ? order : (left_bytes > right_bytes) - (left_bytes < right_bytes);
}

static int by_name(const void *left, const void *right) {
  const dw_safetensors_tensor *l = left, *r = right;
  return compare_names(l->name, l->name_bytes, r->name, r->name_bytes);
}

static int by_offset(const void *left, const void *right) {
  const dw_safetensors_tensor *l = left, *r = right;
  int order = (l->offset_bytes > r->offset_bytes) - (l->offset_bytes < r->offset_bytes);
  if (!order) order = (l->size_bytes > r->size_bytes) - (l->size_bytes < r->size_bytes);
  return order ? order : (l->position > r->position) - (l->position < r->position);
}

// The tensors cover the data exactly: the first begins with it, each begins where
// the one before ends, the last ends with the file.
static dw_status check_cover(const dw_safetensors *file, uint64_t file_bytes, dw_error *error) {
  qsort(file->tensors, file->tensor_count, sizeof *file->tensors, by_offset);
  uint64_t end = file->data_offset_bytes;
  for (uint32_t i = 0; i < file->tensor_count; i++) {
    const dw_safetensors_tensor *tensor = &file->tensors[i];
    if (tensor->offset_bytes != end)
      return dw_fail_at(error, DW_FORMAT, tensor->position, "tensor %s: %s",
                        dw_quote_bytes(tensor->name, tensor->name_bytes).text,
                        tensor->offset_bytes > end ? "a gap before it" : "it overlaps another");
    end += tensor->size_bytes;
  }
  if (end != file_bytes)
    return dw_fail_at(error, DW_FORMAT, end, "%" PRIu64 " bytes after the last tensor", file_bytes - end);
  return DW_OK;
}

static dw_status read_tensors(const dw_json *json, uint64_t file_bytes, dw_safetensors *file, dw_error *error) {
  uint32_t count = dw_json_size(json, 0);
  uint64_t string_bytes = 1;
  for (uint32_t i = 0; i < json->count; i++)
    if (json->nodes[i].type == DW_JSON_STRING) string_bytes += json->nodes[i].length + UINT64_C(1);
  file->tensors = calloc(count ? count : 1, sizeof *file->tensors);
  file->strings = malloc((size_t)string_bytes);
  if (!file->tensors || !file->strings) return dw_fail(error, DW_NOMEM, "header of a safetensors file");
  reader r = {json, file, file->strings, file_bytes - file->data_offset_bytes, error};
  dw_status status = read_entries(&r);
  if (status == DW_OK) status = check_cover(file, file_bytes, error);
  if (status == DW_OK) qsort(file->tensors, file->tensor_count, sizeof *file->tensors, by_name);
  return status;
}

static dw_status header_length(const unsigned char *bytes, uint64_t size_bytes, uint64_t *length, dw_error *error) {
  if (size_bytes < LENGTH_BYTES)
    return dw_fail_at(error, DW_FORMAT, size_bytes, "no safetensors file: shorter than the header's length");
  *length = 0;
  for (int i = LENGTH_BYTES - 1; i >= 0; i--) *length = *length << 8 | bytes[i];
  if (*length > DW_SAFETENSORS_MAX_HEADER)
    return dw_fail_at(error, DW_LIMIT, 0, "safetensors header of %" PRIu64 " bytes; up to %" PRIu64 " are allowed",
                      *length, DW_SAFETENSORS_MAX_HEADER);
  if (*length > size_bytes - LENGTH_BYTES)
    return dw_fail_at(error, DW_FORMAT, 0, "safetensors header of %" PRIu64 " bytes in a file of %" PRIu64, *length,
                      size_bytes);
  return DW_OK;
}

static dw_status read_header(const char *header, uint64_t length, uint64_t file_bytes, dw_safetensors *file,
                             dw_error *error) {
  if (length == 0 || *header != '{')
    return dw_fail_at(error, DW_FORMAT, LENGTH_BYTES, "safetensors header does not begin with '{'");
  file->data_offset_bytes = LENGTH_BYTES + length;
  dw_json json;
  dw_json_error reason;
  dw_status status = dw_json_parse(header, (size_t)length, DW_JSON_UNIQUE_KEYS, &json, &reason);
  if (status != DW_OK)
    return dw_fail_at(error, status, LENGTH_BYTES + reason.position, "safetensors header: %s", reason.message);
  status = read_tensors(&json, file_bytes, file, error);
  dw_json_free(&json);
  return status;
}

dw_status dw_safetensors_parse(const void *bytes, uint64_t size_bytes, dw_safetensors *file, dw_error *error) {
  *file = (dw_safetensors){0};
  uint64_t length = 0;
  dw_status status = header_length(bytes, size_bytes, &length, error);
  if (status != DW_OK) return status;
  char *header = malloc(length ? (size_t)length : 1);
  if (!header) return dw_fail(error, DW_NOMEM, "header of a safetensors file");
  memcpy(header, (const char *)bytes + LENGTH_BYTES, (size_t)length);
  status = read_header(header, length, size_bytes, file, error);
  free(header);
  if (status != DW_OK) dw_safetensors_free(file);
  return status;
}

void dw_safetensors_free(dw_safetensors *file) {
  free(file->tensors);
  free(file->metadata);
  free(file->strings);
  *file = (dw_safetensors){0};
}

const dw_safetensors_tensor *dw_safetensors_find(const dw_safetensors *file, const char *name) {
  const dw_safetensors_tensor key = {.name = name, .name_bytes = (uint32_t)strlen(name)};
  return bsearch(&key, file->tensors, file->tensor_count, sizeof key, by_name);
}

const char *dw_safetensors_meta(const dw_safetensors *file, const char *key) {
  for (uint32_t i = 0; i < file->metadata_count; i++)
    if (strcmp(file->metadata[i].key, key) == 0) return file->metadata[i].value;
  return NULL;
}
