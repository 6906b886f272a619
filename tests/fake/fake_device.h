// A device for tests: records every call, and fails, waits or lies on demand.
//
//   dw_fake *fake = dw_fake_new(&(dw_fake_options){.compute = true});
//   ... open an engine (or device) with &dw_fake_device_class and `fake` as its user ...
//   dw_fake_fail(fake, DW_FAKE_ALLOCATE, 2, DW_NOMEM);   // the second one from now
//   CHECK_EQ(dw_fake_count(fake, DW_FAKE_IMPORT), 1);
//   ... close ...
//   CHECK_EQ(dw_fake_live(fake), 0);
//   dw_fake_free(fake);
//
// Programs run on the CPU device underneath if `compute` is set; else a run
// ends well and touches nothing.  All functions may be called from any thread.
#ifndef DW_FAKE_DEVICE_H
#define DW_FAKE_DEVICE_H

#include "device/device.h"

typedef struct dw_fake dw_fake;

typedef enum dw_fake_call {
  DW_FAKE_OPEN,
  DW_FAKE_CLOSE,
  DW_FAKE_IMPORT,
  DW_FAKE_ALLOCATE,
  DW_FAKE_RELEASE,
  DW_FAKE_UPLOAD,
  DW_FAKE_DOWNLOAD,
  DW_FAKE_COMPILE,
  DW_FAKE_DISCARD,
  DW_FAKE_SUBMIT,
  DW_FAKE_CALLS
} dw_fake_call;

// What `import` does with the bytes it is given.
typedef enum dw_fake_import {
  DW_FAKE_WRAP,                // what a device has to do
  DW_FAKE_COPY,                // works on a copy, and its pointers show it
  DW_FAKE_COPY_HIDDEN          // works on a copy and reports the pointers of the original
} dw_fake_import;

// Zero is default everywhere.
typedef struct dw_fake_options {
  bool compute;                // run programs, on the CPU device
  uint32_t threads;            // of that CPU device; 0: 2
  dw_fake_import import;
  bool discrete;               // memory of its own has no host pointer
  bool hold_runs;              // runs wait for dw_fake_finish
  uint32_t delay_ms;           // before a run begins
  bool hold_imports;           // owners of released imports wait for dw_fake_let_go
  uint64_t max_binding_bytes;  // 0: 1 TiB
} dw_fake_options;

// One call, with the arguments that apply to it.
typedef struct dw_fake_record {
  dw_fake_call call;
  dw_status status;            // what it answered (OK where it answers nothing)
  const void *pointer;         // import: the host's; else the buffer, program or run
  uint64_t offset_bytes;       // upload, download
  uint64_t size_bytes;         // import, allocate, upload, download
  bool readonly;               // import
} dw_fake_record;

extern const dw_device_class dw_fake_device_class;

dw_fake *dw_fake_new(const dw_fake_options *options); // NULL: all default
void dw_fake_free(dw_fake *fake);                     // after its device is closed

// How often a function was called, and the calls in order.
uint64_t dw_fake_count(dw_fake *fake, dw_fake_call call);
uint64_t dw_fake_record_count(dw_fake *fake);
dw_fake_record dw_fake_record_at(dw_fake *fake, uint64_t index);
// The last call of this function; its size_bytes and so on are 0 if there was none.
dw_fake_record dw_fake_last(dw_fake *fake, dw_fake_call call);

// The `nth` call from now (1: the next) answers `status`; 0: each call from now on.
// For SUBMIT it is the run that ends with this status.  DW_OK ends it.
void dw_fake_fail(dw_fake *fake, dw_fake_call call, uint64_t nth, dw_status status);
// From now on every call and every run that has not ended fails with LOST.
void dw_fake_lose(dw_fake *fake);

// Runs that were submitted and have not ended.
uint64_t dw_fake_running(dw_fake *fake);
// Waits up to `timeout_ms` until that many runs are held, or until none runs;
// false if it did not happen.
bool dw_fake_wait_held(dw_fake *fake, uint64_t count, uint32_t timeout_ms);
bool dw_fake_wait_idle(dw_fake *fake, uint32_t timeout_ms);
// Lets up to `count` held runs begin; answers how many will.
uint64_t dw_fake_finish(dw_fake *fake, uint64_t count);
// From now on runs wait, or do not; false lets those go that are held.
void dw_fake_hold(dw_fake *fake, bool hold_runs);
// Tells the owners of released imports that the device let go; answers how many.
uint64_t dw_fake_let_go(dw_fake *fake);

// Buffers, compiled programs and held owners that nobody released yet.
uint64_t dw_fake_live(dw_fake *fake);

#endif
