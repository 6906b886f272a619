// SIGBUS on our own file mappings: a file that is cut off while it is mapped.
//
// Touching a mapped page beyond the end of its file raises SIGBUS.  For a range
// that is watched here, the handler maps zeros over the page that faulted and all
// that follow in the range, and marks the range as broken; the access is repeated
// and goes on.  Whoever read the range asks dw_sigbus_broken at the end and reports an I/O
// error instead of its result.  No stack is unwound, so it does not matter which
// thread faulted, or which locks it held.
//
// Every other SIGBUS goes on to the handler that was there before, or ends the
// process as if there were none.
//
// The handler uses lock-free atomics and the system call mmap only, and keeps errno.
// (POSIX does not list mmap as safe in a handler; as a plain system call it is.)
#ifndef DW_SIGBUS_H
#define DW_SIGBUS_H

#include "status.h"

typedef struct dw_sigbus_range dw_sigbus_range;

// Installs the handler, once a process: later calls do nothing, even if somebody
// replaced it since, because who did may call it.  Any thread.
dw_status dw_sigbus_install(dw_error *error);

// Puts a mapping that is only read (whole pages) under watch; NULL on INVALID and
// NOMEM.  Without the handler nothing is ever broken.  Any thread.
dw_sigbus_range *dw_sigbus_watch(const void *base, uint64_t size_bytes, dw_error *error);
// Ends the watch.  Call it before munmap, when nobody reads the mapping any more.
void dw_sigbus_unwatch(dw_sigbus_range *range);

// Whether pages of the range were replaced by zeros.  Any thread.
bool dw_sigbus_broken(const dw_sigbus_range *range);

#endif
