// One turn of an actor: settle the program that ran, call into the guest once,
// and decide what comes next.  An actor in the ready queue, having its turn or
// waiting for a device is `queued`; exactly one thread has its turn.
#include "runtime.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local dw_actor *turning;

dw_actor *dw_actor_turning(void) { return turning; }

// ---- Calling the guest ------------------------------------------------------------

// Wasmtime calls this when the epoch has moved on inside guest code.
static wasmtime_error_t *on_epoch(wasmtime_context_t *context, void *data, uint64_t *delta,
                                  wasmtime_update_deadline_kind_t *kind) {
  (void)context;
  dw_actor *actor = data;
  *delta = 1;
  *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
  uint64_t expires = atomic_load(&actor->expires_ns);
  if (atomic_load(&actor->closing))
    actor->stopped = dw_fail(&actor->error, DW_CANCELLED, "closed inside a step");
  else if (expires && dw_now_ns() >= expires)
    actor->stopped = dw_fail(&actor->error, DW_DEADLINE, "%" PRIu64 " ms passed inside a step",
                             actor->deadline_ns / 1000000);
  else if (dw_thread_cpu_ns() - actor->call_cpu_ns > actor->max_step_ns)
    actor->stopped = dw_fail(&actor->error, DW_LIMIT, "one call took more than %" PRIu64 " ms of processor time",
                             actor->max_step_ns / 1000000);
  return actor->stopped == DW_OK ? NULL : wasmtime_error_new("interrupted");
}

static const char *trap_words(wasmtime_trap_code_t code) {
  static const char *const words[] = {
      [WASMTIME_TRAP_CODE_STACK_OVERFLOW] = "stack overflow",
      [WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS] = "memory access out of bounds",
      [WASMTIME_TRAP_CODE_HEAP_MISALIGNED] = "misaligned atomic access",
      [WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS] = "table access out of bounds",
      [WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL] = "indirect call to null",
      [WASMTIME_TRAP_CODE_BAD_SIGNATURE] = "indirect call with the wrong signature",
      [WASMTIME_TRAP_CODE_INTEGER_OVERFLOW] = "integer overflow",
      [WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO] = "integer division by zero",
      [WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER] = "conversion of a float that no integer holds",
      [WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED] = "unreachable code reached",
      [WASMTIME_TRAP_CODE_INTERRUPT] = "interrupted"};
  return code < sizeof words / sizeof *words && words[code] ? words[code] : "trap";
}

static dw_status trap_status(dw_actor *actor, const char *what, wasm_trap_t *trap, wasmtime_error_t *failed) {
  dw_status status = actor->stopped;
  wasmtime_trap_code_t code;
  if (status == DW_OK && trap && wasmtime_trap_code(trap, &code)) {
    wasm_frame_t *frame = wasm_trap_origin(trap);
    const wasm_name_t *function = frame ? wasmtime_frame_func_name(frame) : NULL;
    status = dw_fail(&actor->error, DW_TRAP, "%s in %.*s (called by %s)", trap_words(code),
                     function ? (int)function->size : 1, function ? function->data : "?", what);
    if (frame) wasm_frame_delete(frame);
  } else if (status == DW_OK) {
    return dw_wasm_fail(&actor->error, DW_TRAP, what, failed, trap);
  }
  if (trap) wasm_trap_delete(trap);
  if (failed) wasmtime_error_delete(failed);
  return status;
}

static void begin_call(dw_actor *actor) {
  actor->stopped = DW_OK;
  actor->call_cpu_ns = dw_thread_cpu_ns();
  wasmtime_context_set_epoch_deadline(actor->context, 1);
}

static void end_call(dw_actor *actor) { actor->stats.guest_ns += dw_thread_cpu_ns() - actor->call_cpu_ns; }

// `value` goes in as the argument, if the function takes one, and comes out as the result.
static dw_status call_guest(dw_actor *actor, const wasmtime_func_t *function, const char *what, int32_t *value) {
  wasmtime_val_raw_t raw = {.i32 = *value};
  wasm_trap_t *trap = NULL;
  begin_call(actor);
  wasmtime_error_t *failed = wasmtime_func_call_unchecked(actor->context, function, &raw, 1, &trap);
  end_call(actor);
  if (trap || failed) return trap_status(actor, what, trap, failed);
  *value = raw.i32;
  return DW_OK;
}

// ---- Opening ----------------------------------------------------------------------

static bool find(dw_actor *actor, wasmtime_instance_t *instance, const char *name, wasmtime_extern_t *item) {
  return wasmtime_instance_export_get(actor->context, instance, name, strlen(name), item);
}

// The exports were checked when the guest was loaded.
static dw_status instantiate(dw_actor *actor) {
  actor->store = wasmtime_store_new(actor->engine->wasm, actor, NULL);
  actor->context = wasmtime_store_context(actor->store);
  // Tables are charged to nobody: 4 of 65,536 elements at most, 1 instance, 1 memory.
  wasmtime_store_limiter(actor->store, -1, 1 << 16, 1, 4, 1);
  wasmtime_store_epoch_deadline_callback(actor->store, on_epoch, actor, NULL);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  dw_memory_opening(actor);
  begin_call(actor);
  wasmtime_error_t *failed = wasmtime_instance_pre_instantiate(actor->guest->pre, actor->context, &instance, &trap);
  end_call(actor);
  dw_memory_opening(NULL);
  if (failed || trap) return trap_status(actor, "instantiation", trap, failed);
  wasmtime_extern_t item;
  if (find(actor, &instance, "memory", &item)) actor->memory = item.of.memory;
  actor->has_memory = true;
  if (find(actor, &instance, "driftwood_open", &item)) actor->open = item.of.func;
  if (find(actor, &instance, "driftwood_message", &item)) actor->message = item.of.func;
  if (find(actor, &instance, "driftwood_step", &item)) actor->step = item.of.func;
  if (find(actor, &instance, "_initialize", &item)) { // constructors of the guest's C library
    int32_t nothing = 0;
    return call_guest(actor, &item.of.func, "_initialize", &nothing);
  }
  return DW_OK;
}

// ---- Messages ---------------------------------------------------------------------

// A deadline that passed stops the runs of its own message only.
static void set_expiry(dw_actor *actor, uint64_t expires_ns) {
  pthread_mutex_lock(&actor->lock);
  atomic_store(&actor->expires_ns, expires_ns);
  atomic_store(&actor->stop_run, atomic_load(&actor->cancel) || atomic_load(&actor->closing));
  pthread_mutex_unlock(&actor->lock);
}

static void begin_message(dw_actor *actor) {
  uint64_t arrived = actor->current->arrived_ns;
  if (arrived > actor->clock_ns) actor->clock_ns = arrived; // the virtual clock never goes back
  actor->last_log[0] = 0;
  actor->error = (dw_error){0};
  set_expiry(actor, actor->deadline_ns ? dw_now_ns() + actor->deadline_ns : 0);
}

static void end_message(dw_actor *actor) {
  dw_message_free(actor->current);
  actor->current = NULL;
  actor->phase = DW_PHASE_IDLE;
  set_expiry(actor, 0);
}

static dw_status guest_failed(dw_actor *actor, const char *what, int32_t code) {
  if (actor->last_log[0]) return dw_fail(&actor->error, DW_GUEST, "%s", actor->last_log);
  dw_error last = actor->error; // of the host function whose failure the guest passes on
  if (last.code == code && code < 0)
    return dw_fail(&actor->error, DW_GUEST, "%s answered %" PRId32 ": %.180s", what, code, last.detail);
  return dw_fail(&actor->error, DW_GUEST, "%s answered %" PRId32, what, code);
}

static dw_status open_guest(dw_actor *actor) {
  begin_message(actor);
  dw_status status = instantiate(actor);
  if (status != DW_OK) return status;
  int32_t value = (int32_t)actor->current->size_bytes;
  status = call_guest(actor, &actor->open, "driftwood_open", &value);
  if (status == DW_OK && value < 0) status = guest_failed(actor, "driftwood_open", value);
  actor->phase = DW_PHASE_STEP;
  return status;
}

static dw_status deliver(dw_actor *actor) {
  actor->stats.messages++;
  begin_message(actor);
  int32_t value = (int32_t)actor->current->size_bytes;
  dw_status status = call_guest(actor, &actor->message, "driftwood_message", &value);
  if (status == DW_OK && value < 0) status = guest_failed(actor, "driftwood_message", value);
  actor->phase = DW_PHASE_STEP;
  return status;
}

static dw_status step(dw_actor *actor) {
  actor->stats.steps++;
  int32_t value = 0;
  dw_status status = call_guest(actor, &actor->step, "driftwood_step", &value);
  if (status != DW_OK) return status;
  switch (value) {
  case DW_STEP_MORE:
    return DW_OK;
  case DW_STEP_WAIT:
    if (!actor->submitted) end_message(actor); // waits for the next one
    return DW_OK;
  case DW_STEP_DONE:
    end_message(actor);
    return DW_OK;
  case DW_STEP_ERROR:
    return guest_failed(actor, "driftwood_step", value);
  default:
    return dw_fail(&actor->error, DW_GUEST, "driftwood_step answered %" PRId32 ", which is no dw_step", value);
  }
}

// ---- Programs ---------------------------------------------------------------------

static void on_run_done(dw_run *run) {
  dw_actor *actor = run->user;
  dw_scheduler_push(&actor->engine->scheduler, actor);
}

static dw_status deadline_passed(dw_actor *actor) {
  uint64_t expires = atomic_load(&actor->expires_ns);
  if (!expires || dw_now_ns() < expires) return DW_OK;
  return dw_fail(&actor->error, DW_DEADLINE, "%" PRIu64 " ms passed", actor->deadline_ns / 1000000);
}

static dw_status settle(dw_actor *actor) {
  if (!actor->submitted) return DW_OK;
  dw_run *run = &actor->run;
  actor->stats.device_ns += run->elapsed_ns;
  dw_actor_finish_submitted(actor);
  if (run->status == DW_OK) return DW_OK;
  if (run->status == DW_CANCELLED) {
    if (atomic_load(&actor->cancel) || atomic_load(&actor->closing)) return DW_OK;
    dw_status status = deadline_passed(actor);
    if (status != DW_OK) return status;
  }
  actor->error = run->error;
  return run->status;
}

// Drops what the guest was doing; it is not called about it.
static dw_status cancel(dw_actor *actor) {
  bool opening = actor->phase == DW_PHASE_OPEN || !actor->opened;
  pthread_mutex_lock(&actor->lock); // a cancel that comes now concerns what comes next
  atomic_store(&actor->cancel, false);
  atomic_store(&actor->stop_run, atomic_load(&actor->closing));
  pthread_mutex_unlock(&actor->lock);
  if (opening) return dw_fail(&actor->error, DW_CANCELLED, "cancelled while it opened");
  end_message(actor);
  return DW_OK;
}

// ---- The turn ---------------------------------------------------------------------

static dw_status act(dw_actor *actor) {
  dw_status status = settle(actor);
  if (status == DW_OK && atomic_load(&actor->cancel)) status = cancel(actor);
  if (status == DW_OK) status = deadline_passed(actor);
  if (status != DW_OK || atomic_load(&actor->closing)) return status;
  switch (actor->phase) {
  case DW_PHASE_OPEN:
    return open_guest(actor);
  case DW_PHASE_STEP:
    return step(actor);
  case DW_PHASE_IDLE:
    actor->opened = true;
    actor->current = dw_actor_next_message(actor);
    return actor->current ? deliver(actor) : DW_OK;
  }
  return DW_OK;
}

void dw_actor_turn(dw_actor *actor) {
  dw_engine *engine = actor->engine;
  turning = actor;
  dw_status status = act(actor);
  bool closing = atomic_load(&actor->closing);
  if (status == DW_OK && actor->submitted && !closing) status = dw_actor_bind_submitted(actor);
  turning = NULL;
  if (actor->submitted && (status != DW_OK || closing)) {
    actor->run.status = DW_CANCELLED; // never started
    dw_actor_finish_submitted(actor);
  }
  if (status != DW_OK || closing) {
    dw_error failure = actor->error;
    dw_actor_rest(actor, status == DW_OK ? NULL : &failure);
  } else if (actor->submitted) {
    actor->run.done = on_run_done;
    engine->device->class_->submit(engine->device, &actor->run);
  } else if (actor->phase == DW_PHASE_IDLE) {
    actor->opened = true;
    dw_actor_rest(actor, NULL);
  } else {
    dw_scheduler_push(&engine->scheduler, actor);
  }
}
