#include "fake_device.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "region.h"

typedef struct fault {
  uint64_t at;                 // the count at which it strikes; 0: always
  dw_status status;
} fault;

typedef struct held_owner {
  void *owner;
  dw_owner_release_fn release;
} held_owner;

struct dw_fake {
  dw_fake_options options;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  uint64_t counts[DW_FAKE_CALLS];
  fault faults[DW_FAKE_CALLS];
  dw_fake_record *records;
  uint64_t record_count, record_capacity;
  held_owner *owners;
  uint64_t owner_count;
  uint64_t live, running;
  dw_run *queue, **queue_end;  // submitted and not begun, oldest first
  uint64_t queued;
  uint64_t allowed;            // held runs that may begin
  bool lost, stopping;
};

typedef struct fake_buffer {
  dw_buffer buffer;
  unsigned char *bytes;        // what the device works on
  dw_buffer *inner;            // the same bytes for the CPU device; NULL: not computing
  void *owner;
  dw_owner_release_fn release;
  bool owned;                  // bytes were allocated here
} fake_buffer;

typedef struct fake_compiled {
  dw_compiled compiled;
  dw_compiled *inner;
} fake_compiled;

typedef struct fake_device {
  dw_device device;
  dw_fake *fake;
  bool owns_fake;
  dw_device *inner;            // the CPU device; NULL: not computing
  pthread_t thread;
} fake_device;

// A run on its way through the CPU device.
typedef struct inner_run {
  dw_run run;
  dw_run *outer;
  fake_device *device;
  dw_binding *bindings;
} inner_run;

static fake_device *fake_of(dw_device *device) { return (fake_device *)device; }

// ---- Recording and failing ------------------------------------------------------------

static void append_record(dw_fake *fake, const dw_fake_record *record) {
  if (fake->record_count == fake->record_capacity) {
    uint64_t capacity = fake->record_capacity ? 2 * fake->record_capacity : 64;
    dw_fake_record *records = realloc(fake->records, capacity * sizeof *records);
    if (!records) abort();
    fake->records = records;
    fake->record_capacity = capacity;
  }
  fake->records[fake->record_count++] = *record;
}

// Counts the call, notes it, and answers what it is to answer.
static dw_status note(dw_fake *fake, dw_fake_record record) {
  pthread_mutex_lock(&fake->lock);
  uint64_t count = ++fake->counts[record.call];
  fault *planned = &fake->faults[record.call];
  if (fake->lost && record.call != DW_FAKE_RELEASE && record.call != DW_FAKE_DISCARD && record.call != DW_FAKE_CLOSE)
    record.status = DW_LOST;
  else if (planned->status != DW_OK && (planned->at == 0 || planned->at == count)) record.status = planned->status;
  append_record(fake, &record);
  pthread_mutex_unlock(&fake->lock);
  return record.status;
}

static dw_status failed(dw_error *error, dw_status status, const char *what) {
  return dw_fail(error, status, "fake device: %s fails as asked", what);
}

static void add_live(dw_fake *fake, int64_t change) {
  pthread_mutex_lock(&fake->lock);
  fake->live += (uint64_t)change;
  pthread_mutex_unlock(&fake->lock);
}

// ---- Buffers ----------------------------------------------------------------------------

static dw_status import_inner(fake_device *device, fake_buffer *buffer, bool readonly, dw_error *error) {
  if (!device->inner) return DW_OK;
  const dw_import_desc desc = {.host = buffer->bytes, .size_bytes = buffer->buffer.size_bytes, .readonly = readonly};
  return dw_device_cpu.import(device->inner, &desc, &buffer->inner, error);
}

static dw_status finish_buffer(fake_device *device, fake_buffer *buffer, bool readonly, dw_buffer **answer,
                               dw_error *error) {
  dw_status status = import_inner(device, buffer, readonly, error);
  if (status != DW_OK) {
    if (buffer->owned) free(buffer->bytes);
    free(buffer);
    return status;
  }
  add_live(device->fake, 1);
  *answer = &buffer->buffer;
  return DW_OK;
}

static unsigned char *new_bytes(uint64_t size_bytes) {
  uint64_t page = dw_page_size(), rounded = (size_bytes + page - 1) / page * page;
  unsigned char *bytes = rounded < size_bytes ? NULL : aligned_alloc(page, rounded ? rounded : page);
  if (bytes) memset(bytes, 0, rounded ? rounded : page);
  return bytes;
}

static dw_status fake_import(dw_device *base, const dw_import_desc *desc, dw_buffer **answer, dw_error *error) {
  fake_device *device = fake_of(base);
  dw_status status = note(device->fake, (dw_fake_record){.call = DW_FAKE_IMPORT, .pointer = desc->host,
                                                         .size_bytes = desc->size_bytes, .readonly = desc->readonly});
  if (status != DW_OK) return failed(error, status, "import");
  uint64_t page = dw_page_size();
  if ((uintptr_t)desc->host % page || desc->size_bytes % page)
    return dw_fail(error, DW_INVALID, "fake device: an import is whole pages");
  fake_buffer *buffer = calloc(1, sizeof *buffer);
  if (!buffer) return dw_fail(error, DW_NOMEM, "fake device: import");
  dw_fake_import mode = device->fake->options.import;
  buffer->bytes = desc->host;
  if (mode != DW_FAKE_WRAP) {
    buffer->owned = true;
    buffer->bytes = new_bytes(desc->size_bytes);
    if (!buffer->bytes) {
      free(buffer);
      return dw_fail(error, DW_NOMEM, "fake device: import");
    }
    memcpy(buffer->bytes, desc->host, desc->size_bytes);
  }
  unsigned char *shown = mode == DW_FAKE_COPY ? buffer->bytes : desc->host;
  buffer->buffer = (dw_buffer){.device = base, .host = shown, .device_pointer = shown,
                               .size_bytes = desc->size_bytes, .imported = true};
  buffer->owner = desc->owner;
  buffer->release = desc->release;
  return finish_buffer(device, buffer, desc->readonly, answer, error);
}

static dw_status fake_allocate(dw_device *base, uint64_t size_bytes, dw_buffer **answer, dw_error *error) {
  fake_device *device = fake_of(base);
  dw_status status = note(device->fake, (dw_fake_record){.call = DW_FAKE_ALLOCATE, .size_bytes = size_bytes});
  if (status != DW_OK) return failed(error, status, "allocate");
  fake_buffer *buffer = calloc(1, sizeof *buffer);
  if (buffer) buffer->bytes = new_bytes(size_bytes);
  if (!buffer || !buffer->bytes) {
    free(buffer);
    return dw_fail(error, DW_NOMEM, "fake device: %llu bytes", (unsigned long long)size_bytes);
  }
  buffer->owned = true;
  buffer->buffer = (dw_buffer){.device = base, .host = device->fake->options.discrete ? NULL : buffer->bytes,
                               .device_pointer = buffer->bytes, .size_bytes = size_bytes};
  return finish_buffer(device, buffer, false, answer, error);
}

static void let_owner_go(dw_fake *fake, void *owner, dw_owner_release_fn release) {
  if (!release) return;
  pthread_mutex_lock(&fake->lock);
  bool hold = fake->options.hold_imports;
  if (hold) {
    held_owner *owners = realloc(fake->owners, (fake->owner_count + 1) * sizeof *owners);
    if (!owners) abort();
    fake->owners = owners;
    owners[fake->owner_count++] = (held_owner){owner, release};
    fake->live++;
  }
  pthread_mutex_unlock(&fake->lock);
  if (!hold) release(owner);
}

static void fake_release(dw_buffer *base) {
  fake_buffer *buffer = (fake_buffer *)base;
  dw_fake *fake = fake_of(base->device)->fake;
  note(fake, (dw_fake_record){.call = DW_FAKE_RELEASE, .pointer = base, .size_bytes = base->size_bytes});
  if (buffer->inner) dw_device_cpu.release(buffer->inner);
  if (buffer->owned) free(buffer->bytes);
  let_owner_go(fake, buffer->owner, buffer->release);
  free(buffer);
  add_live(fake, -1);
}

static dw_status fake_upload(dw_buffer *base, uint64_t offset, const void *bytes, uint64_t size_bytes,
                             dw_error *error) {
  dw_status status = note(fake_of(base->device)->fake,
                          (dw_fake_record){.call = DW_FAKE_UPLOAD, .pointer = base, .offset_bytes = offset,
                                           .size_bytes = size_bytes});
  if (status != DW_OK) return failed(error, status, "upload");
  memcpy(((fake_buffer *)base)->bytes + offset, bytes, size_bytes);
  return DW_OK;
}

static dw_status fake_download(dw_buffer *base, uint64_t offset, void *bytes, uint64_t size_bytes, dw_error *error) {
  dw_status status = note(fake_of(base->device)->fake,
                          (dw_fake_record){.call = DW_FAKE_DOWNLOAD, .pointer = base, .offset_bytes = offset,
                                           .size_bytes = size_bytes});
  if (status != DW_OK) return failed(error, status, "download");
  memcpy(bytes, ((fake_buffer *)base)->bytes + offset, size_bytes);
  return DW_OK;
}

// ---- Programs ---------------------------------------------------------------------------

static dw_status fake_compile(dw_device *base, const dw_program *program, dw_compiled **answer, dw_error *error) {
  fake_device *device = fake_of(base);
  dw_status status = note(device->fake, (dw_fake_record){.call = DW_FAKE_COMPILE, .pointer = program});
  if (status != DW_OK) return failed(error, status, "compile");
  fake_compiled *compiled = calloc(1, sizeof *compiled);
  if (!compiled) return dw_fail(error, DW_NOMEM, "fake device: compile");
  compiled->compiled.program = program;
  if (device->inner) status = dw_device_cpu.compile(device->inner, program, &compiled->inner, error);
  if (status != DW_OK) {
    free(compiled);
    return status;
  }
  add_live(device->fake, 1);
  *answer = &compiled->compiled;
  return DW_OK;
}

static void fake_discard(dw_device *base, dw_compiled *compiled) {
  fake_device *device = fake_of(base);
  note(device->fake, (dw_fake_record){.call = DW_FAKE_DISCARD, .pointer = compiled->program});
  if (device->inner) dw_device_cpu.discard(device->inner, ((fake_compiled *)compiled)->inner);
  free(compiled);
  add_live(device->fake, -1);
}

// ---- Runs ---------------------------------------------------------------------------------

static void end_run(dw_fake *fake, dw_run *run) {
  run->done(run); // and what it points to may be gone behind this line
  pthread_mutex_lock(&fake->lock);
  fake->running--;
  pthread_cond_broadcast(&fake->changed);
  pthread_mutex_unlock(&fake->lock);
}

// The CPU device reads cache blocks through their host pointer: shows or hides it for a run.
static void show_cache(const dw_cache *cache, bool shown) {
  for (uint32_t layer = 0; layer < cache->desc.layers; layer++) {
    for (uint64_t block = 0; block < cache->held_blocks; block++) {
      dw_buffer *buffer = dw_cache_block_buffer(cache, layer, block);
      buffer->host = shown ? ((fake_buffer *)buffer)->bytes : NULL;
    }
  }
}

static void show_caches(const fake_device *device, const dw_run *run, bool shown) {
  if (!device->fake->options.discrete) return;
  for (uint32_t i = 0; i < run->compiled->program->slot_count; i++)
    if (run->bindings[i].cache) show_cache(run->bindings[i].cache, shown);
}

static void inner_done(dw_run *run) {
  inner_run *inner = run->user;
  dw_run *outer = inner->outer;
  outer->status = run->status;
  outer->error = run->error;
  outer->elapsed_ns = run->elapsed_ns;
  dw_fake *fake = inner->device->fake;
  show_caches(inner->device, outer, false);
  free(inner->bindings);
  free(inner);
  end_run(fake, outer);
}

static void compute(fake_device *device, dw_run *outer) {
  uint32_t count = outer->compiled->program->slot_count;
  inner_run *inner = calloc(1, sizeof *inner);
  dw_binding *bindings = calloc(count ? count : 1, sizeof *bindings);
  if (!inner || !bindings) abort();
  for (uint32_t i = 0; i < count; i++) {
    bindings[i] = outer->bindings[i];
    if (bindings[i].buffer) bindings[i].buffer = ((fake_buffer *)bindings[i].buffer)->inner;
  }
  *inner = (inner_run){.outer = outer, .device = device, .bindings = bindings};
  inner->run = (dw_run){.compiled = ((fake_compiled *)outer->compiled)->inner, .bindings = bindings,
                        .cancel = outer->cancel, .done = inner_done, .user = inner};
  memcpy(inner->run.params, outer->params, sizeof inner->run.params);
  show_caches(device, outer, true);
  dw_device_cpu.submit(device->inner, &inner->run);
}

static void begin_run(fake_device *device, dw_run *run) {
  dw_fake *fake = device->fake;
  if (fake->options.delay_ms) {
    struct timespec wait = {.tv_sec = fake->options.delay_ms / 1000,
                            .tv_nsec = (long)(fake->options.delay_ms % 1000) * 1000000};
    nanosleep(&wait, NULL);
  }
  pthread_mutex_lock(&fake->lock);
  if (fake->lost) run->status = DW_LOST;
  pthread_mutex_unlock(&fake->lock);
  if (run->status == DW_OK && device->inner) {
    compute(device, run);
    return;
  }
  if (run->status != DW_OK) failed(&run->error, run->status, "the run");
  else if (run->cancel && atomic_load(run->cancel)) run->status = dw_fail(&run->error, DW_CANCELLED, "cancelled");
  end_run(fake, run);
}

static bool may_begin(const dw_fake *fake) {
  return fake->queue && (!fake->options.hold_runs || fake->allowed || fake->lost);
}

static dw_run *take_run(dw_fake *fake) {
  dw_run *run = fake->queue;
  fake->queue = run->next;
  if (!fake->queue) fake->queue_end = &fake->queue;
  fake->queued--;
  if (fake->allowed) fake->allowed--;
  return run;
}

static void *work(void *argument) {
  fake_device *device = argument;
  dw_fake *fake = device->fake;
  pthread_mutex_lock(&fake->lock);
  while (!fake->stopping) {
    if (!may_begin(fake)) {
      pthread_cond_wait(&fake->changed, &fake->lock);
      continue;
    }
    dw_run *run = take_run(fake);
    pthread_mutex_unlock(&fake->lock);
    begin_run(device, run);
    pthread_mutex_lock(&fake->lock);
  }
  pthread_mutex_unlock(&fake->lock);
  return NULL;
}

static void fake_submit(dw_device *base, dw_run *run) {
  dw_fake *fake = fake_of(base)->fake;
  run->status = note(fake, (dw_fake_record){.call = DW_FAKE_SUBMIT, .pointer = run});
  run->next = NULL;
  pthread_mutex_lock(&fake->lock);
  *fake->queue_end = run;
  fake->queue_end = &run->next;
  fake->queued++;
  fake->running++;
  pthread_cond_broadcast(&fake->changed);
  pthread_mutex_unlock(&fake->lock);
}

// ---- The device -----------------------------------------------------------------------------

static dw_status start(fake_device *device, dw_error *error) {
  dw_fake *fake = device->fake;
  if (fake->options.compute) {
    const dw_device_options options = {.threads = fake->options.threads ? fake->options.threads : 2};
    dw_status status = dw_device_cpu.open(&options, &device->inner, error);
    if (status != DW_OK) return status;
  }
  fake->stopping = false;
  if (pthread_create(&device->thread, NULL, work, device) == 0) return DW_OK;
  if (device->inner) dw_device_cpu.close(device->inner);
  return dw_fail(error, DW_NOMEM, "fake device: a thread");
}

static dw_status fake_open(const dw_device_options *options, dw_device **answer, dw_error *error) {
  bool owns_fake = !options || !options->user;
  dw_fake *fake = owns_fake ? dw_fake_new(NULL) : options->user;
  dw_status status = note(fake, (dw_fake_record){.call = DW_FAKE_OPEN});
  fake_device *device = status == DW_OK ? calloc(1, sizeof *device) : NULL;
  if (status != DW_OK) failed(error, status, "open");
  else if (!device) status = dw_fail(error, DW_NOMEM, "fake device");
  if (device) {
    uint64_t most = fake->options.max_binding_bytes;
    device->device = (dw_device){.class_ = &dw_fake_device_class, .name = "fake", .unified = !fake->options.discrete,
                                 .max_binding_bytes = most ? most : DW_MAX_TENSOR_BYTES};
    device->fake = fake;
    device->owns_fake = owns_fake;
    status = start(device, error);
  }
  if (status == DW_OK) {
    *answer = &device->device;
    return DW_OK;
  }
  free(device);
  if (owns_fake) dw_fake_free(fake);
  return status;
}

static void fake_close(dw_device *base) {
  fake_device *device = fake_of(base);
  dw_fake *fake = device->fake;
  note(fake, (dw_fake_record){.call = DW_FAKE_CLOSE});
  pthread_mutex_lock(&fake->lock);
  fake->stopping = true;
  pthread_cond_broadcast(&fake->changed);
  pthread_mutex_unlock(&fake->lock);
  pthread_join(device->thread, NULL);
  if (device->inner) dw_device_cpu.close(device->inner);
  if (device->owns_fake) dw_fake_free(fake);
  free(device);
}

const dw_device_class dw_fake_device_class = {
    .name = "fake",
    .kind = DW_DEVICE_FAKE,
    .open = fake_open,
    .close = fake_close,
    .import = fake_import,
    .allocate = fake_allocate,
    .release = fake_release,
    .upload = fake_upload,
    .download = fake_download,
    .compile = fake_compile,
    .discard = fake_discard,
    .submit = fake_submit,
};

// ---- For the test -----------------------------------------------------------------------------

dw_fake *dw_fake_new(const dw_fake_options *options) {
  dw_fake *fake = calloc(1, sizeof *fake);
  if (!fake) abort();
  if (options) fake->options = *options;
  fake->queue_end = &fake->queue;
  pthread_mutex_init(&fake->lock, NULL);
  pthread_cond_init(&fake->changed, NULL);
  return fake;
}

void dw_fake_free(dw_fake *fake) {
  dw_fake_let_go(fake);
  pthread_mutex_destroy(&fake->lock);
  pthread_cond_destroy(&fake->changed);
  free(fake->records);
  free(fake);
}

static uint64_t locked(dw_fake *fake, const uint64_t *value) {
  pthread_mutex_lock(&fake->lock);
  uint64_t answer = *value;
  pthread_mutex_unlock(&fake->lock);
  return answer;
}

uint64_t dw_fake_count(dw_fake *fake, dw_fake_call call) { return locked(fake, &fake->counts[call]); }
uint64_t dw_fake_record_count(dw_fake *fake) { return locked(fake, &fake->record_count); }
uint64_t dw_fake_running(dw_fake *fake) { return locked(fake, &fake->running); }
uint64_t dw_fake_live(dw_fake *fake) { return locked(fake, &fake->live); }

dw_fake_record dw_fake_record_at(dw_fake *fake, uint64_t index) {
  pthread_mutex_lock(&fake->lock);
  dw_fake_record record = {.call = DW_FAKE_CALLS};
  if (index < fake->record_count) record = fake->records[index];
  pthread_mutex_unlock(&fake->lock);
  return record;
}

dw_fake_record dw_fake_last(dw_fake *fake, dw_fake_call call) {
  pthread_mutex_lock(&fake->lock);
  dw_fake_record record = {.call = call};
  for (uint64_t i = fake->record_count; i-- > 0;) {
    if (fake->records[i].call != call) continue;
    record = fake->records[i];
    break;
  }
  pthread_mutex_unlock(&fake->lock);
  return record;
}

void dw_fake_fail(dw_fake *fake, dw_fake_call call, uint64_t nth, dw_status status) {
  pthread_mutex_lock(&fake->lock);
  fake->faults[call] = (fault){.at = nth ? fake->counts[call] + nth : 0, .status = status};
  pthread_mutex_unlock(&fake->lock);
}

void dw_fake_lose(dw_fake *fake) {
  pthread_mutex_lock(&fake->lock);
  fake->lost = true;
  pthread_cond_broadcast(&fake->changed);
  pthread_mutex_unlock(&fake->lock);
}

// Now, and `timeout_ms` later, as pthread_cond_timedwait wants it.
static struct timespec deadline(uint32_t timeout_ms) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_sec += timeout_ms / 1000;
  at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
  if (at.tv_nsec >= 1000000000) {
    at.tv_nsec -= 1000000000;
    at.tv_sec++;
  }
  return at;
}

bool dw_fake_wait_held(dw_fake *fake, uint64_t count, uint32_t timeout_ms) {
  struct timespec until = deadline(timeout_ms);
  pthread_mutex_lock(&fake->lock);
  while (fake->queued < count && pthread_cond_timedwait(&fake->changed, &fake->lock, &until) == 0) {
  }
  bool reached = fake->queued >= count;
  pthread_mutex_unlock(&fake->lock);
  return reached;
}

bool dw_fake_wait_idle(dw_fake *fake, uint32_t timeout_ms) {
  struct timespec until = deadline(timeout_ms);
  pthread_mutex_lock(&fake->lock);
  while (fake->running && pthread_cond_timedwait(&fake->changed, &fake->lock, &until) == 0) {
  }
  bool idle = fake->running == 0;
  pthread_mutex_unlock(&fake->lock);
  return idle;
}

uint64_t dw_fake_finish(dw_fake *fake, uint64_t count) {
  pthread_mutex_lock(&fake->lock);
  uint64_t waiting = fake->queued - fake->allowed;
  if (count > waiting) count = waiting;
  fake->allowed += count;
  pthread_cond_broadcast(&fake->changed);
  pthread_mutex_unlock(&fake->lock);
  return count;
}

void dw_fake_hold(dw_fake *fake, bool hold_runs) {
  pthread_mutex_lock(&fake->lock);
  fake->options.hold_runs = hold_runs;
  pthread_cond_broadcast(&fake->changed);
  pthread_mutex_unlock(&fake->lock);
}

uint64_t dw_fake_let_go(dw_fake *fake) {
  pthread_mutex_lock(&fake->lock);
  held_owner *owners = fake->owners;
  uint64_t count = fake->owner_count;
  fake->owners = NULL;
  fake->owner_count = 0;
  fake->live -= count;
  pthread_mutex_unlock(&fake->lock);
  for (uint64_t i = 0; i < count; i++) owners[i].release(owners[i].owner);
  free(owners);
  return count;
}
