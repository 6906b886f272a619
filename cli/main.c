#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN); // a reader that left is an error of the write
  cli_terminal_open();
  const cli_command *command;
  cli_arguments arguments = {0};
  cli_exit code = cli_parse(argc, argv, &command, &arguments);
  if (code != CLI_OK) return code;
  if (arguments.options.version) {
    printf("driftwood %s\n", DRIFTWOOD_VERSION);
    return CLI_OK;
  }
  if (!command) {
    cli_help_overview(arguments.options.help ? stdout : stderr);
    return arguments.options.help ? CLI_OK : CLI_USAGE;
  }
  if (arguments.options.help) {
    cli_help_command(stdout, command);
    return CLI_OK;
  }
  code = command->run(&arguments);
  cli_status_clear();
  errno = 0;
  bool written = fflush(stdout) == 0 && !ferror(stdout);
  if (written || code != CLI_OK || errno == EPIPE) return code; // a reader that had enough is no error
  cli_say("standard output could not be written: %s", strerror(errno));
  return CLI_NOT_FOUND;
}
