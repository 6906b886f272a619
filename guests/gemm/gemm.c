// gemm: C = A x B of n x n float32 matrices that lie in the guest's own memory.
//
// Argument: n=128 (1 to 2048).  Messages: `run`, or `repeat N`: the program N times,
// one after the other.  Each is answered by one line,
//
//   gemm n=128 a=<address> b=<address> c=<address> runs=<N> checksum=<sum of C>
//
// so that an embedder that can look into the memory finds the 3 matrices there.
#include "driftwood_sdk.h"

static uint32_t n, runs, done;
static float *a, *b, *c;
static dw_handle program;
static dw_flow flow;

// Values in [-1, 1) that every machine computes alike.
static void fill(float *matrix, uint32_t state) {
  for (uint32_t i = 0; i < n * n; i++) {
    state = state * 1664525u + 1013904223u;
    matrix[i] = (float)(int32_t)(state >> 8) / 8388608.0f - 1.0f;
  }
}

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) {
  char *arguments = dw_inbox_text(length);
  double size = 0;
  if (!arguments || !dw_argument_number(arguments, '\n', "n", 128, 1, 2048, &size)) {
    dw_say(DW_SDK_ERROR, "the argument n is a number from 1 to 2048");
    return DW_INVALID;
  }
  free(arguments);
  n = (uint32_t)size;
  size_t bytes = (size_t)n * n * sizeof(float);
  a = dw_tensor_memory(bytes);
  b = dw_tensor_memory(bytes);
  c = dw_tensor_memory(bytes);
  if (!a || !b || !c) {
    dw_say(DW_SDK_ERROR, "no memory for three matrices of %u x %u", n, n);
    return DW_NOMEM;
  }
  fill(a, 1);
  fill(b, 2);
  dw_builder build = {0};
  uint32_t left = dw_build_handle(&build, dw_matrix_view("a", DW_F32, a, n, n));
  uint32_t right = dw_build_handle(&build, dw_matrix_view("b", DW_F32, b, n, n));
  uint32_t product = dw_build_handle(&build, dw_matrix_view("c", DW_F32, c, n, n));
  dw_build_op(&build, DW_OP_MatMul, product, 2, left, right);
  int32_t built = dw_build_end(&build);
  if (built < 0) return built;
  program = (dw_handle)built;
  return 0;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  char *text = dw_inbox_text(length);
  runs = text && strncmp(text, "repeat ", 7) == 0 ? (uint32_t)strtoul(text + 7, NULL, 10) : 1;
  free(text);
  done = 0;
  flow.line = 0;
  return 0;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) {
  DW_FLOW_BEGIN(&flow);
  if (runs == 0) return DW_STEP_DONE; // after open there is nothing to do
  for (done = 0; done < runs; done++) {
    DW_FLOW_RUN(&flow, program, NULL, 0);
  }
  double checksum = 0;
  for (uint32_t i = 0; i < n * n; i++) checksum += (double)c[i];
  dw_emit_text("gemm n=%u a=%u b=%u c=%u runs=%u checksum=%.6f\n", n, (unsigned)(uintptr_t)a,
               (unsigned)(uintptr_t)b, (unsigned)(uintptr_t)c, runs, checksum);
  DW_FLOW_END(&flow);
}
