// Every operator of the CPU device against what the ONNX reference answers.
//
// tests/goldens/operators has a file an operator; tools/goldens/operators.py wrote
// them and says how they are laid out.  Tolerances are below, by result type.
#include "cpu_program.h"
#include "format/safetensors.h"

#include <math.h>

#define FILL 0xA5              // of result memory, before the run

// How far a result may be from the golden, as a part of the golden's magnitude or,
// for small elements of sums that cancel, of the mean magnitude of the whole result.
// F16 and BF16 may round to the neighbour: one unit in the last place.
static double tolerance_of(uint32_t dtype) { return dtype == DW_F16 ? 0x1p-10 : dtype == DW_BF16 ? 0x1p-7 : 1e-5; }

static bool is_float(uint32_t dtype) { return dtype == DW_F32 || dtype == DW_F16 || dtype == DW_BF16; }

// Results that are moved or rounded once, as IEEE 754 says, and integers.
static bool is_exact(uint32_t op, uint32_t dtype) {
  return !is_float(dtype) || op == DW_OP_Cast || op == DW_OP_Identity || op == DW_OP_Gather || op == DW_OP_TopK;
}

// ---- Files ----------------------------------------------------------------------------------

typedef struct golden {
  unsigned char *bytes;
  dw_safetensors file;
  dw_device *device;
  uint32_t op;
  const char *name;            // of the case
} golden;

static const char *source_dir(void) {
  const char *source = getenv("DW_SOURCE_DIR");
  return source ? source : DW_SOURCE_DIR;
}

static void open_golden(golden *of, uint32_t op) {
  char path[4096];
  dw_error error;
  snprintf(path, sizeof path, "%s/tests/goldens/operators/%s.safetensors", source_dir(), dw_operator_name(op));
  FILE *file = fopen(path, "rb");
  if (!file) fprintf(stderr, "    %s: %s\n", path, strerror(errno));
  CHECK(file && fseek(file, 0, SEEK_END) == 0);
  long size = ftell(file);
  CHECK(size > 0 && fseek(file, 0, SEEK_SET) == 0);
  *of = (golden){.bytes = malloc((size_t)size), .op = op, .device = cpu_open(2)};
  CHECK(fread(of->bytes, 1, (size_t)size, file) == (size_t)size);
  fclose(file);
  CHECK_OK(dw_safetensors_parse(of->bytes, (uint64_t)size, &of->file, &error), &error);
}

static void close_golden(golden *of) {
  of->device->class_->close(of->device);
  dw_safetensors_free(&of->file);
  free(of->bytes);
}

static const dw_safetensors_tensor *find(const golden *of, const char *part) {
  char name[256];
  snprintf(name, sizeof name, "%s/%s", of->name, part);
  return dw_safetensors_find(&of->file, name);
}

static const char *note(const golden *of, const char *part) {
  char key[256];
  snprintf(key, sizeof key, "%s/%s", of->name, part);
  return dw_safetensors_meta(&of->file, key);
}

// ---- Operands -------------------------------------------------------------------------------

// A tensor of a case and where its elements lie in memory of their own.
typedef struct operand {
  const dw_safetensors_tensor *tensor;
  uint32_t dtype, rank;
  uint64_t dims[DW_MAX_RANK], strides[DW_MAX_RANK], offset, elements;
  unsigned char *memory;
} operand;

static uint64_t bytes_of(const operand *of) { return of->elements * dw_dtype_bytes(of->dtype); }

static void make_dense(operand *of) {
  for (uint32_t d = of->rank; d-- > 0;) {
    of->strides[d] = of->elements;
    of->elements *= of->dims[d];
  }
}

static uint32_t read_numbers(const char **text, uint64_t *numbers) {
  uint32_t count = 0;
  for (char *end; count < DW_MAX_RANK; *text = end + 1) {
    numbers[count++] = strtoull(*text, &end, 10);
    CHECK(end != *text);
    if (*end == ',') continue;
    *text = *end ? end + 1 : end;
    break;
  }
  return count;
}

// "dims;strides;offset;elements"
static void read_view(operand *of, const char *text) {
  of->rank = read_numbers(&text, of->dims);
  CHECK_EQ(read_numbers(&text, of->strides), of->rank);
  CHECK_EQ(read_numbers(&text, &of->offset), 1);
  CHECK_EQ(read_numbers(&text, &of->elements), 1);
}

static operand describe(const golden *of, const char *part) {
  operand made = {.tensor = find(of, part), .elements = 1};
  if (!made.tensor) return made;
  char view[64];
  snprintf(view, sizeof view, "%s.view", part);
  made.dtype = made.tensor->dtype;
  made.rank = made.tensor->rank;
  memcpy(made.dims, made.tensor->dims, sizeof made.dims);
  if (note(of, view)) read_view(&made, note(of, view));
  else make_dense(&made);
  return made;
}

static operand load_input(const golden *of, const char *part) {
  operand made = describe(of, part);
  if (!made.tensor) return made;
  CHECK_EQ(made.tensor->size_bytes, bytes_of(&made));
  made.memory = malloc(bytes_of(&made));
  memcpy(made.memory, of->bytes + made.tensor->offset_bytes, bytes_of(&made));
  return made;
}

static operand new_output(const golden *of, const char *part) {
  operand made = describe(of, part);
  if (!made.tensor) return made;
  made.memory = malloc(bytes_of(&made));
  memset(made.memory, FILL, bytes_of(&made));
  return made;
}

static uint64_t count_of(const operand *of) {
  uint64_t count = 1;
  for (uint32_t d = 0; d < of->rank; d++) count *= of->dims[d];
  return count;
}

// Where the index'th element of a view is, counted row by row.
static uint64_t place_of(const operand *of, uint64_t index) {
  uint64_t place = of->offset;
  for (uint32_t d = of->rank; d-- > 0; index /= of->dims[d]) place += index % of->dims[d] * of->strides[d];
  return place;
}

static uint32_t add_operand(cpu_program *p, const operand *of) {
  return cpu_view(p, of->dtype, of->rank, of->dims, of->strides, of->offset, of->elements, of->memory);
}

// ---- Comparing ------------------------------------------------------------------------------

static double half_value(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  double fraction = bits & 1023;
  double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
  return exponent == 31 ? NAN : bits & 0x8000 ? -value : value;
}

static double value_of(uint32_t dtype, const unsigned char *at) {
  uint32_t word;
  uint16_t half;
  float value;
  memcpy(&half, at, sizeof half);
  if (dtype == DW_F16) return half_value(half);
  if (dtype == DW_BF16) word = (uint32_t)half << 16;
  else memcpy(&word, at, sizeof word);
  memcpy(&value, &word, sizeof value);
  return value;
}

static void fail(const golden *of, const char *part, uint64_t index, const char *why) {
  fprintf(stderr, "    %s, case %s, %s: element %" PRIu64 " %s\n", dw_operator_name(of->op), of->name, part, index,
          why);
  exit(1);
}

static void compare_floats(const golden *of, const char *part, const operand *got, const unsigned char *expected) {
  uint64_t count = count_of(got), bytes = dw_dtype_bytes(got->dtype);
  double mean = 0;
  for (uint64_t i = 0; i < count; i++) mean += fabs(value_of(got->dtype, expected + i * bytes)) / (double)count;
  for (uint64_t i = 0; i < count; i++) {
    double is = value_of(got->dtype, got->memory + place_of(got, i) * bytes);
    double want = value_of(got->dtype, expected + i * bytes);
    if (fabs(is - want) <= tolerance_of(got->dtype) * fmax(fabs(want), mean)) continue;
    char words[96];
    snprintf(words, sizeof words, "is %.9g, not %.9g", is, want);
    fail(of, part, i, words);
  }
}

static void compare_exactly(const golden *of, const char *part, const operand *got, const unsigned char *expected) {
  uint64_t bytes = dw_dtype_bytes(got->dtype);
  for (uint64_t i = 0; i < count_of(got); i++)
    if (memcmp(got->memory + place_of(got, i) * bytes, expected + i * bytes, bytes) != 0)
      fail(of, part, i, "has other bytes");
}

// Memory between the elements of a view is nobody's to write.
static void check_gaps(const golden *of, const char *part, const operand *got) {
  uint64_t bytes = dw_dtype_bytes(got->dtype);
  unsigned char *rest = malloc(bytes_of(got)), fill[8];
  memset(fill, FILL, sizeof fill);
  memcpy(rest, got->memory, bytes_of(got));
  for (uint64_t i = 0; i < count_of(got); i++) memset(rest + place_of(got, i) * bytes, FILL, bytes);
  for (uint64_t i = 0; i < got->elements; i++)
    if (memcmp(rest + i * bytes, fill, bytes) != 0) fail(of, part, i, "is outside of the view, but was written");
  free(rest);
}

static void compare(const golden *of, const char *part, const operand *got) {
  const unsigned char *expected = of->bytes + got->tensor->offset_bytes;
  CHECK_EQ(got->tensor->size_bytes, count_of(got) * dw_dtype_bytes(got->dtype));
  if (is_exact(of->op, got->dtype)) compare_exactly(of, part, got, expected);
  else compare_floats(of, part, got, expected);
  check_gaps(of, part, got);
}

// ---- Cases ----------------------------------------------------------------------------------

static void read_attributes(const golden *of, dw_op *op) {
  char *at = (char *)dw_safetensors_meta(&of->file, of->name);
  for (int i = 0; i < 4; i++) op->i[i] = (int32_t)strtol(at, &at, 10);
  for (int i = 0; i < 2; i++) op->f[i] = strtof(at, &at);
  CHECK(*at == 0);
}

static const char *const input_parts[] = {"in0", "in1", "in2", "in3"};
static const char *const output_parts[] = {"out0", "out1"};

static void run_case(const golden *of) {
  cpu_program *p = calloc(1, sizeof *p);
  operand inputs[4], outputs[2];
  uint32_t in[4] = {DW_NO_TENSOR, DW_NO_TENSOR, DW_NO_TENSOR, DW_NO_TENSOR};
  for (int i = 0; i < 4; i++) {
    inputs[i] = load_input(of, input_parts[i]);
    if (inputs[i].tensor) in[i] = add_operand(p, &inputs[i]);
  }
  dw_op *op = cpu_op(p, of->op, 4, in, DW_NO_TENSOR);
  for (int i = 0; i < 2; i++) {
    outputs[i] = new_output(of, output_parts[i]);
    if (outputs[i].tensor) op->outputs[i] = add_operand(p, &outputs[i]);
  }
  read_attributes(of, op);
  cpu_run(p, of->device);
  CHECK(outputs[0].tensor);
  for (int i = 0; i < 2; i++)
    if (outputs[i].tensor) compare(of, output_parts[i], &outputs[i]);
  for (int i = 0; i < 4; i++) free(inputs[i].memory);
  for (int i = 0; i < 2; i++) free(outputs[i].memory);
  free(p);
}

static uint32_t each_case(uint32_t operator, void (*run)(const golden *)) {
  golden of;
  uint32_t count = 0;
  open_golden(&of, operator);
  CHECK(dw_safetensors_meta(&of.file, "generator") && dw_safetensors_meta(&of.file, "onnx"));
  for (uint32_t i = 0; i < of.file.metadata_count; i++) {
    of.name = of.file.metadata[i].key;
    if (strchr(of.name, '/') || strcmp(of.name, "generator") == 0 || strcmp(of.name, "onnx") == 0) continue;
    run(&of);
    count++;
  }
  close_golden(&of);
  return count;
}

// ---- Attention ------------------------------------------------------------------------------

static uint64_t rows_of(const operand *of) { return of->dims[of->rank == 4 ? 2 : of->rank - 2]; }

// Rows [begin, begin + count) of an operand of Attention.
static operand rows_in(const operand *of, uint64_t begin, uint64_t count) {
  operand part = *of;
  uint32_t axis = of->rank == 4 ? 2 : of->rank - 2;
  part.offset += begin * of->strides[axis];
  part.dims[axis] = count;
  return part;
}

static void attend(const golden *of, dw_cache *cache, const operand *q, const operand *k, const operand *v,
                   const operand *y) {
  cpu_program *p = calloc(1, sizeof *p);
  uint32_t in[] = {add_operand(p, q), add_operand(p, k), add_operand(p, v), DW_NO_TENSOR, cpu_cache(p, cache)};
  read_attributes(of, cpu_op(p, DW_OP_Attention, 5, in, add_operand(p, y)));
  cpu_run(p, of->device);
  free(p);
}

// The rows that ONNX is given as past come into the cache by an attention whose result is nobody's.
static void append_past(const golden *of, dw_cache *cache, int32_t q_heads) {
  operand k = load_input(of, "past_key"), v = load_input(of, "past_value");
  if (!k.tensor) return;
  operand q = {.dtype = DW_F32, .rank = 4, .dims = {1, (uint64_t)q_heads, k.dims[2], k.dims[3]}, .elements = 1};
  make_dense(&q);
  operand y = q;
  q.memory = calloc(1, bytes_of(&q));
  y.memory = calloc(1, bytes_of(&y));
  attend(of, cache, &q, &k, &v, &y);
  free(k.memory);
  free(v.memory);
  free(q.memory);
  free(y.memory);
}

static dw_cache *new_cache(const golden *of, const dw_op *op) {
  const dw_safetensors_tensor *past = find(of, "past_key");
  dw_cache *cache;
  dw_error error;
  const char *dtype = note(of, "cache");
  dw_cache_desc desc = {.dtype = dw_dtype_parse(dtype, strlen(dtype)), .layers = 1, .kv_heads = (uint32_t)op->i[1]};
  operand query = describe(of, "in0");
  desc.head_dim = (uint32_t)(query.dims[query.rank - 1] / (query.rank == 4 ? 1 : (uint64_t)op->i[0]));
  desc.max_rows = rows_of(&query) + (past ? past->dims[2] : 0);
  CHECK_OK(dw_cache_new(of->device, &desc, NULL, &cache, &error), &error);
  return cache;
}

static void attend_in_chunks(const golden *of, uint64_t chunk, operand *y) {
  dw_op op = {.op = DW_OP_Attention};
  read_attributes(of, &op);
  operand q = load_input(of, "in0"), k = load_input(of, "in1"), v = load_input(of, "in2");
  dw_cache *cache = new_cache(of, &op);
  append_past(of, cache, op.i[0]);
  uint64_t rows = rows_of(&q);
  for (uint64_t begin = 0; begin < rows; begin += chunk) {
    uint64_t count = rows - begin < chunk ? rows - begin : chunk;
    operand parts[] = {rows_in(&q, begin, count), rows_in(&k, begin, count), rows_in(&v, begin, count),
                       rows_in(y, begin, count)};
    attend(of, cache, &parts[0], &parts[1], &parts[2], &parts[3]);
  }
  CHECK_EQ(cache->rows, cache->desc.max_rows);
  dw_cache_free(cache);
  free(q.memory);
  free(k.memory);
  free(v.memory);
}

static void run_attention(const golden *of) {
  operand whole = new_output(of, "out0");
  uint64_t rows = rows_of(&whole);
  attend_in_chunks(of, rows, &whole);
  compare(of, "out0", &whole);
  static const uint64_t chunks[] = {1, 2, 3, 5, 64};
  for (size_t i = 0; i < sizeof chunks / sizeof *chunks && chunks[i] < rows; i++) {
    operand y = new_output(of, "out0");
    attend_in_chunks(of, chunks[i], &y);
    compare(of, "out0", &y);
    CHECK(memcmp(whole.memory, y.memory, bytes_of(&y)) == 0);
    free(y.memory);
  }
  free(whole.memory);
}

static void test_Attention(void) { CHECK(each_case(DW_OP_Attention, run_attention) > 0); }

// ---- The table ------------------------------------------------------------------------------

#define SIMPLE(X)                                                                                 \
  X(MatMul) X(Add) X(Mul) X(Sub) X(Div) X(RMSNormalization) X(RotaryEmbedding) X(Gather) X(Swish) \
  X(Softmax) X(ArgMax) X(TopK) X(Cast) X(Identity) X(Sigmoid) X(Tanh) X(Gelu)

#define TEST(name) \
  static void test_##name(void) { CHECK(each_case(DW_OP_##name, run_case) > 0); }
SIMPLE(TEST)

#define CASE(name) {#name, "answers what the ONNX reference does", test_##name},

static void test_complete(void);

static const dw_case cases[] = {
    SIMPLE(CASE){"Attention", "answers what the ONNX reference does, however the rows are cut", test_Attention},
    {"complete", "every operator that ONNX has is in this table", test_complete},
};

static bool in_table(const char *name) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (strcmp(cases[i].name, name) == 0) return true;
  return false;
}

static void test_complete(void) {
#define X(name, code) CHECK(code == DW_OP_Axpby || in_table(#name));
  DW_OPERATOR_MAP(X)
#undef X
}

DW_TEST_MAIN(cases)
