// Law 7 on the CPU: the same bits whatever the instruction set, the number of
// threads, and how a prompt was cut; and the same ones on every machine.
#include "cpu_program.h"
#include "device/cpu/kernels.h"
#include "llama_program.h"
#include "sha256.h"

#include <math.h>

static const char *const sets[] = {"portable", "avx2", "avx512", "neon"};

// Runs `work` with every set that this processor has and 1 to 3 threads; each
// must leave the same bytes.
typedef uint64_t work_fn(dw_device *device, unsigned char *result);

#define RESULT_BYTES (1 << 22)

static uint64_t run_with(const char *set, uint32_t threads, work_fn *work, unsigned char *result) {
  memset(result, 0, RESULT_BYTES);
  dw_cpu_kernels_force(dw_cpu_kernels_named(set));
  dw_device *device = cpu_open(threads);
  uint64_t bytes = work(device, result);
  CHECK(bytes <= RESULT_BYTES);
  device->class_->close(device);
  return bytes;
}

static void check_all(work_fn *work) {
  unsigned char *expected = malloc(RESULT_BYTES), *result = malloc(RESULT_BYTES);
  uint64_t bytes = run_with("portable", 1, work, expected);
  for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
    if (!dw_cpu_kernels_named(sets[s])) continue;
    for (uint32_t threads = 1; threads <= 3; threads++) {
      CHECK_EQ(run_with(sets[s], threads, work, result), bytes);
      if (memcmp(expected, result, bytes) == 0) continue;
      uint64_t at = 0;
      while (expected[at] == result[at]) at++;
      fprintf(stderr, "    %s, %u threads: byte %" PRIu64 " of %" PRIu64 " differs\n", sets[s], threads, at, bytes);
      exit(1);
    }
  }
  free(expected);
  free(result);
}

// ---- Inputs -------------------------------------------------------------------------------

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Zeros of both signs, denormals, extremes, infinities and NaNs of several payloads.
static float odd_value(uint64_t *seed) {
  static const uint32_t bits[] = {0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF,
                                  0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x7F800001, 0x3F800000,
                                  0x33000001, 0x38800000, 0x477FEFFF, 0x477FF000, 0x42B17218, 0xC2CFF1B5, 0x7FFFFFFF};
  return from_bits(bits[cpu_random(seed) % (sizeof bits / sizeof *bits)]);
}

static void fill_odd(uint64_t seed, float *values, uint64_t count, uint32_t one_in) {
  for (uint64_t i = 0; i < count; i++)
    values[i] = cpu_random(&seed) % one_in ? cpu_uniform(&seed) * 8 : odd_value(&seed);
}

// A copy of the values in another type.
static void *as_type(uint32_t dtype, const float *values, uint64_t count) {
  void *bytes = malloc(count * 4 + 4);
  dw_cpu_kernels_portable.store(dtype, values, bytes, count);
  return bytes;
}

// ---- MatMul -------------------------------------------------------------------------------

typedef struct product {
  uint64_t m, n, k;
  uint32_t dtype;
  bool rows_of_b; // B as [K, N] rather than a view of [N, K]
  uint32_t one_in;
} product;

static const product products[] = {
    {1, 37, 64, DW_F32, false, 1000000}, {1, 300, 129, DW_BF16, false, 1000000}, {1, 5, 7, DW_F16, false, 1000000},
    {2, 33, 100, DW_BF16, false, 40},    {3, 19, 1, DW_F32, false, 1000000},     {5, 70, 600, DW_F16, false, 1000000},
    {6, 11, 48, DW_F32, false, 60},      {7, 64, 33, DW_F32, true, 1000000},     {1, 50, 80, DW_BF16, true, 1000000},
    {13, 101, 1030, DW_BF16, false, 1000000}, {50, 50, 50, DW_F32, false, 200},  {97, 51, 520, DW_F16, true, 500},
    {17, 3, 16, DW_F32, false, 1000000}, {4, 1, 15, DW_BF16, false, 10},         {1, 9, 0, DW_F32, false, 1000000},
};

static uint64_t multiply(dw_device *device, const product *of, float *y) {
  float *a = malloc((of->m * of->k + 1) * 4), *b = malloc((of->n * of->k + 1) * 4);
  fill_odd(of->m * 31 + of->k, a, of->m * of->k, of->one_in);
  fill_odd(of->n * 17 + of->k, b, of->n * of->k, of->one_in);
  void *weights = as_type(of->dtype, b, of->n * of->k);
  cpu_program *p = calloc(1, sizeof *p);
  uint64_t transposed[] = {1, of->k};
  uint32_t left = cpu_dense(p, DW_F32, 2, (uint64_t[]){of->m, of->k}, a);
  uint32_t right = cpu_view(p, of->dtype, 2, (uint64_t[]){of->k, of->n}, of->rows_of_b ? NULL : transposed, 0,
                            of->n * of->k, weights);
  uint32_t out = cpu_dense(p, DW_F32, 2, (uint64_t[]){of->m, of->n}, y);
  cpu_op(p, DW_OP_MatMul, 2, (uint32_t[]){left, right}, out);
  cpu_run(p, device);
  free(p);
  free(a);
  free(b);
  free(weights);
  return of->m * of->n;
}

static uint64_t work_matmul(dw_device *device, unsigned char *result) {
  float *y = (float *)result;
  for (size_t i = 0; i < sizeof products / sizeof *products; i++) y += multiply(device, &products[i], y);
  return (uint64_t)((unsigned char *)y - result);
}

static void test_matmul(void) { check_all(work_matmul); }

// The canonical order, written down as plainly as can be.
static float canonical_dot(const float *a, const float *b, uint64_t k) {
  float lanes[16] = {0};
  for (uint64_t i = 0; i < (k + 15) / 16 * 16; i++)
    lanes[i % 16] = i < k ? fmaf(a[i], b[i], lanes[i % 16]) : fmaf(0, 0, lanes[i % 16]);
  for (int half = 8; half > 0; half /= 2)
    for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
  return lanes[0] == lanes[0] ? lanes[0] : from_bits(0x7FC00000);
}

static void test_order(void) {
  dw_device *device = cpu_open(2);
  for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
    product of = products[i];
    of.dtype = DW_F32;
    of.rows_of_b = false;
    float *y = malloc(of.m * of.n * 4), *a = malloc((of.m * of.k + 1) * 4), *b = malloc((of.n * of.k + 1) * 4);
    multiply(device, &of, y);
    fill_odd(of.m * 31 + of.k, a, of.m * of.k, of.one_in);
    fill_odd(of.n * 17 + of.k, b, of.n * of.k, of.one_in);
    for (uint64_t m = 0; m < of.m; m++) {
      for (uint64_t n = 0; n < of.n; n++) {
        float expected = canonical_dot(a + m * of.k, b + n * of.k, of.k);
        CHECK(memcmp(&expected, &y[m * of.n + n], 4) == 0);
      }
    }
    free(y);
    free(a);
    free(b);
  }
  device->class_->close(device);
}

// Row m of a product of many rows is the product of that row alone.
static void test_rows(void) {
  enum { M = 70, N = 90, K = 700 };
  static float a[M * K], b[N * K], all[M * N];
  cpu_fill(1, a, M * K);
  cpu_fill(2, b, N * K);
  uint16_t *weights = as_type(DW_BF16, b, N * K);
  dw_device *device = cpu_open(2);
  for (uint64_t rows = M; rows > 0; rows = rows == M ? 17 : rows == 17 ? 6 : rows == 6 ? 1 : 0) {
    for (uint64_t m = 0; m + rows <= M; m += rows) {
      static cpu_program p;
      memset(&p, 0, sizeof p);
      uint32_t left = cpu_dense(&p, DW_F32, 2, (uint64_t[]){rows, K}, a + m * K);
      uint32_t right = cpu_view(&p, DW_BF16, 2, (uint64_t[]){K, N}, (uint64_t[]){1, K}, 0, N * K, weights);
      static float some[M * N];
      uint32_t out = cpu_dense(&p, DW_F32, 2, (uint64_t[]){rows, N}, rows == M ? all : some);
      cpu_op(&p, DW_OP_MatMul, 2, (uint32_t[]){left, right}, out);
      cpu_run(&p, device);
      if (rows != M) CHECK(memcmp(all + m * N, some, rows * N * 4) == 0);
    }
  }
  free(weights);
  device->class_->close(device);
}

// ---- Everything but products --------------------------------------------------------------------

static uint64_t elementwise(dw_device *device, uint32_t dtype, uint64_t width, uint32_t seed, float *y) {
  float *values = malloc(3 * width * 4), *others = malloc(width * 4);
  fill_odd(seed, values, 3 * width, 3);
  fill_odd(seed + 1, others, width, 5);
  void *x = as_type(dtype, values, 3 * width), *scale = as_type(dtype, others, width);
  cpu_program *p = calloc(1, sizeof *p);
  uint64_t wide[] = {3, width}, at = 0;
  uint32_t in = cpu_dense(p, dtype, 2, wide, x), other = cpu_dense(p, dtype, 1, (uint64_t[]){width}, scale);
  static const uint32_t binary[] = {DW_OP_Add, DW_OP_Mul, DW_OP_Sub, DW_OP_Div, DW_OP_RMSNormalization};
  for (size_t i = 0; i < 5; i++, at += 3 * width) {
    dw_op *op = cpu_op(p, binary[i], 2, (uint32_t[]){in, other}, cpu_dense(p, DW_F32, 2, wide, y + at));
    if (binary[i] == DW_OP_RMSNormalization) op->f[0] = 1e-5f;
  }
  static const uint32_t unary[] = {DW_OP_Swish, DW_OP_Sigmoid, DW_OP_Tanh, DW_OP_Gelu,
                                   DW_OP_Gelu,  DW_OP_Softmax, DW_OP_Axpby, DW_OP_Cast};
  for (size_t i = 0; i < 8; i++, at += 3 * width) {
    dw_op *op = cpu_op(p, unary[i], 1, (uint32_t[]){in}, cpu_dense(p, i == 7 ? DW_I32 : DW_F32, 2, wide, y + at));
    if (i == 4) op->i[0] = 1;
    if (unary[i] == DW_OP_Softmax) op->i[0] = -1;
    if (unary[i] == DW_OP_Axpby) op->f[0] = 1.5f, op->f[1] = -0.25f;
  }
  static const uint32_t types[] = {DW_F16, DW_BF16};
  for (size_t i = 0; i < 2; i++, at += 3 * width) // results of lower precision
    cpu_op(p, DW_OP_Tanh, 1, (uint32_t[]){in}, cpu_dense(p, types[i], 2, wide, y + at));
  for (size_t i = 0; i < 2; i++, at += 3 * width)
    cpu_op(p, DW_OP_Mul, 2, (uint32_t[]){in, other}, cpu_dense(p, types[i], 2, wide, y + at));
  cpu_op(p, DW_OP_ArgMax, 1, (uint32_t[]){in}, cpu_dense(p, DW_I32, 1, (uint64_t[]){3}, y + at))->i[0] = -1;
  cpu_run(p, device);
  free(p);
  free(values);
  free(others);
  free(x);
  free(scale);
  return at + 3;
}

static uint64_t work_elementwise(dw_device *device, unsigned char *result) {
  float *y = (float *)result;
  static const uint64_t widths[] = {1, 3, 15, 16, 17, 33, 1027, 9001};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    y += elementwise(device, DW_F32, widths[i], 100 + (uint32_t)i, y);
    if (widths[i] > 2000) continue;
    y += elementwise(device, DW_F16, widths[i], 200 + (uint32_t)i, y);
    y += elementwise(device, DW_BF16, widths[i], 300 + (uint32_t)i, y);
  }
  return (uint64_t)((unsigned char *)y - result);
}

static void test_elementwise(void) { check_all(work_elementwise); }

// All 65,536 halves there and back, in every set.
static void test_conversions(void) {
  static uint16_t halves[65536], back[65536];
  static float wide[65536], expected[65536];
  for (uint32_t i = 0; i < 65536; i++) halves[i] = (uint16_t)i;
  for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
    const dw_cpu_kernels *set = dw_cpu_kernels_named(sets[s]);
    if (!set) continue;
    for (uint32_t dtype = DW_F16; dtype <= DW_BF16; dtype++) {
      set->load(dtype, halves, wide, 65536);
      set->store(DW_F32, wide, wide, 65536); // NaNs become canonical where they are stored
      for (uint32_t i = 0; i < 65536; i++) expected[i] = dtype == DW_F16 ? dw_f16_to_f32(halves[i]) : dw_bf16_to_f32(halves[i]);
      for (uint32_t i = 0; i < 65536; i++)
        CHECK(expected[i] != expected[i] ? wide[i] != wide[i] : memcmp(&expected[i], &wide[i], 4) == 0);
      set->store(dtype, wide, back, 65536);
      for (uint32_t i = 0; i < 65536; i++)
        CHECK_EQ(back[i], wide[i] == wide[i] ? halves[i] : dtype == DW_F16 ? 0x7E00 : 0x7FC0);
    }
  }
}

// Values on, just below and just above every boundary of rounding.
static void test_rounding(void) {
  for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
    const dw_cpu_kernels *set = dw_cpu_kernels_named(sets[s]);
    if (!set) continue;
    for (uint32_t half = 0; half < 0x7C00; half++) {
      float low = dw_f16_to_f32((uint16_t)half);
      float high = half == 0x7BFF ? 65536.0f : dw_f16_to_f32((uint16_t)(half + 1));
      float middle = (float)(((double)low + (double)high) / 2);
      float in[3] = {nextafterf(middle, low), middle, nextafterf(middle, high)};
      uint16_t out[3];
      set->store(DW_F16, in, out, 3);
      CHECK_EQ(out[0], half);
      CHECK_EQ(out[1], half + (half & 1));
      CHECK_EQ(out[2], half + 1);
      uint32_t bits = half * 0x20001u; // a bfloat16 and a tail that decides
      memcpy(in, &bits, sizeof bits);
      set->store(DW_BF16, in, out, 1);
      CHECK_EQ(out[0], dw_f32_to_bf16(in[0]));
    }
  }
}

// ---- Attention --------------------------------------------------------------------------------------

typedef struct prompt {
  uint32_t cache_dtype, q_heads, kv_heads, head_dim, rows;
  float softcap;
} prompt;

#define MAX_ROWS 600

// Attends over `rows` rows cut into `cut` rows at a time.
static void attend(dw_device *device, const prompt *of, uint32_t cut, float *y) {
  dw_error error;
  dw_cache *cache;
  dw_cache_desc desc = {.dtype = of->cache_dtype, .layers = 2, .kv_heads = of->kv_heads, .head_dim = of->head_dim,
                        .max_rows = MAX_ROWS};
  CHECK_OK(dw_cache_new(device, &desc, NULL, &cache, &error), &error);
  uint64_t wide = (uint64_t)of->q_heads * of->head_dim, narrow = (uint64_t)of->kv_heads * of->head_dim;
  float *q = malloc(of->rows * wide * 4), *k = malloc(of->rows * narrow * 4), *v = malloc(of->rows * narrow * 4);
  cpu_fill(7, q, of->rows * wide);
  cpu_fill(8, k, of->rows * narrow);
  cpu_fill(9, v, of->rows * narrow);
  for (uint64_t i = 0; i < of->rows * wide; i++) q[i] *= 4;
  for (uint32_t row = 0; row < of->rows; row += cut) {
    uint64_t n = of->rows - row < cut ? of->rows - row : cut;
    cpu_program *p = calloc(1, sizeof *p);
    uint32_t past = cpu_cache(p, cache);
    uint32_t in[] = {cpu_dense(p, DW_F32, 2, (uint64_t[]){n, wide}, q + row * wide),
                     cpu_dense(p, DW_F32, 2, (uint64_t[]){n, narrow}, k + row * narrow),
                     cpu_dense(p, DW_F32, 2, (uint64_t[]){n, narrow}, v + row * narrow), DW_NO_TENSOR, past};
    dw_op *op = cpu_op(p, DW_OP_Attention, 5, in, cpu_dense(p, DW_F32, 2, (uint64_t[]){n, wide}, y + row * wide));
    op->i[0] = (int32_t)of->q_heads;
    op->i[1] = (int32_t)of->kv_heads;
    op->i[2] = 1;
    op->i[3] = 1;
    op->f[1] = of->softcap;
    cpu_run(p, device);
    free(p);
  }
  CHECK_EQ(cache->rows, of->rows);
  dw_cache_free(cache);
  free(q);
  free(k);
  free(v);
}

static const prompt prompts[] = {
    {DW_F32, 4, 2, 20, 300, 0}, {DW_F16, 6, 1, 64, 270, 0}, {DW_F32, 3, 3, 7, 520, 5.0f}, {DW_F16, 30, 1, 16, 40, 0}};

static uint64_t work_attention(dw_device *device, unsigned char *result) {
  uint64_t at = 0;
  for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
    attend(device, &prompts[i], 37, (float *)(result + at));
    at += UINT64_C(4) * prompts[i].rows * prompts[i].q_heads * prompts[i].head_dim;
  }
  return at;
}

static void test_attention(void) { check_all(work_attention); }

static void test_chunks(void) {
  float *expected = malloc(RESULT_BYTES), *result = malloc(RESULT_BYTES);
  dw_device *device = cpu_open(2);
  for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
    const prompt *of = &prompts[i];
    uint64_t bytes = UINT64_C(4) * of->rows * of->q_heads * of->head_dim;
    attend(device, of, of->rows, expected);
    static const uint32_t cuts[] = {1, 2, 16, 31, 255, 256, 257};
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
      attend(device, of, cuts[c], result);
      CHECK(memcmp(expected, result, bytes) == 0);
    }
  }
  device->class_->close(device);
  free(expected);
  free(result);
}

// ---- A whole decoder ----------------------------------------------------------------------------------

enum { VOCABULARY = 61, CONTEXT = 48 };

static void *new_weights(const llama_handle *handle, uint64_t seed) {
  uint64_t count = handle->dims[0] * (handle->rank > 1 ? handle->dims[1] : 1);
  float *values = malloc(count * 4 + 4);
  cpu_fill(seed, values, count);
  for (uint64_t i = 0; i < count; i++) values[i] *= handle->rank > 1 ? 0.25f : 1.0f;
  void *bytes = as_type(handle->dtype, values, count);
  free(values);
  return bytes;
}

typedef struct decoder {
  llama_program llama;
  dw_program *program;
  dw_compiled *compiled;
  dw_binding bindings[LLAMA_MAX_TENSORS];
  void *memory[LLAMA_MAX_TENSORS];
  dw_cache *cache;
} decoder;

static void *handle_memory(const decoder *of, uint32_t tensor) {
  return of->memory[of->llama.tensors[tensor].base - 1];
}

static void open_decoder(decoder *of, dw_device *device, uint32_t dtype) {
  dw_error error;
  llama_program *llama = &of->llama;
  llama_program_build(llama, &(llama_shape){.layers = 2, .hidden = 40, .heads = 4, .kv_heads = 2, .head_dim = 10,
                                            .inner = 72, .vocabulary = VOCABULARY, .context = CONTEXT, .chunk = CONTEXT,
                                            .weight_dtype = dtype});
  dw_program_source source = llama_source(llama);
  CHECK_OK(dw_program_new(&source, llama_describe, llama, &of->program, &error), &error);
  CHECK_OK(device->class_->compile(device, of->program, &of->compiled, &error), &error);
  CHECK_OK(dw_cache_new(device, &llama->cache, NULL, &of->cache, &error), &error);
  for (uint32_t i = 0; i < of->program->slot_count; i++) {
    const dw_slot *slot = &of->program->slots[i];
    if (slot->place == DW_PLACE_CACHE) {
      of->bindings[i].cache = of->cache;
      continue;
    }
    const llama_handle *handle = &llama->handles[slot->handle - 1];
    void *bytes = of->memory[slot->handle - 1] =
        handle->dtype == DW_I32 ? calloc(CONTEXT, 4) : new_weights(handle, slot->handle);
    uint64_t elements = handle->dims[0] * (handle->rank > 1 ? handle->dims[1] : 1);
    dw_import_desc desc = {.host = bytes, .size_bytes = elements * dw_dtype_bytes(handle->dtype)};
    CHECK_OK(device->class_->import(device, &desc, &of->bindings[i].buffer, &error), &error);
  }
}

static void close_decoder(decoder *of, dw_device *device) {
  for (uint32_t i = 0; i < of->program->slot_count; i++)
    if (of->bindings[i].buffer) device->class_->release(of->bindings[i].buffer);
  for (uint32_t i = 0; i < of->llama.handle_count; i++) free(of->memory[i]);
  dw_cache_free(of->cache);
  device->class_->discard(device, of->compiled);
  dw_program_free(of->program);
}

// Logits of the last row of a prompt of CONTEXT tokens.
static void decode(dw_device *device, uint32_t dtype, uint32_t cut, float *logits) {
  dw_error error;
  decoder *of = calloc(1, sizeof *of);
  open_decoder(of, device, dtype);
  int32_t *tokens = handle_memory(of, of->llama.tokens), *positions = handle_memory(of, of->llama.positions);
  for (uint32_t row = 0; row < CONTEXT; row += cut) {
    uint32_t n = CONTEXT - row < cut ? CONTEXT - row : cut;
    for (uint32_t i = 0; i < n; i++) {
      tokens[i] = (int32_t)((row + i) * 17 % VOCABULARY);
      positions[i] = (int32_t)(row + i);
    }
    dw_run run = {.compiled = of->compiled, .bindings = of->bindings, .params = {n}};
    CHECK_OK(dw_cache_reserve(of->cache, n, &error), &error);
    cpu_submit_and_wait(device, &run);
    CHECK_EQ(run.status, DW_OK);
    dw_cache_commit(of->cache, n);
  }
  memcpy(logits, handle_memory(of, of->llama.logits), VOCABULARY * sizeof *logits);
  close_decoder(of, device);
  free(of);
}

static uint64_t work_decoder(dw_device *device, unsigned char *result) {
  static const uint32_t types[] = {DW_F32, DW_F16, DW_BF16};
  float *logits = (float *)result;
  for (int i = 0; i < 3; i++, logits += VOCABULARY) decode(device, types[i], 19, logits);
  return (uint64_t)((unsigned char *)logits - result);
}

static void test_decoder(void) { check_all(work_decoder); }

static void test_decoder_chunks(void) {
  float expected[VOCABULARY], logits[VOCABULARY];
  dw_device *device = cpu_open(2);
  decode(device, DW_BF16, CONTEXT, expected);
  static const uint32_t cuts[] = {1, 2, 5, 16, 47};
  for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
    decode(device, DW_BF16, cuts[i], logits);
    CHECK(memcmp(expected, logits, sizeof logits) == 0);
  }
  device->class_->close(device);
}

// ---- Every machine ---------------------------------------------------------------------------------------

// The bits of all of the above. They change only with the canonical order itself,
// which docs/numerics.md fixes: whoever changes this constant changes results.
static const char everywhere[] = "431a4af395fae5692743fa2f851c7300ab351866a08294dd22505da20c7478a4";

static void test_everywhere(void) {
  work_fn *const works[] = {work_matmul, work_elementwise, work_attention, work_decoder};
  unsigned char *result = malloc(RESULT_BYTES), digest[32];
  dw_device *device = cpu_open(2);
  dw_sha256 hash;
  dw_sha256_begin(&hash);
  for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
    memset(result, 0, RESULT_BYTES);
    uint64_t bytes = works[i](device, result);
    dw_sha256_add(&hash, result, bytes);
  }
  dw_sha256_end(&hash, digest);
  char text[65];
  for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
  CHECK_STR(text, everywhere);
  device->class_->close(device);
  free(result);
}

static const dw_case cases[] = {
    {"order", "MatMul adds in the canonical order, to the bit", test_order},
    {"matmul", "MatMul gives the same bits on every instruction set and thread count", test_matmul},
    {"rows", "a row's product does not depend on the rows beside it", test_rows},
    {"elementwise", "so do all other operators, NaNs, infinities and denormals included", test_elementwise},
    {"conversions", "every F16 and BF16 value survives every instruction set", test_conversions},
    {"rounding", "conversions round to nearest even at every boundary", test_rounding},
    {"attention", "Attention gives the same bits on every instruction set and thread count", test_attention},
    {"chunks", "Attention does not depend on how a prompt was cut", test_chunks},
    {"decoder", "a decoder gives the same bits on every instruction set and thread count", test_decoder},
    {"decoder_chunks", "prefill in any chunks and decode give the same bits", test_decoder_chunks},
    {"everywhere", "every machine gives the bits of the golden digest", test_everywhere},
};
DW_TEST_MAIN(cases)
