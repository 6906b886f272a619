#include "model_files.h"

#include "format/index.h"
#include "format/quote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__APPLE__)
#define CHANGED st_mtimespec
#else
#define CHANGED st_mtim
#endif

// ---- The listing -----------------------------------------------------------------------

static dw_status add_file(dw_model_files *files, uint32_t *room, const char *name, dw_error *error) {
  struct stat about;
  if (!dw_plain_name(name, strlen(name))) return DW_OK;
  if (fstatat(files->directory, name, &about, 0) != 0 || !S_ISREG(about.st_mode)) return DW_OK;
  if (files->count == DW_MODEL_MAX_FILES)
    return dw_fail(error, DW_LIMIT, "more than %d files in a model's directory", DW_MODEL_MAX_FILES);
  if (files->count == *room) {
    *room = *room ? *room * 2 : 32;
    dw_model_file *more = realloc(files->files, *room * sizeof *more);
    if (!more) return dw_fail(error, DW_NOMEM, "files of a model");
    files->files = more;
  }
  char *kept = strdup(name);
  if (!kept) return dw_fail(error, DW_NOMEM, "files of a model");
  files->files[files->count++] = (dw_model_file){.name = kept,
                                                 .device = (uint64_t)about.st_dev,
                                                 .inode = (uint64_t)about.st_ino,
                                                 .size_bytes = (uint64_t)about.st_size,
                                                 .changed_s = about.CHANGED.tv_sec,
                                                 .changed_ns = about.CHANGED.tv_nsec};
  return DW_OK;
}

static dw_status add_all(dw_model_files *files, DIR *listing, const char *path, dw_error *error) {
  uint32_t room = 0;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(listing);
    if (!entry) return errno ? dw_fail_errno(error, errno, path) : DW_OK;
    dw_status status = add_file(files, &room, entry->d_name, error);
    if (status != DW_OK) return status;
  }
}

static int by_name(const void *left, const void *right) {
  return strcmp(((const dw_model_file *)left)->name, ((const dw_model_file *)right)->name);
}

dw_status dw_model_files_open(const char *path, dw_model_files *files, dw_error *error) {
  *files = (dw_model_files){.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (files->directory < 0) return dw_fail_errno(error, errno, path);
  int copy = fcntl(files->directory, F_DUPFD_CLOEXEC, 0); // closedir closes it
  DIR *listing = copy < 0 ? NULL : fdopendir(copy);
  dw_status status = listing ? add_all(files, listing, path, error) : dw_fail_errno(error, errno, path);
  if (listing) closedir(listing);
  else if (copy >= 0) close(copy);
  if (status == DW_OK && files->count) qsort(files->files, files->count, sizeof *files->files, by_name);
  if (status != DW_OK) dw_model_files_close(files);
  return status;
}

void dw_model_files_close(dw_model_files *files) {
  for (uint32_t i = 0; i < files->count; i++) free(files->files[i].name);
  free(files->files);
  close(files->directory);
  *files = (dw_model_files){.directory = -1};
}

static bool same_file(const dw_model_file *l, const dw_model_file *r) {
  return strcmp(l->name, r->name) == 0 && l->device == r->device && l->inode == r->inode &&
         l->size_bytes == r->size_bytes && l->changed_s == r->changed_s && l->changed_ns == r->changed_ns;
}

bool dw_model_files_equal(const dw_model_files *left, const dw_model_files *right) {
  if (left->count != right->count) return false;
  for (uint32_t i = 0; i < left->count; i++)
    if (!same_file(&left->files[i], &right->files[i])) return false;
  return true;
}

const dw_model_file *dw_model_files_find(const dw_model_files *files, const char *name) {
  const dw_model_file key = {.name = (char *)name};
  return files->count ? bsearch(&key, files->files, files->count, sizeof key, by_name) : NULL;
}

// ---- Reading ---------------------------------------------------------------------------

dw_status dw_model_files_descriptor(const dw_model_files *files, const char *name, int *descriptor,
                                    uint64_t *size_bytes, dw_error *error) {
  dw_quote quote = dw_quote_string(name);
  if (!dw_plain_name(name, strlen(name))) return dw_fail(error, DW_DENIED, "%s is not a plain file name", quote.text);
  if (!dw_model_files_find(files, name)) return dw_fail(error, DW_NOTFOUND, "no file %s in the model", quote.text);
  // The name may have become a pipe since, on which opening would wait.
  int opened = openat(files->directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (opened < 0) return dw_fail_errno(error, errno, quote.text);
  struct stat about;
  bool regular = fstat(opened, &about) == 0 && S_ISREG(about.st_mode);
  if (!regular) {
    close(opened);
    return dw_fail(error, DW_IO, "%s is no regular file any more", quote.text);
  }
  *descriptor = opened;
  *size_bytes = (uint64_t)about.st_size;
  return DW_OK;
}

static dw_status read_at(int descriptor, const char *name, uint64_t offset, char *buffer, uint64_t length,
                         uint64_t *got_bytes, dw_error *error) {
  while (*got_bytes < length) {
    uint64_t left = length - *got_bytes;
    size_t part = left < (UINT64_C(1) << 30) ? (size_t)left : (size_t)1 << 30;
    ssize_t got = pread(descriptor, buffer + *got_bytes, part, (off_t)(offset + *got_bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return dw_fail_errno(error, errno, dw_quote_string(name).text);
    if (got == 0) break;
    *got_bytes += (uint64_t)got;
  }
  return DW_OK;
}

dw_status dw_model_files_read(const dw_model_files *files, const char *name, uint64_t offset, void *buffer,
                              uint64_t length, uint64_t *got_bytes, dw_error *error) {
  *got_bytes = 0;
  int descriptor;
  uint64_t size_bytes;
  dw_status status = dw_model_files_descriptor(files, name, &descriptor, &size_bytes, error);
  if (status != DW_OK) return status;
  uint64_t left = offset < size_bytes ? size_bytes - offset : 0;
  if (left > 0) status = read_at(descriptor, name, offset, buffer, length < left ? length : left, got_bytes, error);
  close(descriptor);
  return status;
}

dw_status dw_model_files_text(const dw_model_files *files, const char *name, uint64_t limit_bytes, char **text,
                              size_t *length, dw_error *error) {
  const dw_model_file *file = dw_model_files_find(files, name);
  uint64_t size_bytes = file ? file->size_bytes : 0;
  if (size_bytes > limit_bytes)
    return dw_fail(error, DW_LIMIT, "%s has %" PRIu64 " bytes; up to %" PRIu64 " are read", name, size_bytes,
                   limit_bytes);
  char *buffer = malloc(size_bytes ? (size_t)size_bytes : 1);
  if (!buffer) return dw_fail(error, DW_NOMEM, "%s", name);
  uint64_t got = 0;
  dw_status status = dw_model_files_read(files, name, 0, buffer, size_bytes, &got, error);
  if (status == DW_OK && got != size_bytes) status = dw_fail(error, DW_IO, "%s became shorter", name);
  if (status != DW_OK) {
    free(buffer);
    return status;
  }
  *text = buffer;
  *length = (size_t)size_bytes;
  return DW_OK;
}
