// The thread that owns the device's queue.  It takes transfers first, then runs
// in the order of their submission, one at a time, and waits for each.
//
// A submission that does not end in time leaves the device *stuck*: it may still
// read and write what it was given.  Until its fence says otherwise nothing new
// is started, and buffers that are released meanwhile are held.
#include "vulkan_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STAGING_BYTES (UINT64_C(8) << 20)

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// ---- Commands --------------------------------------------------------------------------

static dw_status fail_call(dw_vk_device *device, dw_error *error, const char *call, VkResult result) {
  if (result == VK_ERROR_DEVICE_LOST) atomic_store(&device->queue.lost, true);
  return dw_vk_fail(error, call, result);
}

dw_status dw_vk_commands_begin(dw_vk_device *device, dw_error *error) {
  dw_vk_queue *queue = &device->queue;
  // The buffer may hold what a cancelled run has recorded.
  VkResult result = device->vk.vkResetCommandPool(device->handle, queue->pool, 0);
  if (result != VK_SUCCESS) return fail_call(device, error, "vkResetCommandPool", result);
  result = device->vk.vkResetDescriptorPool(device->handle, queue->descriptors, 0);
  if (result != VK_SUCCESS) return fail_call(device, error, "vkResetDescriptorPool", result);
  const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                         .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
  result = device->vk.vkBeginCommandBuffer(queue->commands, &info);
  return result == VK_SUCCESS ? DW_OK : fail_call(device, error, "vkBeginCommandBuffer", result);
}

static void set_stuck(dw_vk_queue *queue, bool stuck) {
  pthread_mutex_lock(&queue->lock);
  queue->stuck = stuck;
  dw_vk_buffer *held = stuck ? NULL : queue->held;
  if (!stuck) queue->held = NULL;
  pthread_mutex_unlock(&queue->lock);
  for (dw_vk_buffer *next; held; held = next) {
    next = held->next;
    dw_vk_buffer_free(held);
  }
}

static dw_status wait_fence(dw_vk_device *device, dw_error *error) {
  uint64_t timeout_ns = device->options.timeout_ns;
  VkResult result = device->vk.vkWaitForFences(device->handle, 1, &device->queue.fence, 1, timeout_ns);
  if (result == VK_TIMEOUT)
    return dw_fail(error, DW_DEVICE, "the Vulkan device did not finish within %" PRIu64 " ms", timeout_ns / 1000000);
  return result == VK_SUCCESS ? DW_OK : fail_call(device, error, "vkWaitForFences", result);
}

dw_status dw_vk_commands_finish(dw_vk_device *device, dw_error *error) {
  dw_vk_queue *queue = &device->queue;
  // What was written becomes visible to the CPU.
  const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                   .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                                   .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT};
  device->vk.vkCmdPipelineBarrier(queue->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                                  VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
  VkResult result = device->vk.vkEndCommandBuffer(queue->commands);
  if (result != VK_SUCCESS) return fail_call(device, error, "vkEndCommandBuffer", result);
  result = device->vk.vkResetFences(device->handle, 1, &queue->fence);
  if (result != VK_SUCCESS) return fail_call(device, error, "vkResetFences", result);
  const VkSubmitInfo submit = {
      .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &queue->commands};
  result = device->vk.vkQueueSubmit(device->queue_handle, 1, &submit, queue->fence);
  if (result != VK_SUCCESS) return fail_call(device, error, "vkQueueSubmit", result);
  dw_status status = wait_fence(device, error);
  // After a loss nothing runs any more; after all else that is not success it may.
  if (status != DW_OK && status != DW_LOST) set_stuck(queue, true);
  return status;
}

// True as soon as the device is free again.
static bool recover(dw_vk_device *device) {
  dw_status status = wait_fence(device, NULL);
  if (status != DW_OK && status != DW_LOST) return false;
  set_stuck(&device->queue, false);
  return true;
}

// ---- Jobs ------------------------------------------------------------------------------

static dw_status copy_staged(dw_vk_device *device, dw_vk_job *job, uint64_t done, uint64_t length) {
  dw_vk_buffer *staging = device->queue.staging;
  VkBuffer at_host = staging->parts[0].buffer, at_device = job->buffer->parts[0].buffer;
  unsigned char *bytes = (unsigned char *)job->bytes + done;
  dw_status status = dw_vk_commands_begin(device, job->error);
  if (status != DW_OK) return status;
  if (job->kind == DW_VK_UPLOAD) {
    memcpy(staging->buffer.host, bytes, length);
    const VkBufferCopy region = {.dstOffset = job->offset + done, .size = length};
    device->vk.vkCmdCopyBuffer(device->queue.commands, at_host, at_device, 1, &region);
  } else {
    const VkBufferCopy region = {.srcOffset = job->offset + done, .size = length};
    device->vk.vkCmdCopyBuffer(device->queue.commands, at_device, at_host, 1, &region);
  }
  status = dw_vk_commands_finish(device, job->error);
  if (status == DW_OK && job->kind == DW_VK_DOWNLOAD) memcpy(bytes, staging->buffer.host, length);
  return status;
}

static dw_status transfer(dw_vk_device *device, dw_vk_job *job) {
  dw_status status = DW_OK;
  if (!device->queue.staging) status = dw_vk_allocate_host(device, STAGING_BYTES, &device->queue.staging, job->error);
  for (uint64_t done = 0; status == DW_OK && done < job->size_bytes; done += STAGING_BYTES) {
    uint64_t rest = job->size_bytes - done;
    status = copy_staged(device, job, done, rest < STAGING_BYTES ? rest : STAGING_BYTES);
  }
  return status;
}

static dw_status zero(dw_vk_device *device, dw_vk_job *job) {
  dw_status status = dw_vk_commands_begin(device, job->error);
  if (status != DW_OK) return status;
  device->vk.vkCmdFillBuffer(device->queue.commands, job->buffer->parts[0].buffer, 0, VK_WHOLE_SIZE, 0);
  return dw_vk_commands_finish(device, job->error);
}

// LOST or DEVICE while the device cannot be used, else OK.
static dw_status usable(dw_vk_device *device, dw_error *error) {
  if (atomic_load(&device->queue.lost)) return dw_fail(error, DW_LOST, "the Vulkan device was lost");
  if (device->queue.stuck) // only this thread sets it
    return dw_fail(error, DW_DEVICE, "the Vulkan device has not come back from a run that took too long");
  return DW_OK;
}

static void do_job(dw_vk_device *device, dw_vk_job *job) {
  job->status = usable(device, job->error);
  if (job->status == DW_OK) job->status = job->kind == DW_VK_ZERO ? zero(device, job) : transfer(device, job);
}

dw_status dw_vk_queue_do(dw_vk_device *device, dw_vk_job *job) {
  dw_vk_queue *queue = &device->queue;
  if (pthread_equal(pthread_self(), queue->thread)) { // from a run's `done`
    do_job(device, job);
    return job->status;
  }
  pthread_mutex_lock(&queue->lock);
  *queue->jobs_end = job;
  queue->jobs_end = &job->next;
  pthread_cond_signal(&queue->wake);
  while (!job->finished) pthread_cond_wait(&queue->finished, &queue->lock);
  pthread_mutex_unlock(&queue->lock);
  return job->status;
}

// ---- Runs ------------------------------------------------------------------------------

void dw_vk_submit(dw_device *base, dw_run *run) {
  dw_vk_queue *queue = &dw_vk_device_of(base)->queue;
  run->next = NULL;
  pthread_mutex_lock(&queue->lock);
  *queue->runs_end = run;
  queue->runs_end = &run->next;
  pthread_cond_signal(&queue->wake);
  pthread_mutex_unlock(&queue->lock);
}

static void do_run(dw_vk_device *device, dw_run *run) {
  uint64_t begin_ns = now_ns();
  run->status = usable(device, &run->error);
  if (run->status == DW_OK) run->status = dw_vk_execute(device, run, &run->error);
  if (run->status == DW_NOMEM) { // a run ends well, cancelled, or by the device's fault
    run->status = DW_DEVICE;
    run->error.code = DW_DEVICE;
    run->error.message = dw_status_text(DW_DEVICE);
  }
  run->elapsed_ns = now_ns() - begin_ns;
  run->done(run); // the last that is known of it
}

// ---- The thread --------------------------------------------------------------------------

static dw_vk_job *take_job(dw_vk_queue *queue) {
  dw_vk_job *job = queue->jobs;
  if (!job) return NULL;
  queue->jobs = job->next;
  if (!queue->jobs) queue->jobs_end = &queue->jobs;
  return job;
}

static dw_run *take_run(dw_vk_queue *queue) {
  dw_run *run = queue->runs;
  if (!run) return NULL;
  queue->runs = run->next;
  if (!queue->runs) queue->runs_end = &queue->runs;
  return run;
}

static void *work(void *argument) {
  dw_vk_device *device = argument;
  dw_vk_queue *queue = &device->queue;
  pthread_mutex_lock(&queue->lock);
  for (;;) {
    while (!queue->jobs && !queue->runs && !queue->stopping && !queue->stuck)
      pthread_cond_wait(&queue->wake, &queue->lock);
    if (queue->stuck) { // ask once more, then answer for whoever waits
      pthread_mutex_unlock(&queue->lock);
      recover(device);
      pthread_mutex_lock(&queue->lock);
    }
    dw_vk_job *job = take_job(queue);
    dw_run *run = job ? NULL : take_run(queue);
    if (!job && !run && queue->stopping) break;
    pthread_mutex_unlock(&queue->lock);
    if (job) do_job(device, job);
    if (run) do_run(device, run);
    pthread_mutex_lock(&queue->lock);
    if (job) {
      job->finished = true;
      pthread_cond_broadcast(&queue->finished);
    }
  }
  pthread_mutex_unlock(&queue->lock);
  return NULL;
}

// ---- Open and close ------------------------------------------------------------------------

static dw_status open_commands(dw_vk_device *device, dw_error *error) {
  dw_vk_queue *queue = &device->queue;
  const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                        .queueFamilyIndex = device->family};
  VkResult result = device->vk.vkCreateCommandPool(device->handle, &pool, NULL, &queue->pool);
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkCreateCommandPool", result);
  const VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                .commandPool = queue->pool,
                                                .commandBufferCount = 1};
  result = device->vk.vkAllocateCommandBuffers(device->handle, &commands, &queue->commands);
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkAllocateCommandBuffers", result);
  const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  result = device->vk.vkCreateFence(device->handle, &fence, NULL, &queue->fence);
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkCreateFence", result);
  const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, DW_VK_SETS * DW_VK_BINDINGS};
  const VkDescriptorPoolCreateInfo descriptors = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                                  .maxSets = DW_VK_SETS,
                                                  .poolSizeCount = 1,
                                                  .pPoolSizes = &size};
  result = device->vk.vkCreateDescriptorPool(device->handle, &descriptors, NULL, &queue->descriptors);
  return result == VK_SUCCESS ? DW_OK : dw_vk_fail(error, "vkCreateDescriptorPool", result);
}

dw_status dw_vk_queue_open(dw_vk_device *device, dw_error *error) {
  dw_vk_queue *queue = &device->queue;
  dw_status status = open_commands(device, error);
  if (status != DW_OK) return status;
  queue->runs_end = &queue->runs;
  queue->jobs_end = &queue->jobs;
  pthread_mutex_init(&queue->lock, NULL);
  pthread_cond_init(&queue->wake, NULL);
  pthread_cond_init(&queue->finished, NULL);
  int failed = pthread_create(&queue->thread, NULL, work, device);
  if (failed) return dw_fail_errno(error, failed, "starting a thread");
  queue->started = true;
  return DW_OK;
}

bool dw_vk_queue_close(dw_vk_device *device) {
  dw_vk_queue *queue = &device->queue;
  if (queue->started) {
    pthread_mutex_lock(&queue->lock);
    queue->stopping = true;
    pthread_cond_signal(&queue->wake);
    pthread_mutex_unlock(&queue->lock);
    pthread_join(queue->thread, NULL);
    if (queue->stuck) return false;
    pthread_cond_destroy(&queue->finished);
    pthread_cond_destroy(&queue->wake);
    pthread_mutex_destroy(&queue->lock);
  }
  if (queue->scratch) dw_vk_buffer_free(queue->scratch);
  if (queue->staging) dw_vk_buffer_free(queue->staging);
  if (!device->vk.vkDestroyDescriptorPool) return true; // the logical device was not opened
  device->vk.vkDestroyDescriptorPool(device->handle, queue->descriptors, NULL);
  device->vk.vkDestroyFence(device->handle, queue->fence, NULL);
  device->vk.vkDestroyCommandPool(device->handle, queue->pool, NULL);
  return true;
}
