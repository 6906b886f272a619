// From text to tokens: well-formed UTF-8, added tokens, pieces, merges.
#include "tokenizer.h"
#include "unicode.h"

#include <stdlib.h>
#include <string.h>

// ---- Whitespace and words around added tokens ---------------------------------------

static uint32_t point_before(const char *text, const char *at) {
  const char *start = at - 1;
  uint32_t bytes;
  while (start > text && ((unsigned char)*start & 0xC0) == 0x80) start--;
  return llm_point(start, &bytes);
}

static const char *spaces_before(const char *text, const char *at) {
  while (at > text && (llm_class(point_before(text, at)) & LLM_SPACE)) {
    at--;
    while (((unsigned char)*at & 0xC0) == 0x80) at--;
  }
  return at;
}

static const char *spaces_after(const char *at, const char *end) {
  uint32_t bytes;
  while (at < end && (llm_class(llm_point(at, &bytes)) & LLM_SPACE)) at += bytes;
  return at;
}

static bool is_own_word(const char *text, const char *begin, const char *stop, const char *end) {
  uint32_t bytes;
  if (begin > text && (llm_class(point_before(text, begin)) & LLM_WORD)) return false;
  return stop == end || !(llm_class(llm_point(stop, &bytes)) & LLM_WORD);
}

// ---- Pieces ----------------------------------------------------------------------------

typedef struct encoding {
  const llm_tokenizer *tokenizer;
  bool special; // special tokens are recognised
  llm_ids *ids;
} encoding;

// What the pattern sees as one text.
static bool encode_part(const encoding *e, const char *text, size_t length) {
  bool ok = true;
  for (size_t piece; ok && length; text += piece, length -= piece) {
    piece = llm_piece(e->tokenizer->pattern, text, length);
    ok = llm_encode_piece(e->tokenizer, text, piece, e->ids);
  }
  return ok;
}

// One number, or what lies before the next.
static size_t digits_part(const char *text, size_t length) {
  const char *at = text, *end = text + length;
  uint32_t bytes = 0;
  while (at < end && !(llm_class(llm_point(at, &bytes)) & LLM_NUMBER)) at += bytes;
  return at > text ? (size_t)(at - text) : bytes;
}

// A stretch without added tokens.
static bool encode_plain(const encoding *e, const char *text, size_t length) {
  const llm_tokenizer *tokenizer = e->tokenizer;
  char *copy = NULL;
  if (tokenizer->add_prefix_space && length && *text != ' ') {
    copy = length < SIZE_MAX ? malloc(length + 1) : NULL;
    if (!copy) return false;
    copy[0] = ' ';
    memcpy(copy + 1, text, length++);
    text = copy;
  }
  bool ok = true;
  for (size_t part; ok && length; text += part, length -= part) {
    part = tokenizer->single_digits ? digits_part(text, length) : length;
    ok = encode_part(e, text, part);
  }
  free(copy);
  return ok;
}

// The longest added token that stands at `at`; the two kinds are looked for in turn.
static const llm_added *added_at(const encoding *e, const char *at, const char *end, bool normalized) {
  const llm_tokenizer *tokenizer = e->tokenizer;
  const uint32_t *begin = &tokenizer->added_begin[(unsigned char)*at];
  for (uint32_t i = begin[0]; i < begin[1]; i++) {
    const llm_added *added = &tokenizer->added[i];
    if (added->normalized == normalized && (e->special || !added->special) &&
        added->content.length <= (size_t)(end - at) &&
        memcmp(at, tokenizer->arena + added->content.offset, added->content.length) == 0)
      return added;
  }
  return NULL;
}

static bool encode_added(const encoding *e, const char *text, size_t length, bool normalized);

// What lies between added tokens of one kind may hold those of the other.
static bool encode_between(const encoding *e, const char *text, size_t length, bool normalized) {
  return normalized ? encode_plain(e, text, length) : encode_added(e, text, length, true);
}

// Cuts at the added tokens of one kind, from left to right, the longest first.
static bool encode_added(const encoding *e, const char *text, size_t length, bool normalized) {
  const char *end = text + length, *from = text;
  bool ok = true;
  for (const char *at = text; ok && at < end;) {
    const llm_added *added = added_at(e, at, end, normalized);
    if (!added) {
      at++;
      continue;
    }
    const char *begin = at, *stop = at + added->content.length;
    at = stop;
    if (added->single_word && !is_own_word(text, begin, stop, end)) continue;
    if (added->lstrip) {
      begin = spaces_before(text, begin);
      if (begin < from) begin = from;
    }
    if (added->rstrip) stop = spaces_after(stop, end);
    // Spaces that were stripped may be a token themselves and are looked at again,
    // so `from` may lie behind `begin`, and even go back: as the peer does it.
    ok = from >= begin || encode_between(e, from, (size_t)(begin - from), normalized);
    ok = ok && llm_ids_add(e->ids, added->id);
    from = stop;
  }
  return ok && encode_between(e, from, (size_t)(end - from), normalized);
}

// ---- Whole texts -----------------------------------------------------------------------

static bool is_utf8(const char *text, size_t length) {
  uint32_t point;
  bool cut;
  for (size_t i = 0; i < length;) {
    int bytes = llm_utf8(text + i, length - i, &point, &cut);
    if (bytes < 0) return false;
    i += (size_t)bytes;
  }
  return true;
}

// A copy in which U+FFFD stands for what is not UTF-8; at most three times as long.
static char *repaired(const char *text, size_t *length) {
  if (*length > SIZE_MAX / 3 - 1) return NULL;
  char *copy = malloc(*length * 3 + 1), *out = copy;
  uint32_t point;
  bool cut;
  for (size_t i = 0; copy && i < *length;) {
    int bytes = llm_utf8(text + i, *length - i, &point, &cut);
    memcpy(out, bytes > 0 ? text + i : "\xEF\xBF\xBD", bytes > 0 ? (size_t)bytes : 3);
    out += bytes > 0 ? bytes : 3;
    i += (size_t)(bytes > 0 ? bytes : -bytes);
  }
  *length = (size_t)(out - copy);
  return copy;
}

bool llm_encode(const llm_tokenizer *tokenizer, const char *text, size_t length, bool special, llm_ids *ids) {
  const encoding e = {tokenizer, special, ids};
  char *copy = NULL;
  if (!is_utf8(text, length)) {
    text = copy = repaired(text, &length);
    if (!copy) return false;
  }
  bool ok = encode_added(&e, text, length, false);
  free(copy);
  return ok;
}
