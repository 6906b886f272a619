// Small programs over the host's own arrays, run on a device: for tests of devices.
//
//   cpu_program p = {0};
//   uint32_t x = cpu_dense(&p, DW_F32, 2, (uint64_t[]){3, 5}, values);
//   uint32_t y = cpu_dense(&p, DW_F32, 2, (uint64_t[]){3, 5}, result);
//   cpu_op(&p, DW_OP_Tanh, 1, (uint32_t[]){x}, y);
//   cpu_run(&p, device);
#ifndef CPU_PROGRAM_H
#define CPU_PROGRAM_H

#include "device/device.h"
#include "dw_test.h"
#include "program.h"

#include <pthread.h>

#define CPU_TENSORS 128
#define CPU_OPS 128

typedef struct cpu_program {
  dw_program_tensor tensors[CPU_TENSORS];
  dw_op ops[CPU_OPS];
  dw_slot slots[CPU_TENSORS];    // of handle i + 1
  void *bytes[CPU_TENSORS];
  dw_cache *caches[CPU_TENSORS];
  dw_param params[DW_MAX_PROGRAM_PARAMS];
  uint32_t values[DW_MAX_PROGRAM_PARAMS];
  uint32_t tensor_count, op_count, slot_count, param_count;
  atomic_bool *cancel;
} cpu_program;

static inline uint32_t cpu_slot(cpu_program *p, dw_slot slot, void *bytes, dw_cache *cache) {
  CHECK(p->slot_count < CPU_TENSORS);
  slot.handle = p->slot_count + 1;
  slot.alias = slot.handle;
  p->slots[p->slot_count] = slot;
  p->bytes[p->slot_count] = bytes;
  p->caches[p->slot_count] = cache;
  return ++p->slot_count;
}

static inline uint32_t cpu_tensor(cpu_program *p, uint32_t source, uint32_t base, uint32_t dtype, uint32_t rank,
                                  const uint64_t *dims, const uint64_t *strides, uint64_t offset) {
  CHECK(p->tensor_count < CPU_TENSORS);
  dw_program_tensor *tensor = &p->tensors[p->tensor_count];
  *tensor = (dw_program_tensor){.source = source, .base = base, .dtype = dtype, .rank = rank,
                                .offset = {.constant = (int64_t)offset}};
  for (uint32_t d = 0; d < rank; d++) {
    tensor->dims[d].constant = (int64_t)dims[d];
    if (strides) tensor->strides[d] = strides[d];
  }
  return p->tensor_count++;
}

// A view of `elements` elements at `bytes`; strides NULL: dense.
static inline uint32_t cpu_view(cpu_program *p, uint32_t dtype, uint32_t rank, const uint64_t *dims,
                                const uint64_t *strides, uint64_t offset, uint64_t elements, void *bytes) {
  dw_slot slot = {.place = DW_PLACE_DEVICE, .dtype = dtype, .rank = 1, .dims = {elements}};
  return cpu_tensor(p, DW_SOURCE_HANDLE, cpu_slot(p, slot, bytes, NULL), dtype, rank, dims, strides, offset);
}

static inline uint32_t cpu_dense(cpu_program *p, uint32_t dtype, uint32_t rank, const uint64_t *dims, void *bytes) {
  uint64_t elements = 1;
  for (uint32_t d = 0; d < rank; d++) elements *= dims[d];
  return cpu_view(p, dtype, rank, dims, NULL, 0, elements, bytes);
}

static inline uint32_t cpu_temp(cpu_program *p, uint32_t dtype, uint32_t rank, const uint64_t *dims) {
  return cpu_tensor(p, DW_SOURCE_TEMP, 0, dtype, rank, dims, NULL, 0);
}

static inline uint32_t cpu_cache(cpu_program *p, dw_cache *cache) {
  dw_slot slot = {.place = DW_PLACE_CACHE, .dtype = cache->desc.dtype, .cache = cache->desc};
  return cpu_tensor(p, DW_SOURCE_HANDLE, cpu_slot(p, slot, NULL, cache), DW_DTYPE_NONE, 0, NULL, NULL, 0);
}

static inline dw_op *cpu_op(cpu_program *p, uint32_t op, uint32_t inputs, const uint32_t *input, uint32_t output) {
  CHECK(p->op_count < CPU_OPS);
  dw_op *added = &p->ops[p->op_count++];
  *added = (dw_op){.op = op, .outputs = {output, DW_NO_TENSOR}};
  for (uint32_t i = 0; i < DW_OP_INPUTS; i++) added->inputs[i] = i < inputs ? input[i] : DW_NO_TENSOR;
  return added;
}

static inline dw_status cpu_describe(void *user, dw_handle handle, dw_slot *slot, dw_error *error) {
  cpu_program *p = user;
  if (handle == 0 || handle > p->slot_count) return dw_fail(error, DW_HANDLE, "handle %u", handle);
  *slot = p->slots[handle - 1];
  return DW_OK;
}

typedef struct cpu_wait {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool done;
} cpu_wait;

static inline void cpu_done(dw_run *run) {
  cpu_wait *wait = run->user;
  pthread_mutex_lock(&wait->lock);
  wait->done = true;
  pthread_cond_signal(&wait->wake);
  pthread_mutex_unlock(&wait->lock);
}

static inline void cpu_submit_and_wait(dw_device *device, dw_run *run) {
  cpu_wait wait = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
  run->done = cpu_done;
  run->user = &wait;
  device->class_->submit(device, run);
  pthread_mutex_lock(&wait.lock);
  while (!wait.done) pthread_cond_wait(&wait.wake, &wait.lock);
  pthread_mutex_unlock(&wait.lock);
}

static inline uint64_t cpu_slot_bytes(const dw_slot *slot) {
  return slot->dims[0] * dw_dtype_bytes(slot->dtype);
}

// The rows that each cache of the program gets.
static inline void cpu_reserve(const cpu_program *p, const dw_program *program, bool commit) {
  dw_error error;
  for (uint32_t i = 0; i < program->append_count; i++) {
    dw_cache *cache = p->caches[program->slots[program->appends[i].slot].handle - 1];
    uint64_t rows = (uint64_t)dw_affine_value(program->appends[i].rows, p->values);
    if (commit) dw_cache_commit(cache, rows);
    else CHECK_OK(dw_cache_reserve(cache, rows, &error), &error);
  }
}

// Validates, compiles and runs once; answers the run's status.
static inline dw_status cpu_try(cpu_program *p, dw_device *device) {
  dw_error error;
  dw_program *program;
  dw_compiled *compiled;
  dw_binding bindings[CPU_TENSORS] = {0};
  dw_program_source source = {.tensors = p->tensors, .tensor_count = p->tensor_count, .ops = p->ops,
                              .op_count = p->op_count, .params = p->params, .param_count = p->param_count};
  CHECK_OK(dw_program_new(&source, cpu_describe, p, &program, &error), &error);
  CHECK_OK(device->class_->compile(device, program, &compiled, &error), &error);
  for (uint32_t i = 0; i < program->slot_count; i++) {
    uint32_t own = program->slots[i].handle - 1;
    bindings[i].cache = p->caches[own];
    if (p->caches[own]) continue;
    dw_import_desc desc = {.host = p->bytes[own], .size_bytes = cpu_slot_bytes(&p->slots[own])};
    CHECK_OK(device->class_->import(device, &desc, &bindings[i].buffer, &error), &error);
  }
  dw_run run = {.compiled = compiled, .bindings = bindings, .cancel = p->cancel};
  memcpy(run.params, p->values, sizeof run.params);
  cpu_reserve(p, program, false);
  cpu_submit_and_wait(device, &run);
  if (run.status == DW_OK) cpu_reserve(p, program, true);
  for (uint32_t i = 0; i < program->slot_count; i++)
    if (bindings[i].buffer) device->class_->release(bindings[i].buffer);
  device->class_->discard(device, compiled);
  dw_program_free(program);
  return run.status;
}

static inline void cpu_run(cpu_program *p, dw_device *device) { CHECK_EQ(cpu_try(p, device), DW_OK); }

static inline dw_device *cpu_open(uint32_t threads) {
  dw_error error;
  dw_device *device;
  CHECK_OK(dw_device_cpu.open(&(dw_device_options){.threads = threads}, &device, &error), &error);
  return device;
}

// ---- Values that are the same everywhere ------------------------------------------------
static inline uint32_t cpu_random(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(*state >> 33);
}

// In (-1, 1), a multiple of 2^-15.
static inline float cpu_uniform(uint64_t *state) { return ((float)(cpu_random(state) % 65535) - 32767.0f) / 32768.0f; }

static inline void cpu_fill(uint64_t seed, float *values, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) values[i] = cpu_uniform(&seed);
}

#endif
