#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- Numbers ------------------------------------------------------------------------

// A number and where it ends; false if there is none or it is negative.
static bool leading_number(const char *text, double *number, const char **end) {
  if (*text < '0' || *text > '9') return false;
  char *after;
  errno = 0;
  *number = strtod(text, &after);
  *end = after;
  return errno == 0 && isfinite(*number);
}

static bool scaled(double number, double unit, uint64_t *answer) {
  double value = number * unit;
  if (!(value >= 0 && value < 18446744073709549568.0)) return false;
  *answer = (uint64_t)value;
  return true;
}

bool cli_parse_count(const char *text, uint64_t *count) {
  if (*text < '0' || *text > '9') return false;
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno || *end) return false;
  *count = value;
  return true;
}

bool cli_parse_number(const char *text, double *number) {
  const char *end;
  return leading_number(text, number, &end) && !*end;
}

bool cli_parse_size(const char *text, uint64_t *bytes) {
  static const struct {
    const char *name;
    double unit;
  } units[] = {{"", 1},           {"B", 1},           {"K", 1024},         {"KB", 1024},
               {"KiB", 1024},     {"M", 1048576},     {"MB", 1048576},     {"MiB", 1048576},
               {"G", 1073741824}, {"GB", 1073741824}, {"GiB", 1073741824}, {"T", 1099511627776}};
  double number;
  const char *end;
  if (!leading_number(text, &number, &end)) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(end, units[i].name) == 0) return scaled(number, units[i].unit, bytes);
  return false;
}

bool cli_parse_time(const char *text, uint64_t *ns) {
  static const struct {
    const char *name;
    double unit;
  } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6},   {"s", 1e9},
               {"", 1e9}, {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}};
  double number;
  const char *end;
  if (!leading_number(text, &number, &end)) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(end, units[i].name) == 0) return scaled(number, units[i].unit, ns);
  return false;
}

const char *cli_size_text(uint64_t bytes, char *text) {
  static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
  double value = (double)bytes;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
    value /= 1024;
    unit++;
  }
  bool whole = value == floor(value) || value >= 100;
  snprintf(text, 32, whole ? "%.0f %s" : "%.2f %s", value, units[unit]);
  return text;
}

const char *cli_time_text(uint64_t ns, char *text) {
  double value = (double)ns;
  if (ns < 1000)
    snprintf(text, 32, "%" PRIu64 " ns", ns);
  else if (ns < 1000000)
    snprintf(text, 32, "%.1f us", value / 1e3);
  else if (ns < 1000000000)
    snprintf(text, 32, "%.1f ms", value / 1e6);
  else
    snprintf(text, 32, "%.2f s", value / 1e9);
  return text;
}

// ---- Suggestions ----------------------------------------------------------------------

#define MAX_WORD 32

// The least number of letters to change, add or leave out.
static size_t distance(const char *left, const char *right) {
  size_t n = strlen(left), m = strlen(right), row[MAX_WORD + 1];
  if (n > MAX_WORD || m > MAX_WORD) return SIZE_MAX;
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t best = diagonal + (left[i - 1] != right[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[m];
}

const char *cli_nearest(const char *word, const char *(*name)(size_t), size_t count) {
  const char *nearest = NULL;
  size_t least = strlen(word) < 4 ? 2 : 3; // farther is no misspelling
  for (size_t i = 0; i < count; i++) {
    size_t far = distance(word, name(i));
    if (far < least) {
      least = far;
      nearest = name(i);
    }
  }
  return nearest;
}

// ---- UTF-8 and JSON -------------------------------------------------------------------

size_t cli_utf8_length(const char *text, size_t available) {
  const unsigned char *s = (const unsigned char *)text;
  if (!available) return 0;
  if (s[0] < 0x80) return 1;
  size_t length = s[0] >= 0xC2 && s[0] <= 0xDF   ? 2
                  : (s[0] & 0xF0) == 0xE0        ? 3
                  : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4
                                                 : 0;
  if (!length || available < length) return 0;
  for (size_t i = 1; i < length; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
  bool beyond = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
  return overlong || beyond ? 0 : length;
}

void cli_json_string(FILE *to, const char *text) {
  size_t length = strlen(text);
  putc('"', to);
  for (size_t i = 0; i < length;) {
    unsigned char byte = (unsigned char)text[i];
    size_t bytes = cli_utf8_length(text + i, length - i);
    if (!bytes)
      fputs("\\ufffd", to);
    else if (byte == '"' || byte == '\\')
      fprintf(to, "\\%c", byte);
    else if (byte == '\n')
      fputs("\\n", to);
    else if (byte < 0x20 || byte == 0x7F)
      fprintf(to, "\\u%04x", byte);
    else
      fwrite(text + i, 1, bytes, to);
    i += bytes ? bytes : 1;
  }
  putc('"', to);
}
