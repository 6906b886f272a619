#include "sigbus.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#define CHUNK_RANGES 64

// The handler may look at a record at any moment, so records are used again but
// never freed.  `version` is odd while one changes.
struct dw_sigbus_range {
  atomic_uint version;
  atomic_uintptr_t base;
  atomic_size_t size_bytes;    // 0: not in use
  atomic_bool broken;
};

typedef struct chunk {
  dw_sigbus_range ranges[CHUNK_RANGES];
  struct chunk *next;
} chunk;

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2 && ATOMIC_BOOL_LOCK_FREE == 2,
               "the handler takes no lock");

static _Atomic(chunk *) chunks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of watch, unwatch and install; never taken by the handler
static bool installed;
static struct sigaction previous;
static uintptr_t page_bytes;

static void change(dw_sigbus_range *range, uintptr_t base, size_t size_bytes) {
  atomic_fetch_add(&range->version, 1);
  atomic_store(&range->base, base);
  atomic_store(&range->size_bytes, size_bytes);
  atomic_store(&range->broken, false);
  atomic_fetch_add(&range->version, 1);
}

// ---- In the handler --------------------------------------------------------------------

static dw_sigbus_range *find(uintptr_t address, uintptr_t *end) {
  for (chunk *c = atomic_load(&chunks); c; c = c->next) {
    for (int i = 0; i < CHUNK_RANGES; i++) {
      dw_sigbus_range *range = &c->ranges[i];
      unsigned version = atomic_load(&range->version);
      uintptr_t base = atomic_load(&range->base);
      size_t size_bytes = atomic_load(&range->size_bytes);
      if (address < base || address - base >= size_bytes) continue;
      if (version % 2 || version != atomic_load(&range->version)) continue;
      *end = base + size_bytes;
      return range;
    }
  }
  return NULL;
}

// The system call itself: a sanitizer's or an embedder's mmap in front of libc's
// may do what a handler must not.
static bool map_zeros(uintptr_t begin, uintptr_t end) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
#if defined(__linux__)
  return syscall(SYS_mmap, begin, end - begin, (long)PROT_READ, (long)flags, -1L, 0L) != -1;
#else
  return mmap((void *)begin, end - begin, PROT_READ, flags, -1, 0) != MAP_FAILED;
#endif
}

// Everything from the faulting page on becomes zeros at once: what follows is
// beyond the end of the file too, and the kernel keeps one mapping and not one a page.
static bool patch(uintptr_t address) {
  uintptr_t end;
  dw_sigbus_range *range = find(address, &end);
  if (!range) return false;
  uintptr_t page = address & ~(page_bytes - 1);
  atomic_store(&range->broken, true);
  return map_zeros(page, end);
}

static void pass_on(int number, siginfo_t *info, void *context) {
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(number, info, context);
  } else if (previous.sa_handler == SIG_DFL || (previous.sa_handler == SIG_IGN && info->si_code > 0)) {
    // A fault that is ignored ends the process too.  The signal is blocked until we return.
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigaction(number, &by_default, NULL);
    raise(number);
  } else if (previous.sa_handler != SIG_IGN) {
    previous.sa_handler(number);
  }
}

static void handle(int number, siginfo_t *info, void *context) {
  int saved = errno;
  // A code up to 0 says that another process or raise() sent it: then there is no address.
  bool fault = info->si_code > 0;
  if (!fault || !patch((uintptr_t)info->si_addr)) pass_on(number, info, context);
  errno = saved;
}

// ---- Outside ---------------------------------------------------------------------------

static int install(void) {
  page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
  // `previous` is complete before our handler can run.
  if (sigaction(SIGBUS, NULL, &previous) != 0) return errno;
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  return sigaction(SIGBUS, &action, NULL) == 0 ? 0 : errno;
}

dw_status dw_sigbus_install(dw_error *error) {
  pthread_mutex_lock(&lock);
  int failed = installed ? 0 : install();
  if (!failed) installed = true;
  pthread_mutex_unlock(&lock);
  return failed ? dw_fail_errno(error, failed, "handling SIGBUS") : DW_OK;
}

static dw_sigbus_range *unused(void) {
  for (chunk *c = atomic_load(&chunks); c; c = c->next)
    for (int i = 0; i < CHUNK_RANGES; i++)
      if (atomic_load(&c->ranges[i].size_bytes) == 0) return &c->ranges[i];
  chunk *fresh = calloc(1, sizeof *fresh);
  if (!fresh) return NULL;
  fresh->next = atomic_load(&chunks);
  atomic_store(&chunks, fresh);
  return &fresh->ranges[0];
}

dw_sigbus_range *dw_sigbus_watch(const void *base, uint64_t size_bytes, dw_error *error) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  if (!size_bytes || (uintptr_t)base % page || size_bytes % page || size_bytes > SIZE_MAX) {
    dw_fail(error, DW_INVALID, "a watched mapping consists of whole pages");
    return NULL;
  }
  pthread_mutex_lock(&lock);
  dw_sigbus_range *range = unused();
  if (range) change(range, (uintptr_t)base, (size_t)size_bytes);
  pthread_mutex_unlock(&lock);
  if (!range) dw_fail(error, DW_NOMEM, "watch over a mapping");
  return range;
}

void dw_sigbus_unwatch(dw_sigbus_range *range) {
  pthread_mutex_lock(&lock);
  change(range, 0, 0);
  pthread_mutex_unlock(&lock);
}

bool dw_sigbus_broken(const dw_sigbus_range *range) { return atomic_load(&range->broken); }
