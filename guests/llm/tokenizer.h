// tokenizer.h: byte-level BPE as a tokenizer.json describes it.
//
// A tokenizer is loaded once from the file's text and only read afterwards.  What
// the `tokenizers` package would do differently with a file is refused by name, not
// approximated: other models than BPE, other pre-tokenisers than ByteLevel alone or
// behind Digits or a Split by the patterns of Llama 3 and Qwen 2, normalisers, dropout.
//
// Nothing here needs a host: the tests compile these files natively.
#ifndef LLM_TOKENIZER_H
#define LLM_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LLM_NO_TOKEN UINT32_MAX
#define LLM_MAX_TOKEN_ID ((1u << 22) - 1)

typedef struct llm_error {
  char text[224];              // what failed and where, terminated
} llm_error;

// Fills `error`; always false.
__attribute__((format(printf, 2, 3))) bool llm_fail(llm_error *error, const char *format, ...);

typedef enum llm_pattern {
  LLM_PATTERN_NONE,            // a text is one piece
  LLM_PATTERN_GPT2,
  LLM_PATTERN_LLAMA3,          // numbers in groups of 3
  LLM_PATTERN_QWEN2            // numbers digit by digit
} llm_pattern;

typedef struct llm_bytes {     // of a token, in the arena
  uint32_t offset;
  uint32_t length;
} llm_bytes;

// A token that is recognised in text before anything else looks at it.
typedef struct llm_added {
  uint32_t id;
  llm_bytes content;
  bool special, single_word, lstrip, rstrip, normalized;
} llm_added;

typedef struct llm_slot {      // of the table from bytes to token
  uint64_t head;               // the first 7 bytes and the length: of a short token all there is
  uint32_t hash;
  uint32_t id;                 // LLM_NO_TOKEN: empty
} llm_slot;

typedef struct llm_merge {     // of the table from two tokens to one
  uint32_t left, right;        // left LLM_NO_TOKEN: empty
  uint32_t rank, id;
} llm_merge;

typedef struct llm_tokenizer {
  uint32_t token_count;        // one more than the highest id
  llm_bytes *tokens;           // by id: what decoding gives; length 0: no such token
  uint8_t *special;            // by id: 1 for special added tokens
  char *arena;
  size_t arena_bytes, arena_capacity;
  llm_slot *slots;
  uint32_t slot_mask;
  llm_merge *merges;
  uint32_t merge_mask;
  uint32_t bytes[256];         // the token of each byte, LLM_NO_TOKEN: dropped
  llm_added *added;            // by first byte, then the longest first
  uint32_t added_count;
  uint32_t added_begin[257];   // into `added`, by first byte
  llm_pattern pattern;
  bool single_digits;          // each number is a piece, before the pattern cuts the rest
  bool add_prefix_space, ignore_merges;
  uint32_t bos;                // what the post-processor puts in front, LLM_NO_TOKEN: nothing
} llm_tokenizer;

// Reads a tokenizer.json.  The text is not needed afterwards.
bool llm_tokenizer_load(llm_tokenizer *tokenizer, const char *json, size_t length, llm_error *error);
void llm_tokenizer_free(llm_tokenizer *tokenizer);

// A growing list of tokens; zero is empty.
typedef struct llm_ids {
  uint32_t *ids;
  uint32_t count, capacity;
} llm_ids;
bool llm_ids_add(llm_ids *ids, uint32_t id); // false: no memory
void llm_ids_free(llm_ids *ids);

// Appends the tokens of a text as `tokenizers` does with add_special_tokens=False:
// added tokens in it are recognised.  Without `special`, special ones are just text.
// Bytes that are not UTF-8 count as U+FFFD.  False: no memory.
bool llm_encode(const llm_tokenizer *tokenizer, const char *text, size_t length, bool special, llm_ids *ids);

// The token that consists of exactly these bytes, added ones first; LLM_NO_TOKEN: none.
uint32_t llm_token(const llm_tokenizer *tokenizer, const char *bytes, size_t length);

// What a token decodes to; nothing for unknown ids.
const char *llm_token_bytes(const llm_tokenizer *tokenizer, uint32_t id, uint32_t *length);
bool llm_token_is_special(const llm_tokenizer *tokenizer, uint32_t id);

// ---- Between the files ---------------------------------------------------------------
// The length of the first piece of a text (UTF-8, not empty) that the pattern cuts off.
size_t llm_piece(llm_pattern pattern, const char *text, size_t length);
// Appends the tokens of one piece.
bool llm_encode_piece(const llm_tokenizer *tokenizer, const char *piece, size_t length, llm_ids *ids);
// Among the tokens of BPE only.
uint32_t llm_find_bytes(const llm_tokenizer *tokenizer, const char *bytes, size_t length);
const llm_merge *llm_find_merge(const llm_tokenizer *tokenizer, uint32_t left, uint32_t right);

#endif
