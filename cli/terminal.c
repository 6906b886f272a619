#include "cli.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
  bool out, err, colors;
  bool dumb; // knows no escape sequences
  bool status_shown;
  pthread_mutex_t lock; // of standard error: progress comes from engine threads
} terminal = {.lock = PTHREAD_MUTEX_INITIALIZER};

void cli_terminal_open(void) {
  const char *none = getenv("NO_COLOR"), *kind = getenv("TERM");
  terminal.out = isatty(STDOUT_FILENO);
  terminal.err = isatty(STDERR_FILENO);
  terminal.dumb = kind && strcmp(kind, "dumb") == 0;
  terminal.colors = !(none && *none) && !terminal.dumb;
}

bool cli_is_terminal(FILE *stream) {
  return stream == stderr ? terminal.err : terminal.out;
}

int cli_width(void) {
  struct winsize size;
  int width = 80;
  if (terminal.out && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col) width = size.ws_col;
  return width < 40 ? 40 : width > 100 ? 100 : width;
}

const char *cli_begin(FILE *stream, cli_style style) {
  static const char *const codes[] = {
      [CLI_PLAIN] = "",        [CLI_BOLD] = "\033[1m",   [CLI_DIM] = "\033[2m",
      [CLI_GOOD] = "\033[32m", [CLI_BAD] = "\033[1;31m", [CLI_PROMPT] = "\033[1;36m"};
  return terminal.colors && cli_is_terminal(stream) ? codes[style] : "";
}

const char *cli_end(FILE *stream) {
  return terminal.colors && cli_is_terminal(stream) ? "\033[0m" : "";
}

static void clear_locked(void) {
  if (terminal.status_shown) fputs("\r\033[K", stderr);
  terminal.status_shown = false;
}

void cli_status(const char *format, ...) {
  if (!terminal.err || terminal.dumb) return;
  char line[160];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  pthread_mutex_lock(&terminal.lock);
  clear_locked();
  fprintf(stderr, "%s%.*s%s", cli_begin(stderr, CLI_DIM), cli_width() - 1, line, cli_end(stderr));
  fflush(stderr);
  terminal.status_shown = true;
  pthread_mutex_unlock(&terminal.lock);
}

void cli_status_clear(void) {
  pthread_mutex_lock(&terminal.lock);
  clear_locked();
  fflush(stderr);
  pthread_mutex_unlock(&terminal.lock);
}

void cli_write_text(FILE *to, const char *text, size_t length) {
  if (!cli_is_terminal(to)) {
    fwrite(text, 1, length, to);
    fflush(to);
    return;
  }
  for (size_t i = 0; i < length;) {
    unsigned char byte = (unsigned char)text[i];
    size_t bytes = cli_utf8_length(text + i, length - i);
    bool second_set = byte == 0xC2 && bytes == 2 && (unsigned char)text[i + 1] < 0xA0; // C1 controls
    bool control = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F || second_set;
    if (!bytes || control)
      putc('?', to);
    else
      fwrite(text + i, 1, bytes, to);
    i += bytes ? bytes : 1;
  }
  fflush(to);
}

static void say(const char *format, va_list arguments) {
  char line[1024];
  vsnprintf(line, sizeof line, format, arguments);
  pthread_mutex_lock(&terminal.lock);
  clear_locked();
  fprintf(stderr, "%sdriftwood:%s ", cli_begin(stderr, CLI_BOLD), cli_end(stderr));
  cli_write_text(stderr, line, strlen(line));
  putc('\n', stderr);
  pthread_mutex_unlock(&terminal.lock);
}

void cli_say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say(format, arguments);
  va_end(arguments);
}

cli_exit cli_exit_of(dw_status status) {
  switch (status) {
  case DW_OK:
    return CLI_OK;
  case DW_NOTFOUND:
  case DW_DENIED:
  case DW_IO:
    return CLI_NOT_FOUND;
  case DW_UNSUPPORTED:
  case DW_DEVICE:
  case DW_LOST:
    return CLI_UNSUPPORTED;
  default:
    return CLI_FAILED;
  }
}

cli_exit cli_fail(const dw_error *error, const char *format, ...) {
  char what[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  const char *words = error->message ? error->message : "error";
  if (error->has_position)
    cli_say("%s: %s (%s, at byte %llu)", what, error->detail, words, (unsigned long long)error->position);
  else
    cli_say("%s: %s (%s)", what, error->detail, words);
  return cli_exit_of(error->code);
}
