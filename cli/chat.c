// chat: a conversation with a model, on a terminal or through a pipe.
#include "cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct chat {
  const cli_options *options;
  cli_session *session;
  bool interactive; // a person types
  char last;        // byte that was written
  // Of the line on a terminal; a word is shown when it is complete.
  char word[128];
  size_t word_length;
  int column;
} chat;

// A word that does not fit goes to the next line.
static void end_word(chat *talk) {
  int columns = 0;
  for (size_t i = 0; i < talk->word_length; i++) columns += (talk->word[i] & 0xC0) != 0x80; // characters
  if (talk->column && talk->column + columns >= cli_width()) {
    putchar('\n');
    talk->column = 0;
  }
  cli_write_text(stdout, talk->word, talk->word_length);
  talk->column += columns;
  talk->word_length = 0;
}

static void write_words(chat *talk, const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    bool blank = text[i] == ' ' || text[i] == '\n';
    bool full =
        talk->word_length + 4 > sizeof talk->word && (text[i] & 0xC0) != 0x80; // never inside a character
    if (blank || full) end_word(talk);
    if (!blank) {
      if (talk->word_length < sizeof talk->word) talk->word[talk->word_length++] = text[i];
    } else {
      cli_write_text(stdout, &text[i], 1);
      talk->column = text[i] == '\n' ? 0 : talk->column + 1;
    }
  }
}

static void on_emit(void *user, const void *bytes, size_t size_bytes) {
  chat *talk = user;
  if (!size_bytes) return;
  if (talk->interactive)
    write_words(talk, bytes, size_bytes);
  else
    cli_write_text(stdout, bytes, size_bytes);
  talk->last = ((const char *)bytes)[size_bytes - 1];
}

static void print_banner(const chat *talk, const char *model) {
  const char *name = strrchr(model, '/');
  printf("%sdriftwood%s  %s, on %s\n", cli_begin(stdout, CLI_BOLD), cli_end(stdout),
         name && name[1] ? name + 1 : model, cli_session_device(talk->session));
  printf("%sCtrl-C stops an answer, ctrl-D leaves.%s\n", cli_begin(stdout, CLI_DIM), cli_end(stdout));
}

// `24 tokens, 310 tokens/s, first after 12 ms, 0 bytes copied`, below the answer.
static void print_figures(const cli_reply *reply) {
  char first[32], copied[32];
  uint64_t decode_ns = reply->total_ns - reply->first_ns;
  double rate = reply->tokens > 1 && decode_ns ? (double)(reply->tokens - 1) * 1e9 / (double)decode_ns : 0;
  fprintf(stderr, "%s%" PRIu64 " tokens", cli_begin(stderr, CLI_DIM), reply->tokens);
  if (rate > 0) fprintf(stderr, rate < 100 ? ", %.2f tokens/s" : ", %.0f tokens/s", rate);
  if (reply->first_ns) fprintf(stderr, ", first after %s", cli_time_text(reply->first_ns, first));
  fprintf(stderr, ", %s copied", cli_size_text(reply->copied_bytes, copied));
  if (strcmp(reply->stop, "length") == 0) fputs(", cut at --max-tokens", stderr);
  if (strcmp(reply->stop, "context") == 0) fputs(", the context is full", stderr);
  fprintf(stderr, "%s\n", cli_end(stderr));
}

static void print_memory(const chat *talk) {
  char guest[32], device[32], scratch[32];
  dw_actor_stats stats = cli_session_stats(talk->session);
  cli_say("memory: guest %s, device %s, scratch %s", cli_size_text(stats.memory_bytes, guest),
          cli_size_text(stats.device_bytes, device), cli_size_text(stats.scratch_bytes, scratch));
}

static cli_exit answer(chat *talk, const char *text, size_t length) {
  cli_reply reply;
  talk->last = '\n';
  talk->column = 0;
  if (talk->interactive) cli_status("thinking");
  cli_exit code = cli_session_tell(talk->session, text, length, &reply);
  if (!cli_session_is_running(talk->session)) end_word(talk);
  if (talk->last != '\n' || (!talk->interactive && !reply.first_ns && code == CLI_OK)) putchar('\n');
  fflush(stdout);
  if (code == CLI_INTERRUPTED && talk->interactive) {
    if (cli_session_is_running(talk->session)) return code; // the second one
    fprintf(stderr, "%s(stopped)%s\n", cli_begin(stderr, CLI_DIM), cli_end(stderr));
    return CLI_OK;
  }
  if (code == CLI_OK && (talk->interactive || talk->options->verbose)) print_figures(&reply);
  if (code == CLI_OK && talk->options->verbose) print_memory(talk);
  return code;
}

// A line of the input into `line`; its length, or -1 at the end or at ctrl-C.
static ssize_t read_line(const chat *talk, char **line, size_t *capacity) {
  if (talk->interactive) {
    printf("%s> %s", cli_begin(stdout, CLI_PROMPT), cli_end(stdout));
    fflush(stdout);
    if (!cli_wait_readable(STDIN_FILENO)) return -1;
  }
  ssize_t length = getline(line, capacity, stdin);
  if (length > 0 && (*line)[length - 1] == '\n') length--;
  if (length > 0 && (*line)[length - 1] == '\r') length--;
  return length;
}

static cli_exit converse(chat *talk) {
  char *line = NULL;
  size_t capacity = 0;
  ssize_t length;
  cli_exit code = CLI_OK;
  while (code == CLI_OK && (length = read_line(talk, &line, &capacity)) >= 0)
    if (length || !talk->interactive) code = answer(talk, line, (size_t)length);
  if (talk->interactive && code == CLI_OK) putchar('\n'); // the cursor stands behind the prompt
  free(line);
  return code;
}

cli_exit cli_chat(const cli_arguments *arguments) {
  char model[CLI_PATH_BYTES], text[16384];
  if (!cli_model_path(arguments->word_count ? arguments->words[0] : NULL, model)) return CLI_NOT_FOUND;
  // The guest takes the first line with a key: what --set says goes before what chat says.
  static const char own[] = "model=model\nmode=chat\n";
  if (!cli_guest_arguments(&arguments->options, text, sizeof text - sizeof own)) {
    cli_say("--system or --set has more text than fits");
    return CLI_USAGE;
  }
  strcat(text, own);
  chat talk = {.options = &arguments->options,
               .interactive = isatty(STDIN_FILENO) && cli_is_terminal(stdout)};
  const dw_grant grant = {.name = "model", .path = model};
  cli_exit code = cli_session_open(&(cli_session_desc){.options = &arguments->options,
                                                       .guest = "llm",
                                                       .models = &grant,
                                                       .model_count = 1,
                                                       .arguments = text,
                                                       .on_emit = on_emit,
                                                       .user = &talk},
                                   &talk.session);
  if (code != CLI_OK) return code;
  if (talk.interactive) {
    setvbuf(stdin, NULL, _IONBF, 0); // what was read ahead would not wake the wait for input
    cli_catch_interrupt();
    print_banner(&talk, model);
  }
  code = converse(&talk);
  cli_session_close(talk.session);
  return code;
}
