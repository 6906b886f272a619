// Cutting text into pieces: the patterns of three families of models as scanners.
//
// Each function does what a backtracking engine does with the pattern above it: the
// alternatives in their order, each as long as it can be.
#include "tokenizer.h"
#include "unicode.h"

#include <string.h>

typedef struct scan {
  const char *at, *end;
} scan;

// The class of the character at `at`, and its bytes; 0 bytes at the end.
static inline uint32_t class_at(const char *at, const char *end, uint32_t *bytes) {
  *bytes = 0;
  return at < end ? llm_class(llm_point(at, bytes)) : 0;
}

static inline bool is_letter(uint32_t class_) {
  return class_ & LLM_LETTER;
}
static inline bool is_number(uint32_t class_) {
  return class_ & LLM_NUMBER;
}
static inline bool is_space(uint32_t class_) {
  return class_ & LLM_SPACE;
}
static inline bool is_other(uint32_t class_) {
  return !(class_ & (LLM_LETTER | LLM_NUMBER | LLM_SPACE));
}
static inline bool is_break(char c) {
  return c == '\r' || c == '\n';
}

// The end of the run of characters of a kind, at most `most` of them.
static const char *skip(const char *at, const char *end, bool (*kind)(uint32_t), uint32_t most) {
  uint32_t bytes;
  while (at < end && most-- && kind(class_at(at, end, &bytes))) at += bytes;
  return at;
}

// 's 't 're 've 'm 'll 'd; without regard to case also 'ſ, which folds to s.
static size_t contraction(const char *at, const char *end, bool any_case) {
  if (*at != '\'' || end - at < 2) return 0;
  char fold = any_case ? 0x20 : 0;
  char first = (char)(at[1] | fold);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if (end - at < 3) return 0;
  if (any_case && memcmp(at + 1, "\xC5\xBF", 2) == 0) return 3;
  char second = (char)(at[2] | fold);
  bool two =
      (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
  return two ? 3 : 0;
}

// \s+(?!\S)|\s+ at a space: all of the run, but for its last character if something follows.
static const char *spaces(const char *at, const char *end) {
  const char *stop = at, *last = at;
  uint32_t bytes;
  while (stop < end && is_space(class_at(stop, end, &bytes))) {
    last = stop;
    stop += bytes;
  }
  return stop == end || last == at ? stop : last;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
static const char *gpt2(const char *at, const char *end) {
  size_t short_form = contraction(at, end, false);
  if (short_form) return at + short_form;
  const char *body = *at == ' ' ? at + 1 : at;
  uint32_t bytes, class_ = class_at(body, end, &bytes);
  if (bytes == 0) return spaces(at, end);
  if (is_letter(class_)) return skip(body, end, is_letter, UINT32_MAX);
  if (is_number(class_)) return skip(body, end, is_number, UINT32_MAX);
  if (is_other(class_)) return skip(body, end, is_other, UINT32_MAX);
  return spaces(at, end);
}

// \s*[\r\n]+ up to the last line break of the run of spaces, or NULL if it has none.
static const char *line_breaks(const char *at, const char *end) {
  const char *stop = NULL;
  uint32_t bytes;
  while (at < end && is_space(class_at(at, end, &bytes))) {
    if (is_break(*at)) stop = at + 1;
    at += bytes;
  }
  return stop;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ and the same with \p{N}
static const char *llama3(const char *at, const char *end, uint32_t digits) {
  size_t short_form = contraction(at, end, true);
  if (short_form) return at + short_form;
  uint32_t bytes, next_bytes, class_ = class_at(at, end, &bytes);
  if (is_letter(class_)) return skip(at, end, is_letter, UINT32_MAX);
  if (is_number(class_)) return skip(at, end, is_number, digits);
  uint32_t next = class_at(at + bytes, end, &next_bytes);
  if (!is_break(*at) && is_letter(next)) return skip(at + bytes, end, is_letter, UINT32_MAX);
  const char *body = *at == ' ' ? at + 1 : at;
  const char *stop = skip(body, end, is_other, UINT32_MAX);
  if (stop > body) {
    while (stop < end && is_break(*stop)) stop++;
    return stop;
  }
  stop = line_breaks(at, end);
  return stop ? stop : spaces(at, end);
}

size_t llm_piece(llm_pattern pattern, const char *text, size_t length) {
  const char *end = text + length;
  switch (pattern) {
  case LLM_PATTERN_GPT2:
    return (size_t)(gpt2(text, end) - text);
  case LLM_PATTERN_LLAMA3:
    return (size_t)(llama3(text, end, 3) - text);
  case LLM_PATTERN_QWEN2:
    return (size_t)(llama3(text, end, 1) - text);
  case LLM_PATTERN_NONE:
    break;
  }
  return length;
}
