// Runs a target on every file of the folders (or files) given: the inputs that were
// ever found, as a test that needs no fuzzer.
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static unsigned count;

static void run_file(const char *path) {
  FILE *file = fopen(path, "rb");
  MUST(file != NULL);
  MUST(fseek(file, 0, SEEK_END) == 0);
  size_t size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(size ? size : 1);
  MUST(bytes != NULL && fread(bytes, 1, size, file) == size);
  fclose(file);
  LLVMFuzzerTestOneInput((const uint8_t *)bytes, size);
  free(bytes);
  count++;
}

static void run_path(const char *path) {
  struct stat about;
  if (stat(path, &about) != 0) {
    fprintf(stderr, "cannot find %s\n", path);
    exit(1);
  }
  if (!S_ISDIR(about.st_mode)) {
    run_file(path);
    return;
  }
  DIR *folder = opendir(path);
  MUST(folder != NULL);
  for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
    char inner[4096];
    if (entry->d_name[0] == '.') continue;
    MUST(snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < (int)sizeof inner);
    run_file(inner);
  }
  closedir(folder);
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) run_path(argv[i]);
  printf("%u inputs\n", count);
  return count == 0;
}
