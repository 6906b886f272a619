#include "quote.h"

#include <stdbool.h>
#include <string.h>

static bool continues(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

dw_quote dw_quote_bytes(const char *text, size_t length) {
  dw_quote quote;
  char *out = quote.text;
  size_t most = sizeof quote.text - 6; // two quotes, three dots, the terminator
  size_t kept = length < most ? length : most;
  while (kept < length && kept > 0 && continues(text[kept])) kept--;
  *out++ = '\'';
  for (size_t i = 0; i < kept; i++) {
    unsigned char c = (unsigned char)text[i];
    // U+0080 to U+009F are control characters too: C2 80 to C2 9F.
    bool control = c < 0x20 || c == 0x7F || (c == 0xC2 && i + 1 < kept && (unsigned char)text[i + 1] < 0xA0);
    *out++ = control ? '?' : text[i];
    if (control && c == 0xC2) i++;
  }
  if (kept < length) {
    memcpy(out, "...", 3);
    out += 3;
  }
  *out++ = '\'';
  *out = 0;
  return quote;
}

dw_quote dw_quote_string(const char *text) { return dw_quote_bytes(text, strlen(text)); }
