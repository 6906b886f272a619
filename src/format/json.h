// json.h: a strict reader of JSON texts (RFC 8259) for files that nobody vouches for.
//
// A text is parsed once into a flat array of 16-byte nodes, in the order of the
// text: a container is followed by its elements, a member is a key node followed
// by its value.  Strings and numbers stay in the text; nodes say where.  One
// allocation, no recursion, linear time (n log n in the keys of one object where
// duplicates are refused).
//
// Refused, each with the byte position: everything RFC 8259 does not allow,
// bytes that are not UTF-8, a byte order mark, escaped surrogates without their
// partner, more than DW_JSON_MAX_DEPTH open containers and, where the caller asks
// for it, two equal keys in one object.
//
// Host and guests compile the same file, so it needs nothing but the C library
// and the status codes.
//
//   Threads   A parsed dw_json is only read: any number of threads may use it.
//   Memory    The text must outlive the dw_json; dw_json_free frees the nodes.
#ifndef DW_FORMAT_JSON_H
#define DW_FORMAT_JSON_H

#include "driftwood_abi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DW_JSON_MAX_DEPTH 128
#define DW_JSON_MAX_BYTES (UINT32_C(1) << 30)

typedef enum dw_json_type {
  DW_JSON_NULL = 1,
  DW_JSON_FALSE = 2,
  DW_JSON_TRUE = 3,
  DW_JSON_NUMBER = 4,
  DW_JSON_STRING = 5,          // values and keys
  DW_JSON_ARRAY = 6,
  DW_JSON_OBJECT = 7
} dw_json_type;

typedef struct dw_json_node {
  uint32_t position;           // of the first byte in the text; strings: the byte after the quote
  uint32_t length;             // bytes in the text, quotes not counted; containers: elements or members
  uint32_t next;               // index of the node after this value and all that is in it
  uint8_t type;                // dw_json_type
  bool escaped;                // a string with escapes: its bytes are not its value
  uint16_t reserved;
} dw_json_node;

typedef struct dw_json {
  const char *text;
  dw_json_node *nodes;         // [0] is the outermost value
  uint32_t count;
} dw_json;

typedef struct dw_json_error {
  dw_status status;            // FORMAT, LIMIT (depth, size) or NOMEM
  const char *message;         // constant, such as "expected ':'"
  uint64_t position;           // bytes from the beginning of the text
} dw_json_error;

typedef enum dw_json_flags {
  DW_JSON_UNIQUE_KEYS = 1      // refuse an object with two equal keys; the position is the later one's
} dw_json_flags;

// Parses `length` bytes, which need no terminator.  On an error `json` is empty
// and needs no free.  `error` may be NULL.
dw_status dw_json_parse(const char *text, size_t length, uint32_t flags, dw_json *json, dw_json_error *error);
void dw_json_free(dw_json *json);

// ---- Walking -------------------------------------------------------------------
// Index 0 is the outermost value and nobody's member, so it also says "none".
//
//   for (uint32_t i = dw_json_begin(array); i < dw_json_end(json, array); i = dw_json_after(json, i))
//   for (uint32_t key = dw_json_begin(object); key < dw_json_end(json, object); key = dw_json_after(json, key + 1))
//     ... key is the key's node, key + 1 its value

static inline dw_json_type dw_json_type_of(const dw_json *json, uint32_t node) {
  return (dw_json_type)json->nodes[node].type;
}
static inline uint32_t dw_json_begin(uint32_t container) { return container + 1; }
static inline uint32_t dw_json_end(const dw_json *json, uint32_t container) { return json->nodes[container].next; }
static inline uint32_t dw_json_after(const dw_json *json, uint32_t value) { return json->nodes[value].next; }
// Elements of an array, members of an object.
static inline uint32_t dw_json_size(const dw_json *json, uint32_t container) { return json->nodes[container].length; }

// The value of the first member named `key`, or 0.  Also 0 if `object` is no
// object.  Looks at one member after the other.
uint32_t dw_json_find(const dw_json *json, uint32_t object, const char *key);

// ---- Strings -------------------------------------------------------------------
// Where the node stands in the text, as it was written (a string: without quotes,
// escapes as they are; a number: its digits).  Not for containers.
static inline const char *dw_json_raw(const dw_json *json, uint32_t node) {
  return json->text + json->nodes[node].position;
}
static inline uint32_t dw_json_raw_bytes(const dw_json *json, uint32_t node) { return json->nodes[node].length; }

// Copies the value of a string (escapes resolved) or the text of another scalar,
// without a terminator; returns its bytes.  A value never has more bytes than its
// text: raw_bytes is room enough.
uint32_t dw_json_string(const dw_json *json, uint32_t scalar, char *buffer);
// Whether the node is a string with this value.
bool dw_json_equal(const dw_json *json, uint32_t node, const char *value, size_t length);

// ---- Numbers -------------------------------------------------------------------
// False, and `value` as it was, if the node is no number, if it has a fraction or
// an exponent (the integers) or if it is out of range.
bool dw_json_int64(const dw_json *json, uint32_t node, int64_t *value);
bool dw_json_uint64(const dw_json *json, uint32_t node, uint64_t *value);
// Correctly rounded, whatever the locale.
bool dw_json_double(const dw_json *json, uint32_t node, double *value);

_Static_assert(sizeof(dw_json_node) == 16, "nodes of a large vocabulary count");

#endif
