// run: any guest, with the models and messages of the command line.
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static void on_emit(void *user, const void *bytes, size_t size_bytes) {
  char *last = user;
  if (!size_bytes) return;
  cli_write_text(stdout, bytes, size_bytes);
  *last = ((const char *)bytes)[size_bytes - 1];
}

// NAME=PATH items as grants; the names are copied into `names`.
static cli_exit read_grants(const cli_list *items, dw_grant *grants, char (*names)[DW_MAX_NAME + 1]) {
  for (size_t i = 0; i < items->count; i++) {
    const char *item = items->items[i], *equal = strchr(item, '=');
    size_t length = equal ? (size_t)(equal - item) : 0;
    if (!length || length > DW_MAX_NAME || !equal[1]) {
      cli_say("--model takes NAME=PATH, not \"%s\": the guest asks for its models by name", item);
      return CLI_USAGE;
    }
    memcpy(names[i], item, length);
    names[i][length] = 0;
    grants[i] = (dw_grant){.name = names[i], .path = equal + 1};
  }
  return CLI_OK;
}

static const char *default_message(const char *guest) {
  for (size_t i = 0; i < cli_guest_count; i++)
    if (strcmp(cli_guest_table[i].name, guest) == 0) return cli_guest_table[i].message;
  return NULL;
}

static cli_exit tell_all(cli_session *session, const cli_list *messages, const char *guest,
                         const char *last) {
  cli_list told = *messages;
  if (!told.count && default_message(guest)) told.items[told.count++] = default_message(guest);
  cli_exit code = CLI_OK;
  for (size_t i = 0; i < told.count && code == CLI_OK; i++) {
    cli_reply reply;
    code = cli_session_tell(session, told.items[i], strlen(told.items[i]), &reply);
    if (*last != '\n' && cli_is_terminal(stdout)) putchar('\n');
  }
  return code;
}

cli_exit cli_run(const cli_arguments *arguments) {
  const cli_options *options = &arguments->options;
  static dw_grant grants[CLI_MAX_LIST];
  static char names[CLI_MAX_LIST][DW_MAX_NAME + 1], text[65536];
  cli_exit code = read_grants(&options->models, grants, names);
  if (code != CLI_OK) return code;
  if (!cli_guest_arguments(options, text, sizeof text)) {
    cli_say("the guest's arguments have more text than fits");
    return CLI_USAGE;
  }
  char last = '\n';
  cli_session *session;
  code = cli_session_open(&(cli_session_desc){.options = options,
                                              .guest = arguments->words[0],
                                              .models = grants,
                                              .model_count = options->models.count,
                                              .arguments = text,
                                              .on_emit = on_emit,
                                              .user = &last},
                          &session);
  if (code != CLI_OK) return code;
  code = tell_all(session, &options->messages, arguments->words[0], &last);
  cli_session_close(session);
  return code;
}
