#include "unicode.h"

int llm_utf8(const char *text, size_t length, uint32_t *point, bool *cut) {
  const unsigned char *at = (const unsigned char *)text;
  *cut = false;
  *point = at[0];
  if (at[0] < 0x80) return 1;
  if (at[0] < 0xC2 || at[0] > 0xF4) return -1;
  int bytes = at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
  unsigned low = at[0] == 0xE0 ? 0xA0 : at[0] == 0xF0 ? 0x90 : 0x80;
  unsigned high = at[0] == 0xED ? 0x9F : at[0] == 0xF4 ? 0x8F : 0xBF;
  uint32_t value = at[0] & (0x7Fu >> bytes);
  for (int i = 1; i < bytes; i++) {
    *cut = (size_t)i == length;
    if (*cut || at[i] < low || at[i] > high) return -i;
    low = 0x80;
    high = 0xBF;
    value = value << 6 | (at[i] & 0x3Fu);
  }
  *point = value;
  return bytes;
}
