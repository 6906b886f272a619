#include "dw_test.h"
#include "format/json.h"

#include <math.h>

// ---- What is refused, and where -------------------------------------------------------

typedef struct refused {
  const char *text;
  int status;
  uint64_t position;
  size_t length;               // 0: up to the terminator
} refused;

static const refused refusals[] = {
    {"", DW_FORMAT, 0, 0},
    {"  ", DW_FORMAT, 2, 0},
    {"\xEF\xBB\xBF{}", DW_FORMAT, 0, 0},
    {"{} {}", DW_FORMAT, 3, 0},
    {"1 2", DW_FORMAT, 2, 0},
    {"1\0", DW_FORMAT, 1, 2},
    // Words.
    {"nul", DW_FORMAT, 0, 0},
    {"True", DW_FORMAT, 0, 0},
    {"[fals]", DW_FORMAT, 1, 0},
    {"nullx", DW_FORMAT, 4, 0},
    {"NaN", DW_FORMAT, 0, 0},
    {"[Infinity]", DW_FORMAT, 1, 0},
    // Numbers.
    {"01", DW_FORMAT, 0, 0},
    {"[-012]", DW_FORMAT, 1, 0},
    {"+1", DW_FORMAT, 0, 0},
    {".5", DW_FORMAT, 0, 0},
    {"-", DW_FORMAT, 1, 0},
    {"[-a]", DW_FORMAT, 2, 0},
    {"1.", DW_FORMAT, 2, 0},
    {"[1.e5]", DW_FORMAT, 3, 0},
    {"1e", DW_FORMAT, 2, 0},
    {"[1e+]", DW_FORMAT, 4, 0},
    {"0x10", DW_FORMAT, 1, 0},
    {"-Infinity", DW_FORMAT, 1, 0},
    // Strings.
    {"\"abc", DW_FORMAT, 4, 0},
    {"\"0123456789", DW_FORMAT, 11, 0},
    {"'a'", DW_FORMAT, 0, 0},
    {"\"a\tb\"", DW_FORMAT, 2, 0},
    {"\"01234567\x1f\"", DW_FORMAT, 9, 0},
    {"\"a\0b\"", DW_FORMAT, 2, 5},
    {"\"a\nb\"", DW_FORMAT, 2, 0},
    {"\"\\", DW_FORMAT, 2, 0},
    {"\"\\a\"", DW_FORMAT, 1, 0},
    {"\"\\\0\"", DW_FORMAT, 1, 4},
    {"\"\\x41\"", DW_FORMAT, 1, 0},
    {"\"\\u\"", DW_FORMAT, 1, 0},
    {"\"\\u12", DW_FORMAT, 1, 0},
    {"\"ab\\u12g4\"", DW_FORMAT, 3, 0},
    {"\"\\u-123\"", DW_FORMAT, 1, 0},
    {"\"\\uD800\"", DW_FORMAT, 1, 0},
    {"\"\\uDC00\"", DW_FORMAT, 1, 0},
    {"\"\\uD83D\\uD83D\"", DW_FORMAT, 1, 0},
    {"\"\\uD83Dx\\uDE00\"", DW_FORMAT, 1, 0},
    {"\"\\uD83D\\u00\"", DW_FORMAT, 1, 0},
    {"\"\\uD83D\\nDE00\"", DW_FORMAT, 1, 0},
    // UTF-8.
    {"\"\x80\"", DW_FORMAT, 1, 0},
    {"\"\xBF\"", DW_FORMAT, 1, 0},
    {"\"\xC0\x80\"", DW_FORMAT, 1, 0},
    {"\"\xC1\xBF\"", DW_FORMAT, 1, 0},
    {"\"\xC2\"", DW_FORMAT, 1, 0},
    {"\"\xC2", DW_FORMAT, 1, 0},
    {"\"a\xE0\x80\x80\"", DW_FORMAT, 2, 0},
    {"\"\xE0\x9F\xBF\"", DW_FORMAT, 1, 0},
    {"\"\xE2\x82\"", DW_FORMAT, 1, 0},
    {"\"\xE2\x28\xA1\"", DW_FORMAT, 1, 0},
    {"\"\xE2\x82\x28\"", DW_FORMAT, 1, 0},
    {"\"\xED\xA0\x80\"", DW_FORMAT, 1, 0},
    {"\"\xED\xBF\xBF\"", DW_FORMAT, 1, 0},
    {"\"\xF0\x8F\xBF\xBF\"", DW_FORMAT, 1, 0},
    {"\"\xF0\x9F\x98\"", DW_FORMAT, 1, 0},
    {"\"\xF4\x90\x80\x80\"", DW_FORMAT, 1, 0},
    {"\"\xF5\x80\x80\x80\"", DW_FORMAT, 1, 0},
    {"\"\xFF\"", DW_FORMAT, 1, 0},
    {"\xC3\xA9", DW_FORMAT, 0, 0},
    // Arrays.
    {"[", DW_FORMAT, 1, 0},
    {"]", DW_FORMAT, 0, 0},
    {"[1", DW_FORMAT, 2, 0},
    {"[1,", DW_FORMAT, 3, 0},
    {"[1,]", DW_FORMAT, 3, 0},
    {"[,1]", DW_FORMAT, 1, 0},
    {"[1,,2]", DW_FORMAT, 3, 0},
    {"[1 2]", DW_FORMAT, 3, 0},
    {"[1}", DW_FORMAT, 2, 0},
    {"[1]]", DW_FORMAT, 3, 0},
    {"[1]//", DW_FORMAT, 3, 0},
    // Objects.
    {"{", DW_FORMAT, 1, 0},
    {"}", DW_FORMAT, 0, 0},
    {"{\"a\"", DW_FORMAT, 4, 0},
    {"{\"a\" 1}", DW_FORMAT, 5, 0},
    {"{\"a\":}", DW_FORMAT, 5, 0},
    {"{\"a\":1", DW_FORMAT, 6, 0},
    {"{\"a\":1,", DW_FORMAT, 7, 0},
    {"{\"a\":1,}", DW_FORMAT, 7, 0},
    {"{\"a\":1 \"b\":2}", DW_FORMAT, 7, 0},
    {"{\"a\":1]", DW_FORMAT, 6, 0},
    {"{,}", DW_FORMAT, 1, 0},
    {"{a:1}", DW_FORMAT, 1, 0},
    {"{1:1}", DW_FORMAT, 1, 0},
    {"{\"a\\z\":1}", DW_FORMAT, 3, 0},
    {"{\"a\":1}/**/", DW_FORMAT, 7, 0},
    // Equal keys.
    {"{\"a\":1,\"a\":2}", DW_FORMAT, 7, 0},
    {"{\"a\":1,\"\\u0061\":2}", DW_FORMAT, 7, 0},
    {"{\"\\u0061\":1,\"b\":0,\"a\":2}", DW_FORMAT, 18, 0},
    {"{\"\":1,\"\":2}", DW_FORMAT, 6, 0},
    {"[{},{\"x\":{\"k\":1,\"l\":2,\"k\":3}}]", DW_FORMAT, 22, 0},
    {"{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"b\":1,\"a\":1}", DW_FORMAT, 55, 0},
    {"{\"\\ud83d\\ude00\":1,\"\xF0\x9F\x98\x80\":2}", DW_FORMAT, 18, 0},
};

static void test_refused(void) {
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    const refused *r = &refusals[i];
    size_t length = r->length ? r->length : strlen(r->text);
    char *text = malloc(length ? length : 1); // of exactly this size, so that a sanitizer sees what reads beyond
    memcpy(text, r->text, length);
    dw_json json;
    dw_json_error error = {0};
    int status = dw_json_parse(text, length, DW_JSON_UNIQUE_KEYS, &json, &error);
    if (status != r->status || error.position != r->position || error.status != status || !error.message) {
      fprintf(stderr, "    %s: status %d at %" PRIu64 ", expected %d at %" PRIu64 "\n", r->text, status,
              error.position, r->status, r->position);
      exit(1);
    }
    CHECK(json.nodes == NULL && json.count == 0);
    CHECK_EQ(dw_json_parse(text, length, DW_JSON_UNIQUE_KEYS, &json, NULL), status);
    free(text);
  }
}

static const char *const accepted[] = {
    "0", "-0", "1.5e+3", "1E5", "-0.0e-0", "null", "true", "false", "\"\"", "[]", "{}", " [ ] ", "\t{\r\n}\n",
    "[[],{},[{}]]", "{\"a\":{\"a\":1}}", "[{\"a\":1},{\"a\":1}]", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"",
    "\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"",
    "\"\\uD800\\uDC00\\udbff\\udfff\\uD7FF\\uE000\"", "\"\x7F\"", "[1,2 , 3\n,4]", "{\"a\":1,\"A\":2,\"\\u0062\":3}",
    "{\"ab\":1,\"a\\u0062c\":2,\"\\u0061\":3,\"\":4}",
};

static void test_accepted(void) {
  for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
    dw_json json;
    dw_json_error error = {0};
    int status = dw_json_parse(accepted[i], strlen(accepted[i]), DW_JSON_UNIQUE_KEYS, &json, &error);
    if (status) fprintf(stderr, "    %s: %s at %" PRIu64 "\n", accepted[i], error.message, error.position);
    CHECK_EQ(status, DW_OK);
    CHECK_EQ(json.nodes[0].next, json.count);
    dw_json_free(&json);
  }
  dw_json json;
  CHECK_EQ(dw_json_parse("{\"a\":1,\"a\":2}", 13, 0, &json, NULL), DW_OK);
  dw_json_free(&json);
}

static dw_json parsed(const char *text) {
  dw_json json;
  dw_json_error error = {0};
  CHECK_EQ(dw_json_parse(text, strlen(text), DW_JSON_UNIQUE_KEYS, &json, &error), DW_OK);
  return json;
}

static void test_walk(void) {
  dw_json json = parsed("{\"a\":[1,[2,3],{\"x\":4}], \"b\\n\":\"v\", \"c\":{}, \"d\":false}");
  CHECK_EQ(dw_json_type_of(&json, 0), DW_JSON_OBJECT);
  CHECK_EQ(dw_json_size(&json, 0), 4);
  uint32_t a = dw_json_find(&json, 0, "a");
  CHECK_EQ(dw_json_size(&json, a), 3);
  uint32_t i = dw_json_begin(a);
  CHECK_EQ(dw_json_type_of(&json, i), DW_JSON_NUMBER);
  i = dw_json_after(&json, i);
  CHECK_EQ(dw_json_type_of(&json, i), DW_JSON_ARRAY);
  i = dw_json_after(&json, i);
  CHECK_EQ(dw_json_type_of(&json, i), DW_JSON_OBJECT);
  int64_t four = 0;
  CHECK(dw_json_int64(&json, dw_json_find(&json, i, "x"), &four) && four == 4);
  CHECK_EQ(dw_json_after(&json, i), dw_json_end(&json, a));
  CHECK(dw_json_equal(&json, dw_json_find(&json, 0, "b\n"), "v", 1));
  CHECK_EQ(dw_json_find(&json, 0, "b"), 0);
  CHECK_EQ(dw_json_find(&json, a, "x"), 0);
  uint32_t c = dw_json_find(&json, 0, "c");
  CHECK_EQ(dw_json_begin(c), dw_json_end(&json, c));
  uint32_t keys = 0;
  for (uint32_t key = dw_json_begin(0); key < dw_json_end(&json, 0); key = dw_json_after(&json, key + 1)) keys++;
  CHECK_EQ(keys, 4);
  dw_json_free(&json);
}

static void check_string(const char *text, const char *expected, size_t length) {
  dw_json json = parsed(text);
  char buffer[64];
  CHECK(dw_json_raw_bytes(&json, 0) <= sizeof buffer);
  CHECK_EQ(dw_json_string(&json, 0, buffer), length);
  CHECK(memcmp(buffer, expected, length) == 0);
  CHECK(dw_json_equal(&json, 0, expected, length));
  CHECK(!dw_json_equal(&json, 0, expected, length + 1));
  if (length) CHECK(!dw_json_equal(&json, 0, expected, length - 1));
  if (length) {
    memcpy(buffer, expected, length);
    buffer[length - 1] ^= 1;
    CHECK(!dw_json_equal(&json, 0, buffer, length));
  }
  dw_json_free(&json);
}

static void test_strings(void) {
  check_string("\"\"", "", 0);
  check_string("\"plain text of some length\"", "plain text of some length", 25);
  check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
  check_string("\"a\\u0000b\"", "a\0b", 3);
  check_string("\"\\u00e9\\u20AC\\uD83D\\uDE00.\"", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80.", 10);
  check_string("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF", 11);
  check_string("\"\xC3\xA9\\n\xF0\x9F\x98\x80\"", "\xC3\xA9\n\xF0\x9F\x98\x80", 7);
  dw_json json = parsed("12");
  CHECK(!dw_json_equal(&json, 0, "12", 2));
  char text[2];
  CHECK_EQ(dw_json_string(&json, 0, text), 2);
  dw_json_free(&json);
}

static void test_integers(void) {
  static const struct {
    const char *text;
    bool is_int, is_uint;
    int64_t int_value;
    uint64_t uint_value;
  } numbers[] = {
      {"0", true, true, 0, 0},
      {"-0", true, false, 0, 0},
      {"-1", true, false, -1, 0},
      {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
      {"9223372036854775808", false, true, 0, UINT64_C(1) << 63},
      {"-9223372036854775808", true, false, INT64_MIN, 0},
      {"-9223372036854775809", false, false, 0, 0},
      {"18446744073709551615", false, true, 0, UINT64_MAX},
      {"18446744073709551616", false, false, 0, 0},
      {"184467440737095516150", false, false, 0, 0},
      {"1.0", false, false, 0, 0},
      {"1e3", false, false, 0, 0},
      {"\"1\"", false, false, 0, 0},
      {"true", false, false, 0, 0},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    dw_json json = parsed(numbers[i].text);
    int64_t signed_value = 77;
    uint64_t unsigned_value = 77;
    CHECK_EQ(dw_json_int64(&json, 0, &signed_value), numbers[i].is_int);
    CHECK_EQ(dw_json_uint64(&json, 0, &unsigned_value), numbers[i].is_uint);
    CHECK_EQ(signed_value, numbers[i].is_int ? numbers[i].int_value : 77);
    CHECK_EQ(unsigned_value, numbers[i].is_uint ? numbers[i].uint_value : 77);
    dw_json_free(&json);
  }
}

static void check_double(const char *text) {
  dw_json json = parsed(text);
  double value = 77, expected = strtod(text, NULL);
  CHECK_EQ(dw_json_double(&json, 0, &value), !isinf(expected));
  if (isinf(expected)) expected = 77;
  if (memcmp(&value, &expected, sizeof value) != 0) {
    fprintf(stderr, "    %s: %.17g, expected %.17g\n", text, value, expected);
    exit(1);
  }
  dw_json_free(&json);
}

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  return random_state ^= random_state << 17;
}

static void test_doubles(void) {
  static const char *const texts[] = {
      "0", "-0", "-0.0", "0e999999", "0.000e-5", "1", "-1.5", "1e-05", "500000.0", "1e22", "1e23", "123456789012345",
      "1234567890123456789", "0.1", "1e-22", "1e-23", "9007199254740993", "9007199254740993.0000000000000001",
      "1.7976931348623157e308", "1.7976931348623159e308", "1e309", "-1e400", "1e99999999999999999999",
      "4.9406564584124654e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400",
      "1e-99999999999999999999", "0.00000000000000000000000000000000000000000000000000000000000000000001e68",
      "100000000000000000000000000000000000000000000000000000000000000000000e-68", "8.5e+2", "2.2250738585072011e-308",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_double(texts[i]);
  for (int i = 0; i < 200000; i++) {
    uint64_t bits = next_random();
    double value;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value)) continue;
    char text[64];
    snprintf(text, sizeof text, i % 3 ? "%.*g" : "%.*e", i % 20 + 1, value);
    check_double(text);
  }
}

// Digits beyond what decides, and a tie that only the very last one breaks.
static void test_long_doubles(void) {
  char text[3000];
  for (int zeros = 0; zeros < 2000; zeros += 97) {
    int at = snprintf(text, sizeof text, "9007199254740993.");
    memset(text + at, '0', (size_t)zeros);
    strcpy(text + at + zeros, "1");
    check_double(text);
    strcpy(text + at + zeros, "0");
    check_double(text);
    at = snprintf(text, sizeof text, "0.");
    memset(text + at, '0', (size_t)zeros);
    snprintf(text + at + zeros, sizeof text - (size_t)(at + zeros), "12345e%d", zeros);
    check_double(text);
    memset(text, '7', (size_t)zeros + 1);
    snprintf(text + zeros + 1, 20, "e-%d", zeros);
    check_double(text);
  }
}

static void test_depth(void) {
  char text[2 * DW_JSON_MAX_DEPTH + 2];
  for (size_t depth = DW_JSON_MAX_DEPTH - 1; depth <= DW_JSON_MAX_DEPTH + 1; depth++) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    dw_json json;
    dw_json_error error = {0};
    int status = dw_json_parse(text, 2 * depth, 0, &json, &error);
    CHECK_EQ(status, depth <= DW_JSON_MAX_DEPTH ? DW_OK : DW_LIMIT);
    if (status) CHECK_EQ(error.position, DW_JSON_MAX_DEPTH);
    else CHECK_EQ(json.count, depth);
    dw_json_free(&json);
  }
  dw_json json;
  dw_json_error error = {0};
  CHECK_EQ(dw_json_parse("0", (size_t)DW_JSON_MAX_BYTES + 1, 0, &json, &error), DW_LIMIT);
}

// The reader allocates by counting separators eight bytes at a time: texts of every
// length and all separators, at every place of a word.
static void test_sizes(void) {
  for (uint32_t count = 1; count < 300; count++) {
    char *text = malloc(2 * count + 1);
    for (uint32_t i = 0; i < count; i++) memcpy(text + 2 * i, i ? ",1" : "[1", 2);
    text[2 * count] = ']';
    dw_json json;
    CHECK_EQ(dw_json_parse(text, 2 * count + 1, 0, &json, NULL), DW_OK);
    CHECK_EQ(json.count, count + 1);
    dw_json_free(&json);
    free(text);
  }
  size_t length = 3 << 20;
  char *text = malloc(length + 2);
  text[0] = '"';
  memset(text + 1, ',', length);
  text[length + 1] = '"';
  dw_json json;
  CHECK_EQ(dw_json_parse(text, length + 2, 0, &json, NULL), DW_OK);
  CHECK_EQ(json.count, 1);
  CHECK_EQ(dw_json_raw_bytes(&json, 0), length);
  dw_json_free(&json);
  free(text);
}

// ---- Keys that collide ------------------------------------------------------------------

static uint32_t fnv(uint32_t hash, const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
  return hash;
}

#define STAGES 15
#define PIECE 6

// Two texts of PIECE letters that lead from `hash` to the same hash.
static uint32_t collide(uint32_t hash, char (*pair)[PIECE]) {
  enum { SLOTS = 1 << 19 };
  char(*seen)[PIECE] = calloc(SLOTS, PIECE);
  uint32_t *hashes = calloc(SLOTS, sizeof *hashes);
  for (;;) {
    char text[PIECE];
    uint64_t bits = next_random();
    for (int i = 0; i < PIECE; i++, bits >>= 5) text[i] = (char)('A' + bits % 32 % 26);
    uint32_t result = fnv(hash, text, PIECE), slot = (result * 2654435761u) >> 13;
    if (hashes[slot] == result && seen[slot][0] && memcmp(seen[slot], text, PIECE) != 0) {
      memcpy(pair[0], seen[slot], PIECE);
      memcpy(pair[1], text, PIECE);
      free(seen);
      free(hashes);
      return result;
    }
    hashes[slot] = result;
    memcpy(seen[slot], text, PIECE);
  }
}

static void test_collisions(void) {
  char pairs[STAGES][2][PIECE];
  uint32_t hash = 2166136261u;
  for (int i = 0; i < STAGES; i++) hash = collide(hash, pairs[i]);
  size_t count = (size_t)1 << STAGES, member = STAGES * PIECE + 5;
  char *text = malloc((count + 1) * member + 2), *at = text;
  *at++ = '{';
  for (size_t i = 0; i < count + 1; i++) {
    *at++ = '"';
    for (int j = 0; j < STAGES; j++, at += PIECE) memcpy(at, pairs[j][(i % count) >> j & 1], PIECE);
    memcpy(at, "\":0,", 4);
    at += 4;
  }
  size_t last = (size_t)(at - text) - member; // a copy of the first
  text[last - 1] = '}';
  dw_json json;
  dw_json_error error = {0};
  CHECK_EQ(dw_json_parse(text, last, DW_JSON_UNIQUE_KEYS, &json, &error), DW_OK);
  CHECK_EQ(dw_json_size(&json, 0), count);
  dw_json_free(&json);
  text[last - 1] = ',';
  at[-1] = '}';
  CHECK_EQ(dw_json_parse(text, (size_t)(at - text), DW_JSON_UNIQUE_KEYS, &json, &error), DW_FORMAT);
  CHECK_EQ(error.position, last);
  free(text);
}

// Every text that was cut off somewhere is an error, and none is read beyond its end.
static void test_cut(void) {
  static const char whole[] =
      "{\"vocab\":{\"a\":0,\"\\u0120b\":1,\"\xC3\xA9\":-2.5e+1},\"merges\":[[\"a\",\"b\"],true,false,null,\"\\ud83d\\ude00\"]}";
  for (size_t length = 0; length <= strlen(whole); length++) {
    char *text = malloc(length ? length : 1);
    memcpy(text, whole, length);
    dw_json json;
    dw_json_error error = {0};
    int status = dw_json_parse(text, length, DW_JSON_UNIQUE_KEYS, &json, &error);
    CHECK_EQ(status, length == strlen(whole) ? DW_OK : DW_FORMAT);
    CHECK(error.position <= length);
    dw_json_free(&json);
    free(text);
  }
}

static const dw_case cases[] = {
    {"refused", "every malformed text is refused at its byte", test_refused},
    {"accepted", "every well-formed text is read", test_accepted},
    {"walk", "members, elements and their order", test_walk},
    {"strings", "escapes are resolved", test_strings},
    {"integers", "integers in and out of range", test_integers},
    {"doubles", "doubles are the nearest ones", test_doubles},
    {"long_doubles", "numbers of thousands of digits", test_long_doubles},
    {"depth", "nesting and length are limited", test_depth},
    {"sizes", "texts of every size", test_sizes},
    {"collisions", "32,768 keys chosen to collide, and one given twice", test_collisions},
    {"cut", "a text cut off at any byte", test_cut},
};
DW_TEST_MAIN(cases)
