#include "json.h"

#include <stdlib.h>
#include <string.h>

#define NO_PARENT UINT32_MAX
#define FEW_KEYS 8            // up to here, comparing every pair is cheapest

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte of a word is its lowest");

typedef struct parser {
  const char *text, *at, *end;
  dw_json_node *nodes;
  uint32_t count;
  uint32_t parent;             // innermost open container; its `next` is its own parent while it is open
  uint32_t depth;
  dw_json_error error;
} parser;

static bool fail_at(parser *p, const char *at, dw_status status, const char *message) {
  p->error = (dw_json_error){status, message, (uint64_t)(at - p->text)};
  return false;
}

static bool fail(parser *p, const char *message) {
  return fail_at(p, p->at, DW_FORMAT, p->at == p->end ? "the text ends too early" : message);
}

// ---- Eight bytes at a time ---------------------------------------------------------

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static inline uint64_t load8(const char *at) {
  uint64_t word;
  memcpy(&word, at, 8);
  return word;
}

// The high bit of each byte that is zero; exact up to and including the first one.
static inline uint64_t first_zero(uint64_t word) { return (word - EACH(1)) & ~word & EACH(0x80); }

// The high bit of exactly those bytes that are zero.
static inline uint64_t zeros(uint64_t word) {
  return ~(((word & EACH(0x7F)) + EACH(0x7F)) | word | EACH(0x7F));
}

static inline uint32_t separators(char c) { return c == ',' || c == ':' || (c | 0x20) == '{'; }

// No text has more values and keys than this: each but the first follows a
// comma, a colon or an opening bracket.  Counting those first makes one
// allocation of the right size do, where growing would copy, and would leave
// holes in a guest's memory, which never shrinks.
static uint64_t most_nodes(const char *at, const char *end) {
  uint64_t count = 1;
  while (end - at >= 8) {
    uint64_t sums = 0;
    for (int i = 0; i < 255 && end - at >= 8; i++, at += 8) {
      uint64_t word = load8(at);
      uint64_t hits = zeros(word ^ EACH(',')) | zeros(word ^ EACH(':')) | zeros((word | EACH(0x20)) ^ EACH('{'));
      sums += hits >> 7;
    }
    for (; sums; sums >>= 8) count += sums & 0xFF;
  }
  for (; at < end; at++) count += separators(*at);
  return count;
}

// ---- Strings -----------------------------------------------------------------------

// Bytes of the well-formed UTF-8 sequence at `at`, which is not ASCII; 0 if it is none
// (Unicode 16, table 3-7).
static uint32_t utf8_bytes(const char *text, const char *end) {
  const unsigned char *at = (const unsigned char *)text;
  size_t left = (size_t)(end - text);
  uint32_t lead = at[0];
  if (lead < 0xC2 || lead > 0xF4) return 0;
  uint32_t bytes = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (left < bytes) return 0;
  uint32_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint32_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (at[1] < low || at[1] > high) return 0;
  for (uint32_t i = 2; i < bytes; i++)
    if (at[i] < 0x80 || at[i] > 0xBF) return 0;
  return bytes;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The number of a \u escape's four digits at `at`, or -1.
static int32_t hex4(const char *at, const char *end) {
  if (end - at < 4) return -1;
  int32_t number = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    number = number * 16 + digit;
  }
  return number;
}

// Checks the escape at p->at, its backslash, and goes past it.
static bool read_escape(parser *p) {
  const char *start = p->at;
  if (p->end - p->at < 2) {
    p->at = p->end;
    return fail(p, NULL);
  }
  char c = p->at[1];
  p->at += 2;
  if (c != 'u') return memchr("\"\\/bfnrt", c, 8) ? true : fail_at(p, start, DW_FORMAT, "unknown escape");
  int32_t unit = hex4(p->at, p->end);
  if (unit < 0) return fail_at(p, start, DW_FORMAT, "expected four hexadecimal digits after \\u");
  p->at += 4;
  if (unit < 0xD800 || unit > 0xDFFF) return true;
  bool pair = unit < 0xDC00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u';
  int32_t low = pair ? hex4(p->at + 2, p->end) : -1;
  if (low < 0xDC00 || low > 0xDFFF) return fail_at(p, start, DW_FORMAT, "surrogate without its partner");
  p->at += 6;
  return true;
}

static inline const char *skip_plain(const char *at, const char *end) {
  while (end - at >= 8) {
    uint64_t word = load8(at);
    uint64_t special = first_zero(word ^ EACH('"')) | first_zero(word ^ EACH('\\')) |
                       ((word - EACH(0x20)) & ~word & EACH(0x80)) | (word & EACH(0x80));
    if (special) return at + __builtin_ctzll(special) / 8;
    at += 8;
  }
  while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80) at++;
  return at;
}

static inline dw_json_node *add_node(parser *p, dw_json_type type, const char *at) {
  dw_json_node *node = &p->nodes[p->count++];
  *node = (dw_json_node){.position = (uint32_t)(at - p->text), .next = p->count, .type = (uint8_t)type};
  return node;
}

// The string at p->at, its opening quote.
static bool read_string(parser *p) {
  dw_json_node *node = add_node(p, DW_JSON_STRING, ++p->at);
  for (;;) {
    p->at = skip_plain(p->at, p->end);
    if (p->at == p->end) return fail(p, NULL);
    if (*p->at == '"') break;
    if (*p->at == '\\') {
      node->escaped = true;
      if (!read_escape(p)) return false;
    } else {
      if ((unsigned char)*p->at < 0x20) return fail(p, "control character in a string");
      uint32_t bytes = utf8_bytes(p->at, p->end);
      if (!bytes) return fail(p, "not UTF-8");
      p->at += bytes;
    }
  }
  node->length = (uint32_t)(p->at++ - p->text) - node->position;
  return true;
}

// ---- Numbers and words ---------------------------------------------------------------

static inline bool is_digit(const char *at, const char *end) { return at < end && *at >= '0' && *at <= '9'; }

static bool read_digits(parser *p) {
  if (!is_digit(p->at, p->end)) return fail(p, "expected a digit");
  while (is_digit(p->at, p->end)) p->at++;
  return true;
}

static bool read_number(parser *p) {
  dw_json_node *node = add_node(p, DW_JSON_NUMBER, p->at);
  if (*p->at == '-') p->at++;
  bool zero = p->at < p->end && *p->at == '0';
  if (!read_digits(p)) return false;
  if (zero && p->at - p->text - node->position > (p->text[node->position] == '-' ? 2 : 1))
    return fail_at(p, p->text + node->position, DW_FORMAT, "number with a leading zero");
  if (p->at < p->end && *p->at == '.') {
    p->at++;
    if (!read_digits(p)) return false;
  }
  if (p->at < p->end && (*p->at | 0x20) == 'e') {
    p->at++;
    if (p->at < p->end && (*p->at == '+' || *p->at == '-')) p->at++;
    if (!read_digits(p)) return false;
  }
  node->length = (uint32_t)(p->at - p->text) - node->position;
  return true;
}

static bool read_word(parser *p, const char *word, uint32_t length, dw_json_type type) {
  if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0) return fail(p, "expected a value");
  add_node(p, type, p->at)->length = length;
  p->at += length;
  return true;
}

static bool read_scalar(parser *p) {
  if (p->at == p->end) return fail(p, NULL);
  switch (*p->at) {
    case '"': return read_string(p);
    case 't': return read_word(p, "true", 4, DW_JSON_TRUE);
    case 'f': return read_word(p, "false", 5, DW_JSON_FALSE);
    case 'n': return read_word(p, "null", 4, DW_JSON_NULL);
    default: break;
  }
  if (*p->at == '-' || is_digit(p->at, p->end)) return read_number(p);
  return fail(p, "expected a value");
}

// ---- Containers ------------------------------------------------------------------------

static inline void skip_space(parser *p) {
  while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t')) p->at++;
}

static inline bool take(parser *p, char c) {
  skip_space(p);
  if (p->at == p->end || *p->at != c) return false;
  p->at++;
  return true;
}

static bool read_key(parser *p) {
  skip_space(p);
  if (p->at == p->end || *p->at != '"') return fail(p, "expected a key");
  if (!read_string(p)) return false;
  return take(p, ':') || fail(p, "expected ':'");
}

static bool open_container(parser *p, dw_json_type type) {
  if (p->depth == DW_JSON_MAX_DEPTH) return fail_at(p, p->at, DW_LIMIT, "nested too deeply");
  p->depth++;
  add_node(p, type, p->at++)->next = p->parent;
  p->parent = p->count - 1;
  return true;
}

static void close_container(parser *p) {
  dw_json_node *node = &p->nodes[p->parent];
  p->parent = node->next;
  node->next = p->count;
  p->depth--;
}

// After a value: goes to where the next one begins, past all that closes here.
static bool end_value(parser *p, bool *more) {
  while (p->parent != NO_PARENT) {
    dw_json_node *parent = &p->nodes[p->parent];
    bool object = parent->type == DW_JSON_OBJECT;
    parent->length++;
    *more = take(p, ',');
    if (*more) return object ? read_key(p) : true;
    if (!take(p, object ? '}' : ']')) return fail(p, object ? "expected ',' or '}'" : "expected ',' or ']'");
    close_container(p);
  }
  *more = false;
  return true;
}

// A scalar, or the beginning of a container up to its first element.
static bool begin_value(parser *p, bool *inside) {
  skip_space(p);
  *inside = false;
  if (p->at == p->end || (*p->at | 0x20) != '{') return read_scalar(p);
  bool object = *p->at == '{';
  if (!open_container(p, object ? DW_JSON_OBJECT : DW_JSON_ARRAY)) return false;
  *inside = !take(p, object ? '}' : ']');
  if (*inside) return object ? read_key(p) : true;
  close_container(p);
  return true;
}

static bool read_text(parser *p) {
  bool more = true;
  while (more) {
    bool inside;
    if (!begin_value(p, &inside)) return false;
    if (!inside && !end_value(p, &more)) return false;
  }
  skip_space(p);
  return p->at == p->end || fail(p, "text after the value");
}

// ---- Values of strings -----------------------------------------------------------------

static uint32_t put_utf8(uint32_t c, char *out) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  uint32_t bytes = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (uint32_t i = bytes - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
  out[0] = (char)((0xF00u >> bytes) | c);
  return bytes;
}

// Resolves the (checked) escape at *at and goes past it; returns its bytes, up to 4.
static uint32_t resolve(const char **at, char *out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  char c = (*at)[1];
  *at += 2;
  if (c != 'u') {
    out[0] = to[(const char *)memchr(from, c, 8) - from];
    return 1;
  }
  uint32_t unit = (uint32_t)hex4(*at, *at + 4);
  *at += 4;
  if (unit < 0xD800 || unit > 0xDFFF) return put_utf8(unit, out);
  uint32_t low = (uint32_t)hex4(*at + 2, *at + 6);
  *at += 6;
  return put_utf8(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), out);
}

uint32_t dw_json_string(const dw_json *json, uint32_t scalar, char *buffer) {
  const dw_json_node *node = &json->nodes[scalar];
  const char *at = json->text + node->position, *end = at + node->length;
  if (!node->escaped) {
    memcpy(buffer, at, node->length);
    return node->length;
  }
  char *out = buffer;
  while (at < end) {
    if (*at == '\\') out += resolve(&at, out);
    else *out++ = *at++;
  }
  return (uint32_t)(out - buffer);
}

// A string's value, byte by byte.
typedef struct cursor {
  const char *at, *end;
  bool escaped;
  char resolved[4];
  uint32_t begin, left;        // of `resolved`
} cursor;

static cursor cursor_of(const dw_json *json, uint32_t string) {
  const dw_json_node *node = &json->nodes[string];
  const char *at = json->text + node->position;
  return (cursor){.at = at, .end = at + node->length, .escaped = node->escaped};
}

static inline int next_byte(cursor *c) {
  if (!c->left) {
    if (c->at == c->end) return -1;
    if (!c->escaped || *c->at != '\\') return (unsigned char)*c->at++;
    c->begin = 0;
    c->left = resolve(&c->at, c->resolved);
  }
  c->left--;
  return (unsigned char)c->resolved[c->begin++];
}

bool dw_json_equal(const dw_json *json, uint32_t node, const char *value, size_t length) {
  const dw_json_node *string = &json->nodes[node];
  if (string->type != DW_JSON_STRING || string->length < length) return false;
  if (!string->escaped) return string->length == length && memcmp(json->text + string->position, value, length) == 0;
  cursor c = cursor_of(json, node);
  for (size_t i = 0; i < length; i++)
    if (next_byte(&c) != (unsigned char)value[i]) return false;
  return next_byte(&c) < 0;
}

uint32_t dw_json_find(const dw_json *json, uint32_t object, const char *key) {
  if (json->nodes[object].type != DW_JSON_OBJECT) return 0;
  size_t length = strlen(key);
  for (uint32_t i = dw_json_begin(object); i < dw_json_end(json, object); i = dw_json_after(json, i + 1))
    if (dw_json_equal(json, i, key, length)) return i + 1;
  return 0;
}

// ---- Equal keys ------------------------------------------------------------------------
// Keys are sorted by a hash, and by their bytes where hashes are equal, so that
// keys chosen to collide cost a factor of log n and not of n.

static uint32_t hash_key(const dw_json *json, uint32_t key) {
  cursor c = cursor_of(json, key);
  uint32_t hash = 2166136261u; // FNV-1a
  for (int byte = next_byte(&c); byte >= 0; byte = next_byte(&c)) hash = (hash ^ (uint32_t)byte) * 16777619u;
  return hash;
}

static int compare_keys(const dw_json *json, uint32_t left, uint32_t right) {
  const dw_json_node *l = &json->nodes[left], *r = &json->nodes[right];
  if (!l->escaped && !r->escaped) {
    if (l->length != r->length) return l->length < r->length ? -1 : 1;
    return memcmp(json->text + l->position, json->text + r->position, l->length);
  }
  // Shorter values first here too, so that the order is one whatever the spelling.
  cursor a = cursor_of(json, left), b = cursor_of(json, right);
  int order = 0, x, y;
  do {
    x = next_byte(&a);
    y = next_byte(&b);
    if (!order && x >= 0 && y >= 0) order = x - y;
  } while (x >= 0 && y >= 0);
  return x < 0 && y < 0 ? order : x < 0 ? -1 : 1;
}

// An entry: the hash above, the key's node below.
static inline int compare_entries(const dw_json *json, uint64_t left, uint64_t right) {
  uint32_t l = (uint32_t)(left >> 32), r = (uint32_t)(right >> 32);
  if (l != r) return l < r ? -1 : 1;
  return compare_keys(json, (uint32_t)left, (uint32_t)right);
}

static void merge(const dw_json *json, const uint64_t *from, uint64_t *to, size_t begin, size_t middle, size_t end) {
  size_t l = begin, r = middle;
  for (size_t i = begin; i < end; i++)
    to[i] = r == end || (l < middle && compare_entries(json, from[l], from[r]) <= 0) ? from[l++] : from[r++];
}

// Sorts `entries`, of which the second half is room; returns where the result is.
static uint64_t *sort_entries(const dw_json *json, uint64_t *entries, size_t count) {
  uint64_t *from = entries, *to = entries + count;
  for (size_t width = 1; width < count; width *= 2) {
    for (size_t i = 0; i < count; i += 2 * width) {
      size_t middle = count - i < width ? count : i + width;
      merge(json, from, to, i, middle, count - middle < width ? count : middle + width);
    }
    uint64_t *swap = from;
    from = to;
    to = swap;
  }
  return from;
}

// The first key of `object` that was there before, or 0.
static uint32_t repeated_of_few(const dw_json *json, uint32_t object) {
  uint32_t end = dw_json_end(json, object);
  for (uint32_t later = dw_json_begin(object); later < end; later = dw_json_after(json, later + 1))
    for (uint32_t key = dw_json_begin(object); key < later; key = dw_json_after(json, key + 1))
      if (compare_keys(json, key, later) == 0) return later;
  return 0;
}

static uint32_t repeated_of_many(const dw_json *json, uint32_t object, uint64_t *room) {
  size_t count = 0;
  for (uint32_t key = dw_json_begin(object); key < dw_json_end(json, object); key = dw_json_after(json, key + 1))
    room[count++] = (uint64_t)hash_key(json, key) << 32 | key;
  const uint64_t *sorted = sort_entries(json, room, count);
  uint32_t first = 0;
  for (size_t i = 1; i < count; i++) {
    if (compare_entries(json, sorted[i - 1], sorted[i]) != 0) continue;
    uint32_t later = (uint32_t)sorted[i];
    if (!first || later < first) first = later;
  }
  return first;
}

static bool check_keys(parser *p) {
  const dw_json json = {p->text, p->nodes, p->count};
  size_t most = 0;
  for (uint32_t i = 0; i < p->count; i++)
    if (p->nodes[i].type == DW_JSON_OBJECT && p->nodes[i].length > most) most = p->nodes[i].length;
  uint64_t *room = NULL;
  if (most > FEW_KEYS) {
    room = most <= SIZE_MAX / (2 * sizeof *room) ? malloc(most * 2 * sizeof *room) : NULL;
    if (!room) return fail_at(p, p->text, DW_NOMEM, "no memory to compare the keys");
  }
  uint32_t repeated = 0;
  for (uint32_t i = 0; i < p->count && !repeated; i++) {
    if (p->nodes[i].type != DW_JSON_OBJECT) continue;
    bool few = p->nodes[i].length <= FEW_KEYS;
    repeated = few ? repeated_of_few(&json, i) : repeated_of_many(&json, i, room);
  }
  free(room);
  return !repeated || fail_at(p, p->text + p->nodes[repeated].position - 1, DW_FORMAT, "key given twice");
}

// ---- The whole text --------------------------------------------------------------------

static bool parse(parser *p, size_t length, uint32_t flags) {
  if (length > DW_JSON_MAX_BYTES) return fail_at(p, p->text, DW_LIMIT, "text too long");
  uint64_t most = most_nodes(p->text, p->end);
  p->nodes = most <= SIZE_MAX / sizeof *p->nodes ? malloc((size_t)most * sizeof *p->nodes) : NULL;
  if (!p->nodes) return fail_at(p, p->text, DW_NOMEM, "no memory for the nodes");
  return read_text(p) && (!(flags & DW_JSON_UNIQUE_KEYS) || check_keys(p));
}

dw_status dw_json_parse(const char *text, size_t length, uint32_t flags, dw_json *json, dw_json_error *error) {
  parser p = {.text = text, .at = text, .end = text + length, .parent = NO_PARENT};
  bool ok = parse(&p, length, flags);
  if (!ok) {
    free(p.nodes);
    p.nodes = NULL;
    p.count = 0;
    if (error) *error = p.error;
  }
  *json = (dw_json){p.text, p.nodes, p.count};
  return ok ? DW_OK : p.error.status;
}

void dw_json_free(dw_json *json) {
  free(json->nodes);
  *json = (dw_json){0};
}

// ---- Numbers ---------------------------------------------------------------------------

static bool read_magnitude(const char *at, const char *end, uint64_t *value) {
  uint64_t sum = 0;
  for (; at < end; at++) {
    if (*at < '0' || *at > '9') return false;
    uint64_t digit = (uint64_t)(*at - '0');
    if (sum > (UINT64_MAX - digit) / 10) return false;
    sum = sum * 10 + digit;
  }
  *value = sum;
  return true;
}

bool dw_json_uint64(const dw_json *json, uint32_t node, uint64_t *value) {
  const dw_json_node *number = &json->nodes[node];
  const char *at = json->text + number->position;
  return number->type == DW_JSON_NUMBER && read_magnitude(at, at + number->length, value);
}

bool dw_json_int64(const dw_json *json, uint32_t node, int64_t *value) {
  const dw_json_node *number = &json->nodes[node];
  const char *at = json->text + number->position;
  if (number->type != DW_JSON_NUMBER) return false;
  bool negative = *at == '-';
  uint64_t magnitude;
  if (!read_magnitude(at + negative, at + number->length, &magnitude)) return false;
  if (magnitude > (uint64_t)INT64_MAX + negative) return false;
  *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return true;
}

// digits x 10^exponent, without leading zeros.
#define MOST_DIGITS 780        // more cannot change the nearest double, but for "not exactly"
typedef struct decimal {
  char digits[MOST_DIGITS + 24]; // and room for "1e-9223372036854775808"
  uint32_t count;
  int64_t exponent;
} decimal;

static void read_decimal(const char *at, const char *end, decimal *number) {
  bool point = false, more = false;
  number->count = 0;
  number->exponent = 0;
  for (; at < end && (*at | 0x20) != 'e'; at++) {
    if (*at == '.') {
      point = true;
      continue;
    }
    bool leading = number->count == 0 && *at == '0';
    bool kept = !leading && number->count < MOST_DIGITS;
    if (kept) number->digits[number->count++] = *at;
    else if (!leading && *at != '0') more = true;
    number->exponent += (kept || leading) ? -(int64_t)point : !point;
  }
  if (more) {
    number->digits[number->count++] = '1';
    number->exponent--;
  }
  if (at == end) return;
  bool negative = at[1] == '-';
  int64_t exponent = 0;
  for (at += 1 + (at[1] == '-' || at[1] == '+'); at < end; at++)
    if (exponent < INT64_C(1) << 40) exponent = exponent * 10 + (*at - '0');
  number->exponent += negative ? -exponent : exponent;
}

// Both operands are exact doubles and one operation rounds once, so the result is
// the nearest (Clinger 1990).
static bool exact_double(const decimal *number, double *value) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  *value = 0;
  if (number->count == 0) return true;
  if (number->count > 15 || number->exponent < -22 || number->exponent > 22) return false;
  double sum = 0;
  for (uint32_t i = 0; i < number->count; i++) sum = sum * 10 + (number->digits[i] - '0');
  *value = number->exponent < 0 ? sum / powers[-number->exponent] : sum * powers[number->exponent];
  return true;
}

// strtod reads a decimal point as the locale has it, so it gets none.
static double nearest_double(decimal *number) {
  bool negative = number->exponent < 0;
  uint64_t magnitude = negative ? 0 - (uint64_t)number->exponent : (uint64_t)number->exponent;
  if (magnitude > 99999) magnitude = 99999; // zero or infinite, with up to 781 digits
  char *out = number->digits + number->count;
  *out++ = 'e';
  if (negative) *out++ = '-';
  for (uint64_t unit = 10000; unit; unit /= 10) *out++ = (char)('0' + magnitude / unit % 10);
  *out = 0;
  return strtod(number->digits, NULL);
}

bool dw_json_double(const dw_json *json, uint32_t node, double *value) {
  const dw_json_node *text = &json->nodes[node];
  if (text->type != DW_JSON_NUMBER) return false;
  const char *at = json->text + text->position, *end = at + text->length;
  bool negative = *at == '-';
  decimal number;
  read_decimal(at + negative, end, &number);
  double magnitude;
  if (!exact_double(&number, &magnitude)) magnitude = nearest_double(&number);
  if (magnitude > 1.7976931348623157e308) return false;
  *value = negative ? -magnitude : magnitude;
  return true;
}
