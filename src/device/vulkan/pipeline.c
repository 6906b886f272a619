// WGSL to compute pipelines, once a device and variant of a kernel.
#include "vulkan_internal.h"

#include "dw_kernels.h"
#include "dw_wgsl.h"

#include <string.h>

static const struct variant {
  const char *kernel;
  dw_wgsl_constant constant;
} variants[DW_VK_PIPELINES] = {[DW_VK_MATMUL_F32] = {"matmul", {"b_type", 0}},
                               [DW_VK_MATMUL_F16] = {"matmul", {"b_type", 1}},
                               [DW_VK_MATMUL_BF16] = {"matmul", {"b_type", 2}},
                               [DW_VK_AXPBY_DENSE] = {"axpby", {"dense", 1}},
                               [DW_VK_AXPBY_STRIDED] = {"axpby", {"dense", 0}}};

static const dw_kernel_source *find_source(const char *name) {
  const dw_kernel_source *source = dw_kernel_sources;
  while (source->name && strcmp(source->name, name) != 0) source++;
  return source->name ? source : NULL;
}

static dw_status translate(const struct variant *variant, uint32_t **words, size_t *word_count, dw_error *error) {
  const dw_kernel_source *source = find_source(variant->kernel);
  if (!source) return dw_fail(error, DW_NOTFOUND, "kernel %s", variant->kernel);
  dw_wgsl_info info;
  // The kernels are ours and check what they index, and loop bounding would cost.
  const dw_wgsl_options options = {
      .constants = &variant->constant, .constant_count = 1, .unchecked = 1, .info = &info};
  char words_of_error[160];
  int result = dw_wgsl_to_spirv(source->text, source->length, &options, words, word_count, words_of_error,
                                sizeof words_of_error);
  if (result != DW_WGSL_OK)
    return dw_fail(error, DW_DEVICE, "kernel %s: dw_wgsl_to_spirv: %s (%d)", variant->kernel, words_of_error, result);
  if (info.immediate_bytes > DW_VK_PUSH_BYTES || info.binding_mask >> DW_VK_BINDINGS) {
    dw_wgsl_free(*words, *word_count);
    return dw_fail(error, DW_DEVICE, "kernel %s takes %u bytes of parameters and bindings %#x", variant->kernel,
                   info.immediate_bytes, info.binding_mask);
  }
  return DW_OK;
}

static dw_status create_pipeline(dw_vk_device *device, const uint32_t *words, size_t word_count, VkPipeline *pipeline,
                                 dw_error *error) {
  const VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                         .codeSize = word_count * sizeof *words,
                                         .pCode = words};
  VkShaderModule module;
  VkResult result = device->vk.vkCreateShaderModule(device->handle, &code, NULL, &module);
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkCreateShaderModule", result);
  const VkComputePipelineCreateInfo info = {
      .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
      .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main"},
      .layout = device->layout,
      .basePipelineIndex = -1};
  result = device->vk.vkCreateComputePipelines(device->handle, NULL, 1, &info, NULL, pipeline);
  device->vk.vkDestroyShaderModule(device->handle, module, NULL);
  return result == VK_SUCCESS ? DW_OK : dw_vk_fail(error, "vkCreateComputePipelines", result);
}

static dw_status make(dw_vk_device *device, uint32_t which, dw_error *error) {
  uint32_t *words;
  size_t word_count;
  dw_status status = translate(&variants[which], &words, &word_count, error);
  if (status != DW_OK) return status;
  status = create_pipeline(device, words, word_count, &device->pipelines[which], error);
  dw_wgsl_free(words, word_count);
  return status;
}

dw_status dw_vk_pipeline_need(dw_vk_device *device, uint32_t which, dw_error *error) {
  pthread_mutex_lock(&device->pipelines_lock);
  dw_status status = device->pipelines[which] ? DW_OK : make(device, which, error);
  pthread_mutex_unlock(&device->pipelines_lock);
  return status;
}

// All kernels share one layout: three storage buffers and the parameters.
dw_status dw_vk_pipelines_open(dw_vk_device *device, dw_error *error) {
  VkDescriptorSetLayoutBinding bindings[DW_VK_BINDINGS];
  for (uint32_t i = 0; i < DW_VK_BINDINGS; i++)
    bindings[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                 .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                 .descriptorCount = 1,
                                                 .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
  const VkDescriptorSetLayoutCreateInfo set = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                               .bindingCount = DW_VK_BINDINGS,
                                               .pBindings = bindings};
  VkResult result = device->vk.vkCreateDescriptorSetLayout(device->handle, &set, NULL, &device->set_layout);
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkCreateDescriptorSetLayout", result);
  const VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = DW_VK_PUSH_BYTES};
  const VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                             .setLayoutCount = 1,
                                             .pSetLayouts = &device->set_layout,
                                             .pushConstantRangeCount = 1,
                                             .pPushConstantRanges = &range};
  result = device->vk.vkCreatePipelineLayout(device->handle, &layout, NULL, &device->layout);
  return result == VK_SUCCESS ? DW_OK : dw_vk_fail(error, "vkCreatePipelineLayout", result);
}

void dw_vk_pipelines_close(dw_vk_device *device) {
  if (!device->vk.vkDestroyPipelineLayout) return; // the logical device was not opened
  for (uint32_t i = 0; i < DW_VK_PIPELINES; i++)
    device->vk.vkDestroyPipeline(device->handle, device->pipelines[i], NULL);
  device->vk.vkDestroyPipelineLayout(device->handle, device->layout, NULL);
  device->vk.vkDestroyDescriptorSetLayout(device->handle, device->set_layout, NULL);
}
