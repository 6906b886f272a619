// From a guest's records to a validated program: parameters, tensors, then the
// operators one after the other.
#include "program_check.h"

#include <stdlib.h>
#include <string.h>

// ---- Parameters -------------------------------------------------------------------

static dw_status check_params(dw_program *program, const dw_program_source *source, dw_error *error) {
  for (uint32_t i = 0; i < source->param_count; i++) {
    if (source->params[i].min > source->params[i].max)
      return dw_fail(error, DW_INVALID, "parameter %u: minimum %u is above maximum %u", i, source->params[i].min,
                     source->params[i].max);
    program->params[i] = source->params[i];
  }
  program->param_count = source->param_count;
  return DW_OK;
}

// ---- Handles ------------------------------------------------------------------------

// Finds a handle's slot in constant time: a guest may name 8,192 of them.
typedef struct slot_table {
  uint32_t *entries;           // slot + 1; 0: free
  uint32_t mask;
} slot_table;

static uint32_t *find_slot(const slot_table *table, const dw_program *program, dw_handle handle) {
  uint32_t at = (handle * 0x9E3779B1u) >> 8 & table->mask;
  while (table->entries[at] && program->slots[table->entries[at] - 1].handle != handle) at = (at + 1) & table->mask;
  return &table->entries[at];
}

static dw_status check_slot(const dw_slot *slot, uint32_t index, dw_error *error) {
  if (slot->place == DW_PLACE_CACHE) return DW_OK;
  uint64_t bytes = dw_dtype_bytes(slot->dtype);
  if (!bytes || slot->rank < 1 || slot->rank > DW_MAX_RANK)
    return dw_fail(error, DW_INVALID, "tensor %u: its handle has no shape", index);
  for (uint32_t d = 0; d < slot->rank; d++) {
    if (slot->dims[d] > DW_MAX_TENSOR_BYTES / bytes)
      return dw_fail(error, DW_LIMIT, "tensor %u: its handle's tensor is too large", index);
    if (slot->dims[d]) bytes *= slot->dims[d];
  }
  return DW_OK;
}

typedef struct reader {
  dw_program *program;
  const dw_program_source *source;
  slot_table table;
  dw_temp_state *temps;
  dw_slot_fn describe;
  void *user;
  dw_error *error;
} reader;

static dw_status read_handle(reader *in, uint32_t index, dw_program_view *view) {
  dw_program *program = in->program;
  dw_handle handle = in->source->tensors[index].base;
  uint32_t *entry = find_slot(&in->table, program, handle);
  if (!*entry) {
    dw_slot slot = {.handle = handle};
    dw_status status = in->describe(in->user, handle, &slot, in->error);
    if (status == DW_OK) status = check_slot(&slot, index, in->error);
    if (status != DW_OK) return status;
    slot.handle = handle;
    program->slots[program->slot_count++] = slot;
    *entry = program->slot_count;
  }
  view->root = DW_SOURCE_HANDLE;
  view->index = *entry - 1;
  return DW_OK;
}

// ---- Tensors ------------------------------------------------------------------------

static dw_status read_cache(const dw_program_tensor *record, const dw_slot *slot, uint32_t index,
                            dw_program_view *view, dw_error *error) {
  const dw_program_tensor plain = {.source = record->source, .base = record->base, .dtype = record->dtype};
  if (memcmp(record, &plain, sizeof plain) != 0)
    return dw_fail(error, DW_INVALID, "tensor %u: a cache has rank 0, and no dims, strides or offset", index);
  if (record->dtype != DW_DTYPE_NONE && record->dtype != slot->cache.dtype)
    return dw_fail(error, DW_INVALID, "tensor %u: the cache is %s, not %s", index, dw_dtype_name(slot->cache.dtype),
                   dw_dtype_name(record->dtype));
  view->dtype = slot->cache.dtype;
  return DW_OK;
}

static dw_status read_dims(const dw_program *program, const dw_program_tensor *record, uint32_t index,
                           dw_program_view *view, dw_error *error) {
  if (record->rank < 1 || record->rank > DW_MAX_RANK)
    return dw_fail(error, DW_INVALID, "tensor %u: rank %u", index, record->rank);
  uint64_t bytes = dw_dtype_bytes(record->dtype);
  view->dtype = record->dtype;
  view->rank = record->rank;
  for (uint32_t d = 0; d < record->rank; d++) {
    dw_affine dim = record->dims[d];
    if (!dw_affine_normalise(program, &dim))
      return dw_fail(error, DW_INVALID, "tensor %u: dims[%u] names parameter %u of %u", index, d, dim.param,
                     program->param_count);
    if (dw_affine_min(program, dim) < 0)
      return dw_fail(error, DW_INVALID, "tensor %u: dims[%u] can be negative", index, d);
    dw_wide most = dw_affine_max(program, dim);
    if (most > DW_MAX_DIMENSION)
      return dw_fail(error, DW_LIMIT, "tensor %u: dims[%u] can be more than %lld", index, d,
                     (long long)DW_MAX_DIMENSION);
    view->dims[d] = dim;
    view->max_dims[d] = (uint64_t)most;
    if (most == 0) most = 1; // so that the other dimensions are bounded too
    if ((uint64_t)most > DW_MAX_TENSOR_BYTES / bytes)
      return dw_fail(error, DW_LIMIT, "tensor %u: more than %llu bytes", index,
                     (unsigned long long)DW_MAX_TENSOR_BYTES);
    bytes *= (uint64_t)most;
  }
  for (uint32_t d = record->rank; d < DW_MAX_RANK; d++)
    if (record->dims[d].constant || record->dims[d].scale || record->dims[d].param || record->strides[d])
      return dw_fail(error, DW_INVALID, "tensor %u: dims[%u] or strides[%u] behind its rank of %u is not 0", index, d,
                     d, record->rank);
  return DW_OK;
}

static dw_status read_strides(const dw_program_tensor *record, uint32_t index, dw_program_view *view,
                              dw_error *error) {
  bool dense = true;
  for (uint32_t d = 0; d < record->rank; d++) {
    if (record->strides[d]) dense = false;
    if (record->strides[d] > DW_MAX_TENSOR_BYTES)
      return dw_fail(error, DW_BOUNDS, "tensor %u: strides[%u] is %llu", index, d,
                     (unsigned long long)record->strides[d]);
    view->strides[d] = record->strides[d];
  }
  uint64_t step = 1;
  for (uint32_t d = record->rank; dense && d-- > 0;) {
    view->strides[d] = step;
    if (view->max_dims[d]) step *= view->max_dims[d];
  }
  return DW_OK;
}

static dw_status read_temp(reader *in, const dw_program_tensor *record, uint32_t index, dw_program_view *view) {
  if (record->base) return dw_fail(in->error, DW_INVALID, "tensor %u: the base of a temp is 0", index);
  if (record->offset.constant || record->offset.scale || record->offset.param)
    return dw_fail(in->error, DW_INVALID, "tensor %u: a temp has no offset", index);
  uint64_t elements = 1;
  for (uint32_t d = record->rank; d-- > 0;) {
    if (record->strides[d] && record->strides[d] != elements)
      return dw_fail(in->error, DW_INVALID, "tensor %u: a temp is dense, but strides[%u] is %llu", index, d,
                     (unsigned long long)record->strides[d]);
    if (d > 0 && view->dims[d].scale)
      return dw_fail(in->error, DW_INVALID, "tensor %u: a temp varies in dims[0] only, not in dims[%u]", index, d);
    view->strides[d] = elements;
    elements *= view->max_dims[d] ? view->max_dims[d] : 1;
  }
  view->root = DW_SOURCE_TEMP;
  view->index = in->program->temp_count++;
  in->temps[view->index] = (dw_temp_state){.view = index};
  uint64_t bytes = dw_dtype_bytes(record->dtype);
  for (uint32_t d = 0; d < record->rank; d++) bytes *= view->max_dims[d];
  in->program->temps[view->index].size_bytes = bytes;
  return DW_OK;
}

// The offset of a view of a view is the sum of both; false where that is not affine.
static bool add_offset(const dw_affine *base, dw_affine *offset) {
  if (base->scale && offset->scale && base->param != offset->param) return false;
  if (__builtin_add_overflow(base->constant, offset->constant, &offset->constant)) return false;
  if (base->scale && !offset->scale) offset->param = base->param;
  if (__builtin_add_overflow(base->scale, offset->scale, &offset->scale)) return false;
  if (!offset->scale) offset->param = 0;
  return true;
}

static dw_status read_offset(reader *in, const dw_program_tensor *record, uint32_t index, const dw_program_view *base,
                             dw_program_view *view) {
  view->offset = record->offset;
  if (!dw_affine_normalise(in->program, &view->offset))
    return dw_fail(in->error, DW_INVALID, "tensor %u: its offset names parameter %u of %u", index,
                   view->offset.param, in->program->param_count);
  if (base && !add_offset(&base->offset, &view->offset))
    return dw_fail(in->error, DW_INVALID, "tensor %u: its offset and that of tensor %u do not add up", index,
                   record->base);
  return DW_OK;
}

static dw_status read_root(reader *in, const dw_program_tensor *record, uint32_t index, dw_program_view *view) {
  if (record->source == DW_SOURCE_TEMP) return read_temp(in, record, index, view);
  uint32_t dtype;
  const dw_program_view *base = NULL;
  if (record->source == DW_SOURCE_HANDLE) {
    dtype = in->program->slots[view->index].dtype;
  } else {
    base = &in->program->views[record->base];
    view->root = base->root;
    view->index = base->index;
    dtype = base->dtype;
  }
  if (record->dtype != dtype)
    return dw_fail(in->error, DW_INVALID, "tensor %u: is %s, but its base is %s", index, dw_dtype_name(record->dtype),
                   dw_dtype_name(dtype));
  return read_offset(in, record, index, base, view);
}

static dw_status read_tensor(reader *in, uint32_t index) {
  const dw_program_tensor *record = &in->source->tensors[index];
  dw_program *program = in->program;
  dw_program_view *view = &program->views[index];
  dw_status status = DW_OK;
  if (record->source == DW_SOURCE_HANDLE) {
    status = read_handle(in, index, view);
    if (status != DW_OK) return status;
    const dw_slot *slot = &program->slots[view->index];
    if (slot->place == DW_PLACE_CACHE) return read_cache(record, slot, index, view, in->error);
  } else if (record->source == DW_SOURCE_VIEW) {
    if (record->base >= index)
      return dw_fail(in->error, DW_INVALID, "tensor %u: its base %u is not before it", index, record->base);
    if (program->views[record->base].rank == 0)
      return dw_fail(in->error, DW_INVALID, "tensor %u: a cache (tensor %u) has no views", index, record->base);
  } else if (record->source != DW_SOURCE_TEMP) {
    return dw_fail(in->error, DW_INVALID, "tensor %u: there is no source %u", index, record->source);
  }
  if (dw_dtype_bytes(record->dtype) == 0)
    return dw_fail(in->error, DW_INVALID, "tensor %u: there is no dtype %u", index, record->dtype);
  status = read_dims(program, record, index, view, in->error);
  if (status == DW_OK) status = read_strides(record, index, view, in->error);
  if (status == DW_OK) status = read_root(in, record, index, view);
  if (status == DW_OK) status = dw_range_check_inside(program, index, in->temps, in->error);
  return status;
}

static dw_status read_tensors(reader *in) {
  for (uint32_t i = 0; i < in->source->tensor_count; i++) {
    dw_status status = read_tensor(in, i);
    if (status != DW_OK) return status;
  }
  return DW_OK;
}

// ---- Operators ------------------------------------------------------------------------

static dw_status check_read(dw_check *check, uint32_t position) {
  dw_program *program = check->program;
  const dw_op *op = &program->ops[check->op];
  const dw_program_view *view = &program->views[op->inputs[position]];
  if (view->root != DW_SOURCE_TEMP) return DW_OK;
  if (!check->temps[view->index].written)
    return dw_fail(check->error, DW_INVALID, "op %u %s: %s (tensor %u) is a temp that nothing has written yet",
                   check->op, dw_operator_name(op->op), dw_operand_name(op->op, DW_OPERAND_INPUT, position),
                   op->inputs[position]);
  program->temps[view->index].last_op = check->op;
  return DW_OK;
}

static dw_status check_overlap(dw_check *check, uint32_t output) {
  const dw_program *program = check->program;
  const dw_op *op = &program->ops[check->op];
  const dw_program_view *to = &program->views[op->outputs[output]];
  const char *name = dw_operator_name(op->op), *to_name = dw_operand_name(op->op, DW_OPERAND_OUTPUT, output);
  for (uint32_t i = 0; i < DW_OP_INPUTS; i++) {
    if (op->inputs[i] == DW_NO_TENSOR) continue;
    const dw_program_view *from = &program->views[op->inputs[i]];
    if (from->rank == 0 || dw_range_disjoint(program, from, to)) continue;
    if (dw_operator_in_place(op->op) && dw_range_same(program, from, to)) continue;
    return dw_fail(check->error, DW_INVALID, "op %u %s: %s (tensor %u) shares bytes with %s (tensor %u)", check->op,
                   name, to_name, op->outputs[output], dw_operand_name(op->op, DW_OPERAND_INPUT, i), op->inputs[i]);
  }
  for (uint32_t i = 0; i < output; i++) {
    if (dw_range_disjoint(program, &program->views[op->outputs[i]], to)) continue;
    return dw_fail(check->error, DW_INVALID, "op %u %s: %s (tensor %u) shares bytes with %s (tensor %u)", check->op,
                   name, to_name, op->outputs[output], dw_operand_name(op->op, DW_OPERAND_OUTPUT, i), op->outputs[i]);
  }
  return DW_OK;
}

static dw_status check_write(dw_check *check, uint32_t output) {
  dw_program *program = check->program;
  const dw_op *op = &program->ops[check->op];
  uint32_t index = op->outputs[output];
  const dw_program_view *view = &program->views[index];
  const char *name = dw_operator_name(op->op), *operand = dw_operand_name(op->op, DW_OPERAND_OUTPUT, output);
  if (!dw_range_injective(view))
    return dw_fail(check->error, DW_INVALID, "op %u %s: %s (tensor %u) overlaps itself", check->op, name, operand,
                   index);
  dw_status status = check_overlap(check, output);
  if (status != DW_OK) return status;
  if (view->root == DW_SOURCE_HANDLE) {
    const dw_slot *slot = &program->slots[view->index];
    if (slot->place == DW_PLACE_MODEL || slot->sealed)
      return dw_fail(check->error, DW_READONLY, "op %u %s: %s (tensor %u) is %s tensor", check->op, name, operand,
                     index, slot->sealed ? "a sealed" : "a model's");
    return DW_OK;
  }
  dw_temp_state *state = &check->temps[view->index];
  dw_temp *temp = &program->temps[view->index];
  if (!state->written) {
    if (!dw_range_covers(view, &program->views[state->view]))
      return dw_fail(check->error, DW_INVALID, "op %u %s: %s (tensor %u) is the first to write a temp, but not all of it",
                     check->op, name, operand, index);
    state->written = true;
    temp->first_op = check->op;
  }
  temp->last_op = check->op;
  return DW_OK;
}

static dw_status check_memory(dw_check *check) {
  const dw_op *op = &check->program->ops[check->op];
  dw_status status = DW_OK;
  for (uint32_t i = 0; status == DW_OK && i < DW_OP_INPUTS; i++)
    if (op->inputs[i] != DW_NO_TENSOR) status = check_read(check, i);
  for (uint32_t i = 0; status == DW_OK && i < DW_OP_OUTPUTS; i++)
    if (op->outputs[i] != DW_NO_TENSOR) status = check_write(check, i);
  return status;
}

static dw_status check_ops(dw_check *check) {
  dw_program *program = check->program;
  dw_status status = DW_OK;
  for (check->op = 0; status == DW_OK && check->op < program->op_count; check->op++) {
    status = dw_operator_check(check);
    if (status == DW_OK) status = check_memory(check);
  }
  return status;
}

// ---- Program ------------------------------------------------------------------------

static dw_status check_counts(const dw_program_source *source, dw_error *error) {
  if (source->tensor_count > DW_MAX_PROGRAM_TENSORS)
    return dw_fail(error, DW_LIMIT, "%u tensors, at most %u", source->tensor_count, DW_MAX_PROGRAM_TENSORS);
  if (source->op_count > DW_MAX_PROGRAM_OPS)
    return dw_fail(error, DW_LIMIT, "%u operators, at most %u", source->op_count, DW_MAX_PROGRAM_OPS);
  if (source->param_count > DW_MAX_PROGRAM_PARAMS)
    return dw_fail(error, DW_LIMIT, "%u parameters, at most %u", source->param_count, DW_MAX_PROGRAM_PARAMS);
  if (source->op_count == 0) return dw_fail(error, DW_INVALID, "a program has at least one operator");
  return DW_OK;
}

static void *new_array(uint32_t count, size_t bytes) { return calloc(count ? count : 1, bytes); }

static bool allocate(reader *in) {
  dw_program *program = in->program;
  uint32_t tensors = in->source->tensor_count, ops = in->source->op_count, entries = 16;
  while (entries < 2 * tensors) entries *= 2;
  in->table = (slot_table){.entries = new_array(entries, sizeof *in->table.entries), .mask = entries - 1};
  in->temps = new_array(tensors, sizeof *in->temps);
  program->views = new_array(tensors, sizeof *program->views);
  program->slots = new_array(tensors, sizeof *program->slots);
  program->temps = new_array(tensors, sizeof *program->temps);
  program->ops = new_array(ops, sizeof *program->ops);
  program->appends = new_array(tensors, sizeof *program->appends);
  if (!in->table.entries || !in->temps || !program->views || !program->slots || !program->temps || !program->ops ||
      !program->appends)
    return false;
  memcpy(program->ops, in->source->ops, ops * sizeof *program->ops);
  program->view_count = tensors;
  program->op_count = ops;
  return true;
}

// Programs live long and are many: gives back what the worst case did not need.
static void *shrink(void *array, uint32_t count, size_t bytes) {
  void *smaller = realloc(array, (count ? count : 1) * bytes);
  return smaller ? smaller : array;
}

static int compare_words(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

// Two handles of one cache would append to it twice.
static dw_status check_appends(const dw_program *program, dw_error *error) {
  uint64_t *caches = new_array(program->append_count, sizeof *caches);
  if (!caches) return dw_fail(error, DW_NOMEM, "a program");
  for (uint32_t i = 0; i < program->append_count; i++) caches[i] = program->slots[program->appends[i].slot].alias;
  qsort(caches, program->append_count, sizeof *caches, compare_words);
  bool twice = false;
  for (uint32_t i = 1; i < program->append_count; i++) twice = twice || caches[i] == caches[i - 1];
  free(caches);
  return twice ? dw_fail(error, DW_INVALID, "two handles of one cache") : DW_OK;
}

static dw_status check_all_ops(reader *in) {
  dw_program *program = in->program;
  uint32_t entries = 16;
  while (entries < 2 * program->op_count) entries *= 2;
  dw_check check = {.program = program,
                    .temps = in->temps,
                    .slot_appends = new_array(program->slot_count, sizeof *check.slot_appends),
                    .attended = new_array(entries, sizeof *check.attended),
                    .attended_mask = entries - 1,
                    .error = in->error};
  dw_status status = check.slot_appends && check.attended ? check_ops(&check)
                                                          : dw_fail(in->error, DW_NOMEM, "a program");
  free(check.slot_appends);
  free(check.attended);
  return status == DW_OK ? check_appends(program, in->error) : status;
}

static dw_status build(reader *in) {
  if (!allocate(in)) return dw_fail(in->error, DW_NOMEM, "a program of %u tensors", in->source->tensor_count);
  dw_program *program = in->program;
  dw_status status = check_params(program, in->source, in->error);
  if (status == DW_OK) status = read_tensors(in);
  if (status == DW_OK) status = check_all_ops(in);
  if (status == DW_OK) status = dw_plan(program, in->temps, in->error);
  if (status != DW_OK) return status;
  dw_program_digest(program);
  program->slots = shrink(program->slots, program->slot_count, sizeof *program->slots);
  program->temps = shrink(program->temps, program->temp_count, sizeof *program->temps);
  program->appends = shrink(program->appends, program->append_count, sizeof *program->appends);
  return DW_OK;
}

dw_status dw_program_new(const dw_program_source *source, dw_slot_fn describe, void *user, dw_program **answer,
                         dw_error *error) {
  *answer = NULL;
  dw_status status = check_counts(source, error);
  if (status != DW_OK) return status;
  dw_program *program = calloc(1, sizeof *program);
  if (!program) return dw_fail(error, DW_NOMEM, "a program");
  reader in = {.program = program, .source = source, .describe = describe, .user = user, .error = error};
  status = build(&in);
  free(in.table.entries);
  free(in.temps);
  if (status != DW_OK) {
    dw_program_free(program);
    return status;
  }
  *answer = program;
  return DW_OK;
}

void dw_program_free(dw_program *program) {
  if (!program) return;
  free(program->views);
  free(program->slots);
  free(program->temps);
  free(program->ops);
  free(program->appends);
  free(program);
}
