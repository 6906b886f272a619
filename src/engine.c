#include "runtime.h"

#include "sigbus.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t dw_now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
uint64_t dw_thread_cpu_ns(void) { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

void dw_engine_log(dw_engine *engine, dw_log_level level, dw_actor *actor, const char *line) {
  if (engine->on_log) engine->on_log(engine->user, level, actor, line);
}

void dw_engine_log_guest(dw_actor *actor, dw_log_level level, char *line) {
  for (unsigned char *c = (unsigned char *)line; *c; c++) {
    if (*c < 0x20 || *c == 0x7f) *c = ' ';
    else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) c[0] = c[1] = ' '; // U+0080 to U+009F
  }
  dw_engine_log(actor->engine, level, actor, line);
}

// ---- The ticker -------------------------------------------------------------------
// Interrupts guest code (by epoch) so that limits are looked at, and stops device
// work of actors whose deadline has passed.  Sleeps while nobody is busy.

static void expire_actors(dw_engine *engine) {
  uint64_t now = dw_now_ns();
  pthread_mutex_lock(&engine->lock);
  for (dw_actor *actor = engine->actors; actor; actor = actor->next) {
    uint64_t expires = atomic_load(&actor->expires_ns);
    if (!expires || now < expires) continue;
    pthread_mutex_lock(&actor->lock); // the message may have ended since, and the next one has its own time
    expires = atomic_load(&actor->expires_ns);
    if (expires && now >= expires) atomic_store(&actor->stop_run, true);
    pthread_mutex_unlock(&actor->lock);
  }
  pthread_mutex_unlock(&engine->lock);
}

static void *tick(void *argument) {
  dw_engine *engine = argument;
  const struct timespec pause = {.tv_nsec = (long)DW_TICK_NS};
  pthread_mutex_lock(&engine->ticker_lock);
  while (!engine->stopping) {
    if (atomic_load(&engine->busy) == 0) {
      pthread_cond_wait(&engine->ticker_wake, &engine->ticker_lock);
      continue;
    }
    pthread_mutex_unlock(&engine->ticker_lock);
    expire_actors(engine);
    wasmtime_engine_increment_epoch(engine->wasm);
    nanosleep(&pause, NULL);
    pthread_mutex_lock(&engine->ticker_lock);
  }
  pthread_mutex_unlock(&engine->ticker_lock);
  return NULL;
}

static void wake_ticker(dw_engine *engine, bool stopping) {
  pthread_mutex_lock(&engine->ticker_lock);
  engine->stopping |= stopping;
  pthread_cond_signal(&engine->ticker_wake);
  pthread_mutex_unlock(&engine->ticker_lock);
}

void dw_engine_busy(dw_engine *engine) {
  if (atomic_fetch_add(&engine->busy, 1) == 0) wake_ticker(engine, false);
}

void dw_engine_idle(dw_engine *engine) { atomic_fetch_sub(&engine->busy, 1); }

// ---- Opening ----------------------------------------------------------------------

static wasm_engine_t *new_wasm_engine(void) {
  wasm_config_t *config = wasm_config_new();
  dw_memory_configure(config);
  wasmtime_config_epoch_interruption_set(config, true);
  wasmtime_config_memory_init_cow_set(config, false); // needs Wasmtime's own memory
  wasmtime_config_memory_may_move_set(config, false);
  wasmtime_config_memory_reservation_set(config, UINT64_C(4) << 30);
  wasmtime_config_memory_guard_size_set(config, UINT64_C(32) << 20);
  wasmtime_config_cranelift_nan_canonicalization_set(config, true);
  wasmtime_config_wasm_relaxed_simd_set(config, true);
  wasmtime_config_wasm_relaxed_simd_deterministic_set(config, true);
  // What a snapshot could not hold, or a second thread would make unrepeatable.
  wasmtime_config_wasm_memory64_set(config, false);
  wasmtime_config_wasm_multi_memory_set(config, false);
  return wasm_engine_new_with_config(config);
}

static dw_status start(dw_engine *engine, const dw_engine_desc *desc, dw_error *error) {
  const dw_device_options options = {.threads = desc->threads, .user = desc->device_class_user};
  dw_status status = desc->device_class
                         ? desc->device_class->open(&options, &engine->device, error)
                         : dw_device_open(desc->device ? desc->device : "auto", &options, &engine->device, error);
  if (status != DW_OK) return status;
  if (!desc->no_sigbus) {
    status = dw_sigbus_install(error);
    if (status != DW_OK) return status;
  }
  engine->wasm = new_wasm_engine();
  if (!engine->wasm) return dw_fail(error, DW_NOMEM, "the WebAssembly engine could not be made");
  engine->linker = wasmtime_linker_new(engine->wasm);
  status = dw_host_define_all(engine->linker, error);
  if (status != DW_OK) return status;
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  uint32_t threads = desc->threads ? desc->threads : cores > 0 ? (uint32_t)cores : 1;
  status = dw_scheduler_start(&engine->scheduler, threads, error);
  if (status != DW_OK) return status;
  int failed = pthread_create(&engine->ticker, NULL, tick, engine);
  if (failed) return dw_fail_errno(error, failed, "starting the ticker thread");
  engine->has_ticker = true;
  return DW_OK;
}

static void destroy(dw_engine *engine) {
  if (engine->has_ticker) {
    wake_ticker(engine, true);
    pthread_join(engine->ticker, NULL);
  }
  if (engine->scheduler.threads) dw_scheduler_stop(&engine->scheduler);
  if (engine->linker) wasmtime_linker_delete(engine->linker);
  if (engine->wasm) wasm_engine_delete(engine->wasm);
  if (engine->device) engine->device->class_->close(engine->device);
  pthread_mutex_destroy(&engine->lock);
  pthread_mutex_destroy(&engine->ticker_lock);
  pthread_cond_destroy(&engine->ticker_wake);
  free(engine->cache_dir);
  free(engine);
}

dw_status dw_engine_open(const dw_engine_desc *desc, dw_engine **answer, dw_error *error) {
  static const dw_engine_desc defaults;
  if (!desc) desc = &defaults;
  dw_engine *engine = calloc(1, sizeof *engine);
  if (!engine) return dw_fail(error, DW_NOMEM, "engine");
  pthread_mutex_init(&engine->lock, NULL);
  pthread_mutex_init(&engine->ticker_lock, NULL);
  pthread_cond_init(&engine->ticker_wake, NULL);
  engine->on_log = desc->on_log;
  engine->user = desc->user;
  engine->cache_dir = desc->cache_dir ? strdup(desc->cache_dir) : NULL;
  dw_status status = start(engine, desc, error);
  if (status != DW_OK) {
    destroy(engine);
    return status;
  }
  *answer = engine;
  return DW_OK;
}

dw_status dw_engine_close(dw_engine *engine, dw_error *error) {
  if (!engine) return DW_OK;
  pthread_mutex_lock(&engine->lock);
  bool used = engine->actors || engine->guest_count;
  pthread_mutex_unlock(&engine->lock);
  if (used) return dw_fail(error, DW_BUSY, "the engine still has actors or guests");
  destroy(engine);
  return DW_OK;
}

const char *dw_engine_device_name(const dw_engine *engine) { return engine->device->name; }

dw_actor *dw_engine_find_actor(dw_engine *engine, uint64_t id) {
  for (dw_actor *actor = engine->actors; actor; actor = actor->next)
    if (actor->id == id) return actor;
  return NULL;
}

// ---- What all actors share --------------------------------------------------------

static dw_model_import *new_import(dw_engine *engine, dw_model *model, const dw_model_tensor_info *tensor,
                                   dw_error *error) {
  dw_model_import *import = calloc(1, sizeof *import);
  if (!import) {
    dw_fail(error, DW_NOMEM, "model");
    return NULL;
  }
  uint64_t page = engine->device->class_->byte_imports ? 1 : dw_page_size();
  const dw_import_desc desc = {.host = (void *)(uintptr_t)tensor->mapping,
                               .size_bytes = (tensor->mapping_bytes + page - 1) / page * page,
                               .readonly = true};
  if (engine->device->class_->import(engine->device, &desc, &import->buffer, error) != DW_OK) {
    free(import);
    return NULL;
  }
  dw_model_retain(model);
  import->model = model;
  import->base = tensor->mapping;
  import->next = engine->model_imports;
  engine->model_imports = import;
  return import;
}

dw_status dw_engine_import_model(dw_engine *engine, dw_model *model, const dw_model_tensor_info *tensor,
                                 dw_model_import **answer, dw_error *error) {
  dw_error failure = {0};
  pthread_mutex_lock(&engine->lock);
  dw_model_import *import = engine->model_imports;
  while (import && import->base != tensor->mapping) import = import->next;
  if (!import) import = new_import(engine, model, tensor, &failure);
  if (import) import->references++;
  pthread_mutex_unlock(&engine->lock);
  *answer = import;
  if (!import && error) *error = failure;
  return import ? DW_OK : failure.code;
}

void dw_engine_release_import(dw_engine *engine, dw_model_import *import) {
  pthread_mutex_lock(&engine->lock);
  bool last = --import->references == 0;
  if (last) {
    dw_model_import **link = &engine->model_imports;
    while (*link != import) link = &(*link)->next;
    *link = import->next;
    engine->device->class_->release(import->buffer);
  }
  pthread_mutex_unlock(&engine->lock);
  if (!last) return;
  dw_model_release(import->model);
  free(import);
}

static dw_shared_program **bucket(dw_engine *engine, const unsigned char *digest) {
  _Static_assert(DW_PROGRAM_BUCKETS == 256, "one byte of the digest chooses the bucket");
  return &engine->programs[digest[0]];
}

dw_status dw_engine_compile(dw_engine *engine, dw_program *program, dw_shared_program **answer, bool *compiled_now,
                            dw_error *error) {
  dw_status status = DW_OK;
  pthread_mutex_lock(&engine->lock);
  dw_shared_program **list = bucket(engine, program->digest), *shared = *list;
  while (shared && memcmp(shared->program->digest, program->digest, sizeof program->digest) != 0)
    shared = shared->next;
  *compiled_now = !shared;
  if (!shared) {
    shared = calloc(1, sizeof *shared);
    status = shared ? engine->device->class_->compile(engine->device, program, &shared->compiled, error)
                    : dw_fail(error, DW_NOMEM, "program");
    if (status == DW_OK) {
      shared->program = program;
      program = NULL;
      shared->next = *list;
      *list = shared;
    } else {
      free(shared);
    }
  }
  if (status == DW_OK) {
    shared->references++;
    *answer = shared;
  }
  pthread_mutex_unlock(&engine->lock);
  if (program) dw_program_free(program);
  return status;
}

void dw_engine_release_program(dw_engine *engine, dw_shared_program *shared) {
  pthread_mutex_lock(&engine->lock);
  bool last = --shared->references == 0;
  if (last) {
    dw_shared_program **link = bucket(engine, shared->program->digest);
    while (*link != shared) link = &(*link)->next;
    *link = shared->next;
    engine->device->class_->discard(engine->device, shared->compiled);
  }
  pthread_mutex_unlock(&engine->lock);
  if (!last) return;
  dw_program_free(shared->program);
  free(shared);
}
