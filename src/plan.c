// Where temps lie in the scratch memory, and the digest of a program.
//
// Temps are placed first-fit in the order in which they are first written: time
// moves from operator to operator, a temp's bytes are free again behind the last
// operator that touches it.  Temps that one operator touches never overlap.
#include "program_check.h"
#include "sha256.h"

#include <stdlib.h>
#include <string.h>

typedef struct gap {
  uint64_t begin, end;
} gap;

// Free places, by rising address and never adjacent; the last one is open.
typedef struct space {
  gap *gaps;
  uint32_t count;
} space;

static uint64_t take(space *free_space, uint64_t size_bytes) {
  uint32_t at = 0;
  while (free_space->gaps[at].end - free_space->gaps[at].begin < size_bytes) at++; // the open one always fits
  gap *found = &free_space->gaps[at];
  uint64_t begin = found->begin;
  found->begin += size_bytes;
  if (found->begin == found->end) {
    memmove(found, found + 1, (free_space->count - at - 1) * sizeof *found);
    free_space->count--;
  }
  return begin;
}

static void give(space *free_space, uint64_t begin, uint64_t end) {
  uint32_t low = 0, high = free_space->count; // the first gap behind the bytes
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (free_space->gaps[middle].begin < end) low = middle + 1;
    else high = middle;
  }
  gap *next = &free_space->gaps[low];
  bool joins_next = next->begin == end, joins_previous = low > 0 && next[-1].end == begin;
  if (joins_previous && joins_next) {
    next[-1].end = next->end;
    memmove(next, next + 1, (free_space->count - low - 1) * sizeof *next);
    free_space->count--;
  } else if (joins_previous) {
    next[-1].end = end;
  } else if (joins_next) {
    next->begin = begin;
  } else {
    memmove(next + 1, next, (free_space->count - low) * sizeof *next);
    *next = (gap){begin, end};
    free_space->count++;
  }
}

static uint64_t aligned(uint64_t size_bytes) {
  return (size_bytes + DW_VIEW_ALIGNMENT - 1) / DW_VIEW_ALIGNMENT * DW_VIEW_ALIGNMENT;
}

// Temps that begin, or end, at one operator as a list: heads[op] and next[temp] hold temp + 1, 0 ends.
typedef struct events {
  uint32_t *begin_heads, *end_heads; // one an operator
  uint32_t *begin_next, *end_next;   // one a temp
} events;

static void link_events(const dw_program *program, const dw_temp_state *temps, events *at) {
  for (uint32_t i = program->temp_count; i-- > 0;) {
    const dw_temp *temp = &program->temps[i];
    if (!temps[i].written || temp->size_bytes == 0) continue;
    at->begin_next[i] = at->begin_heads[temp->first_op];
    at->begin_heads[temp->first_op] = i + 1;
    at->end_next[i] = at->end_heads[temp->last_op];
    at->end_heads[temp->last_op] = i + 1;
  }
}

static dw_status place_temps(dw_program *program, const events *at, space *free_space, dw_error *error) {
  for (uint32_t op = 0; op < program->op_count; op++) {
    for (uint32_t i = at->begin_heads[op]; i; i = at->begin_next[i - 1]) {
      dw_temp *temp = &program->temps[i - 1];
      if (temp->size_bytes > DW_MAX_SCRATCH_BYTES)
        return dw_fail(error, DW_LIMIT, "a temp of %llu bytes, first written by op %u",
                       (unsigned long long)temp->size_bytes, op);
      temp->offset_bytes = take(free_space, aligned(temp->size_bytes));
      uint64_t end = temp->offset_bytes + aligned(temp->size_bytes);
      if (end > program->scratch_bytes) program->scratch_bytes = end;
    }
    if (program->scratch_bytes > DW_MAX_SCRATCH_BYTES)
      return dw_fail(error, DW_LIMIT, "the temps alive at op %u need %llu bytes of scratch memory, at most %llu", op,
                     (unsigned long long)program->scratch_bytes, (unsigned long long)DW_MAX_SCRATCH_BYTES);
    for (uint32_t i = at->end_heads[op]; i; i = at->end_next[i - 1]) {
      const dw_temp *temp = &program->temps[i - 1];
      give(free_space, temp->offset_bytes, temp->offset_bytes + aligned(temp->size_bytes));
    }
  }
  return DW_OK;
}

dw_status dw_plan(dw_program *program, const dw_temp_state *temps, dw_error *error) {
  size_t words = 2 * (size_t)program->op_count + 2 * (size_t)program->temp_count;
  uint32_t *lists = calloc(words, sizeof *lists);
  space free_space = {.gaps = malloc((program->temp_count + 2) * sizeof(gap)), .count = 1};
  dw_status status = DW_OK;
  if (lists && free_space.gaps) {
    events at = {.begin_heads = lists, .end_heads = lists + program->op_count};
    at.begin_next = at.end_heads + program->op_count;
    at.end_next = at.begin_next + program->temp_count;
    for (uint32_t i = 0; i < program->temp_count; i++)
      if (!temps[i].written) program->temps[i].size_bytes = 0; // nothing writes it, so nothing reads it
    free_space.gaps[0] = (gap){0, UINT64_MAX};
    link_events(program, temps, &at);
    status = place_temps(program, &at, &free_space, error);
  } else {
    status = dw_fail(error, DW_NOMEM, "a program");
  }
  free(lists);
  free(free_space.gaps);
  return status;
}

// ---- Digest ---------------------------------------------------------------------------
// Every number as 8 little-endian bytes, every list behind its length.

static void add_number(dw_sha256 *hash, uint64_t value) {
  unsigned char bytes[8];
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> (8 * i));
  dw_sha256_add(hash, bytes, sizeof bytes);
}

static void add_affine(dw_sha256 *hash, dw_affine affine) {
  add_number(hash, (uint64_t)affine.constant);
  add_number(hash, (uint64_t)(int64_t)affine.scale);
  add_number(hash, affine.param);
}

static void add_view(dw_sha256 *hash, const dw_program_view *view) {
  add_number(hash, view->root);
  add_number(hash, view->index);
  add_number(hash, view->dtype);
  add_number(hash, view->rank);
  for (uint32_t d = 0; d < view->rank; d++) {
    add_affine(hash, view->dims[d]);
    add_number(hash, view->strides[d]);
  }
  add_affine(hash, view->offset);
}

static void add_slot(dw_sha256 *hash, const dw_slot *slot) {
  add_number(hash, slot->place);
  if (slot->place == DW_PLACE_CACHE) {
    const dw_cache_desc *cache = &slot->cache;
    add_number(hash, cache->dtype);
    add_number(hash, cache->layers);
    add_number(hash, cache->kv_heads);
    add_number(hash, cache->head_dim);
    add_number(hash, cache->max_rows);
    return;
  }
  add_number(hash, slot->dtype);
  add_number(hash, slot->rank);
  for (uint32_t d = 0; d < slot->rank; d++) add_number(hash, slot->dims[d]);
}

static void add_op(dw_sha256 *hash, const dw_op *op) {
  add_number(hash, op->op);
  for (uint32_t i = 0; i < DW_OP_INPUTS; i++) add_number(hash, op->inputs[i]);
  for (uint32_t i = 0; i < DW_OP_OUTPUTS; i++) add_number(hash, op->outputs[i]);
  for (uint32_t i = 0; i < 4; i++) add_number(hash, (uint64_t)(int64_t)op->i[i]);
  for (uint32_t i = 0; i < 2; i++) {
    uint32_t bits;
    memcpy(&bits, &op->f[i], sizeof bits);
    add_number(hash, bits);
  }
}

// Temps and appends follow from the rest, so they need no place here.
void dw_program_digest(dw_program *program) {
  dw_sha256 hash;
  dw_sha256_begin(&hash);
  add_number(&hash, DW_ABI_VERSION);
  add_number(&hash, program->param_count);
  for (uint32_t i = 0; i < program->param_count; i++) {
    add_number(&hash, program->params[i].min);
    add_number(&hash, program->params[i].max);
  }
  add_number(&hash, program->slot_count);
  for (uint32_t i = 0; i < program->slot_count; i++) add_slot(&hash, &program->slots[i]);
  add_number(&hash, program->view_count);
  for (uint32_t i = 0; i < program->view_count; i++) add_view(&hash, &program->views[i]);
  add_number(&hash, program->op_count);
  for (uint32_t i = 0; i < program->op_count; i++) add_op(&hash, &program->ops[i]);
  dw_sha256_end(&hash, program->digest);
}
