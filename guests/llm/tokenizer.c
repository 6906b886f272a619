// Loading a tokenizer.json: one pass over the parsed file into tables of our own.
#include "tokenizer.h"
#include "../../src/format/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool llm_fail(llm_error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof error->text, format, arguments);
  va_end(arguments);
  return false;
}

// Lookups come in blocks: first every slot of a block is touched, then the block is
// dealt with, so that the cache misses of a large table overlap.
#define BLOCK 32

typedef struct loader {
  llm_tokenizer *tokenizer;
  dw_json json;
  llm_error *error;
  int16_t byte_of[324]; // by character of the byte-level alphabet; -1: none
  char *scratch;        // BLOCK rooms for twice the longest string, and one behind them
  size_t scratch_bytes; // of one room
  uint32_t touched;     // keeps the reads of touch()
} loader;

// Reads a table's entry that will be needed soon.
static inline void touch(loader *load, const uint32_t *entry) {
  load->touched ^= *entry;
}

static bool no_memory(loader *load) {
  return llm_fail(load->error, "tokenizer.json: no memory");
}

// ---- The byte-level alphabet -----------------------------------------------------------
// Bytes that print stand for themselves; the others are U+0100 and on, in order (GPT-2).

static bool prints(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

static void fill_alphabet(loader *load) {
  memset(load->byte_of, -1, sizeof load->byte_of);
  int16_t next = 256;
  for (int16_t byte = 0; byte < 256; byte++) load->byte_of[prints(byte) ? byte : next++] = byte;
}

// Turns characters of the alphabet into bytes, in place if need be.  False: another
// character is among them, and `out` is worth nothing.
static bool to_bytes(const loader *load, const char *text, uint32_t length, char *out, uint32_t *count) {
  const unsigned char *at = (const unsigned char *)text, *end = at + length;
  uint32_t used = 0;
  while (at < end) {
    uint32_t point = *at++;
    if (point >= 0x80) {
      if (point < 0xC2 || point > 0xC5 || at == end) return false; // beyond U+0143
      point = (point & 0x1F) << 6 | (*at++ & 0x3F);
    }
    if (point >= 324 || load->byte_of[point] < 0) return false;
    out[used++] = (char)load->byte_of[point];
  }
  *count = used;
  return true;
}

// ---- Tables ----------------------------------------------------------------------------

#define HEAD_BYTES 7

// What a lookup compares.  Short strings need no look at the arena, which for a large
// vocabulary is what takes the time.
typedef struct probe {
  uint64_t head;
  uint32_t hash;
} probe;

static inline uint64_t word_of(const char *bytes, size_t count) { // 1, 2, 4 or 8
  uint64_t word = 0;
  memcpy(&word, bytes, count);
  return word;
}

static inline uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
  return hash ^ hash >> 29;
}

static inline uint64_t first_bytes(const char *bytes, size_t length) { // of at most HEAD_BYTES
  if (length >= 4) return word_of(bytes, 4) | word_of(bytes + length - 4, 4) << 8 * (length - 4);
  if (length >= 2) return word_of(bytes, 2) | word_of(bytes + length - 2, 2) << 8 * (length - 2);
  return length ? word_of(bytes, 1) : 0;
}

static inline probe probe_of(const char *bytes, size_t length) {
  uint64_t head = length > HEAD_BYTES ? word_of(bytes, 8) & (UINT64_MAX >> 8) : first_bytes(bytes, length);
  head |= (uint64_t)(length < 255 ? length : 255) << 56;
  uint64_t hash = mix(0, head);
  if (length > HEAD_BYTES) {
    for (size_t i = HEAD_BYTES; i + 8 < length; i += 8) hash = mix(hash, word_of(bytes + i, 8));
    hash = mix(hash, word_of(bytes + length - 8, 8));
  }
  return (probe){head, (uint32_t)(hash * UINT64_C(0xD6E8FEB86659FD93) >> 32)};
}

// The slot that holds these bytes, or the empty one where they would go.
static inline llm_slot *find_slot(const llm_tokenizer *tokenizer, probe wanted, const char *bytes,
                                  size_t length) {
  for (uint32_t i = wanted.hash & tokenizer->slot_mask;; i = (i + 1) & tokenizer->slot_mask) {
    llm_slot *slot = &tokenizer->slots[i];
    if (slot->id == LLM_NO_TOKEN) return slot;
    if (slot->head != wanted.head || slot->hash != wanted.hash) continue;
    if (length <= HEAD_BYTES) return slot;
    const llm_bytes *token = &tokenizer->tokens[slot->id];
    if (token->length == length && memcmp(tokenizer->arena + token->offset, bytes, length) == 0) return slot;
  }
}

uint32_t llm_find_bytes(const llm_tokenizer *tokenizer, const char *bytes, size_t length) {
  return find_slot(tokenizer, probe_of(bytes, length), bytes, length)->id;
}

static inline uint32_t merge_slot(const llm_tokenizer *tokenizer, uint32_t left, uint32_t right) {
  uint64_t mixed = ((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15);
  return (uint32_t)(mixed >> 40) & tokenizer->merge_mask;
}

const llm_merge *llm_find_merge(const llm_tokenizer *tokenizer, uint32_t left, uint32_t right) {
  for (uint32_t i = merge_slot(tokenizer, left, right);; i = (i + 1) & tokenizer->merge_mask) {
    const llm_merge *merge = &tokenizer->merges[i];
    if (merge->left == LLM_NO_TOKEN) return NULL;
    if (merge->left == left && merge->right == right) return merge;
  }
}

// A power of two above one and a half times `count`, for tables that are never full.
static uint32_t table_size(uint32_t count) {
  uint32_t size = 16;
  while (size / 3 < count / 2 + 1) size *= 2;
  return size;
}

static bool add_to_arena(loader *load, const char *bytes, uint32_t length, llm_bytes *where) {
  llm_tokenizer *tokenizer = load->tokenizer;
  if (length > tokenizer->arena_capacity - tokenizer->arena_bytes) return no_memory(load);
  *where = (llm_bytes){(uint32_t)tokenizer->arena_bytes, length};
  memcpy(tokenizer->arena + tokenizer->arena_bytes, bytes, length);
  tokenizer->arena_bytes += length;
  return true;
}

// ---- Values of the file ----------------------------------------------------------------

static bool is(const loader *load, uint32_t node, const char *text) {
  return node && dw_json_type_of(&load->json, node) == DW_JSON_STRING &&
         dw_json_equal(&load->json, node, text, strlen(text));
}

static bool is_type(const loader *load, uint32_t node, dw_json_type type) {
  return node && dw_json_type_of(&load->json, node) == type;
}

static bool is_absent(const loader *load, uint32_t node) {
  return !node || is_type(load, node, DW_JSON_NULL);
}

static uint32_t find(const loader *load, uint32_t object, const char *key) {
  return object ? dw_json_find(&load->json, object, key) : 0;
}

// A member of the file's outermost object.
static uint32_t top(const loader *load, const char *key) {
  return dw_json_find(&load->json, 0, key);
}

static bool is_true(const loader *load, uint32_t object, const char *key) {
  return is_type(load, find(load, object, key), DW_JSON_TRUE);
}

// The value of a string node, at most as long as its text.
static uint32_t text_of(const loader *load, uint32_t node, const char **text) {
  if (!load->json.nodes[node].escaped) {
    *text = dw_json_raw(&load->json, node);
    return dw_json_raw_bytes(&load->json, node);
  }
  char *room = load->scratch + BLOCK * load->scratch_bytes;
  *text = room;
  return dw_json_string(&load->json, node, room);
}

static bool read_id(loader *load, uint32_t node, uint32_t *id) {
  uint64_t value;
  if (!node || !dw_json_uint64(&load->json, node, &value) || value > LLM_MAX_TOKEN_ID)
    return llm_fail(load->error, "tokenizer.json: a token id is no number from 0 to %u", LLM_MAX_TOKEN_ID);
  *id = (uint32_t)value;
  return true;
}

// For words in errors: the "type" of an object as it is written, cut to fit.
static void type_name(const loader *load, uint32_t object, char name[48]) {
  uint32_t node = find(load, object, "type");
  const char *text = is_absent(load, object) ? "null" : "?";
  uint32_t length = (uint32_t)strlen(text);
  if (is_type(load, node, DW_JSON_STRING)) {
    text = dw_json_raw(&load->json, node);
    length = dw_json_raw_bytes(&load->json, node);
  }
  snprintf(name, 48, "%.*s", length < 47 ? (int)length : 47, text);
}

// ---- Vocabulary ------------------------------------------------------------------------

// Highest id, bytes and longest string of both token lists.
static bool measure(loader *load, uint32_t vocabulary, uint32_t added) {
  const dw_json *json = &load->json;
  llm_tokenizer *tokenizer = load->tokenizer;
  size_t bytes = 0;
  uint32_t id = 0, highest = 0, longest = 0;
  for (uint32_t key = dw_json_begin(vocabulary); key < dw_json_end(json, vocabulary);
       key = dw_json_after(json, key + 1)) {
    if (!read_id(load, key + 1, &id)) return false;
    if (id > highest) highest = id;
    bytes += dw_json_raw_bytes(json, key);
  }
  for (uint32_t i = dw_json_begin(added); added && i < dw_json_end(json, added); i = dw_json_after(json, i)) {
    uint32_t content = find(load, i, "content");
    if (!is_type(load, content, DW_JSON_STRING))
      return llm_fail(load->error, "tokenizer.json: an added token has no content");
    if (!read_id(load, find(load, i, "id"), &id)) return false;
    if (id > highest) highest = id;
    bytes += (size_t)2 * dw_json_raw_bytes(json, content);
  }
  for (uint32_t i = 0; i < json->count; i++)
    if (json->nodes[i].type == DW_JSON_STRING && json->nodes[i].length > longest)
      longest = json->nodes[i].length;
  tokenizer->token_count = highest + 1;
  tokenizer->arena_capacity = bytes;
  tokenizer->arena = malloc(bytes + 1);
  tokenizer->tokens = calloc(tokenizer->token_count, sizeof *tokenizer->tokens);
  tokenizer->special = calloc(tokenizer->token_count, 1);
  load->scratch_bytes = (size_t)longest * 2 + 2;
  load->scratch = malloc((BLOCK + 1) * load->scratch_bytes);
  return (tokenizer->arena && tokenizer->tokens && tokenizer->special && load->scratch) || no_memory(load);
}

typedef struct new_token {
  uint32_t id;
  uint32_t length;
  probe wanted;
} new_token;

// Puts the token's bytes into the arena.  Tokens that are no byte strings can be
// decoded, but BPE never makes one of them: those get no slot (length 0).
static bool read_token(loader *load, uint32_t key, new_token *token) {
  llm_tokenizer *tokenizer = load->tokenizer;
  const char *text;
  uint32_t length = text_of(load, key, &text), count;
  token->length = 0;
  if (!read_id(load, key + 1, &token->id)) return false;
  llm_bytes *bytes = &tokenizer->tokens[token->id];
  if (bytes->length) return llm_fail(load->error, "tokenizer.json: token id %u is given twice", token->id);
  if (length > tokenizer->arena_capacity - tokenizer->arena_bytes) return no_memory(load);
  char *out = tokenizer->arena + tokenizer->arena_bytes;
  if (!to_bytes(load, text, length, out, &count)) return add_to_arena(load, text, length, bytes);
  *bytes = (llm_bytes){(uint32_t)tokenizer->arena_bytes, count};
  tokenizer->arena_bytes += count;
  token->length = count;
  token->wanted = probe_of(out, count);
  return true;
}

static bool add_tokens(loader *load, const new_token *block, uint32_t count) {
  llm_tokenizer *tokenizer = load->tokenizer;
  for (uint32_t i = 0; i < count; i++)
    touch(load, &tokenizer->slots[block[i].wanted.hash & tokenizer->slot_mask].id);
  for (uint32_t i = 0; i < count; i++) {
    if (block[i].length == 0) continue;
    const char *bytes = tokenizer->arena + tokenizer->tokens[block[i].id].offset;
    llm_slot *slot = find_slot(tokenizer, block[i].wanted, bytes, block[i].length);
    if (slot->id != LLM_NO_TOKEN)
      return llm_fail(load->error, "tokenizer.json: a token is given twice, the second time with id %u",
                      block[i].id);
    *slot = (llm_slot){block[i].wanted.head, block[i].wanted.hash, block[i].id};
  }
  return true;
}

static bool read_vocabulary(loader *load, uint32_t vocabulary) {
  const dw_json *json = &load->json;
  llm_tokenizer *tokenizer = load->tokenizer;
  new_token block[BLOCK] = {{0}};
  uint32_t size = table_size(dw_json_size(json, vocabulary)), count = 0;
  tokenizer->slot_mask = size - 1;
  tokenizer->slots = malloc(size * sizeof *tokenizer->slots);
  if (!tokenizer->slots) return no_memory(load);
  memset(tokenizer->slots, 0xFF, size * sizeof *tokenizer->slots);
  for (uint32_t key = dw_json_begin(vocabulary); key < dw_json_end(json, vocabulary);
       key = dw_json_after(json, key + 1)) {
    if (!read_token(load, key, &block[count++])) return false;
    if (count < BLOCK) continue;
    if (!add_tokens(load, block, count)) return false;
    count = 0;
  }
  if (!add_tokens(load, block, count)) return false;
  for (uint32_t byte = 0; byte < 256; byte++) {
    const char one = (char)byte;
    tokenizer->bytes[byte] = llm_find_bytes(tokenizer, &one, 1);
  }
  return true;
}

// ---- Merges ----------------------------------------------------------------------------

// The two halves of a merge as bytes, one behind the other in `out`, which has room
// for twice the longest string.
static bool read_halves(loader *load, uint32_t node, char *out, uint32_t *left, uint32_t *right) {
  const dw_json *json = &load->json;
  const char *text;
  if (is_type(load, node, DW_JSON_STRING)) {
    uint32_t length = text_of(load, node, &text);
    const char *space = memchr(text, ' ', length);
    if (!space) return false;
    uint32_t first = (uint32_t)(space - text);
    return to_bytes(load, text, first, out, left) &&
           to_bytes(load, space + 1, length - first - 1, out + *left, right);
  }
  if (!is_type(load, node, DW_JSON_ARRAY) || dw_json_size(json, node) != 2) return false;
  uint32_t a = dw_json_begin(node), b = dw_json_after(json, a);
  if (!is_type(load, a, DW_JSON_STRING) || !is_type(load, b, DW_JSON_STRING)) return false;
  uint32_t length = text_of(load, a, &text);
  if (!to_bytes(load, text, length, out, left)) return false;
  length = text_of(load, b, &text);
  return to_bytes(load, text, length, out + *left, right);
}

typedef struct new_merge {
  const char *bytes;    // of both halves, in the scratch memory
  uint32_t left, right; // their lengths
  probe a, b;
  llm_merge merge;
} new_merge;

static bool has_bytes(const llm_tokenizer *tokenizer, uint32_t id, const char *bytes, uint32_t length) {
  return id < tokenizer->token_count && tokenizer->tokens[id].length == length &&
         memcmp(tokenizer->arena + tokenizer->tokens[id].offset, bytes, length) == 0;
}

// `both` is the token that the merge before this one made: mostly the next one follows.
static bool find_tokens(loader *load, new_merge *new, uint32_t *both) {
  llm_tokenizer *tokenizer = load->tokenizer;
  const char *bytes = new->bytes;
  new->merge.left = find_slot(tokenizer, new->a, bytes, new->left)->id;
  new->merge.right = find_slot(tokenizer, new->b, bytes + new->left, new->right)->id;
  if (has_bytes(tokenizer, *both + 1, bytes, new->left + new->right))
    ++*both;
  else
    *both = llm_find_bytes(tokenizer, bytes, new->left + new->right);
  new->merge.id = *both;
  if (new->merge.left == LLM_NO_TOKEN || new->merge.right == LLM_NO_TOKEN || *both == LLM_NO_TOKEN)
    return llm_fail(load->error, "tokenizer.json: merge %u is of tokens that the vocabulary lacks",
                    new->merge.rank);
  touch(load, &tokenizer->merges[merge_slot(tokenizer, new->merge.left, new->merge.right)].id);
  return true;
}

static void add_merge(llm_tokenizer *tokenizer, const llm_merge *new) {
  uint32_t i = merge_slot(tokenizer, new->left, new->right);
  llm_merge *merge = &tokenizer->merges[i];
  for (; merge->left != LLM_NO_TOKEN && (merge->left != new->left || merge->right != new->right);
       merge = &tokenizer->merges[i])
    i = (i + 1) & tokenizer->merge_mask;
  *merge = *new; // of equal ones the last counts
}

static bool add_merges(loader *load, new_merge *block, uint32_t count, uint32_t *both) {
  llm_tokenizer *tokenizer = load->tokenizer;
  for (uint32_t i = 0; i < count; i++) {
    touch(load, &tokenizer->slots[block[i].a.hash & tokenizer->slot_mask].id);
    touch(load, &tokenizer->slots[block[i].b.hash & tokenizer->slot_mask].id);
  }
  for (uint32_t i = 0; i < count; i++)
    if (!find_tokens(load, &block[i], both)) return false;
  for (uint32_t i = 0; i < count; i++) add_merge(tokenizer, &block[i].merge);
  return true;
}

static bool read_merge(loader *load, uint32_t node, uint32_t rank, char *room, new_merge *new) {
  new->bytes = room;
  new->merge.rank = rank;
  if (!read_halves(load, node, room, &new->left, &new->right))
    return llm_fail(load->error, "tokenizer.json: merge %u is no pair of byte-level tokens", rank);
  new->a = probe_of(room, new->left);
  new->b = probe_of(room + new->left, new->right);
  return true;
}

static bool read_merges(loader *load, uint32_t merges) {
  const dw_json *json = &load->json;
  llm_tokenizer *tokenizer = load->tokenizer;
  uint32_t size = table_size(dw_json_size(json, merges)), rank = 0, both = 0, count = 0;
  tokenizer->merge_mask = size - 1;
  tokenizer->merges = malloc(size * sizeof *tokenizer->merges);
  if (!tokenizer->merges) return no_memory(load);
  memset(tokenizer->merges, 0xFF, size * sizeof *tokenizer->merges);
  new_merge block[BLOCK];
  for (uint32_t i = dw_json_begin(merges); i < dw_json_end(json, merges); i = dw_json_after(json, i)) {
    if (!read_merge(load, i, rank++, load->scratch + count * load->scratch_bytes, &block[count]))
      return false;
    if (++count < BLOCK) continue;
    if (!add_merges(load, block, count, &both)) return false;
    count = 0;
  }
  return add_merges(load, block, count, &both);
}

static bool read_model(loader *load) {
  uint32_t model = top(load, "model"), added = top(load, "added_tokens");
  uint32_t type = find(load, model, "type"), vocabulary = find(load, model, "vocab"),
           merges = find(load, model, "merges");
  char name[48];
  type_name(load, model, name);
  if (type && !is(load, type, "BPE"))
    return llm_fail(load->error, "tokenizer.json: the model is %s, only BPE is supported", name);
  if (!is_type(load, vocabulary, DW_JSON_OBJECT) || !is_type(load, merges, DW_JSON_ARRAY))
    return llm_fail(load->error, "tokenizer.json: no vocabulary or no merges");
  if (added && !is_type(load, added, DW_JSON_ARRAY))
    return llm_fail(load->error, "tokenizer.json: added_tokens is no list");
  static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
  for (int i = 0; i < 2; i++) {
    uint32_t node = find(load, model, affixes[i]);
    if (!is_absent(load, node) && !is(load, node, ""))
      return llm_fail(load->error, "tokenizer.json: %s is not supported", affixes[i]);
  }
  double dropout = 0;
  uint32_t node = find(load, model, "dropout");
  if (!is_absent(load, node) && (!dw_json_double(&load->json, node, &dropout) || dropout > 0))
    return llm_fail(load->error, "tokenizer.json: dropout is not supported");
  if (is_true(load, model, "byte_fallback"))
    return llm_fail(load->error, "tokenizer.json: byte_fallback is not supported");
  load->tokenizer->ignore_merges = is_true(load, model, "ignore_merges");
  if (!measure(load, vocabulary, added) || !read_vocabulary(load, vocabulary) || !read_merges(load, merges))
    return false;
  if (is_absent(load, find(load, model, "unk_token"))) return true;
  for (int byte = 0; byte < 256; byte++) // else there is nothing that could be unknown
    if (load->tokenizer->bytes[byte] == LLM_NO_TOKEN)
      return llm_fail(load->error, "tokenizer.json: unk_token is not supported where bytes are missing");
  return true;
}

// ---- Added tokens ----------------------------------------------------------------------

static int by_first_byte(const void *left, const void *right, const char *arena) {
  const llm_added *a = left, *b = right;
  unsigned char x = (unsigned char)arena[a->content.offset], y = (unsigned char)arena[b->content.offset];
  if (x != y) return x < y ? -1 : 1;
  return a->content.length > b->content.length ? -1 : a->content.length < b->content.length;
}

static bool read_added_token(loader *load, uint32_t node) {
  llm_tokenizer *tokenizer = load->tokenizer;
  llm_added added = {.special = is_true(load, node, "special"),
                     .single_word = is_true(load, node, "single_word"),
                     .lstrip = is_true(load, node, "lstrip"),
                     .rstrip = is_true(load, node, "rstrip"),
                     .normalized = is_true(load, node, "normalized")};
  const char *text;
  uint32_t length = text_of(load, find(load, node, "content"), &text), count;
  if (!read_id(load, find(load, node, "id"), &added.id)) return false;
  if (length == 0) return true;
  if (!add_to_arena(load, text, length, &added.content)) return false;
  tokenizer->special[added.id] |= added.special;
  if (tokenizer->tokens[added.id].length == 0) { // else the vocabulary has it, with the same bytes
    llm_bytes bytes = added.content;
    char *out = tokenizer->arena + tokenizer->arena_bytes; // measured for twice the content
    if (to_bytes(load, tokenizer->arena + bytes.offset, length, out, &count)) {
      bytes = (llm_bytes){(uint32_t)tokenizer->arena_bytes, count};
      tokenizer->arena_bytes += count;
    }
    tokenizer->tokens[added.id] = bytes;
  }
  tokenizer->added[tokenizer->added_count++] = added;
  return true;
}

// Insertion sort: files list a few hundred of them, nearly in order.
static void sort_added(llm_tokenizer *tokenizer) {
  for (uint32_t i = 1; i < tokenizer->added_count; i++) {
    llm_added moved = tokenizer->added[i];
    uint32_t at = i;
    for (; at > 0 && by_first_byte(&moved, &tokenizer->added[at - 1], tokenizer->arena) < 0; at--)
      tokenizer->added[at] = tokenizer->added[at - 1];
    tokenizer->added[at] = moved;
  }
}

#define MAX_ADDED 16384

static bool read_added(loader *load) {
  llm_tokenizer *tokenizer = load->tokenizer;
  uint32_t list = top(load, "added_tokens");
  if (!list) return true;
  if (dw_json_size(&load->json, list) > MAX_ADDED)
    return llm_fail(load->error, "tokenizer.json: more than %d added tokens", MAX_ADDED);
  tokenizer->added = calloc(dw_json_size(&load->json, list) + 1, sizeof *tokenizer->added);
  if (!tokenizer->added) return no_memory(load);
  for (uint32_t i = dw_json_begin(list); i < dw_json_end(&load->json, list);
       i = dw_json_after(&load->json, i))
    if (!read_added_token(load, i)) return false;
  sort_added(tokenizer);
  uint32_t at = 0;
  for (uint32_t byte = 0; byte < 257; byte++) {
    tokenizer->added_begin[byte] = at;
    while (at < tokenizer->added_count && byte < 256 &&
           (unsigned char)tokenizer->arena[tokenizer->added[at].content.offset] == byte)
      at++;
  }
  return true;
}

// ---- What surrounds the model ------------------------------------------------------------

static bool read_pattern(loader *load, uint32_t split) {
  static const struct {
    llm_pattern pattern;
    const char *text;
  } known[] = {
      {LLM_PATTERN_GPT2,
       "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
      {LLM_PATTERN_LLAMA3, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
                           "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
      {LLM_PATTERN_QWEN2, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
                          "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
  };
  uint32_t regex = find(load, find(load, split, "pattern"), "Regex");
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (is(load, regex, known[i].text)) load->tokenizer->pattern = known[i].pattern;
  if (load->tokenizer->pattern == LLM_PATTERN_NONE)
    return llm_fail(load->error,
                    "tokenizer.json: the pre-tokeniser splits by a pattern that is none of GPT-2, Llama 3 "
                    "and Qwen 2");
  if (!is(load, find(load, split, "behavior"), "Isolated") || is_true(load, split, "invert"))
    return llm_fail(load->error, "tokenizer.json: the pre-tokeniser's Split is not Isolated");
  return true;
}

// What stands before ByteLevel in a sequence.
static bool read_first(loader *load, uint32_t first, bool own_pattern) {
  llm_tokenizer *tokenizer = load->tokenizer;
  char name[48];
  if (tokenizer->add_prefix_space)
    return llm_fail(load->error,
                    "tokenizer.json: add_prefix_space behind another pre-tokeniser is not supported");
  if (is(load, find(load, first, "type"), "Digits")) {
    tokenizer->single_digits = is_true(load, first, "individual_digits");
    if (tokenizer->single_digits && own_pattern) return true;
    return llm_fail(load->error,
                    "tokenizer.json: Digits is supported with individual_digits and use_regex only");
  }
  if (is(load, find(load, first, "type"), "Split")) {
    if (!own_pattern) return read_pattern(load, first);
    return llm_fail(load->error, "tokenizer.json: ByteLevel with use_regex behind a Split is not supported");
  }
  type_name(load, first, name);
  return llm_fail(load->error, "tokenizer.json: the pre-tokeniser %s is not supported, only Split and Digits",
                  name);
}

static bool read_pre_tokenizer(loader *load) {
  llm_tokenizer *tokenizer = load->tokenizer;
  uint32_t node = top(load, "pre_tokenizer"), bytes = node, first = 0;
  char name[48];
  if (is(load, find(load, node, "type"), "Sequence")) {
    uint32_t list = find(load, node, "pretokenizers");
    uint32_t count = is_type(load, list, DW_JSON_ARRAY) ? dw_json_size(&load->json, list) : 0;
    if (count < 1 || count > 2)
      return llm_fail(load->error, "tokenizer.json: a sequence of %u pre-tokenisers, 1 or 2 are supported",
                      count);
    bytes = dw_json_begin(list);
    if (count == 2) {
      first = bytes;
      bytes = dw_json_after(&load->json, first);
    }
  }
  if (!is(load, find(load, bytes, "type"), "ByteLevel")) {
    type_name(load, bytes, name);
    return llm_fail(load->error, "tokenizer.json: the pre-tokeniser %s is not supported, only ByteLevel",
                    name);
  }
  uint32_t use_regex = find(load, bytes, "use_regex"); // true where it is missing
  bool own_pattern = !use_regex || is_type(load, use_regex, DW_JSON_TRUE);
  tokenizer->add_prefix_space = is_true(load, bytes, "add_prefix_space");
  tokenizer->pattern = own_pattern ? LLM_PATTERN_GPT2 : LLM_PATTERN_NONE;
  return !first || read_first(load, first, own_pattern);
}

static bool read_surroundings(loader *load) {
  char name[48];
  uint32_t normalizer = top(load, "normalizer"), decoder = top(load, "decoder");
  type_name(load, normalizer, name);
  if (!is_absent(load, normalizer))
    return llm_fail(load->error, "tokenizer.json: the normaliser %s is not supported", name);
  type_name(load, decoder, name);
  if (!is(load, find(load, decoder, "type"), "ByteLevel"))
    return llm_fail(load->error, "tokenizer.json: the decoder is %s, only ByteLevel is supported", name);
  return true;
}

// The token that a TemplateProcessing, alone or in a sequence, puts before a text.
static void read_bos(loader *load) {
  llm_tokenizer *tokenizer = load->tokenizer;
  uint32_t node = top(load, "post_processor"), list = find(load, node, "processors");
  tokenizer->bos = LLM_NO_TOKEN;
  if (is_type(load, list, DW_JSON_ARRAY)) {
    uint32_t i = dw_json_begin(list);
    while (i < dw_json_end(&load->json, list) && !is(load, find(load, i, "type"), "TemplateProcessing"))
      i = dw_json_after(&load->json, i);
    node = i < dw_json_end(&load->json, list) ? i : 0;
  }
  uint32_t single = find(load, node, "single");
  if (!is_type(load, single, DW_JSON_ARRAY) || dw_json_size(&load->json, single) == 0) return;
  uint32_t id = find(load, find(load, dw_json_begin(single), "SpecialToken"), "id");
  if (!is_type(load, id, DW_JSON_STRING)) return;
  const char *text;
  uint32_t length = text_of(load, id, &text);
  tokenizer->bos = llm_token(tokenizer, text, length);
}

// ---- The whole -------------------------------------------------------------------------

bool llm_tokenizer_load(llm_tokenizer *tokenizer, const char *json, size_t length, llm_error *error) {
  loader load = {.tokenizer = tokenizer, .error = error};
  dw_json_error failed;
  *tokenizer = (llm_tokenizer){.bos = LLM_NO_TOKEN};
  fill_alphabet(&load);
  if (dw_json_parse(json, length, 0, &load.json, &failed) != DW_OK)
    return llm_fail(error, "tokenizer.json: %s at byte %" PRIu64, failed.message, failed.position);
  bool ok =
      dw_json_type_of(&load.json, 0) == DW_JSON_OBJECT || llm_fail(error, "tokenizer.json: not an object");
  ok = ok && read_model(&load) && read_added(&load) && read_pre_tokenizer(&load) && read_surroundings(&load);
  if (ok) read_bos(&load);
  free(load.scratch);
  dw_json_free(&load.json);
  if (!ok) llm_tokenizer_free(tokenizer);
  return ok;
}

void llm_tokenizer_free(llm_tokenizer *tokenizer) {
  free(tokenizer->tokens);
  free(tokenizer->special);
  free(tokenizer->arena);
  free(tokenizer->slots);
  free(tokenizer->merges);
  free(tokenizer->added);
  *tokenizer = (llm_tokenizer){.bos = LLM_NO_TOKEN};
}

uint32_t llm_token(const llm_tokenizer *tokenizer, const char *bytes, size_t length) {
  for (uint32_t i = 0; i < tokenizer->added_count; i++) {
    const llm_added *added = &tokenizer->added[i];
    if (added->content.length == length &&
        memcmp(tokenizer->arena + added->content.offset, bytes, length) == 0)
      return added->id;
  }
  return tokenizer->slots ? llm_find_bytes(tokenizer, bytes, length) : LLM_NO_TOKEN;
}

const char *llm_token_bytes(const llm_tokenizer *tokenizer, uint32_t id, uint32_t *length) {
  *length = id < tokenizer->token_count ? tokenizer->tokens[id].length : 0;
  return *length ? tokenizer->arena + tokenizer->tokens[id].offset : "";
}

bool llm_token_is_special(const llm_tokenizer *tokenizer, uint32_t id) {
  return id < tokenizer->token_count && tokenizer->special[id];
}
