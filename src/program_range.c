// Proofs about views: linear functions of the parameters, compared at the
// corners of the box of parameter values, where such a function has its extremes.
#include "program_check.h"

static dw_linear linear_of(dw_affine affine, dw_wide factor) {
  dw_linear linear = {.constant = factor * affine.constant};
  if (affine.scale) linear.per[affine.param] = factor * affine.scale;
  return linear;
}

static void add(dw_linear *sum, dw_affine affine, dw_wide factor) {
  sum->constant += factor * affine.constant;
  if (affine.scale) sum->per[affine.param] += factor * affine.scale;
}

static void subtract(dw_linear *sum, const dw_linear *other) {
  sum->constant -= other->constant;
  for (uint32_t i = 0; i < DW_MAX_PROGRAM_PARAMS; i++) sum->per[i] -= other->per[i];
}

static dw_wide linear_max(const dw_program *program, const dw_linear *linear) {
  dw_wide value = linear->constant;
  for (uint32_t i = 0; i < program->param_count; i++)
    value += linear->per[i] * (linear->per[i] > 0 ? program->params[i].max : program->params[i].min);
  return value;
}

dw_wide dw_affine_max(const dw_program *program, dw_affine affine) {
  if (!affine.scale) return affine.constant;
  const dw_param *param = &program->params[affine.param];
  return (dw_wide)affine.scale * (affine.scale > 0 ? param->max : param->min) + affine.constant;
}

dw_wide dw_affine_min(const dw_program *program, dw_affine affine) {
  if (!affine.scale) return affine.constant;
  const dw_param *param = &program->params[affine.param];
  return (dw_wide)affine.scale * (affine.scale > 0 ? param->min : param->max) + affine.constant;
}

bool dw_affine_normalise(const dw_program *program, dw_affine *affine) {
  if (affine->scale && affine->param >= program->param_count) return false;
  if (affine->scale && program->params[affine->param].min == program->params[affine->param].max) {
    dw_wide value = dw_affine_max(program, *affine);
    // A value that is no int64 is no dimension and no offset: it stays as it is and is refused there.
    if (value > INT64_MAX || value < INT64_MIN) return true;
    *affine = (dw_affine){.constant = (int64_t)value};
  }
  if (!affine->scale) affine->param = 0;
  return true;
}

bool dw_affine_equal(dw_affine a, dw_affine b) {
  return a.constant == b.constant && a.scale == b.scale && a.param == b.param;
}

static bool sometimes_empty(const dw_program *program, const dw_program_view *view) {
  for (uint32_t d = 0; d < view->rank; d++)
    if (dw_affine_min(program, view->dims[d]) <= 0) return true;
  return false;
}

// One past the last element, from the root's first: offset + the sum of stride * (dim - 1) + 1.
static dw_linear view_end(const dw_program_view *view) {
  dw_linear end = linear_of(view->offset, 1);
  end.constant += 1;
  for (uint32_t d = 0; d < view->rank; d++) {
    add(&end, view->dims[d], (dw_wide)view->strides[d]);
    end.constant -= (dw_wide)view->strides[d];
  }
  return end;
}

// Elements of a handle, at most; its dimensions were bounded when it was described.
static dw_wide slot_elements(const dw_slot *slot) {
  dw_wide count = 1;
  for (uint32_t d = 0; d < slot->rank; d++) count *= (dw_wide)slot->dims[d];
  return count;
}

static dw_wide row_elements(const dw_program_view *temp) {
  dw_wide count = 1;
  for (uint32_t d = 1; d < temp->rank; d++) count *= temp->dims[d].constant;
  return count;
}

dw_status dw_range_check_inside(const dw_program *program, uint32_t index, const dw_temp_state *temps,
                                dw_error *error) {
  const dw_program_view *view = &program->views[index];
  dw_linear exists = {.constant = 0}; // elements of the root at each parameter value
  dw_wide most;                       // and at most
  if (view->root == DW_SOURCE_TEMP) {
    const dw_program_view *temp = &program->views[temps[view->index].view];
    exists = linear_of(temp->dims[0], row_elements(temp));
    most = linear_max(program, &exists);
  } else {
    exists.constant = most = slot_elements(&program->slots[view->index]);
  }
  if (dw_affine_min(program, view->offset) < 0)
    return dw_fail(error, DW_BOUNDS, "tensor %u: its offset can be negative", index);
  // Where a view can be empty its end says nothing about where it begins.
  if (dw_affine_max(program, view->offset) > most && sometimes_empty(program, view))
    return dw_fail(error, DW_BOUNDS, "tensor %u: its offset can be %lld of %lld elements", index,
                   (long long)dw_affine_max(program, view->offset), (long long)most);
  dw_linear beyond = view_end(view);
  subtract(&beyond, &exists);
  dw_wide excess = linear_max(program, &beyond);
  if (excess <= 0) return DW_OK;
  if (excess > INT64_MAX) excess = INT64_MAX;
  return dw_fail(error, DW_BOUNDS, "tensor %u: can end %lld elements behind the end of its %s", index,
                 (long long)excess, view->root == DW_SOURCE_TEMP ? "temp" : "handle's tensor");
}

// Dimensions that step at all, by rising stride.
static uint32_t sorted_dims(const dw_program_view *view, uint32_t *order) {
  uint32_t count = 0;
  for (uint32_t d = 0; d < view->rank; d++) {
    if (view->max_dims[d] < 2) continue;
    uint32_t at = count++;
    for (; at > 0 && view->strides[order[at - 1]] > view->strides[d]; at--) order[at] = order[at - 1];
    order[at] = d;
  }
  return count;
}

bool dw_range_injective(const dw_program_view *view) {
  uint32_t order[DW_MAX_RANK], count = sorted_dims(view, order);
  dw_wide extent = 1; // elements that the smaller strides span
  for (uint32_t i = 0; i < count; i++) {
    dw_wide stride = (dw_wide)view->strides[order[i]];
    if (stride < extent) return false;
    extent += stride * (dw_wide)(view->max_dims[order[i]] - 1);
  }
  return true;
}

bool dw_range_covers(const dw_program_view *view, const dw_program_view *temp) {
  dw_wide fixed = 1; // product of the constant dimensions
  dw_affine varying = {.constant = 1};
  for (uint32_t d = 0; d < view->rank; d++) {
    if (!view->dims[d].scale) fixed *= view->dims[d].constant;
    else if (!varying.scale) varying = view->dims[d];
    else return false; // two varying dimensions are not linear
  }
  dw_affine rows = temp->dims[0];
  dw_wide width = row_elements(temp);
  return fixed * varying.constant == width * rows.constant && fixed * varying.scale == width * rows.scale &&
         (varying.scale == 0 || varying.param == rows.param || fixed == 0);
}

// ---- Two views ----------------------------------------------------------------------

static bool same_memory(const dw_program *program, const dw_program_view *a, const dw_program_view *b) {
  if (a->root != b->root) return false;
  if (a->root == DW_SOURCE_TEMP) return a->index == b->index;
  return program->slots[a->index].alias == program->slots[b->index].alias;
}

static dw_wide root_byte(const dw_program *program, const dw_program_view *view) {
  return view->root == DW_SOURCE_TEMP ? 0 : (dw_wide)program->slots[view->index].alias_offset_bytes;
}

static dw_linear first_byte(const dw_program *program, const dw_program_view *view) {
  dw_linear begin = linear_of(view->offset, dw_dtype_bytes(view->dtype));
  begin.constant += root_byte(program, view);
  return begin;
}

static dw_linear end_byte(const dw_program *program, const dw_program_view *view) {
  dw_linear end = view_end(view);
  dw_wide bytes = dw_dtype_bytes(view->dtype);
  end.constant = end.constant * bytes + root_byte(program, view);
  for (uint32_t i = 0; i < program->param_count; i++) end.per[i] *= bytes;
  return end;
}

// True if `a` ends before `b` begins, at every parameter value.
static bool before(const dw_program *program, const dw_program_view *a, const dw_program_view *b) {
  dw_linear end = end_byte(program, a), begin = first_byte(program, b);
  subtract(&end, &begin);
  return linear_max(program, &end) <= 0;
}

// The part of every row of `row_bytes` that the view touches, if it is one and the same part.
static bool column(const dw_program *program, const dw_program_view *view, dw_wide row_bytes, dw_wide *begin,
                   dw_wide *end) {
  dw_wide bytes = dw_dtype_bytes(view->dtype), extent = bytes;
  if ((view->offset.scale * bytes) % row_bytes) return false;
  *begin = (root_byte(program, view) + view->offset.constant * bytes) % row_bytes;
  if (*begin < 0) *begin += row_bytes;
  for (uint32_t d = 0; d < view->rank; d++) {
    dw_wide stride = (dw_wide)view->strides[d] * bytes;
    if (view->max_dims[d] > 1 && stride % row_bytes) extent += stride * (dw_wide)(view->max_dims[d] - 1);
  }
  *end = *begin + extent;
  return *end <= row_bytes;
}

static bool columns_disjoint(const dw_program *program, const dw_program_view *a, const dw_program_view *b) {
  uint32_t order[DW_MAX_RANK], count = sorted_dims(a, order);
  if (count == 0) return false;
  dw_wide row_bytes = (dw_wide)a->strides[order[count - 1]] * dw_dtype_bytes(a->dtype);
  dw_wide a_begin, a_end, b_begin, b_end;
  if (row_bytes == 0 || !column(program, a, row_bytes, &a_begin, &a_end) ||
      !column(program, b, row_bytes, &b_begin, &b_end))
    return false;
  return a_end <= b_begin || b_end <= a_begin;
}

static bool always_empty(const dw_program_view *view) {
  for (uint32_t d = 0; d < view->rank; d++)
    if (view->max_dims[d] == 0) return true;
  return false;
}

bool dw_range_disjoint(const dw_program *program, const dw_program_view *a, const dw_program_view *b) {
  return !same_memory(program, a, b) || always_empty(a) || always_empty(b) || before(program, a, b) ||
         before(program, b, a) || columns_disjoint(program, a, b) || columns_disjoint(program, b, a);
}

bool dw_range_same(const dw_program *program, const dw_program_view *a, const dw_program_view *b) {
  if (!same_memory(program, a, b) || a->dtype != b->dtype || a->rank != b->rank) return false;
  dw_linear apart = first_byte(program, a), other = first_byte(program, b);
  subtract(&apart, &other);
  if (apart.constant) return false;
  for (uint32_t i = 0; i < program->param_count; i++)
    if (apart.per[i]) return false;
  for (uint32_t d = 0; d < a->rank; d++) {
    if (!dw_affine_equal(a->dims[d], b->dims[d])) return false;
    if (a->max_dims[d] > 1 && a->strides[d] != b->strides[d]) return false;
  }
  return true;
}
