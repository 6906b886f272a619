// stream: y = a*x + b over as many bytes as one likes, with and without copies.
//
//   mode=zerocopy  the program reads and overwrites the guest's own memory
//   mode=copy      a device tensor: tensor_write, program, tensor_read each time
//
// Messages, words divided by spaces:
//   prepare bytes=N mode=M   fills the buffer and builds the program
//   run repeat=N             N times in a row (default 1)
//   check                    compares every element with what must be there
//   bytes=N mode=M repeat=N  the three of them
//   grow bytes=N             grows linear memory; the next buffer that fits lies there
//
// Each is answered by one line, such as
//   stream mode=zerocopy bytes=65536 address=131072 runs=3 wrong=0 checksum=24576
#include "driftwood_sdk.h"

#define PAGE_BYTES 65536u
#define PERIOD 251 // x[i] depends on i % PERIOD, so the check costs PERIOD recurrences
static const float scale = 0.5f, shift = 1.0f; // a*x is exact: fused or not, the bits are the same

static float *x;
static uint32_t count; // elements
static bool copying, from_heap;
static int32_t tensor, program;
static uint32_t runs_done, runs_wanted;
static bool running, checking;
static unsigned char *grown;
static uint32_t grown_bytes;
static dw_flow flow;

static float begin_value(uint32_t i) {
  return (float)(i % PERIOD) - 125.0f;
}

static void drop(void) {
  if (program > 0) dw_release((dw_handle)program);
  if (tensor > 0) dw_release((dw_handle)tensor);
  if (from_heap) free(x);
  program = tensor = 0;
  x = NULL;
}

static bool take_memory(uint32_t bytes) {
  from_heap = !grown || bytes > grown_bytes;
  x = from_heap ? dw_tensor_memory(bytes) : (float *)(void *)grown;
  return x != NULL;
}

static int32_t prepare(const char *text) {
  double bytes = 0;
  char mode[16] = "zerocopy";
  dw_argument(text, ' ', "mode", mode, sizeof mode);
  copying = strcmp(mode, "copy") == 0;
  if (!dw_argument_number(text, ' ', "bytes", 4096, 4, 2147483648.0, &bytes) ||
      (!copying && strcmp(mode, "zerocopy"))) {
    dw_say(DW_SDK_ERROR, "prepare takes bytes=4..2147483648 and mode=zerocopy or mode=copy");
    return DW_INVALID;
  }
  drop();
  count = (uint32_t)bytes / 4;
  if (!take_memory(count * 4)) {
    dw_say(DW_SDK_ERROR, "no memory for %u bytes", count * 4);
    return DW_NOMEM;
  }
  for (uint32_t i = 0; i < count; i++) x[i] = begin_value(i);
  dw_tensor_desc desc = {.dtype = DW_F32, .rank = 1, .dims = {count}};
  tensor = copying ? dw_tensor_new(&desc, "x", 1) : dw_matrix_view("x", DW_F32, x, count, 0);
  dw_builder build = {0};
  uint32_t index = dw_build_handle(&build, tensor);
  dw_op *op = dw_build_op(&build, DW_OP_Axpby, index, 1, index);
  op->f[0] = scale;
  op->f[1] = shift;
  program = dw_build_end(&build);
  runs_done = 0;
  return program < 0 ? program : 0;
}

static uint32_t wrong_elements(double *checksum) {
  float expected[PERIOD];
  for (uint32_t i = 0; i < PERIOD; i++) {
    expected[i] = begin_value(i);
    for (uint32_t run = 0; run < runs_done; run++) expected[i] = scale * expected[i] + shift;
  }
  uint32_t wrong = 0;
  *checksum = 0;
  for (uint32_t i = 0; i < count; i++) {
    wrong += x[i] != expected[i % PERIOD];
    *checksum += (double)x[i];
  }
  return wrong;
}

static int32_t grow(const char *text) {
  double bytes = 0;
  if (!dw_argument_number(text, ' ', "bytes", PAGE_BYTES, 1, 4294901760.0, &bytes)) {
    dw_say(DW_SDK_ERROR, "grow takes bytes=1..4294901760");
    return DW_INVALID;
  }
  uint32_t pages = (uint32_t)((uint64_t)(bytes + PAGE_BYTES - 1) / PAGE_BYTES);
  size_t before = __builtin_wasm_memory_grow(0, pages);
  if (before == SIZE_MAX) {
    dw_say(DW_SDK_ERROR, "linear memory does not grow by %u pages", pages);
    return DW_NOMEM;
  }
  grown = (unsigned char *)(before * PAGE_BYTES);
  grown_bytes = pages * PAGE_BYTES;
  dw_emit_text("grow address=%u bytes=%u\n", (unsigned)(uintptr_t)grown, grown_bytes);
  return 0;
}

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) {
  (void)length;
  return 0;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  char *text = dw_inbox_text(length);
  if (!text) return DW_NOMEM;
  bool growing = strncmp(text, "grow", 4) == 0, preparing = strncmp(text, "prepare", 7) == 0;
  running = strncmp(text, "run", 3) == 0;
  checking = strncmp(text, "check", 5) == 0;
  bool all = !growing && !preparing && !running && !checking;
  double repeat = 1;
  int32_t status = 0;
  if (growing) status = grow(text);
  if (preparing || all) status = prepare(text);
  if (all) running = checking = true;
  if (status == 0 && !dw_argument_number(text, ' ', "repeat", 1, 0, 1e9, &repeat)) {
    dw_say(DW_SDK_ERROR, "repeat is a number");
    status = DW_INVALID;
  }
  free(text);
  runs_wanted = running ? runs_done + (uint32_t)repeat : runs_done;
  flow.line = 0;
  if (status == 0 && !growing && program <= 0) {
    dw_say(DW_SDK_ERROR, "there is nothing to run: prepare first");
    status = DW_INVALID;
  }
  if (preparing && status == 0)
    dw_emit_text("stream mode=%s bytes=%u address=%u\n", copying ? "copy" : "zerocopy", count * 4,
                 (unsigned)(uintptr_t)x);
  return status;
}

static bool transfer(bool up) {
  int32_t status = up ? dw_tensor_write((dw_handle)tensor, 0, x, count * 4)
                      : dw_tensor_read((dw_handle)tensor, 0, x, count * 4);
  return !copying || status >= 0;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) {
  DW_FLOW_BEGIN(&flow);
  while (runs_done < runs_wanted) {
    if (!transfer(true)) return dw_step_failed("tensor_write");
    DW_FLOW_RUN(&flow, (dw_handle)program, NULL, 0);
    if (!transfer(false)) return dw_step_failed("tensor_read");
    runs_done++;
  }
  if (running || checking) {
    double checksum = 0;
    uint32_t wrong = checking ? wrong_elements(&checksum) : 0;
    dw_emit_text("stream mode=%s bytes=%u address=%u runs=%u", copying ? "copy" : "zerocopy", count * 4,
                 (unsigned)(uintptr_t)x, runs_done);
    if (checking) dw_emit_text(" wrong=%u checksum=%.17g", wrong, checksum);
    dw_emit_text("\n");
  }
  running = checking = false;
  DW_FLOW_END(&flow);
}
