// Which programs this device takes.  Shapes and offsets are evaluated when a
// run is recorded, so there is little to keep.
#include "vulkan_internal.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct check {
  dw_vk_device *device;
  const dw_program *program;
  uint32_t op;
  dw_error *error;
} check;

static const dw_program_view *operand(const check *of, uint32_t index) { return &of->program->views[index]; }

static dw_status refuse_dtype(const check *of, const char *name, const dw_program_view *view) {
  return dw_fail(of->error, DW_UNSUPPORTED, "op %" PRIu32 " %s: the Vulkan device does not take %s in %s", of->op,
                 dw_operator_name(of->program->ops[of->op].op), name, dw_dtype_name(view->dtype));
}

static dw_status check_matmul(const check *of) {
  const dw_op *op = &of->program->ops[of->op];
  const dw_program_view *a = operand(of, op->inputs[0]), *b = operand(of, op->inputs[1]),
                        *y = operand(of, op->outputs[0]);
  if (a->rank != 2 || b->rank != 2)
    return dw_fail(of->error, DW_UNSUPPORTED,
                   "op %" PRIu32 " MatMul: the Vulkan device takes rank 2, not %" PRIu32 " x %" PRIu32, of->op, a->rank,
                   b->rank);
  if (a->dtype != DW_F32) return refuse_dtype(of, "A", a);
  if (y->dtype != DW_F32) return refuse_dtype(of, "Y", y);
  switch (b->dtype) {
  case DW_F32: return dw_vk_pipeline_need(of->device, DW_VK_MATMUL_F32, of->error);
  case DW_F16: return dw_vk_pipeline_need(of->device, DW_VK_MATMUL_F16, of->error);
  case DW_BF16: return dw_vk_pipeline_need(of->device, DW_VK_MATMUL_BF16, of->error);
  default: return refuse_dtype(of, "B", b);
  }
}

// Whether a view is dense may depend on the parameters: both variants are made.
static dw_status check_axpby(const check *of) {
  const dw_op *op = &of->program->ops[of->op];
  const dw_program_view *x = operand(of, op->inputs[0]), *y = operand(of, op->outputs[0]);
  if (x->dtype != DW_F32) return refuse_dtype(of, "X", x);
  if (y->dtype != DW_F32) return refuse_dtype(of, "Y", y);
  dw_status status = dw_vk_pipeline_need(of->device, DW_VK_AXPBY_DENSE, of->error);
  if (status == DW_OK) status = dw_vk_pipeline_need(of->device, DW_VK_AXPBY_STRIDED, of->error);
  return status;
}

static dw_status check_op(const check *of) {
  uint32_t op = of->program->ops[of->op].op;
  switch (op) {
  case DW_OP_MatMul: return check_matmul(of);
  case DW_OP_Axpby: return check_axpby(of);
  default:
    return dw_fail(of->error, DW_UNSUPPORTED, "op %" PRIu32 ": the Vulkan device has no %s", of->op,
                   dw_operator_name(op));
  }
}

dw_status dw_vk_compile(dw_device *base, const dw_program *program, dw_compiled **answer, dw_error *error) {
  check of = {.device = dw_vk_device_of(base), .program = program, .error = error};
  *answer = NULL;
  if (!base->unified && program->scratch_bytes > of.device->part_bytes)
    return dw_fail(error, DW_LIMIT, "the temps need %" PRIu64 " bytes, the Vulkan device allocates at most %" PRIu64,
                   program->scratch_bytes, of.device->part_bytes);
  dw_status status = DW_OK;
  for (of.op = 0; status == DW_OK && of.op < program->op_count; of.op++) status = check_op(&of);
  if (status != DW_OK) return status;
  *answer = malloc(sizeof **answer);
  if (!*answer) return dw_fail(error, DW_NOMEM, "a program");
  (*answer)->program = program;
  return DW_OK;
}

void dw_vk_discard(dw_device *device, dw_compiled *compiled) {
  (void)device;
  free(compiled);
}
