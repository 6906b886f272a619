// Names and texts from files that nobody vouches for, made fit for an error's words.
#ifndef DW_FORMAT_QUOTE_H
#define DW_FORMAT_QUOTE_H

#include <stddef.h>

#define DW_QUOTE_BYTES 104

typedef struct dw_quote {
  char text[DW_QUOTE_BYTES];
} dw_quote;

// The (UTF-8) text in single quotes, as much as fits, zero-terminated.  Bytes that
// could steer a terminal become '?'; what was cut off becomes "...".
dw_quote dw_quote_bytes(const char *text, size_t length);
dw_quote dw_quote_string(const char *text);

#endif
