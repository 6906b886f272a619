// bench copies: where it pays that nothing is copied.
//
// The stream guest runs y = a*x + b over its own memory, or over a device tensor
// with an upload before and a download after.  What is timed is whole messages of
// many runs, so each run has its share of the step and of the way to the device.
#include "cli.h"

#include "device/device.h"
#include "plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIZES 40
#define MAX_DEVICES 2
#define MIN_BYTES 4096
#define DEFAULT_MAX_BYTES (UINT64_C(256) << 20)
#define DEFAULT_RUNS 7
#define BATCH_NS 4e6 // repeat a run until a message takes this long
#define PAYS 1.1     // a smaller gain may be noise

typedef struct bench_device {
  const char *name;
  char words[240]; // the device's name, or why it was not measured
  bool measured;
  size_t count;
  uint64_t sizes[MAX_SIZES];
  double wrapped_ns[MAX_SIZES], copied_ns[MAX_SIZES];
} bench_device;

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return a < b ? -1 : a > b;
}

// ---- Measuring ----------------------------------------------------------------------------

static cli_exit tell(cli_session *session, const char *message) {
  return cli_session_tell(session, message, strlen(message), NULL);
}

static cli_exit time_batch(cli_session *session, uint64_t repeat, double *each_ns) {
  char message[64];
  snprintf(message, sizeof message, "run repeat=%" PRIu64, repeat);
  uint64_t begun = cli_now_ns();
  cli_exit code = tell(session, message);
  *each_ns = (double)(cli_now_ns() - begun) / (double)repeat;
  return code;
}

// Ready to run: imported, touched, compiled; and how often it fits into a batch.
static cli_exit prepare(cli_session *session, uint64_t bytes, const char *mode, uint64_t *repeat) {
  char message[64];
  double each_ns = 0;
  snprintf(message, sizeof message, "prepare bytes=%" PRIu64 " mode=%s", bytes, mode);
  cli_exit code = tell(session, message);
  for (int i = 0; i < 2 && code == CLI_OK; i++) code = time_batch(session, 1, &each_ns);
  double fit = BATCH_NS / (each_ns > 1 ? each_ns : 1);
  *repeat = fit < 1 ? 1 : fit > 512 ? 512 : (uint64_t)fit;
  return code;
}

static double median(double *times, uint64_t count) {
  qsort(times, count, sizeof *times, compare);
  return times[count / 2];
}

// In turns, so that what else happens on the machine meets both alike.
static cli_exit measure_size(cli_session *sessions[2], uint64_t runs, bench_device *device) {
  static const char *const modes[2] = {"zerocopy", "copy"};
  static double times[2][1000];
  uint64_t repeat[2];
  size_t at = device->count;
  cli_exit code = CLI_OK;
  for (int m = 0; m < 2 && code == CLI_OK; m++)
    code = prepare(sessions[m], device->sizes[at], modes[m], &repeat[m]);
  for (uint64_t run = 0; run < runs; run++)
    for (int m = 0; m < 2 && code == CLI_OK; m++) code = time_batch(sessions[m], repeat[m], &times[m][run]);
  for (int m = 0; m < 2 && code == CLI_OK; m++) code = tell(sessions[m], "check");
  if (code != CLI_OK) return code;
  device->wrapped_ns[at] = median(times[0], runs);
  device->copied_ns[at] = median(times[1], runs);
  device->count++;
  return CLI_OK;
}

static void on_emit(void *user, const void *bytes, size_t size_bytes) {
  char *wrong = user;
  char line[256];
  snprintf(line, sizeof line, "%.*s", (int)(size_bytes < 255 ? size_bytes : 255), (const char *)bytes);
  const char *at = strstr(line, "wrong=");
  if (at && strtol(at + 6, NULL, 10) != 0) *wrong = 1;
}

static cli_exit measure_sizes(cli_session *sessions[2], const cli_options *options, bench_device *device,
                              uint64_t max_bytes) {
  uint64_t runs = options->runs ? options->runs : DEFAULT_RUNS;
  cli_exit code = CLI_OK;
  for (uint64_t bytes = MIN_BYTES; bytes <= max_bytes && device->count < MAX_SIZES && code == CLI_OK;
       bytes *= 2) {
    char size[32];
    cli_status("%s: %s", device->name, cli_size_text(bytes, size));
    device->sizes[device->count] = bytes;
    code = measure_size(sessions, runs, device);
  }
  return code;
}

// An engine for each way: neither's memory grows for the other's buffers.
static cli_exit measure_device(const cli_options *options, bench_device *device, uint64_t max_bytes) {
  cli_options own = *options;
  own.device = device->name;
  char wrong = 0;
  const cli_session_desc desc = {.options = &own, .guest = "stream", .on_emit = on_emit, .user = &wrong};
  cli_session *sessions[2] = {NULL, NULL};
  cli_exit code = cli_session_open(&desc, &sessions[0]);
  if (code == CLI_OK) code = cli_session_open(&desc, &sessions[1]);
  if (code == CLI_OK) code = measure_sizes(sessions, options, device, max_bytes);
  cli_status_clear();
  cli_session_close(sessions[0]);
  cli_session_close(sessions[1]);
  if (code == CLI_OK && wrong) {
    cli_say("%s: the results are wrong", device->name);
    return CLI_FAILED;
  }
  device->measured = code == CLI_OK;
  return code;
}

// Whether it is there, and the largest tensor it takes.
static bool look(bench_device *device, uint64_t *max_bytes, dw_status *status) {
  dw_device *opened;
  dw_error error = {0};
  *status = dw_device_open(device->name, &(dw_device_options){0}, &opened, &error);
  snprintf(device->words, sizeof device->words, "%s", *status == DW_OK ? opened->name : error.detail);
  if (*status != DW_OK) return false;
  *max_bytes = opened->max_binding_bytes;
  opened->class_->close(opened);
  return true;
}

// ---- Showing ------------------------------------------------------------------------------

// The first size from which on copying is slower by more than noise; count if none.
static size_t pays_from(const bench_device *device) {
  size_t from = device->count;
  while (from && device->copied_ns[from - 1] >= PAYS * device->wrapped_ns[from - 1]) from--;
  return from;
}

static double ratio_at(const bench_device *device, size_t i) {
  return device->copied_ns[i] / device->wrapped_ns[i];
}

static void print_conclusion(const bench_device *device) {
  char size[32], largest[32], least[32];
  size_t from = pays_from(device), last = device->count - 1;
  cli_size_text(device->sizes[last], largest);
  if (from == device->count) {
    printf("%s: zero-copy does not pay here up to %s: copying takes %.2f times as long there\n", device->name,
           largest, ratio_at(device, last));
    return;
  }
  double low = 1e300, high = 0;
  for (size_t i = from; i < device->count; i++) {
    low = fmin(low, ratio_at(device, i));
    high = fmax(high, ratio_at(device, i));
  }
  printf("%s: zero-copy pays from %s on: copying takes %.1f to %.1f times as long", device->name,
         cli_size_text(device->sizes[from], size), low, high);
  if (from)
    printf("; below, the %s that any run takes weigh more",
           cli_time_text((uint64_t)device->wrapped_ns[0], least));
  putchar('\n');
}

static void print_table(const bench_device *device) {
  printf("%s%s%s\n", cli_begin(stdout, CLI_BOLD), device->words, cli_end(stdout));
  if (!device->measured) return;
  printf("%10s %12s %12s %8s %10s\n", "buffer", "zero-copy", "copying", "ratio", "GB/s");
  for (size_t i = 0; i < device->count; i++) {
    char size[32], wrapped[32], copied[32];
    printf("%10s %12s %12s %7.2fx %10.2f\n", cli_size_text(device->sizes[i], size),
           cli_time_text((uint64_t)device->wrapped_ns[i], wrapped),
           cli_time_text((uint64_t)device->copied_ns[i], copied),
           device->copied_ns[i] / device->wrapped_ns[i],
           2 * (double)device->sizes[i] / device->wrapped_ns[i]);
  }
  print_conclusion(device);
}

static void print_json(const bench_device *devices, size_t count) {
  printf("{\n  \"devices\": [");
  for (size_t d = 0; d < count; d++) {
    const bench_device *device = &devices[d];
    printf("%s\n    {\"name\": \"%s\", \"measured\": %s, \"description\": ", d ? "," : "", device->name,
           device->measured ? "true" : "false");
    cli_json_string(stdout, device->words);
    size_t from = pays_from(device);
    if (from < device->count)
      printf(", \"pays_from_bytes\": %" PRIu64, device->sizes[from]);
    else
      printf(", \"pays_from_bytes\": null");
    printf(", \"sizes\": [");
    for (size_t i = 0; i < device->count; i++)
      printf("%s\n      {\"bytes\": %" PRIu64 ", \"zerocopy_ns\": %.0f, \"copy_ns\": %.0f}", i ? "," : "",
             device->sizes[i], device->wrapped_ns[i], device->copied_ns[i]);
    printf("]}");
  }
  printf("\n  ]\n}\n");
}

// First how much longer copying takes, a line a device; then the times of each device.
static cli_exit draw(const bench_device *devices, size_t count, const char *path) {
  static double ratios[MAX_DEVICES][MAX_SIZES];
  plot_panel panels[MAX_DEVICES + 1] = {
      {.title = "Copying takes this many times as long as zero-copy (above 1x, zero-copy pays)",
       .kind = PLOT_RATIO}};
  size_t drawn = 1;
  for (size_t d = 0; d < count; d++) {
    const bench_device *device = &devices[d];
    if (!device->measured) continue;
    for (size_t i = 0; i < device->count; i++) ratios[d][i] = ratio_at(device, i);
    plot_panel *first = &panels[0];
    first->lines[first->line_count++] = (plot_line){device->name, device->count, device->sizes, ratios[d]};
    panels[drawn++] =
        (plot_panel){.title = device->words,
                     .kind = PLOT_TIME,
                     .line_count = 2,
                     .lines = {{"copying", device->count, device->sizes, device->copied_ns},
                               {"zero-copy", device->count, device->sizes, device->wrapped_ns}}};
  }
  if (drawn > 1 && plot_write(path, "y = a*x + b over a guest's buffer, by its size", panels, drawn))
    return CLI_OK;
  cli_say("%s could not be written", path);
  return CLI_NOT_FOUND;
}

cli_exit cli_bench(const cli_arguments *arguments) {
  const cli_options *options = &arguments->options;
  if (strcmp(arguments->words[0], "copies") != 0) {
    cli_say("there is one benchmark: driftwood bench copies");
    return CLI_USAGE;
  }
  bench_device devices[MAX_DEVICES] = {{.name = "cpu"}, {.name = "vulkan"}};
  size_t count = MAX_DEVICES;
  if (options->device) {
    devices[0].name = options->device;
    count = 1;
  }
  cli_exit code = CLI_OK;
  for (size_t i = 0; i < count && code == CLI_OK; i++) {
    uint64_t max_bytes, wanted = options->max_bytes ? options->max_bytes : DEFAULT_MAX_BYTES;
    dw_status status;
    if (look(&devices[i], &max_bytes, &status))
      code = measure_device(options, &devices[i], max_bytes < wanted ? max_bytes : wanted);
    else if (options->device) {
      cli_say("device %s: %s", options->device, devices[i].words);
      return cli_exit_of(status);
    }
    if (!options->json && code == CLI_OK) print_table(&devices[i]);
  }
  if (code == CLI_OK && options->json) print_json(devices, count);
  if (code == CLI_OK && options->out) code = draw(devices, count, options->out);
  return code;
}
