// The validator of programs: any records, over sound handles.  What it accepts is
// checked again at the corners of the parameters and at values between them.
// Covers: src/program.c src/program_operator.c src/program_range.c src/program_names.c src/plan.c
#include "fuzz.h"
#include "program_bytes.h"

static dw_status describe(void *user, dw_handle handle, dw_slot *slot, dw_error *error) {
  const program_bytes *bytes = user;
  if (handle == 0 || handle > bytes->slot_count) return dw_fail(error, DW_HANDLE, "handle %u", handle);
  *slot = bytes->slots[handle - 1];
  return DW_OK;
}

__extension__ typedef __int128 wide;

// Elements of what the view is of.
static wide root_elements(const dw_program *program, const dw_program_view *view) {
  if (view->root == DW_SOURCE_TEMP) {
    MUST(view->index < program->temp_count);
    return (wide)(program->temps[view->index].size_bytes / dw_dtype_bytes(view->dtype));
  }
  MUST(view->index < program->slot_count);
  wide count = 1;
  for (uint32_t d = 0; d < program->slots[view->index].rank; d++) count *= (wide)program->slots[view->index].dims[d];
  return count;
}

static void check_view(const dw_program *program, const dw_program_view *view, const uint32_t *params) {
  if (view->rank == 0) {
    MUST(view->root == DW_SOURCE_HANDLE && program->slots[view->index].place == DW_PLACE_CACHE);
    return;
  }
  const char *dtype = dw_dtype_name(view->dtype);
  MUST(dw_dtype_parse(dtype, strlen(dtype)) == view->dtype && dw_dtype_parse("Q4_0", 4) == DW_DTYPE_NONE);
  // A temp that nothing writes has no memory, and no operator reads it.
  if (view->root == DW_SOURCE_TEMP && program->temps[view->index].size_bytes == 0) return;
  int64_t offset = dw_affine_value(view->offset, params);
  wide last = offset, elements = root_elements(program, view);
  MUST(offset >= 0 && offset <= elements);
  for (uint32_t d = 0; d < view->rank; d++) {
    int64_t dim = dw_affine_value(view->dims[d], params);
    MUST(dim >= 0 && (uint64_t)dim <= view->max_dims[d]);
    if (dim == 0) return;
    last += (wide)(dim - 1) * (wide)view->strides[d];
  }
  MUST(last < elements);
}

// Temps that live at the same time have no byte in common.
static void check_temps(const dw_program *program) {
  for (uint32_t i = 0; i < program->temp_count; i++) {
    const dw_temp *a = &program->temps[i];
    if (a->size_bytes == 0) continue;
    MUST(a->offset_bytes % DW_VIEW_ALIGNMENT == 0 && a->offset_bytes <= program->scratch_bytes);
    MUST(a->size_bytes <= program->scratch_bytes - a->offset_bytes);
    MUST(a->first_op <= a->last_op && a->last_op < program->op_count);
    for (uint32_t j = 0; j < i; j++) {
      const dw_temp *b = &program->temps[j];
      if (b->size_bytes == 0 || a->last_op < b->first_op || b->last_op < a->first_op) continue;
      MUST(a->offset_bytes + a->size_bytes <= b->offset_bytes || b->offset_bytes + b->size_bytes <= a->offset_bytes);
    }
  }
}

static void check_ops(const dw_program *program) {
  for (uint32_t i = 0; i < program->op_count; i++) {
    const dw_op *op = &program->ops[i];
    MUST(dw_operator_name(op->op)[0] != '?');
    for (uint32_t k = 0; k < DW_OP_INPUTS; k++) MUST(op->inputs[k] == DW_NO_TENSOR || op->inputs[k] < program->view_count);
    for (uint32_t k = 0; k < DW_OP_OUTPUTS; k++) {
      if (op->outputs[k] == DW_NO_TENSOR) continue;
      MUST(op->outputs[k] < program->view_count);
      const dw_program_view *view = &program->views[op->outputs[k]];
      MUST(view->root == DW_SOURCE_TEMP ||
           (program->slots[view->index].place != DW_PLACE_MODEL && !program->slots[view->index].sealed));
    }
  }
}

static void check(const dw_program *program) {
  uint32_t params[DW_MAX_PROGRAM_PARAMS] = {0};
  for (uint32_t round = 0; round < 8; round++) {
    for (uint32_t i = 0; i < program->param_count; i++) {
      const dw_param *param = &program->params[i];
      uint64_t range = (uint64_t)param->max - param->min + 1;
      params[i] = round < 2   ? (round ? param->max : param->min)
                  : round < 6 ? ((round + i) & 1 ? param->max : param->min)
                              : param->min + (uint32_t)((round * UINT64_C(0x9E3779B97F4A7C15) >> i) % range);
    }
    for (uint32_t i = 0; i < program->view_count; i++) check_view(program, &program->views[i], params);
  }
  check_temps(program);
  check_ops(program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  program_bytes *bytes = calloc(1, sizeof *bytes);
  MUST(bytes != NULL);
  number_stream stream = {.at = (uint8_t *)data, .end = data + size};
  pass_program(&stream, bytes);
  const dw_program_source source = {.tensors = bytes->tensors, .tensor_count = bytes->tensor_count,
                                    .ops = bytes->ops, .op_count = bytes->op_count,
                                    .params = bytes->params, .param_count = bytes->param_count};
  dw_program *program, *again;
  dw_error error = {0};
  dw_status status = dw_program_new(&source, describe, bytes, &program, &error);
  if (status == DW_OK) {
    check(program);
    MUST(dw_program_new(&source, describe, bytes, &again, NULL) == DW_OK);
    MUST(memcmp(program->digest, again->digest, sizeof program->digest) == 0);
    dw_program_free(again);
  } else {
    MUST(program == NULL && error.code == status && error.detail[0]);
  }
  dw_program_free(program);
  free(bytes);
  return 0;
}
