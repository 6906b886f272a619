#include "handle.h"

#include <stdlib.h>
#include <string.h>

#define SLOT_BITS 14
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
#define MAX_GENERATION (INT32_MAX >> SLOT_BITS)
_Static_assert(DW_MAX_HANDLES == 1 << SLOT_BITS, "a handle's slot has 14 bits");

struct dw_handle_slot {
  dw_object *object;           // NULL: free
  uint32_t generation;         // of the object in it, or of the next one; from 1
  uint32_t next_free;          // slot + 1
};

void dw_object_retain(dw_object *object) { atomic_fetch_add(&object->references, 1); }

void dw_object_release(dw_object *object) {
  if (object && atomic_fetch_sub(&object->references, 1) == 1) object->free(object);
}

const char *dw_object_kind_name(dw_object_kind kind) {
  static const char *const names[] = {"object", "model", "tensor", "cache", "program"};
  return names[kind];
}

void dw_handles_clear(dw_handles *handles) {
  for (uint32_t i = 0; i < handles->capacity; i++) dw_object_release(handles->slots[i].object);
  free(handles->slots);
  *handles = (dw_handles){0};
}

static bool grow(dw_handles *handles) {
  uint32_t capacity = handles->capacity ? handles->capacity * 2 : 16;
  struct dw_handle_slot *slots = realloc(handles->slots, capacity * sizeof *slots);
  if (!slots) return false;
  handles->slots = slots;
  for (uint32_t i = capacity; i-- > handles->capacity;) {
    slots[i] = (struct dw_handle_slot){.generation = 1, .next_free = handles->first_free};
    handles->first_free = i + 1;
  }
  handles->capacity = capacity;
  return true;
}

dw_status dw_handles_add(dw_handles *handles, dw_object *object, dw_handle *handle, dw_error *error) {
  if (!handles->first_free) {
    if (handles->capacity == DW_MAX_HANDLES) {
      dw_object_release(object);
      return dw_fail(error, DW_LIMIT, "an actor has at most %d live handles", DW_MAX_HANDLES);
    }
    if (!grow(handles)) {
      dw_object_release(object);
      return dw_fail(error, DW_NOMEM, "handle table");
    }
  }
  uint32_t index = handles->first_free - 1;
  struct dw_handle_slot *slot = &handles->slots[index];
  handles->first_free = slot->next_free;
  slot->object = object;
  handles->live++;
  *handle = slot->generation << SLOT_BITS | index;
  return DW_OK;
}

static struct dw_handle_slot *find(const dw_handles *handles, dw_handle handle) {
  uint32_t index = handle & SLOT_MASK;
  if (index >= handles->capacity) return NULL;
  struct dw_handle_slot *slot = &handles->slots[index];
  return slot->object && slot->generation == handle >> SLOT_BITS ? slot : NULL;
}

dw_status dw_handles_get(const dw_handles *handles, dw_handle handle, dw_object_kind kind, dw_object **object,
                         dw_error *error) {
  struct dw_handle_slot *slot = find(handles, handle);
  if (!slot) return dw_fail(error, DW_HANDLE, "0x%x is not a live handle", handle);
  if (kind && slot->object->kind != kind)
    return dw_fail(error, DW_HANDLE, "0x%x is a %s, not a %s", handle, dw_object_kind_name(slot->object->kind),
                   dw_object_kind_name(kind));
  *object = slot->object;
  return DW_OK;
}

dw_status dw_handles_remove(dw_handles *handles, dw_handle handle, dw_error *error) {
  struct dw_handle_slot *slot = find(handles, handle);
  if (!slot) return dw_fail(error, DW_HANDLE, "0x%x is not a live handle", handle);
  dw_object *object = slot->object;
  slot->object = NULL;
  handles->live--;
  if (slot->generation < MAX_GENERATION) { // else retired: reusing it would repeat a handle
    slot->generation++;
    slot->next_free = handles->first_free;
    handles->first_free = (handle & SLOT_MASK) + 1;
  }
  dw_object_release(object);
  return DW_OK;
}
