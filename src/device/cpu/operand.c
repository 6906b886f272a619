// From a program's views to pointers, and between pointers and F32.
#include "cpu.h"

#include <string.h>

static dw_cpu_view view_of(const dw_cpu_call *call, uint32_t index) {
  const dw_program_view *view = &call->program->views[index];
  const uint32_t *params = call->run->params;
  dw_cpu_view at = {.dtype = view->dtype, .rank = view->rank, .element_bytes = dw_dtype_bytes(view->dtype)};
  if (view->root == DW_SOURCE_TEMP) {
    at.data = call->scratch + call->program->temps[view->index].offset_bytes;
  } else {
    const dw_binding *binding = &call->run->bindings[view->index];
    at.data = binding->buffer->host + binding->offset_bytes;
  }
  at.data += (uint64_t)dw_affine_value(view->offset, params) * at.element_bytes;
  uint32_t absent = DW_MAX_RANK - view->rank;
  for (uint32_t d = 0; d < DW_MAX_RANK; d++) {
    at.dims[d] = d < absent ? 1 : (uint64_t)dw_affine_value(view->dims[d - absent], params);
    at.strides[d] = d < absent ? 0 : view->strides[d - absent];
  }
  return at;
}

dw_cpu_view dw_cpu_input(const dw_cpu_call *call, uint32_t position) { return view_of(call, call->op->inputs[position]); }

dw_cpu_view dw_cpu_output(const dw_cpu_call *call, uint32_t position) {
  return view_of(call, call->op->outputs[position]);
}

int64_t dw_cpu_index_at(const dw_cpu_view *view, uint64_t offset) {
  // Guests may write these while we read: each is read once.
  if (view->dtype == DW_I64) return ((const volatile int64_t *)view->data)[offset];
  return ((const volatile int32_t *)view->data)[offset];
}

static float load_one(const dw_cpu_view *view, uint64_t offset) {
  if (view->dtype == DW_F32) return ((const float *)view->data)[offset];
  uint16_t bits = ((const uint16_t *)view->data)[offset];
  return view->dtype == DW_F16 ? dw_f16_to_f32(bits) : dw_bf16_to_f32(bits);
}

const float *dw_cpu_load_run(const dw_cpu_kernels *kernels, const dw_cpu_view *view, uint64_t offset, uint64_t stride,
                             uint64_t count, float *buffer) {
  if (stride == 1 && view->dtype == DW_F32) return (const float *)view->data + offset;
  if (stride == 1) {
    kernels->load(view->dtype, dw_cpu_at(view, offset), buffer, count);
  } else if (stride == 0 && count) {
    float value = load_one(view, offset);
    for (uint64_t i = 0; i < count; i++) buffer[i] = value;
  } else {
    for (uint64_t i = 0; i < count; i++) buffer[i] = load_one(view, offset + i * stride);
  }
  return buffer;
}

void dw_cpu_store_run(const dw_cpu_kernels *kernels, const dw_cpu_view *view, uint64_t offset, uint64_t stride,
                      uint64_t count, const float *values) {
  if (stride == 1 || count < 2) {
    kernels->store(view->dtype, values, dw_cpu_at(view, offset), count);
    return;
  }
  for (uint64_t i = 0; i < count; i++) kernels->store(view->dtype, values + i, dw_cpu_at(view, offset + i * stride), 1);
}
