// Inside the runtime: engine, guest and actor as its files share them.
//
//   engine.c     opening, the ticker, grants that are shared by all actors
//   scheduler.c  the ready queue and the threads that take turns from it
//   guest.c      compiling, the cache of compiled modules, what is refused
//   actor.c      mailbox, life cycle, limits: everything the embedder calls
//   turn.c       one turn of an actor: a call into its guest and what follows
//   memory.c     a guest's linear memory on a region, and its device imports
//   host.c       how host functions are offered to Wasmtime
//   hostcall.c   the functions of the module `driftwood`
//   wasi.c       the few of `wasi_snapshot_preview1`
//   tensor.c     tensors, caches and programs as objects behind handles
//
// Locks, in the order in which they may be taken: engine->lock, actor->lock,
// scheduler.  Guest code, host functions and objects of an actor are touched by
// one thread at a time: whoever has its turn.
#ifndef DW_RUNTIME_H
#define DW_RUNTIME_H

#include "device/device.h"
#include "handle.h"
#include "model.h"
#include "region.h"
#include "status.h"

#include <pthread.h>
#include <wasm.h>
#include <wasmtime.h>

#define DW_TICK_NS UINT64_C(5000000)         // between looks at deadlines and step limits
#define DW_DEFAULT_STEP_NS UINT64_C(10000000000)
#define DW_DEFAULT_MEMORY_BYTES (UINT64_C(4) << 30)
#define DW_RECORD_BYTES 512                  // charged for what the host keeps of a tensor, cache or program
#define DW_ALLOCATION_BYTES 4096             // device memory comes in multiples of it
#define DW_MAX_EXTENTS 64                    // pieces in which a device has an actor's memory
#define DW_MAX_MESSAGES 1024
#define DW_MAX_MAILBOX_BYTES (UINT64_C(64) << 20)
#define DW_CLOCK_TICK_NS 1000                // virtual time that passes with each reading

// ---- Engine -----------------------------------------------------------------------

// A weight file as the device sees it; shared by all actors that have a tensor of it.
typedef struct dw_model_import {
  const void *base;
  uint32_t references;         // under engine->lock
  dw_model *model;             // counted: the mapping lives as long as the import
  dw_buffer *buffer;
  struct dw_model_import *next;
} dw_model_import;

// A program that this process compiled; shared by all actors.
typedef struct dw_shared_program {
  dw_program *program;
  dw_compiled *compiled;
  uint32_t references;         // under engine->lock
  struct dw_shared_program *next;
} dw_shared_program;

#define DW_PROGRAM_BUCKETS 256

typedef struct dw_scheduler {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  dw_actor *first, *last;      // ready, first in first out
  pthread_t *threads;
  uint32_t thread_count;
  bool stopping;
} dw_scheduler;

struct dw_engine {
  wasm_engine_t *wasm;
  wasmtime_linker_t *linker;
  dw_device *device;
  char *cache_dir;
  dw_log_fn on_log;
  void *user;
  pthread_mutex_t lock;
  uint64_t next_actor_id;
  dw_actor *actors;            // all, doubly linked
  uint32_t guest_count;
  dw_model_import *model_imports;
  dw_shared_program *programs[DW_PROGRAM_BUCKETS];
  dw_scheduler scheduler;
  pthread_t ticker;
  pthread_mutex_t ticker_lock;
  pthread_cond_t ticker_wake;
  bool has_ticker;
  atomic_uint busy;            // actors that have something to do
  bool stopping;
};

void dw_engine_log(dw_engine *engine, dw_log_level level, dw_actor *actor, const char *line);
// A guest's line, in which control characters become blanks: it must not steer the
// terminal that the embedder may show it on.
void dw_engine_log_guest(dw_actor *actor, dw_log_level level, char *line);
// Imports the mapping that holds `tensor`, or shares the import of another actor.
dw_status dw_engine_import_model(dw_engine *engine, dw_model *model, const dw_model_tensor_info *tensor,
                                 dw_model_import **import, dw_error *error);
void dw_engine_release_import(dw_engine *engine, dw_model_import *import);
// Takes over `program`; answers the compiled form of it or of an equal one.
dw_status dw_engine_compile(dw_engine *engine, dw_program *program, dw_shared_program **shared, bool *compiled_now,
                            dw_error *error);
void dw_engine_release_program(dw_engine *engine, dw_shared_program *shared);

// Counts an actor that has something to do; the ticker runs while there is one.
void dw_engine_busy(dw_engine *engine);
void dw_engine_idle(dw_engine *engine);

uint64_t dw_now_ns(void);        // monotonic
uint64_t dw_thread_cpu_ns(void); // of the calling thread

// ---- Scheduler --------------------------------------------------------------------
dw_status dw_scheduler_start(dw_scheduler *scheduler, uint32_t threads, dw_error *error);
void dw_scheduler_stop(dw_scheduler *scheduler);
void dw_scheduler_push(dw_scheduler *scheduler, dw_actor *actor);

// ---- Guest ------------------------------------------------------------------------
struct dw_guest {
  dw_engine *engine;
  atomic_uint references;      // the embedder's and its actors'
  wasmtime_module_t *module;
  wasmtime_instance_pre_t *pre;
  unsigned char digest[32];    // of the wasm bytes
  bool was_cached;
};

// ---- Objects ----------------------------------------------------------------------
typedef struct dw_model_object {
  dw_object object;
  dw_model *model;
} dw_model_object;

// Device memory that sender and receivers of a tensor share.
typedef struct dw_storage {
  atomic_uint references;
  dw_buffer *buffer;
} dw_storage;

typedef struct dw_tensor {
  dw_object object;
  dw_engine *engine;
  dw_place place;
  uint32_t dtype, rank;
  uint64_t dims[DW_MAX_RANK];
  uint64_t size_bytes;
  uint64_t address;            // linear: in the guest's memory
  dw_buffer *buffer;           // model, device
  uint64_t offset_bytes;       // model: of the first element in the buffer
  const void *host;            // model: the mapped bytes
  dw_model *model;             // model: keeps the mapping
  dw_model_import *import;     // model, unless copied: keeps the buffer
  dw_storage *storage;         // device, and weights that were copied: keeps the buffer
  bool sealed;                 // sent or received or a weight: nobody writes it
  dw_actor *owner;             // charged for it, until it goes; NULL while it travels
  uint64_t kept_bytes;         // charged beside size_bytes, or instead where the bytes are another's
  bool charged;                // for size_bytes too
  char name[DW_MAX_NAME + 1];
} dw_tensor;

typedef struct dw_cache_object {
  dw_object object;
  dw_actor *actor;
  uint64_t kept_bytes;         // charged for the table; blocks are the cache's own affair
  dw_cache *cache;
  char name[DW_MAX_NAME + 1];
} dw_cache_object;

typedef struct dw_program_object {
  dw_object object;
  dw_actor *actor;             // programs are never shared with another
  dw_shared_program *shared;
  dw_object **slots;           // counted; [program->slot_count]
  uint32_t slot_count;
  uint64_t kept_bytes;         // charged
} dw_program_object;

// Each answers a handle (> 0) or a negative status; the words are in actor->error.
int32_t dw_actor_tensor_view(dw_actor *actor, const dw_tensor_desc *desc, const char *name);
int32_t dw_actor_tensor_new(dw_actor *actor, const dw_tensor_desc *desc, const char *name);
int32_t dw_actor_tensor_send(dw_actor *actor, const char *peer, dw_handle handle, const void *bytes, uint32_t length);
int32_t dw_actor_inbox_tensor(dw_actor *actor);
int32_t dw_actor_model_tensor(dw_actor *actor, dw_handle model, const char *name);
int32_t dw_actor_cache_new(dw_actor *actor, const dw_cache_desc *desc, const char *name);
int32_t dw_actor_program_new(dw_actor *actor, const dw_program_desc *desc);
int32_t dw_actor_program_submit(dw_actor *actor, dw_handle program, const uint32_t *params, uint32_t count);
int32_t dw_actor_add(dw_actor *actor, dw_object *object);
// The submitted program, bound when its step has returned, and settled after its run.
dw_status dw_actor_bind_submitted(dw_actor *actor);
void dw_actor_finish_submitted(dw_actor *actor);

// ---- Actor ------------------------------------------------------------------------
typedef struct dw_message {
  struct dw_message *next;
  dw_tensor *tensor;           // came with it; counted
  uint64_t arrived_ns;         // real time, for the virtual clock
  size_t size_bytes;
  unsigned char bytes[];
} dw_message;

// Part of linear memory as the device has it.
typedef struct dw_extent {
  uint64_t begin, end;
  dw_buffer *buffer;
} dw_extent;

typedef enum dw_phase {
  DW_PHASE_OPEN,               // driftwood_open is to be called
  DW_PHASE_STEP,               // driftwood_step is to be called
  DW_PHASE_IDLE                // the next message is to be delivered
} dw_phase;

typedef struct dw_granted_peer {
  char *name;
  uint64_t actor_id;
} dw_granted_peer;

typedef struct dw_granted_model {
  char *name, *path;
} dw_granted_model;

struct dw_actor {
  dw_engine *engine;
  dw_guest *guest;
  uint64_t id;
  dw_actor *next, *previous;   // in engine->actors
  dw_actor *next_ready;        // in the scheduler's queue

  // Given at open.
  dw_granted_model *models;
  size_t model_count;
  dw_granted_peer *peers;
  size_t peer_count;
  dw_emit_fn on_emit;
  void *user;
  uint64_t max_step_ns, deadline_ns;

  // Under lock.
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool queued;                 // in the ready queue, having its turn, or on the device
  bool failed;
  dw_error failure;
  dw_message *first_message, *last_message;
  uint32_t message_count;
  uint64_t mailbox_bytes;
  dw_actor_stats published;
  int pipe[2];                 // -1: nobody asked for a descriptor
  bool signalled;

  // Set by anyone, seen at step boundaries and by the ticker.
  atomic_bool cancel;          // the current message is to end
  atomic_bool closing;
  atomic_bool stop_run;        // what a device polls
  atomic_ullong expires_ns;    // monotonic deadline of the current message; 0: none

  // Touched by whoever has the turn.
  dw_phase phase;
  wasmtime_store_t *store;
  wasmtime_context_t *context;
  wasmtime_func_t open, message, step;
  dw_region *region;
  wasmtime_memory_t memory;
  bool has_memory;
  dw_extent *extents;
  uint32_t extent_count;
  bool opened;                 // driftwood_open and its steps are done
  dw_handles handles;
  dw_message *current;
  uint64_t max_memory_bytes;
  uint64_t budget_bytes;       // of max_memory that is left
  uint64_t kept_bytes;         // of it that the host's records of tensors, caches and programs take
  uint64_t clock_ns, random_state;
  uint64_t call_cpu_ns;        // when the current call began
  dw_status stopped;           // why the guest was interrupted, else OK; the words are in error
  char last_log[200];          // its last line at level error: why a guest that fails says it does
  dw_actor_stats stats;
  dw_error error;              // of the guest's last failed call

  // The program that the current step submitted, then runs.
  dw_program_object *submitted;
  dw_binding *bindings;
  dw_run run;
};

// Runs one turn; called by the scheduler's threads.
void dw_actor_turn(dw_actor *actor);
// The actor whose turn this thread is taking, or NULL.
dw_actor *dw_actor_turning(void);
// Ends a turn with nothing left to do; afterwards the caller must not touch the
// actor.  With `failure` the actor has failed.
void dw_actor_rest(dw_actor *actor, const dw_error *failure);
// Takes the next message out of the mailbox; NULL: it is empty.
dw_message *dw_actor_next_message(dw_actor *actor);
void dw_message_free(dw_message *message);
dw_status dw_actor_deliver(dw_actor *actor, const void *bytes, size_t size_bytes, dw_tensor *tensor, dw_error *error);
// By id; counted in nothing, so engine->lock is held while it is used.
dw_actor *dw_engine_find_actor(dw_engine *engine, uint64_t id);

// ---- Memory -----------------------------------------------------------------------
// Tells Wasmtime to build memories on regions of the actor that is being
// instantiated on this thread.
void dw_memory_configure(wasm_config_t *config);
void dw_memory_opening(dw_actor *actor);
// [address, address + length) of linear memory, or NULL and BOUNDS in actor->error.
void *dw_actor_at(dw_actor *actor, uint64_t address, uint64_t length, uint32_t alignment, const char *what);
// The buffer over these bytes, imported now if it was not.
dw_status dw_actor_bind(dw_actor *actor, uint64_t address, uint64_t length, dw_binding *binding, dw_error *error);
void dw_actor_unbind_all(dw_actor *actor);

// ---- Host functions -----------------------------------------------------------------
dw_status dw_host_define_all(wasmtime_linker_t *linker, dw_error *error);

typedef int64_t (*dw_host_fn)(dw_actor *actor, const wasmtime_val_raw_t *arguments, wasm_trap_t **trap);
typedef struct dw_host_function {
  const char *name;
  const char *parameters;      // a letter each: i (i32) or I (i64)
  char result;                 // i, I, or 0: none
  dw_host_fn call;
} dw_host_function;
// Whether the import is one of ours.
bool dw_host_offers(const char *module, size_t module_length, const char *name, size_t name_length);
extern const dw_host_function dw_driftwood_functions[], dw_wasi_functions[];
extern const size_t dw_driftwood_function_count, dw_wasi_function_count;

// Moves Wasmtime's words into `error` and frees them.
dw_status dw_wasm_fail(dw_error *error, dw_status code, const char *what, wasmtime_error_t *wasm_error,
                       wasm_trap_t *trap);

#endif
