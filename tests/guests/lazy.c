// Says that it called the host a million times, and did not: for tests/test_prove.c.
#include "driftwood_sdk.h"

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) {
  (void)length;
  return 0;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  (void)length;
  dw_emit_text("calls answered=1000000\n");
  return 0;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) { return DW_STEP_DONE; }
