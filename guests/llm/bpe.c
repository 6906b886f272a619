// Merging: from the bytes of a piece to tokens, always the pair of lowest rank first,
// of equal ones the leftmost.
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define SHORT_PIECE 24 // up to here looking through all pairs beats a heap

bool llm_ids_add(llm_ids *ids, uint32_t id) {
  if (ids->count == ids->capacity) {
    if (ids->capacity > UINT32_MAX / 16) return false;
    uint32_t wanted = ids->capacity ? 2 * ids->capacity : 64;
    uint32_t *grown = realloc(ids->ids, wanted * sizeof *grown);
    if (!grown) return false;
    ids->ids = grown;
    ids->capacity = wanted;
  }
  ids->ids[ids->count++] = id;
  return true;
}

void llm_ids_free(llm_ids *ids) {
  free(ids->ids);
  *ids = (llm_ids){0};
}

// ---- Short pieces ----------------------------------------------------------------------

static bool encode_short(const llm_tokenizer *tokenizer, uint32_t *symbols, uint32_t count, llm_ids *ids) {
  const llm_merge *pairs[SHORT_PIECE];
  for (uint32_t i = 0; i + 1 < count; i++) pairs[i] = llm_find_merge(tokenizer, symbols[i], symbols[i + 1]);
  while (count > 1) {
    uint32_t best = count;
    for (uint32_t i = 0; i + 1 < count; i++)
      if (pairs[i] && (best == count || pairs[i]->rank < pairs[best]->rank)) best = i;
    if (best == count) break;
    symbols[best] = pairs[best]->id;
    count--;
    for (uint32_t i = best + 1; i < count; i++) {
      symbols[i] = symbols[i + 1];
      pairs[i - 1] = pairs[i];
    }
    if (best + 1 < count) pairs[best] = llm_find_merge(tokenizer, symbols[best], symbols[best + 1]);
    if (best > 0) pairs[best - 1] = llm_find_merge(tokenizer, symbols[best - 1], symbols[best]);
  }
  for (uint32_t i = 0; i < count; i++)
    if (!llm_ids_add(ids, symbols[i])) return false;
  return true;
}

// ---- Long pieces -----------------------------------------------------------------------

#define NOWHERE UINT32_MAX

typedef struct symbol {
  uint32_t id; // LLM_NO_TOKEN: merged into the one before it
  uint32_t previous, next;
} symbol;

typedef struct candidate { // a pair that could merge when it was put into the heap
  uint32_t rank, at, id;
} candidate;

typedef struct merging {
  const llm_tokenizer *tokenizer;
  symbol *symbols;
  candidate *heap; // the first is the lowest
  uint32_t heap_count;
} merging;

static bool lower(const candidate *a, const candidate *b) {
  return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void push(merging *work, uint32_t at) {
  const symbol *left = &work->symbols[at];
  if (left->next == NOWHERE) return;
  const llm_merge *merge = llm_find_merge(work->tokenizer, left->id, work->symbols[left->next].id);
  if (!merge) return;
  candidate added = {merge->rank, at, merge->id};
  uint32_t i = work->heap_count++;
  for (; i > 0 && lower(&added, &work->heap[(i - 1) / 2]); i = (i - 1) / 2)
    work->heap[i] = work->heap[(i - 1) / 2];
  work->heap[i] = added;
}

static candidate pop(merging *work) {
  candidate first = work->heap[0], last = work->heap[--work->heap_count];
  uint32_t i = 0;
  for (;;) {
    uint32_t child = 2 * i + 1;
    if (child >= work->heap_count) break;
    if (child + 1 < work->heap_count && lower(&work->heap[child + 1], &work->heap[child])) child++;
    if (!lower(&work->heap[child], &last)) break;
    work->heap[i] = work->heap[child];
    i = child;
  }
  if (work->heap_count) work->heap[i] = last;
  return first;
}

static void merge_all(merging *work) {
  while (work->heap_count) {
    candidate lowest = pop(work);
    symbol *left = &work->symbols[lowest.at];
    if (left->id == LLM_NO_TOKEN || left->next == NOWHERE) continue;
    symbol *right = &work->symbols[left->next];
    const llm_merge *merge = llm_find_merge(work->tokenizer, left->id, right->id);
    if (!merge || merge->id != lowest.id) continue; // one of the two has changed since
    left->id = merge->id;
    right->id = LLM_NO_TOKEN;
    left->next = right->next;
    if (left->next != NOWHERE) work->symbols[left->next].previous = lowest.at;
    if (left->previous != NOWHERE) push(work, left->previous);
    push(work, lowest.at);
  }
}

// A merge adds at most two candidates and removes a symbol: 3 a symbol are enough.
static bool encode_long(const llm_tokenizer *tokenizer, const uint32_t *bytes, uint32_t count, llm_ids *ids) {
  if (count > UINT32_MAX / 64) return false;
  symbol *symbols = malloc(count * sizeof *symbols);
  candidate *heap = malloc((size_t)3 * count * sizeof *heap);
  bool ok = symbols && heap;
  if (ok) {
    for (uint32_t i = 0; i < count; i++)
      symbols[i] = (symbol){bytes[i], i ? i - 1 : NOWHERE, i + 1 < count ? i + 1 : NOWHERE};
    merging work = {tokenizer, symbols, heap, 0};
    for (uint32_t i = 0; i < count; i++) push(&work, i);
    merge_all(&work);
    for (uint32_t i = 0; ok && i != NOWHERE; i = symbols[i].next) ok = llm_ids_add(ids, symbols[i].id);
  }
  free(symbols);
  free(heap);
  return ok;
}

bool llm_encode_piece(const llm_tokenizer *tokenizer, const char *piece, size_t length, llm_ids *ids) {
  if (tokenizer->ignore_merges) {
    uint32_t whole = llm_find_bytes(tokenizer, piece, length);
    if (whole != LLM_NO_TOKEN) return llm_ids_add(ids, whole);
  }
  uint32_t few[SHORT_PIECE], *symbols = few, count = 0;
  if (length > SHORT_PIECE)
    symbols = length <= SIZE_MAX / sizeof *symbols ? malloc(length * sizeof *symbols) : NULL;
  if (!symbols) return false;
  for (size_t i = 0; i < length; i++) {
    uint32_t token = tokenizer->bytes[(unsigned char)piece[i]];
    if (token != LLM_NO_TOKEN) symbols[count++] = token;
  }
  bool ok = true;
  if (count > SHORT_PIECE)
    ok = encode_long(tokenizer, symbols, count, ids);
  else if (count)
    ok = encode_short(tokenizer, symbols, count, ids);
  if (symbols != few) free(symbols);
  return ok;
}
