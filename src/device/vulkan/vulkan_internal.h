// Inside the Vulkan device: what its files share.
//
//   open.c      library, instance, physical device, logical device
//   memory.c    imports, allocations, transfers
//   mapping.c   may these bytes be imported?
//   queue.c     the thread that owns the queue: jobs, runs, waiting, time-outs
//   pipeline.c  WGSL to pipelines; the only file that needs the Rust crate
//   program.c   which programs this device takes
//   record.c    one run as commands
#ifndef DW_VULKAN_INTERNAL_H
#define DW_VULKAN_INTERNAL_H

#include "vk.h"
#include "vulkan.h"

#include <pthread.h>

typedef struct dw_vk_device dw_vk_device;
typedef struct dw_vk_buffer dw_vk_buffer;

typedef struct dw_vk_functions {
#define X(result, name, parameters) PFN_##name name;
  VK_GLOBAL_FUNCTIONS(X)
  VK_INSTANCE_FUNCTIONS(X)
  VK_DEBUG_FUNCTIONS(X)
  VK_DEVICE_FUNCTIONS(X)
#undef X
} dw_vk_functions;

// A memory object and a buffer over all of it.  The parts of one dw_vk_buffer
// overlap by what a binding may cover, so that every binding lies inside one.
typedef struct dw_vk_part {
  uint64_t begin, size_bytes;  // in the dw_vk_buffer
  VkDeviceMemory memory;
  VkBuffer buffer;
} dw_vk_part;

struct dw_vk_buffer {
  dw_buffer buffer;
  dw_vk_part *parts;
  uint32_t part_count;
  void *owner;
  dw_owner_release_fn release;
  uint64_t mapped_bytes;       // host memory of our own to unmap; 0: the owner's
  dw_vk_buffer *next;          // of those that wait for a stuck device
};

// The variants of kernels that exist.
enum {
  DW_VK_MATMUL_F32,
  DW_VK_MATMUL_F16,
  DW_VK_MATMUL_BF16,
  DW_VK_AXPBY_DENSE,
  DW_VK_AXPBY_STRIDED,
  DW_VK_PIPELINES
};

#define DW_VK_BINDINGS 3              // storage buffers of a kernel, at most
#define DW_VK_PUSH_BYTES 80           // of parameters; every driver has 128
#define DW_VK_SETS 256                // dispatches of one submission, at most

// A transfer, done by the queue's thread while its caller waits.
typedef struct dw_vk_job {
  enum { DW_VK_UPLOAD, DW_VK_DOWNLOAD, DW_VK_ZERO } kind;
  dw_vk_buffer *buffer;
  uint64_t offset, size_bytes;
  void *bytes;                 // upload only reads them
  bool finished;
  dw_status status;
  dw_error *error;
  struct dw_vk_job *next;
} dw_vk_job;

typedef struct dw_vk_queue {
  pthread_t thread;
  bool started;
  pthread_mutex_t lock;        // of the lists and flags
  pthread_cond_t wake;         // something to do
  pthread_cond_t finished;     // a job is
  dw_run *runs, **runs_end;
  dw_vk_job *jobs, **jobs_end;
  bool stopping;
  bool stuck;                  // a submission ran past its time and may still write
  dw_vk_buffer *held;          // released while stuck
  atomic_bool lost;
  // Of the thread alone:
  VkCommandPool pool;
  VkCommandBuffer commands;
  VkFence fence;
  VkDescriptorPool descriptors;
  dw_vk_buffer *scratch;       // temps of the run; runs are one after the other
  dw_vk_buffer *staging;       // between host and device memory
} dw_vk_queue;

struct dw_vk_device {
  dw_device device;
  dw_vulkan_options options;
  void *library;
  dw_vk_functions vk;
  VkInstance instance;
  VkDebugUtilsMessengerEXT messenger;
  VkPhysicalDevice physical;
  VkPhysicalDeviceType type;
  VkDevice handle;
  uint32_t family;
  VkQueue queue_handle;
  VkPhysicalDeviceMemoryProperties memory;
  bool validated;
  uint64_t import_alignment;   // of host pointers and sizes
  uint64_t offset_alignment;   // of bindings
  uint64_t range_bytes;        // of a binding, at most
  uint64_t part_bytes;         // of a memory object, at most
  uint32_t max_groups;         // of a dispatch in one direction
  uint64_t max_work;           // multiply-adds of one submission, about
  VkDescriptorSetLayout set_layout;
  VkPipelineLayout layout;
  pthread_mutex_t pipelines_lock;
  VkPipeline pipelines[DW_VK_PIPELINES];
  dw_vk_queue queue;
};

static inline dw_vk_device *dw_vk_device_of(dw_device *device) { return (dw_vk_device *)device; }

// Words for a Vulkan call that failed.  LOST, NOMEM or DEVICE.
dw_status dw_vk_fail(dw_error *error, const char *call, VkResult result);
const char *dw_vk_result_name(VkResult result);

// ---- memory.c ------------------------------------------------------------------------
dw_status dw_vk_import(dw_device *device, const dw_import_desc *desc, dw_buffer **buffer, dw_error *error);
dw_status dw_vk_allocate(dw_device *device, uint64_t size_bytes, dw_buffer **buffer, dw_error *error);
void dw_vk_release(dw_buffer *buffer);
dw_status dw_vk_upload(dw_buffer *buffer, uint64_t offset, const void *bytes, uint64_t size_bytes, dw_error *error);
dw_status dw_vk_download(dw_buffer *buffer, uint64_t offset, void *bytes, uint64_t size_bytes, dw_error *error);
// Zeroed memory that the CPU reaches, on every device.
dw_status dw_vk_allocate_host(dw_vk_device *device, uint64_t size_bytes, dw_vk_buffer **buffer, dw_error *error);
// Memory as programs' temps use it; its contents are undefined.
dw_status dw_vk_allocate_scratch(dw_vk_device *device, uint64_t size_bytes, dw_vk_buffer **buffer, dw_error *error);
// Gives everything back; nothing of the device may use it any more.
void dw_vk_buffer_free(dw_vk_buffer *buffer);
// The part in which [offset, offset + size) lies.
const dw_vk_part *dw_vk_buffer_part(const dw_vk_buffer *buffer, uint64_t offset, uint64_t size_bytes);

// ---- mapping.c -----------------------------------------------------------------------
// INVALID if the system says that some of the bytes cannot be read (or written).
dw_status dw_vk_mapping_check(const void *host, uint64_t size_bytes, bool readonly, dw_error *error);

// ---- queue.c -------------------------------------------------------------------------
dw_status dw_vk_queue_open(dw_vk_device *device, dw_error *error);
// Ends the thread.  False: the device is stuck, and what it uses must be left alone.
bool dw_vk_queue_close(dw_vk_device *device);
void dw_vk_submit(dw_device *device, dw_run *run);
dw_status dw_vk_queue_do(dw_vk_device *device, dw_vk_job *job);
// Only on the queue's thread: an empty command buffer, and its execution.
dw_status dw_vk_commands_begin(dw_vk_device *device, dw_error *error);
dw_status dw_vk_commands_finish(dw_vk_device *device, dw_error *error);

// ---- pipeline.c ----------------------------------------------------------------------
dw_status dw_vk_pipelines_open(dw_vk_device *device, dw_error *error);
void dw_vk_pipelines_close(dw_vk_device *device);
// Makes sure that device->pipelines[which] is there.
dw_status dw_vk_pipeline_need(dw_vk_device *device, uint32_t which, dw_error *error);

// ---- program.c and record.c ------------------------------------------------------------
dw_status dw_vk_compile(dw_device *device, const dw_program *program, dw_compiled **compiled, dw_error *error);
void dw_vk_discard(dw_device *device, dw_compiled *compiled);
// Only on the queue's thread: executes the run and waits for it.
dw_status dw_vk_execute(dw_vk_device *device, dw_run *run, dw_error *error);

#endif
