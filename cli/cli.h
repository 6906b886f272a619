// What the files of the command line share.
//
//   main.c       from arguments to a command
//   options.c    the tables of commands and options, and the parser that reads them
//   help.c       help, from the same tables
//   text.c       numbers with units, suggestions, JSON strings
//   terminal.c   colours, the status line, text that cannot steer a terminal
//   places.c     where guests, models and caches are
//   session.c    an engine, a guest and an actor, with progress and figures
//   <command>.c  one command each
//
// The command line is an embedder like any other; only `prove`, `devices` and
// `doctor` look behind driftwood.h.  It may read the environment, the library
// may not.
#ifndef DW_CLI_H
#define DW_CLI_H

#include "driftwood.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// ---- Exit codes -------------------------------------------------------------------
#define CLI_EXIT_MAP(X)                                                                       \
  X(OK, 0, "everything asked for was done; every verdict is pass or not applicable")          \
  X(FAILED, 1, "a verdict is fail, or a guest trapped, failed or ran into a limit")           \
  X(USAGE, 2, "the command line was not understood")                                          \
  X(NOT_FOUND, 3, "a guest, model or file is not there, cannot be read or was not granted")   \
  X(UNSUPPORTED, 4, "this machine or device cannot do it")                                    \
  X(INTERRUPTED, 130, "ended by ctrl-C")

typedef enum cli_exit {
#define X(name, code, text) CLI_##name = code,
  CLI_EXIT_MAP(X)
#undef X
} cli_exit;

// ---- Options ----------------------------------------------------------------------
#define CLI_MAX_LIST 64

typedef struct cli_list {
  const char *items[CLI_MAX_LIST];
  size_t count;
} cli_list;

// A value that was not given is 0 or NULL; `given` has a bit for each option.
typedef struct cli_options {
  uint64_t given;
  const char *device, *out, *tokens, *system, *guests;
  uint64_t threads, context, max_tokens, top_k, seed;
  double temperature, top_p;
  uint64_t max_memory_bytes, deadline_ns, runs, max_bytes;
  cli_list models, messages, settings;
  bool whole, json, verbose, markdown, help, version;
  const char *texts[64];       // what was written for each option, by its place in the table
} cli_options;

typedef struct cli_arguments {
  cli_options options;
  const char *words[8];        // the command's own arguments
  size_t word_count;
} cli_arguments;

typedef enum cli_kind {
  CLI_FLAG,
  CLI_TEXT,
  CLI_COUNT,
  CLI_NUMBER,
  CLI_SHARE, // above 0, up to 1
  CLI_SIZE,
  CLI_TIME,
  CLI_LIST
} cli_kind;

typedef struct cli_option {
  const char *name;            // without "--"
  const char *value;           // what help calls its value; NULL: a flag
  cli_kind kind;
  size_t offset;               // in cli_options
  double min, max;             // of numbers
  const char *guest_key;       // passed on in the guest's arguments under this key
  const char *help;
} cli_option;

typedef struct cli_command {
  const char *name;
  const char *words;           // how its own arguments are shown
  size_t min_words, max_words;
  const char *options;         // names, separated by blanks
  const char *summary;
  const char *text;            // paragraphs
  const char *examples;        // lines, each "command # what it does"
  cli_exit (*run)(const cli_arguments *arguments);
} cli_command;

extern const cli_option cli_option_table[];
extern const size_t cli_option_count;
extern const cli_command cli_command_table[];
extern const size_t cli_command_count;

const cli_command *cli_command_find(const char *name);
bool cli_command_takes(const cli_command *command, const char *option);
// Reads the arguments behind the program's name.  OK, or USAGE after saying why.
// `command` is NULL if none was named.
cli_exit cli_parse(int argc, char **argv, const cli_command **command, cli_arguments *arguments);
// Writes `key=value` lines of the options that concern the guest; false: no room.
bool cli_guest_arguments(const cli_options *options, char *text, size_t capacity);

// ---- Help -------------------------------------------------------------------------
void cli_help_overview(FILE *to);
void cli_help_command(FILE *to, const cli_command *command);
void cli_help_markdown(FILE *to);
// Words of `text`, broken at the width; the first line begins at `column`, the
// others with `indent` blanks.
void cli_wrap(FILE *to, const char *text, int indent, int column);

// ---- Text -------------------------------------------------------------------------
// "512M", "2G", "65536": bytes, powers of 1024.  "500ms", "10s", "2m": nanoseconds.
bool cli_parse_size(const char *text, uint64_t *bytes);
bool cli_parse_time(const char *text, uint64_t *ns);
bool cli_parse_count(const char *text, uint64_t *count);
bool cli_parse_number(const char *text, double *number);
// The nearest of `count` names, or NULL if none is near.
const char *cli_nearest(const char *word, const char *(*name)(size_t index), size_t count);
// Bytes as people read them ("16 MB", powers of 1024), into `text` of 32 bytes.
const char *cli_size_text(uint64_t bytes, char *text);
const char *cli_time_text(uint64_t ns, char *text);
// A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
void cli_json_string(FILE *to, const char *text);
// The bytes of one UTF-8 character at `text`, 0 if it is none.
size_t cli_utf8_length(const char *text, size_t available);

// ---- Terminal ---------------------------------------------------------------------
typedef enum cli_style { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_GOOD, CLI_BAD, CLI_PROMPT } cli_style;

void cli_terminal_open(void);
bool cli_is_terminal(FILE *stream);
int cli_width(void);
// The escape sequence that begins a style, "" where colours are off.
const char *cli_begin(FILE *stream, cli_style style);
const char *cli_end(FILE *stream);
// One line on standard error that the next one replaces; only on a terminal.
void cli_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_status_clear(void);
// What a guest says: on a terminal, bytes that could steer it are shown as '?'.
void cli_write_text(FILE *to, const char *text, size_t length);
// "driftwood: ..." on standard error.
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Says an error and answers the exit code for it.
cli_exit cli_fail(const dw_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
cli_exit cli_exit_of(dw_status status);

// ---- Places -----------------------------------------------------------------------
#define CLI_PATH_BYTES 4096

typedef struct cli_guest_entry {
  const char *name;
  const char *message;         // sent when `run` was given none; NULL: nothing is sent
  const char *summary;
} cli_guest_entry;

extern const cli_guest_entry cli_guest_table[];
extern const size_t cli_guest_count;

// The folder of the executable, without a final slash.
const char *cli_executable_folder(void);
// A shipped guest by name, or a file.  False after saying what was looked for.
bool cli_guest_path(const cli_options *options, const char *name, char *path);
bool cli_find_guest(const cli_options *options, const char *name, char *path); // of a shipped one, silent
// A model directory by path or by the name of a shipped one; NULL: the default model.
bool cli_model_path(const char *name, char *path);
bool cli_find_model(const char *name, char *path); // silent
// The one directory of --model.  OK, or an exit code after saying why.
cli_exit cli_one_model(const cli_options *options, char *path);
// ${XDG_CACHE_HOME:-~/.cache}/driftwood/modules, or NULL.
const char *cli_cache_folder(void);

// ---- Session ----------------------------------------------------------------------
typedef struct cli_reply {
  uint64_t prompt_tokens, tokens;
  char stop[32];               // eos, string, length, context
  uint64_t first_ns;           // from the message to the first bytes of the answer; 0: none came
  uint64_t total_ns;
  uint64_t copied_bytes;       // transfers that this message caused
} cli_reply;

typedef struct cli_session cli_session;

typedef void (*cli_emit_fn)(void *user, const void *bytes, size_t size_bytes);

typedef struct cli_session_desc {
  const cli_options *options;
  const char *guest;           // name or path
  const dw_grant *models;
  size_t model_count;
  const char *arguments;       // of the guest
  cli_emit_fn on_emit;
  void *user;
} cli_session_desc;

// Each answers OK or an exit code after saying why.
cli_exit cli_session_open(const cli_session_desc *desc, cli_session **session);
// Sends one message and waits; ctrl-C cancels it (INTERRUPTED) if `reply` is given.
cli_exit cli_session_tell(cli_session *session, const void *bytes, size_t size_bytes, cli_reply *reply);
// Sends without waiting, but for room in the mailbox.
cli_exit cli_session_send(cli_session *session, const void *bytes, size_t size_bytes);
cli_exit cli_session_wait(cli_session *session);
dw_actor_stats cli_session_stats(const cli_session *session);
bool cli_session_is_running(const cli_session *session);
void cli_session_close(cli_session *session);
const char *cli_session_device(const cli_session *session);
uint64_t cli_now_ns(void);
// From now on ctrl-C does not end the process but these waits; false: it still does.
bool cli_catch_interrupt(void);
// Waits until `descriptor` can be read (true) or ctrl-C came (false).
bool cli_wait_readable(int descriptor);

// ---- Commands ---------------------------------------------------------------------
cli_exit cli_chat(const cli_arguments *arguments);
cli_exit cli_run(const cli_arguments *arguments);
cli_exit cli_prove(const cli_arguments *arguments);
cli_exit cli_devices(const cli_arguments *arguments);
cli_exit cli_doctor(const cli_arguments *arguments);
cli_exit cli_tokenize(const cli_arguments *arguments);
cli_exit cli_logits(const cli_arguments *arguments);
cli_exit cli_bench(const cli_arguments *arguments);
cli_exit cli_help(const cli_arguments *arguments);

#endif
