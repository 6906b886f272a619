// Characters: UTF-8 and the classes that pre-tokenisers ask for.
#ifndef LLM_UNICODE_H
#define LLM_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LLM_LETTER = 1, LLM_NUMBER = 2, LLM_SPACE = 4, LLM_WORD = 8 }; // \p{L} \p{N} \s \w

extern const uint16_t llm_class_index[];      // by code point / 128
extern const uint8_t llm_class_blocks[][64];  // two code points a byte, the even one low

static inline uint32_t llm_class(uint32_t point) {
  uint32_t pair = llm_class_blocks[llm_class_index[point >> 7]][(point & 127) >> 1];
  return point & 1 ? pair >> 4 : pair & 15;
}

// The sequence that begins at text[0]: its bytes if it is well formed (Unicode 16,
// table 3-7), with the character in `point`; else minus the bytes that one U+FFFD
// stands for.  `cut` says whether more bytes could have made it well formed.
// `length` is at least 1.
int llm_utf8(const char *text, size_t length, uint32_t *point, bool *cut);

// The character at text[0] of a text that is known to be UTF-8.
static inline uint32_t llm_point(const char *text, uint32_t *bytes) {
  const unsigned char *at = (const unsigned char *)text;
  if (at[0] < 0x80) {
    *bytes = 1;
    return at[0];
  }
  if (at[0] < 0xE0) {
    *bytes = 2;
    return (at[0] & 0x1Fu) << 6 | (at[1] & 0x3Fu);
  }
  if (at[0] < 0xF0) {
    *bytes = 3;
    return (at[0] & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
  }
  *bytes = 4;
  return (at[0] & 0x07u) << 18 | (at[1] & 0x3Fu) << 12 | (at[2] & 0x3Fu) << 6 | (at[3] & 0x3Fu);
}

#endif
