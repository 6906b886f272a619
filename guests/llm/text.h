// text.h: a reply's bytes as they come, given on as whole characters.
//
// Tokens may end inside a character, and a stop string inside a token: what could
// still become either is held back.
#ifndef LLM_TEXT_H
#define LLM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LLM_MAX_STOP_STRINGS 8
#define LLM_MAX_STOP_BYTES 128

typedef struct llm_text {
  char stops[LLM_MAX_STOP_STRINGS][LLM_MAX_STOP_BYTES]; // terminated
  uint32_t stop_count;
  char cut[4];                 // the beginning of a character
  uint32_t cut_bytes;
  char *held;                  // well-formed text that was not given on yet
  size_t held_bytes, held_capacity;
  size_t ready_bytes;          // of `held`: to be emitted now
  bool stopped;                // a stop string came; `ready_bytes` end before it
} llm_text;

// Starts a reply; the stop strings stay.
void llm_text_begin(llm_text *text);
// Adds bytes; afterwards the first ready_bytes of `held` are to be emitted and
// llm_text_take to be called.  False: no memory.
bool llm_text_add(llm_text *text, const char *bytes, size_t length);
// The end of the reply: everything is ready, a cut character as U+FFFD.
bool llm_text_end(llm_text *text);
void llm_text_take(llm_text *text);
void llm_text_free(llm_text *text);

#endif
