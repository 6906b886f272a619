// A guest's linear memory: the region that Wasmtime is given, what it may grow
// to, and which parts of it the device has imported.
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

// Wasmtime asks for memory while it instantiates, on the thread that does so.
static _Thread_local dw_actor *opening_actor;

void dw_memory_opening(dw_actor *actor) { opening_actor = actor; }

typedef struct linear_memory {
  dw_actor *actor;
  dw_region *region;
} linear_memory;

static uint8_t *get_memory(void *env, size_t *size_bytes, size_t *max_bytes) {
  const linear_memory *memory = env;
  *size_bytes = dw_region_size(memory->region);
  *max_bytes = dw_region_reserved(memory->region);
  return dw_region_base(memory->region);
}

static bool charge(dw_actor *actor, uint64_t size_bytes) {
  if (size_bytes > actor->budget_bytes) return false;
  actor->budget_bytes -= size_bytes;
  return true;
}

static wasmtime_error_t *grow_memory(void *env, size_t size_bytes) {
  linear_memory *memory = env;
  uint64_t more = size_bytes - dw_region_size(memory->region);
  if (!charge(memory->actor, more)) return wasmtime_error_new("the actor's max_memory is reached");
  dw_error error;
  if (dw_region_grow(memory->region, size_bytes, &error) != DW_OK) {
    memory->actor->budget_bytes += more;
    return wasmtime_error_new(error.detail);
  }
  return NULL;
}

static void free_memory(void *env) {
  linear_memory *memory = env;
  dw_region_release(memory->region);
  free(memory);
}

static wasmtime_error_t *new_memory(void *env, const wasm_memorytype_t *type, size_t minimum_bytes,
                                    size_t maximum_bytes, size_t reserve_bytes, size_t guard_bytes,
                                    wasmtime_linear_memory_t *answer) {
  (void)env, (void)type, (void)maximum_bytes;
  dw_actor *actor = opening_actor;
  if (!actor || actor->region) return wasmtime_error_new("a guest has exactly one memory");
  if (!charge(actor, minimum_bytes)) return wasmtime_error_new("the guest's initial memory is more than max_memory");
  linear_memory *memory = calloc(1, sizeof *memory);
  if (!memory) return wasmtime_error_new("out of memory");
  dw_error error;
  if (dw_region_new(minimum_bytes, reserve_bytes, guard_bytes, &memory->region, &error) != DW_OK) {
    free(memory);
    return wasmtime_error_new(error.detail);
  }
  memory->actor = actor;
  dw_region_retain(memory->region);
  actor->region = memory->region;
  answer->env = memory;
  answer->get_memory = get_memory;
  answer->grow_memory = grow_memory;
  answer->finalizer = free_memory;
  return NULL;
}

void dw_memory_configure(wasm_config_t *config) {
  wasmtime_memory_creator_t creator = {.new_memory = new_memory};
  wasmtime_config_host_memory_creator_set(config, &creator);
}

void *dw_actor_at(dw_actor *actor, uint64_t address, uint64_t length, uint32_t alignment, const char *what) {
  uint64_t size = actor->region ? dw_region_size(actor->region) : 0;
  if (length > size || address > size - length) {
    dw_fail(&actor->error, DW_BOUNDS, "%s: %llu bytes at address %llu, but memory ends at %llu", what,
            (unsigned long long)length, (unsigned long long)address, (unsigned long long)size);
    return NULL;
  }
  if (address % alignment) {
    dw_fail(&actor->error, DW_INVALID, "%s: address %llu is not a multiple of %u", what,
            (unsigned long long)address, alignment);
    return NULL;
  }
  return (unsigned char *)dw_region_base(actor->region) + address;
}

static void release_region(void *owner) { dw_region_release(owner); }

static dw_status import(dw_actor *actor, uint64_t begin, uint64_t end, dw_error *error) {
  dw_extent *extents = realloc(actor->extents, (actor->extent_count + 1) * sizeof *extents);
  if (!extents) return dw_fail(error, DW_NOMEM, "import");
  actor->extents = extents;
  dw_extent *extent = &extents[actor->extent_count];
  *extent = (dw_extent){.begin = begin, .end = end};
  const dw_import_desc desc = {.host = (unsigned char *)dw_region_base(actor->region) + begin,
                               .size_bytes = end - begin,
                               .owner = actor->region,
                               .release = release_region};
  dw_region_retain(actor->region);
  dw_device *device = actor->engine->device;
  dw_status status = device->class_->import(device, &desc, &extent->buffer, error);
  if (status != DW_OK) {
    dw_region_release(actor->region);
    return status;
  }
  actor->extent_count++;
  return DW_OK;
}

void dw_actor_unbind_all(dw_actor *actor) {
  for (uint32_t i = 0; i < actor->extent_count; i++)
    actor->engine->device->class_->release(actor->extents[i].buffer);
  free(actor->extents);
  actor->extents = NULL;
  actor->extent_count = 0;
}

// Imports end to end, so at most one extent can hold the bytes.
static const dw_extent *find_extent(const dw_actor *actor, uint64_t begin, uint64_t end) {
  for (uint32_t i = actor->extent_count; i-- > 0;) {
    const dw_extent *extent = &actor->extents[i];
    if (begin >= extent->begin && end <= extent->end) return extent;
  }
  return NULL;
}

dw_status dw_actor_bind(dw_actor *actor, uint64_t address, uint64_t length, dw_binding *binding, dw_error *error) {
  uint64_t size = dw_region_size(actor->region), end = address + length;
  uint64_t imported = actor->extent_count ? actor->extents[actor->extent_count - 1].end : 0;
  const dw_extent *extent = find_extent(actor, address, end);
  if (!extent && end > imported && address >= imported && actor->extent_count < DW_MAX_EXTENTS) {
    // The memory has grown behind what the device knows.
    dw_status status = import(actor, imported, size, error);
    if (status != DW_OK) return status;
    extent = &actor->extents[actor->extent_count - 1];
  } else if (!extent) {
    // The bytes span two imports, or there are many: one import of everything replaces them.
    dw_actor_unbind_all(actor);
    dw_status status = import(actor, 0, size, error);
    if (status != DW_OK) return status;
    actor->stats.reimports++;
    extent = &actor->extents[0];
  }
  *binding = (dw_binding){.buffer = extent->buffer, .offset_bytes = address - extent->begin};
  return DW_OK;
}
