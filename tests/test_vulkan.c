// The Vulkan device, on whatever driver there is; CI has Mesa's lavapipe.  A
// machine without one fails here and is told what installs it.  Every device of
// these tests runs under the validation layer where that is installed, and a
// single message of it fails the case.
#include "dw_test.h"

#include "device/vulkan/vulkan.h"
#include "region.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

#define OPS &dw_device_vulkan

static _Thread_local dw_error error;

// ---- The device under test -------------------------------------------------------------

static atomic_uint validation_messages;

static void take_validation(void *user, const char *text) {
  (void)user;
  atomic_fetch_add(&validation_messages, 1);
  fprintf(stderr, "    validation: %s\n", text);
}

// The loader unloads a driver with its last instance; sanitizers then no longer
// know whose memory and whose accesses they saw.
static void keep_loaded(const char *library) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle) dlclose(handle);
}

static dw_device *open_with(dw_vulkan_options options) {
  keep_loaded("libvulkan_lvp.so");
  keep_loaded("libVkLayer_khronos_validation.so");
  options.on_validation = take_validation;
  dw_device *device = NULL;
  dw_status status = (OPS)->open(&(dw_device_options){.user = &options}, &device, &error);
  if (status == DW_UNSUPPORTED)
    fprintf(stderr, "    no Vulkan driver: %s\n    install one: apt-get install mesa-vulkan-drivers libvulkan1\n",
            error.detail);
  CHECK_OK(status, &error);
  return device;
}

static dw_device *open_default(void) { return open_with((dw_vulkan_options){0}); }

static void close_checked(dw_device *device) {
  (OPS)->close(device);
  CHECK_EQ(atomic_load(&validation_messages), 0);
}

// ---- Programs ---------------------------------------------------------------------------

#define MAX_OF 32

typedef struct builder {
  dw_program_tensor tensors[MAX_OF];
  dw_op ops[MAX_OF];
  dw_param params[4];
  dw_slot slots[MAX_OF];
  uint32_t tensor_count, op_count, param_count, slot_count;
} builder;

static dw_affine fixed(int64_t value) { return (dw_affine){.constant = value}; }

static uint32_t add_tensor(builder *of, dw_program_tensor tensor) {
  CHECK(of->tensor_count < MAX_OF);
  of->tensors[of->tensor_count] = tensor;
  return of->tensor_count++;
}

// A handle of rank 1 with `elements`, each one a region of its own.
static uint32_t add_slot(builder *of, uint32_t dtype, uint64_t elements) {
  CHECK(of->slot_count < MAX_OF);
  uint32_t index = of->slot_count++;
  of->slots[index] = (dw_slot){.handle = index + 1,
                               .place = DW_PLACE_LINEAR,
                               .dtype = dtype,
                               .rank = 1,
                               .dims = {elements},
                               .alias = index + 100};
  return index + 1;
}

// rows x columns of a handle at an offset with strides.
static uint32_t add_view(builder *of, dw_handle handle, uint64_t rows, uint64_t columns, uint64_t row, uint64_t column,
                         uint64_t offset) {
  return add_tensor(of, (dw_program_tensor){.source = DW_SOURCE_HANDLE,
                                            .base = handle,
                                            .dtype = of->slots[handle - 1].dtype,
                                            .rank = 2,
                                            .dims = {fixed((int64_t)rows), fixed((int64_t)columns)},
                                            .strides = {row, column},
                                            .offset = fixed((int64_t)offset)});
}

// A handle of its own for a dense matrix.
static uint32_t add_matrix(builder *of, uint32_t dtype, uint64_t rows, uint64_t columns) {
  return add_view(of, add_slot(of, dtype, rows * columns), rows, columns, columns, 1, 0);
}

static uint32_t add_temp(builder *of, uint64_t rows, uint64_t columns) {
  return add_tensor(of, (dw_program_tensor){.source = DW_SOURCE_TEMP,
                                            .dtype = DW_F32,
                                            .rank = 2,
                                            .dims = {fixed((int64_t)rows), fixed((int64_t)columns)}});
}

static dw_op *add_op(builder *of, uint32_t op, uint32_t first, uint32_t second, uint32_t output) {
  CHECK(of->op_count < MAX_OF);
  dw_op *next = &of->ops[of->op_count++];
  *next = (dw_op){.op = op, .outputs = {output, DW_NO_TENSOR}};
  for (int i = 0; i < DW_OP_INPUTS; i++) next->inputs[i] = DW_NO_TENSOR;
  next->inputs[0] = first;
  next->inputs[1] = second;
  return next;
}

static void add_matmul(builder *of, uint32_t a, uint32_t b, uint32_t y) { add_op(of, DW_OP_MatMul, a, b, y); }

static void add_axpby(builder *of, uint32_t x, uint32_t y, float scale, float shift) {
  dw_op *op = add_op(of, DW_OP_Axpby, x, DW_NO_TENSOR, y);
  op->f[0] = scale;
  op->f[1] = shift;
}

static dw_status describe(void *user, dw_handle handle, dw_slot *slot, dw_error *answer) {
  builder *of = user;
  if (!handle || handle > of->slot_count) return dw_fail(answer, DW_HANDLE, "handle %u", handle);
  *slot = of->slots[handle - 1];
  return DW_OK;
}

static dw_program *make_program(builder *of) {
  const dw_program_source source = {of->tensors, of->tensor_count, of->ops, of->op_count, of->params, of->param_count};
  dw_program *program = NULL;
  CHECK_OK(dw_program_new(&source, describe, of, &program, &error), &error);
  return program;
}

// ---- Runs -------------------------------------------------------------------------------

typedef struct waiter {
  dw_run run;
  sem_t ended;
} waiter;

static void signal_waiter(dw_run *run) { sem_post(&((waiter *)run->user)->ended); }

static void submit(dw_device *device, waiter *of) {
  sem_init(&of->ended, 0, 0);
  of->run.done = signal_waiter;
  of->run.user = of;
  device->class_->submit(device, &of->run);
}

static dw_status wait_for(waiter *of) {
  while (sem_wait(&of->ended) != 0) CHECK(errno == EINTR);
  sem_destroy(&of->ended);
  return of->run.status;
}

static void run_compiled(dw_device *device, dw_compiled *compiled, const dw_binding *bindings, const uint32_t *params) {
  waiter of = {.run = {.compiled = compiled, .bindings = bindings}};
  if (params) memcpy(of.run.params, params, compiled->program->param_count * sizeof *params);
  submit(device, &of);
  CHECK_OK(wait_for(&of), &of.run.error);
}

// Handles of the program in the order of its slots.
static void order_bindings(const dw_program *program, dw_buffer *const *buffers, dw_binding *bindings) {
  for (uint32_t i = 0; i < program->slot_count; i++)
    bindings[i] = (dw_binding){.buffer = buffers[program->slots[i].handle - 1]};
}

static void run_program(dw_device *device, builder *of, dw_buffer *const *buffers, const uint32_t *params) {
  dw_program *program = make_program(of);
  dw_compiled *compiled = NULL;
  dw_binding bindings[MAX_OF];
  CHECK_OK(device->class_->compile(device, program, &compiled, &error), &error);
  order_bindings(program, buffers, bindings);
  run_compiled(device, compiled, bindings, params);
  device->class_->discard(device, compiled);
  dw_program_free(program);
}

// ---- Memory -----------------------------------------------------------------------------

static dw_region *new_region(uint64_t size_bytes) {
  dw_region *region = NULL;
  CHECK_OK(dw_region_new(size_bytes, UINT64_C(1) << 32, 1 << 20, &region, &error), &error);
  return region;
}

static void release_region(void *owner) { dw_region_release(owner); }

static dw_buffer *import_region(dw_device *device, dw_region *region, uint64_t begin, uint64_t size_bytes) {
  dw_buffer *buffer = NULL;
  dw_region_retain(region);
  const dw_import_desc desc = {.host = (unsigned char *)dw_region_base(region) + begin,
                               .size_bytes = size_bytes,
                               .owner = region,
                               .release = release_region};
  CHECK_OK(device->class_->import(device, &desc, &buffer, &error), &error);
  return buffer;
}

// Host memory of a tensor, imported; all of it is written with `junk` first.
typedef struct tensor {
  dw_region *region;
  dw_buffer *buffer;
  float *values;
} tensor;

static tensor new_tensor(dw_device *device, uint64_t size_bytes) {
  tensor of = {.region = new_region(size_bytes)};
  of.values = dw_region_base(of.region);
  memset(of.values, 0x5A, dw_region_size(of.region));
  of.buffer = import_region(device, of.region, 0, dw_region_size(of.region));
  return of;
}

static void free_tensor(tensor *of) {
  of->buffer->device->class_->release(of->buffer);
  dw_region_release(of->region);
}

// ---- Numbers ------------------------------------------------------------------------------

static uint32_t random_word(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(*state >> 33);
}

static float random_float(uint64_t *state) { return (float)random_word(state) / (float)(1u << 30) - 1.0f; }

static void fill(float *values, uint64_t count, uint64_t seed) {
  for (uint64_t i = 0; i < count; i++) values[i] = random_float(&seed);
}

// a * x + b, rounded once or twice: a driver may fuse or not, the kernel's fma() notwithstanding.
static bool is_axpby(float is, float a, float x, float b) {
  volatile float product = a * x;
  return is == fmaf(a, x, b) || is == product + b;
}

static bool close_to(double is, double expected, double magnitude) {
  return fabs(is - expected) <= 1e-6 * magnitude + 1e-6;
}

// ---- Import -------------------------------------------------------------------------------

static void test_open(void) {
  dw_device *device = open_default();
  CHECK(strncmp(device->name, "vulkan (", 8) == 0);
  CHECK_EQ(device->lanes, 0);
  CHECK(device->max_binding_bytes >= UINT64_C(1) << 27);
  printf("    %s%s%s\n", device->name, dw_vulkan_is_cpu(device) ? ", a CPU" : "",
         dw_vulkan_is_validated(device) ? ", under the validation layer" : ", without validation layer");
  bool is_cpu = dw_vulkan_is_cpu(device);
  close_checked(device);
  CHECK_OK(dw_device_open("vulkan", &(dw_device_options){0}, &device, &error), &error);
  CHECK(device->class_ == OPS);
  close_checked(device);
  CHECK_OK(dw_device_open("auto", &(dw_device_options){.threads = 1}, &device, &error), &error);
  CHECK(!is_cpu || device->class_ != OPS); // a CPU in disguise has to be asked for
  device->class_->close(device);
}

static void test_identity(void) {
  dw_device *device = open_default();
  const uint64_t count = 4096;
  tensor memory = new_tensor(device, 65536);
  CHECK(memory.buffer->host == (unsigned char *)memory.values);
  CHECK(memory.buffer->device_pointer == memory.values);
  CHECK(memory.buffer->imported);
  CHECK_EQ(memory.buffer->size_bytes, 65536);
  fill(memory.values, count, 1);
  float *before = malloc(count * sizeof *before);
  memcpy(before, memory.values, count * sizeof *before);

  builder of = {0};
  uint32_t x = add_matrix(&of, DW_F32, 64, 64);
  add_axpby(&of, x, x, 3, 1); // in place: reads what the CPU wrote, and overwrites it
  dw_buffer *buffers[] = {memory.buffer};
  run_program(device, &of, buffers, NULL);
  for (uint64_t i = 0; i < count; i++) CHECK(is_axpby(memory.values[i], 3, before[i], 1));
  for (uint64_t i = count * sizeof(float); i < 65536; i++) CHECK_EQ(((unsigned char *)memory.values)[i], 0x5A);
  free(before);
  free_tensor(&memory);
  close_checked(device);
}

static void test_growth(void) {
  dw_device *device = open_default();
  dw_region *region = new_region(65536);
  unsigned char *base = dw_region_base(region);
  dw_buffer *first = import_region(device, region, 0, 65536);
  CHECK_OK(dw_region_grow(region, 3 * 65536, &error), &error);
  CHECK(dw_region_base(region) == base);
  dw_buffer *second = import_region(device, region, 65536, 2 * 65536);
  CHECK(second->device_pointer == base + 65536);

  float *x = (float *)base, *y = (float *)(base + 65536);
  fill(x, 16384, 2);
  builder of = {0};
  uint32_t old_part = add_matrix(&of, DW_F32, 1, 16384), new_part = add_matrix(&of, DW_F32, 1, 16384);
  add_axpby(&of, old_part, new_part, 2, -1);
  run_program(device, &of, (dw_buffer *[]){first, second}, NULL);
  for (int i = 0; i < 16384; i++) CHECK(is_axpby(y[i], 2, x[i], -1));

  dw_buffer *whole = import_region(device, region, 0, 3 * 65536); // a tensor across both extents
  CHECK(whole->device_pointer == base);
  builder across = {0};
  uint32_t handle = add_slot(&across, DW_F32, 3 * 16384);
  uint32_t middle = add_view(&across, handle, 1, 16384, 16384, 1, 8192);
  add_axpby(&across, middle, add_view(&across, handle, 1, 16384, 16384, 1, 32768), 1, 0);
  run_program(device, &across, &whole, NULL);
  CHECK_EQ(memcmp(base + 32768, base + 131072, 65536), 0);
  (OPS)->release(first);
  (OPS)->release(second);
  CHECK_EQ(dw_region_owners(region), 2);
  (OPS)->release(whole);
  dw_region_release(region);
  CHECK_EQ(dw_region_unmapped_count(), 1);
  close_checked(device);
}

static atomic_uint releases;

static void count_release(void *owner) {
  CHECK(owner == &releases);
  atomic_fetch_add(&releases, 1);
}

static void test_refused_imports(void) {
  dw_device *device = open_default();
  dw_region *region = new_region(65536);
  unsigned char *base = dw_region_base(region);
  dw_buffer *buffer = NULL;
  dw_import_desc desc = {.host = base + 256, .size_bytes = 4096, .owner = &releases, .release = count_release};
  CHECK_EQ((OPS)->import(device, &desc, &buffer, &error), DW_INVALID);
  CHECK(!buffer && strstr(error.detail, "multiples of"));
  desc.host = base;
  desc.size_bytes = 4097;
  CHECK_EQ((OPS)->import(device, &desc, &buffer, &error), DW_INVALID);
  desc.size_bytes = 0;
  CHECK_EQ((OPS)->import(device, &desc, &buffer, &error), DW_INVALID);
  desc.size_bytes = 65536 + 4096; // runs into PROT_NONE
  CHECK_EQ((OPS)->import(device, &desc, &buffer, &error), DW_INVALID);
  CHECK(strstr(error.detail, "from byte 65536 on they cannot be read and written"));
  desc.host = base + 65536;
  desc.size_bytes = 4096;
  CHECK_EQ((OPS)->import(device, &desc, &buffer, &error), DW_INVALID);

  // Read-only pages are good for what is only read.
  void *pages = mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED);
  desc.host = pages;
  desc.size_bytes = 65536;
  CHECK_EQ((OPS)->import(device, &desc, &buffer, &error), DW_INVALID);
  CHECK_EQ(atomic_load(&releases), 0); // who is refused keeps the owner
  desc.readonly = true;
  dw_status status = (OPS)->import(device, &desc, &buffer, &error);
  if (dw_vulkan_is_cpu(device)) CHECK_OK(status, &error);
  if (status == DW_OK) {
    CHECK(buffer->device_pointer == pages);
    (OPS)->release(buffer);
    CHECK_EQ(atomic_load(&releases), 1);
  } else {
    CHECK_EQ(status, DW_UNSUPPORTED);
    CHECK_EQ(atomic_load(&releases), 0);
  }
  munmap(pages, 65536);
  dw_region_release(region);
  close_checked(device);
}

static void test_owner(void) {
  dw_device *device = open_default();
  dw_region *region = new_region(65536);
  dw_import_desc desc = {
      .host = dw_region_base(region), .size_bytes = 65536, .owner = &releases, .release = count_release};
  for (unsigned i = 0; i < 3; i++) {
    dw_buffer *buffer = NULL;
    CHECK_OK((OPS)->import(device, &desc, &buffer, &error), &error);
    CHECK_EQ(atomic_load(&releases), i);
    (OPS)->release(buffer);
    CHECK_EQ(atomic_load(&releases), i + 1);
  }
  close_checked(device);
  CHECK_EQ(atomic_load(&releases), 3);
  dw_region_release(region);
}

// A binding lies wherever it lies, also where two memory objects overlap.
static void test_parts(void) {
  dw_device *device = open_with((dw_vulkan_options){.max_part_bytes = 64 << 10});
  const uint64_t count = 1 << 18;
  tensor memory = new_tensor(device, 2 * count * sizeof(float));
  CHECK(memory.buffer->device_pointer == memory.values);
  fill(memory.values, count, 3);
  builder of = {0};
  uint32_t handle = add_slot(&of, DW_F32, 2 * count);
  uint32_t low = add_view(&of, handle, 1, count - 3, count, 1, 0);
  add_axpby(&of, low, add_view(&of, handle, 1, count - 3, count, 1, count + 3), -1, 2);
  run_program(device, &of, &memory.buffer, NULL);
  for (uint64_t i = 0; i < count - 3; i++) CHECK(memory.values[count + 3 + i] == 2 - memory.values[i]);
  unsigned char *junk = (unsigned char *)(memory.values + count);
  for (int i = 0; i < 12; i++) CHECK_EQ(junk[i], 0x5A);
  free_tensor(&memory);
  close_checked(device);
}

// ---- MatMul -------------------------------------------------------------------------------

typedef struct view2 {
  const float *values;
  uint64_t row, column;
} view2;

static double at2(view2 of, uint64_t r, uint64_t c) { return (double)of.values[r * of.row + c * of.column]; }

// Against double precision; the tolerance follows the sum of the magnitudes.
static void check_product(uint64_t m, uint64_t n, uint64_t k, view2 a, view2 b, view2 y) {
  for (uint64_t r = 0; r < m; r++)
    for (uint64_t c = 0; c < n; c++) {
      double sum = 0, magnitude = 0;
      for (uint64_t i = 0; i < k; i++) {
        double product = at2(a, r, i) * at2(b, i, c);
        sum += product;
        magnitude += fabs(product);
      }
      if (!close_to(at2(y, r, c), sum, magnitude)) {
        fprintf(stderr, "    %dx%dx%d at %d, %d: %.9g, expected %.9g\n", (int)m, (int)n, (int)k, (int)r, (int)c,
                at2(y, r, c), sum);
        exit(1);
      }
    }
}

static void try_matmul(dw_device *device, uint64_t m, uint64_t n, uint64_t k) {
  tensor a = new_tensor(device, m * k * 4), b = new_tensor(device, k * n * 4), y = new_tensor(device, m * n * 4 + 4);
  fill(a.values, m * k, m + 1);
  fill(b.values, k * n, n + 2);
  builder of = {0};
  uint32_t left = add_matrix(&of, DW_F32, m, k), right = add_matrix(&of, DW_F32, k, n);
  add_matmul(&of, left, right, add_matrix(&of, DW_F32, m, n));
  run_program(device, &of, (dw_buffer *[]){a.buffer, b.buffer, y.buffer}, NULL);
  check_product(m, n, k, (view2){a.values, k, 1}, (view2){b.values, n, 1}, (view2){y.values, n, 1});
  CHECK_EQ(*(uint32_t *)(y.values + m * n), 0x5A5A5A5A); // nothing behind the end
  free_tensor(&a);
  free_tensor(&b);
  free_tensor(&y);
}

static void test_matmul(void) {
  dw_device *device = open_default();
  for (uint64_t size = 1; size <= 70; size++) try_matmul(device, size, 71 - size, (size * 29) % 67 + 1);
  static const uint16_t primes[][3] = {{1, 1, 1},    {1, 127, 131}, {127, 1, 131}, {127, 131, 1}, {97, 101, 103},
                                       {2, 3, 1009}, {257, 2, 17},  {31, 33, 32},  {32, 32, 16},  {64, 64, 64}};
  for (size_t i = 0; i < sizeof primes / sizeof *primes; i++)
    try_matmul(device, primes[i][0], primes[i][1], primes[i][2]);
  close_checked(device);
}

static void test_matmul_views(void) {
  dw_device *device = open_default();
  const uint64_t m = 37, n = 29, k = 53;
  tensor a = new_tensor(device, 65536), b = new_tensor(device, 65536), y = new_tensor(device, 65536);
  fill(a.values, 16384, 5);
  fill(b.values, 16384, 6);
  const struct {
    uint64_t a_row, a_column, a_offset, b_row, b_column, b_offset, y_row, y_column, y_offset;
  } layouts[] = {
      {k, 1, 7, n, 1, 13, n, 1, 3},           // at odd offsets
      {k, 1, 0, 1, k, 0, n, 1, 0},            // B as a permuted view of [N,K]
      {1, m, 5, 1, k + 2, 1, 1, m, 9},        // everything permuted
      {2 * k, 2, 1, 3 * n, 3, 2, 4 * n, 3, 1} // with gaps
  };
  for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
    memset(y.values, 0x5A, 65536);
    builder of = {0};
    for (int s = 0; s < 3; s++) add_slot(&of, DW_F32, 16384);
    uint32_t left = add_view(&of, 1, m, k, layouts[i].a_row, layouts[i].a_column, layouts[i].a_offset);
    uint32_t right = add_view(&of, 2, k, n, layouts[i].b_row, layouts[i].b_column, layouts[i].b_offset);
    add_matmul(&of, left, right, add_view(&of, 3, m, n, layouts[i].y_row, layouts[i].y_column, layouts[i].y_offset));
    run_program(device, &of, (dw_buffer *[]){a.buffer, b.buffer, y.buffer}, NULL);
    check_product(m, n, k, (view2){a.values + layouts[i].a_offset, layouts[i].a_row, layouts[i].a_column},
                  (view2){b.values + layouts[i].b_offset, layouts[i].b_row, layouts[i].b_column},
                  (view2){y.values + layouts[i].y_offset, layouts[i].y_row, layouts[i].y_column});
    uint64_t written = 0;
    for (int e = 0; e < 16384; e++) written += ((uint32_t *)y.values)[e] != 0x5A5A5A5A;
    CHECK_EQ(written, m * n);
  }
  free_tensor(&a);
  free_tensor(&b);
  free_tensor(&y);
  close_checked(device);
}

// Small integers and their fractions are exact in all three types.
static uint16_t bf16_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)(bits >> 16);
}

static uint16_t f16_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value == 0) return 0;
  return (uint16_t)((bits >> 16 & 0x8000) | ((bits >> 23 & 255) - 112) << 10 | (bits >> 13 & 0x3FF));
}

static void test_matmul_halves(void) {
  dw_device *device = open_default();
  const uint64_t m = 5, n = 37, k = 45;
  tensor a = new_tensor(device, 65536), b = new_tensor(device, 65536), y = new_tensor(device, 65536);
  float *exact = malloc(k * n * sizeof *exact);
  for (int type = 0; type < 2; type++) {
    uint64_t seed = 9;
    for (uint64_t i = 0; i < k * n; i++) {
      exact[i] = (float)(int)(random_word(&seed) % 255) / 16.0f - 8.0f;
      ((uint16_t *)b.values)[i + 3] = type ? bf16_of(exact[i]) : f16_of(exact[i]);
    }
    fill(a.values, m * k, 8);
    builder of = {0};
    uint32_t left = add_matrix(&of, DW_F32, m, k);
    uint32_t right = add_view(&of, add_slot(&of, type ? DW_BF16 : DW_F16, k * n + 3), k, n, 1, k, 3);
    add_matmul(&of, left, right, add_matrix(&of, DW_F32, m, n));
    run_program(device, &of, (dw_buffer *[]){a.buffer, b.buffer, y.buffer}, NULL);
    check_product(m, n, k, (view2){a.values, k, 1}, (view2){exact, 1, k}, (view2){y.values, n, 1});
  }
  free(exact);
  free_tensor(&a);
  free_tensor(&b);
  free_tensor(&y);
  close_checked(device);
}

// Sums longer than what some drivers let one invocation loop over.
static void test_matmul_long(void) {
  dw_device *device = open_default();
  try_matmul(device, 1, 1, 16384);
  try_matmul(device, 1, 1, 16385);
  try_matmul(device, 3, 2, 70001);
  try_matmul(device, 2, 33, 200003);
  try_matmul(device, 520, 400, 400); // more than one submission, too
  close_checked(device);
}

// No rows of the sum: zeros.  No rows of the output: nothing.
static void test_matmul_empty(void) {
  dw_device *device = open_default();
  tensor a = new_tensor(device, 4096), b = new_tensor(device, 4096), y = new_tensor(device, 4096);
  fill(a.values, 1024, 1);
  fill(b.values, 1024, 1);
  builder of = {.params = {{0, 8}, {0, 8}}, .param_count = 2};
  uint32_t left = add_matrix(&of, DW_F32, 8, 8), right = add_matrix(&of, DW_F32, 8, 8);
  uint32_t out = add_matrix(&of, DW_F32, 8, 8);
  of.tensors[left].dims[0] = of.tensors[out].dims[0] = (dw_affine){.scale = 1, .param = 0};
  of.tensors[left].dims[1] = of.tensors[right].dims[0] = (dw_affine){.scale = 1, .param = 1};
  add_matmul(&of, left, right, out);
  dw_buffer *buffers[] = {a.buffer, b.buffer, y.buffer};
  run_program(device, &of, buffers, (uint32_t[]){0, 8});
  for (int i = 0; i < 64; i++) CHECK_EQ(((uint32_t *)y.values)[i], 0x5A5A5A5A);
  run_program(device, &of, buffers, (uint32_t[]){3, 0});
  for (int i = 0; i < 24; i++) CHECK(y.values[i] == 0);
  for (int i = 24; i < 64; i++) CHECK_EQ(((uint32_t *)y.values)[i], 0x5A5A5A5A);
  free_tensor(&a);
  free_tensor(&b);
  free_tensor(&y);
  close_checked(device);
}

// Cutting an operator into dispatches changes no bit.
static void matmul_bits(dw_vulkan_options options, uint64_t m, uint64_t n, uint64_t k, float *answer) {
  dw_device *device = open_with(options);
  tensor a = new_tensor(device, m * k * 4), b = new_tensor(device, k * n * 4), y = new_tensor(device, m * n * 4);
  fill(a.values, m * k, 11);
  fill(b.values, k * n, 12);
  builder of = {0};
  uint32_t left = add_matrix(&of, DW_F32, m, k);
  uint32_t right = add_view(&of, add_slot(&of, DW_F32, n * k), k, n, 1, k, 0);
  add_matmul(&of, left, right, add_matrix(&of, DW_F32, m, n));
  run_program(device, &of, (dw_buffer *[]){a.buffer, b.buffer, y.buffer}, NULL);
  memcpy(answer, y.values, m * n * 4);
  free_tensor(&a);
  free_tensor(&b);
  free_tensor(&y);
  close_checked(device);
}

static void test_cuts(void) {
  const uint64_t m = 67, n = 45, k = 300;
  float *whole = malloc(m * n * 4), *cut = malloc(m * n * 4);
  matmul_bits((dw_vulkan_options){0}, m, n, k, whole);
  matmul_bits((dw_vulkan_options){.max_range_bytes = 4096}, m, n, k, cut);
  CHECK_EQ(memcmp(whole, cut, m * n * 4), 0);
  matmul_bits((dw_vulkan_options){.max_range_bytes = 512, .max_part_bytes = 8192}, m, n, k, cut);
  CHECK_EQ(memcmp(whole, cut, m * n * 4), 0);
  free(whole);
  free(cut);
}

// Rows do not depend on how many of them there are.
static void test_rows(void) {
  const uint64_t n = 45, k = 301;
  float *all = malloc(40 * n * 4), *one = malloc(n * 4);
  matmul_bits((dw_vulkan_options){0}, 40, n, k, all);
  matmul_bits((dw_vulkan_options){0}, 1, n, k, one);
  // fill() is a stream: the first row of A is the same; B follows its own seed.
  CHECK_EQ(memcmp(all, one, n * 4), 0);
  free(all);
  free(one);
}

// ---- Axpby --------------------------------------------------------------------------------

static void try_stream(dw_device *device, uint64_t count, uint64_t x_offset, uint64_t y_offset) {
  tensor x = new_tensor(device, (count + x_offset) * 4), y = new_tensor(device, (count + y_offset + 1) * 4);
  fill(x.values, count + x_offset, count);
  builder of = {0};
  uint32_t from = add_view(&of, add_slot(&of, DW_F32, count + x_offset), 1, count, count, 1, x_offset);
  add_axpby(&of, from, add_view(&of, add_slot(&of, DW_F32, count + y_offset), 1, count, count, 1, y_offset), 1.5f, 0.25f);
  run_program(device, &of, (dw_buffer *[]){x.buffer, y.buffer}, NULL);
  for (uint64_t i = 0; i < count; i++) CHECK(is_axpby(y.values[y_offset + i], 1.5f, x.values[x_offset + i], 0.25f));
  CHECK_EQ(*(uint32_t *)(y.values + y_offset + count), 0x5A5A5A5A);
  free_tensor(&x);
  free_tensor(&y);
}

static void test_axpby(void) {
  dw_device *device = open_default();
  static const uint64_t counts[] = {1, 2, 3, 63, 64, 65, 1023, 1024, 1025, 4099, 65537, 1000003};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) try_stream(device, counts[i], i % 5, i % 3);
  try_stream(device, 16 << 20, 0, 0); // 64 MiB
  close_checked(device);
}

// More than one binding covers: 160 MiB on drivers whose limit is 128.
static void test_axpby_large(void) {
  dw_device *device = open_default();
  const uint64_t count = 40 << 20;
  tensor memory = new_tensor(device, count * 4);
  for (uint64_t i = 0; i < count; i++) memory.values[i] = (float)(i % 1000003);
  builder of = {0};
  uint32_t all = add_matrix(&of, DW_F32, 1, count);
  add_axpby(&of, all, all, 2, 1);
  run_program(device, &of, &memory.buffer, NULL);
  for (uint64_t i = 0; i < count; i++) CHECK(memory.values[i] == 2 * (float)(i % 1000003) + 1);
  free_tensor(&memory);
  close_checked(device);
}

static uint64_t place4(const uint64_t *strides, const uint64_t *at) {
  return at[0] * strides[0] + at[1] * strides[1] + at[2] * strides[2] + at[3] * strides[3];
}

static void try_strided(dw_device *device) {
  tensor x = new_tensor(device, 65536), y = new_tensor(device, 65536);
  static const uint64_t dims[4] = {5, 7, 3, 11};
  static const uint64_t strides[][4] = {
      {231, 33, 11, 1}, {1, 5, 35, 105}, {231, 33, 1, 3}, {462, 66, 22, 2}, {33, 1, 7, 165}, {1, 5, 385, 35}};
  for (int i = 0; i < 6; i++) {
    const uint64_t *from = strides[i], *to = strides[(i + 2) % 6];
    fill(x.values, 16384, (uint64_t)i);
    memset(y.values, 0x5A, 65536);
    builder of = {0};
    dw_program_tensor view = {.source = DW_SOURCE_HANDLE, .dtype = DW_F32, .rank = 4, .offset = fixed(3)};
    for (int d = 0; d < 4; d++) view.dims[d] = fixed((int64_t)dims[d]);
    view.base = add_slot(&of, DW_F32, 16384);
    memcpy(view.strides, from, sizeof view.strides);
    uint32_t in = add_tensor(&of, view);
    view.base = add_slot(&of, DW_F32, 16384);
    memcpy(view.strides, to, sizeof view.strides);
    add_axpby(&of, in, add_tensor(&of, view), -2, 0.5f);
    run_program(device, &of, (dw_buffer *[]){x.buffer, y.buffer}, NULL);
    uint64_t written = 0, at[4];
    for (at[0] = 0; at[0] < dims[0]; at[0]++)
      for (at[1] = 0; at[1] < dims[1]; at[1]++)
        for (at[2] = 0; at[2] < dims[2]; at[2]++)
          for (at[3] = 0; at[3] < dims[3]; at[3]++)
            CHECK(is_axpby(y.values[3 + place4(to, at)], -2, x.values[3 + place4(from, at)], 0.5f));
    for (int e = 0; e < 16384; e++) written += ((uint32_t *)y.values)[e] != 0x5A5A5A5A;
    CHECK_EQ(written, 5 * 7 * 3 * 11);
  }
  free_tensor(&x);
  free_tensor(&y);
}

static void test_axpby_strided(void) {
  dw_device *device = open_default();
  try_strided(device);
  close_checked(device);
  device = open_with((dw_vulkan_options){.max_range_bytes = 512, .max_part_bytes = 16384});
  try_strided(device);
  close_checked(device);
}

// ---- Programs -----------------------------------------------------------------------------

static double *product_of(const double *a, const double *b, uint64_t m, uint64_t n, uint64_t k) {
  double *y = calloc(m * n, sizeof *y);
  for (uint64_t r = 0; r < m; r++)
    for (uint64_t i = 0; i < k; i++)
      for (uint64_t c = 0; c < n; c++) y[r * n + c] += a[r * k + i] * b[i * n + c];
  return y;
}

static double *widen(const float *values, uint64_t count) {
  double *wide = malloc(count * sizeof *wide);
  for (uint64_t i = 0; i < count; i++) wide[i] = (double)values[i];
  return wide;
}

// (2 A B + 1) C, then its transposed view times B': temps, barriers, views of temps.
static void try_chain(dw_device *device) {
  const uint64_t m = 19, n = 23, k = 31;
  tensor a = new_tensor(device, 65536), b = new_tensor(device, 65536), c = new_tensor(device, 65536),
         y = new_tensor(device, 65536);
  fill(a.values, m * k, 1);
  fill(b.values, k * n, 2);
  fill(c.values, n * m, 3);
  builder of = {0};
  uint32_t left = add_matrix(&of, DW_F32, m, k), right = add_matrix(&of, DW_F32, k, n), last = add_matrix(&of, DW_F32, n, m);
  uint32_t out = add_matrix(&of, DW_F32, m, m), t0 = add_temp(&of, m, n), t1 = add_temp(&of, m, n), t2 = add_temp(&of, m, m);
  uint32_t turned = add_tensor(&of, (dw_program_tensor){.source = DW_SOURCE_VIEW,
                                                        .base = t2,
                                                        .dtype = DW_F32,
                                                        .rank = 2,
                                                        .dims = {fixed((int64_t)m), fixed((int64_t)m)},
                                                        .strides = {1, m}});
  add_matmul(&of, left, right, t0);
  add_axpby(&of, t0, t1, 2, 1);
  add_matmul(&of, t1, last, t2);
  add_axpby(&of, turned, out, 0.5f, 0);
  run_program(device, &of, (dw_buffer *[]){a.buffer, b.buffer, c.buffer, y.buffer}, NULL);
  double *da = widen(a.values, m * k), *db = widen(b.values, k * n), *dc = widen(c.values, n * m);
  double *ab = product_of(da, db, m, n, k);
  for (uint64_t i = 0; i < m * n; i++) ab[i] = 2 * ab[i] + 1;
  double *abc = product_of(ab, dc, m, m, n);
  for (uint64_t r = 0; r < m; r++)
    for (uint64_t i = 0; i < m; i++) CHECK(close_to((double)y.values[r * m + i], 0.5 * abc[i * m + r], 100));
  free(da);
  free(db);
  free(dc);
  free(ab);
  free(abc);
  free_tensor(&a);
  free_tensor(&b);
  free_tensor(&c);
  free_tensor(&y);
}

static void test_chain(void) {
  dw_device *device = open_default();
  try_chain(device);
  close_checked(device);
}

// One compiled program, many values of its parameters: rows and an offset.
static void test_params(void) {
  dw_device *device = open_default();
  const uint64_t rows = 40, columns = 33, inner = 17;
  tensor a = new_tensor(device, 65536), b = new_tensor(device, 65536), y = new_tensor(device, 65536);
  fill(a.values, rows * inner, 1);
  fill(b.values, inner * columns, 2);
  builder of = {.params = {{0, 20}, {0, 20}}, .param_count = 2};
  uint32_t left = add_matrix(&of, DW_F32, rows, inner), right = add_matrix(&of, DW_F32, inner, columns);
  uint32_t out = add_matrix(&of, DW_F32, 20, columns);
  of.tensors[left].dims[0] = of.tensors[out].dims[0] = (dw_affine){.scale = 1, .param = 0};
  of.tensors[left].offset = (dw_affine){.scale = (int32_t)inner, .param = 1};
  add_matmul(&of, left, right, out);
  dw_program *program = make_program(&of);
  dw_compiled *compiled = NULL;
  CHECK_OK((OPS)->compile(device, program, &compiled, &error), &error);
  dw_binding bindings[3];
  order_bindings(program, (dw_buffer *[]){a.buffer, b.buffer, y.buffer}, bindings);
  for (uint32_t i = 0; i <= 20; i++) {
    uint32_t params[2] = {i, 20 - i};
    memset(y.values, 0x5A, 65536);
    run_compiled(device, compiled, bindings, params);
    check_product(i, columns, inner, (view2){a.values + (20 - i) * inner, inner, 1}, (view2){b.values, columns, 1},
                  (view2){y.values, columns, 1});
    CHECK_EQ(((uint32_t *)y.values)[i * columns], 0x5A5A5A5A);
  }
  (OPS)->discard(device, compiled);
  dw_program_free(program);
  free_tensor(&a);
  free_tensor(&b);
  free_tensor(&y);
  close_checked(device);
}

// Every operator that both devices have, on the same bytes.
static void test_cpu_agrees(void) {
  dw_device *vulkan = open_default(), *cpu = NULL;
  CHECK_OK(dw_device_cpu.open(&(dw_device_options){.threads = 2}, &cpu, &error), &error);
  const uint64_t m = 33, n = 65, k = 129;
  for (int type = 0; type < 3; type++) {
    static const uint32_t dtypes[] = {DW_F32, DW_F16, DW_BF16};
    tensor a = new_tensor(vulkan, m * k * 4), b = new_tensor(vulkan, n * k * 4), y = new_tensor(vulkan, m * n * 4);
    float *first = malloc(m * n * 4);
    fill(a.values, m * k, 1);
    uint64_t seed = 2;
    for (uint64_t i = 0; i < n * k; i++) {
      float value = random_float(&seed);
      if (type == 0) b.values[i] = value;
      else ((uint16_t *)b.values)[i] = type == 1 ? f16_of(fabsf(value) + 0.001f) : bf16_of(value);
    }
    dw_device *devices[] = {vulkan, cpu};
    for (int d = 0; d < 2; d++) {
      builder of = {0};
      uint32_t left = add_matrix(&of, DW_F32, m, k);
      uint32_t right = add_view(&of, add_slot(&of, dtypes[type], n * k), k, n, 1, k, 0);
      uint32_t out = add_matrix(&of, DW_F32, m, n), middle = add_temp(&of, m, n);
      add_matmul(&of, left, right, middle);
      add_axpby(&of, middle, out, 0.5f, 2);
      dw_buffer *buffers[3] = {a.buffer, b.buffer, y.buffer};
      if (d == 1)
        for (int i = 0; i < 3; i++) {
          tensor *from = i == 0 ? &a : i == 1 ? &b : &y;
          buffers[i] = import_region(cpu, from->region, 0, dw_region_size(from->region));
        }
      run_program(devices[d], &of, buffers, NULL);
      for (int i = 0; d == 1 && i < 3; i++) cpu->class_->release(buffers[i]);
      if (d == 0) memcpy(first, y.values, m * n * 4);
    }
    for (uint64_t i = 0; i < m * n; i++) CHECK(close_to((double)first[i], (double)y.values[i], 30));
    free(first);
    free_tensor(&a);
    free_tensor(&b);
    free_tensor(&y);
  }
  cpu->class_->close(cpu);
  close_checked(vulkan);
}

typedef struct client {
  dw_device *device;
  uint64_t seed;
} client;

static void *serve_client(void *argument) {
  client *of = argument;
  tensor x = new_tensor(of->device, 65536), y = new_tensor(of->device, 65536);
  for (uint64_t i = 0; i < 20; i++) {
    const uint64_t count = 1 + of->seed * 37 + i * 211;
    fill(x.values, count, of->seed + i);
    builder program = {0};
    uint32_t in = add_matrix(&program, DW_F32, 1, count), middle = add_temp(&program, 1, count);
    add_axpby(&program, in, middle, (float)of->seed, (float)i);
    add_axpby(&program, middle, add_matrix(&program, DW_F32, 1, count), 1, 0);
    run_program(of->device, &program, (dw_buffer *[]){x.buffer, y.buffer}, NULL);
    for (uint64_t e = 0; e < count; e++)
      CHECK(is_axpby(y.values[e], (float)of->seed, x.values[e], (float)i));
  }
  free_tensor(&x);
  free_tensor(&y);
  return NULL;
}

static void test_threads(void) {
  dw_device *device = open_default();
  pthread_t threads[8];
  client clients[8];
  for (uint64_t i = 0; i < 8; i++) {
    clients[i] = (client){device, i + 1};
    CHECK_EQ(pthread_create(&threads[i], NULL, serve_client, &clients[i]), 0);
  }
  for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  close_checked(device);
}

// Many submitted at once by one thread; they end in order.
static void test_many(void) {
  dw_device *device = open_default();
  tensor x = new_tensor(device, 65536);
  memset(x.values, 0, 65536);
  builder of = {0};
  uint32_t all = add_matrix(&of, DW_F32, 1, 1000);
  add_axpby(&of, all, all, 1, 1);
  dw_program *program = make_program(&of);
  dw_compiled *compiled = NULL;
  CHECK_OK((OPS)->compile(device, program, &compiled, &error), &error);
  dw_binding bindings[1] = {{.buffer = x.buffer}};
  enum { RUNS = 200 };
  waiter *waiters = calloc(RUNS, sizeof *waiters);
  for (int i = 0; i < RUNS; i++) {
    waiters[i].run = (dw_run){.compiled = compiled, .bindings = bindings};
    submit(device, &waiters[i]);
  }
  for (int i = 0; i < RUNS; i++) CHECK_OK(wait_for(&waiters[i]), &waiters[i].run.error);
  for (int i = 0; i < 1000; i++) CHECK(x.values[i] == RUNS);
  free(waiters);
  (OPS)->discard(device, compiled);
  dw_program_free(program);
  free_tensor(&x);
  close_checked(device);
}

static void refuse(dw_device *device, builder *of, const char *words) {
  dw_program *program = make_program(of);
  dw_compiled *compiled = (dw_compiled *)program;
  CHECK_EQ((OPS)->compile(device, program, &compiled, &error), DW_UNSUPPORTED);
  CHECK(!compiled);
  CHECK_STR(error.detail, words);
  dw_program_free(program);
}

static void test_refused_operators(void) {
  dw_device *device = open_default();
  builder add = {0};
  uint32_t a = add_matrix(&add, DW_F32, 4, 4), y = add_matrix(&add, DW_F32, 4, 4);
  add_axpby(&add, a, y, 1, 0);
  add_op(&add, DW_OP_Add, a, a, y);
  refuse(device, &add, "op 1: the Vulkan device has no Add");
  builder half = {0};
  uint32_t x = add_matrix(&half, DW_F16, 4, 4);
  add_axpby(&half, x, add_matrix(&half, DW_F32, 4, 4), 1, 0);
  refuse(device, &half, "op 0 Axpby: the Vulkan device does not take X in F16");
  builder batch = {0};
  dw_program_tensor view = {.source = DW_SOURCE_HANDLE, .dtype = DW_F32, .rank = 3, .dims = {fixed(2), fixed(2), fixed(2)}};
  uint32_t in[3];
  for (int i = 0; i < 3; i++) {
    view.base = add_slot(&batch, DW_F32, 8);
    in[i] = add_tensor(&batch, view);
  }
  add_matmul(&batch, in[0], in[1], in[2]);
  refuse(device, &batch, "op 0 MatMul: the Vulkan device takes rank 2, not 3 x 3");
  close_checked(device);
}

// ---- Memory of the device ---------------------------------------------------------------

static void check_allocations(dw_device *device) {
  static const uint64_t sizes[] = {1, 255, 256, 4096, 1000001, 20 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    dw_buffer *buffer = NULL;
    CHECK_OK((OPS)->allocate(device, sizes[i], &buffer, &error), &error);
    CHECK_EQ(buffer->size_bytes, sizes[i]);
    CHECK(!buffer->imported);
    CHECK((buffer->host != NULL) == device->unified);
    if (buffer->host) CHECK_EQ((uintptr_t)buffer->host % DW_VIEW_ALIGNMENT, 0);
    unsigned char *bytes = malloc(sizes[i]), *back = malloc(sizes[i]);
    memset(back, 1, sizes[i]);
    CHECK_OK((OPS)->download(buffer, 0, back, sizes[i], &error), &error);
    for (uint64_t b = 0; b < sizes[i]; b++) CHECK_EQ(back[b], 0);
    uint64_t seed = i;
    for (uint64_t b = 0; b < sizes[i]; b++) bytes[b] = (unsigned char)random_word(&seed);
    uint64_t at = sizes[i] / 3; // transfers of any bytes, at any place
    CHECK_OK((OPS)->upload(buffer, at, bytes + at, sizes[i] - at, &error), &error);
    CHECK_OK((OPS)->upload(buffer, 0, bytes, at, &error), &error);
    CHECK_OK((OPS)->download(buffer, at / 2, back, sizes[i] - at / 2, &error), &error);
    CHECK_EQ(memcmp(back, bytes + at / 2, sizes[i] - at / 2), 0);
    free(bytes);
    free(back);
    (OPS)->release(buffer);
  }
}

static void test_allocate(void) {
  dw_device *device = open_default();
  check_allocations(device);
  close_checked(device);
}

// As on a card with memory of its own: transfers are explicit, temps and device
// tensors are where the CPU does not reach, and imports still are the host's bytes.
static void test_discrete(void) {
  dw_device *device = open_with((dw_vulkan_options){.discrete = true});
  CHECK(!device->unified);
  check_allocations(device);
  try_chain(device);
  const uint64_t count = 3000001;
  float *values = malloc(count * 4), *back = malloc(count * 4);
  fill(values, count, 4);
  dw_buffer *x = NULL, *y = NULL;
  CHECK_OK((OPS)->allocate(device, count * 4, &x, &error), &error);
  CHECK_OK((OPS)->allocate(device, count * 4, &y, &error), &error);
  CHECK(!x->host && !x->device_pointer);
  CHECK_OK((OPS)->upload(x, 0, values, count * 4, &error), &error);
  builder of = {0};
  uint32_t in = add_matrix(&of, DW_F32, 1, count);
  add_axpby(&of, in, add_matrix(&of, DW_F32, 1, count), 4, 2);
  run_program(device, &of, (dw_buffer *[]){x, y}, NULL);
  CHECK_OK((OPS)->download(y, 0, back, count * 4, &error), &error);
  for (uint64_t i = 0; i < count; i++) CHECK(is_axpby(back[i], 4, values[i], 2));
  (OPS)->release(x);
  (OPS)->release(y);
  free(values);
  free(back);
  close_checked(device);
}

// ---- Ends ---------------------------------------------------------------------------------

static void test_cancel(void) {
  dw_device *device = open_default();
  tensor x = new_tensor(device, 4096);
  builder of = {0};
  uint32_t all = add_matrix(&of, DW_F32, 1, 1024);
  add_axpby(&of, all, all, 2, 0);
  dw_program *program = make_program(&of);
  dw_compiled *compiled = NULL;
  CHECK_OK((OPS)->compile(device, program, &compiled, &error), &error);
  dw_binding bindings[1] = {{.buffer = x.buffer}};
  atomic_bool cancel = true;
  for (int i = 0; i < 2; i++) {
    waiter cancelled = {.run = {.compiled = compiled, .bindings = bindings, .cancel = &cancel}};
    submit(device, &cancelled);
    CHECK_EQ(wait_for(&cancelled), DW_CANCELLED);
    CHECK_EQ(cancelled.run.error.code, DW_CANCELLED);
  }
  for (int i = 0; i < 1024; i++) CHECK_EQ(((uint32_t *)x.values)[i], 0x5A5A5A5A);
  run_compiled(device, compiled, bindings, NULL); // and then it runs as ever
  CHECK(((uint32_t *)x.values)[0] != 0x5A5A5A5A);
  (OPS)->discard(device, compiled);
  dw_program_free(program);
  free_tensor(&x);
  close_checked(device);
}

// Work that is not done in time ends with DEVICE; what it uses is held until it is.
static void test_timeout(void) {
  dw_device *device = open_with((dw_vulkan_options){.timeout_ns = 1000000});
  const uint64_t size = 384;
  dw_region *region = new_region(size * size * 4);
  fill(dw_region_base(region), size * size, 1);
  dw_import_desc desc = {.host = dw_region_base(region),
                         .size_bytes = dw_region_size(region),
                         .owner = &releases,
                         .release = count_release};
  dw_buffer *x = NULL;
  CHECK_OK((OPS)->import(device, &desc, &x, &error), &error);
  tensor y = new_tensor(device, size * size * 4);
  builder of = {0};
  uint32_t left = add_matrix(&of, DW_F32, size, size), out = add_matrix(&of, DW_F32, size, size);
  add_matmul(&of, left, left, out);
  dw_program *program = make_program(&of);
  dw_compiled *compiled = NULL;
  CHECK_OK((OPS)->compile(device, program, &compiled, &error), &error);
  dw_binding bindings[2];
  order_bindings(program, (dw_buffer *[]){x, y.buffer}, bindings);
  waiter late = {.run = {.compiled = compiled, .bindings = bindings}};
  submit(device, &late);
  CHECK_EQ(wait_for(&late), DW_DEVICE);
  CHECK(strstr(late.run.error.detail, "did not finish within 1 ms"));
  (OPS)->release(x);
  for (int waited_ms = 0; atomic_load(&releases) == 0; waited_ms++) {
    CHECK(waited_ms < 60000);
    usleep(1000);
  }
  CHECK_EQ(atomic_load(&releases), 1);
  (OPS)->discard(device, compiled);
  dw_program_free(program);
  free_tensor(&y);
  dw_region_release(region);
  close_checked(device);
}

static const dw_case cases[] = {
    {"open", "a driver is there, and says what it is", test_open},
    {"identity", "an import is the host's memory, by pointer and by effect", test_identity},
    {"growth", "grown memory is imported as a second extent, or whole again", test_growth},
    {"refused_imports", "what cannot be wrapped is refused", test_refused_imports},
    {"owner", "an import's owner is released exactly once", test_owner},
    {"parts", "an import larger than a memory object", test_parts},
    {"matmul", "MatMul of odd sizes against double precision", test_matmul},
    {"matmul_views", "MatMul of offset, permuted and gapped views", test_matmul_views},
    {"matmul_halves", "MatMul with F16 and BF16 weights", test_matmul_halves},
    {"matmul_long", "MatMul over more than a driver's loops", test_matmul_long},
    {"matmul_empty", "MatMul over nothing", test_matmul_empty},
    {"cuts", "cutting an operator changes no bit", test_cuts},
    {"rows", "a row does not depend on its neighbours", test_rows},
    {"axpby", "Axpby from one element to 64 MiB", test_axpby},
    {"axpby_large", "Axpby beyond what a binding covers", test_axpby_large},
    {"axpby_strided", "Axpby of permuted and gapped views of rank 4", test_axpby_strided},
    {"chain", "operators see what those before them wrote", test_chain},
    {"cpu_agrees", "the CPU device computes the same", test_cpu_agrees},
    {"params", "parameters vary from run to run", test_params},
    {"threads", "eight threads import, compile and run", test_threads},
    {"many", "two hundred runs in flight", test_many},
    {"refused_operators", "an operator that is lacking is named", test_refused_operators},
    {"allocate", "device memory is zeroed and moves any bytes", test_allocate},
    {"discrete", "device memory that the CPU does not reach", test_discrete},
    {"cancel", "a cancelled run touches nothing", test_cancel},
    {"timeout", "a run that is not done in time", test_timeout},
};
DW_TEST_MAIN(cases)
