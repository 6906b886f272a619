// Memory of the device: imports of exactly the given bytes, allocations, and
// transfers between host and device memory.
//
// Where memory is unified, what the device allocates is pages of the host too,
// imported like everybody else's: zeroed by the system, and touched only as far
// as they are used.
#include "vulkan_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HOST_HANDLE VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT
#define USAGE (VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT)
#define NO_TYPE UINT32_MAX

static uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

// ---- Parts ------------------------------------------------------------------------------

static uint32_t memory_type(const dw_vk_device *device, uint32_t allowed, VkFlags wanted) {
  for (uint32_t i = 0; i < device->memory.memoryTypeCount; i++)
    if (allowed >> i & 1 && (device->memory.memoryTypes[i].propertyFlags & wanted) == wanted) return i;
  return NO_TYPE;
}

static dw_status create_buffer(dw_vk_device *device, dw_vk_part *part, bool imported, VkMemoryRequirements *needs,
                               dw_error *error) {
  const VkExternalMemoryBufferCreateInfo external = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
                                                     .handleTypes = HOST_HANDLE};
  const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                   .pNext = imported ? &external : NULL,
                                   .size = part->size_bytes,
                                   .usage = USAGE};
  VkResult result = device->vk.vkCreateBuffer(device->handle, &info, NULL, &part->buffer);
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkCreateBuffer", result);
  device->vk.vkGetBufferMemoryRequirements(device->handle, part->buffer, needs);
  return DW_OK;
}

static dw_status bind_memory(dw_vk_device *device, dw_vk_part *part, const void *next, uint32_t type, uint64_t bytes,
                             dw_error *error) {
  const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     .pNext = next,
                                     .allocationSize = bytes,
                                     .memoryTypeIndex = type};
  VkResult result = device->vk.vkAllocateMemory(device->handle, &info, NULL, &part->memory);
  if (result == VK_ERROR_INVALID_EXTERNAL_HANDLE)
    return dw_fail(error, DW_UNSUPPORTED, "the driver does not import this memory (vkAllocateMemory: %s)",
                   dw_vk_result_name(result));
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkAllocateMemory", result);
  result = device->vk.vkBindBufferMemory(device->handle, part->buffer, part->memory, 0);
  return result == VK_SUCCESS ? DW_OK : dw_vk_fail(error, "vkBindBufferMemory", result);
}

static dw_status wrap_part(dw_vk_device *device, unsigned char *host, dw_vk_part *part, dw_error *error) {
  VkMemoryHostPointerPropertiesEXT properties = {.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
  VkResult result =
      device->vk.vkGetMemoryHostPointerPropertiesEXT(device->handle, HOST_HANDLE, host, &properties);
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkGetMemoryHostPointerPropertiesEXT", result);
  VkMemoryRequirements needs;
  dw_status status = create_buffer(device, part, true, &needs, error);
  if (status != DW_OK) return status;
  uint32_t type = memory_type(device, needs.memoryTypeBits & properties.memoryTypeBits,
                              VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
  if (type == NO_TYPE || needs.size > part->size_bytes)
    return dw_fail(error, DW_UNSUPPORTED, "the driver offers no coherent memory over these host bytes");
  const VkImportMemoryHostPointerInfoEXT import = {.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
                                                   .handleType = HOST_HANDLE,
                                                   .pHostPointer = host};
  return bind_memory(device, part, &import, type, part->size_bytes, error);
}

const dw_vk_part *dw_vk_buffer_part(const dw_vk_buffer *buffer, uint64_t offset, uint64_t size_bytes) {
  for (uint32_t i = 0; i < buffer->part_count; i++) {
    const dw_vk_part *part = &buffer->parts[i];
    if (offset >= part->begin && offset - part->begin <= part->size_bytes &&
        size_bytes <= part->size_bytes - (offset - part->begin))
      return part;
  }
  return NULL;
}

// ---- Buffers -----------------------------------------------------------------------------

static dw_status new_buffer(dw_vk_device *device, uint64_t size_bytes, uint32_t parts, dw_vk_buffer **answer,
                            dw_error *error) {
  dw_vk_buffer *buffer = calloc(1, sizeof *buffer);
  if (buffer) buffer->parts = calloc(parts, sizeof *buffer->parts);
  if (!buffer || !buffer->parts) {
    free(buffer);
    return dw_fail(error, DW_NOMEM, "a buffer");
  }
  buffer->buffer = (dw_buffer){.device = &device->device, .size_bytes = size_bytes};
  buffer->part_count = parts;
  *answer = buffer;
  return DW_OK;
}

void dw_vk_buffer_free(dw_vk_buffer *buffer) {
  dw_vk_device *device = dw_vk_device_of(buffer->buffer.device);
  for (uint32_t i = 0; i < buffer->part_count; i++) {
    device->vk.vkDestroyBuffer(device->handle, buffer->parts[i].buffer, NULL);
    device->vk.vkFreeMemory(device->handle, buffer->parts[i].memory, NULL); // unmaps too
  }
  if (buffer->mapped_bytes) munmap(buffer->buffer.host, buffer->mapped_bytes);
  if (buffer->release) buffer->release(buffer->owner);
  free(buffer->parts);
  free(buffer);
}

// Takes over neither the bytes nor the owner.
static dw_status wrap(dw_vk_device *device, unsigned char *host, uint64_t size_bytes, dw_vk_buffer **answer,
                      dw_error *error) {
  uint64_t stride = (device->part_bytes - device->range_bytes) / device->import_alignment * device->import_alignment;
  uint64_t more = size_bytes > device->part_bytes ? size_bytes - device->part_bytes : 0;
  uint64_t parts = 1 + round_up(more, stride) / stride;
  if (parts > UINT32_MAX) return dw_fail(error, DW_LIMIT, "import of %" PRIu64 " bytes", size_bytes);
  dw_vk_buffer *buffer;
  dw_status status = new_buffer(device, size_bytes, (uint32_t)parts, &buffer, error);
  if (status != DW_OK) return status;
  for (uint32_t i = 0; status == DW_OK && i < buffer->part_count; i++) {
    dw_vk_part *part = &buffer->parts[i];
    part->begin = i * stride;
    uint64_t rest = size_bytes - part->begin;
    part->size_bytes = rest < device->part_bytes ? rest : device->part_bytes;
    status = wrap_part(device, host + part->begin, part, error);
  }
  void *seen = NULL;
  if (status == DW_OK) {
    VkResult result =
        device->vk.vkMapMemory(device->handle, buffer->parts[0].memory, 0, VK_WHOLE_SIZE, 0, &seen);
    if (result != VK_SUCCESS) status = dw_vk_fail(error, "vkMapMemory", result);
  }
  if (status != DW_OK) {
    dw_vk_buffer_free(buffer);
    return status;
  }
  buffer->buffer.host = host;
  buffer->buffer.device_pointer = seen;
  *answer = buffer;
  return DW_OK;
}

static bool is_lost(dw_vk_device *device) { return atomic_load(&device->queue.lost); }

static dw_status fail_lost(dw_error *error) { return dw_fail(error, DW_LOST, "the Vulkan device was lost"); }

dw_status dw_vk_import(dw_device *base, const dw_import_desc *desc, dw_buffer **answer, dw_error *error) {
  dw_vk_device *device = dw_vk_device_of(base);
  *answer = NULL;
  if (is_lost(device)) return fail_lost(error);
  uint64_t alignment = device->import_alignment;
  if (!desc->host || !desc->size_bytes || (uintptr_t)desc->host % alignment || desc->size_bytes % alignment)
    return dw_fail(error, DW_INVALID, "import of %" PRIu64 " bytes at %p: the driver wraps multiples of %" PRIu64,
                   desc->size_bytes, desc->host, alignment);
  dw_status status = dw_vk_mapping_check(desc->host, desc->size_bytes, desc->readonly, error);
  dw_vk_buffer *buffer;
  if (status == DW_OK) status = wrap(device, desc->host, desc->size_bytes, &buffer, error);
  if (status != DW_OK) return status;
  buffer->buffer.imported = true;
  buffer->owner = desc->owner;
  buffer->release = desc->release;
  *answer = &buffer->buffer;
  return DW_OK;
}

dw_status dw_vk_allocate_host(dw_vk_device *device, uint64_t size_bytes, dw_vk_buffer **buffer, dw_error *error) {
  uint64_t mapped_bytes = round_up(size_bytes ? size_bytes : 1, device->import_alignment);
  void *host = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (host == MAP_FAILED) return dw_fail(error, DW_NOMEM, "%" PRIu64 " bytes", mapped_bytes);
  if ((uintptr_t)host % device->import_alignment) {
    munmap(host, mapped_bytes);
    return dw_fail(error, DW_UNSUPPORTED, "the driver wraps multiples of %" PRIu64 " bytes, pages are smaller",
                   device->import_alignment);
  }
  dw_status status = wrap(device, host, mapped_bytes, buffer, error);
  if (status != DW_OK) {
    munmap(host, mapped_bytes);
    return status;
  }
  (*buffer)->mapped_bytes = mapped_bytes;
  (*buffer)->buffer.size_bytes = size_bytes;
  return DW_OK;
}

static dw_status allocate_local(dw_vk_device *device, uint64_t size_bytes, dw_vk_buffer **answer, dw_error *error) {
  uint64_t bytes = round_up(size_bytes ? size_bytes : 1, DW_VIEW_ALIGNMENT);
  if (bytes > device->part_bytes)
    return dw_fail(error, DW_LIMIT, "%" PRIu64 " bytes, the device allocates at most %" PRIu64, size_bytes,
                   device->part_bytes);
  dw_vk_buffer *buffer;
  dw_status status = new_buffer(device, size_bytes, 1, &buffer, error);
  if (status != DW_OK) return status;
  buffer->parts[0].size_bytes = bytes;
  VkMemoryRequirements needs;
  status = create_buffer(device, &buffer->parts[0], false, &needs, error);
  if (status == DW_OK) {
    uint32_t type = memory_type(device, needs.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    if (type == NO_TYPE) type = memory_type(device, needs.memoryTypeBits, 0);
    status = bind_memory(device, &buffer->parts[0], NULL, type, needs.size, error);
  }
  if (status == DW_OK) *answer = buffer;
  else dw_vk_buffer_free(buffer);
  return status;
}

dw_status dw_vk_allocate_scratch(dw_vk_device *device, uint64_t size_bytes, dw_vk_buffer **buffer, dw_error *error) {
  return device->device.unified ? dw_vk_allocate_host(device, size_bytes, buffer, error)
                                : allocate_local(device, size_bytes, buffer, error);
}

dw_status dw_vk_allocate(dw_device *base, uint64_t size_bytes, dw_buffer **answer, dw_error *error) {
  dw_vk_device *device = dw_vk_device_of(base);
  *answer = NULL;
  if (is_lost(device)) return fail_lost(error);
  dw_vk_buffer *buffer;
  dw_status status = dw_vk_allocate_scratch(device, size_bytes, &buffer, error);
  if (status == DW_OK && !buffer->buffer.host) {
    dw_vk_job job = {.kind = DW_VK_ZERO, .buffer = buffer, .size_bytes = size_bytes, .error = error};
    status = dw_vk_queue_do(device, &job);
    if (status != DW_OK) dw_vk_release(&buffer->buffer);
  }
  if (status == DW_OK) *answer = &buffer->buffer;
  return status;
}

void dw_vk_release(dw_buffer *base) {
  dw_vk_buffer *buffer = (dw_vk_buffer *)base;
  dw_vk_queue *queue = &dw_vk_device_of(base->device)->queue;
  pthread_mutex_lock(&queue->lock);
  bool held = queue->stuck;
  if (held) {
    buffer->next = queue->held;
    queue->held = buffer;
  }
  pthread_mutex_unlock(&queue->lock);
  if (!held) dw_vk_buffer_free(buffer);
}

// ---- Transfers -----------------------------------------------------------------------------

dw_status dw_vk_upload(dw_buffer *base, uint64_t offset, const void *bytes, uint64_t size_bytes, dw_error *error) {
  if (base->host) {
    memcpy(base->host + offset, bytes, size_bytes);
    return DW_OK;
  }
  dw_vk_job job = {.kind = DW_VK_UPLOAD,
                   .buffer = (dw_vk_buffer *)base,
                   .offset = offset,
                   .size_bytes = size_bytes,
                   .bytes = (void *)bytes,
                   .error = error};
  return dw_vk_queue_do(dw_vk_device_of(base->device), &job);
}

dw_status dw_vk_download(dw_buffer *base, uint64_t offset, void *bytes, uint64_t size_bytes, dw_error *error) {
  if (base->host) {
    memcpy(bytes, base->host + offset, size_bytes);
    return DW_OK;
  }
  dw_vk_job job = {.kind = DW_VK_DOWNLOAD,
                   .buffer = (dw_vk_buffer *)base,
                   .offset = offset,
                   .size_bytes = size_bytes,
                   .bytes = bytes,
                   .error = error};
  return dw_vk_queue_do(dw_vk_device_of(base->device), &job);
}
