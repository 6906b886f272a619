// The tables from which the command line is parsed, explained (help.c) and
// documented (docs/cli.md is `driftwood help --markdown`).
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(cli_options, member)
#define MOST 1e18

const cli_option cli_option_table[] = {
    {"device", "NAME", CLI_TEXT, AT(device), 0, 0, NULL,
     "cpu, vulkan or auto (default): the CPU, until a GPU device has every operator"},
    {"threads", "N", CLI_COUNT, AT(threads), 1, 1024, NULL, "threads of the CPU device; default: one a core"},
    {"context", "N", CLI_COUNT, AT(context), 1, 1 << 24, "context", "longest conversation, in tokens"},
    {"max-tokens", "N", CLI_COUNT, AT(max_tokens), 1, 1 << 24, "max_tokens", "longest answer, in tokens"},
    {"temperature", "X", CLI_NUMBER, AT(temperature), 0, 100, "temperature",
     "0 takes the likeliest token (greedy); larger is more varied"},
    {"top-k", "N", CLI_COUNT, AT(top_k), 0, 1 << 24, "top_k",
     "sample among the N likeliest tokens; 0: among all"},
    {"top-p", "X", CLI_SHARE, AT(top_p), 0, 1, "top_p",
     "sample among the likeliest tokens that make up this share"},
    {"seed", "N", CLI_COUNT, AT(seed), 0, MOST, "seed", "the same seed gives the same answer, on every run"},
    {"system", "TEXT", CLI_TEXT, AT(system), 0, 0, "system", "instructions in front of the conversation"},
    {"max-memory", "SIZE", CLI_SIZE, AT(max_memory_bytes), 1, MOST, NULL,
     "what a guest may use in all (512M, 2G); default 4G"},
    {"deadline", "TIME", CLI_TIME, AT(deadline_ns), 1, MOST, NULL,
     "what one message may take (500ms, 10s); the guest fails after that"},
    {"model", "MODEL", CLI_LIST, AT(models), 0, 0, NULL,
     "a model directory; for run NAME=PATH, the name under which the guest gets it"},
    {"message", "TEXT", CLI_LIST, AT(messages), 0, 0, NULL, "a message for the guest; may be given again"},
    {"set", "KEY=VALUE", CLI_LIST, AT(settings), 0, 0, NULL,
     "a line of the guest's arguments; may be given again"},
    {"whole", NULL, CLI_FLAG, AT(whole), 0, 0, NULL, "the whole input is one text, not one text a line"},
    {"tokens", "IDS", CLI_TEXT, AT(tokens), 0, 0, NULL, "token ids, separated by blanks"},
    {"out", "FILE", CLI_TEXT, AT(out), 0, 0, NULL, "the file to write"},
    {"runs", "N", CLI_COUNT, AT(runs), 5, 1000, NULL,
     "measure each size this often and take the median; default 7"},
    {"max-bytes", "SIZE", CLI_SIZE, AT(max_bytes), 4096, MOST, NULL,
     "the largest buffer to measure; default 256M"},
    {"guests", "DIR", CLI_TEXT, AT(guests), 0, 0, NULL,
     "where the shipped guests are, if not beside the program"},
    {"json", NULL, CLI_FLAG, AT(json), 0, 0, NULL, "answer in JSON"},
    {"markdown", NULL, CLI_FLAG, AT(markdown), 0, 0, NULL, "all of the help as one Markdown page"},
    {"verbose", NULL, CLI_FLAG, AT(verbose), 0, 0, NULL, "show what the guest logs, and figures when piped"},
    {"help", NULL, CLI_FLAG, AT(help), 0, 0, NULL, "explain the command"},
    {"version", NULL, CLI_FLAG, AT(version), 0, 0, NULL, "show the version"},
};
const size_t cli_option_count = sizeof cli_option_table / sizeof *cli_option_table;
_Static_assert(sizeof cli_option_table / sizeof *cli_option_table <= 64, "`given` has a bit for each");

#define GUEST_OPTIONS "device threads max-memory deadline guests verbose"
#define SAMPLING_OPTIONS "context max-tokens temperature top-k top-p seed"

const cli_command cli_command_table[] = {
    {"chat", "[MODEL]", 0, 1, SAMPLING_OPTIONS " system set " GUEST_OPTIONS, "talk with a model",
     "MODEL is a Hugging Face directory (config.json, safetensors, tokenizer.json) of the Llama family; "
     "without it "
     "the small model that comes with Driftwood answers.  Ctrl-C stops an answer, a second one leaves; so "
     "does the "
     "end of the input (ctrl-D).\n"
     "A model without a chat template continues texts instead: --set mode=generate.\n"
     "With piped input each line is a message, and standard output has the answers alone, each ended by a "
     "newline.",
     "driftwood chat # with the default model\n"
     "driftwood chat ~/models/Llama-3.2-1B-Instruct --temperature 0.7 --seed 4\n"
     "echo 'What is 123 + 456?' | driftwood chat --temperature 0 # a script's way to ask\n",
     cli_chat},
    {"run", "GUEST", 1, 1, "model message set " SAMPLING_OPTIONS " system " GUEST_OPTIONS,
     "run a guest with what you grant it",
     "GUEST is the name of a shipped guest (gemm, stream, tutorial, llm, probe) or a WebAssembly file.  It "
     "gets the "
     "messages, the arguments and the models of the command line and nothing else: no files, no network, no "
     "environment.  What it emits goes to standard output, what it logs to standard error (with --verbose "
     "also the "
     "details).\n"
     "A shipped guest that is given no message gets one that shows what it does.",
     "driftwood run gemm # a 128x128 matrix product, issued by the guest\n"
     "driftwood run tutorial --message '0.9 0.8 0.1' # a warm, light, dry day\n"
     "driftwood run my-guest.wasm --model model=./my-model --message 'hello' --max-memory 512M --deadline "
     "10s\n",
     cli_run},
    {"prove", "", 0, 0, "device threads guests json verbose", "check on this machine what Driftwood claims",
     "Prints each claim with its evidence and a verdict: that guest, mapping and device use the same bytes "
     "(by "
     "pointer and by effect, before and after growth), what a wrapped buffer adds in resident memory, that a "
     "product "
     "issued by the guest is right, what a call to the host costs, that an access past the end traps in the "
     "guard, "
     "that memory is unmapped once, after its last import, and what a generated token copies.  No verdict "
     "depends on "
     "how fast the machine is.  Exit code 1 if a verdict is fail.",
     "driftwood prove\n"
     "driftwood prove --device vulkan --json # {\"claims\": [{\"claim\", \"evidence\", \"verdict\"}, ...]}\n",
     cli_prove},
    {"devices", "", 0, 0, "json threads", "list the devices, and why one is missing",
     "A missing driver is a line here, with what installs it; it is never an error.",
     "driftwood devices\ndriftwood devices --json\n", cli_devices},
    {"doctor", "", 0, 0, "json guests", "check the installation and the machine's limits",
     "Each line is a check; what needs attention comes with what to do.  Exit code 1 if something is missing "
     "without "
     "which Driftwood does not work.",
     "driftwood doctor\n", cli_doctor},
    {"tokenize", "", 0, 0, "model whole " GUEST_OPTIONS, "turn text into token ids",
     "Reads standard input and writes a line of JSON ids for each line, or one for all of it with --whole.  "
     "Runs "
     "inside the llm guest.  No beginning-of-text token is added; special tokens in the text are recognised.",
     "echo 'once upon a time' | driftwood tokenize --model models/default\n"
     "driftwood tokenize --model models/default --whole < story.txt\n",
     cli_tokenize},
    {"logits", "", 0, 0, "model tokens out " GUEST_OPTIONS, "write a model's logits for given tokens",
     "Runs the model over the tokens, inside the llm guest, and writes a NumPy file: float32, [tokens, "
     "vocabulary].",
     "driftwood logits --model models/default --tokens \"1 2 3\" --out logits.npy\n", cli_logits},
    {"bench", "copies", 1, 1, "device threads runs max-bytes out guests json verbose",
     "measure where zero-copy pays",
     "Runs the streaming operator y = a*x + b on buffers from 4 KB up to the device's limit, once on the "
     "guest's own "
     "memory (zero-copy) and once on device memory with an upload before and a download after, and prints "
     "the median "
     "time of each.  --out draws the result as an SVG file.",
     "driftwood bench copies --device cpu --out copies.svg\n", cli_bench},
    {"help", "[COMMAND]", 0, 1, "markdown", "explain a command", "", "driftwood help chat\n", cli_help},
};
const size_t cli_command_count = sizeof cli_command_table / sizeof *cli_command_table;

static const char *command_name(size_t index) {
  return cli_command_table[index].name;
}
static const char *option_name(size_t index) {
  return cli_option_table[index].name;
}

const cli_command *cli_command_find(const char *name) {
  for (size_t i = 0; i < cli_command_count; i++)
    if (strcmp(cli_command_table[i].name, name) == 0) return &cli_command_table[i];
  return NULL;
}

bool cli_command_takes(const cli_command *command, const char *option) {
  size_t length = strlen(option);
  for (const char *at = command->options; (at = strstr(at, option)); at += length) {
    bool begins = at == command->options || at[-1] == ' ';
    if (begins && (at[length] == ' ' || !at[length])) return true;
  }
  return strcmp(option, "help") == 0;
}

// ---- One option -----------------------------------------------------------------------

static const cli_option *find_option(const char *name, size_t length) {
  for (size_t i = 0; i < cli_option_count; i++)
    if (strlen(cli_option_table[i].name) == length && memcmp(cli_option_table[i].name, name, length) == 0)
      return &cli_option_table[i];
  return NULL;
}

static cli_exit unknown_option(const char *name, size_t length) {
  char word[64];
  snprintf(word, sizeof word, "%.*s", (int)(length < 63 ? length : 63), name);
  const char *nearest = cli_nearest(word, option_name, cli_option_count);
  if (nearest)
    cli_say("there is no option --%s; did you mean --%s?", word, nearest);
  else
    cli_say("there is no option --%s; `driftwood help` lists them", word);
  return CLI_USAGE;
}

static cli_exit wrong_value(const cli_option *option, const char *text) {
  static const char *const wanted[] = {
      [CLI_COUNT] = "a whole number",
      [CLI_NUMBER] = "a number",
      [CLI_SHARE] = "a number above 0,",
      [CLI_SIZE] = "a size such as 64K, 512M or 2G",
      [CLI_TIME] = "a time such as 500ms, 10s or 2m",
  };
  if (option->max < MOST)
    cli_say("--%s takes %s from %.10g to %.10g, not \"%s\"", option->name, wanted[option->kind], option->min,
            option->max, text);
  else
    cli_say("--%s takes %s, not \"%s\"", option->name, wanted[option->kind], text);
  return CLI_USAGE;
}

static bool read_number(const cli_option *option, const char *text, void *place) {
  uint64_t count;
  double number;
  bool read = option->kind == CLI_COUNT  ? cli_parse_count(text, &count)
              : option->kind == CLI_SIZE ? cli_parse_size(text, &count)
              : option->kind == CLI_TIME ? cli_parse_time(text, &count)
                                         : cli_parse_number(text, &number);
  if (!read) return false;
  bool real = option->kind == CLI_NUMBER || option->kind == CLI_SHARE;
  double value = real ? number : (double)count;
  bool any = option->max == MOST && option->kind == CLI_COUNT; // of 64 bits
  if (!any && (value < option->min || value > option->max)) return false;
  if (option->kind == CLI_SHARE && value == 0) return false;
  if (real)
    *(double *)place = number;
  else
    *(uint64_t *)place = count;
  return true;
}

static cli_exit set_option(cli_options *options, const cli_option *option, const char *text) {
  size_t index = (size_t)(option - cli_option_table);
  void *place = (char *)options + option->offset;
  options->given |= UINT64_C(1) << index;
  options->texts[index] = text;
  switch (option->kind) {
  case CLI_FLAG:
    *(bool *)place = true;
    return CLI_OK;
  case CLI_TEXT:
    *(const char **)place = text;
    return CLI_OK;
  case CLI_LIST: {
    cli_list *list = place;
    if (list->count == CLI_MAX_LIST) {
      cli_say("--%s may be given %d times", option->name, CLI_MAX_LIST);
      return CLI_USAGE;
    }
    list->items[list->count++] = text;
    return CLI_OK;
  }
  default:
    return read_number(option, text, place) ? CLI_OK : wrong_value(option, text);
  }
}

// Reads argv[*at], which begins with "--", and its value.
static cli_exit read_option(char **argv, int argc, int *at, cli_options *options) {
  const char *name = argv[*at] + 2, *value = strchr(name, '=');
  size_t length = value ? (size_t)(value - name) : strlen(name);
  const cli_option *option = find_option(name, length);
  if (!option) return unknown_option(name, length);
  if (option->kind == CLI_FLAG) {
    if (!value) return set_option(options, option, "");
    cli_say("--%s takes no value", option->name);
    return CLI_USAGE;
  }
  if (!value && *at + 1 == argc) {
    cli_say("--%s needs a value: --%s %s", option->name, option->name, option->value);
    return CLI_USAGE;
  }
  return set_option(options, option, value ? value + 1 : argv[++*at]);
}

// ---- All of them ----------------------------------------------------------------------

static cli_exit check_options(const cli_command *command, const cli_options *options) {
  for (size_t i = 0; i < cli_option_count; i++) {
    if (!(options->given >> i & 1) || cli_command_takes(command, cli_option_table[i].name)) continue;
    cli_say("%s takes no --%s; `driftwood help %s` lists what it takes", command->name,
            cli_option_table[i].name, command->name);
    return CLI_USAGE;
  }
  return CLI_OK;
}

static cli_exit check_words(const cli_command *command, const cli_arguments *arguments) {
  if (arguments->word_count >= command->min_words && arguments->word_count <= command->max_words)
    return CLI_OK;
  if (arguments->word_count > command->max_words)
    cli_say("\"%s\" is one argument too many: driftwood %s %s", arguments->words[command->max_words],
            command->name, command->words);
  else
    cli_say("an argument is missing: driftwood %s %s", command->name, command->words);
  return CLI_USAGE;
}

static cli_exit choose_command(const char *name, const cli_command **command) {
  *command = cli_command_find(name);
  if (*command) return CLI_OK;
  const char *nearest = cli_nearest(name, command_name, cli_command_count);
  if (nearest)
    cli_say("there is no command \"%s\"; did you mean %s?", name, nearest);
  else
    cli_say("there is no command \"%s\"; `driftwood help` lists them", name);
  return CLI_USAGE;
}

static cli_exit add_word(const char *word, const cli_command **command, cli_arguments *arguments) {
  if (!*command) return choose_command(word, command);
  if (arguments->word_count < sizeof arguments->words / sizeof *arguments->words)
    arguments->words[arguments->word_count++] = word;
  return CLI_OK;
}

cli_exit cli_parse(int argc, char **argv, const cli_command **command, cli_arguments *arguments) {
  *command = NULL;
  bool only_words = false;
  for (int i = 1; i < argc; i++) {
    const char *text = argv[i];
    cli_exit read = CLI_OK;
    if (!only_words && strcmp(text, "--") == 0)
      only_words = true;
    else if (!only_words && strcmp(text, "-h") == 0)
      arguments->options.help = true;
    else if (!only_words && strcmp(text, "-v") == 0)
      arguments->options.verbose = true;
    else if (!only_words && strncmp(text, "--", 2) == 0)
      read = read_option(argv, argc, &i, &arguments->options);
    else if (!only_words && text[0] == '-' && text[1])
      read = unknown_option(text + 1, strlen(text + 1));
    else
      read = add_word(text, command, arguments);
    if (read != CLI_OK) return read;
  }
  if (!*command || arguments->options.help || arguments->options.version) return CLI_OK;
  cli_exit checked = check_options(*command, &arguments->options);
  return checked == CLI_OK ? check_words(*command, arguments) : checked;
}

// One `key=value` line.  The guest's reader resolves \\n and \\\\, so that a value may
// have several lines.
static bool add_line(char *text, size_t capacity, size_t *length, const char *key, const char *value) {
  size_t at = *length;
  for (const char *part = key; *part && at < capacity; part++) text[at++] = *part;
  if (*key && at < capacity) text[at++] = '=';
  for (; *value && at + 2 < capacity; value++) {
    if (*value == '\n' || *value == '\\') text[at++] = '\\';
    text[at++] = *value == '\n' ? 'n' : *value;
  }
  if (*value || at + 2 > capacity) return false;
  text[at++] = '\n';
  text[at] = 0;
  *length = at;
  return true;
}

bool cli_guest_arguments(const cli_options *options, char *text, size_t capacity) {
  size_t length = 0;
  text[0] = 0;
  for (size_t i = 0; i < cli_option_count; i++) {
    const char *key = cli_option_table[i].guest_key;
    if (key && options->given >> i & 1 && !add_line(text, capacity, &length, key, options->texts[i]))
      return false;
  }
  for (size_t i = 0; i < options->settings.count; i++)
    if (!add_line(text, capacity, &length, "", options->settings.items[i])) return false;
  return true;
}
