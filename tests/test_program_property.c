// Random small programs: whatever the validator accepts is checked element by
// element for every value of the parameters.  A proof that is wrong shows here.
#include "dw_test.h"

#include "program_text.h"

enum { PARAMS = 2, BYTES = 4096, ROUNDS = 400000 };

static uint64_t random_state;

static uint32_t random_below(uint32_t bound) { // splitmix64
  uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return (uint32_t)((z ^ z >> 31) % bound);
}

static bool chance(uint32_t percent) { return random_below(100) < percent; }

// ---- Making programs ------------------------------------------------------------------

static dw_affine random_affine(uint32_t most) {
  dw_affine affine = {.constant = random_below(most + 1)};
  if (chance(45)) {
    affine.scale = (int32_t)random_below(4) - 1;
    affine.param = random_below(PARAMS);
    if (affine.scale > 0 && chance(70)) affine.constant = (int64_t)random_below(3) - 1;
    if (affine.scale < 0) affine.constant += 4;
  }
  return affine;
}

static void random_slots(program_text *text) {
  text->slot_count = 1 + random_below(4);
  for (uint32_t i = 0; i < text->slot_count; i++) {
    dw_slot *slot = &text->slots[i];
    *slot = (dw_slot){.handle = i + 1, .place = chance(60) ? DW_PLACE_LINEAR : DW_PLACE_DEVICE, .alias = i + 1};
    if (slot->place == DW_PLACE_LINEAR) slot->alias = 0, slot->alias_offset_bytes = 32 * random_below(8);
    slot->dtype = chance(80) ? DW_F32 : DW_F16;
    slot->rank = 1 + random_below(2);
    for (uint32_t d = 0; d < slot->rank; d++) slot->dims[d] = 1 + random_below(slot->rank == 1 ? 64 : 10);
  }
}

static void dense_strides(dw_program_tensor *tensor) {
  uint64_t step = 1;
  for (uint32_t d = tensor->rank; d-- > 0; step *= 1 + random_below(8)) tensor->strides[d] = step;
}

// Usually like one before it, so that operators find equal shapes.
static void random_shape(program_text *text, dw_program_tensor *tensor) {
  if (text->tensor_count && chance(75)) {
    const dw_program_tensor *like = &text->tensors[random_below(text->tensor_count)];
    tensor->rank = like->rank;
    memcpy(tensor->dims, like->dims, sizeof tensor->dims);
    if (chance(30)) {
      memcpy(tensor->strides, like->strides, sizeof tensor->strides);
      tensor->offset = like->offset;
    }
    return;
  }
  tensor->rank = 1 + random_below(3);
  for (uint32_t d = 0; d < tensor->rank; d++) tensor->dims[d] = random_affine(tensor->rank == 1 ? 16 : 5);
}

static void random_tensor(program_text *text) {
  dw_program_tensor tensor = {.source = random_below(3), .dtype = DW_F32};
  random_shape(text, &tensor);
  if (tensor.source == DW_SOURCE_VIEW && text->tensor_count == 0) tensor.source = DW_SOURCE_TEMP;
  if (tensor.source == DW_SOURCE_HANDLE) {
    tensor.base = 1 + random_below(text->slot_count);
    tensor.dtype = text->slots[tensor.base - 1].dtype;
  } else if (tensor.source == DW_SOURCE_VIEW) {
    tensor.base = random_below(text->tensor_count);
    tensor.dtype = text->tensors[tensor.base].dtype;
  }
  if (tensor.source == DW_SOURCE_TEMP) {
    memset(tensor.strides, 0, sizeof tensor.strides);
    tensor.offset = (dw_affine){.constant = 0};
    for (uint32_t d = 1; d < tensor.rank; d++) tensor.dims[d].scale = 0;
  } else {
    if (chance(35)) dense_strides(&tensor);
    if (chance(20))
      for (uint32_t d = 0; d < tensor.rank; d++) tensor.strides[d] = random_below(9);
    if (chance(40)) tensor.offset = random_affine(12);
  }
  text->tensors[text->tensor_count++] = tensor;
}

static bool same_dims(const dw_program_tensor *a, const dw_program_tensor *b) {
  return a->rank == b->rank && memcmp(a->dims, b->dims, sizeof a->dims) == 0;
}

// A tensor with the dims of `index`, often another one.
static uint32_t partner(const program_text *text, uint32_t index) {
  uint32_t at = random_below(text->tensor_count);
  for (uint32_t i = 0; i < text->tensor_count; i++, at = (at + 1) % text->tensor_count)
    if (same_dims(&text->tensors[at], &text->tensors[index]) && (at != index || chance(15))) return at;
  return index;
}

static void random_op(program_text *text) {
  static const uint32_t kinds[] = {DW_OP_Swish, DW_OP_Softmax, DW_OP_Add, DW_OP_Axpby, DW_OP_Identity};
  dw_op *op = &text->ops[text->op_count++];
  memset(op, 0, sizeof *op);
  memset(op->inputs, 0xFF, sizeof op->inputs);
  memset(op->outputs, 0xFF, sizeof op->outputs);
  op->op = kinds[random_below(5)];
  op->inputs[0] = random_below(text->tensor_count);
  if (op->op == DW_OP_Add) op->inputs[1] = partner(text, op->inputs[0]);
  op->outputs[0] = partner(text, op->inputs[0]);
  if (op->op == DW_OP_Softmax) op->i[0] = -1;
}

// A temp written through a view of it, then read as a whole.
static void random_temp(program_text *text) {
  static const dw_affine one = {.constant = 1};
  dw_program_tensor temp = {.source = DW_SOURCE_TEMP, .dtype = DW_F32, .rank = 2};
  uint32_t base = text->tensor_count;
  temp.dims[0] = random_affine(4);
  temp.dims[1] = (dw_affine){.constant = 1 + random_below(4)};
  dw_program_tensor view = {.source = DW_SOURCE_VIEW, .base = base, .dtype = DW_F32, .rank = 2};
  view.dims[0] = chance(70) ? temp.dims[0] : random_affine(4);
  view.dims[1] = chance(60) ? temp.dims[1] : chance(50) ? one : random_affine(3);
  if (chance(50)) dense_strides(&view);
  dw_program_tensor from = {.source = DW_SOURCE_HANDLE, .base = 1, .dtype = text->slots[0].dtype, .rank = 2};
  memcpy(from.dims, view.dims, sizeof from.dims);
  dw_program_tensor to = {.source = DW_SOURCE_TEMP, .dtype = DW_F32, .rank = 2};
  memcpy(to.dims, temp.dims, sizeof to.dims);
  const dw_program_tensor four[] = {temp, view, from, to};
  memcpy(&text->tensors[base], four, sizeof four);
  text->tensor_count += 4;
  for (uint32_t i = 0; i < 2; i++) {
    dw_op *op = &text->ops[text->op_count++];
    memset(op->inputs, 0xFF, sizeof op->inputs);
    memset(op->outputs, 0xFF, sizeof op->outputs);
    op->op = i ? DW_OP_Softmax : DW_OP_Swish;
    op->i[0] = i ? -1 : 0;
    op->inputs[0] = base + (i ? 0 : 2);
    op->outputs[0] = base + (i ? 3 : 1);
  }
}

static void random_program(program_text *text) {
  memset(text, 0, sizeof *text);
  text->param_count = PARAMS;
  for (uint32_t i = 0; i < PARAMS; i++) {
    text->params[i].min = random_below(3);
    text->params[i].max = text->params[i].min + random_below(4);
  }
  random_slots(text);
  if (chance(30)) random_temp(text);
  for (uint32_t count = 1 + random_below(6); count > 0; count--) random_tensor(text);
  for (uint32_t count = 1 + random_below(4); count > 0; count--) random_op(text);
}

// ---- Checking them ----------------------------------------------------------------------

static uint64_t memory_of(const dw_program *program, const dw_program_view *view) {
  return view->root == DW_SOURCE_TEMP ? UINT64_C(1000) + view->index : program->slots[view->index].alias;
}

// Elements of the root that exist at these parameter values.
static int64_t root_elements(const dw_program *program, const program_text *text, const dw_program_view *view,
                             const uint32_t *params) {
  int64_t count = 1;
  if (view->root == DW_SOURCE_HANDLE) {
    const dw_slot *slot = &program->slots[view->index];
    for (uint32_t d = 0; d < slot->rank; d++) count *= (int64_t)slot->dims[d];
    return count;
  }
  uint32_t temp = 0, index = 0; // temps are numbered in the order of their records
  for (;; index++) {
    if (text->tensors[index].source != DW_SOURCE_TEMP) continue;
    if (temp++ == view->index) break;
  }
  for (uint32_t d = 0; d < text->tensors[index].rank; d++)
    count *= dw_affine_value(text->tensors[index].dims[d], params);
  return count;
}

// Walks the elements; `order` takes their first bytes in index order.
static uint32_t walk(const dw_program *program, const program_text *text, uint32_t index, const uint32_t *params,
                     uint32_t *order) {
  const dw_program_view *view = &program->views[index];
  int64_t dims[DW_MAX_RANK] = {1, 1, 1, 1}, offset = dw_affine_value(view->offset, params);
  int64_t exists = root_elements(program, text, view, params);
  uint32_t bytes = dw_dtype_bytes(view->dtype), count = 0;
  uint64_t base = view->root == DW_SOURCE_HANDLE ? program->slots[view->index].alias_offset_bytes : 0;
  for (uint32_t d = 0; d < view->rank; d++) {
    dims[d] = dw_affine_value(view->dims[d], params);
    CHECK(dims[d] >= 0 && dims[d] <= (int64_t)view->max_dims[d]);
    CHECK(dims[d] == dw_affine_value(text->tensors[index].dims[d], params));
  }
  CHECK(offset >= 0);
  for (int64_t a = 0; a < dims[0]; a++)
    for (int64_t b = 0; b < dims[1]; b++)
      for (int64_t c = 0; c < dims[2]; c++) {
        int64_t at = offset + a * (int64_t)view->strides[0] + b * (int64_t)view->strides[1] +
                     c * (int64_t)view->strides[2];
        CHECK(at >= 0 && at < exists);
        CHECK(base + (uint64_t)at * bytes + bytes <= BYTES);
        order[count++] = (uint32_t)(base + (uint64_t)at * bytes);
      }
  return count;
}

static uint32_t orders[3][BYTES], counts[3];
static uint32_t touched[BYTES];

static bool overlap(uint32_t a, uint32_t a_bytes, uint32_t b, uint32_t b_bytes) {
  memset(touched, 0, sizeof touched);
  for (uint32_t i = 0; i < counts[a]; i++)
    for (uint32_t k = 0; k < a_bytes; k++) touched[orders[a][i] + k] = 1;
  for (uint32_t i = 0; i < counts[b]; i++)
    for (uint32_t k = 0; k < b_bytes; k++)
      if (touched[orders[b][i] + k]) return true;
  return false;
}

static void check_output(const dw_program *program, const program_text *text, const dw_op *op, const uint32_t *params,
                         unsigned char (*written)[BYTES]) {
  const dw_program_view *to = &program->views[op->outputs[0]];
  uint32_t bytes = dw_dtype_bytes(to->dtype);
  counts[2] = walk(program, text, op->outputs[0], params, orders[2]);
  memset(touched, 0, sizeof touched);
  for (uint32_t i = 0; i < counts[2]; i++) CHECK(++touched[orders[2][i]] == 1); // no element twice
  for (uint32_t n = 0; n < 2 && op->inputs[n] != DW_NO_TENSOR; n++) {
    const dw_program_view *from = &program->views[op->inputs[n]];
    counts[n] = walk(program, text, op->inputs[n], params, orders[n]);
    if (from->root == DW_SOURCE_TEMP) // what is read was written, at these very values
      for (uint32_t i = 0; i < counts[n]; i++) CHECK(written[from->index][orders[n][i]]);
    if (memory_of(program, from) != memory_of(program, to)) continue;
    if (!overlap(n, dw_dtype_bytes(from->dtype), 2, bytes)) continue;
    CHECK(op->op != DW_OP_Softmax);
    CHECK(counts[n] == counts[2] && memcmp(orders[n], orders[2], counts[2] * sizeof *orders[2]) == 0);
  }
  if (to->root == DW_SOURCE_TEMP)
    for (uint32_t i = 0; i < counts[2]; i++) written[to->index][orders[2][i]] = 1;
}

static void check_values(const dw_program *program, const program_text *text, const uint32_t *params) {
  static unsigned char written[16][BYTES];
  memset(written, 0, sizeof written);
  for (uint32_t i = 0; i < program->view_count; i++) walk(program, text, i, params, orders[0]);
  for (uint32_t i = 0; i < program->op_count; i++) check_output(program, text, &program->ops[i], params, written);
}

// Between its first and last operator, found here again, no temp's bytes are another's.
static void check_scratch(const dw_program *program) {
  for (uint32_t i = 0; i < program->temp_count; i++) {
    const dw_temp *a = &program->temps[i];
    CHECK(a->offset_bytes + a->size_bytes <= program->scratch_bytes);
    for (uint32_t op = 0; op < program->op_count; op++) {
      const uint32_t operands[] = {program->ops[op].inputs[0], program->ops[op].inputs[1],
                                   program->ops[op].outputs[0]};
      for (uint32_t n = 0; n < 3; n++) {
        if (operands[n] == DW_NO_TENSOR) continue;
        const dw_program_view *view = &program->views[operands[n]];
        if (view->root == DW_SOURCE_TEMP && view->index == i) CHECK(a->first_op <= op && op <= a->last_op);
      }
    }
    for (uint32_t j = 0; j < i; j++) {
      const dw_temp *b = &program->temps[j];
      CHECK(a->last_op < b->first_op || b->last_op < a->first_op ||
            a->offset_bytes + a->size_bytes <= b->offset_bytes || b->offset_bytes + b->size_bytes <= a->offset_bytes ||
            a->size_bytes == 0 || b->size_bytes == 0);
    }
  }
}

static void test_random(void) {
  uint32_t accepted = 0, in_place = 0, temps = 0;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    random_state = round;
    program_text text;
    random_program(&text);
    dw_program_source source = program_text_source(&text);
    dw_program *program;
    dw_error error = {.code = DW_OK};
    dw_status status = dw_program_new(&source, program_text_describe, &text, &program, &error);
    if (status != DW_OK) {
      CHECK(program == NULL && error.code == status && error.detail[0]);
      continue;
    }
    accepted++;
    temps += program->scratch_bytes > 0;
    in_place += program->ops[0].inputs[0] == program->ops[0].outputs[0];
    check_scratch(program);
    uint32_t params[DW_MAX_PROGRAM_PARAMS] = {0};
    for (params[0] = text.params[0].min; params[0] <= text.params[0].max; params[0]++)
      for (params[1] = text.params[1].min; params[1] <= text.params[1].max; params[1]++)
        check_values(program, &text, params);
    dw_program_free(program);
  }
  printf("    %u of %u accepted, %u of them with temps, %u in place\n", accepted, ROUNDS, temps, in_place);
  CHECK(accepted > ROUNDS / 100 && temps > ROUNDS / 500 && in_place > ROUNDS / 1000); // or it shows little
}

static const dw_case cases[] = {
    {"random", "accepted programs touch only what they may", test_random},
};
DW_TEST_MAIN(cases)
