// Which season does a day feel like?  Scores = softmax([warmth, light, rain] x W).
#include "driftwood_sdk.h"

static const char *const seasons[4] = {"spring", "summer", "autumn", "winter"};
static float *day, *weights, *scores; // 1 x 3, 3 x 4 and 1 x 4, in the guest's own memory
static dw_handle program;
static dw_flow flow;
static bool asked;

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t args_len) {
  static const float learned[12] = {1, 6, -1, -5, 2, 3, -2, -3, 2, -3, 3, 0};
  (void)args_len;
  day = dw_tensor_memory(3 * sizeof *day);
  weights = dw_tensor_memory(sizeof learned);
  scores = dw_tensor_memory(4 * sizeof *scores);
  if (!day || !weights || !scores) return DW_NOMEM;
  memcpy(weights, learned, sizeof learned);

  dw_builder b = {0}; // what to compute, once; the host checks and compiles it
  uint32_t x = dw_build_handle(&b, dw_matrix_view("day", DW_F32, day, 1, 3));
  uint32_t w = dw_build_handle(&b, dw_matrix_view("weights", DW_F32, weights, 3, 4));
  uint32_t y = dw_build_handle(&b, dw_matrix_view("scores", DW_F32, scores, 1, 4));
  uint32_t sums = dw_build_temp(&b, DW_F32, dw_fixed(1), 4);
  dw_build_op(&b, DW_OP_MatMul, sums, 2, x, w);
  dw_build_op(&b, DW_OP_Softmax, y, 1, sums)->i[0] = -1;
  int32_t built = dw_build_end(&b);
  program = (dw_handle)built;
  return built < 0 ? built : 0;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t len) {
  char *text = dw_inbox_text(len), *at = text; // "0.9 0.8 0.1": warmth, light and rain, 0 to 1
  for (int i = 0; text && i < 3; i++) day[i] = strtof(at, &at);
  free(text);
  flow.line = 0; // a message that was cancelled may have left the flow in the middle
  asked = true;
  return 0;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) {
  if (!asked) return DW_STEP_WAIT; // for the first message
  DW_FLOW_BEGIN(&flow);
  DW_FLOW_RUN(&flow, program, NULL, 0); // leaves; the device reads `day` and writes `scores`
  for (int i = 0; i < 4; i++) dw_emit_text("%s %.0f%%\n", seasons[i], 100 * (double)scores[i]);
  asked = false;
  DW_FLOW_END(&flow);
}
