// A weight file that is cut off while programs read it: an I/O error of those runs,
// and of nobody else's.
#include "driftwood.h"
#include "tests/dw_test.h"
#include "tests/guest_path.h"

#include <stdatomic.h>

#define ELEMENTS 500000
#define LAST 2.5f

static char folders[2][40] = {"/tmp/driftwood-truncated-XXXXXX", "/tmp/driftwood-truncated-XXXXXX"};
static dw_engine *engine;
static dw_guest *guest;

typedef struct reader {
  dw_actor *actor;
  atomic_uint rounds, wrong;   // wrong: rounds in which the last element was another
} reader;

static const char *weights_of(int which) {
  static char path[100];
  snprintf(path, sizeof path, "%s/model.safetensors", folders[which]);
  return path;
}

static void remove_folders(void) {
  for (int i = 0; i < 2; i++) {
    unlink(weights_of(i));
    rmdir(folders[i]);
  }
}

static void write_weights(int which) {
  char header[128] = "";
  int length = snprintf(header + 8, sizeof header - 8, "{\"w\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[0,%d]}}",
                        ELEMENTS, 4 * ELEMENTS);
  for (; length % 4; length++) header[8 + length] = ' ';
  header[0] = (char)length;
  float *elements = malloc(ELEMENTS * sizeof *elements);
  CHECK(elements != NULL);
  for (int i = 0; i < ELEMENTS; i++) elements[i] = LAST;
  FILE *file = fopen(weights_of(which), "wb");
  CHECK(file != NULL);
  CHECK_EQ(fwrite(header, 1, (size_t)length + 8, file), length + 8);
  CHECK_EQ(fwrite(elements, sizeof *elements, ELEMENTS, file), ELEMENTS);
  CHECK_EQ(fclose(file), 0);
  free(elements);
}

static void on_emit(void *user, dw_actor *actor, const void *bytes, size_t size_bytes) {
  (void)actor;
  reader *r = user;
  atomic_fetch_add(&r->wrong, size_bytes != 4 || memcmp(bytes, "2.5\n", 4) != 0);
  atomic_fetch_add(&r->rounds, 1);
}

static dw_status open_reader(reader *r, int which, dw_error *error) {
  const dw_grant grant = {"weights", folders[which]};
  return dw_actor_open(engine, &(dw_actor_desc){.guest = guest, .models = &grant, .model_count = 1, .on_emit = on_emit,
                                                .user = r}, &r->actor, error);
}

static void wait_rounds(reader *r, unsigned more) {
  unsigned from = atomic_load(&r->rounds);
  while (atomic_load(&r->rounds) - from < more) usleep(1000);
}

static void test_truncated(void) {
  dw_error error = {0};
  for (int i = 0; i < 2; i++) {
    CHECK(mkdtemp(folders[i]) != NULL);
    write_weights(i);
  }
  atexit(remove_folders);
  CHECK_OK(dw_engine_open(&(dw_engine_desc){.device = "cpu", .threads = 2}, &engine, &error), &error);
  CHECK_OK(dw_guest_load(engine, dw_test_guest("rereader"), &guest, &error), &error);
  static reader readers[2], late;
  for (int i = 0; i < 2; i++) {
    CHECK_OK(open_reader(&readers[i], i, &error), &error);
    CHECK_OK(dw_actor_send(readers[i].actor, "1000000", 7, &error), &error);
  }
  for (int i = 0; i < 2; i++) wait_rounds(&readers[i], 10);
  CHECK_EQ(truncate(weights_of(0), ELEMENTS), 0);
  CHECK_EQ(dw_actor_wait(readers[0].actor, UINT64_MAX, &error), DW_IO);
  CHECK(strstr(error.detail, "model.safetensors was cut off") != NULL);
  // No round of the one ever showed the zeros, and the other goes on.
  wait_rounds(&readers[1], 10);
  CHECK_EQ(dw_actor_wait(readers[1].actor, 0, &error), DW_BUSY);
  dw_actor_cancel(readers[1].actor);
  CHECK_OK(dw_actor_wait(readers[1].actor, UINT64_MAX, &error), &error);
  for (int i = 0; i < 2; i++) CHECK_EQ(atomic_load(&readers[i].wrong), 0);
  // Whoever opens it now is told that the file is malformed, and not given the broken mapping.
  CHECK_STATUS(open_reader(&late, 0, &error), DW_GUEST, &error);
  CHECK(strstr(error.detail, "driftwood_open answered -10") && strstr(error.detail, "beyond the end of the file"));
  for (int i = 0; i < 2; i++) dw_actor_close(readers[i].actor);
  dw_guest_close(guest);
  CHECK_OK(dw_engine_close(engine, &error), &error);
}

static const dw_case cases[] = {
    {"truncated", "two actors read two models, one of which is cut off", test_truncated},
};
DW_TEST_MAIN(cases)
