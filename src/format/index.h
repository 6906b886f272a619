// index.h: a reader of model.safetensors.index.json, which says in which shard of a
// model each tensor lies.
//
//   {"metadata": {...}, "weight_map": {"tensor name": "file name", ...}}
//
// Layout: https://huggingface.co/docs/transformers/big_models
#ifndef DW_FORMAT_INDEX_H
#define DW_FORMAT_INDEX_H

#include "../status.h"

#define DW_INDEX_MAX_FILES 4096

typedef struct dw_index_entry {
  const char *name;            // UTF-8, zero-terminated (zero bytes inside are possible)
  uint32_t name_bytes;
  uint32_t file;               // into files
  uint64_t position;           // of the name in the text
} dw_index_entry;

typedef struct dw_index {
  dw_index_entry *entries;     // in the order of the text
  uint32_t entry_count;
  const char **files;          // plain names, zero-terminated, each once, in the order of first mention
  uint32_t file_count;
  char *strings;
} dw_index;

// FORMAT: not the layout above, equal keys, a file name that is not plain.  LIMIT:
// more than DW_INDEX_MAX_FILES.  NOMEM.  Every error but NOMEM has its byte
// position.  On an error `index` is empty and needs no free.
dw_status dw_index_parse(const char *text, size_t length, dw_index *index, dw_error *error);
void dw_index_free(dw_index *index);

// Whether a name can be that of a file in a directory and of nothing else: 1 to 255
// bytes, no '/', no '\', no zero byte, no '.' at its beginning.
bool dw_plain_name(const char *name, size_t length);

#endif
