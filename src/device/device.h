// device.h: what a device is to the rest of the runtime.
//
// A device wraps memory it is given (`import`), owns memory of its own
// (`allocate`), compiles validated programs and runs them asynchronously.  It
// never substitutes a copy for a wrap: `import` gives a buffer over exactly the
// given bytes or an error.  Every function may be called from any thread;
// `submit` returns at once and the run's `done` is called later, once, from a
// thread of the device.
#ifndef DW_DEVICE_H
#define DW_DEVICE_H

#include "../cache.h"
#include "../program.h"
#include "../status.h"

#include <stdatomic.h>

typedef struct dw_device dw_device;
typedef struct dw_buffer dw_buffer;
typedef struct dw_compiled dw_compiled;
typedef struct dw_run dw_run;

// Called once when the device has let go of an import.
typedef void (*dw_owner_release_fn)(void *owner);

typedef struct dw_import_desc {
  void *host;                  // page-aligned unless the device class has byte_imports
  uint64_t size_bytes;
  bool readonly;               // no kernel writes here
  void *owner;                 // given to release
  dw_owner_release_fn release; // may be NULL
} dw_import_desc;

// Memory that a device can address.  Devices embed this as their first member.
struct dw_buffer {
  dw_device *device;
  unsigned char *host;         // the CPU's pointer; NULL: device memory that the CPU cannot read
  const void *device_pointer;  // the device's own pointer to the same bytes, as it reports it; NULL: it has none
  uint64_t size_bytes;
  bool imported;
};

typedef struct dw_device_options {
  uint32_t threads;            // 0: one a core
  void *user;                  // of a device class given by a test
} dw_device_options;

// What one handle of a program stands for in one run.
typedef struct dw_binding {
  dw_buffer *buffer;           // NULL for a cache
  uint64_t offset_bytes;       // of the tensor's first element
  dw_cache *cache;             // with blocks for rows + the run's rows already there
} dw_binding;

// One execution.  The submitter owns it and everything it points to until done.
struct dw_run {
  dw_compiled *compiled;
  const dw_binding *bindings;  // [program->slot_count]
  uint32_t params[DW_MAX_PROGRAM_PARAMS];
  atomic_bool *cancel;         // polled between tiles; may be NULL
  // Answers, valid in done:
  dw_status status;            // OK, CANCELLED, IO, DEVICE, LOST
  dw_error error;
  uint64_t elapsed_ns;
  void (*done)(dw_run *run);
  void *user;
  dw_run *next;                // for the device's queue
};

typedef struct dw_device_class {
  const char *name;            // "cpu", "vulkan"
  dw_device_kind kind;
  bool byte_imports;           // imports need no page alignment

  // UNSUPPORTED: no such device here; the detail says what is missing and what installs it.
  dw_status (*open)(const dw_device_options *options, dw_device **device, dw_error *error);
  // After the last run, buffer and compiled program are gone.
  void (*close)(dw_device *device);

  dw_status (*import)(dw_device *device, const dw_import_desc *desc, dw_buffer **buffer, dw_error *error);
  // Zeroed memory, aligned to DW_VIEW_ALIGNMENT at least.
  dw_status (*allocate)(dw_device *device, uint64_t size_bytes, dw_buffer **buffer, dw_error *error);
  // Of both; an import's owner is released when the device has let go.
  void (*release)(dw_buffer *buffer);

  // Explicit transfers; the caller checked the bounds and counts the bytes.
  dw_status (*upload)(dw_buffer *buffer, uint64_t offset, const void *bytes, uint64_t size_bytes, dw_error *error);
  dw_status (*download)(dw_buffer *buffer, uint64_t offset, void *bytes, uint64_t size_bytes, dw_error *error);

  // UNSUPPORTED names the operator (and operand type) that the device lacks.  The
  // program outlives the compiled form.
  dw_status (*compile)(dw_device *device, const dw_program *program, dw_compiled **compiled, dw_error *error);
  void (*discard)(dw_device *device, dw_compiled *compiled);

  void (*submit)(dw_device *device, dw_run *run);
} dw_device_class;

// Devices embed this as their first member.
struct dw_device {
  const dw_device_class *class_;
  char name[96];               // for people: "cpu (2 threads, AVX2)"
  uint32_t lanes;              // worker threads, or 0
  bool unified;                // device memory is host memory
  uint64_t max_binding_bytes;
};

// Devices embed this as their first member.
struct dw_compiled {
  const dw_program *program;
};

extern const dw_device_class dw_device_cpu;
extern const dw_device_class dw_device_vulkan;

// Opens by name; "auto" is the first GPU that has every operator and is not a CPU
// in disguise, else the CPU.
dw_status dw_device_open(const char *name, const dw_device_options *options, dw_device **device, dw_error *error);

#endif
