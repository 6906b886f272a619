#include "model.h"

#include "format/config.h"
#include "format/index.h"
#include "format/quote.h"
#include "format/safetensors.h"
#include "model_files.h"
#include "sigbus.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONFIG "config.json"
#define WEIGHTS "model.safetensors"
#define INDEX "model.safetensors.index.json"
#define TOKENIZER "tokenizer.json"
#define MAX_CONFIG_BYTES (UINT64_C(16) << 20)
#define MAX_INDEX_BYTES (UINT64_C(256) << 20)

// A mapped weight file.
typedef struct shard {
  char *name;
  void *base;                  // NULL: not mapped
  uint64_t size_bytes;
  dw_sigbus_range *range;
  dw_safetensors header;
} shard;

typedef struct weight {
  const dw_safetensors_tensor *tensor;
  uint32_t shard;
} weight;

struct dw_model {
  dw_model *next;              // of all that are open
  uint64_t references;         // under the registry's lock
  char *path;                  // real path
  dw_model_files files;
  char *config_text;           // NULL: no config.json
  dw_json config;
  shard *shards;
  uint32_t shard_count;
  weight *weights;             // of all shards, by name
  uint32_t weight_count;
  uint64_t mapped_bytes;
};

static struct {
  pthread_mutex_t opening;     // one at a time, so that two who open a directory share it; taken before `lock`
  pthread_mutex_t lock;        // of all that follows and of references; never held while files are read
  dw_model *models;
  dw_model_counters counters;
} registry = {.opening = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};

// An error of a reader, with the name of the file it read.
static dw_status fail_in(dw_error *error, const char *file, const dw_error *reason) {
  return reason->has_position ? dw_fail_at(error, reason->code, reason->position, "%s: %s", file, reason->detail)
                              : dw_fail(error, reason->code, "%s: %s", file, reason->detail);
}

// ---- Weight files ----------------------------------------------------------------------

static dw_status map(shard *s, int descriptor, dw_error *error) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  void *base = mmap(NULL, (size_t)s->size_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (base == MAP_FAILED) return dw_fail_errno(error, errno, s->name);
  s->base = base;
  s->range = dw_sigbus_watch(base, (s->size_bytes + page - 1) / page * page, error);
  return s->range ? DW_OK : DW_NOMEM;
}

static void unmap(shard *s) {
  if (s->range) dw_sigbus_unwatch(s->range);
  if (s->base) munmap(s->base, (size_t)s->size_bytes);
  dw_safetensors_free(&s->header);
  free(s->name);
}

static dw_status check_shard(const shard *s, dw_error *error) {
  if (!s->range || !dw_sigbus_broken(s->range)) return DW_OK;
  return dw_fail(error, DW_IO, "%s was cut off, or could not be read, while it was mapped", s->name);
}

static dw_status open_shard(const dw_model *model, const char *name, shard *s, dw_error *error) {
  s->name = strdup(name);
  if (!s->name) return dw_fail(error, DW_NOMEM, "%s", name);
  int descriptor;
  dw_status status = dw_model_files_descriptor(&model->files, name, &descriptor, &s->size_bytes, error);
  if (status != DW_OK) return status;
  if (s->size_bytes) status = map(s, descriptor, error);
  close(descriptor);
  if (status != DW_OK) return status;
  dw_error reason = {0};
  status = dw_safetensors_parse(s->base, s->size_bytes, &s->header, &reason);
  dw_status broken = check_shard(s, error);
  if (broken != DW_OK) return broken;
  return status == DW_OK ? DW_OK : fail_in(error, name, &reason);
}

static dw_status open_shards(dw_model *model, const char *const *names, uint32_t count, dw_error *error) {
  model->shards = calloc(count ? count : 1, sizeof *model->shards);
  if (!model->shards) return dw_fail(error, DW_NOMEM, "weights of a model");
  for (uint32_t i = 0; i < count; i++) {
    dw_status status = open_shard(model, names[i], &model->shards[model->shard_count++], error);
    if (status != DW_OK) return status;
    model->mapped_bytes += model->shards[i].size_bytes;
    model->weight_count += model->shards[i].header.tensor_count;
  }
  return DW_OK;
}

static int compare_names(const char *left, uint32_t left_bytes, const char *right, uint32_t right_bytes) {
  int order = memcmp(left, right, left_bytes < right_bytes ? left_bytes : right_bytes);
  return order ? order : (left_bytes > right_bytes) - (left_bytes < right_bytes);
}

static int by_name(const void *left, const void *right) {
  const dw_safetensors_tensor *l = ((const weight *)left)->tensor, *r = ((const weight *)right)->tensor;
  return compare_names(l->name, l->name_bytes, r->name, r->name_bytes);
}

static int by_name_and_shard(const void *left, const void *right) {
  const weight *l = left, *r = right;
  int order = by_name(l, r);
  return order ? order : (l->shard > r->shard) - (l->shard < r->shard);
}

static const weight *find_weight(const dw_model *model, const char *name, size_t length) {
  const dw_safetensors_tensor tensor = {.name = name, .name_bytes = (uint32_t)length};
  const weight key = {.tensor = &tensor};
  return model->weight_count ? bsearch(&key, model->weights, model->weight_count, sizeof key, by_name) : NULL;
}

// All tensors in one table, each name once.
static dw_status list_weights(dw_model *model, dw_error *error) {
  model->weights = malloc((model->weight_count ? model->weight_count : 1) * sizeof *model->weights);
  if (!model->weights) return dw_fail(error, DW_NOMEM, "weights of a model");
  weight *next = model->weights;
  for (uint32_t i = 0; i < model->shard_count; i++)
    for (uint32_t j = 0; j < model->shards[i].header.tensor_count; j++)
      *next++ = (weight){&model->shards[i].header.tensors[j], i};
  qsort(model->weights, model->weight_count, sizeof *model->weights, by_name_and_shard);
  for (uint32_t i = 1; i < model->weight_count; i++) {
    const weight *one = &model->weights[i - 1], *other = &model->weights[i];
    if (by_name(one, other) != 0) continue;
    return dw_fail_at(error, DW_FORMAT, other->tensor->position, "%s: tensor %s is in %s too",
                      model->shards[other->shard].name,
                      dw_quote_bytes(other->tensor->name, other->tensor->name_bytes).text,
                      model->shards[one->shard].name);
  }
  return DW_OK;
}

// Reads ahead.  On a cold 700 MB file the first pass over it then takes 0.3 s and
// not 1.0 s, and the call itself 4 ms; a warm file costs 0.1 ms.  Not for models
// that would push themselves out of memory.
static void read_ahead(const dw_model *model) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || model->mapped_bytes > (uint64_t)pages * (uint64_t)page / 2) return;
  for (uint32_t i = 0; i < model->shard_count; i++)
    if (model->shards[i].base) madvise(model->shards[i].base, (size_t)model->shards[i].size_bytes, MADV_WILLNEED);
}

// ---- The index of a sharded model ------------------------------------------------------

static dw_status check_index(const dw_model *model, const dw_index *index, dw_error *error) {
  for (uint32_t i = 0; i < index->entry_count; i++) {
    const dw_index_entry *entry = &index->entries[i];
    dw_quote name = dw_quote_bytes(entry->name, entry->name_bytes);
    const weight *found = find_weight(model, entry->name, entry->name_bytes);
    if (!found)
      return dw_fail_at(error, DW_FORMAT, entry->position, INDEX ": tensor %s is not in %s", name.text,
                        index->files[entry->file]);
    if (found->shard != entry->file)
      return dw_fail_at(error, DW_FORMAT, entry->position, INDEX ": tensor %s is in %s and not in %s", name.text,
                        model->shards[found->shard].name, index->files[entry->file]);
  }
  return DW_OK;
}

static dw_status open_indexed(dw_model *model, const dw_index *index, dw_error *error) {
  for (uint32_t i = 0; i < index->file_count; i++)
    if (!dw_model_files_find(&model->files, index->files[i]))
      return dw_fail(error, DW_NOTFOUND, INDEX " lists %s, which is not there", index->files[i]);
  dw_status status = open_shards(model, index->files, index->file_count, error);
  if (status == DW_OK) status = list_weights(model, error);
  return status == DW_OK ? check_index(model, index, error) : status;
}

static dw_status open_sharded(dw_model *model, dw_error *error) {
  char *text;
  size_t length;
  dw_status status = dw_model_files_text(&model->files, INDEX, MAX_INDEX_BYTES, &text, &length, error);
  if (status != DW_OK) return status;
  dw_index index;
  dw_error reason = {0};
  status = dw_index_parse(text, length, &index, &reason);
  free(text);
  if (status != DW_OK) return fail_in(error, INDEX, &reason);
  status = open_indexed(model, &index, error);
  dw_index_free(&index);
  return status;
}

// ---- Opening ---------------------------------------------------------------------------

static dw_status open_config(dw_model *model, dw_error *error) {
  size_t length;
  dw_status status = dw_model_files_text(&model->files, CONFIG, MAX_CONFIG_BYTES, &model->config_text, &length, error);
  if (status != DW_OK) return status;
  dw_json_error reason;
  status = dw_json_parse(model->config_text, length, DW_JSON_UNIQUE_KEYS, &model->config, &reason);
  return status == DW_OK ? DW_OK : dw_fail_at(error, status, reason.position, CONFIG ": %s", reason.message);
}

static dw_status open_parts(dw_model *model, dw_error *error) {
  const dw_model_files *files = &model->files;
  bool config = dw_model_files_find(files, CONFIG), single = dw_model_files_find(files, WEIGHTS);
  bool sharded = !single && dw_model_files_find(files, INDEX);
  if (!config && !single && !sharded && !dw_model_files_find(files, TOKENIZER))
    return dw_fail(error, DW_NOTFOUND, "no model in %s: neither " CONFIG " nor " WEIGHTS " nor " TOKENIZER,
                   dw_quote_string(model->path).text);
  dw_status status = config ? open_config(model, error) : DW_OK;
  if (status != DW_OK) return status;
  if (sharded) return open_sharded(model, error);
  const char *const name = WEIGHTS;
  status = open_shards(model, &name, single, error);
  return status == DW_OK ? list_weights(model, error) : status;
}

static void destroy(dw_model *model) {
  for (uint32_t i = 0; i < model->shard_count; i++) unmap(&model->shards[i]);
  free(model->shards);
  free(model->weights);
  dw_json_free(&model->config);
  free(model->config_text);
  dw_model_files_close(&model->files);
  free(model->path);
  free(model);
}

// Takes over `path` and `files`.
static dw_status make(char *path, dw_model_files *files, dw_model **answer, dw_error *error) {
  dw_model *model = calloc(1, sizeof *model);
  if (!model) {
    dw_model_files_close(files);
    free(path);
    return dw_fail(error, DW_NOMEM, "model");
  }
  model->path = path;
  model->files = *files;
  model->references = 1;
  dw_status status = open_parts(model, error);
  if (status != DW_OK) {
    destroy(model);
    return status;
  }
  read_ahead(model);
  *answer = model;
  return DW_OK;
}

static dw_model *share(const char *path, const dw_model_files *files) {
  pthread_mutex_lock(&registry.lock);
  dw_model *model = registry.models;
  while (model && (strcmp(model->path, path) != 0 || !dw_model_files_equal(&model->files, files) ||
                   dw_model_check(model, NULL) != DW_OK))
    model = model->next;
  if (model) {
    model->references++;
    registry.counters.shared++;
  }
  pthread_mutex_unlock(&registry.lock);
  return model;
}

static void enlist(dw_model *model) {
  pthread_mutex_lock(&registry.lock);
  model->next = registry.models;
  registry.models = model;
  registry.counters.opened++;
  registry.counters.live++;
  registry.counters.mapped_bytes += model->mapped_bytes;
  pthread_mutex_unlock(&registry.lock);
}

// Takes over `path` and `files`.
static dw_status share_or_make(char *path, dw_model_files *files, dw_model **answer, dw_error *error) {
  *answer = share(path, files);
  if (*answer) {
    dw_model_files_close(files);
    free(path);
    return DW_OK;
  }
  dw_status status = make(path, files, answer, error);
  if (status == DW_OK) enlist(*answer);
  return status;
}

dw_status dw_model_open(const char *directory, dw_model **model, dw_error *error) {
  *model = NULL;
  char *path = realpath(directory, NULL);
  if (!path) return dw_fail_errno(error, errno, dw_quote_string(directory).text);
  dw_model_files files;
  dw_status status = dw_model_files_open(path, &files, error);
  if (status != DW_OK) {
    free(path);
    return status;
  }
  pthread_mutex_lock(&registry.opening);
  status = share_or_make(path, &files, model, error);
  pthread_mutex_unlock(&registry.opening);
  return status;
}

void dw_model_retain(dw_model *model) {
  pthread_mutex_lock(&registry.lock);
  model->references++;
  pthread_mutex_unlock(&registry.lock);
}

void dw_model_release(dw_model *model) {
  pthread_mutex_lock(&registry.lock);
  bool last = --model->references == 0;
  if (last) {
    dw_model **place = &registry.models;
    while (*place != model) place = &(*place)->next;
    *place = model->next;
    registry.counters.live--;
    registry.counters.mapped_bytes -= model->mapped_bytes;
  }
  pthread_mutex_unlock(&registry.lock);
  if (last) destroy(model);
}

void dw_model_counters_get(dw_model_counters *counters) {
  pthread_mutex_lock(&registry.lock);
  *counters = registry.counters;
  pthread_mutex_unlock(&registry.lock);
}

// ---- Looking ---------------------------------------------------------------------------

dw_status dw_model_check(const dw_model *model, dw_error *error) {
  for (uint32_t i = 0; i < model->shard_count; i++) {
    dw_status status = check_shard(&model->shards[i], error);
    if (status != DW_OK) return status;
  }
  return DW_OK;
}

dw_status dw_model_tensor(const dw_model *model, const char *name, dw_model_tensor_info *info, dw_error *error) {
  const weight *found = find_weight(model, name, strlen(name));
  if (!found)
    return dw_fail(error, DW_NOTFOUND, "no tensor %s%s", dw_quote_string(name).text,
                   model->shard_count ? "" : ": neither " WEIGHTS " nor " INDEX " is there");
  const dw_safetensors_tensor *tensor = found->tensor;
  if (tensor->rank > DW_MAX_RANK)
    return dw_fail(error, DW_UNSUPPORTED, "tensor %s has %" PRIu32 " dimensions; up to %d are supported",
                   dw_quote_string(name).text, tensor->rank, DW_MAX_RANK);
  const shard *s = &model->shards[found->shard];
  *info = (dw_model_tensor_info){.dtype = tensor->dtype,
                                 .rank = tensor->rank,
                                 .bytes = (const char *)s->base + tensor->offset_bytes,
                                 .size_bytes = tensor->size_bytes,
                                 .mapping = s->base,
                                 .mapping_bytes = s->size_bytes,
                                 .mapping_index = found->shard};
  memcpy(info->dims, tensor->dims, tensor->rank * sizeof *info->dims);
  return DW_OK;
}

uint32_t dw_model_tensor_count(const dw_model *model) { return model->weight_count; }

const char *dw_model_tensor_name(const dw_model *model, uint32_t index) {
  return index < model->weight_count ? model->weights[index].tensor->name : NULL;
}

uint32_t dw_model_mapping_count(const dw_model *model) { return model->shard_count; }
uint64_t dw_model_mapping_bytes(const dw_model *model) { return model->mapped_bytes; }

dw_status dw_model_file_size(const dw_model *model, const char *name, uint64_t *size_bytes, dw_error *error) {
  int descriptor;
  dw_status status = dw_model_files_descriptor(&model->files, name, &descriptor, size_bytes, error);
  if (status == DW_OK) close(descriptor);
  return status;
}

dw_status dw_model_read(const dw_model *model, const char *name, uint64_t offset, void *buffer, uint64_t length,
                        uint64_t *got_bytes, dw_error *error) {
  return dw_model_files_read(&model->files, name, offset, buffer, length, got_bytes, error);
}

dw_status dw_model_meta(const dw_model *model, const char *key, char *buffer, size_t capacity, size_t *length,
                        dw_error *error) {
  if (!model->config_text) return dw_fail(error, DW_NOTFOUND, "the model has no " CONFIG);
  dw_error reason = {0};
  dw_status status = dw_config_text(&model->config, key, buffer, capacity, length, &reason);
  return status == DW_OK ? DW_OK : fail_in(error, CONFIG, &reason);
}
