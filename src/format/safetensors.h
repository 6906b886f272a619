// safetensors.h: a strict reader of safetensors files.
//
// A file is a header length (8 bytes, little-endian), a header of that many bytes
// (a JSON object, which spaces may follow) and the data.  The header names each
// tensor's data type, shape and place in the data; `__metadata__` holds strings.
// Format: https://huggingface.co/docs/safetensors
//
// Refused: a header over 100,000,000 bytes or that does not begin with '{'; what
// json.h refuses, equal keys included; data types that are none of dw_dtype; sizes
// that do not follow from type and shape; tensors that overlap or leave a gap; data
// that does not end with the file.  Every error has its byte position in the file.
//
//   Threads   A parsed file is only read: any number of threads may use it.
//   Memory    The header is copied first, so that a file that changes meanwhile
//             gives an error or other numbers, never a wild pointer.
#ifndef DW_FORMAT_SAFETENSORS_H
#define DW_FORMAT_SAFETENSORS_H

#include "../status.h"

#define DW_SAFETENSORS_MAX_HEADER UINT64_C(100000000)
#define DW_SAFETENSORS_MAX_RANK 8

typedef struct dw_safetensors_tensor {
  const char *name;            // UTF-8, zero-terminated (zero bytes inside are possible)
  uint32_t name_bytes;
  uint32_t dtype;              // dw_dtype
  uint32_t rank;               // 0 to DW_SAFETENSORS_MAX_RANK
  uint64_t dims[DW_SAFETENSORS_MAX_RANK];
  uint64_t offset_bytes;       // from the beginning of the file
  uint64_t size_bytes;
  uint64_t position;           // of its name in the file
} dw_safetensors_tensor;

typedef struct dw_safetensors_pair {
  const char *key, *value;     // UTF-8, zero-terminated (zero bytes inside are possible)
  uint32_t key_bytes, value_bytes;
} dw_safetensors_pair;

typedef struct dw_safetensors {
  dw_safetensors_tensor *tensors; // in the order of their names, bytewise
  uint32_t tensor_count;
  dw_safetensors_pair *metadata;  // in the order of the file
  uint32_t metadata_count;
  uint64_t data_offset_bytes;     // of the data, from the beginning of the file
  char *strings;                  // all names, keys and values
} dw_safetensors;

// Reads the header of the file that `bytes` are; the data is not looked at.  On an
// error `file` is empty and needs no free.  FORMAT; LIMIT: header too large or
// nested too deeply; UNSUPPORTED: the data type (named) or the rank; NOMEM.
dw_status dw_safetensors_parse(const void *bytes, uint64_t size_bytes, dw_safetensors *file, dw_error *error);
void dw_safetensors_free(dw_safetensors *file);

// NULL if there is none.
const dw_safetensors_tensor *dw_safetensors_find(const dw_safetensors *file, const char *name);
const char *dw_safetensors_meta(const dw_safetensors *file, const char *key);

#endif
