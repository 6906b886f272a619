#include "text.h"
#include "unicode.h"

#include <stdlib.h>
#include <string.h>

void llm_text_begin(llm_text *text) {
  text->cut_bytes = 0;
  text->held_bytes = text->ready_bytes = 0;
  text->stopped = false;
}

static bool hold(llm_text *text, const char *bytes, size_t length) {
  if (text->held_bytes + length > text->held_capacity) {
    size_t wanted = 2 * (text->held_bytes + length) + 64;
    char *grown = realloc(text->held, wanted);
    if (!grown) return false;
    text->held = grown;
    text->held_capacity = wanted;
  }
  memcpy(text->held + text->held_bytes, bytes, length);
  text->held_bytes += length;
  return true;
}

// Well-formed characters, and U+FFFD for what can never become one; the beginning of
// a character stays in `cut`, unless this is the end.
static bool add_characters(llm_text *text, const char *bytes, size_t length, bool end) {
  while (length) {
    uint32_t point;
    bool cut;
    int found = llm_utf8(bytes, length, &point, &cut);
    if (found < 0 && cut && !end) {
      text->cut_bytes = (uint32_t)length; // at most 3: a fourth would complete it
      memcpy(text->cut, bytes, length);
      return true;
    }
    size_t used = (size_t)(found > 0 ? found : -found);
    if (!hold(text, found > 0 ? bytes : "\xEF\xBF\xBD", found > 0 ? used : 3)) return false;
    bytes += used;
    length -= used;
  }
  return true;
}

// A cut character and the bytes that follow it, up to where it is whole or broken.
static bool finish_cut(llm_text *text, const char **bytes, size_t *length) {
  while (text->cut_bytes && *length) {
    char joined[4];
    uint32_t count = text->cut_bytes;
    memcpy(joined, text->cut, count);
    uint32_t point;
    bool cut;
    joined[count] = **bytes;
    int found = llm_utf8(joined, count + 1, &point, &cut);
    if (found < 0 && !cut) { // the new byte does not belong to it
      text->cut_bytes = 0;
      return hold(text, "\xEF\xBF\xBD", 3);
    }
    ++*bytes;
    --*length;
    memcpy(text->cut, joined, count + 1);
    text->cut_bytes = count + 1;
    if (found < 0) continue;
    text->cut_bytes = 0;
    if (!hold(text, joined, count + 1)) return false;
  }
  return true;
}

// Where the first stop string begins, or the end.
static size_t find_stop(const llm_text *text) {
  for (size_t at = 0; at < text->held_bytes; at++)
    for (uint32_t i = 0; i < text->stop_count; i++) {
      size_t length = strlen(text->stops[i]);
      if (length <= text->held_bytes - at && memcmp(text->held + at, text->stops[i], length) == 0) return at;
    }
  return text->held_bytes;
}

// How many bytes at the end could be the beginning of a stop string.
static size_t ambiguous(const llm_text *text) {
  size_t most = 0;
  for (uint32_t i = 0; i < text->stop_count; i++) {
    size_t length = strlen(text->stops[i]) - 1;
    if (length > text->held_bytes) length = text->held_bytes;
    while (length > most && memcmp(text->held + text->held_bytes - length, text->stops[i], length) != 0)
      length--;
    if (length > most) most = length;
  }
  return most;
}

static void settle(llm_text *text, bool end) {
  size_t stop = find_stop(text);
  text->stopped = stop < text->held_bytes;
  text->ready_bytes = text->stopped || end ? stop : text->held_bytes - ambiguous(text);
}

bool llm_text_add(llm_text *text, const char *bytes, size_t length) {
  if (!finish_cut(text, &bytes, &length) || !add_characters(text, bytes, length, false)) return false;
  settle(text, false);
  return true;
}

bool llm_text_end(llm_text *text) {
  uint32_t count = text->cut_bytes;
  text->cut_bytes = 0;
  if (!add_characters(text, text->cut, count, true)) return false;
  settle(text, true);
  return true;
}

void llm_text_take(llm_text *text) {
  if (!text->ready_bytes) return; // nothing may be held at all, not even a buffer
  text->held_bytes -= text->ready_bytes;
  memmove(text->held, text->held + text->ready_bytes, text->held_bytes);
  text->ready_bytes = 0;
}

void llm_text_free(llm_text *text) {
  free(text->held);
  *text = (llm_text){0};
}
