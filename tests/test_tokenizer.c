// The llm guest's tokeniser, compiled natively: agreement with `tokenizers` on the
// goldens that tests/goldens/tokenizer holds, and what it refuses.
#include "dw_test.h"

#include "../guests/llm/bpe.c"
#include "../guests/llm/encode.c"
#include "../guests/llm/pieces.c"
#include "../guests/llm/tokenizer.c"
#include "../guests/llm/unicode.c"
#include "../guests/llm/unicode_tables.c"

#include "format/json.h"

static char *read_file(const char *name, size_t *length) {
  char path[4096];
  const char *source = getenv("DW_SOURCE_DIR");
  snprintf(path, sizeof path, "%s/tests/goldens/tokenizer/%s", source ? source : ".", name);
  FILE *file = fopen(path, "rb");
  if (!file) {
    fprintf(stderr, "    cannot open %s\n", path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  *length = (size_t)ftell(file);
  rewind(file);
  char *text = malloc(*length + 1);
  CHECK(text && fread(text, 1, *length, file) == *length);
  text[*length] = 0;
  fclose(file);
  return text;
}

static void load_golden(llm_tokenizer *tokenizer, const char *name) {
  char file[64];
  size_t length;
  llm_error error = {""};
  snprintf(file, sizeof file, "%s.json", name);
  char *json = read_file(file, &length);
  if (!llm_tokenizer_load(tokenizer, json, length, &error)) {
    fprintf(stderr, "    %s\n", error.text);
    exit(1);
  }
  free(json);
}

// Whether the JSON list of numbers equals the ids.
static bool same_ids(const llm_ids *ids, const char *list) {
  uint32_t i = 0;
  for (const char *at = strchr(list, '[') + 1; *at && *at != ']'; i++) {
    char *end;
    unsigned long id = strtoul(at, &end, 10);
    if (i >= ids->count || ids->ids[i] != id) return false;
    at = *end == ',' ? end + 1 : end;
  }
  return i == ids->count;
}

static void show(const char *line, const llm_ids *ids, const char *expected) {
  fprintf(stderr, "    text %s\n    expected %s\n    got [", line, expected);
  for (uint32_t i = 0; i < ids->count; i++) fprintf(stderr, "%s%u", i ? "," : "", ids->ids[i]);
  fprintf(stderr, "]\n");
}

static void check_golden(const char *name) {
  llm_tokenizer tokenizer;
  char file[64];
  size_t length;
  load_golden(&tokenizer, name);
  snprintf(file, sizeof file, "%s.lines", name);
  char *lines = read_file(file, &length), *lines_at = NULL;
  snprintf(file, sizeof file, "%s.ids", name);
  char *lists = read_file(file, &length), *lists_at = NULL;
  uint32_t wrong = 0, count = 0;
  char *line = strtok_r(lines, "\n", &lines_at), *list = strtok_r(lists, "\n", &lists_at);
  for (; line && list;
       line = strtok_r(NULL, "\n", &lines_at), list = strtok_r(NULL, "\n", &lists_at), count++) {
    dw_json json;
    llm_ids ids = {0};
    CHECK_EQ(dw_json_parse(line, strlen(line), 0, &json, NULL), DW_OK);
    char *text = malloc(strlen(line) + 1);
    uint32_t bytes = dw_json_string(&json, 0, text);
    CHECK(llm_encode(&tokenizer, text, bytes, true, &ids));
    if (!same_ids(&ids, list) && wrong++ < 5) show(line, &ids, list);
    llm_ids_free(&ids);
    free(text);
    dw_json_free(&json);
  }
  CHECK(!line && !list && count >= 100);
  CHECK_EQ(wrong, 0);
  free(lines);
  free(lists);
  llm_tokenizer_free(&tokenizer);
}

static void test_gpt2(void) {
  check_golden("gpt2");
}
static void test_prefix(void) {
  check_golden("prefix");
}
static void test_digits(void) {
  check_golden("digits");
}
static void test_llama3(void) {
  check_golden("llama3");
}
static void test_qwen2(void) {
  check_golden("qwen2");
}

static void test_whole(void) {
  llm_tokenizer tokenizer;
  size_t length, list_length;
  llm_ids ids = {0};
  load_golden(&tokenizer, "llama3");
  char *text = read_file("whole.txt", &length), *list = read_file("whole.ids", &list_length);
  CHECK(llm_encode(&tokenizer, text, length, true, &ids));
  CHECK(same_ids(&ids, list));
  free(text);
  free(list);
  llm_ids_free(&ids);
  llm_tokenizer_free(&tokenizer);
}

// Decoding gives the text back, whatever it is.
static void test_decode(void) {
  llm_tokenizer tokenizer;
  size_t length;
  llm_ids ids = {0};
  load_golden(&tokenizer, "llama3");
  char *text = read_file("whole.txt", &length), *back = malloc(length + 64);
  CHECK(llm_encode(&tokenizer, text, length, true, &ids));
  size_t used = 0;
  for (uint32_t i = 0; i < ids.count; i++) {
    uint32_t bytes;
    const char *token = llm_token_bytes(&tokenizer, ids.ids[i], &bytes);
    CHECK(bytes > 0 && used + bytes <= length);
    memcpy(back + used, token, bytes);
    used += bytes;
  }
  CHECK(used == length && memcmp(back, text, length) == 0);
  CHECK(tokenizer.bos != LLM_NO_TOKEN && llm_token_is_special(&tokenizer, tokenizer.bos));
  CHECK_EQ(llm_token(&tokenizer, "<|begin_of_text|>", 17), tokenizer.bos);
  CHECK_EQ(llm_token(&tokenizer, "<|nothing|>", 11), LLM_NO_TOKEN);
  free(text);
  free(back);
  llm_ids_free(&ids);
  llm_tokenizer_free(&tokenizer);
}

// The heap and the search through all pairs agree, and a giant word takes no quadratic time.
static void test_long_words(void) {
  llm_tokenizer tokenizer;
  load_golden(&tokenizer, "llama3");
  uint32_t state = 1;
  for (uint32_t length = 2; length <= SHORT_PIECE; length++)
    for (int round = 0; round < 400; round++) {
      uint32_t symbols[SHORT_PIECE];
      llm_ids few = {0}, many = {0};
      for (uint32_t i = 0; i < length; i++) {
        state = state * 1664525u + 1013904223u;
        symbols[i] = tokenizer.bytes[(unsigned char)"etaoinshrdlu"[(state >> 16) % 12]];
      }
      CHECK(encode_long(&tokenizer, symbols, length, &many));
      CHECK(encode_short(&tokenizer, symbols, length, &few));
      CHECK(few.count == many.count && memcmp(few.ids, many.ids, few.count * sizeof *few.ids) == 0);
      llm_ids_free(&few);
      llm_ids_free(&many);
    }
  size_t length = (size_t)4 << 20; // quadratic, this would take hours
  char *text = malloc(length);
  for (size_t i = 0; i < length; i++) text[i] = "the"[i % 3];
  llm_ids ids = {0};
  CHECK(llm_encode(&tokenizer, text, length, true, &ids));
  CHECK(ids.count > length / 64);
  llm_ids_free(&ids);
  free(text);
  llm_tokenizer_free(&tokenizer);
}

static void test_invalid_utf8(void) {
  llm_tokenizer tokenizer;
  load_golden(&tokenizer, "llama3");
  static const struct {
    const char *broken, *repaired;
  } cases[] = {{"a\xFFz", "a\xEF\xBF\xBDz"},
               {"\xE2\x82", "\xEF\xBF\xBD"},
               {"\xE2\x82z", "\xEF\xBF\xBDz"},
               {"\xF0\x9F\x98\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
               {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    llm_ids broken = {0}, fine = {0};
    CHECK(llm_encode(&tokenizer, cases[i].broken, strlen(cases[i].broken), true, &broken));
    CHECK(llm_encode(&tokenizer, cases[i].repaired, strlen(cases[i].repaired), true, &fine));
    CHECK(broken.count == fine.count && memcmp(broken.ids, fine.ids, fine.count * sizeof *fine.ids) == 0);
    llm_ids_free(&broken);
    llm_ids_free(&fine);
  }
  llm_tokenizer_free(&tokenizer);
}

#define TAIL                                                                                                 \
  "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"               \
  "\"decoder\":{\"type\":\"ByteLevel\"}}"
#define MODEL(inside) "{\"model\":{\"type\":\"BPE\"," inside "}," TAIL

// One word of each refusal, so that a user knows what his file has.
static void test_refused(void) {
  static const struct {
    const char *json, *words;
  } cases[] = {
      {"{", "too early"},
      {"[]", "not an object"},
      {"{}", "no vocabulary"},
      {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "Unigram"},
      {MODEL("\"vocab\":{\"a\":-1},\"merges\":[]"), "token id"},
      {MODEL("\"vocab\":{\"a\":4194304},\"merges\":[]"), "token id"},
      {MODEL("\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), "given twice"},
      {MODEL("\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]"), "given twice"},
      {MODEL("\"vocab\":{\"a\":0},\"merges\":[\"a b\"]"), "vocabulary lacks"},
      {MODEL("\"vocab\":{\"a\":0},\"merges\":[\"ab\"]"), "no pair"},
      {MODEL("\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]"), "no pair"},
      {MODEL("\"vocab\":{\"a\":0},\"merges\":[7]"), "no pair"},
      {MODEL("\"vocab\":{\"a\":0},\"merges\":[\"a \xE4\xB8\x80\"]"), "no pair"},
      {MODEL("\"byte_fallback\":true,\"vocab\":{},\"merges\":[]"), "byte_fallback"},
      {MODEL("\"dropout\":0.1,\"vocab\":{},\"merges\":[]"), "dropout"},
      {MODEL("\"unk_token\":\"a\",\"vocab\":{\"a\":0},\"merges\":[]"), "unk_token"},
      {MODEL("\"end_of_word_suffix\":\"</w>\",\"vocab\":{},\"merges\":[]"), "end_of_word_suffix"},
      {"{\"added_tokens\":[{\"id\":3}],\"model\":{\"vocab\":{},\"merges\":[]}," TAIL, "no content"},
      {"{\"added_tokens\":{},\"model\":{\"vocab\":{},\"merges\":[]}," TAIL, "no list"},
      {"{\"model\":{\"vocab\":{},\"merges\":[]},\"normalizer\":{\"type\":\"NFC\"},"
       "\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"decoder\":{\"type\":\"ByteLevel\"}}",
       "NFC"},
      {"{\"model\":{\"vocab\":{},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Metaspace\"}}", "Metaspace"},
      {"{\"model\":{\"vocab\":{},\"merges\":[]},\"pre_tokenizer\":null}", "null"},
      {"{\"model\":{\"vocab\":{},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":"
       "[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x+\"}},{\"type\":\"ByteLevel\",\"use_regex\":false}]}}",
       "pattern"},
      {"{\"model\":{\"vocab\":{},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":"
       "[{\"type\":\"Punctuation\"},{\"type\":\"ByteLevel\",\"use_regex\":false}]}}",
       "Punctuation"},
      {"{\"model\":{\"vocab\":{},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"
       "\"decoder\":{\"type\":\"WordPiece\"}}",
       "WordPiece"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    llm_tokenizer tokenizer;
    llm_error error = {""};
    bool loaded = llm_tokenizer_load(&tokenizer, cases[i].json, strlen(cases[i].json), &error);
    if (loaded || !strstr(error.text, cases[i].words)) {
      fprintf(stderr, "    case %zu: \"%s\" lacks \"%s\"\n", i, error.text, cases[i].words);
      exit(1);
    }
  }
}

// Missing bytes are dropped, as the peer does it, and a token that is no byte string decodes.
static void test_tiny(void) {
  static const char json[] =
      MODEL("\"vocab\":{\"a\":5,\"b\":1,\"ab\":2,\"\xE4\xB8\x80\":3},\"merges\":[\"a b\"]");
  llm_tokenizer tokenizer;
  llm_error error;
  llm_ids ids = {0};
  uint32_t length;
  CHECK(llm_tokenizer_load(&tokenizer, json, strlen(json), &error));
  CHECK(llm_encode(&tokenizer, "axb", 3, true, &ids)); // x is dropped, and then a and b are neighbours
  CHECK(ids.count == 1 && ids.ids[0] == 2);
  CHECK_EQ(tokenizer.bos, LLM_NO_TOKEN);
  CHECK(memcmp(llm_token_bytes(&tokenizer, 3, &length), "\xE4\xB8\x80", 3) == 0 && length == 3);
  llm_token_bytes(&tokenizer, 4, &length);
  CHECK_EQ(length, 0);
  llm_token_bytes(&tokenizer, UINT32_MAX, &length);
  CHECK_EQ(length, 0);
  CHECK(!llm_token_is_special(&tokenizer, UINT32_MAX));
  llm_ids_free(&ids);
  llm_tokenizer_free(&tokenizer);
}

static const dw_case cases[] = {
    {"gpt2", "300 lines as tokenizers cuts them: GPT-2 pattern, merges as strings", test_gpt2},
    {"prefix", "100 lines: GPT-2 pattern with a space put in front", test_prefix},
    {"digits", "300 lines: every number a piece of its own", test_digits},
    {"llama3", "400 lines: Llama 3 pattern, ignore_merges", test_llama3},
    {"qwen2", "400 lines: Qwen 2 pattern, added tokens of every kind", test_qwen2},
    {"whole", "a text of many lines in one piece", test_whole},
    {"decode", "decoding gives the text back", test_decode},
    {"long_words", "both ways to merge agree; a word of 4 MB", test_long_words},
    {"invalid_utf8", "broken sequences count as U+FFFD", test_invalid_utf8},
    {"refused", "what a file asks for that is not supported is named", test_refused},
    {"tiny", "missing bytes, tokens that are no byte strings", test_tiny},
};
DW_TEST_MAIN(cases)
