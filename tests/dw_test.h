// dw_test.h: a table of cases, each run in a process of its own with a timeout.
//
//   static const dw_case cases[] = {{"grow", "a region grows in place", test_grow}};
//   DW_TEST_MAIN(cases)
//
// `test_x` runs all cases, `test_x NAME` one, `test_x --list` names them.
#ifndef DW_TEST_H
#define DW_TEST_H

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct dw_case {
  const char *name;
  const char *description;
  void (*run)(void);
} dw_case;

#define DW_TEST_TIMEOUT_S 300

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      fprintf(stderr, "    %s:%d: %s\n", __FILE__, __LINE__, #condition);                 \
      exit(1);                                                                            \
    }                                                                                     \
  } while (0)

#define CHECK_EQ(left, right)                                                             \
  do {                                                                                    \
    long long dw_l = (long long)(left), dw_r = (long long)(right);                        \
    if (dw_l != dw_r) {                                                                   \
      fprintf(stderr, "    %s:%d: %s is %lld, expected %lld (%s)\n", __FILE__, __LINE__,  \
              #left, dw_l, dw_r, #right);                                                 \
      exit(1);                                                                            \
    }                                                                                     \
  } while (0)

#define CHECK_STR(left, right)                                                            \
  do {                                                                                    \
    const char *dw_l = (left), *dw_r = (right);                                           \
    if (strcmp(dw_l, dw_r) != 0) {                                                        \
      fprintf(stderr, "    %s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__,   \
              #left, dw_l, dw_r);                                                         \
      exit(1);                                                                            \
    }                                                                                     \
  } while (0)

// A dw_status with the error's words shown when it is another.
#define CHECK_STATUS(call, expected, error)                                               \
  do {                                                                                    \
    long long dw_l = (long long)(call), dw_r = (long long)(expected);                     \
    if (dw_l != dw_r) {                                                                   \
      fprintf(stderr, "    %s:%d: %s is %lld (%s), expected %lld\n", __FILE__, __LINE__,  \
              #call, dw_l, dw_l == 0 ? "" : (error)->detail, dw_r);                       \
      exit(1);                                                                            \
    }                                                                                     \
  } while (0)
#define CHECK_OK(call, error) CHECK_STATUS(call, 0, error)

static inline bool dw_test_run(const dw_case *test) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    alarm(DW_TEST_TIMEOUT_S);
    test->run();
    exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  printf("  %-6s %s: %s", passed ? "ok" : "FAILED", test->name, test->description);
  if (WIFSIGNALED(status))
    printf(" [%s]", WTERMSIG(status) == SIGALRM ? "timeout" : strsignal(WTERMSIG(status)));
  printf("\n");
  return passed;
}

static inline int dw_test_main(int argc, char **argv, const dw_case *cases, size_t count) {
  size_t ran = 0, failed = 0;
  const char *only = argc > 1 ? argv[1] : NULL;
  for (size_t i = 0; i < count; i++) {
    if (only && strcmp(only, "--list") == 0) {
      printf("%s\n", cases[i].name);
      ran++;
    } else if (!only || strcmp(only, cases[i].name) == 0) {
      ran++;
      if (!dw_test_run(&cases[i])) failed++;
    }
  }
  if (ran == 0) fprintf(stderr, "no case named %s\n", only ? only : "");
  return failed || ran == 0;
}

#define DW_TEST_MAIN(cases) \
  int main(int argc, char **argv) { return dw_test_main(argc, argv, cases, sizeof(cases) / sizeof *(cases)); }

#endif
