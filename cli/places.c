#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

const cli_guest_entry cli_guest_table[] = {
    {"gemm", "run", "a 128x128 matrix product on data that the guest wrote"},
    {"stream", "bytes=1048576 mode=zerocopy", "the streaming operator y = a*x + b, in place or by copying"},
    {"tutorial", "0.9 0.8 0.1", "which season does a day feel like: 40 lines"},
    {"llm", NULL, "a language model: tokeniser, decoder, sampling"},
    {"probe", "calls 1000000", "what `driftwood prove` asks the machine with"},
};
const size_t cli_guest_count = sizeof cli_guest_table / sizeof *cli_guest_table;

static bool is_file(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static bool is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool executable_path(char *path, size_t capacity) {
#ifdef __APPLE__
  uint32_t size = (uint32_t)capacity;
  return _NSGetExecutablePath(path, &size) == 0;
#else
  ssize_t length = readlink("/proc/self/exe", path, capacity - 1);
  if (length <= 0) return false;
  path[length] = 0;
  return true;
#endif
}

const char *cli_executable_folder(void) {
  static char folder[CLI_PATH_BYTES];
  if (folder[0]) return folder;
  char path[CLI_PATH_BYTES];
  if (!executable_path(path, sizeof path)) return ".";
  char *slash = strrchr(path, '/');
  if (slash) *slash = 0;
  snprintf(folder, sizeof folder, "%s", path);
  return folder;
}

// The first of `folders` (relative to the executable) that has `name`.
static bool find_beside(const char *const *folders, size_t count, const char *name, const char *suffix,
                        bool (*is)(const char *), char *path) {
  for (size_t i = 0; i < count; i++) {
    int length =
        snprintf(path, CLI_PATH_BYTES, "%s/%s/%s%s", cli_executable_folder(), folders[i], name, suffix);
    if (length > 0 && length < CLI_PATH_BYTES && is(path)) return true;
  }
  return false;
}

// ---- Guests ---------------------------------------------------------------------------

bool cli_find_guest(const cli_options *options, const char *name, char *path) {
  static const char *const folders[] = {"guests", "../share/driftwood/guests"};
  if (!options->guests) return find_beside(folders, 2, name, ".wasm", is_file, path);
  int length = snprintf(path, CLI_PATH_BYTES, "%s/%s.wasm", options->guests, name);
  return length > 0 && length < CLI_PATH_BYTES && is_file(path);
}

static const char *guest_name(size_t index) {
  return cli_guest_table[index].name;
}

bool cli_guest_path(const cli_options *options, const char *name, char *path) {
  bool is_path = strchr(name, '/') || strchr(name, '.');
  if (!is_path && cli_find_guest(options, name, path)) return true;
  if (is_file(name) && strlen(name) < CLI_PATH_BYTES) {
    snprintf(path, CLI_PATH_BYTES, "%s", name);
    return true;
  }
  const char *nearest = is_path ? NULL : cli_nearest(name, guest_name, cli_guest_count);
  if (is_path)
    cli_say("there is no guest file %s", name);
  else if (nearest && strcmp(nearest, name) == 0)
    cli_say("the guest %s.wasm is not beside the program, in %s/guests; `driftwood doctor` checks", name,
            cli_executable_folder());
  else if (nearest)
    cli_say("there is no guest \"%s\"; did you mean %s?", name, nearest);
  else
    cli_say("there is no guest \"%s\": give a .wasm file, or gemm, stream, tutorial, llm or probe", name);
  return false;
}

// ---- Models ---------------------------------------------------------------------------

bool cli_find_model(const char *name, char *path) {
  static const char *const folders[] = {"../models", "../share/driftwood/models"};
  if (name && is_folder(name) && strlen(name) < CLI_PATH_BYTES) {
    snprintf(path, CLI_PATH_BYTES, "%s", name);
    return true;
  }
  if (name && (strchr(name, '/') || name[0] == '.')) return false;
  return find_beside(folders, 2, name ? name : "default", "", is_folder, path);
}

bool cli_model_path(const char *name, char *path) {
  if (cli_find_model(name, path)) return true;
  if (name)
    cli_say("there is no model directory %s", name);
  else
    cli_say("the default model is not at %s/../models/default; name a model directory",
            cli_executable_folder());
  return false;
}

cli_exit cli_one_model(const cli_options *options, char *path) {
  if (options->models.count != 1) {
    cli_say("--model DIR is needed, once");
    return CLI_USAGE;
  }
  return cli_model_path(options->models.items[0], path) ? CLI_OK : CLI_NOT_FOUND;
}

// ---- Cache ----------------------------------------------------------------------------

static bool make_folder(char *path) {
  for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
    *slash = 0;
    mkdir(path, 0777);
    *slash = '/';
  }
  mkdir(path, 0700);
  return is_folder(path);
}

const char *cli_cache_folder(void) {
  static char path[CLI_PATH_BYTES];
  const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  int length = base && base[0] == '/' ? snprintf(path, sizeof path, "%s/driftwood/modules", base)
               : home && home[0]      ? snprintf(path, sizeof path, "%s/.cache/driftwood/modules", home)
                                      : -1;
  return length > 0 && length < (int)sizeof path && make_folder(path) ? path : NULL;
}
