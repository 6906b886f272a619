// One run as commands.
//
// A kernel sees its operands through bindings that are limited in size, and some
// drivers limit how long an invocation or a submission may take.  So operators
// are cut into dispatches: by rows and columns of the output, and MatMul also
// along k, in passes that go on with the sums of the one before.  The cuts
// do not change what is computed, nor in which order.
#include "vulkan_internal.h"

#include <string.h>

#define TILE 32u                         // of MatMul's output, a workgroup
#define STREAM 1024u                     // elements of Axpby, a workgroup
#define MAX_K 16384u                     // a pass; see kernels/matmul.wgsl

typedef struct recorder {
  dw_vk_device *device;
  const dw_run *run;
  const dw_program *program;
  dw_error *error;
  uint32_t sets;               // dispatches in the command buffer
  uint64_t work;               // of them
  bool ordered;                // the next dispatch waits for those before it
} recorder;

// A view with this run's parameters.
typedef struct operand {
  const dw_vk_buffer *buffer;
  uint64_t offset_bytes;       // of its first element
  uint32_t element_bytes;
  uint32_t rank;
  uint64_t dims[DW_MAX_RANK], strides[DW_MAX_RANK];
} operand;

static operand resolve(const recorder *record, uint32_t index) {
  const dw_program_view *view = &record->program->views[index];
  operand of = {.element_bytes = dw_dtype_bytes(view->dtype), .rank = view->rank};
  if (view->root == DW_SOURCE_TEMP) {
    of.buffer = record->device->queue.scratch;
    of.offset_bytes = record->program->temps[view->index].offset_bytes;
  } else {
    const dw_binding *binding = &record->run->bindings[view->index];
    of.buffer = (const dw_vk_buffer *)binding->buffer;
    of.offset_bytes = binding->offset_bytes;
  }
  of.offset_bytes += (uint64_t)dw_affine_value(view->offset, record->run->params) * of.element_bytes;
  for (uint32_t d = 0; d < view->rank; d++) {
    of.dims[d] = (uint64_t)dw_affine_value(view->dims[d], record->run->params);
    of.strides[d] = view->strides[d];
  }
  return of;
}

// Bytes that a binding has for elements, when it begins at any element.
static uint64_t budget_bytes(const recorder *record) {
  return record->device->range_bytes - record->device->offset_alignment - sizeof(uint32_t);
}

// ---- Dispatches ------------------------------------------------------------------------

static dw_status begin(recorder *record) {
  record->sets = 0;
  record->work = 0;
  record->ordered = false;
  return dw_vk_commands_begin(record->device, record->error);
}

static dw_status finish(recorder *record) {
  if (record->run->cancel && atomic_load(record->run->cancel)) return dw_fail(record->error, DW_CANCELLED, "cancelled");
  return dw_vk_commands_finish(record->device, record->error);
}

static dw_status make_room(recorder *record, uint64_t work) {
  if (record->sets < DW_VK_SETS && (record->sets == 0 || record->work + work <= record->device->max_work)) return DW_OK;
  dw_status status = finish(record);
  return status == DW_OK ? begin(record) : status;
}

static void emit_barrier(recorder *record) {
  const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                   .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                   .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
  record->device->vk.vkCmdPipelineBarrier(record->device->queue.commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
}

// `extent` bytes from `first` bytes behind the operand's first element; answers at
// which element of the binding they begin.
static uint32_t bind(const recorder *record, const operand *of, uint64_t first, uint64_t extent,
                     VkDescriptorBufferInfo *info) {
  uint64_t alignment = record->device->offset_alignment, begins = of->offset_bytes + first;
  uint64_t aligned = begins / alignment * alignment;
  uint64_t range = (begins - aligned + extent + 3) / 4 * 4; // kernels read words
  const dw_vk_part *part = dw_vk_buffer_part(of->buffer, aligned, range);
  *info = (VkDescriptorBufferInfo){part->buffer, aligned - part->begin, range};
  return (uint32_t)((begins - aligned) / of->element_bytes);
}

typedef struct dispatch {
  uint32_t pipeline;
  VkDescriptorBufferInfo bindings[DW_VK_BINDINGS];
  uint32_t binding_count;
  const void *parameters;
  uint32_t parameter_bytes;
  uint32_t x, y;               // workgroups
  uint64_t work;
} dispatch;

static dw_status bind_set(const recorder *record, const dispatch *of, VkDescriptorSet *set) {
  dw_vk_device *device = record->device;
  const VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = device->queue.descriptors,
                                            .descriptorSetCount = 1,
                                            .pSetLayouts = &device->set_layout};
  VkResult result = device->vk.vkAllocateDescriptorSets(device->handle, &info, set);
  if (result != VK_SUCCESS) return dw_vk_fail(record->error, "vkAllocateDescriptorSets", result);
  VkWriteDescriptorSet writes[DW_VK_BINDINGS];
  for (uint32_t i = 0; i < of->binding_count; i++)
    writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                       .dstSet = *set,
                                       .dstBinding = i,
                                       .descriptorCount = 1,
                                       .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                       .pBufferInfo = &of->bindings[i]};
  device->vk.vkUpdateDescriptorSets(device->handle, of->binding_count, writes, 0, NULL);
  return DW_OK;
}

static dw_status add_dispatch(recorder *record, const dispatch *of) {
  dw_vk_device *device = record->device;
  VkCommandBuffer commands = device->queue.commands;
  dw_status status = make_room(record, of->work);
  VkDescriptorSet set;
  if (status == DW_OK) status = bind_set(record, of, &set);
  if (status != DW_OK) return status;
  if (record->ordered) emit_barrier(record);
  record->ordered = false;
  device->vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, device->pipelines[of->pipeline]);
  device->vk.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, device->layout, 0, 1, &set, 0, NULL);
  device->vk.vkCmdPushConstants(commands, device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, of->parameter_bytes,
                                of->parameters);
  device->vk.vkCmdDispatch(commands, of->x, of->y, 1);
  record->sets++;
  record->work += of->work;
  return DW_OK;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

// ---- MatMul ------------------------------------------------------------------------------

// As in kernels/matmul.wgsl.
typedef struct matmul_parameters {
  uint32_t m, n, k, accumulate;
  uint32_t a_offset, a_row, a_column;
  uint32_t b_offset, b_row, b_column;
  uint32_t y_offset, y_row, y_column;
} matmul_parameters;
_Static_assert(sizeof(matmul_parameters) == 52 && sizeof(matmul_parameters) <= DW_VK_PUSH_BYTES, "parameters");

typedef struct matmul {
  operand a, b, y;
  uint32_t pipeline;
  uint64_t m, n, k;            // of one dispatch, at most
} matmul;

static uint64_t extent2(const operand *of, uint64_t rows, uint64_t columns) {
  return ((rows - 1) * of->strides[0] + (columns - 1) * of->strides[1] + 1) * of->element_bytes;
}

// Halves what contributes most until the operand fits.
static void shrink2(const operand *of, uint64_t *rows, uint64_t *columns, uint64_t budget) {
  while (extent2(of, *rows, *columns) > budget) {
    uint64_t *larger = (*rows - 1) * of->strides[0] >= (*columns - 1) * of->strides[1] ? rows : columns;
    *larger = (*larger + 1) / 2;
  }
}

static void cut_matmul(const recorder *record, matmul *of) {
  uint64_t budget = budget_bytes(record), tiles = (uint64_t)record->device->max_groups * TILE;
  of->m = least(of->y.dims[0], tiles);
  of->n = least(of->y.dims[1], tiles);
  of->k = least(of->a.dims[1] ? of->a.dims[1] : 1, MAX_K);
  shrink2(&of->a, &of->m, &of->k, budget);
  shrink2(&of->b, &of->k, &of->n, budget);
  shrink2(&of->y, &of->m, &of->n, budget);
  while (of->m * of->n * of->k > record->device->max_work) {
    uint64_t *larger = of->m > of->n ? &of->m : &of->n;
    *larger = (*larger + 1) / 2;
  }
  if (of->m > TILE) of->m = of->m / TILE * TILE;
  if (of->n > TILE) of->n = of->n / TILE * TILE;
}

// A dimension of one element may have any stride; it is not used.
static uint32_t stride_of(const operand *of, uint32_t dim, uint64_t length) {
  return length > 1 ? (uint32_t)of->strides[dim] : 0;
}

static uint32_t bind2(const recorder *record, const operand *of, uint64_t row, uint64_t column, uint64_t rows,
                      uint64_t columns, VkDescriptorBufferInfo *info) {
  if (!rows || !columns) return bind(record, of, 0, of->element_bytes, info); // k is 0: never read
  uint64_t first = (row * of->strides[0] + column * of->strides[1]) * of->element_bytes;
  return bind(record, of, first, extent2(of, rows, columns), info);
}

static dw_status add_tile(recorder *record, const matmul *of, uint64_t m0, uint64_t n0, uint64_t k0) {
  uint64_t m = least(of->m, of->y.dims[0] - m0), n = least(of->n, of->y.dims[1] - n0),
           k = least(of->k, of->a.dims[1] - k0);
  dispatch next = {.pipeline = of->pipeline,
                   .binding_count = 3,
                   .x = (uint32_t)((n + TILE - 1) / TILE),
                   .y = (uint32_t)((m + TILE - 1) / TILE),
                   .work = m * n * (k + 1)};
  const matmul_parameters parameters = {.m = (uint32_t)m,
                                        .n = (uint32_t)n,
                                        .k = (uint32_t)k,
                                        .accumulate = k0 > 0,
                                        .a_offset = bind2(record, &of->a, m0, k0, m, k, &next.bindings[0]),
                                        .a_row = stride_of(&of->a, 0, m),
                                        .a_column = stride_of(&of->a, 1, k),
                                        .b_offset = bind2(record, &of->b, k0, n0, k, n, &next.bindings[1]),
                                        .b_row = stride_of(&of->b, 0, k),
                                        .b_column = stride_of(&of->b, 1, n),
                                        .y_offset = bind2(record, &of->y, m0, n0, m, n, &next.bindings[2]),
                                        .y_row = stride_of(&of->y, 0, m),
                                        .y_column = stride_of(&of->y, 1, n)};
  next.parameters = &parameters;
  next.parameter_bytes = sizeof parameters;
  return add_dispatch(record, &next);
}

static dw_status add_matmul(recorder *record, const dw_op *op) {
  matmul of = {.a = resolve(record, op->inputs[0]),
               .b = resolve(record, op->inputs[1]),
               .y = resolve(record, op->outputs[0])};
  uint32_t dtype = record->program->views[op->inputs[1]].dtype;
  of.pipeline = dtype == DW_F16 ? DW_VK_MATMUL_F16 : dtype == DW_BF16 ? DW_VK_MATMUL_BF16 : DW_VK_MATMUL_F32;
  if (!of.y.dims[0] || !of.y.dims[1]) return DW_OK;
  cut_matmul(record, &of);
  dw_status status = DW_OK;
  uint64_t k0 = 0;
  do { // once where k is 0: the sums are 0 then
    for (uint64_t m0 = 0; status == DW_OK && m0 < of.y.dims[0]; m0 += of.m)
      for (uint64_t n0 = 0; status == DW_OK && n0 < of.y.dims[1]; n0 += of.n)
        status = add_tile(record, &of, m0, n0, k0);
    record->ordered = true;
    k0 += of.k;
  } while (status == DW_OK && k0 < of.a.dims[1]);
  return status;
}

// ---- Axpby -------------------------------------------------------------------------------

// As in kernels/axpby.wgsl.
typedef struct axpby_parameters {
  uint32_t count, x_offset, y_offset;
  float a, b;
  uint32_t padding[3];
  uint32_t dims[4], x_strides[4], y_strides[4];
} axpby_parameters;
_Static_assert(sizeof(axpby_parameters) == DW_VK_PUSH_BYTES, "parameters");

typedef struct axpby {
  operand x, y;                // with the same dims, as few of them as can be, the last ones of the four
  float a, b;
  bool dense;
  uint64_t cut[DW_MAX_RANK];   // dims of one dispatch, at most
} axpby;

// Joins dimensions that follow each other in both views, so that most views
// become one run of elements.
static void collapse(axpby *of) {
  operand x = of->x, y = of->y;
  uint32_t at = DW_MAX_RANK;
  for (uint32_t d = 0; d < DW_MAX_RANK; d++) {
    of->x.dims[d] = of->y.dims[d] = 1;
    of->x.strides[d] = of->y.strides[d] = 0;
  }
  for (uint32_t d = x.rank; d-- > 0;) {
    uint64_t length = x.dims[d];
    if (length == 1) continue;
    if (at < DW_MAX_RANK && x.strides[d] == of->x.strides[at] * of->x.dims[at] &&
        y.strides[d] == of->y.strides[at] * of->y.dims[at]) {
      of->x.dims[at] *= length;
    } else {
      at--;
      of->x.dims[at] = length;
      of->x.strides[at] = x.strides[d];
      of->y.strides[at] = y.strides[d];
    }
    of->y.dims[at] = of->x.dims[at];
  }
  of->dense = at == DW_MAX_RANK || (at == DW_MAX_RANK - 1 && of->x.strides[at] == 1 && of->y.strides[at] == 1);
}

static uint64_t extent4(const operand *of, const uint64_t *dims) {
  uint64_t elements = 1;
  for (uint32_t d = 0; d < DW_MAX_RANK; d++) elements += (dims[d] - 1) * of->strides[d];
  return elements * of->element_bytes;
}

static void shrink4(const operand *of, uint64_t *dims, uint64_t budget) {
  while (extent4(of, dims) > budget) {
    uint32_t larger = 0;
    for (uint32_t d = 1; d < DW_MAX_RANK; d++)
      if ((dims[d] - 1) * of->strides[d] > (dims[larger] - 1) * of->strides[larger]) larger = d;
    dims[larger] = (dims[larger] + 1) / 2;
  }
}

static uint64_t product(const uint64_t *dims) { return dims[0] * dims[1] * dims[2] * dims[3]; }

static void cut_axpby(const recorder *record, axpby *of) {
  memcpy(of->cut, of->x.dims, sizeof of->cut);
  shrink4(&of->x, of->cut, budget_bytes(record));
  shrink4(&of->y, of->cut, budget_bytes(record));
  uint64_t most = least(record->device->max_work, (uint64_t)record->device->max_groups * STREAM);
  while (product(of->cut) > most) {
    uint32_t larger = 0;
    for (uint32_t d = 1; d < DW_MAX_RANK; d++)
      if (of->cut[d] > of->cut[larger]) larger = d;
    of->cut[larger] = (of->cut[larger] + 1) / 2;
  }
}

static uint64_t first_of(const operand *of, const uint64_t *at) {
  uint64_t element = 0;
  for (uint32_t d = 0; d < DW_MAX_RANK; d++) element += at[d] * of->strides[d];
  return element * of->element_bytes;
}

static dw_status add_block(recorder *record, const axpby *of, const uint64_t *at) {
  uint64_t dims[DW_MAX_RANK];
  for (uint32_t d = 0; d < DW_MAX_RANK; d++) dims[d] = least(of->cut[d], of->x.dims[d] - at[d]);
  uint64_t count = product(dims);
  dispatch next = {.pipeline = of->dense ? DW_VK_AXPBY_DENSE : DW_VK_AXPBY_STRIDED,
                   .binding_count = 2,
                   .x = (uint32_t)((count + STREAM - 1) / STREAM),
                   .y = 1,
                   .work = count};
  axpby_parameters parameters = {
      .count = (uint32_t)count,
      .x_offset = bind(record, &of->x, first_of(&of->x, at), extent4(&of->x, dims), &next.bindings[0]),
      .y_offset = bind(record, &of->y, first_of(&of->y, at), extent4(&of->y, dims), &next.bindings[1]),
      .a = of->a,
      .b = of->b};
  for (uint32_t d = 0; d < DW_MAX_RANK; d++) {
    parameters.dims[d] = (uint32_t)dims[d];
    parameters.x_strides[d] = stride_of(&of->x, d, dims[d]);
    parameters.y_strides[d] = stride_of(&of->y, d, dims[d]);
  }
  next.parameters = &parameters;
  next.parameter_bytes = sizeof parameters;
  return add_dispatch(record, &next);
}

// The next block in row-major order; false after the last.
static bool advance(const axpby *of, uint64_t *at) {
  for (uint32_t d = DW_MAX_RANK; d-- > 0;) {
    at[d] += of->cut[d];
    if (at[d] < of->x.dims[d]) return true;
    at[d] = 0;
  }
  return false;
}

static dw_status add_axpby(recorder *record, const dw_op *op) {
  axpby of = {.x = resolve(record, op->inputs[0]), .y = resolve(record, op->outputs[0]), .a = op->f[0], .b = op->f[1]};
  for (uint32_t d = 0; d < of.x.rank; d++)
    if (of.x.dims[d] == 0) return DW_OK;
  collapse(&of);
  cut_axpby(record, &of);
  uint64_t at[DW_MAX_RANK] = {0};
  dw_status status;
  do status = add_block(record, &of, at);
  while (status == DW_OK && advance(&of, at));
  return status;
}

// ---- The run -------------------------------------------------------------------------------

static dw_status need_scratch(dw_vk_device *device, uint64_t size_bytes, dw_error *error) {
  dw_vk_queue *queue = &device->queue;
  if (size_bytes == 0 || (queue->scratch && queue->scratch->buffer.size_bytes >= size_bytes)) return DW_OK;
  if (queue->scratch) dw_vk_buffer_free(queue->scratch); // no run uses it: this is the only one
  queue->scratch = NULL;
  return dw_vk_allocate_scratch(device, size_bytes, &queue->scratch, error);
}

dw_status dw_vk_execute(dw_vk_device *device, dw_run *run, dw_error *error) {
  const dw_program *program = run->compiled->program;
  recorder record = {.device = device, .run = run, .program = program, .error = error};
  dw_status status = need_scratch(device, program->scratch_bytes, error);
  if (status == DW_OK) status = begin(&record);
  for (uint32_t i = 0; status == DW_OK && i < program->op_count; i++) {
    const dw_op *op = &program->ops[i];
    status = op->op == DW_OP_MatMul ? add_matmul(&record, op) : add_axpby(&record, op);
    record.ordered = true;
  }
  return status == DW_OK ? finish(&record) : status;
}
