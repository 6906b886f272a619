// probe: what `driftwood prove` cannot ask a guest of another purpose.
//
// Messages, each answered by one line unless it traps:
//   calls N    calls the host N times, as cheap a function as there is
//   read       reads the byte behind the end of its memory
//   write      writes it
//   far        reads the last byte that a 32-bit address reaches
//   alive      does nothing
#include "driftwood_sdk.h"

// One past the last byte; the far access does not depend on the size.
static volatile unsigned char *memory_end(void) {
  return (volatile unsigned char *)(__builtin_wasm_memory_size(0) * 65536u);
}

static uint32_t call_host(uint32_t calls) {
  uint32_t answered = 0;
  for (uint32_t i = 0; i < calls; i++) answered += dw_abi_version() == DW_ABI_VERSION;
  return answered;
}

static void obey(const char *text) {
  if (strncmp(text, "calls ", 6) == 0) {
    dw_emit_text("calls answered=%u\n", call_host((uint32_t)strtoul(text + 6, NULL, 10)));
  } else if (strcmp(text, "read") == 0) {
    dw_emit_text("read %u\n", *memory_end());
  } else if (strcmp(text, "write") == 0) {
    *memory_end() = 1;
    dw_emit_text("written\n");
  } else if (strcmp(text, "far") == 0) {
    dw_emit_text("read %u\n", *(volatile unsigned char *)0xFFFFFFFFu);
  } else {
    dw_emit_text("alive\n");
  }
}

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) {
  (void)length;
  return 0;
}

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  char *text = dw_inbox_text(length);
  if (!text) return DW_NOMEM;
  obey(text);
  free(text);
  return 0;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) {
  return DW_STEP_DONE;
}
