#include "status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *dw_status_text(dw_status status) {
  switch (status) {
#define X(name, code, text) \
  case code:                \
    return text;
    DW_STATUS_MAP(X)
#undef X
  }
  return "unknown status";
}

static dw_status fill(dw_error *error, dw_status code, uint64_t position, bool has_position, const char *format,
                      va_list arguments) {
  if (!error) return code;
  error->code = code;
  error->message = dw_status_text(code);
  error->position = position;
  error->has_position = has_position;
  vsnprintf(error->detail, sizeof error->detail, format, arguments);
  return code;
}

dw_status dw_fail(dw_error *error, dw_status code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fill(error, code, 0, false, format, arguments);
  va_end(arguments);
  return code;
}

dw_status dw_fail_at(dw_error *error, dw_status code, uint64_t position, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fill(error, code, position, true, format, arguments);
  va_end(arguments);
  return code;
}

dw_status dw_fail_errno(dw_error *error, int number, const char *what) {
  dw_status code = number == ENOENT ? DW_NOTFOUND : number == ENOMEM ? DW_NOMEM : DW_IO;
  return dw_fail(error, code, "%s: %s", what, strerror(number));
}
