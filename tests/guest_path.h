// Where the build puts the guests: tests are told by DW_BINARY_DIR.
#ifndef DW_TEST_GUEST_PATH_H
#define DW_TEST_GUEST_PATH_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// The path of a test guest, or of a shipped one; static storage.
static inline const char *dw_test_guest(const char *name) {
  static char path[4096];
  const char *build = getenv("DW_BINARY_DIR");
  snprintf(path, sizeof path, "%s/tests/guests/%s.wasm", build ? build : "build", name);
  if (access(path, R_OK) != 0) snprintf(path, sizeof path, "%s/guests/%s.wasm", build ? build : "build", name);
  return path;
}

#endif
