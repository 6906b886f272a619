// A guest that uses what it is given: time, randomness, the log, its peers.
#include "driftwood_guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void say(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  dw_emit(text, (uint32_t)length);
}

static void tell_time(void) {
  struct timespec first, second;
  clock_gettime(CLOCK_REALTIME, &first);
  clock_gettime(CLOCK_MONOTONIC, &second);
  long long tick = (second.tv_sec - first.tv_sec) * 1000000000LL + (second.tv_nsec - first.tv_nsec);
  say("seconds %lld tick %lld", (long long)first.tv_sec, tick);
}

static void tell_random(void) {
  unsigned char bytes[8];
  getentropy(bytes, sizeof bytes);
  for (int i = 0; i < 8; i++) say("%02x", bytes[i]);
}

// Sends 1 MiB of sevens to `peer` and tries to change it afterwards.
static void send_to(const char *peer) {
  static unsigned char bytes[1 << 20];
  memset(bytes, 7, sizeof bytes);
  dw_tensor_desc desc = {.dtype = DW_U8, .rank = 1, .dims = {sizeof bytes}};
  dw_handle tensor = (dw_handle)dw_tensor_new(&desc, "gift", 4);
  dw_tensor_write(tensor, 0, bytes, sizeof bytes);
  int32_t sent = dw_tensor_send(peer, (uint32_t)strlen(peer), tensor, "gift", 4);
  int32_t changed = dw_tensor_write(tensor, 0, bytes, 1);
  char words[200] = {0};
  dw_last_error(words, sizeof words - 1);
  say("sent %d changed %d (%s)", sent, changed, words);
}

static void receive(int32_t tensor) {
  unsigned char byte = 0;
  dw_tensor_info info;
  dw_tensor_info_get((dw_handle)tensor, &info);
  dw_tensor_read((dw_handle)tensor, info.size_bytes - 1, &byte, 1);
  say("received %u bytes of %u, changed %d", (unsigned)info.size_bytes, byte,
      dw_tensor_write((dw_handle)tensor, 0, &byte, 1));
}

DW_EXPORT(driftwood_open) int32_t driftwood_open(uint32_t length) { return (void)length, DW_OK; }

DW_EXPORT(driftwood_message) int32_t driftwood_message(uint32_t length) {
  char message[128] = {0};
  dw_inbox(message, length < sizeof message ? length : sizeof message - 1);
  int32_t tensor = dw_inbox_tensor();
  if (tensor > 0) receive(tensor);
  else if (strcmp(message, "time") == 0) tell_time();
  else if (strcmp(message, "random") == 0) tell_random();
  else if (strcmp(message, "log") == 0) write(2, "one\ntwo\x1b[31m\xc2\x9b\x32J\n", 17);
  else if (strncmp(message, "send ", 5) == 0) send_to(message + 5);
  return DW_OK;
}

DW_EXPORT(driftwood_step) int32_t driftwood_step(void) { return DW_STEP_DONE; }
