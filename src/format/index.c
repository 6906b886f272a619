#include "index.h"

#include "json.h"
#include "quote.h"

#include <stdlib.h>
#include <string.h>

bool dw_plain_name(const char *name, size_t length) {
  if (length == 0 || length > 255 || name[0] == '.') return false;
  return !memchr(name, '/', length) && !memchr(name, '\\', length) && !memchr(name, 0, length);
}

typedef struct reader {
  const dw_json *json;
  dw_index *index;
  uint32_t *sorted;            // indices of files, by name
  char *strings;               // room for the next one
  dw_error *error;
} reader;

static const char *keep_string(reader *r, uint32_t node, uint32_t *bytes) {
  char *kept = r->strings;
  *bytes = dw_json_string(r->json, node, kept);
  kept[*bytes] = 0;
  r->strings = kept + *bytes + 1;
  return kept;
}

static uint64_t position_of(const dw_json *json, uint32_t node) {
  return json->nodes[node].position - (uint64_t)(json->nodes[node].type == DW_JSON_STRING);
}

// The place of `name` among the sorted files; `there` tells whether it is one.
static uint32_t place_of(const reader *r, const char *name, bool *there) {
  uint32_t low = 0, high = r->index->file_count;
  *there = false;
  while (low < high && !*there) {
    uint32_t middle = (low + high) / 2;
    int order = strcmp(r->index->files[r->sorted[middle]], name);
    *there = order == 0;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return high;
}

static dw_status read_file(reader *r, uint32_t node, uint32_t *file) {
  uint64_t position = position_of(r->json, node);
  if (dw_json_type_of(r->json, node) != DW_JSON_STRING)
    return dw_fail_at(r->error, DW_FORMAT, position, "a value of weight_map is not a string");
  uint32_t bytes;
  const char *name = keep_string(r, node, &bytes);
  if (!dw_plain_name(name, bytes))
    return dw_fail_at(r->error, DW_FORMAT, position, "%s is not a plain file name", dw_quote_bytes(name, bytes).text);
  bool there;
  uint32_t place = place_of(r, name, &there);
  dw_index *index = r->index;
  if (!there) {
    if (index->file_count == DW_INDEX_MAX_FILES)
      return dw_fail_at(r->error, DW_LIMIT, position, "more than %d files", DW_INDEX_MAX_FILES);
    memmove(&r->sorted[place + 1], &r->sorted[place], (index->file_count - place) * sizeof *r->sorted);
    r->sorted[place] = index->file_count;
    index->files[index->file_count++] = name;
  }
  *file = r->sorted[place];
  return DW_OK;
}

static dw_status read_map(reader *r, uint32_t map) {
  for (uint32_t key = dw_json_begin(map); key < dw_json_end(r->json, map); key = dw_json_after(r->json, key + 1)) {
    dw_index_entry *entry = &r->index->entries[r->index->entry_count++];
    entry->name = keep_string(r, key, &entry->name_bytes);
    entry->position = position_of(r->json, key);
    dw_status status = read_file(r, key + 1, &entry->file);
    if (status != DW_OK) return status;
  }
  return DW_OK;
}

static dw_status read_index(const dw_json *json, size_t length, dw_index *index, dw_error *error) {
  uint32_t map = dw_json_find(json, 0, "weight_map");
  if (!map || dw_json_type_of(json, map) != DW_JSON_OBJECT)
    return dw_fail_at(error, DW_FORMAT, map ? position_of(json, map) : 0, "no object weight_map");
  uint32_t count = dw_json_size(json, map);
  reader r = {.json = json, .index = index, .error = error};
  index->entries = calloc(count ? count : 1, sizeof *index->entries);
  index->files = calloc(DW_INDEX_MAX_FILES, sizeof *index->files);
  // A string's quotes make room for its terminator.
  index->strings = r.strings = malloc(length);
  r.sorted = malloc((DW_INDEX_MAX_FILES + 1) * sizeof *r.sorted);
  dw_status status = index->entries && index->files && index->strings && r.sorted
                         ? read_map(&r, map)
                         : dw_fail(error, DW_NOMEM, "index of a model");
  free(r.sorted);
  return status;
}

dw_status dw_index_parse(const char *text, size_t length, dw_index *index, dw_error *error) {
  *index = (dw_index){0};
  dw_json json;
  dw_json_error reason;
  dw_status status = dw_json_parse(text, length, DW_JSON_UNIQUE_KEYS, &json, &reason);
  if (status != DW_OK) return dw_fail_at(error, status, reason.position, "%s", reason.message);
  status = read_index(&json, length, index, error);
  dw_json_free(&json);
  if (status != DW_OK) dw_index_free(index);
  return status;
}

void dw_index_free(dw_index *index) {
  free(index->entries);
  free(index->files);
  free(index->strings);
  *index = (dw_index){0};
}
