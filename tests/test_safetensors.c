#include "dw_test.h"
#include "format/quote.h"
#include "format/safetensors.h"

#include <dirent.h>

#define FOLDER DW_SOURCE_DIR "/tests/corpus/safetensors/"

static unsigned char *read_file(const char *path, size_t *size_bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) fprintf(stderr, "    cannot open %s\n", path);
  CHECK(file != NULL);
  CHECK_EQ(fseek(file, 0, SEEK_END), 0);
  *size_bytes = (size_t)ftell(file);
  rewind(file);
  unsigned char *bytes = malloc(*size_bytes ? *size_bytes : 1);
  CHECK_EQ(fread(bytes, 1, *size_bytes, file), *size_bytes);
  fclose(file);
  return bytes;
}

static unsigned char *read_corpus(const char *name, size_t *size_bytes) {
  char path[512];
  snprintf(path, sizeof path, FOLDER "%s.safetensors", name);
  return read_file(path, size_bytes);
}

// ---- What is refused, and where ---------------------------------------------------------

// tools/goldens/safetensors_corpus.py made the files and says what is wrong with each.
static const struct {
  const char *name;
  int status;
  uint64_t position;
} refusals[] = {
    {"i_dtype_c64", DW_UNSUPPORTED, 22},
    {"i_dtype_f8", DW_UNSUPPORTED, 22},
    {"i_member_unknown", DW_FORMAT, 13},
    {"i_metadata_key_twice", DW_FORMAT, 33},
    {"i_metadata_null", DW_FORMAT, 24},
    {"i_rank_9", DW_UNSUPPORTED, 35},
    {"i_space_first", DW_FORMAT, 8},
    {"i_tensor_twice", DW_FORMAT, 61},
    {"n_array", DW_FORMAT, 8},
    {"n_byte_order_mark", DW_FORMAT, 8},
    {"n_comment", DW_FORMAT, 10},
    {"n_data_cut", DW_FORMAT, 57},
    {"n_data_missing", DW_FORMAT, 57},
    {"n_dtype_empty", DW_UNSUPPORTED, 22},
    {"n_dtype_lower_case", DW_UNSUPPORTED, 22},
    {"n_dtype_number", DW_FORMAT, 22},
    {"n_dtype_unknown", DW_UNSUPPORTED, 22},
    {"n_entry_not_an_object", DW_FORMAT, 13},
    {"n_entry_null", DW_FORMAT, 13},
    {"n_gap_between", DW_FORMAT, 61},
    {"n_gap_first", DW_FORMAT, 9},
    {"n_gap_of_an_empty_one", DW_FORMAT, 61},
    {"n_json_cut", DW_FORMAT, 59},
    {"n_length_100000001", DW_LIMIT, 0},
    {"n_length_2_63", DW_LIMIT, 0},
    {"n_length_all_ones", DW_LIMIT, 0},
    {"n_length_alone", DW_FORMAT, 0},
    {"n_length_into_the_data", DW_FORMAT, 73},
    {"n_length_one_long", DW_FORMAT, 0},
    {"n_length_one_short", DW_FORMAT, 9},
    {"n_length_zero", DW_FORMAT, 8},
    {"n_lone_surrogate", DW_FORMAT, 10},
    {"n_member_twice", DW_FORMAT, 27},
    {"n_metadata_array", DW_FORMAT, 24},
    {"n_metadata_nested", DW_FORMAT, 29},
    {"n_metadata_number", DW_FORMAT, 29},
    {"n_metadata_text", DW_FORMAT, 24},
    {"n_no_dtype", DW_FORMAT, 13},
    {"n_no_offsets", DW_FORMAT, 13},
    {"n_no_shape", DW_FORMAT, 13},
    {"n_not_utf8", DW_FORMAT, 10},
    {"n_nothing", DW_FORMAT, 0},
    {"n_offsets_2_64", DW_FORMAT, 57},
    {"n_offsets_beyond", DW_FORMAT, 54},
    {"n_offsets_negative", DW_FORMAT, 55},
    {"n_offsets_number", DW_FORMAT, 54},
    {"n_offsets_one", DW_FORMAT, 54},
    {"n_offsets_reversed", DW_FORMAT, 54},
    {"n_offsets_text", DW_FORMAT, 55},
    {"n_offsets_three", DW_FORMAT, 54},
    {"n_offsets_wrap", DW_FORMAT, 54},
    {"n_overlap", DW_FORMAT, 61},
    {"n_overlap_inside", DW_FORMAT, 61},
    {"n_overlap_same", DW_FORMAT, 61},
    {"n_seven_bytes", DW_FORMAT, 7},
    {"n_shape_2_64", DW_FORMAT, 36},
    {"n_shape_exponent", DW_FORMAT, 36},
    {"n_shape_fraction", DW_FORMAT, 36},
    {"n_shape_negative", DW_FORMAT, 36},
    {"n_shape_number", DW_FORMAT, 35},
    {"n_shape_overflow", DW_FORMAT, 35},
    {"n_shape_overflow_then_zero", DW_FORMAT, 35},
    {"n_shape_overflow_to_fit", DW_FORMAT, 36},
    {"n_shape_text", DW_FORMAT, 36},
    {"n_size_of_a_scalar", DW_FORMAT, 54},
    {"n_size_too_large", DW_FORMAT, 55},
    {"n_size_too_small", DW_FORMAT, 55},
    {"n_string", DW_FORMAT, 8},
    {"n_text_after", DW_FORMAT, 10},
    {"n_trailing_byte", DW_FORMAT, 89},
    {"n_trailing_byte_alone", DW_FORMAT, 10},
    {"n_trailing_comma", DW_FORMAT, 61},
    {"n_utf8_overlong", DW_FORMAT, 10},
    {"n_utf8_surrogate", DW_FORMAT, 10},
    {"n_zero_padding", DW_FORMAT, 10},
};
#define REFUSALS (sizeof refusals / sizeof *refusals)

static void test_refused(void) {
  for (size_t i = 0; i < REFUSALS; i++) {
    size_t size_bytes;
    unsigned char *bytes = read_corpus(refusals[i].name, &size_bytes);
    dw_safetensors file;
    dw_error error = {0};
    int status = dw_safetensors_parse(bytes, size_bytes, &file, &error);
    if (status != refusals[i].status || !error.has_position || error.position != refusals[i].position) {
      fprintf(stderr, "    %s: status %d at %" PRIu64 " (%s), expected %d at %" PRIu64 "\n", refusals[i].name, status,
              error.position, error.detail, refusals[i].status, refusals[i].position);
      exit(1);
    }
    CHECK_EQ(error.code, status);
    CHECK(error.detail[0] != 0);
    CHECK(file.tensors == NULL && file.tensor_count == 0 && file.strings == NULL);
    CHECK_EQ(dw_safetensors_parse(bytes, size_bytes, &file, NULL), status);
    free(bytes);
  }
}

// Every file of the corpus is in the table above or in accepted.txt.
static void test_complete(void) {
  DIR *folder = opendir(FOLDER);
  CHECK(folder != NULL);
  size_t refused = 0;
  for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
    size_t length = strlen(entry->d_name);
    if (length < 12 || strcmp(entry->d_name + length - 12, ".safetensors") != 0 || entry->d_name[0] == 'y') continue;
    bool known = false;
    for (size_t i = 0; i < REFUSALS && !known; i++)
      known = strlen(refusals[i].name) == length - 12 && strncmp(refusals[i].name, entry->d_name, length - 12) == 0;
    if (!known) fprintf(stderr, "    %s is in no table\n", entry->d_name);
    CHECK(known);
    refused++;
  }
  closedir(folder);
  CHECK_EQ(refused, REFUSALS);
}

static void test_words(void) {
  size_t size_bytes;
  unsigned char *bytes = read_corpus("n_dtype_unknown", &size_bytes);
  dw_safetensors file;
  dw_error error = {0};
  CHECK_EQ(dw_safetensors_parse(bytes, size_bytes, &file, &error), DW_UNSUPPORTED);
  CHECK_STR(error.detail, "tensor 'a': data type 'Q4_0'");
  free(bytes);
  bytes = read_corpus("n_size_too_small", &size_bytes);
  CHECK_EQ(dw_safetensors_parse(bytes, size_bytes, &file, &error), DW_FORMAT);
  CHECK_STR(error.detail, "tensor 'a': 7 bytes, but type and shape make 8");
  free(bytes);
  const dw_quote quoted = dw_quote_string("a\033[31m\x7F\xC2\x9B\xC3\xA9");
  CHECK_STR(quoted.text, "'a?[31m??\xC3\xA9'");
  char text[200];
  memset(text, 'x', sizeof text);
  dw_quote quote = dw_quote_bytes(text, sizeof text);
  CHECK_EQ(strlen(quote.text), DW_QUOTE_BYTES - 1);
  CHECK_STR(quote.text + DW_QUOTE_BYTES - 6, "x...'");
  text[DW_QUOTE_BYTES - 7] = '\xC3'; // a character across the place of the cut
  text[DW_QUOTE_BYTES - 6] = '\xA9';
  quote = dw_quote_bytes(text, sizeof text);
  CHECK_STR(quote.text + DW_QUOTE_BYTES - 7, "x...'");
}

// ---- What is accepted, and what is in it ------------------------------------------------

static uint64_t fnv(const unsigned char *bytes, uint64_t size_bytes) {
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  for (uint64_t i = 0; i < size_bytes; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001B3);
  return hash;
}

static const char *dtype_name(uint32_t dtype) {
  switch (dtype) {
#define X(name, code, text, bytes) case code: return text;
    DW_DTYPE_MAP(X)
#undef X
    default: return "?";
  }
}

// The line of accepted.txt that this tensor makes.
static void describe(const unsigned char *bytes, const dw_safetensors_tensor *tensor, char *line, size_t room) {
  int at = snprintf(line, room, "  %s", tensor->name_bytes ? "" : "-");
  for (uint32_t i = 0; i < tensor->name_bytes; i++)
    at += snprintf(line + at, room - (size_t)at, "%02x", (unsigned char)tensor->name[i]);
  at += snprintf(line + at, room - (size_t)at, " %s [", dtype_name(tensor->dtype));
  for (uint32_t i = 0; i < tensor->rank; i++)
    at += snprintf(line + at, room - (size_t)at, "%s%" PRIu64, i ? "," : "", tensor->dims[i]);
  snprintf(line + at, room - (size_t)at, "] %" PRIu64 " %016" PRIx64 "\n", tensor->size_bytes,
           fnv(bytes + tensor->offset_bytes, tensor->size_bytes));
}

static void check_accepted(FILE *list, const char *name, uint32_t count) {
  char path[128], expected[1024], found[1024];
  snprintf(path, sizeof path, "y_%s", name);
  size_t size_bytes;
  unsigned char *bytes = read_corpus(path, &size_bytes);
  dw_safetensors file;
  dw_error error = {0};
  CHECK_OK(dw_safetensors_parse(bytes, size_bytes, &file, &error), &error);
  CHECK_EQ(file.tensor_count, count);
  for (uint32_t i = 0; i < count; i++) {
    CHECK(fgets(expected, sizeof expected, list) != NULL);
    describe(bytes, &file.tensors[i], found, sizeof found);
    CHECK_STR(found, expected);
    CHECK(file.tensors[i].offset_bytes + file.tensors[i].size_bytes <= size_bytes);
    if (strlen(file.tensors[i].name) == file.tensors[i].name_bytes)
      CHECK(dw_safetensors_find(&file, file.tensors[i].name) == &file.tensors[i]);
  }
  CHECK(dw_safetensors_find(&file, "no such tensor") == NULL);
  dw_safetensors_free(&file);
  free(bytes);
}

static void test_accepted(void) {
  FILE *list = fopen(FOLDER "accepted.txt", "r");
  CHECK(list != NULL);
  char line[200], name[100];
  unsigned count, files = 0;
  for (; fgets(line, sizeof line, list); files++) {
    CHECK_EQ(sscanf(line, "%99s %u", name, &count), 2);
    check_accepted(list, name, count);
  }
  CHECK(feof(list));
  CHECK_EQ(files, 24);
  fclose(list);
}

static void test_metadata(void) {
  size_t size_bytes;
  unsigned char *bytes = read_corpus("y_metadata", &size_bytes);
  dw_safetensors file;
  dw_error error = {0};
  CHECK_OK(dw_safetensors_parse(bytes, size_bytes, &file, &error), &error);
  CHECK_EQ(file.metadata_count, 3);
  CHECK_STR(dw_safetensors_meta(&file, "format"), "pt");
  CHECK_STR(dw_safetensors_meta(&file, ""), "");
  CHECK_STR(dw_safetensors_meta(&file, "\xC3\xA9\n"), "\"quoted\"");
  CHECK(dw_safetensors_meta(&file, "a") == NULL);
  dw_safetensors_free(&file);
  free(bytes);
}

// A file cut off anywhere is refused, and nothing beyond its end is read.
static void test_cut(void) {
  size_t size_bytes;
  unsigned char *bytes = read_corpus("y_every_dtype", &size_bytes);
  for (size_t length = 0; length < size_bytes; length++) {
    unsigned char *part = malloc(length ? length : 1);
    memcpy(part, bytes, length);
    dw_safetensors file;
    dw_error error = {0};
    CHECK_EQ(dw_safetensors_parse(part, length, &file, &error), DW_FORMAT);
    CHECK(error.position <= size_bytes);
    free(part);
  }
  free(bytes);
}

static const dw_case cases[] = {
    {"refused", "every malformed file is refused at its byte", test_refused},
    {"complete", "no file of the corpus is left out", test_complete},
    {"words", "errors name what is wrong, and steer no terminal", test_words},
    {"accepted", "tensors are those that the safetensors package finds", test_accepted},
    {"metadata", "metadata by key", test_metadata},
    {"cut", "a file cut off at any byte", test_cut},
};
DW_TEST_MAIN(cases)
