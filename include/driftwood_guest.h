// driftwood_guest.h: the functions that a guest imports from the host.
//
// A guest exports `memory` and three functions:
//
//   int32_t driftwood_open(uint32_t args_len)   once; the arguments are read with dw_inbox; 0 or a negative status
//   int32_t driftwood_message(uint32_t len)     a message arrived, read with dw_inbox; 0 or a negative status
//   int32_t driftwood_step(void)                a dw_step; called after open and message until WAIT or DONE
//
// Every call returns a negative dw_status on failure; dw_last_error has the words.
// Work that was submitted starts when the step returns, and no step runs until
// it ended, so a guest never sees memory that a device is still writing.
// docs/guest-interface.md is the reference, guests/tutorial the 40-line example.
#ifndef DRIFTWOOD_GUEST_H
#define DRIFTWOOD_GUEST_H

#include "driftwood_abi.h"

#ifdef __wasm__
#define DW_IMPORT(name) __attribute__((import_module("driftwood"), import_name(#name)))
#define DW_EXPORT(name) __attribute__((export_name(#name), visibility("default")))
#else // a native twin: the same names, provided by the process
#define DW_IMPORT(name)
#define DW_EXPORT(name) __attribute__((visibility("default")))
#endif

// ---- The actor -------------------------------------------------------------------
DW_IMPORT(abi_version) int32_t dw_abi_version(void);
DW_IMPORT(device_info) int32_t dw_device_info_get(dw_device_info *info);
// Copies the words of this actor's last failed call (not terminated); returns their length.
DW_IMPORT(last_error) int32_t dw_last_error(char *text, uint32_t capacity);
// One line for the embedder's log; level as dw_log_level: 0 error ... 3 debug.
DW_IMPORT(log) int32_t dw_log(uint32_t level, const char *text, uint32_t length);
// Gives bytes to the embedder, at once and in order.
DW_IMPORT(emit) int32_t dw_emit(const void *bytes, uint32_t length);
// Copies up to `capacity` bytes of the current message (in open: of the
// arguments); returns the whole length.
DW_IMPORT(inbox) int32_t dw_inbox(void *bytes, uint32_t capacity);

// ---- Models -----------------------------------------------------------------------
// A handle to a model that the embedder granted under this name.  DENIED: it did not.
DW_IMPORT(model_open) int32_t dw_model_open(const char *name, uint32_t name_length);
// A scalar of config.json by dotted path ("rope_scaling.factor"), as text;
// returns its length ("null" for null).  NOTFOUND: no such key.
DW_IMPORT(model_meta)
int32_t dw_model_meta(dw_handle model, const char *key, uint32_t key_length, char *text, uint32_t capacity);
// Bytes of a file of the model's directory; returns how many were read, 0 at the end.
DW_IMPORT(model_read)
int32_t dw_model_read(dw_handle model, const char *file, uint32_t file_length, uint64_t offset, void *bytes, uint32_t capacity);
// The size of a file of the model's directory.
DW_IMPORT(model_size) int64_t dw_model_size(dw_handle model, const char *file, uint32_t file_length);
// A handle to a weight, read-only, shared with every other actor.
DW_IMPORT(model_tensor) int32_t dw_model_tensor(dw_handle model, const char *name, uint32_t name_length);

// ---- Tensors ---------------------------------------------------------------------
// A view of the guest's own memory at desc->address.
DW_IMPORT(tensor_view) int32_t dw_tensor_view(const dw_tensor_desc *desc, const char *name, uint32_t name_length);
// Memory of the device, zeroed.
DW_IMPORT(tensor_new) int32_t dw_tensor_new(const dw_tensor_desc *desc, const char *name, uint32_t name_length);
DW_IMPORT(tensor_info) int32_t dw_tensor_info_get(dw_handle tensor, dw_tensor_info *info);
// Copies between a device (or, reading only, model) tensor and the guest's memory; counted.
DW_IMPORT(tensor_read) int32_t dw_tensor_read(dw_handle tensor, uint64_t offset, void *bytes, uint32_t length);
DW_IMPORT(tensor_write) int32_t dw_tensor_write(dw_handle tensor, uint64_t offset, const void *bytes, uint32_t length);
// Seals a device tensor (from now on writing it is READONLY) and sends it with a
// message to another actor, under the name by which the embedder granted it.
DW_IMPORT(tensor_send)
int32_t dw_tensor_send(const char *actor, uint32_t actor_length, dw_handle tensor, const void *bytes, uint32_t length);
// The handle of the tensor that came with the current message.  NOTFOUND: none did.
DW_IMPORT(inbox_tensor) int32_t dw_inbox_tensor(void);
DW_IMPORT(cache_new) int32_t dw_cache_new(const dw_cache_desc *desc, const char *name, uint32_t name_length);
DW_IMPORT(cache_truncate) int32_t dw_cache_truncate(dw_handle cache, uint64_t rows);

// ---- Programs --------------------------------------------------------------------
DW_IMPORT(program_new) int32_t dw_program_new(const dw_program_desc *desc);
// One program a step.  `params` has the program's param_count values.
DW_IMPORT(program_submit) int32_t dw_program_submit(dw_handle program, const uint32_t *params, uint32_t param_count);
// A compute shader of the guest's own.  UNSUPPORTED where the device runs none.
DW_IMPORT(kernel_new) int32_t dw_kernel_new(const char *wgsl, uint32_t length);
// Any handle.
DW_IMPORT(release) int32_t dw_release(dw_handle handle);

#endif
