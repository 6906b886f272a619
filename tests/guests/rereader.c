// Runs a program over a weight of a model, as often as a message says, and emits the
// weight's last element each time: for tests/test_truncated.c.
#include "driftwood_sdk.h"

static float *out;
static uint32_t elements;
static int32_t program;
static long rounds;
static dw_flow flow;

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) {
  (void)length;
  int32_t model = dw_model_open("weights", 7);
  if (model < 0) return model;
  int32_t weight = dw_model_tensor((dw_handle)model, "w", 1);
  dw_tensor_info info;
  if (weight < 0 || dw_tensor_info_get((dw_handle)weight, &info) < 0) return dw_failed("the weight");
  elements = (uint32_t)info.dims[0];
  out = dw_tensor_memory(elements * sizeof *out);
  if (!out) return DW_NOMEM;
  dw_builder build = {0};
  uint32_t from = dw_build_handle(&build, weight);
  uint32_t to = dw_build_handle(&build, dw_matrix_view("out", DW_F32, out, elements, 0));
  dw_build_op(&build, DW_OP_Axpby, to, 1, from)->f[0] = 1;
  program = dw_build_end(&build);
  return program < 0 ? program : 0;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  char *text = dw_inbox_text(length);
  if (!text) return DW_NOMEM;
  rounds = strtol(text, NULL, 10);
  free(text);
  flow.line = 0;
  return 0;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) {
  DW_FLOW_BEGIN(&flow);
  for (; rounds > 0; rounds--) {
    DW_FLOW_RUN(&flow, (dw_handle)program, NULL, 0);
    dw_emit_text("%g\n", (double)out[elements - 1]);
  }
  DW_FLOW_END(&flow);
}
