// Errors inside the library: how a dw_error is filled and read.
#ifndef DW_SRC_STATUS_H
#define DW_SRC_STATUS_H

#include "driftwood.h"

#include <stdarg.h>

// The constant words of a status code.
const char *dw_status_text(dw_status status);

// Fills `error` (which may be NULL) and returns `code`, so that a function can
// end with `return dw_fail(error, DW_BOUNDS, "row %u of %u", i, n);`.
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
dw_status dw_fail(dw_error *error, dw_status code, const char *format, ...);

// The same for a place in a file or text, in bytes from its beginning.
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
dw_status dw_fail_at(dw_error *error, dw_status code, uint64_t position, const char *format, ...);

// The same with the words of an errno.
dw_status dw_fail_errno(dw_error *error, int number, const char *what);

#endif
