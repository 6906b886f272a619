// The functions of the import module `driftwood`.
//
// This is the door: every address, length and handle that a guest sends is
// checked here or in tensor.c before a pointer is formed.
#include "runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENT(i) ((uint32_t)arguments[i].i32)
#define ARGUMENT64(i) ((uint64_t)arguments[i].i64)
#define HOST(name) static int64_t name(dw_actor *actor, const wasmtime_val_raw_t *arguments, wasm_trap_t **trap)
#define UNUSED_TRAP (void)trap

// A guest's text of limited length without control characters, terminated.
// `text` has room for limit + 1.
static bool read_text(dw_actor *actor, uint32_t address, uint32_t length, uint32_t limit, char *text,
                      const char *what) {
  if (length > limit) {
    dw_fail(&actor->error, DW_LIMIT, "%s of %" PRIu32 " bytes, at most %" PRIu32, what, length, limit);
    return false;
  }
  const char *bytes = dw_actor_at(actor, address, length, 1, what);
  if (!bytes) return false;
  for (uint32_t i = 0; i < length; i++) {
    text[i] = bytes[i];
    if ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f) continue;
    dw_fail(&actor->error, DW_INVALID, "%s has a control character at byte %" PRIu32, what, i);
    return false;
  }
  text[length] = 0;
  return true;
}

static int64_t give_text(dw_actor *actor, uint32_t address, uint32_t capacity, const void *bytes, size_t length,
                         const char *what) {
  size_t count = length < capacity ? length : capacity;
  void *to = dw_actor_at(actor, address, count, 1, what);
  if (!to) return actor->error.code;
  memcpy(to, bytes, count);
  return (int64_t)length;
}

// ---- The actor --------------------------------------------------------------------

HOST(abi_version) {
  (void)actor, (void)arguments, UNUSED_TRAP;
  return DW_ABI_VERSION;
}

HOST(device_info) {
  UNUSED_TRAP;
  dw_device_info *to = dw_actor_at(actor, ARGUMENT(0), sizeof *to, 8, "device_info");
  if (!to) return actor->error.code;
  const dw_device *device = actor->engine->device;
  dw_device_info info = {.abi_version = DW_ABI_VERSION,
                         .kind = device->class_->kind,
                         .unified = device->unified,
                         .lanes = device->lanes,
                         .view_alignment = DW_VIEW_ALIGNMENT,
                         .max_binding_bytes = device->max_binding_bytes};
  snprintf(info.name, sizeof info.name, "%s", device->name);
  memcpy(to, &info, sizeof info);
  return DW_OK;
}

HOST(last_error) {
  UNUSED_TRAP;
  char text[sizeof actor->error.detail + 64];
  const dw_error *last = &actor->error;
  int length = last->code == DW_OK ? 0 : snprintf(text, sizeof text, "%s: %s", last->message, last->detail);
  return give_text(actor, ARGUMENT(0), ARGUMENT(1), text, (size_t)length, "last_error");
}

HOST(log_line) {
  UNUSED_TRAP;
  uint32_t level = ARGUMENT(0), length = ARGUMENT(2);
  if (level > DW_LOG_DEBUG) return dw_fail(&actor->error, DW_INVALID, "there is no log level %" PRIu32, level);
  if (length > 4096) length = 4096;
  const char *bytes = dw_actor_at(actor, ARGUMENT(1), length, 1, "log");
  if (!bytes) return actor->error.code;
  char line[4097];
  for (uint32_t i = 0; i < length; i++) line[i] = bytes[i] ? bytes[i] : ' ';
  line[length] = 0;
  dw_engine_log_guest(actor, (dw_log_level)level, line);
  if (level == DW_LOG_ERROR) snprintf(actor->last_log, sizeof actor->last_log, "%.199s", line);
  return DW_OK;
}

HOST(emit) {
  UNUSED_TRAP;
  uint32_t length = ARGUMENT(1);
  const void *bytes = dw_actor_at(actor, ARGUMENT(0), length, 1, "emit");
  if (!bytes) return actor->error.code;
  if (actor->on_emit) actor->on_emit(actor->user, actor, bytes, length);
  return DW_OK;
}

HOST(inbox) {
  UNUSED_TRAP;
  const dw_message *message = actor->current;
  if (!message) return give_text(actor, ARGUMENT(0), ARGUMENT(1), "", 0, "inbox");
  return give_text(actor, ARGUMENT(0), ARGUMENT(1), message->bytes, message->size_bytes, "inbox");
}

HOST(inbox_tensor) {
  (void)arguments, UNUSED_TRAP;
  return dw_actor_inbox_tensor(actor);
}

// ---- Models -----------------------------------------------------------------------

static void free_model(dw_object *object) {
  dw_model_release(((dw_model_object *)object)->model);
  free(object);
}

HOST(model_open) {
  UNUSED_TRAP;
  char name[DW_MAX_NAME + 1];
  if (!read_text(actor, ARGUMENT(0), ARGUMENT(1), DW_MAX_NAME, name, "model name")) return actor->error.code;
  for (size_t i = 0; i < actor->model_count; i++) {
    if (strcmp(actor->models[i].name, name) != 0) continue;
    dw_model_object *object = calloc(1, sizeof *object);
    if (!object) return dw_fail(&actor->error, DW_NOMEM, "model");
    object->object = (dw_object){.kind = DW_OBJECT_MODEL, .references = 1, .free = free_model};
    dw_status status = dw_model_open(actor->models[i].path, &object->model, &actor->error);
    if (status != DW_OK) {
      free(object);
      return status;
    }
    return dw_actor_add(actor, &object->object);
  }
  return dw_fail(&actor->error, DW_DENIED, "no model was granted as \"%s\"", name);
}

static dw_model *get_model(dw_actor *actor, dw_handle handle) {
  dw_object *object;
  if (dw_handles_get(&actor->handles, handle, DW_OBJECT_MODEL, &object, &actor->error) != DW_OK) return NULL;
  return ((dw_model_object *)object)->model;
}

HOST(model_meta) {
  UNUSED_TRAP;
  char key[256], value[1024];
  dw_model *model = get_model(actor, ARGUMENT(0));
  if (!model || !read_text(actor, ARGUMENT(1), ARGUMENT(2), sizeof key - 1, key, "key")) return actor->error.code;
  size_t length = 0;
  dw_status status = dw_model_meta(model, key, value, sizeof value, &length, &actor->error);
  if (status != DW_OK) return status;
  return give_text(actor, ARGUMENT(3), ARGUMENT(4), value, length, "model_meta");
}

HOST(model_read) {
  UNUSED_TRAP;
  char file[256];
  uint32_t capacity = ARGUMENT(5);
  dw_model *model = get_model(actor, ARGUMENT(0));
  if (!model || !read_text(actor, ARGUMENT(1), ARGUMENT(2), sizeof file - 1, file, "file name"))
    return actor->error.code;
  if (capacity > INT32_MAX) capacity = INT32_MAX;
  void *to = dw_actor_at(actor, ARGUMENT(4), capacity, 1, "model_read");
  if (!to) return actor->error.code;
  uint64_t got = 0;
  dw_status status = dw_model_read(model, file, ARGUMENT64(3), to, capacity, &got, &actor->error);
  return status == DW_OK ? (int64_t)got : status;
}

HOST(model_size) {
  UNUSED_TRAP;
  char file[256];
  dw_model *model = get_model(actor, ARGUMENT(0));
  if (!model || !read_text(actor, ARGUMENT(1), ARGUMENT(2), sizeof file - 1, file, "file name"))
    return actor->error.code;
  uint64_t size = 0;
  dw_status status = dw_model_file_size(model, file, &size, &actor->error);
  return status == DW_OK ? (int64_t)size : status;
}

HOST(model_tensor) {
  UNUSED_TRAP;
  char name[256];
  if (!read_text(actor, ARGUMENT(1), ARGUMENT(2), sizeof name - 1, name, "tensor name")) return actor->error.code;
  return dw_actor_model_tensor(actor, ARGUMENT(0), name);
}

// ---- Tensors ----------------------------------------------------------------------

// Copies a record, so that what is checked is what is used.
static bool read_record(dw_actor *actor, uint32_t address, void *record, size_t size_bytes, const char *what) {
  const void *from = dw_actor_at(actor, address, size_bytes, 8, what);
  if (from) memcpy(record, from, size_bytes);
  return from != NULL;
}

HOST(tensor_view) {
  UNUSED_TRAP;
  dw_tensor_desc desc;
  char name[DW_MAX_NAME + 1];
  if (!read_record(actor, ARGUMENT(0), &desc, sizeof desc, "tensor_view") ||
      !read_text(actor, ARGUMENT(1), ARGUMENT(2), DW_MAX_NAME, name, "tensor name"))
    return actor->error.code;
  return dw_actor_tensor_view(actor, &desc, name);
}

HOST(tensor_new) {
  UNUSED_TRAP;
  dw_tensor_desc desc;
  char name[DW_MAX_NAME + 1];
  if (!read_record(actor, ARGUMENT(0), &desc, sizeof desc, "tensor_new") ||
      !read_text(actor, ARGUMENT(1), ARGUMENT(2), DW_MAX_NAME, name, "tensor name"))
    return actor->error.code;
  if (desc.address) return dw_fail(&actor->error, DW_INVALID, "a device tensor has no address");
  return dw_actor_tensor_new(actor, &desc, name);
}

HOST(tensor_info) {
  UNUSED_TRAP;
  dw_object *object;
  dw_status status = dw_handles_get(&actor->handles, ARGUMENT(0), 0, &object, &actor->error);
  if (status != DW_OK) return status;
  dw_tensor_info info = {0};
  if (object->kind == DW_OBJECT_CACHE) {
    const dw_cache *cache = ((dw_cache_object *)object)->cache;
    info = (dw_tensor_info){.dtype = cache->desc.dtype,
                            .rank = 4,
                            .dims = {cache->desc.layers, cache->desc.max_rows, cache->desc.kv_heads, cache->desc.head_dim},
                            .place = DW_PLACE_CACHE,
                            .size_bytes = dw_cache_bytes(cache),
                            .rows = cache->rows};
  } else if (object->kind == DW_OBJECT_TENSOR) {
    const dw_tensor *tensor = (const dw_tensor *)object;
    info = (dw_tensor_info){.dtype = tensor->dtype,
                            .rank = tensor->rank,
                            .place = tensor->place,
                            .size_bytes = tensor->size_bytes,
                            .rows = tensor->dims[0]};
    memcpy(info.dims, tensor->dims, sizeof info.dims);
  } else {
    return dw_fail(&actor->error, DW_HANDLE, "0x%" PRIx32 " is a %s, not a tensor or cache", ARGUMENT(0),
                   dw_object_kind_name(object->kind));
  }
  void *to = dw_actor_at(actor, ARGUMENT(1), sizeof info, 8, "tensor_info");
  if (!to) return actor->error.code;
  memcpy(to, &info, sizeof info);
  return DW_OK;
}

// The tensor and the guest's bytes of a transfer, both checked.
static dw_tensor *transfer(dw_actor *actor, const wasmtime_val_raw_t *arguments, void **bytes, const char *what) {
  dw_object *object;
  if (dw_handles_get(&actor->handles, ARGUMENT(0), DW_OBJECT_TENSOR, &object, &actor->error) != DW_OK) return NULL;
  dw_tensor *tensor = (dw_tensor *)object;
  uint64_t offset = ARGUMENT64(1), length = ARGUMENT(3);
  if (tensor->place == DW_PLACE_LINEAR) {
    dw_fail(&actor->error, DW_INVALID, "%s: %s is a view of the guest's own memory", what, tensor->name);
    return NULL;
  }
  if (length > tensor->size_bytes || offset > tensor->size_bytes - length) {
    dw_fail(&actor->error, DW_BOUNDS, "%s: %" PRIu64 " bytes at %" PRIu64 " of %s, which has %" PRIu64, what, length,
            offset, tensor->name, tensor->size_bytes);
    return NULL;
  }
  *bytes = dw_actor_at(actor, ARGUMENT(2), length, 1, what);
  return *bytes ? tensor : NULL;
}

HOST(tensor_read) {
  UNUSED_TRAP;
  void *bytes;
  const dw_tensor *tensor = transfer(actor, arguments, &bytes, "tensor_read");
  if (!tensor) return actor->error.code;
  uint64_t offset = ARGUMENT64(1), length = ARGUMENT(3);
  actor->stats.download_bytes += length;
  actor->stats.bus_bytes += length;
  if (tensor->place == DW_PLACE_DEVICE)
    return actor->engine->device->class_->download(tensor->buffer, offset, bytes, length, &actor->error);
  memcpy(bytes, (const unsigned char *)tensor->host + offset, length);
  return dw_model_check(tensor->model, &actor->error);
}

HOST(tensor_write) {
  UNUSED_TRAP;
  void *bytes;
  const dw_tensor *tensor = transfer(actor, arguments, &bytes, "tensor_write");
  if (!tensor) return actor->error.code;
  if (tensor->sealed) return dw_fail(&actor->error, DW_READONLY, "%s is read-only", tensor->name);
  uint64_t length = ARGUMENT(3);
  actor->stats.upload_bytes += length;
  actor->stats.bus_bytes += length;
  return actor->engine->device->class_->upload(tensor->buffer, ARGUMENT64(1), bytes, length, &actor->error);
}

HOST(tensor_send) {
  UNUSED_TRAP;
  char name[DW_MAX_NAME + 1];
  uint32_t length = ARGUMENT(4);
  if (!read_text(actor, ARGUMENT(0), ARGUMENT(1), DW_MAX_NAME, name, "actor name")) return actor->error.code;
  const void *bytes = dw_actor_at(actor, ARGUMENT(3), length, 1, "tensor_send");
  return bytes ? dw_actor_tensor_send(actor, name, ARGUMENT(2), bytes, length) : actor->error.code;
}

HOST(cache_new) {
  UNUSED_TRAP;
  dw_cache_desc desc;
  char name[DW_MAX_NAME + 1];
  if (!read_record(actor, ARGUMENT(0), &desc, sizeof desc, "cache_new") ||
      !read_text(actor, ARGUMENT(1), ARGUMENT(2), DW_MAX_NAME, name, "cache name"))
    return actor->error.code;
  return dw_actor_cache_new(actor, &desc, name);
}

HOST(cache_truncate) {
  UNUSED_TRAP;
  dw_object *object;
  dw_status status = dw_handles_get(&actor->handles, ARGUMENT(0), DW_OBJECT_CACHE, &object, &actor->error);
  if (status != DW_OK) return status;
  return dw_cache_truncate(((dw_cache_object *)object)->cache, ARGUMENT64(1), &actor->error);
}

// ---- Programs ---------------------------------------------------------------------

HOST(program_new) {
  UNUSED_TRAP;
  dw_program_desc desc;
  if (!read_record(actor, ARGUMENT(0), &desc, sizeof desc, "program_new")) return actor->error.code;
  return dw_actor_program_new(actor, &desc);
}

HOST(program_submit) {
  UNUSED_TRAP;
  uint32_t count = ARGUMENT(2), params[DW_MAX_PROGRAM_PARAMS];
  if (count > DW_MAX_PROGRAM_PARAMS)
    return dw_fail(&actor->error, DW_INVALID, "%" PRIu32 " parameters, at most %d", count, DW_MAX_PROGRAM_PARAMS);
  const void *from = dw_actor_at(actor, ARGUMENT(1), count * sizeof *params, 4, "program_submit");
  if (!from) return actor->error.code;
  memcpy(params, from, count * sizeof *params);
  return dw_actor_program_submit(actor, ARGUMENT(0), params, count);
}

HOST(kernel_new) {
  UNUSED_TRAP;
  if (!dw_actor_at(actor, ARGUMENT(0), ARGUMENT(1), 1, "kernel_new")) return actor->error.code;
  return dw_fail(&actor->error, DW_UNSUPPORTED, "the device %s runs no kernels of guests",
                 actor->engine->device->class_->name);
}

HOST(release_handle) {
  UNUSED_TRAP;
  return dw_handles_remove(&actor->handles, ARGUMENT(0), &actor->error);
}

const dw_host_function dw_driftwood_functions[] = {
    {"abi_version", "", 'i', abi_version},
    {"device_info", "i", 'i', device_info},
    {"last_error", "ii", 'i', last_error},
    {"log", "iii", 'i', log_line},
    {"emit", "ii", 'i', emit},
    {"inbox", "ii", 'i', inbox},
    {"inbox_tensor", "", 'i', inbox_tensor},
    {"model_open", "ii", 'i', model_open},
    {"model_meta", "iiiii", 'i', model_meta},
    {"model_read", "iiiIii", 'i', model_read},
    {"model_size", "iii", 'I', model_size},
    {"model_tensor", "iii", 'i', model_tensor},
    {"tensor_view", "iii", 'i', tensor_view},
    {"tensor_new", "iii", 'i', tensor_new},
    {"tensor_info", "ii", 'i', tensor_info},
    {"tensor_read", "iIii", 'i', tensor_read},
    {"tensor_write", "iIii", 'i', tensor_write},
    {"tensor_send", "iiiii", 'i', tensor_send},
    {"cache_new", "iii", 'i', cache_new},
    {"cache_truncate", "iI", 'i', cache_truncate},
    {"program_new", "i", 'i', program_new},
    {"program_submit", "iii", 'i', program_submit},
    {"kernel_new", "ii", 'i', kernel_new},
    {"release", "i", 'i', release_handle},
};
const size_t dw_driftwood_function_count = sizeof dw_driftwood_functions / sizeof *dw_driftwood_functions;
