#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct cli_session {
  const cli_options *options;
  dw_engine *engine;
  dw_guest *guest;
  dw_actor *actor;
  cli_emit_fn on_emit;
  void *user;
  const char *guest_name;
  bool quiet; // standard error is no terminal and nobody asked for more

  // Of the message under way; engine threads write.
  pthread_mutex_t lock;
  uint64_t begun_ns, first_ns;
  cli_reply reply;
};

uint64_t cli_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// ---- Ctrl-C -----------------------------------------------------------------------------

// A pipe and not a flag: a signal that comes just before a poll still ends it.
static int interrupts[2] = {-1, -1};

static void on_interrupt(int signal_number) {
  (void)signal_number;
  int before = errno;
  ssize_t written = write(interrupts[1], "", 1);
  (void)written; // full means that one is waiting already
  errno = before;
}

bool cli_catch_interrupt(void) {
  if (pipe(interrupts) != 0) return false;
  for (int i = 0; i < 2; i++) {
    fcntl(interrupts[i], F_SETFD, FD_CLOEXEC);
    fcntl(interrupts[i], F_SETFL, O_NONBLOCK);
  }
  struct sigaction action = {.sa_handler = on_interrupt};
  sigemptyset(&action.sa_mask);
  return sigaction(SIGINT, &action, NULL) == 0;
}

// Forgets what is in the pipe; true if something was.
static bool interrupted(void) {
  char bytes[64];
  bool any = false;
  while (interrupts[0] >= 0 && read(interrupts[0], bytes, sizeof bytes) > 0) any = true;
  return any;
}

bool cli_wait_readable(int descriptor) {
  if (descriptor < 0) return true; // nothing that would ever be readable
  struct pollfd both[2] = {{.fd = descriptor, .events = POLLIN}, {.fd = interrupts[0], .events = POLLIN}};
  while (poll(both, 2, -1) < 0 && errno == EINTR) {
  }
  return !interrupted();
}

// ---- What comes from the guest ------------------------------------------------------------

static void on_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  (void)actor;
  cli_session *session = user;
  pthread_mutex_lock(&session->lock);
  bool first = !session->first_ns && size_bytes;
  if (first) session->first_ns = cli_now_ns();
  pthread_mutex_unlock(&session->lock);
  if (first) cli_status_clear();
  if (session->on_emit) session->on_emit(session->user, bytes, size_bytes);
}

// `reply prompt_tokens=N tokens=M stop=WHY`, from the llm guest.
static bool note_reply(cli_session *session, const char *line) {
  cli_reply reply = {0};
  if (sscanf(line, "reply prompt_tokens=%" SCNu64 " tokens=%" SCNu64 " stop=%31s", &reply.prompt_tokens,
             &reply.tokens, reply.stop) != 3)
    return false;
  pthread_mutex_lock(&session->lock);
  session->reply = reply;
  pthread_mutex_unlock(&session->lock);
  return true;
}

static bool note_progress(const char *line) {
  uint64_t done, total;
  if (sscanf(line, "prefill %" SCNu64 "/%" SCNu64, &done, &total) != 2 || !total) return false;
  cli_status("reading the prompt: %" PRIu64 " of %" PRIu64 " tokens", done, total);
  return true;
}

static void on_log(void *user, dw_log_level level, dw_actor *actor, const char *line) {
  (void)actor;
  cli_session *session = user;
  bool known = note_reply(session, line) || note_progress(line);
  if (level <= DW_LOG_WARNING)
    cli_say("%s: %s", session->guest_name, line);
  else if (session->options->verbose || (level == DW_LOG_INFO && !known && !session->quiet))
    cli_say("%s: %s", session->guest_name, line);
}

// ---- Opening ------------------------------------------------------------------------------

static cli_exit open_engine(cli_session *session) {
  dw_error error = {0};
  const cli_options *options = session->options;
  cli_status("opening the device");
  dw_status status = dw_engine_open(&(dw_engine_desc){.device = options->device,
                                                      .threads = (uint32_t)options->threads,
                                                      .cache_dir = cli_cache_folder(),
                                                      .on_log = on_log,
                                                      .user = session},
                                    &session->engine, &error);
  return status == DW_OK ? CLI_OK : cli_fail(&error, "device %s", options->device ? options->device : "auto");
}

static cli_exit load_guest(cli_session *session, const char *name, const char *path) {
  dw_error error = {0};
  cli_status("loading the guest %s (compiled on its first use)", name);
  uint64_t begun = cli_now_ns();
  if (dw_guest_load(session->engine, path, &session->guest, &error) != DW_OK)
    return cli_fail(&error, "guest %s", name);
  char time[32];
  if (session->options->verbose)
    cli_say("guest %s: %s in %s", name,
            dw_guest_was_cached(session->guest) ? "taken from the cache" : "compiled",
            cli_time_text(cli_now_ns() - begun, time));
  return CLI_OK;
}

static cli_exit open_actor(cli_session *session, const cli_session_desc *desc) {
  dw_error error = {0};
  const cli_options *options = session->options;
  cli_status(desc->model_count ? "loading %s" : "starting %s",
             desc->model_count ? desc->models[0].path : session->guest_name);
  const dw_actor_desc actor = {.guest = session->guest,
                               .models = desc->models,
                               .model_count = desc->model_count,
                               .arguments = desc->arguments,
                               .seed = options->seed,
                               .max_memory_bytes = options->max_memory_bytes,
                               .deadline_ns = options->deadline_ns,
                               .on_emit = on_emit,
                               .user = session};
  uint64_t begun = cli_now_ns();
  if (dw_actor_open(session->engine, &actor, &session->actor, &error) != DW_OK)
    return cli_fail(&error, "guest %s could not start", session->guest_name);
  char time[32];
  if (options->verbose)
    cli_say("guest %s: started in %s", session->guest_name, cli_time_text(cli_now_ns() - begun, time));
  return CLI_OK;
}

cli_exit cli_session_open(const cli_session_desc *desc, cli_session **answer) {
  cli_session *session = calloc(1, sizeof *session);
  if (!session) {
    cli_say("out of memory");
    return CLI_FAILED;
  }
  pthread_mutex_init(&session->lock, NULL);
  session->options = desc->options;
  session->on_emit = desc->on_emit;
  session->user = desc->user;
  session->guest_name = desc->guest;
  session->quiet = !cli_is_terminal(stderr);
  char path[CLI_PATH_BYTES];
  cli_exit code = cli_guest_path(desc->options, desc->guest, path) ? CLI_OK : CLI_NOT_FOUND;
  if (code == CLI_OK) code = open_engine(session);
  if (code == CLI_OK) code = load_guest(session, desc->guest, path);
  if (code == CLI_OK) code = open_actor(session, desc);
  cli_status_clear();
  if (code == CLI_OK)
    *answer = session;
  else
    cli_session_close(session);
  return code;
}

void cli_session_close(cli_session *session) {
  if (!session) return;
  dw_actor_close(session->actor);
  dw_guest_close(session->guest);
  dw_error error;
  if (session->engine && dw_engine_close(session->engine, &error) != DW_OK) cli_say("%s", error.detail);
  pthread_mutex_destroy(&session->lock);
  free(session);
}

const char *cli_session_device(const cli_session *session) {
  return dw_engine_device_name(session->engine);
}

// ---- Messages -----------------------------------------------------------------------------

dw_actor_stats cli_session_stats(const cli_session *session) {
  dw_actor_state state;
  dw_actor_state_get(session->actor, &state);
  return state.stats;
}

static uint64_t copied_bytes(const cli_session *session) {
  dw_actor_stats stats = cli_session_stats(session);
  return stats.upload_bytes + stats.download_bytes;
}

static cli_exit failed(cli_session *session, const dw_error *error) {
  return cli_fail(error, "guest %s", session->guest_name);
}

cli_exit cli_session_send(cli_session *session, const void *bytes, size_t size_bytes) {
  dw_error error = {0};
  dw_status status = dw_actor_send(session->actor, bytes, size_bytes, &error);
  if (status == DW_LIMIT) { // a full mailbox empties while the guest works
    cli_exit code = cli_session_wait(session);
    if (code != CLI_OK) return code;
    status = dw_actor_send(session->actor, bytes, size_bytes, &error);
  }
  if (status == DW_CLOSED) return cli_session_wait(session); // which says why it failed
  return status == DW_OK ? CLI_OK : failed(session, &error);
}

cli_exit cli_session_wait(cli_session *session) {
  dw_error error = {0};
  dw_status status = dw_actor_wait(session->actor, UINT64_MAX, &error);
  return status == DW_OK ? CLI_OK : failed(session, &error);
}

bool cli_session_is_running(const cli_session *session) {
  dw_actor_state state;
  dw_actor_state_get(session->actor, &state);
  return state.code == DW_ACTOR_RUNNING;
}

// Until the actor rests; ctrl-C cancels once and gives up at the second.
static cli_exit wait_or_cancel(cli_session *session) {
  bool cancelled = false;
  while (!cli_wait_readable(dw_actor_descriptor(session->actor))) {
    if (cancelled) return CLI_INTERRUPTED;
    cancelled = true;
    dw_actor_cancel(session->actor);
  }
  cli_exit code = cli_session_wait(session);
  return code == CLI_OK && cancelled ? CLI_INTERRUPTED : code;
}

cli_exit cli_session_tell(cli_session *session, const void *bytes, size_t size_bytes, cli_reply *reply) {
  uint64_t copied = copied_bytes(session);
  pthread_mutex_lock(&session->lock);
  session->begun_ns = cli_now_ns();
  session->first_ns = 0;
  session->reply = (cli_reply){0};
  pthread_mutex_unlock(&session->lock);
  cli_exit code = cli_session_send(session, bytes, size_bytes);
  if (code == CLI_OK) code = reply ? wait_or_cancel(session) : cli_session_wait(session);
  cli_status_clear();
  if (!reply) return code;
  pthread_mutex_lock(&session->lock);
  *reply = session->reply;
  reply->first_ns = session->first_ns ? session->first_ns - session->begun_ns : 0;
  reply->total_ns = cli_now_ns() - session->begun_ns;
  pthread_mutex_unlock(&session->lock);
  reply->copied_bytes = copied_bytes(session) - copied;
  return code;
}
