// Answers like the llm guest, but moves its state to the device and back for each
// token: for tests/test_prove.c.
#include "driftwood_sdk.h"

#define ELEMENTS 1024
#define TOKENS 8

static float state[ELEMENTS];
static int32_t tensor;

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) {
  (void)length;
  dw_tensor_desc desc = {.dtype = DW_F32, .rank = 1, .dims = {ELEMENTS}};
  tensor = dw_tensor_new(&desc, "state", 5);
  return tensor < 0 ? dw_failed("tensor_new") : 0;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  (void)length;
  for (int i = 0; i < TOKENS; i++) {
    if (dw_tensor_write((dw_handle)tensor, 0, state, sizeof state) < 0) return dw_failed("tensor_write");
    if (dw_tensor_read((dw_handle)tensor, 0, state, sizeof state) < 0) return dw_failed("tensor_read");
    dw_emit_text(" word");
  }
  dw_say(DW_SDK_INFO, "reply prompt_tokens=1 tokens=%d stop=length", TOKENS);
  return 0;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) { return DW_STEP_DONE; }
