// What the embedder calls: an actor's life, its mailbox and its counters.
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __APPLE__ // condition variables there know the real-time clock only
#define WAIT_CLOCK CLOCK_REALTIME
#else
#define WAIT_CLOCK CLOCK_MONOTONIC
#endif

// ---- Mailbox ----------------------------------------------------------------------

void dw_message_free(dw_message *message) {
  if (!message) return;
  if (message->tensor) dw_object_release(&message->tensor->object);
  free(message);
}

static uint64_t message_cost(const dw_message *message) {
  return message->size_bytes + (message->tensor ? message->tensor->size_bytes : 0);
}

static uint64_t real_time_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void set_readable(dw_actor *actor, bool readable) {
  if (actor->pipe[0] < 0 || actor->signalled == readable) return;
  char byte = 0;
  ssize_t done = readable ? write(actor->pipe[1], &byte, 1) : read(actor->pipe[0], &byte, 1);
  if (done == 1) actor->signalled = readable;
}

// Under actor->lock: from idle to the ready queue.
static void wake(dw_actor *actor) {
  if (actor->queued) return;
  actor->queued = true;
  set_readable(actor, false);
  dw_engine_busy(actor->engine);
  dw_scheduler_push(&actor->engine->scheduler, actor);
}

// Takes over `tensor` on success.
dw_status dw_actor_deliver(dw_actor *actor, const void *bytes, size_t size_bytes, dw_tensor *tensor, dw_error *error) {
  if (size_bytes > DW_MAX_MAILBOX_BYTES)
    return dw_fail(error, DW_LIMIT, "a message has at most %" PRIu64 " bytes", DW_MAX_MAILBOX_BYTES);
  dw_message *message = malloc(sizeof *message + size_bytes);
  if (!message) return dw_fail(error, DW_NOMEM, "message");
  *message = (dw_message){.tensor = tensor, .arrived_ns = real_time_ns(), .size_bytes = size_bytes};
  if (size_bytes) memcpy(message->bytes, bytes, size_bytes);

  dw_status status = DW_OK;
  pthread_mutex_lock(&actor->lock);
  if (actor->failed || atomic_load(&actor->closing)) {
    status = dw_fail(error, DW_CLOSED, "the actor has failed or is closing");
  } else if (actor->message_count == DW_MAX_MESSAGES ||
             (actor->message_count && message_cost(message) > DW_MAX_MAILBOX_BYTES - actor->mailbox_bytes)) {
    status = dw_fail(error, DW_LIMIT, "the mailbox is full: %" PRIu32 " messages of %" PRIu64 " bytes",
                     actor->message_count, actor->mailbox_bytes);
  } else {
    if (actor->last_message) actor->last_message->next = message;
    else actor->first_message = message;
    actor->last_message = message;
    actor->message_count++;
    uint64_t cost = message_cost(message);
    actor->mailbox_bytes = cost > DW_MAX_MAILBOX_BYTES - actor->mailbox_bytes ? DW_MAX_MAILBOX_BYTES
                                                                              : actor->mailbox_bytes + cost;
    wake(actor);
  }
  pthread_mutex_unlock(&actor->lock);
  if (status != DW_OK) free(message);
  return status;
}

dw_status dw_actor_send(dw_actor *actor, const void *bytes, size_t size_bytes, dw_error *error) {
  return dw_actor_deliver(actor, bytes, size_bytes, NULL, error);
}

static dw_message *take_first(dw_actor *actor) {
  dw_message *message = actor->first_message;
  if (!message) return NULL;
  actor->first_message = message->next;
  if (!actor->first_message) actor->last_message = NULL;
  actor->message_count--;
  uint64_t cost = message_cost(message);
  actor->mailbox_bytes -= cost < actor->mailbox_bytes ? cost : actor->mailbox_bytes;
  message->next = NULL;
  return message;
}

dw_message *dw_actor_next_message(dw_actor *actor) {
  pthread_mutex_lock(&actor->lock);
  dw_message *message = take_first(actor);
  pthread_mutex_unlock(&actor->lock);
  return message;
}

// ---- Resting and waiting ------------------------------------------------------------

void dw_actor_rest(dw_actor *actor, const dw_error *failure) {
  dw_engine *engine = actor->engine;
  pthread_mutex_lock(&actor->lock);
  actor->stats.memory_bytes = actor->region ? dw_region_size(actor->region) : 0;
  actor->stats.device_bytes =
      actor->max_memory_bytes - actor->budget_bytes - actor->kept_bytes - actor->stats.memory_bytes;
  actor->published = actor->stats;
  if (failure) {
    actor->failed = true;
    actor->failure = *failure;
  }
  bool again = !actor->failed && !atomic_load(&actor->closing) && actor->first_message;
  if (again) {
    dw_scheduler_push(&engine->scheduler, actor);
  } else {
    actor->queued = false;
    set_readable(actor, true);
    pthread_cond_broadcast(&actor->changed);
  }
  pthread_mutex_unlock(&actor->lock);
  if (!again) dw_engine_idle(engine);
}

static void add_ns(struct timespec *time, uint64_t wait_ns) {
  uint64_t ns = (uint64_t)time->tv_nsec + wait_ns % 1000000000u;
  time->tv_sec += (time_t)(wait_ns / 1000000000u + ns / 1000000000u);
  time->tv_nsec = (long)(ns % 1000000000u);
}

dw_status dw_actor_wait(dw_actor *actor, uint64_t timeout_ns, dw_error *error) {
  if (dw_actor_turning() && timeout_ns)
    return dw_fail(error, DW_BUSY, "inside a callback there is no waiting: other actors need its thread");
  struct timespec until;
  clock_gettime(WAIT_CLOCK, &until);
  if (timeout_ns > UINT64_C(1) << 60) timeout_ns = UINT64_C(1) << 60; // 36 years
  add_ns(&until, timeout_ns);
  pthread_mutex_lock(&actor->lock);
  int timed_out = 0;
  while (actor->queued && !timed_out) timed_out = pthread_cond_timedwait(&actor->changed, &actor->lock, &until);
  dw_status status = DW_OK;
  if (actor->queued) status = dw_fail(error, DW_BUSY, "the actor is still running");
  else if (actor->failed) {
    status = actor->failure.code;
    if (error) *error = actor->failure;
  }
  pthread_mutex_unlock(&actor->lock);
  return status;
}

int dw_actor_descriptor(dw_actor *actor) {
  pthread_mutex_lock(&actor->lock);
  if (actor->pipe[0] < 0 && pipe(actor->pipe) == 0) {
    for (int i = 0; i < 2; i++) {
      fcntl(actor->pipe[i], F_SETFD, FD_CLOEXEC);
      fcntl(actor->pipe[i], F_SETFL, O_NONBLOCK);
    }
    set_readable(actor, !actor->queued);
  }
  int descriptor = actor->pipe[0];
  pthread_mutex_unlock(&actor->lock);
  return descriptor;
}

void dw_actor_cancel(dw_actor *actor) {
  dw_message *dropped = NULL;
  pthread_mutex_lock(&actor->lock);
  if (actor->queued) {
    atomic_store(&actor->cancel, true);
    atomic_store(&actor->stop_run, true);
    dropped = actor->first_message;
    actor->first_message = actor->last_message = NULL;
    actor->message_count = 0;
    actor->mailbox_bytes = 0;
  }
  pthread_mutex_unlock(&actor->lock);
  for (dw_message *next; dropped; dropped = next) {
    next = dropped->next;
    dw_message_free(dropped);
  }
}

void dw_actor_state_get(dw_actor *actor, dw_actor_state *state) {
  pthread_mutex_lock(&actor->lock);
  *state = (dw_actor_state){
      .code = actor->failed ? DW_ACTOR_FAILED : actor->queued ? DW_ACTOR_RUNNING : DW_ACTOR_IDLE,
      .error = actor->failure,
      .stats = actor->published};
  pthread_mutex_unlock(&actor->lock);
}

dw_status dw_actor_memory_get(dw_actor *actor, dw_actor_memory *memory, dw_error *error) {
  dw_status status = DW_OK;
  pthread_mutex_lock(&actor->lock);
  if (actor->queued) {
    status = dw_fail(error, DW_BUSY, "the actor is running");
  } else if (!actor->has_memory) {
    status = dw_fail(error, DW_CLOSED, "the actor has no memory");
  } else {
    *memory = (dw_actor_memory){.mapping = dw_region_base(actor->region),
                                .guest = wasmtime_memory_data(actor->context, &actor->memory),
                                .device = actor->extent_count ? actor->extents[0].buffer->device_pointer : NULL,
                                .size_bytes = dw_region_size(actor->region)};
  }
  pthread_mutex_unlock(&actor->lock);
  return status;
}

// ---- Opening and closing ------------------------------------------------------------

static dw_status copy_grants(dw_actor *actor, const dw_actor_desc *desc, dw_error *error) {
  actor->models = calloc(desc->model_count + 1, sizeof *actor->models);
  actor->peers = calloc(desc->peer_count + 1, sizeof *actor->peers);
  if (!actor->models || !actor->peers) return dw_fail(error, DW_NOMEM, "actor");
  for (size_t i = 0; i < desc->model_count; i++) {
    if (!desc->models[i].name || !desc->models[i].path)
      return dw_fail(error, DW_INVALID, "grant %zu has no name or no path", i);
    actor->models[i] = (dw_granted_model){strdup(desc->models[i].name), strdup(desc->models[i].path)};
    actor->model_count = i + 1;
    if (!actor->models[i].name || !actor->models[i].path) return dw_fail(error, DW_NOMEM, "actor");
  }
  for (size_t i = 0; i < desc->peer_count; i++) {
    if (!desc->peers[i].name || !desc->peers[i].actor || desc->peers[i].actor->engine != actor->engine)
      return dw_fail(error, DW_INVALID, "peer %zu has no name, or is no actor of this engine", i);
    actor->peers[i] = (dw_granted_peer){strdup(desc->peers[i].name), desc->peers[i].actor->id};
    actor->peer_count = i + 1;
    if (!actor->peers[i].name) return dw_fail(error, DW_NOMEM, "actor");
  }
  return DW_OK;
}

// Of an actor that no thread works on any more.
static void destroy(dw_actor *actor) {
  free(actor->bindings);
  dw_actor_unbind_all(actor);
  dw_handles_clear(&actor->handles);
  if (actor->store) wasmtime_store_delete(actor->store);
  if (actor->region) dw_region_release(actor->region);
  dw_message_free(actor->current);
  for (dw_message *message; (message = take_first(actor));) dw_message_free(message);
  for (size_t i = 0; i < actor->model_count; i++) {
    free(actor->models[i].name);
    free(actor->models[i].path);
  }
  for (size_t i = 0; i < actor->peer_count; i++) free(actor->peers[i].name);
  free(actor->models);
  free(actor->peers);
  for (int i = 0; i < 2; i++)
    if (actor->pipe[i] >= 0) close(actor->pipe[i]);
  dw_guest_close(actor->guest);
  pthread_mutex_destroy(&actor->lock);
  pthread_cond_destroy(&actor->changed);
  free(actor);
}

static dw_actor *new_actor(dw_engine *engine, const dw_actor_desc *desc) {
  dw_actor *actor = calloc(1, sizeof *actor);
  if (!actor) return NULL;
  pthread_mutex_init(&actor->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
#ifndef __APPLE__
  pthread_condattr_setclock(&attributes, WAIT_CLOCK);
#endif
  pthread_cond_init(&actor->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  actor->engine = engine;
  actor->guest = desc->guest;
  atomic_fetch_add(&desc->guest->references, 1);
  actor->on_emit = desc->on_emit;
  actor->user = desc->user;
  actor->max_step_ns = desc->max_step_ns ? desc->max_step_ns : DW_DEFAULT_STEP_NS;
  actor->deadline_ns = desc->deadline_ns;
  actor->max_memory_bytes = desc->max_memory_bytes ? desc->max_memory_bytes : DW_DEFAULT_MEMORY_BYTES;
  actor->budget_bytes = actor->max_memory_bytes;
  actor->random_state = desc->seed;
  actor->pipe[0] = actor->pipe[1] = -1;
  return actor;
}

static void enlist(dw_actor *actor) {
  dw_engine *engine = actor->engine;
  pthread_mutex_lock(&engine->lock);
  actor->id = ++engine->next_actor_id;
  actor->next = engine->actors;
  if (actor->next) actor->next->previous = actor;
  engine->actors = actor;
  pthread_mutex_unlock(&engine->lock);
}

static void delist(dw_actor *actor) {
  dw_engine *engine = actor->engine;
  pthread_mutex_lock(&engine->lock);
  if (actor->previous) actor->previous->next = actor->next;
  else engine->actors = actor->next;
  if (actor->next) actor->next->previous = actor->previous;
  pthread_mutex_unlock(&engine->lock);
}

dw_status dw_actor_open(dw_engine *engine, const dw_actor_desc *desc, dw_actor **answer, dw_error *error) {
  if (!desc || !desc->guest || desc->guest->engine != engine)
    return dw_fail(error, DW_INVALID, "an actor needs a guest of this engine");
  if (dw_actor_turning())
    return dw_fail(error, DW_BUSY, "inside a callback no actor can be opened: its guest needs a thread");
  dw_actor *actor = new_actor(engine, desc);
  if (!actor) return dw_fail(error, DW_NOMEM, "actor");
  dw_status status = copy_grants(actor, desc, error);
  const char *arguments = desc->arguments ? desc->arguments : "";
  size_t length = strlen(arguments);
  actor->current = malloc(sizeof *actor->current + length);
  if (status == DW_OK && !actor->current) status = dw_fail(error, DW_NOMEM, "actor");
  if (status != DW_OK) {
    destroy(actor);
    return status;
  }
  *actor->current = (dw_message){.size_bytes = length, .arrived_ns = real_time_ns()};
  memcpy(actor->current->bytes, arguments, length);
  enlist(actor);
  pthread_mutex_lock(&actor->lock);
  wake(actor);
  pthread_mutex_unlock(&actor->lock);
  status = dw_actor_wait(actor, UINT64_MAX, error);
  if (status != DW_OK) {
    dw_actor_close(actor);
    return status;
  }
  *answer = actor;
  return DW_OK;
}

void dw_actor_close(dw_actor *actor) {
  if (!actor) return;
  delist(actor);
  pthread_mutex_lock(&actor->lock);
  atomic_store(&actor->closing, true);
  atomic_store(&actor->stop_run, true);
  while (actor->queued) pthread_cond_wait(&actor->changed, &actor->lock);
  pthread_mutex_unlock(&actor->lock);
  destroy(actor);
}
