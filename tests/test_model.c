#include "dw_test.h"
#include "model.h"
#include "sigbus.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

// ---- A folder of files ------------------------------------------------------------------

static char folder[] = "/tmp/driftwood-model-XXXXXX";

static const char *path_of(const char *name) {
  static char path[4][512];
  static unsigned turn;
  char *place = path[turn++ % 4];
  snprintf(place, sizeof path[0], "%s/%s", folder, name);
  return place;
}

static void remove_folder(void) {
  char command[600];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (system(command) != 0) fprintf(stderr, "    %s stays\n", folder);
}

static void make_folder(void) {
  CHECK(mkdtemp(folder) != NULL);
  atexit(remove_folder);
}

static void put(const char *name, const void *bytes, size_t size_bytes) {
  FILE *file = fopen(path_of(name), "wb");
  CHECK(file != NULL);
  CHECK_EQ(fwrite(bytes, 1, size_bytes, file), size_bytes);
  CHECK_EQ(fclose(file), 0);
}

static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

// A safetensors file with one tensor of bytes for each name, `size_bytes` of the first letter of its name.
static void put_weights(const char *file, const char *const *names, size_t size_bytes) {
  char header[4096] = "{";
  size_t length = 1, count = 0;
  for (; names[count]; count++)
    length += (size_t)snprintf(header + length, sizeof header - length,
                               "%s\"%s\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}", count ? "," : "",
                               names[count], size_bytes, count * size_bytes, (count + 1) * size_bytes);
  header[length++] = '}';
  char *bytes = malloc(8 + length + count * size_bytes);
  for (int i = 0; i < 8; i++) bytes[i] = (char)(length >> (8 * i));
  memcpy(bytes + 8, header, length);
  for (size_t i = 0; i < count; i++) memset(bytes + 8 + length + i * size_bytes, names[i][0], size_bytes);
  put(file, bytes, 8 + length + count * size_bytes);
  free(bytes);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static dw_model *opened(void) {
  dw_model *model;
  dw_error error = {0};
  CHECK_OK(dw_model_open(folder, &model, &error), &error);
  return model;
}

static void check_bytes(const dw_model *model, const char *name, size_t size_bytes) {
  dw_model_tensor_info info;
  dw_error error = {0};
  CHECK_OK(dw_model_tensor(model, name, &info, &error), &error);
  CHECK_EQ(info.dtype, DW_U8);
  CHECK_EQ(info.rank, 1);
  CHECK_EQ(info.dims[0], size_bytes);
  CHECK_EQ(info.dims[1], 0);
  CHECK_EQ(info.size_bytes, size_bytes);
  const unsigned char *bytes = info.bytes;
  for (size_t i = 0; i < size_bytes; i++) CHECK_EQ(bytes[i], name[0]);
  const unsigned char *mapping = info.mapping;
  CHECK((uintptr_t)mapping % (uintptr_t)sysconf(_SC_PAGESIZE) == 0);
  CHECK(bytes >= mapping && bytes + size_bytes <= mapping + info.mapping_bytes);
  CHECK(info.mapping_index < dw_model_mapping_count(model));
}

// ---- Tensors ----------------------------------------------------------------------------

static void test_single(void) {
  make_folder();
  put_weights("model.safetensors", NAMES("weight", "a", "z.bias"), 5000);
  dw_model *model = opened();
  CHECK_EQ(dw_model_tensor_count(model), 3);
  CHECK_STR(dw_model_tensor_name(model, 0), "a");
  CHECK_STR(dw_model_tensor_name(model, 2), "z.bias");
  CHECK(dw_model_tensor_name(model, 3) == NULL);
  check_bytes(model, "weight", 5000);
  check_bytes(model, "a", 5000);
  check_bytes(model, "z.bias", 5000);
  CHECK_EQ(dw_model_mapping_count(model), 1);
  uint64_t size_bytes;
  dw_error error = {0};
  CHECK_OK(dw_model_file_size(model, "model.safetensors", &size_bytes, &error), &error);
  CHECK_EQ(dw_model_mapping_bytes(model), size_bytes);
  dw_model_tensor_info info;
  CHECK_EQ(dw_model_tensor(model, "weigh", &info, &error), DW_NOTFOUND);
  CHECK_STR(error.detail, "no tensor 'weigh'");
  CHECK_OK(dw_model_check(model, &error), &error);
  dw_model_release(model);
}

static void test_sharded(void) {
  make_folder();
  put_weights("model-00001-of-00002.safetensors", NAMES("b", "d"), 300);
  put_weights("model-00002-of-00002.safetensors", NAMES("a", "c", "extra"), 700);
  put_text("model.safetensors.index.json",
           "{\"metadata\":{\"total_size\":2000},\"weight_map\":{\"a\":\"model-00002-of-00002.safetensors\","
           "\"b\":\"model-00001-of-00002.safetensors\",\"c\":\"model-00002-of-00002.safetensors\","
           "\"d\":\"model-00001-of-00002.safetensors\"}}");
  dw_model *model = opened();
  CHECK_EQ(dw_model_mapping_count(model), 2);
  CHECK_EQ(dw_model_tensor_count(model), 5);
  check_bytes(model, "a", 700);
  check_bytes(model, "b", 300);
  check_bytes(model, "c", 700);
  check_bytes(model, "d", 300);
  check_bytes(model, "extra", 700);
  dw_model_release(model);
}

static void test_ranks(void) {
  make_folder();
  static const char header[] = "{\"five\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,2]},"
                               "\"none\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[2,4]}}";
  char bytes[sizeof header - 1 + 12] = {sizeof header - 1};
  memcpy(bytes + 8, header, sizeof header - 1);
  put("model.safetensors", bytes, sizeof bytes);
  dw_model *model = opened();
  dw_model_tensor_info info;
  dw_error error = {0};
  CHECK_EQ(dw_model_tensor(model, "five", &info, &error), DW_UNSUPPORTED);
  CHECK_STR(error.detail, "tensor 'five' has 5 dimensions; up to 4 are supported");
  CHECK_OK(dw_model_tensor(model, "none", &info, &error), &error);
  CHECK_EQ(info.rank, 0);
  CHECK_EQ(info.size_bytes, 2);
  CHECK_EQ(info.dtype, DW_BF16);
  dw_model_release(model);
}

// ---- What is refused --------------------------------------------------------------------

static void refuse(int status, const char *detail, uint64_t position) {
  dw_model *model;
  dw_error error = {0};
  CHECK_STATUS(dw_model_open(folder, &model, &error), status, &error);
  CHECK(model == NULL);
  CHECK_STR(error.detail, detail);
  CHECK_EQ(error.has_position, position != UINT64_MAX);
  if (error.has_position) CHECK_EQ(error.position, position);
}

#define MAP(text) "{\"weight_map\":" text "}"

static void test_index(void) {
  make_folder();
  put_weights("one.safetensors", NAMES("a", "b"), 100);
  put_weights("two.safetensors", NAMES("c"), 100);
  static const struct {
    const char *text, *detail;
    int status;
    uint64_t position;
  } texts[] = {
      {"", "model.safetensors.index.json: the text ends too early", DW_FORMAT, 0},
      {"[]", "model.safetensors.index.json: no object weight_map", DW_FORMAT, 0},
      {"{}", "model.safetensors.index.json: no object weight_map", DW_FORMAT, 0},
      {MAP("\"x\""), "model.safetensors.index.json: no object weight_map", DW_FORMAT, 14},
      {MAP("{\"a\":1}"), "model.safetensors.index.json: a value of weight_map is not a string", DW_FORMAT, 19},
      {MAP("{\"a\":\"\"}"), "model.safetensors.index.json: '' is not a plain file name", DW_FORMAT, 19},
      {MAP("{\"a\":\"../one.safetensors\"}"),
       "model.safetensors.index.json: '../one.safetensors' is not a plain file name", DW_FORMAT, 19},
      {MAP("{\"a\":\"/etc/passwd\"}"), "model.safetensors.index.json: '/etc/passwd' is not a plain file name", DW_FORMAT,
       19},
      {MAP("{\"a\":\"x\\u0000y\"}"), "model.safetensors.index.json: 'x?y' is not a plain file name", DW_FORMAT, 19},
      {MAP("{\"a\":\"one.safetensors\",\"a\":\"one.safetensors\"}"), "model.safetensors.index.json: key given twice",
       DW_FORMAT, 37},
      {MAP("{\"a\":\"one.safetensors\",\"c\":\"three.safetensors\"}"),
       "model.safetensors.index.json lists three.safetensors, which is not there", DW_NOTFOUND, UINT64_MAX},
      {MAP("{\"a\":\"one.safetensors\",\"d\":\"two.safetensors\"}"),
       "model.safetensors.index.json: tensor 'd' is not in two.safetensors", DW_FORMAT, 37},
      {MAP("{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}"),
       "model.safetensors.index.json: tensor 'b' is in one.safetensors and not in two.safetensors", DW_FORMAT, 37},
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    put_text("model.safetensors.index.json", texts[i].text);
    refuse(texts[i].status, texts[i].detail, texts[i].position);
  }
  put_weights("two.safetensors", NAMES("c", "a"), 100);
  put_text("model.safetensors.index.json", MAP("{\"b\":\"one.safetensors\",\"c\":\"two.safetensors\"}"));
  refuse(DW_FORMAT, "two.safetensors: tensor 'a' is in one.safetensors too", 65);
  put_text("two.safetensors", "garbage!and more");
  refuse(DW_LIMIT,
         "two.safetensors: safetensors header of 2406443243860549991 bytes; up to 100000000 are allowed", 0);
  put_text("two.safetensors", "");
  refuse(DW_FORMAT, "two.safetensors: no safetensors file: shorter than the header's length", 0);
}

static void test_too_many_shards(void) {
  make_folder();
  char *text = malloc(8192 * 32), *at = text + sprintf(text, "{\"weight_map\":{");
  for (int i = 0; i < 4096; i++) at += sprintf(at, "\"%d\":\"f%d\",", i, i * 7 % 4096);
  strcpy(at, "\"x\":\"f0\"}}");
  put_text("model.safetensors.index.json", text);
  refuse(DW_NOTFOUND, "model.safetensors.index.json lists f0, which is not there", UINT64_MAX);
  strcpy(at, "\"x\":\"g\"}}");
  put_text("model.safetensors.index.json", text);
  refuse(DW_LIMIT, "model.safetensors.index.json: more than 4096 files", (uint64_t)(at - text) + 4);
  free(text);
}

static void test_refused(void) {
  make_folder();
  char words[600];
  snprintf(words, sizeof words, "no model in '%s': neither config.json nor model.safetensors nor tokenizer.json", folder);
  refuse(DW_NOTFOUND, words, UINT64_MAX);
  put_text("config.json", "{\"a\":1,}");
  refuse(DW_FORMAT, "config.json: expected a key", 7);
  put_text("config.json", "{\"a\":1}");
  put_text("model.safetensors", "12");
  refuse(DW_FORMAT, "model.safetensors: no safetensors file: shorter than the header's length", 2);
  CHECK_EQ(truncate(path_of("config.json"), (16 << 20) + 1), 0);
  refuse(DW_LIMIT, "config.json has 16777217 bytes; up to 16777216 are read", UINT64_MAX);
  dw_model *model;
  dw_error error = {0};
  CHECK_EQ(dw_model_open(path_of("nowhere"), &model, &error), DW_NOTFOUND);
  CHECK_EQ(dw_model_open(path_of("config.json"), &model, &error), DW_IO);
  CHECK_EQ(dw_model_open("", &model, NULL), DW_NOTFOUND);
  dw_model_counters counters;
  dw_model_counters_get(&counters);
  CHECK_EQ(counters.live, 0);
  CHECK_EQ(counters.mapped_bytes, 0);
}

// ---- config.json and the other files -----------------------------------------------------

static void test_meta(void) {
  make_folder();
  put_text("config.json", "{\"hidden_size\":2048,\"rms_norm_eps\":1e-05,\"tie\":true,\"none\":null,\"name\":\"a\\u00e9\\n\","
                          "\"architectures\":[\"LlamaForCausalLM\",\"b\"],\"rope_scaling\":{\"factor\":32.0,\"deep\":[[7]]},"
                          "\"empty\":\"\",\"\":{\"\":\"nameless\"}}");
  dw_model *model = opened();
  static const struct {
    const char *key, *text;
    int status;
  } keys[] = {
      {"hidden_size", "2048", DW_OK},
      {"rms_norm_eps", "1e-05", DW_OK},
      {"tie", "true", DW_OK},
      {"none", "null", DW_OK},
      {"name", "a\xC3\xA9\n", DW_OK},
      {"architectures.0", "LlamaForCausalLM", DW_OK},
      {"architectures.1", "b", DW_OK},
      {"rope_scaling.factor", "32.0", DW_OK},
      {"rope_scaling.deep.0.0", "7", DW_OK},
      {"empty", "", DW_OK},
      {".", "nameless", DW_OK},
      {"architectures", "config.json: 'architectures' is an array", DW_UNSUPPORTED},
      {"rope_scaling", "config.json: 'rope_scaling' is an object", DW_UNSUPPORTED},
      {"architectures.2", "config.json: no 'architectures.2'", DW_NOTFOUND},
      {"architectures.-1", "config.json: no 'architectures.-1'", DW_NOTFOUND},
      {"architectures.", "config.json: no 'architectures.'", DW_NOTFOUND},
      {"architectures.9999999999", "config.json: no 'architectures.9999999999'", DW_NOTFOUND},
      {"hidden_size.x", "config.json: no 'hidden_size.x'", DW_NOTFOUND},
      {"hidden", "config.json: no 'hidden'", DW_NOTFOUND},
      {"x.y", "config.json: no 'x.y'", DW_NOTFOUND},
  };
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    char text[64] = "untouched";
    size_t length = 77;
    dw_error error = {0};
    CHECK_STATUS(dw_model_meta(model, keys[i].key, text, sizeof text, &length, &error), keys[i].status, &error);
    CHECK_STR(keys[i].status ? error.detail : text, keys[i].text);
    if (!keys[i].status) CHECK_EQ(length, strlen(keys[i].text));
  }
  char four[4] = "";
  size_t length = 0;
  CHECK_EQ(dw_model_meta(model, "hidden_size", four, sizeof four, &length, NULL), DW_LIMIT);
  CHECK_EQ(length, 4);
  char five[5];
  CHECK_EQ(dw_model_meta(model, "hidden_size", five, sizeof five, NULL, NULL), DW_OK);
  dw_model_tensor_info info;
  dw_error error = {0};
  CHECK_EQ(dw_model_tensor(model, "a", &info, &error), DW_NOTFOUND);
  CHECK_STR(error.detail, "no tensor 'a': neither model.safetensors nor model.safetensors.index.json is there");
  dw_model_release(model);
}

static void test_files(void) {
  make_folder();
  put_text("tokenizer.json", "0123456789");
  put_text("target", "linked");
  put_text(".hidden", "x");
  CHECK_EQ(symlink("target", path_of("link.json")), 0);
  CHECK_EQ(symlink("nowhere", path_of("dangling")), 0);
  CHECK_EQ(mkdir(path_of("sub"), 0700), 0);
  CHECK_EQ(mkfifo(path_of("pipe"), 0600), 0);
  dw_model *model = opened();
  put_text("later", "x");
  char buffer[32];
  uint64_t got = 77, size_bytes = 0;
  dw_error error = {0};
  CHECK_OK(dw_model_read(model, "tokenizer.json", 3, buffer, 4, &got, &error), &error);
  CHECK(got == 4 && memcmp(buffer, "3456", 4) == 0);
  CHECK_OK(dw_model_read(model, "tokenizer.json", 8, buffer, 32, &got, &error), &error);
  CHECK(got == 2 && memcmp(buffer, "89", 2) == 0);
  static const uint64_t beyond[] = {10, 11, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
  for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
    CHECK_OK(dw_model_read(model, "tokenizer.json", beyond[i], buffer, 32, &got, &error), &error);
    CHECK_EQ(got, 0);
  }
  CHECK_OK(dw_model_read(model, "link.json", 0, buffer, UINT64_MAX, &got, &error), &error);
  CHECK(got == 6 && memcmp(buffer, "linked", 6) == 0);
  CHECK_OK(dw_model_file_size(model, "link.json", &size_bytes, &error), &error);
  CHECK_EQ(size_bytes, 6);
  static const char *const denied[] = {"", ".", "..", ".hidden", "/etc/passwd", "../x", "sub/x", "a\\b", "./target"};
  for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
    CHECK_STATUS(dw_model_read(model, denied[i], 0, buffer, 1, &got, &error), DW_DENIED, &error);
  static const char *const missing[] = {"nothing", "sub", "pipe", "dangling", "later", "TOKENIZER.JSON"};
  for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
    CHECK_STATUS(dw_model_file_size(model, missing[i], &size_bytes, &error), DW_NOTFOUND, &error);
  char long_name[400];
  memset(long_name, 'x', sizeof long_name - 1);
  long_name[sizeof long_name - 1] = 0;
  CHECK_EQ(dw_model_file_size(model, long_name, &size_bytes, &error), DW_DENIED);
  // A file that turned into something else, or went.
  CHECK_EQ(unlink(path_of("target")), 0);
  CHECK_EQ(mkfifo(path_of("target"), 0600), 0);
  CHECK_EQ(dw_model_read(model, "link.json", 0, buffer, 1, &got, &error), DW_IO);
  CHECK_EQ(unlink(path_of("tokenizer.json")), 0);
  CHECK_EQ(dw_model_read(model, "tokenizer.json", 0, buffer, 1, &got, &error), DW_NOTFOUND);
  dw_model_release(model);
}

// ---- Sharing ----------------------------------------------------------------------------

static void test_shared(void) {
  make_folder();
  put_weights("model.safetensors", NAMES("a"), 100);
  char alias[sizeof folder + 8];
  snprintf(alias, sizeof alias, "%s-alias", folder);
  CHECK_EQ(symlink(folder, alias), 0);
  dw_model *one = opened(), *two = opened(), *three;
  dw_error error = {0};
  CHECK_OK(dw_model_open(alias, &three, &error), &error);
  CHECK_EQ(unlink(alias), 0);
  CHECK(one == two && one == three);
  dw_model_counters counters;
  dw_model_counters_get(&counters);
  CHECK_EQ(counters.opened, 1);
  CHECK_EQ(counters.shared, 2);
  CHECK_EQ(counters.live, 1);
  CHECK_EQ(counters.mapped_bytes, dw_model_mapping_bytes(one));
  dw_model_retain(one);
  dw_model_release(two);
  dw_model_release(three);
  dw_model_release(one);
  check_bytes(one, "a", 100);
  // A changed file is another model; the one that is open stays as it was.
  CHECK_EQ(unlink(path_of("model.safetensors")), 0);
  put_weights("model.safetensors", NAMES("a"), 200);
  dw_model *changed = opened();
  CHECK(changed != one);
  check_bytes(one, "a", 100);
  check_bytes(changed, "a", 200);
  dw_model_release(one);
  dw_model_release(changed);
  dw_model_counters_get(&counters);
  CHECK_EQ(counters.opened, 2);
  CHECK_EQ(counters.live, 0);
  CHECK_EQ(counters.mapped_bytes, 0);
}

static void *open_often(void *unused) {
  (void)unused;
  for (int i = 0; i < 200; i++) {
    dw_model *model = opened(), *again = opened();
    CHECK(model == again);
    dw_model_release(model);
    check_bytes(again, "a", 100);
    dw_model_release(again);
  }
  return NULL;
}

static void test_threads(void) {
  make_folder();
  put_weights("model.safetensors", NAMES("a"), 100);
  pthread_t threads[6];
  for (int i = 0; i < 6; i++) CHECK_EQ(pthread_create(&threads[i], NULL, open_often, NULL), 0);
  for (int i = 0; i < 6; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
  dw_model_counters counters;
  dw_model_counters_get(&counters);
  CHECK_EQ(counters.opened + counters.shared, 6 * 200 * 2);
  CHECK_EQ(counters.live, 0);
}

// ---- SIGBUS -----------------------------------------------------------------------------

static atomic_bool stop_reading;
static atomic_uint rounds;

// Reads a tensor again and again, as a device would.
static void *read_often(void *bytes) {
  const volatile unsigned char *at = bytes;
  while (!atomic_load(&stop_reading)) {
    unsigned sum = 0;
    for (size_t i = 0; i < 1 << 20; i += 64) sum += at[i];
    atomic_fetch_add(&rounds, 1 + (sum == 1));
  }
  return NULL;
}

static void wait_rounds(unsigned more) {
  unsigned from = atomic_load(&rounds);
  while (atomic_load(&rounds) - from < more) usleep(1000);
}

static void test_truncated(void) {
  make_folder();
  put_weights("one.safetensors", NAMES("a"), 1 << 20);
  put_weights("two.safetensors", NAMES("b"), 1 << 20);
  put_text("model.safetensors.index.json", MAP("{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}"));
  dw_error error = {0};
  CHECK_OK(dw_sigbus_install(&error), &error);
  CHECK_OK(dw_sigbus_install(&error), &error);
  dw_model *model = opened();
  dw_model_tensor_info info;
  CHECK_OK(dw_model_tensor(model, "a", &info, &error), &error);
  pthread_t readers[2];
  for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&readers[i], NULL, read_often, (void *)info.bytes), 0);
  wait_rounds(4);
  CHECK_OK(dw_model_check(model, &error), &error);
  CHECK_EQ(truncate(path_of("one.safetensors"), 100000), 0);
  wait_rounds(20);
  CHECK_EQ(dw_model_check(model, &error), DW_IO);
  CHECK_STR(error.detail, "one.safetensors was cut off, or could not be read, while it was mapped");
  atomic_store(&stop_reading, true);
  for (int i = 0; i < 2; i++) CHECK_EQ(pthread_join(readers[i], NULL), 0);
  const unsigned char *bytes = info.bytes;
  CHECK_EQ(bytes[50000], 'a');
  CHECK_EQ(bytes[(1 << 20) - 1], 0);
  check_bytes(model, "b", 1 << 20);
  // Nobody is given the broken one again.
  dw_model *again;
  CHECK_EQ(dw_model_open(folder, &again, &error), DW_FORMAT);
  dw_model_release(model);
}

static void *cut_often(void *unused) {
  (void)unused;
  for (unsigned i = 0; !atomic_load(&stop_reading); i++) {
    put_weights("next", NAMES("a"), 300000);
    if (rename(path_of("next"), path_of("model.safetensors")) != 0) break;
    if (i % 2) usleep(i % 17 * 50);
    if (truncate(path_of("model.safetensors"), i % 3 ? i % 400 : 200000) != 0) break;
  }
  return NULL;
}

// Opening races with a writer that cuts: an error or a model, never a dead process.
static void test_cut_while_opening(void) {
  make_folder();
  put_weights("model.safetensors", NAMES("a"), 300000);
  dw_error error = {0};
  CHECK_OK(dw_sigbus_install(&error), &error);
  pthread_t writer;
  CHECK_EQ(pthread_create(&writer, NULL, cut_often, NULL), 0);
  unsigned opens = 0, failures = 0;
  for (int i = 0; i < 1500; i++) {
    dw_model *model;
    if (dw_model_open(folder, &model, &error) == DW_OK) {
      opens++;
      dw_model_tensor_info info;
      CHECK_OK(dw_model_tensor(model, "a", &info, &error), &error);
      volatile unsigned char last = ((const unsigned char *)info.bytes)[info.size_bytes - 1];
      CHECK(last == 'a' || last == 0);
      CHECK(last == 'a' || dw_model_check(model, &error) == DW_IO);
      dw_model_release(model);
    } else {
      failures++;
    }
  }
  atomic_store(&stop_reading, true);
  CHECK_EQ(pthread_join(writer, NULL), 0);
  CHECK_EQ(opens + failures, 1500);
}

// A file of one page, mapped with room for four and cut to nothing.
static unsigned char *map_beyond(size_t *size_bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  *size_bytes = 4 * page;
  char path[] = "/tmp/driftwood-sigbus-XXXXXX";
  int file = mkstemp(path);
  CHECK(file >= 0);
  CHECK_EQ(unlink(path), 0);
  CHECK_EQ(ftruncate(file, (off_t)page), 0);
  unsigned char *base = mmap(NULL, *size_bytes, PROT_READ, MAP_PRIVATE, file, 0);
  CHECK(base != MAP_FAILED);
  close(file);
  return base;
}

static unsigned look(const unsigned char *at) { return *(const volatile unsigned char *)at; }

static void test_watch(void) {
  dw_error error = {0};
  CHECK_OK(dw_sigbus_install(&error), &error);
  size_t size_bytes, page = (size_t)sysconf(_SC_PAGESIZE);
  enum { COUNT = 150 };
  unsigned char *bases[COUNT];
  dw_sigbus_range *ranges[COUNT];
  for (int i = 0; i < COUNT; i++) {
    bases[i] = map_beyond(&size_bytes);
    ranges[i] = dw_sigbus_watch(bases[i], size_bytes, &error);
    CHECK(ranges[i] != NULL);
  }
  for (int i = 0; i < COUNT; i++) CHECK_EQ(look(bases[i] + page - 1), 0);
  for (int i = 0; i < COUNT; i++) CHECK(!dw_sigbus_broken(ranges[i]));
  errno = 12345;
  CHECK_EQ(look(bases[149] + 2 * page), 0);
  CHECK_EQ(errno, 12345);
  CHECK_EQ(look(bases[149] + page), 0);
  CHECK_EQ(look(bases[149] + 4 * page - 1), 0);
  CHECK_EQ(look(bases[0] + page), 0);
  for (int i = 0; i < COUNT; i++) CHECK_EQ(dw_sigbus_broken(ranges[i]), i == 0 || i == 149);
  // A place that is free again begins unbroken.
  dw_sigbus_unwatch(ranges[149]);
  CHECK(dw_sigbus_watch(bases[1], size_bytes, &error) == ranges[149]);
  CHECK(!dw_sigbus_broken(ranges[149]));
  CHECK(dw_sigbus_watch(bases[1] + 1, size_bytes, &error) == NULL);
  CHECK_EQ(error.code, DW_INVALID);
  CHECK(dw_sigbus_watch(bases[1], size_bytes - 1, NULL) == NULL);
  CHECK(dw_sigbus_watch(bases[1], 0, NULL) == NULL);
}

static sigjmp_buf outside;
static atomic_uint passed_on;

static void earlier_info(int number, siginfo_t *info, void *context) {
  (void)context;
  CHECK_EQ(number, SIGBUS);
  atomic_fetch_add(&passed_on, 1);
  if (info->si_code > 0) siglongjmp(outside, 1);
}

static void earlier_plain(int number) {
  CHECK_EQ(number, SIGBUS);
  atomic_fetch_add(&passed_on, 1);
  siglongjmp(outside, 1);
}

static void check_passed_on(void) {
  dw_error error = {0};
  CHECK_OK(dw_sigbus_install(&error), &error);
  size_t size_bytes, page = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char *watched = map_beyond(&size_bytes), *foreign = map_beyond(&size_bytes);
  dw_sigbus_range *range = dw_sigbus_watch(watched, size_bytes, &error);
  CHECK_EQ(look(watched + page), 0);
  CHECK_EQ(atomic_load(&passed_on), 0);
  if (sigsetjmp(outside, 1) == 0) {
    look(foreign + page);
    CHECK(false && "the fault is passed on");
  }
  CHECK_EQ(atomic_load(&passed_on), 1);
  // What was watched once is nobody's concern any more.
  dw_sigbus_unwatch(range);
  CHECK_EQ(munmap(watched, size_bytes), 0);
  watched = map_beyond(&size_bytes);
  if (sigsetjmp(outside, 1) == 0) {
    look(watched + page);
    CHECK(false && "the fault is passed on");
  }
  CHECK_EQ(atomic_load(&passed_on), 2);
  if (sigsetjmp(outside, 1) == 0) CHECK_EQ(raise(SIGBUS), 0);
  CHECK_EQ(atomic_load(&passed_on), 3);
}

static void test_chained(void) {
  struct sigaction action = {.sa_sigaction = earlier_info, .sa_flags = SA_SIGINFO};
  CHECK_EQ(sigaction(SIGBUS, &action, NULL), 0);
  check_passed_on();
}

static void test_chained_plain(void) {
  struct sigaction action = {.sa_handler = earlier_plain};
  CHECK_EQ(sigaction(SIGBUS, &action, NULL), 0);
  check_passed_on();
}

// How a child ends that has our handler in front of `disposition`.
static int ending(void (*disposition)(int), bool fault) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    signal(SIGBUS, disposition);
    size_t size_bytes;
    unsigned char *foreign = map_beyond(&size_bytes);
    dw_error error;
    CHECK_OK(dw_sigbus_install(&error), &error);
    if (fault) look(foreign + size_bytes - 1);
    else raise(SIGBUS);
    _exit(7);
  }
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_default(void) {
  CHECK_EQ(ending(SIG_DFL, true), -SIGBUS);
  CHECK_EQ(ending(SIG_DFL, false), -SIGBUS);
  CHECK_EQ(ending(SIG_IGN, true), -SIGBUS);
  CHECK_EQ(ending(SIG_IGN, false), 7);
}

static const dw_case cases[] = {
    {"single", "a model of one file", test_single},
    {"sharded", "a model of two shards", test_sharded},
    {"ranks", "tensors of no and of too many dimensions", test_ranks},
    {"index", "an index that its shards contradict", test_index},
    {"too_many_shards", "an index of 4,096 files, and of one more", test_too_many_shards},
    {"refused", "directories that are no model", test_refused},
    {"meta", "scalars of config.json by path", test_meta},
    {"files", "files by name and range, and no others", test_files},
    {"shared", "one object for all who open the same files", test_shared},
    {"threads", "opened and released by six threads at once", test_threads},
    {"truncated", "a file that is cut off under its readers", test_truncated},
    {"cut_while_opening", "files that are cut off while they are opened", test_cut_while_opening},
    {"watch", "faults in watched mappings give zeros", test_watch},
    {"chained", "other faults go to the handler that was there", test_chained},
    {"chained_plain", "the same without siginfo", test_chained_plain},
    {"default", "other faults end the process as if we were not there", test_default},
};
DW_TEST_MAIN(cases)
