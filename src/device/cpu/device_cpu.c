// The CPU device: buffers, compiled programs and the queue of runs.
#include "cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

#define MAX_THREADS 1024
#define MAX_BINDING_BYTES (UINT64_C(1) << 40)

typedef struct cpu_device {
  dw_device device;
  const dw_cpu_kernels *kernels;
  dw_pool *pool;
  pthread_mutex_t lock;
  pthread_cond_t wake;         // the queue has a run, or the device closes
  dw_run *first, *last;
  bool closing;
  // Of the leading thread only:
  unsigned char *scratch;
  uint64_t scratch_bytes;
} cpu_device;

typedef struct cpu_buffer {
  dw_buffer buffer;
  void *owner;
  dw_owner_release_fn release;
} cpu_buffer;

typedef struct cpu_compiled {
  dw_compiled compiled;
  uint64_t worker_bytes;       // scratch memory that a thread needs
} cpu_compiled;

// ---- Operators --------------------------------------------------------------------------

static dw_cpu_operator *const operators[] = {
    [DW_OP_MatMul] = dw_cpu_matmul,
    [DW_OP_Add] = dw_cpu_binary,
    [DW_OP_Mul] = dw_cpu_binary,
    [DW_OP_Sub] = dw_cpu_binary,
    [DW_OP_Div] = dw_cpu_binary,
    [DW_OP_RMSNormalization] = dw_cpu_rms_normalization,
    [DW_OP_RotaryEmbedding] = dw_cpu_rotary_embedding,
    [DW_OP_Attention] = dw_cpu_attention,
    [DW_OP_Gather] = dw_cpu_gather,
    [DW_OP_Swish] = dw_cpu_unary,
    [DW_OP_Softmax] = dw_cpu_softmax,
    [DW_OP_ArgMax] = dw_cpu_argmax,
    [DW_OP_TopK] = dw_cpu_topk,
    [DW_OP_Cast] = dw_cpu_cast,
    [DW_OP_Identity] = dw_cpu_identity,
    [DW_OP_Sigmoid] = dw_cpu_unary,
    [DW_OP_Tanh] = dw_cpu_unary,
    [DW_OP_Gelu] = dw_cpu_unary,
    [DW_OP_Axpby] = dw_cpu_unary,
};

static uint64_t worker_bytes(const dw_program *program, const dw_op *op) {
  switch (op->op) {
  case DW_OP_MatMul: return dw_cpu_matmul_scratch();
  case DW_OP_Attention: return dw_cpu_attention_scratch(program, op);
  case DW_OP_TopK: return dw_cpu_topk_scratch(op);
  case DW_OP_RMSNormalization:
  case DW_OP_Softmax: return dw_cpu_rows_scratch(program, op);
  default: return 0;
  }
}

static dw_status check_op(const dw_program *program, uint32_t index, dw_error *error) {
  const dw_op *op = &program->ops[index];
  if (op->op >= sizeof operators / sizeof *operators || !operators[op->op])
    return dw_fail(error, DW_UNSUPPORTED, "op %u: the CPU device has no operator %u (%s)", index, op->op,
                   dw_operator_name(op->op));
  if (op->op == DW_OP_TopK && op->i[0] > DW_CPU_MAX_TOPK)
    return dw_fail(error, DW_UNSUPPORTED, "op %u TopK: k is %d, the CPU device does %d at most", index, op->i[0],
                   DW_CPU_MAX_TOPK);
  if (op->op != DW_OP_RMSNormalization && op->op != DW_OP_Softmax) return DW_OK;
  const dw_program_view *x = &program->views[op->inputs[0]];
  if (x->max_dims[x->rank - 1] > DW_CPU_MAX_ROW)
    return dw_fail(error, DW_UNSUPPORTED, "op %u %s: the CPU device does rows of %llu elements at most", index,
                   dw_operator_name(op->op), (unsigned long long)DW_CPU_MAX_ROW);
  return DW_OK;
}

static dw_status cpu_compile(dw_device *device, const dw_program *program, dw_compiled **answer, dw_error *error) {
  (void)device;
  uint64_t most_bytes = 0;
  for (uint32_t i = 0; i < program->op_count; i++) {
    dw_status status = check_op(program, i, error);
    if (status != DW_OK) return status;
    uint64_t bytes = worker_bytes(program, &program->ops[i]);
    if (bytes > most_bytes) most_bytes = bytes;
  }
  cpu_compiled *compiled = calloc(1, sizeof *compiled);
  if (!compiled) return dw_fail(error, DW_NOMEM, "a compiled program");
  *compiled = (cpu_compiled){.compiled = {.program = program}, .worker_bytes = most_bytes};
  *answer = &compiled->compiled;
  return DW_OK;
}

static void cpu_discard(dw_device *device, dw_compiled *compiled) {
  (void)device;
  free(compiled);
}

// ---- Runs -------------------------------------------------------------------------------

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Scratch memory is not wiped between runs: the validator has proved that a
// program writes all of it that it reads.
static dw_status prepare(cpu_device *device, const cpu_compiled *compiled) {
  uint64_t bytes = compiled->compiled.program->scratch_bytes;
  bytes = (bytes + DW_VIEW_ALIGNMENT - 1) / DW_VIEW_ALIGNMENT * DW_VIEW_ALIGNMENT;
  if (bytes > device->scratch_bytes) {
    free(device->scratch);
    device->scratch_bytes = 0;
    device->scratch = aligned_alloc(DW_VIEW_ALIGNMENT, bytes);
    if (!device->scratch) return DW_NOMEM;
    device->scratch_bytes = bytes;
  }
  return dw_pool_scratch(device->pool, compiled->worker_bytes);
}

static bool is_cancelled(const dw_run *run) { return run->cancel && atomic_load(run->cancel); }

static void execute(cpu_device *device, dw_run *run) {
  const cpu_compiled *compiled = (const cpu_compiled *)run->compiled;
  const dw_program *program = compiled->compiled.program;
  if (prepare(device, compiled) != DW_OK) {
    run->status = dw_fail(&run->error, DW_DEVICE, "no memory for %llu bytes of scratch",
                          (unsigned long long)program->scratch_bytes);
    return;
  }
  dw_cpu_call call = {.program = program, .run = run, .kernels = device->kernels, .pool = device->pool,
                      .scratch = device->scratch};
  dw_pool_cancel_by(device->pool, run->cancel);
  for (uint32_t i = 0; i < program->op_count && !is_cancelled(run); i++) {
    call.op = &program->ops[i];
    operators[call.op->op](&call);
  }
  run->status = is_cancelled(run) ? dw_fail(&run->error, DW_CANCELLED, "the run was cancelled") : DW_OK;
}

static dw_run *next_run(cpu_device *device) {
  pthread_mutex_lock(&device->lock);
  while (!device->first && !device->closing) pthread_cond_wait(&device->wake, &device->lock);
  dw_run *run = device->first;
  if (run) device->first = run->next;
  pthread_mutex_unlock(&device->lock);
  return run;
}

static void lead(void *user) {
  cpu_device *device = user;
  for (dw_run *run; (run = next_run(device));) {
    uint64_t begin_ns = now_ns();
    execute(device, run);
    run->elapsed_ns = now_ns() - begin_ns;
    run->done(run);
  }
}

static void cpu_submit(dw_device *base, dw_run *run) {
  cpu_device *device = (cpu_device *)base;
  run->next = NULL;
  pthread_mutex_lock(&device->lock);
  if (device->first) device->last->next = run;
  else device->first = run;
  device->last = run;
  pthread_cond_signal(&device->wake);
  pthread_mutex_unlock(&device->lock);
}

// ---- Buffers ------------------------------------------------------------------------------

static dw_status new_buffer(dw_device *device, void *host, uint64_t size_bytes, dw_buffer **answer, dw_error *error) {
  cpu_buffer *buffer = calloc(1, sizeof *buffer);
  if (!buffer) return dw_fail(error, DW_NOMEM, "a buffer");
  buffer->buffer = (dw_buffer){.device = device, .host = host, .device_pointer = host, .size_bytes = size_bytes};
  *answer = &buffer->buffer;
  return DW_OK;
}

static dw_status cpu_import(dw_device *device, const dw_import_desc *desc, dw_buffer **answer, dw_error *error) {
  if (!desc->host && desc->size_bytes) return dw_fail(error, DW_INVALID, "an import of no memory");
  dw_status status = new_buffer(device, desc->host, desc->size_bytes, answer, error);
  if (status != DW_OK) return status;
  cpu_buffer *buffer = (cpu_buffer *)*answer;
  buffer->buffer.imported = true;
  buffer->owner = desc->owner;
  buffer->release = desc->release;
  return DW_OK;
}

static dw_status cpu_allocate(dw_device *device, uint64_t size_bytes, dw_buffer **answer, dw_error *error) {
  void *host = NULL;
  if (size_bytes > MAX_BINDING_BYTES) return dw_fail(error, DW_NOMEM, "%llu bytes", (unsigned long long)size_bytes);
  if (posix_memalign(&host, 4096, size_bytes ? size_bytes : 1))
    return dw_fail(error, DW_NOMEM, "%llu bytes", (unsigned long long)size_bytes);
  memset(host, 0, size_bytes);
  dw_status status = new_buffer(device, host, size_bytes, answer, error);
  if (status != DW_OK) free(host);
  return status;
}

static void cpu_release(dw_buffer *base) {
  cpu_buffer *buffer = (cpu_buffer *)base;
  if (!buffer->buffer.imported) free(buffer->buffer.host);
  else if (buffer->release) buffer->release(buffer->owner);
  free(buffer);
}

static dw_status cpu_upload(dw_buffer *buffer, uint64_t offset, const void *bytes, uint64_t size_bytes,
                            dw_error *error) {
  (void)error;
  if (size_bytes) memcpy(buffer->host + offset, bytes, size_bytes);
  return DW_OK;
}

static dw_status cpu_download(dw_buffer *buffer, uint64_t offset, void *bytes, uint64_t size_bytes, dw_error *error) {
  (void)error;
  if (size_bytes) memcpy(bytes, buffer->host + offset, size_bytes);
  return DW_OK;
}

// ---- Life ---------------------------------------------------------------------------------

static uint32_t core_count(void) {
#if defined(__linux__)
  cpu_set_t set; // what this process may use, in a container too
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return (uint32_t)CPU_COUNT(&set);
#endif
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (uint32_t)count : 1;
}

static void free_device(cpu_device *device) {
  pthread_cond_destroy(&device->wake);
  pthread_mutex_destroy(&device->lock);
  free(device->scratch);
  free(device);
}

static dw_status cpu_open(const dw_device_options *options, dw_device **answer, dw_error *error) {
  uint32_t threads = options->threads ? options->threads : core_count();
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  cpu_device *device = calloc(1, sizeof *device);
  if (!device) return dw_fail(error, DW_NOMEM, "the CPU device");
  device->kernels = dw_cpu_kernels_best();
  device->device = (dw_device){.class_ = &dw_device_cpu, .lanes = threads, .unified = true,
                               .max_binding_bytes = MAX_BINDING_BYTES};
  snprintf(device->device.name, sizeof device->device.name, "cpu (%u thread%s, %s)", threads, threads == 1 ? "" : "s",
           device->kernels->name);
  pthread_mutex_init(&device->lock, NULL);
  pthread_cond_init(&device->wake, NULL);
  dw_status status = dw_pool_open(threads, lead, device, &device->pool, error);
  if (status != DW_OK) {
    free_device(device);
    return status;
  }
  *answer = &device->device;
  return DW_OK;
}

static void cpu_close(dw_device *base) {
  cpu_device *device = (cpu_device *)base;
  pthread_mutex_lock(&device->lock);
  device->closing = true;
  pthread_cond_signal(&device->wake);
  pthread_mutex_unlock(&device->lock);
  dw_pool_close(device->pool);
  free_device(device);
}

const dw_device_class dw_device_cpu = {
    .name = "cpu",
    .kind = DW_DEVICE_CPU,
    .byte_imports = true,
    .open = cpu_open,
    .close = cpu_close,
    .import = cpu_import,
    .allocate = cpu_allocate,
    .release = cpu_release,
    .upload = cpu_upload,
    .download = cpu_download,
    .compile = cpu_compile,
    .discard = cpu_discard,
    .submit = cpu_submit,
};
