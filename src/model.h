// A model: a Hugging Face directory, mapped read-only and shared by all actors of
// the process.
//
// The weights are `model.safetensors` or the shards that `model.safetensors.index.json`
// names; each is mapped whole.  Opening checks every header and the index against
// the shards, so that afterwards a tensor is found by name or is not there.  A
// directory without weights opens too, for its tokenizer.  The other files
// (config.json, tokenizer.json, ...) are read by name and range.
//
// Files are those that stand in the directory itself when the model is opened:
// plain names, without '/' and not beginning with '.'.  Symbolic links are
// followed, because the caches of Hugging Face consist of them: who grants a
// directory grants what its links point to.
//
// Opening a directory that is still open, by its real path and with no file that
// changed since (device, inode, size, time of change), gives the same object again.
//
//   Threads   Every function may be called from any thread; a model is never
//             written after it was opened.
//   SIGBUS    A weight file that is cut off while it is mapped gives zeros from
//             then on, where sigbus.h is installed: dw_model_check tells.
#ifndef DW_MODEL_H
#define DW_MODEL_H

#include "status.h"

typedef struct dw_model dw_model;

// A weight as it lies in its file.
typedef struct dw_model_tensor_info {
  uint32_t dtype;              // dw_dtype
  uint32_t rank;               // 0 (one element) to DW_MAX_RANK
  uint64_t dims[DW_MAX_RANK];  // unused ones are 0
  const void *bytes;           // aligned to nothing in particular
  uint64_t size_bytes;
  const void *mapping;         // of the file that holds it; page-aligned
  uint64_t mapping_bytes;      // the file's size; the mapping reaches to the end of its last page
  uint32_t mapping_index;      // below dw_model_mapping_count
} dw_model_tensor_info;

// Opens, or shares what is open; the caller owns one reference.  Errors:
// NOTFOUND (no such directory, nothing of a model in it, a shard that is listed but
// absent), FORMAT (with the byte position in the file that the detail names),
// UNSUPPORTED (a data type that is none of dw_dtype), IO, LIMIT, NOMEM.
dw_status dw_model_open(const char *directory, dw_model **model, dw_error *error);
void dw_model_retain(dw_model *model);
void dw_model_release(dw_model *model);

// IO if a mapped weight file was cut off since the model was opened, with its name.
// Costs an atomic load a file: call it after every run that read weights.
dw_status dw_model_check(const dw_model *model, dw_error *error);

// Of all shards, by name.  NOTFOUND; UNSUPPORTED: more than DW_MAX_RANK dimensions.
dw_status dw_model_tensor(const dw_model *model, const char *name, dw_model_tensor_info *info, dw_error *error);
uint32_t dw_model_tensor_count(const dw_model *model);
// The name of a tensor, in the order of their names; NULL beyond the last.
const char *dw_model_tensor_name(const dw_model *model, uint32_t index);

uint32_t dw_model_mapping_count(const dw_model *model);
// What all mapped files hold, in bytes.
uint64_t dw_model_mapping_bytes(const dw_model *model);

// Files of the directory.  NOTFOUND: none of this name; DENIED: not a plain name.
dw_status dw_model_file_size(const dw_model *model, const char *name, uint64_t *size_bytes, dw_error *error);
// Reads up to `length` bytes at `offset`; fewer only at the end of the file
// (`got_bytes` 0 at or beyond it).
dw_status dw_model_read(const dw_model *model, const char *name, uint64_t offset, void *buffer, uint64_t length,
                        uint64_t *got_bytes, dw_error *error);

// A scalar of config.json by its dotted path, such as "rope_scaling.factor" or
// "architectures.0", as text; see dw_config_text.  NOTFOUND: no such member, or no
// config.json; UNSUPPORTED: an array or an object; LIMIT: no room for it.
dw_status dw_model_meta(const dw_model *model, const char *key, char *buffer, size_t capacity, size_t *length,
                        dw_error *error);

// Of the process, for tests.
typedef struct dw_model_counters {
  uint64_t opened;             // models made
  uint64_t shared;             // opens that found one
  uint64_t live;               // models now
  uint64_t mapped_bytes;       // now
} dw_model_counters;
void dw_model_counters_get(dw_model_counters *counters);

#endif
