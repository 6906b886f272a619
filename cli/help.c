#include "cli.h"

#include <string.h>

void cli_wrap(FILE *to, const char *text, int indent, int column) {
  int width = cli_width() - 1;
  bool begins = true; // of a line: no blank in front of the word
  while (*text) {
    if (*text == '\n') {
      fprintf(to, "\n\n%*s", indent, "");
      column = indent;
      begins = true;
      text++;
      continue;
    }
    int length = (int)strcspn(text, " \n");
    if (!begins && column + 1 + length > width) {
      fprintf(to, "\n%*s", indent, "");
      column = indent;
      begins = true;
    }
    column += fprintf(to, "%s%.*s", begins ? "" : " ", length, text);
    begins = false;
    text += length;
    while (*text == ' ') text++;
  }
  putc('\n', to);
}

static void heading(FILE *to, const char *text) {
  fprintf(to, "\n%s%s%s\n", cli_begin(to, CLI_BOLD), text, cli_end(to));
}

static void print_option(FILE *to, const cli_option *option) {
  int column =
      fprintf(to, "  --%s%s%s", option->name, option->value ? " " : "", option->value ? option->value : "");
  fprintf(to, "%*s", column < 22 ? 22 - column : 2, "");
  cli_wrap(to, option->help, 22, column < 22 ? 22 : column + 2);
}

static void print_exit_codes(FILE *to) {
  heading(to, "Exit codes");
#define X(name, code, text)                                                                                  \
  fprintf(to, "  %-5d", code);                                                                               \
  cli_wrap(to, text, 7, 7);
  CLI_EXIT_MAP(X)
#undef X
}

void cli_help_overview(FILE *to) {
  fprintf(to,
          "%sdriftwood%s %s runs GPU programs whose control logic is a sandboxed WebAssembly guest;\n"
          "guest, CPU and GPU work on the same bytes.\n",
          cli_begin(to, CLI_BOLD), cli_end(to), DRIFTWOOD_VERSION);
  heading(to, "Usage");
  fputs("  driftwood COMMAND [OPTIONS]\n", to);
  heading(to, "Commands");
  for (size_t i = 0; i < cli_command_count; i++) {
    const cli_command *command = &cli_command_table[i];
    char name[40];
    snprintf(name, sizeof name, "%s %s", command->name, command->words);
    fprintf(to, "  %-18s%s\n", name, command->summary);
  }
  heading(to, "To begin with");
  fputs("  driftwood chat            talk with the model that comes with it\n"
        "  driftwood prove           see on this machine that nothing is copied\n"
        "  driftwood help chat       what a command takes, with examples\n",
        to);
  print_exit_codes(to);
}

static void print_examples(FILE *to, const char *examples) {
  for (const char *line = examples; *line;) {
    size_t length = strcspn(line, "\n");
    const char *note = memchr(line, '#', length);
    size_t command = note && note > line && note[-1] == ' ' ? (size_t)(note - line) : length;
    fprintf(to, "  %.*s%s%.*s%s\n", (int)command, line, cli_begin(to, CLI_DIM), (int)(length - command),
            line + command, cli_end(to));
    line += length + (line[length] == '\n');
  }
}

void cli_help_command(FILE *to, const cli_command *command) {
  fprintf(to, "%sdriftwood %s%s %s%s\n", cli_begin(to, CLI_BOLD), command->name, cli_end(to), command->words,
          command->options[0] ? " [OPTIONS]" : "");
  cli_wrap(to, command->summary, 0, 0);
  if (command->text[0]) {
    putc('\n', to);
    cli_wrap(to, command->text, 0, 0);
  }
  heading(to, "Options");
  for (size_t i = 0; i < cli_option_count; i++)
    if (cli_command_takes(command, cli_option_table[i].name)) print_option(to, &cli_option_table[i]);
  heading(to, "Examples");
  print_examples(to, command->examples);
}

// ---- The page docs/cli.md -------------------------------------------------------------

static void markdown_command(FILE *to, const cli_command *command) {
  fprintf(to, "\n## driftwood %s%s%s\n\n", command->name, command->words[0] ? " " : "", command->words);
  fprintf(to, "%c%s.\n", command->summary[0] - 'a' + 'A', command->summary + 1);
  if (command->text[0]) {
    fputs("\n", to);
    for (const char *at = command->text; *at; at++) fputs(*at == '\n' ? "\n\n" : (char[]){*at, 0}, to);
    fputs("\n", to);
  }
  fprintf(to, "\n```\n%s```\n", command->examples);
  fputs("\n| option | meaning |\n| --- | --- |\n", to);
  for (size_t i = 0; i < cli_option_count; i++) {
    const cli_option *option = &cli_option_table[i];
    if (!cli_command_takes(command, option->name)) continue;
    fprintf(to, "| `--%s%s%s` | %s |\n", option->name, option->value ? " " : "",
            option->value ? option->value : "", option->help);
  }
}

void cli_help_markdown(FILE *to) {
  fputs(
      "# The command line\n\nMade by `driftwood help --markdown`, from the tables that the program reads its "
      "arguments by.\n",
      to);
  for (size_t i = 0; i < cli_command_count; i++) markdown_command(to, &cli_command_table[i]);
  fputs("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n", to);
#define X(name, code, text) fprintf(to, "| %d | %s |\n", code, text);
  CLI_EXIT_MAP(X)
#undef X
}

static const char *command_name(size_t index) {
  return cli_command_table[index].name;
}

cli_exit cli_help(const cli_arguments *arguments) {
  if (arguments->options.markdown) {
    cli_help_markdown(stdout);
    return CLI_OK;
  }
  if (!arguments->word_count) {
    cli_help_overview(stdout);
    return CLI_OK;
  }
  const cli_command *command = cli_command_find(arguments->words[0]);
  if (command) {
    cli_help_command(stdout, command);
    return CLI_OK;
  }
  const char *nearest = cli_nearest(arguments->words[0], command_name, cli_command_count);
  cli_say("there is no command \"%s\"%s%s%s", arguments->words[0], nearest ? "; did you mean " : "",
          nearest ? nearest : "", nearest ? "?" : "");
  return CLI_USAGE;
}
