// Programs as short text, so that tests can hold tables of them.  Statements are
// separated by ';', words by blanks:
//
//   p 1 8                    a parameter with minimum and maximum; p0, p1, ... in order
//   linear f32 16x32         a handle, with `sealed` or `at=BYTES` (its place in memory; linear: default 0) behind
//   model bf16 16x32         likewise; `device ...` too; `same=N`: the memory of handle N (from 1)
//   cache f32 2x4x8x100      layers, kv heads, head dim, rows
//   h1 f32 p0x32             a program tensor over handle 1, from 0 in order
//   t f32 p0x32              a temp
//   v0 f32 32x16             a view of tensor 0; `s1,32` strides and `o32p0-32` offset may follow (also of h)
//   c1                       a tensor that stands for the cache with handle 1
//   MatMul 0 1 > 2           an operator; `_`: left out; i0=3 f1=0.5 attributes, r=1 the reserved field
#ifndef PROGRAM_TEXT_H
#define PROGRAM_TEXT_H

#include "program.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 64

typedef struct program_text {
  dw_param params[TEXT_MAX];
  dw_slot slots[TEXT_MAX];     // handle n is slots[n - 1]
  dw_program_tensor tensors[TEXT_MAX];
  dw_op ops[TEXT_MAX];
  uint32_t param_count, slot_count, tensor_count, op_count;
} program_text;

static inline void text_fail(const char *word) {
  fprintf(stderr, "    program text: \"%s\"\n", word);
  exit(1);
}

// "8", "p0", "2p0", "-2p1+3"
static inline dw_affine text_affine(const char **at) {
  dw_affine affine = {.constant = 0};
  for (bool more = true; more;) {
    char *end;
    const char *begin = *at;
    long long value = strtoll(begin, &end, 10);
    if (end == begin) {
      value = *begin == '-' ? -1 : 1;
      end = (char *)begin + (*begin == '-' || *begin == '+');
    }
    if (*end == 'p') {
      affine.scale = (int32_t)value;
      affine.param = (uint32_t)strtoul(end + 1, &end, 10);
    } else {
      if (end == begin) text_fail(begin);
      affine.constant = value;
    }
    *at = end;
    more = *end == '+' || *end == '-';
  }
  return affine;
}

static inline uint32_t text_dims(const char *at, dw_affine *dims) {
  uint32_t rank = 0;
  while (*at) {
    dims[rank++] = text_affine(&at);
    if (*at == 'x') at++;
    else if (*at) text_fail(at);
  }
  return rank;
}

static inline uint32_t text_dtype(const char *word) {
  char upper[16];
  size_t length = 0;
  for (; word[length] && length < 15; length++) upper[length] = (char)toupper((unsigned char)word[length]);
  return dw_dtype_parse(upper, length);
}

static inline void text_slot(program_text *text, char **words, uint32_t count) {
  dw_slot *slot = &text->slots[text->slot_count++];
  dw_affine dims[8];
  slot->handle = text->slot_count;
  slot->alias = text->slot_count;
  slot->dtype = text_dtype(words[1]);
  uint32_t rank = text_dims(words[2], dims);
  const char *place = words[0];
  slot->place = *place == 'l' ? DW_PLACE_LINEAR : *place == 'm' ? DW_PLACE_MODEL
                : *place == 'd' ? DW_PLACE_DEVICE : DW_PLACE_CACHE;
  if (slot->place == DW_PLACE_LINEAR) slot->alias = 0;
  if (slot->place == DW_PLACE_CACHE) {
    slot->cache = (dw_cache_desc){.dtype = slot->dtype, .layers = (uint32_t)dims[0].constant,
                                  .kv_heads = (uint32_t)dims[1].constant, .head_dim = (uint32_t)dims[2].constant,
                                  .max_rows = (uint64_t)dims[3].constant};
  } else {
    slot->rank = rank;
    for (uint32_t d = 0; d < rank; d++) slot->dims[d] = (uint64_t)dims[d].constant;
  }
  for (uint32_t i = 3; i < count; i++) {
    if (strcmp(words[i], "sealed") == 0) slot->sealed = true;
    else if (strncmp(words[i], "at=", 3) == 0) slot->alias_offset_bytes = strtoull(words[i] + 3, NULL, 10);
    else if (strncmp(words[i], "same=", 5) == 0) slot->alias = text->slots[strtoul(words[i] + 5, NULL, 10) - 1].alias;
    else text_fail(words[i]);
  }
}

static inline void text_tensor(program_text *text, char **words, uint32_t count) {
  dw_program_tensor *tensor = &text->tensors[text->tensor_count++];
  char kind = words[0][0];
  tensor->source = kind == 't' ? DW_SOURCE_TEMP : kind == 'v' ? DW_SOURCE_VIEW : DW_SOURCE_HANDLE;
  tensor->base = (uint32_t)strtoul(words[0] + 1, NULL, 10);
  if (kind == 'c') return;
  tensor->dtype = text_dtype(words[1]);
  tensor->rank = text_dims(words[2], tensor->dims);
  for (uint32_t i = 3; i < count; i++) {
    const char *at = words[i] + 1;
    if (words[i][0] == 's')
      for (uint32_t d = 0; d < tensor->rank && *at; d++, at += *at == ',')
        tensor->strides[d] = strtoull(at, (char **)&at, 10);
    else if (words[i][0] == 'o') tensor->offset = text_affine(&at);
    else text_fail(words[i]);
  }
}

static inline uint32_t text_operator(const char *word) {
  for (uint32_t op = 1; op < 100; op++)
    if (strcmp(dw_operator_name(op), word) == 0) return op;
  if (strncmp(word, "op", 2) != 0) text_fail(word);
  return (uint32_t)strtoul(word + 2, NULL, 10);
}

static inline void text_op(program_text *text, char **words, uint32_t count) {
  dw_op *op = &text->ops[text->op_count++];
  op->op = text_operator(words[0]);
  memset(op->inputs, 0xFF, sizeof op->inputs);
  memset(op->outputs, 0xFF, sizeof op->outputs);
  uint32_t *operands = op->inputs;
  for (uint32_t i = 1, at = 0; i < count; i++) {
    const char *word = words[i];
    if (*word == '>') operands = op->outputs, at = 0;
    else if (*word == '_') at++;
    else if (*word == 'i') op->i[word[1] - '0'] = (int32_t)strtol(word + 3, NULL, 10);
    else if (*word == 'f') op->f[word[1] - '0'] = strtof(word + 3, NULL);
    else if (*word == 'r') op->reserved = 1;
    else operands[at++] = (uint32_t)strtoul(word, NULL, 10);
  }
}

static inline void text_statement(program_text *text, char *statement) {
  char *words[24], *rest;
  uint32_t count = 0;
  for (char *word = strtok_r(statement, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) words[count++] = word;
  if (count == 0) return;
  const char *first = words[0];
  if (strcmp(first, "p") == 0)
    text->params[text->param_count++] = (dw_param){(uint32_t)strtoul(words[1], NULL, 10),
                                                   (uint32_t)strtoul(words[2], NULL, 10)};
  else if (strcmp(first, "linear") == 0 || strcmp(first, "model") == 0 || strcmp(first, "device") == 0 ||
           strcmp(first, "cache") == 0) text_slot(text, words, count);
  else if (strcmp(first, "t") == 0 || isdigit((unsigned char)first[1])) text_tensor(text, words, count);
  else text_op(text, words, count);
}

static inline void program_text_read(program_text *text, const char *words) {
  char copy[2048], *rest;
  memset(text, 0, sizeof *text);
  if (strlen(words) >= sizeof copy) text_fail("too long");
  strcpy(copy, words);
  for (char *statement = strtok_r(copy, ";", &rest); statement; statement = strtok_r(NULL, ";", &rest))
    text_statement(text, statement);
}

static inline dw_program_source program_text_source(const program_text *text) {
  return (dw_program_source){.tensors = text->tensors, .tensor_count = text->tensor_count, .ops = text->ops,
                             .op_count = text->op_count, .params = text->params, .param_count = text->param_count};
}

// A dw_slot_fn whose user is the program_text.
static inline dw_status program_text_describe(void *user, dw_handle handle, dw_slot *slot, dw_error *error) {
  const program_text *text = user;
  if (handle == 0 || handle > text->slot_count) return dw_fail(error, DW_HANDLE, "handle %u is stale", handle);
  *slot = text->slots[handle - 1];
  return DW_OK;
}

static inline dw_status program_text_new(const char *words, dw_program **program, dw_error *error) {
  program_text text;
  program_text_read(&text, words);
  dw_program_source source = program_text_source(&text);
  return dw_program_new(&source, program_text_describe, &text, program, error);
}

#endif
