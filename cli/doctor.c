// doctor: is everything there, and does the machine allow it.
#include "cli.h"

#include "region.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

typedef enum health { WELL, NOTE, BROKEN } health;

typedef struct check {
  const char *name;
  health is;
  char words[300];
  char advice[200]; // what to do; empty if nothing
} check;

#define MAX_CHECKS 24

typedef struct report {
  const cli_options *options;
  check checks[MAX_CHECKS];
  size_t count;
} report;

__attribute__((format(printf, 4, 5))) static check *add(report *all, const char *name, health is,
                                                        const char *format, ...) {
  check *one = &all->checks[all->count++];
  one->name = name;
  one->is = is;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(one->words, sizeof one->words, format, arguments);
  va_end(arguments);
  return one;
}

static void advise(check *one, const char *advice) {
  snprintf(one->advice, sizeof one->advice, "%s", advice);
}

// ---- The machine ------------------------------------------------------------------------

// The first line of a file that begins with `key`, behind its colon.
static bool read_field(const char *path, const char *key, char *text, size_t capacity) {
  FILE *file = fopen(path, "r");
  if (!file) return false;
  char line[512];
  bool found = false;
  while (!found && fgets(line, sizeof line, file)) {
    const char *value = strncmp(line, key, strlen(key)) == 0 ? strchr(line, ':') : NULL;
    if (!value) continue;
    snprintf(text, capacity, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
    found = true;
  }
  fclose(file);
  return found;
}

static void check_machine(report *all) {
  struct utsname system = {0};
  uname(&system);
  char processor[200];
  if (!read_field("/proc/cpuinfo", "model name", processor, sizeof processor))
    snprintf(processor, sizeof processor, "%s", system.machine);
  add(all, "machine", WELL, "%s, %ld cores, %s %s", processor, sysconf(_SC_NPROCESSORS_ONLN), system.sysname,
      system.release);
  char size[32];
  uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
  char page[32];
  add(all, "memory", WELL, "%s, pages of %s", cli_size_text(memory, size),
      cli_size_text(dw_page_size(), page));
}

static bool read_number(const char *path, uint64_t *number) {
  FILE *file = fopen(path, "r");
  if (!file) return false;
  bool read = fscanf(file, "%" SCNu64, number) == 1;
  fclose(file);
  return read;
}

// Every actor reserves 4 GiB of addresses and two mappings.
static void check_addresses(report *all) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    char size[32];
    check *one = add(all, "address space", limit.rlim_cur < UINT64_C(16) << 30 ? BROKEN : NOTE,
                     "limited to %s", cli_size_text(limit.rlim_cur, size));
    advise(one, "ulimit -v unlimited: each guest reserves 4 GB of addresses, not of memory");
  } else {
    dw_region *region;
    dw_error error = {0};
    if (dw_region_new(65536, UINT64_C(4) << 30, UINT64_C(32) << 20, &region, &error) == DW_OK) {
      add(all, "address space", WELL, "not limited; 4 GB reserved and given back");
      dw_region_release(region);
    } else
      add(all, "address space", BROKEN, "%s", error.detail);
  }
  uint64_t most;
  if (!read_number("/proc/sys/vm/max_map_count", &most)) return;
  check *one = add(all, "mappings", most < 65530 ? NOTE : WELL,
                   "%" PRIu64 " a process, for about %" PRIu64 " guests", most, most / 2);
  if (most < 65530) advise(one, "sysctl vm.max_map_count=65530");
}

// ---- The installation -------------------------------------------------------------------

static void check_guests(report *all) {
  char path[CLI_PATH_BYTES], missing[128] = "";
  for (size_t i = 0; i < cli_guest_count; i++) {
    if (cli_find_guest(all->options, cli_guest_table[i].name, path)) continue;
    size_t used = strlen(missing);
    snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "", cli_guest_table[i].name);
  }
  if (!missing[0])
    add(all, "guests", WELL, "all %zu shipped guests are there", cli_guest_count);
  else
    advise(add(all, "guests", BROKEN, "missing: %s", missing), "build again: make");
}

static void check_model(report *all) {
  char path[CLI_PATH_BYTES];
  char whole[PATH_MAX];
  if (cli_find_model(NULL, path))
    add(all, "default model", WELL, "%s", realpath(path, whole) ? whole : path);
  else
    advise(add(all, "default model", NOTE, "not found beside the program"),
           "name a model directory: driftwood chat DIRECTORY");
}

static void check_cache(report *all) {
  const char *folder = cli_cache_folder();
  struct stat info;
  if (!folder || stat(folder, &info) != 0) {
    advise(add(all, "cache", NOTE, "no folder for compiled guests: each start compiles again"),
           "set XDG_CACHE_HOME to a folder that you can write");
  } else if (access(folder, W_OK) != 0 || info.st_uid != geteuid()) {
    advise(add(all, "cache", NOTE, "%s is not yours to write", folder),
           "set XDG_CACHE_HOME to a folder of your own");
  } else if (info.st_mode & (S_IWGRP | S_IWOTH)) {
    advise(add(all, "cache", NOTE, "%s can be written by others", folder),
           "chmod go-w it: entries that others could write are not loaded");
  } else
    add(all, "cache", WELL, "%s", folder);
}

static void check_device(report *all, const char *name, bool needed) {
  dw_engine *engine;
  dw_error error = {0};
  if (dw_engine_open(&(dw_engine_desc){.device = name}, &engine, &error) != DW_OK) {
    add(all, needed ? "cpu device" : "vulkan device", needed ? BROKEN : NOTE, "%s", error.detail);
    return;
  }
  add(all, needed ? "cpu device" : "vulkan device", WELL, "%s", dw_engine_device_name(engine));
  dw_engine_close(engine, NULL);
}

// ---- A guest that runs ------------------------------------------------------------------

static void on_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  (void)actor;
  char *answer = user;
  snprintf(answer, 200, "%.*s", (int)(size_bytes < 199 ? size_bytes : 199), (const char *)bytes);
}

static dw_status run_guest(const char *path, char *answer, uint64_t *load_ns, dw_error *error) {
  dw_engine *engine;
  dw_guest *guest = NULL;
  dw_actor *actor = NULL;
  dw_status status =
      dw_engine_open(&(dw_engine_desc){.device = "cpu", .cache_dir = cli_cache_folder()}, &engine, error);
  if (status != DW_OK) return status;
  uint64_t begun = cli_now_ns();
  status = dw_guest_load(engine, path, &guest, error);
  *load_ns = cli_now_ns() - begun;
  if (status == DW_OK)
    status = dw_actor_open(engine, &(dw_actor_desc){.guest = guest, .on_emit = on_emit, .user = answer},
                           &actor, error);
  if (status == DW_OK) status = dw_actor_send(actor, "alive", 5, error);
  if (status == DW_OK) status = dw_actor_wait(actor, UINT64_C(60000000000), error);
  dw_actor_close(actor);
  dw_guest_close(guest);
  dw_engine_close(engine, NULL);
  return status;
}

static void check_run(report *all) {
  char path[CLI_PATH_BYTES], answer[200] = "", time[32];
  if (!cli_find_guest(all->options, "probe", path)) return; // reported already
  dw_error error = {0};
  uint64_t load_ns = 0;
  if (run_guest(path, answer, &load_ns, &error) == DW_OK)
    add(all, "a guest", WELL, "loaded in %s, and answers", cli_time_text(load_ns, time));
  else
    add(all, "a guest", BROKEN, "%s (%s)", error.detail, error.message);
}

// ---- Showing it -------------------------------------------------------------------------

static void print_report(const report *all) {
  static const char *const marks[] = {[WELL] = "ok", [NOTE] = "note", [BROKEN] = "broken"};
  static const cli_style styles[] = {[WELL] = CLI_GOOD, [NOTE] = CLI_BOLD, [BROKEN] = CLI_BAD};
  for (size_t i = 0; i < all->count; i++) {
    const check *one = &all->checks[i];
    printf("%s%-7s%s%-15s%s\n", cli_begin(stdout, styles[one->is]), marks[one->is], cli_end(stdout),
           one->name, one->words);
    if (one->advice[0]) printf("%22s%s\n", "", one->advice);
  }
}

static void print_json(const report *all) {
  static const char *const words[] = {[WELL] = "ok", [NOTE] = "note", [BROKEN] = "broken"};
  printf("{\n  \"version\": \"%s\",\n  \"checks\": [\n", DRIFTWOOD_VERSION);
  for (size_t i = 0; i < all->count; i++) {
    const check *one = &all->checks[i];
    printf("    {\"check\": \"%s\", \"state\": \"%s\", \"detail\": ", one->name, words[one->is]);
    cli_json_string(stdout, one->words);
    printf(", \"advice\": ");
    cli_json_string(stdout, one->advice);
    printf("}%s\n", i + 1 == all->count ? "" : ",");
  }
  printf("  ]\n}\n");
}

cli_exit cli_doctor(const cli_arguments *arguments) {
  report all = {.options = &arguments->options};
  check_machine(&all);
  check_addresses(&all);
  check_guests(&all);
  check_model(&all);
  check_cache(&all);
  check_device(&all, "cpu", true);
  check_device(&all, "vulkan", false);
  check_run(&all);
  if (arguments->options.json)
    print_json(&all);
  else
    print_report(&all);
  for (size_t i = 0; i < all.count; i++)
    if (all.checks[i].is == BROKEN) return CLI_FAILED;
  return CLI_OK;
}
