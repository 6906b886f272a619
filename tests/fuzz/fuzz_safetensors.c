// The safetensors reader: any file.
// Covers: src/format/safetensors.c
#include "format/safetensors.h"
#include "fuzz.h"

static void check_tensor(const dw_safetensors *file, uint32_t index, uint64_t size) {
  const dw_safetensors_tensor *tensor = &file->tensors[index];
  MUST(tensor->rank <= DW_SAFETENSORS_MAX_RANK);
  MUST(tensor->offset_bytes >= file->data_offset_bytes && tensor->offset_bytes <= size);
  MUST(tensor->size_bytes <= size - tensor->offset_bytes);
  MUST(tensor->position < file->data_offset_bytes);
  MUST(tensor->name[tensor->name_bytes] == 0);
  if (strlen(tensor->name) == tensor->name_bytes) MUST(dw_safetensors_find(file, tensor->name) == tensor);
}

// The tensors have every byte of the data, each once.
static void check(const dw_safetensors *file, uint64_t size) {
  uint64_t sum = file->data_offset_bytes;
  for (uint32_t i = 0; i < file->tensor_count; i++) {
    check_tensor(file, i, size);
    sum += file->tensors[i].size_bytes;
  }
  MUST(sum == size);
  for (uint32_t i = 0; i < file->metadata_count; i++) {
    const dw_safetensors_pair *pair = &file->metadata[i];
    MUST(pair->key[pair->key_bytes] == 0 && pair->value[pair->value_bytes] == 0);
    if (strlen(pair->key) == pair->key_bytes) MUST(dw_safetensors_meta(file, pair->key) != NULL);
  }
  MUST(dw_safetensors_meta(file, "no such key") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *bytes = fuzz_copy(data, size);
  dw_safetensors file;
  dw_error error = {0};
  dw_status status = dw_safetensors_parse(bytes, size, &file, &error);
  if (status == DW_OK) check(&file, size);
  else MUST(error.code == status && error.detail[0] && file.tensors == NULL && (!error.has_position || error.position <= size));
  dw_safetensors_free(&file);
  free(bytes);
  return 0;
}

// Most changes would only make the header's length wrong: half of them change the
// header alone, and the length with it.
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  uint64_t length = 0;
  if (size >= 8) memcpy(&length, data, 8);
  if (seed % 2 || size < 8 || length == 0 || length > size - 8 || most < size) return LLVMFuzzerMutate(data, size, most);
  size_t rest = size - 8 - (size_t)length, room = most - 8 - rest;
  char *tail = fuzz_copy(data + 8 + length, rest);
  size_t changed = LLVMFuzzerMutate(data + 8, (size_t)length, room);
  memcpy(data + 8 + changed, tail, rest);
  length = changed;
  memcpy(data, &length, 8);
  free(tail);
  return 8 + changed + rest;
}
