// Handles: what a guest holds instead of pointers.
//
// A handle is 31 bits: the slot in the low 14, the slot's generation above.
// A slot's generation grows whenever it is freed, so a stale handle is an error
// and never somebody else's object; a slot whose generations are used up is
// retired.  Objects are counted: a program keeps what it binds alive after the
// guest released it.
//
// Threads: a table belongs to one actor; the counts of objects are atomic.
#ifndef DW_HANDLE_H
#define DW_HANDLE_H

#include "status.h"

#include <stdatomic.h>

typedef enum dw_object_kind {
  DW_OBJECT_MODEL = 1,
  DW_OBJECT_TENSOR,
  DW_OBJECT_CACHE,
  DW_OBJECT_PROGRAM
} dw_object_kind;

// Objects embed this as their first member.
typedef struct dw_object {
  dw_object_kind kind;
  atomic_uint references;
  void (*free)(struct dw_object *object);
} dw_object;

void dw_object_retain(dw_object *object);
void dw_object_release(dw_object *object);
const char *dw_object_kind_name(dw_object_kind kind);

typedef struct dw_handles {
  struct dw_handle_slot *slots;
  uint32_t capacity, live;
  uint32_t first_free;         // slot + 1; 0: none
} dw_handles;

void dw_handles_clear(dw_handles *handles); // releases every object and the table

// Takes over the caller's reference; LIMIT (the object is released): too many live handles.
dw_status dw_handles_add(dw_handles *handles, dw_object *object, dw_handle *handle, dw_error *error);

// Borrowed; HANDLE: stale, forged, or of another kind (kind 0: any).
dw_status dw_handles_get(const dw_handles *handles, dw_handle handle, dw_object_kind kind, dw_object **object,
                         dw_error *error);
dw_status dw_handles_remove(dw_handles *handles, dw_handle handle, dw_error *error);

#endif
