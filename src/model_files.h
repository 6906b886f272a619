// The files of a model's directory: which there are, and reading them by range.
#ifndef DW_MODEL_FILES_H
#define DW_MODEL_FILES_H

#include "status.h"

#define DW_MODEL_MAX_FILES 16384

typedef struct dw_model_file {
  char *name;
  uint64_t device, inode, size_bytes;
  int64_t changed_s, changed_ns; // when its contents last changed
} dw_model_file;

typedef struct dw_model_files {
  int directory;               // descriptor
  dw_model_file *files;        // regular files (through symbolic links too) with plain names, by name
  uint32_t count;
} dw_model_files;

// NOTFOUND, IO, LIMIT, NOMEM.  On an error `files` needs no close.
dw_status dw_model_files_open(const char *path, dw_model_files *files, dw_error *error);
void dw_model_files_close(dw_model_files *files);

// The same names with the same contents, by device, inode, size and time of change.
bool dw_model_files_equal(const dw_model_files *left, const dw_model_files *right);

// NULL if there is none.
const dw_model_file *dw_model_files_find(const dw_model_files *files, const char *name);

// Opens for reading and gives the size the file has now.  DENIED: not a plain name;
// NOTFOUND: it was not there when the directory was opened; IO.
dw_status dw_model_files_descriptor(const dw_model_files *files, const char *name, int *descriptor,
                                    uint64_t *size_bytes, dw_error *error);

// Reads up to `length` bytes at `offset`; fewer only at the end of the file.
dw_status dw_model_files_read(const dw_model_files *files, const char *name, uint64_t offset, void *buffer,
                              uint64_t length, uint64_t *got_bytes, dw_error *error);

// A whole file of up to `limit_bytes` in memory of malloc; `text` is freed by the caller.
dw_status dw_model_files_text(const dw_model_files *files, const char *name, uint64_t limit_bytes, char **text,
                              size_t *length, dw_error *error);

#endif
