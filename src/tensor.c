// Tensors, caches and programs as the objects behind an actor's handles.
#include "runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int32_t dw_actor_add(dw_actor *actor, dw_object *object) {
  dw_handle handle;
  dw_status status = dw_handles_add(&actor->handles, object, &handle, &actor->error);
  return status == DW_OK ? (int32_t)handle : status;
}

// ---- Charging ---------------------------------------------------------------------
// What the host keeps for an actor counts as its memory: else small things would
// be free, and a program can hold any number of them without handles.

static dw_status charge(dw_actor *actor, uint64_t size_bytes, uint64_t kept_bytes, const char *what) {
  uint64_t left = actor->budget_bytes;
  if (size_bytes > left || kept_bytes > left - size_bytes)
    return dw_fail(&actor->error, DW_LIMIT, "a %s of %" PRIu64 " bytes, %" PRIu64 " are left of max_memory", what,
                   size_bytes + kept_bytes, left);
  actor->budget_bytes -= size_bytes + kept_bytes;
  actor->kept_bytes += kept_bytes;
  return DW_OK;
}

static void refund(dw_actor *actor, uint64_t size_bytes, uint64_t kept_bytes) {
  actor->budget_bytes += size_bytes + kept_bytes;
  actor->kept_bytes -= kept_bytes;
}

// ---- Tensors ----------------------------------------------------------------------

// For the record of a tensor, and for its bytes where they are the actor's.
static dw_status charge_tensor(dw_actor *actor, dw_tensor *tensor, bool bytes) {
  uint64_t beside = tensor->size_bytes ? -tensor->size_bytes % DW_ALLOCATION_BYTES : DW_ALLOCATION_BYTES;
  uint64_t kept_bytes = DW_RECORD_BYTES + (bytes ? beside : 0);
  dw_status status = charge(actor, bytes ? tensor->size_bytes : 0, kept_bytes, "tensor");
  if (status != DW_OK) return status;
  tensor->owner = actor;
  tensor->kept_bytes = kept_bytes;
  tensor->charged = bytes;
  return DW_OK;
}

static void release_storage(dw_storage *storage) {
  if (atomic_fetch_sub(&storage->references, 1) != 1) return;
  storage->buffer->device->class_->release(storage->buffer);
  free(storage);
}

// Device memory for `tensor`, whose size is known.
static dw_status allocate(dw_actor *actor, dw_tensor *tensor) {
  dw_status status = charge_tensor(actor, tensor, true);
  if (status != DW_OK) return status;
  dw_storage *storage = calloc(1, sizeof *storage);
  if (!storage) return dw_fail(&actor->error, DW_NOMEM, "tensor");
  dw_device *device = actor->engine->device;
  status = device->class_->allocate(
      device, tensor->size_bytes ? tensor->size_bytes : DW_VIEW_ALIGNMENT, &storage->buffer, &actor->error);
  if (status != DW_OK) {
    free(storage);
    return status;
  }
  storage->references = 1;
  tensor->storage = storage;
  tensor->buffer = storage->buffer;
  return DW_OK;
}

static void free_tensor(dw_object *object) {
  dw_tensor *tensor = (dw_tensor *)object;
  if (tensor->storage) release_storage(tensor->storage);
  if (tensor->import) dw_engine_release_import(tensor->engine, tensor->import);
  if (tensor->owner) refund(tensor->owner, tensor->charged ? tensor->size_bytes : 0, tensor->kept_bytes);
  if (tensor->model) dw_model_release(tensor->model);
  free(tensor);
}

static dw_tensor *new_tensor(dw_actor *actor, dw_place place, const char *name) {
  dw_tensor *tensor = calloc(1, sizeof *tensor);
  if (!tensor) {
    dw_fail(&actor->error, DW_NOMEM, "tensor");
    return NULL;
  }
  tensor->object = (dw_object){.kind = DW_OBJECT_TENSOR, .references = 1, .free = free_tensor};
  tensor->engine = actor->engine;
  tensor->place = place;
  snprintf(tensor->name, sizeof tensor->name, "%s", name);
  return tensor;
}

// Takes shape and type from a guest's record and works out the size.
static dw_status shape_tensor(dw_tensor *tensor, const dw_tensor_desc *desc, dw_error *error) {
  uint32_t element_bytes = dw_dtype_bytes(desc->dtype);
  if (!element_bytes) return dw_fail(error, DW_INVALID, "there is no dtype %" PRIu32, desc->dtype);
  if (desc->rank < 1 || desc->rank > DW_MAX_RANK)
    return dw_fail(error, DW_INVALID, "rank %" PRIu32 " is not 1 to %d", desc->rank, DW_MAX_RANK);
  if (desc->reserved) return dw_fail(error, DW_INVALID, "the reserved field is not 0");
  uint64_t size = element_bytes;
  for (uint32_t i = 0; i < desc->rank; i++) {
    if (desc->dims[i] && size > DW_MAX_TENSOR_BYTES / desc->dims[i])
      return dw_fail(error, DW_LIMIT, "a tensor has at most %" PRIu64 " bytes", DW_MAX_TENSOR_BYTES);
    size *= desc->dims[i];
    tensor->dims[i] = desc->dims[i];
  }
  for (uint32_t i = desc->rank; i < DW_MAX_RANK; i++)
    if (desc->dims[i]) return dw_fail(error, DW_INVALID, "dims[%" PRIu32 "] lies beyond the rank and is not 0", i);
  tensor->dtype = desc->dtype;
  tensor->rank = desc->rank;
  tensor->size_bytes = size;
  return DW_OK;
}

int32_t dw_actor_tensor_view(dw_actor *actor, const dw_tensor_desc *desc, const char *name) {
  dw_tensor *tensor = new_tensor(actor, DW_PLACE_LINEAR, name);
  if (!tensor) return DW_NOMEM;
  tensor->address = desc->address;
  if (shape_tensor(tensor, desc, &actor->error) != DW_OK ||
      !dw_actor_at(actor, desc->address, tensor->size_bytes, DW_VIEW_ALIGNMENT, "tensor_view") ||
      charge_tensor(actor, tensor, false) != DW_OK) {
    dw_object_release(&tensor->object);
    return actor->error.code;
  }
  return dw_actor_add(actor, &tensor->object);
}

int32_t dw_actor_tensor_new(dw_actor *actor, const dw_tensor_desc *desc, const char *name) {
  dw_tensor *tensor = new_tensor(actor, DW_PLACE_DEVICE, name);
  if (!tensor) return DW_NOMEM;
  dw_status status = shape_tensor(tensor, desc, &actor->error);
  if (status == DW_OK) status = allocate(actor, tensor);
  if (status != DW_OK) {
    dw_object_release(&tensor->object);
    return status;
  }
  return dw_actor_add(actor, &tensor->object);
}

// A weight that lies unaligned to its own element in the file cannot be bound:
// it is copied into device memory, once for this handle, and counted.
static dw_status copy_weight(dw_actor *actor, dw_tensor *tensor, const void *bytes) {
  dw_status status = allocate(actor, tensor);
  if (status != DW_OK) return status;
  actor->stats.copied_bytes += tensor->size_bytes;
  return actor->engine->device->class_->upload(tensor->buffer, 0, bytes, tensor->size_bytes, &actor->error);
}

int32_t dw_actor_model_tensor(dw_actor *actor, dw_handle handle, const char *name) {
  dw_object *object;
  dw_status status = dw_handles_get(&actor->handles, handle, DW_OBJECT_MODEL, &object, &actor->error);
  if (status != DW_OK) return status;
  dw_model *model = ((dw_model_object *)object)->model;
  dw_model_tensor_info info;
  status = dw_model_tensor(model, name, &info, &actor->error);
  if (status != DW_OK) return status;
  dw_tensor *tensor = new_tensor(actor, DW_PLACE_MODEL, name);
  if (!tensor) return DW_NOMEM;
  dw_tensor_desc desc = {.dtype = info.dtype, .rank = info.rank ? info.rank : 1};
  if (!info.rank) desc.dims[0] = 1;
  for (uint32_t i = 0; i < info.rank && i < DW_MAX_RANK; i++) desc.dims[i] = info.dims[i];
  tensor->sealed = true;
  tensor->host = info.bytes;
  dw_model_retain(model);
  tensor->model = model;
  status = shape_tensor(tensor, &desc, &actor->error);
  if (status == DW_OK) {
    if ((uintptr_t)info.bytes % dw_dtype_bytes(info.dtype)) {
      status = copy_weight(actor, tensor, info.bytes);
    } else {
      status = charge_tensor(actor, tensor, false);
      if (status == DW_OK)
        status = dw_engine_import_model(actor->engine, model, &info, &tensor->import, &actor->error);
      if (status == DW_OK) tensor->buffer = tensor->import->buffer;
      tensor->offset_bytes = (uint64_t)((const unsigned char *)info.bytes - (const unsigned char *)info.mapping);
    }
  }
  if (status != DW_OK) {
    dw_object_release(&tensor->object);
    return status;
  }
  return dw_actor_add(actor, &tensor->object);
}

// The same bytes for another owner: a message under way (which is charged to
// nobody), or the actor that received it.
static dw_tensor *share_tensor(dw_actor *actor, const dw_tensor *source) {
  dw_tensor *tensor = new_tensor(actor, DW_PLACE_DEVICE, source->name);
  if (!tensor) return NULL;
  tensor->dtype = source->dtype;
  tensor->rank = source->rank;
  memcpy(tensor->dims, source->dims, sizeof tensor->dims);
  tensor->size_bytes = source->size_bytes;
  tensor->sealed = true;
  atomic_fetch_add(&source->storage->references, 1);
  tensor->storage = source->storage;
  tensor->buffer = source->buffer;
  return tensor;
}

int32_t dw_actor_tensor_send(dw_actor *actor, const char *name, dw_handle handle, const void *bytes, uint32_t length) {
  dw_object *object;
  dw_status status = dw_handles_get(&actor->handles, handle, DW_OBJECT_TENSOR, &object, &actor->error);
  if (status != DW_OK) return status;
  dw_tensor *tensor = (dw_tensor *)object;
  if (tensor->place != DW_PLACE_DEVICE)
    return dw_fail(&actor->error, DW_INVALID, "only device tensors can be sent");
  if (actor->submitted) return dw_fail(&actor->error, DW_BUSY, "the submitted program may still write it");
  const dw_granted_peer *peer = NULL;
  for (size_t i = 0; i < actor->peer_count && !peer; i++)
    if (strcmp(actor->peers[i].name, name) == 0) peer = &actor->peers[i];
  if (!peer) return dw_fail(&actor->error, DW_DENIED, "no actor was granted as \"%s\"", name);
  dw_tensor *sent = share_tensor(actor, tensor);
  if (!sent) return DW_NOMEM;
  pthread_mutex_lock(&actor->engine->lock);
  dw_actor *receiver = dw_engine_find_actor(actor->engine, peer->actor_id);
  status = receiver ? dw_actor_deliver(receiver, bytes, length, sent, &actor->error)
                    : dw_fail(&actor->error, DW_CLOSED, "the actor \"%s\" is gone", name);
  pthread_mutex_unlock(&actor->engine->lock);
  if (status == DW_OK) tensor->sealed = true;
  else dw_object_release(&sent->object);
  return status;
}

int32_t dw_actor_inbox_tensor(dw_actor *actor) {
  if (!actor->current || !actor->current->tensor)
    return dw_fail(&actor->error, DW_NOTFOUND, "no tensor came with this message");
  dw_tensor *tensor = share_tensor(actor, actor->current->tensor);
  if (!tensor) return DW_NOMEM;
  dw_status status = charge_tensor(actor, tensor, true);
  if (status != DW_OK) {
    dw_object_release(&tensor->object);
    return status;
  }
  return dw_actor_add(actor, &tensor->object);
}

// ---- Caches -----------------------------------------------------------------------

static void free_cache(dw_object *object) {
  dw_cache_object *cache = (dw_cache_object *)object;
  dw_cache_free(cache->cache);
  refund(cache->actor, 0, cache->kept_bytes);
  free(cache);
}

int32_t dw_actor_cache_new(dw_actor *actor, const dw_cache_desc *desc, const char *name) {
  dw_cache_object *cache = calloc(1, sizeof *cache);
  if (!cache) return dw_fail(&actor->error, DW_NOMEM, "cache");
  *cache = (dw_cache_object){.object = {.kind = DW_OBJECT_CACHE, .references = 1, .free = free_cache}, .actor = actor};
  snprintf(cache->name, sizeof cache->name, "%s", name);
  dw_status status =
      dw_cache_new(actor->engine->device, desc, &actor->budget_bytes, &cache->cache, &actor->error);
  if (status != DW_OK) {
    free(cache);
    return status;
  }
  uint64_t table = cache->cache->max_blocks * desc->layers * sizeof *cache->cache->blocks;
  status = charge(actor, 0, DW_RECORD_BYTES + table, "cache's table");
  if (status != DW_OK) {
    dw_object_release(&cache->object);
    return status;
  }
  cache->kept_bytes = DW_RECORD_BYTES + table;
  return dw_actor_add(actor, &cache->object);
}

// ---- Programs ---------------------------------------------------------------------

static void free_program(dw_object *object) {
  dw_program_object *program = (dw_program_object *)object;
  for (uint32_t i = 0; i < program->slot_count; i++) dw_object_release(program->slots[i]);
  free(program->slots);
  if (program->shared) dw_engine_release_program(program->actor->engine, program->shared);
  refund(program->actor, 0, program->kept_bytes);
  free(program);
}

// Tells the validator what a handle is.
static dw_status describe(void *user, dw_handle handle, dw_slot *slot, dw_error *error) {
  dw_actor *actor = user;
  dw_object *object;
  dw_status status = dw_handles_get(&actor->handles, handle, 0, &object, error);
  if (status != DW_OK) return status;
  *slot = (dw_slot){.handle = handle, .alias = (uint64_t)(uintptr_t)object};
  if (object->kind == DW_OBJECT_CACHE) {
    slot->place = DW_PLACE_CACHE;
    slot->cache = ((dw_cache_object *)object)->cache->desc;
    slot->dtype = slot->cache.dtype;
    return DW_OK;
  }
  if (object->kind != DW_OBJECT_TENSOR)
    return dw_fail(error, DW_HANDLE, "0x%" PRIx32 " is a %s, not a tensor or cache", handle,
                   dw_object_kind_name(object->kind));
  const dw_tensor *tensor = (const dw_tensor *)object;
  slot->place = tensor->place;
  slot->sealed = tensor->sealed;
  slot->dtype = tensor->dtype;
  slot->rank = tensor->rank;
  memcpy(slot->dims, tensor->dims, sizeof slot->dims);
  if (tensor->place == DW_PLACE_LINEAR) {
    slot->alias = 0;
    slot->alias_offset_bytes = tensor->address;
  }
  return DW_OK;
}

// Copied before anything is looked at: the guest cannot change what was checked.
static void *copy_records(dw_actor *actor, uint64_t address, uint64_t count, uint64_t limit, size_t size_bytes,
                          const char *what) {
  if (count > limit) {
    dw_fail(&actor->error, DW_LIMIT, "a program has at most %" PRIu64 " %s", limit, what);
    return NULL;
  }
  const void *records = dw_actor_at(actor, address, count * size_bytes, 8, what);
  if (!records) return NULL;
  void *copy = malloc(count * size_bytes + 1);
  if (copy) memcpy(copy, records, count * size_bytes);
  else dw_fail(&actor->error, DW_NOMEM, "program");
  return copy;
}

static dw_status validate(dw_actor *actor, const dw_program_desc *desc, dw_program **program) {
  if (desc->abi_version != DW_ABI_VERSION)
    return dw_fail(&actor->error, DW_VERSION, "a program of interface version %" PRIu32 ", this host has %d",
                   desc->abi_version, DW_ABI_VERSION);
  if (desc->reserved) return dw_fail(&actor->error, DW_INVALID, "the reserved field is not 0");
  void *tensors = copy_records(actor, desc->tensors, desc->tensor_count, DW_MAX_PROGRAM_TENSORS,
                               sizeof(dw_program_tensor), "tensors");
  void *ops = tensors ? copy_records(actor, desc->ops, desc->op_count, DW_MAX_PROGRAM_OPS, sizeof(dw_op), "operators")
                      : NULL;
  void *params = ops ? copy_records(actor, desc->params, desc->param_count, DW_MAX_PROGRAM_PARAMS, sizeof(dw_param),
                                    "parameters")
                     : NULL;
  dw_status status = actor->error.code;
  if (params) {
    const dw_program_source source = {tensors, desc->tensor_count, ops,
                                      desc->op_count, params, desc->param_count};
    status = dw_program_new(&source, describe, actor, program, &actor->error);
  }
  free(tensors);
  free(ops);
  free(params);
  return status;
}

static dw_status hold_slots(dw_actor *actor, dw_program_object *object, const dw_program *program) {
  object->slots = calloc(program->slot_count + 1, sizeof *object->slots);
  if (!object->slots) return dw_fail(&actor->error, DW_NOMEM, "program");
  for (uint32_t i = 0; i < program->slot_count; i++) {
    dw_status status = dw_handles_get(&actor->handles, program->slots[i].handle, 0, &object->slots[i], &actor->error);
    if (status != DW_OK) {
      object->slots[i] = NULL;
      return status;
    }
    dw_object_retain(object->slots[i]);
    object->slot_count = i + 1;
  }
  return DW_OK;
}

static uint64_t program_bytes(const dw_program *program) {
  return DW_RECORD_BYTES + program->view_count * sizeof *program->views + program->op_count * sizeof *program->ops +
         program->slot_count * (sizeof *program->slots + sizeof(dw_object *)) +
         program->temp_count * sizeof *program->temps + program->append_count * sizeof *program->appends;
}

// Scratch memory belongs to the device and is charged to nobody, so a program may
// not make it larger than all that its actor may have.
static dw_status check_scratch(dw_actor *actor, const dw_program *program) {
  if (program->scratch_bytes <= actor->max_memory_bytes) return DW_OK;
  return dw_fail(&actor->error, DW_LIMIT, "a program with %" PRIu64 " bytes of temps, but max_memory is %" PRIu64,
                 program->scratch_bytes, actor->max_memory_bytes);
}

int32_t dw_actor_program_new(dw_actor *actor, const dw_program_desc *desc) {
  dw_program *program = NULL;
  actor->error.code = DW_OK;
  dw_status status = validate(actor, desc, &program);
  if (status != DW_OK) return status;
  uint64_t cost = program_bytes(program);
  status = check_scratch(actor, program);
  if (status == DW_OK) status = charge(actor, 0, cost, "program");
  dw_program_object *object = status == DW_OK ? calloc(1, sizeof *object) : NULL;
  if (!object) {
    if (status == DW_OK) refund(actor, 0, cost);
    dw_program_free(program);
    return status == DW_OK ? dw_fail(&actor->error, DW_NOMEM, "program") : status;
  }
  *object = (dw_program_object){
      .object = {.kind = DW_OBJECT_PROGRAM, .references = 1, .free = free_program},
      .actor = actor,
      .kept_bytes = cost};
  status = hold_slots(actor, object, program);
  bool compiled_now = false;
  if (status == DW_OK)
    status = dw_engine_compile(actor->engine, program, &object->shared, &compiled_now, &actor->error);
  else
    dw_program_free(program);
  if (status != DW_OK) {
    dw_object_release(&object->object);
    return status;
  }
  actor->stats.programs_compiled += compiled_now;
  uint64_t scratch = object->shared->program->scratch_bytes;
  if (scratch > actor->stats.scratch_bytes) actor->stats.scratch_bytes = scratch;
  return dw_actor_add(actor, &object->object);
}

// ---- Submitting -------------------------------------------------------------------

static uint64_t linear_bytes(const dw_program_object *program) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < program->slot_count; i++) {
    const dw_tensor *tensor = (const dw_tensor *)program->slots[i];
    if (tensor->object.kind == DW_OBJECT_TENSOR && tensor->place == DW_PLACE_LINEAR) bytes += tensor->size_bytes;
  }
  return bytes;
}

static dw_status bind_slots(dw_actor *actor, const dw_program_object *program, dw_binding *bindings) {
  uint64_t before;
  do { // importing everything again invalidates what was bound before it
    before = actor->stats.reimports;
    for (uint32_t i = 0; i < program->slot_count; i++) {
      if (program->slots[i]->kind == DW_OBJECT_CACHE) {
        bindings[i] = (dw_binding){.cache = ((dw_cache_object *)program->slots[i])->cache};
        continue;
      }
      const dw_tensor *tensor = (const dw_tensor *)program->slots[i];
      if (tensor->place == DW_PLACE_LINEAR) {
        dw_status status = dw_actor_bind(actor, tensor->address, tensor->size_bytes, &bindings[i], &actor->error);
        if (status != DW_OK) return status;
      } else {
        bindings[i] = (dw_binding){.buffer = tensor->buffer, .offset_bytes = tensor->offset_bytes};
      }
    }
  } while (actor->stats.reimports != before);
  return DW_OK;
}

static dw_status check_params(dw_actor *actor, const dw_program *program, const uint32_t *params, uint32_t count) {
  if (count != program->param_count)
    return dw_fail(&actor->error, DW_INVALID, "%" PRIu32 " parameters, the program has %" PRIu32, count,
                   program->param_count);
  for (uint32_t i = 0; i < count; i++)
    if (params[i] < program->params[i].min || params[i] > program->params[i].max)
      return dw_fail(&actor->error, DW_BOUNDS, "parameter %" PRIu32 " is %" PRIu32 ", declared %" PRIu32 " to %" PRIu32,
                     i, params[i], program->params[i].min, program->params[i].max);
  return DW_OK;
}

// A tensor may have been sealed since the program was validated.
static dw_status check_sealed(dw_actor *actor, const dw_program_object *object) {
  const dw_program *program = object->shared->program;
  for (uint32_t i = 0; i < program->op_count; i++)
    for (uint32_t j = 0; j < DW_OP_OUTPUTS; j++) {
      uint32_t output = program->ops[i].outputs[j];
      if (output == DW_NO_TENSOR || program->views[output].root != DW_SOURCE_HANDLE) continue;
      const dw_tensor *tensor = (const dw_tensor *)object->slots[program->views[output].index];
      if (tensor->object.kind == DW_OBJECT_TENSOR && tensor->sealed)
        return dw_fail(&actor->error, DW_READONLY, "operator %" PRIu32 " (%s) writes %s, which was sent", i,
                       dw_operator_name(program->ops[i].op), tensor->name);
    }
  return DW_OK;
}

static dw_status reserve_rows(dw_actor *actor, const dw_program_object *object, const uint32_t *params) {
  const dw_program *program = object->shared->program;
  for (uint32_t i = 0; i < program->append_count; i++) {
    dw_cache *cache = ((dw_cache_object *)object->slots[program->appends[i].slot])->cache;
    dw_status status =
        dw_cache_reserve(cache, (uint64_t)dw_affine_value(program->appends[i].rows, params), &actor->error);
    if (status != DW_OK) return status;
  }
  return DW_OK;
}

int32_t dw_actor_program_submit(dw_actor *actor, dw_handle handle, const uint32_t *params, uint32_t count) {
  dw_object *object;
  dw_status status = dw_handles_get(&actor->handles, handle, DW_OBJECT_PROGRAM, &object, &actor->error);
  if (status != DW_OK) return status;
  if (actor->submitted) return dw_fail(&actor->error, DW_BUSY, "this step has submitted a program already");
  dw_program_object *program = (dw_program_object *)object;
  status = check_params(actor, program->shared->program, params, count);
  if (status == DW_OK) status = check_sealed(actor, program);
  if (status == DW_OK) status = reserve_rows(actor, program, params);
  if (status != DW_OK) return status;
  dw_binding *bindings = realloc(actor->bindings, (program->slot_count + 1) * sizeof *bindings);
  if (!bindings) return dw_fail(&actor->error, DW_NOMEM, "submit");
  actor->bindings = bindings;
  actor->run = (dw_run){.compiled = program->shared->compiled, .cancel = &actor->stop_run, .user = actor};
  memcpy(actor->run.params, params, count * sizeof *params);
  dw_object_retain(object);
  actor->submitted = program;
  actor->stats.programs_submitted++;
  if (!actor->engine->device->unified) actor->stats.bus_bytes += linear_bytes(program);
  return DW_OK;
}

// Memory may still grow in the step that submitted, so linear memory is bound
// when the step has returned.
dw_status dw_actor_bind_submitted(dw_actor *actor) {
  // Reserved again: the step may have truncated the cache after it submitted.
  dw_status status = reserve_rows(actor, actor->submitted, actor->run.params);
  if (status == DW_OK) status = bind_slots(actor, actor->submitted, actor->bindings);
  actor->run.bindings = actor->bindings;
  return status;
}

// What a run read of a weight file that was cut off is worth nothing.
static dw_status check_models(const dw_program_object *program, dw_error *error) {
  const dw_model *checked = NULL;
  for (uint32_t i = 0; i < program->slot_count; i++) {
    const dw_tensor *tensor = (const dw_tensor *)program->slots[i];
    if (tensor->object.kind != DW_OBJECT_TENSOR || !tensor->model || tensor->model == checked) continue;
    checked = tensor->model;
    dw_status status = dw_model_check(checked, error);
    if (status != DW_OK) return status;
  }
  return DW_OK;
}

// After the run: its rows become the caches', or are as if never written.
void dw_actor_finish_submitted(dw_actor *actor) {
  dw_program_object *object = actor->submitted;
  const dw_program *program = object->shared->program;
  if (actor->run.status == DW_OK) actor->run.status = check_models(object, &actor->run.error);
  dw_status status = actor->run.status;
  for (uint32_t i = 0; i < program->append_count; i++) {
    dw_cache *cache = ((dw_cache_object *)object->slots[program->appends[i].slot])->cache;
    if (status == DW_OK) dw_cache_commit(cache, (uint64_t)dw_affine_value(program->appends[i].rows, actor->run.params));
    else if (dw_cache_forget(cache, &actor->run.error) != DW_OK) actor->run.status = actor->run.error.code;
  }
  actor->submitted = NULL;
  dw_object_release(&object->object);
}
