// tokenize: text on standard input, token ids on standard output, by the llm guest.
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static void on_emit(void *user, const void *bytes, size_t size_bytes) {
  (void)user;
  fwrite(bytes, 1, size_bytes, stdout);
}

static cli_exit tokenize_lines(cli_session *session) {
  char *line = NULL;
  size_t capacity = 0;
  cli_exit code = CLI_OK;
  ssize_t length;
  while (code == CLI_OK && (length = getline(&line, &capacity, stdin)) >= 0) {
    if (length && line[length - 1] == '\n') length--;
    code = cli_session_send(session, line, (size_t)length);
  }
  free(line);
  return code == CLI_OK ? cli_session_wait(session) : code;
}

static cli_exit tokenize_whole(cli_session *session) {
  size_t length = 0, capacity = 1 << 16;
  char *text = malloc(capacity);
  size_t got;
  while (text && (got = fread(text + length, 1, capacity - length, stdin)) > 0) {
    length += got;
    if (length < capacity) continue;
    char *larger = realloc(text, capacity *= 2);
    if (!larger) free(text);
    text = larger;
  }
  if (!text) {
    cli_say("out of memory");
    return CLI_FAILED;
  }
  cli_exit code = cli_session_send(session, text, length);
  free(text);
  return code == CLI_OK ? cli_session_wait(session) : code;
}

cli_exit cli_tokenize(const cli_arguments *arguments) {
  const cli_options *options = &arguments->options;
  char model[CLI_PATH_BYTES];
  cli_exit code = cli_one_model(options, model);
  if (code != CLI_OK) return code;
  const dw_grant grant = {.name = "model", .path = model};
  cli_session *session;
  code =
      cli_session_open(&(cli_session_desc){.options = options,
                                           .guest = "llm",
                                           .models = &grant,
                                           .model_count = 1,
                                           .arguments = options->whole ? "model=model\nmode=tokenize-whole\n"
                                                                       : "model=model\nmode=tokenize\n",
                                           .on_emit = on_emit},
                       &session);
  if (code != CLI_OK) return code;
  code = options->whole ? tokenize_whole(session) : tokenize_lines(session);
  cli_session_close(session);
  return code;
}
