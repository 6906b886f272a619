// driftwood.h: the embedder's interface.
//
// Two nouns carry it.  An *engine* owns devices, threads and caches of a
// process; an *actor* is one running guest: a sandboxed WebAssembly program
// with its memory, its tensors and its mailbox.  You open an engine, load a
// guest, open an actor, send it messages, and receive what it emits.
//
//   Threads   Engine, guest and model functions may be called from any thread.
//             An actor's functions may be called from any thread too; dw_actor_send,
//             _cancel, _wait and _state are safe against each other and against
//             the engine's own threads.  dw_actor_close must be the last call
//             on its actor.  Callbacks run on engine threads, one at a time for
//             one actor, and must not call dw_actor_close or dw_engine_close; dw_actor_open,
//             and dw_actor_wait with a timeout, answer BUSY there.
//   Errors    A function that can fail returns a dw_status and fills the
//             dw_error it was given (which may be NULL).  Nothing is printed,
//             nothing exits, no environment variable is read.
//   Signals   Wasmtime handles SIGSEGV, SIGILL and SIGFPE of guest code; driftwood
//             handles SIGBUS on its own file mappings.  Both pass every other
//             fault on to the handler that was there before.
//             dw_engine_desc.no_sigbus declines ours: a model file that is cut
//             off while it is read then kills the process.
//   fork()    A forked child may only exec or exit.
//   ABI       Descriptors may grow at their end; a field that is zero has its
//             default.  Opaque types stay opaque.
#ifndef DRIFTWOOD_H
#define DRIFTWOOD_H

#include "driftwood_abi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DRIFTWOOD_VERSION "0.1.0"

#if defined(__GNUC__)
#define DW_API __attribute__((visibility("default")))
#else
#define DW_API
#endif

typedef struct dw_engine dw_engine;
typedef struct dw_guest dw_guest;
typedef struct dw_actor dw_actor;

typedef struct dw_error {
  dw_status code;
  const char *message;       // constant words of the code
  bool has_position;
  uint64_t position;         // bytes from the beginning of the file or text, if has_position
  char detail[232];          // what and where, zero-terminated
} dw_error;

// ---- Engine --------------------------------------------------------------------

typedef enum dw_log_level { DW_LOG_ERROR, DW_LOG_WARNING, DW_LOG_INFO, DW_LOG_DEBUG } dw_log_level;

// Takes one line of log, without newline; `actor` is NULL for the engine's own.
typedef void (*dw_log_fn)(void *user, dw_log_level level, dw_actor *actor, const char *line);

typedef struct dw_engine_desc {
  const char *device;        // "auto" (default), "cpu", "vulkan"
  uint32_t threads;          // of the CPU device and of the scheduler each; 0: one a core
  const char *cache_dir;     // compiled guests; NULL: none is read or written
  dw_log_fn on_log;
  void *user;                // for on_log
  bool no_sigbus;            // do not handle SIGBUS
  const struct dw_device_class *device_class; // for tests: a device that is not built in
  void *device_class_user;
} dw_engine_desc;

DW_API dw_status dw_engine_open(const dw_engine_desc *desc, dw_engine **engine, dw_error *error);
// Closes the engine after its last actor and guest are closed (BUSY before).
DW_API dw_status dw_engine_close(dw_engine *engine, dw_error *error);
// The name of the device in use, as `driftwood devices` shows it.
DW_API const char *dw_engine_device_name(const dw_engine *engine);

// ---- Guest -----------------------------------------------------------------------

// Loads a Wasm module from a file or from memory and compiles it, or takes the
// compiled form from the cache.  A module whose imports, memories or tables the
// runtime does not offer is refused by name.
DW_API dw_status dw_guest_load(dw_engine *engine, const char *path, dw_guest **guest, dw_error *error);
DW_API dw_status dw_guest_load_bytes(dw_engine *engine, const void *wasm, size_t size_bytes, dw_guest **guest, dw_error *error);
DW_API void dw_guest_close(dw_guest *guest);
// True if the last load took the compiled form from the cache.
DW_API bool dw_guest_was_cached(const dw_guest *guest);

// ---- Actor -----------------------------------------------------------------------

// A model granted to a guest: a Hugging Face directory, under a name of the
// embedder's choosing.
typedef struct dw_grant {
  const char *name;
  const char *path;
} dw_grant;

// Another actor of the same engine that the guest may send tensors to, by name.
typedef struct dw_peer {
  const char *name;
  dw_actor *actor;           // open when the grant is made; a send after its close is CLOSED
} dw_peer;

// What an actor emits with `emit`; `bytes` are valid during the call.
typedef void (*dw_emit_fn)(void *user, dw_actor *actor, const void *bytes, size_t size_bytes);

typedef enum dw_actor_state_code {
  DW_ACTOR_RUNNING = 0,      // has a step, a program or a message to deal with
  DW_ACTOR_IDLE = 1,         // has dealt with every message
  DW_ACTOR_FAILED = 2        // trapped, ran into a limit or reported an error; see dw_actor_state
} dw_actor_state_code;

typedef struct dw_actor_desc {
  dw_guest *guest;
  const dw_grant *models;
  size_t model_count;
  const dw_peer *peers;
  size_t peer_count;
  const char *arguments;     // text for driftwood_open; NULL: empty
  uint64_t seed;             // of the random source
  uint64_t max_memory_bytes; // linear memory, device tensors, caches, programs and the host's records of them
                             // together; and of the temps of any one program by themselves.  0: 4 GiB
  uint64_t max_step_ns;      // CPU time of one call into the guest; 0: 10 s
  uint64_t deadline_ns;      // wall time that one message (and open) may take; 0: none
  dw_emit_fn on_emit;
  void *user;                // for on_emit
} dw_actor_desc;

// Creates the actor and runs its driftwood_open; returns when that is done.
DW_API dw_status dw_actor_open(dw_engine *engine, const dw_actor_desc *desc, dw_actor **actor, dw_error *error);
// Stops the actor at its next step boundary and frees it.
DW_API void dw_actor_close(dw_actor *actor);

// Copies a message into the mailbox (first in, first out).  Thread-safe.
// LIMIT: the mailbox holds 1,024 messages or 64 MiB already; FAILED actors: CLOSED.
DW_API dw_status dw_actor_send(dw_actor *actor, const void *bytes, size_t size_bytes, dw_error *error);

// Waits until the actor is idle or failed, `timeout_ns` at most (0: looks and
// returns; UINT64_MAX: no limit).  OK: idle.  BUSY: still running.  Else the
// status with which the actor failed.
DW_API dw_status dw_actor_wait(dw_actor *actor, uint64_t timeout_ns, dw_error *error);

// Ends the current message at the next step boundary: the actor's mailbox is
// emptied and it becomes idle; a program that runs is stopped between tiles, and
// the rows it appended to caches are forgotten.  The guest is not told: its next
// call is driftwood_message.
// Thread-safe; does not wait.
DW_API void dw_actor_cancel(dw_actor *actor);

// A descriptor that is readable whenever the actor is idle or failed, for poll().
DW_API int dw_actor_descriptor(dw_actor *actor);

// Counters since open.  Only ever grow, but for the last three.
typedef struct dw_actor_stats {
  uint64_t steps;
  uint64_t messages;
  uint64_t host_calls;
  uint64_t programs_submitted;
  uint64_t programs_compiled; // those that the process had not compiled before
  uint64_t upload_bytes;      // named transfers to the device
  uint64_t download_bytes;    // named transfers from the device
  uint64_t bus_bytes;         // the above + linear tensors bound on a discrete device
  uint64_t copied_bytes;      // model tensors that were not aligned to their element, copied at load
  uint64_t reimports;         // imports of all memory anew: a tensor spanned two extents, or there were many
  uint64_t guest_ns;          // CPU time inside guest code
  uint64_t device_ns;         // wall time of the actor's programs
  uint64_t memory_bytes;      // linear memory now
  uint64_t device_bytes;      // device tensors and cache blocks now
  uint64_t scratch_bytes;     // of the largest program, shared by all actors of a worker
} dw_actor_stats;

typedef struct dw_actor_state {
  dw_actor_state_code code;
  dw_error error;             // if failed
  dw_actor_stats stats;
} dw_actor_state;

DW_API void dw_actor_state_get(dw_actor *actor, dw_actor_state *state);

// ---- Looking at memory (prove, debuggers, tests) ---------------------------------
typedef struct dw_actor_memory {
  void *mapping;              // the region's first byte
  void *guest;                // what Wasmtime says the memory's first byte is
  const void *device;         // the device's own pointer to the same bytes, after the first import; else NULL
  uint64_t size_bytes;
} dw_actor_memory;
// Call while the actor is idle: a running actor answers BUSY.
DW_API dw_status dw_actor_memory_get(dw_actor *actor, dw_actor_memory *memory, dw_error *error);

#ifdef __cplusplus
}
#endif
#endif
