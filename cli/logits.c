// logits: what a model answers to given tokens, as a NumPy file.
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 128 // a multiple of 64, as the format asks

typedef struct writer {
  FILE *file;
  uint64_t bytes;
  bool failed;
} writer;

static void on_emit(void *user, const void *bytes, size_t size_bytes) {
  writer *out = user;
  out->failed |= fwrite(bytes, 1, size_bytes, out->file) != size_bytes;
  out->bytes += size_bytes;
}

// Format 1.0: magic, version, length of the header, a Python dictionary, blanks, newline.
static bool write_header(FILE *file, uint64_t rows, uint64_t columns) {
  char header[HEADER_BYTES];
  memset(header, ' ', sizeof header);
  memcpy(header, "\x93NUMPY\x01\x00", 8);
  header[8] = HEADER_BYTES - 10;
  header[9] = 0;
  int length = snprintf(header + 10, sizeof header - 10,
                        "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu64 "), }",
                        rows, columns);
  header[10 + length] = ' '; // over the terminator
  header[HEADER_BYTES - 1] = '\n';
  return fwrite(header, 1, sizeof header, file) == sizeof header;
}

// The ids of --tokens, one blank apart; their number, or 0 after saying what is wrong.
static uint64_t read_tokens(const char *text, char *ids, size_t capacity) {
  uint64_t count = 0;
  size_t length = 0;
  while (*text) {
    size_t blanks = strspn(text, " ,\t\n"), digits = strspn(text + blanks, "0123456789");
    text += blanks;
    if (!*text) break;
    if (!digits || digits > 10 || (text[digits] && !strchr(" ,\t\n", text[digits])) ||
        length + digits + 2 > capacity) {
      cli_say("--tokens takes token ids such as \"1 2 3\", not \"%s\"", text);
      return 0;
    }
    if (length) ids[length++] = ' ';
    memcpy(ids + length, text, digits);
    length += digits;
    ids[length] = 0;
    text += digits;
    count++;
  }
  if (!count) cli_say("--tokens has no token");
  return count;
}

static cli_exit finish(writer *out, uint64_t rows) {
  uint64_t row_bytes = out->bytes / rows;
  if (!out->bytes || out->bytes % (rows * 4)) {
    cli_say("the guest answered %" PRIu64 " bytes, which are no %" PRIu64 " rows of float32", out->bytes,
            rows);
    return CLI_FAILED;
  }
  bool written =
      !out->failed && fseek(out->file, 0, SEEK_SET) == 0 && write_header(out->file, rows, row_bytes / 4);
  return written ? CLI_OK : CLI_NOT_FOUND;
}

static cli_exit compute(const cli_options *options, const char *model, const char *ids, writer *out) {
  const dw_grant grant = {.name = "model", .path = model};
  cli_session *session;
  cli_exit code = cli_session_open(&(cli_session_desc){.options = options,
                                                       .guest = "llm",
                                                       .models = &grant,
                                                       .model_count = 1,
                                                       .arguments = "model=model\nmode=logits\nkv=f32\n",
                                                       .on_emit = on_emit,
                                                       .user = out},
                                   &session);
  if (code != CLI_OK) return code;
  code = cli_session_tell(session, ids, strlen(ids), NULL);
  cli_session_close(session);
  return code;
}

cli_exit cli_logits(const cli_arguments *arguments) {
  const cli_options *options = &arguments->options;
  if (!options->tokens || !options->out) {
    cli_say("logits needs --model DIR, --tokens \"1 2 3\" and --out FILE.npy");
    return CLI_USAGE;
  }
  char model[CLI_PATH_BYTES];
  cli_exit code = cli_one_model(options, model);
  if (code != CLI_OK) return code;
  size_t capacity = 2 * strlen(options->tokens) + 2;
  char *ids = calloc(1, capacity);
  uint64_t rows = ids ? read_tokens(options->tokens, ids, capacity) : 0;
  writer out = {.file = rows ? fopen(options->out, "wb") : NULL};
  if (!rows)
    code = CLI_USAGE;
  else if (!out.file)
    code = CLI_NOT_FOUND;
  if (code == CLI_OK) out.failed = !write_header(out.file, 0, 0); // written again when the shape is known
  if (code == CLI_OK) code = compute(options, model, ids, &out);
  if (code == CLI_OK) code = finish(&out, rows);
  bool closed = !out.file || fclose(out.file) == 0;
  if (code == CLI_NOT_FOUND || (code == CLI_OK && !closed)) {
    cli_say("%s could not be written: %s", options->out, strerror(errno));
    code = CLI_NOT_FOUND;
  }
  if (code != CLI_OK && out.file) unlink(options->out); // half a file is worse than none
  free(ids);
  return code;
}
