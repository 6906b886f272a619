// Opens the Vulkan library, picks a physical device that can wrap host memory,
// and makes the logical device.
#include "vulkan_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_EXTENSION "VK_EXT_external_memory_host"
#define ZERO_EXTENSION "VK_KHR_zero_initialize_workgroup_memory"
#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"
#define DEBUG_EXTENSION "VK_EXT_debug_utils"
#define INSTALLS "apt-get install mesa-vulkan-drivers libvulkan1"

// ---- Errors ---------------------------------------------------------------------------

const char *dw_vk_result_name(VkResult result) {
  switch (result) {
#define X(name, value) \
  case name:           \
    return #name;
    VK_RESULT_MAP(X)
#undef X
  }
  return "an error of its own";
}

dw_status dw_vk_fail(dw_error *error, const char *call, VkResult result) {
  bool memory = result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
                result == VK_ERROR_TOO_MANY_OBJECTS;
  dw_status status = result == VK_ERROR_DEVICE_LOST ? DW_LOST : memory ? DW_NOMEM : DW_DEVICE;
  return dw_fail(error, status, "%s: %s (%d)", call, dw_vk_result_name(result), result);
}

// ---- Library and instance ---------------------------------------------------------------

static dw_status missing_function(dw_error *error, const char *name) {
  return dw_fail(error, DW_UNSUPPORTED, "the Vulkan library lacks %s", name);
}

// Stays loaded once it was: drivers keep thread-local state whose destructors must not vanish.
static dw_status open_library(dw_vk_device *device, PFN_vkGetInstanceProcAddr *find, dw_error *error) {
  device->library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!device->library)
    return dw_fail(error, DW_UNSUPPORTED, "libvulkan.so.1 could not be opened; %s", INSTALLS);
  *(void **)find = dlsym(device->library, "vkGetInstanceProcAddr");
  if (!*find) return missing_function(error, "vkGetInstanceProcAddr");
#define X(result, name, parameters)                \
  device->vk.name = (PFN_##name)(*find)(NULL, #name); \
  if (!device->vk.name) return missing_function(error, #name);
  VK_GLOBAL_FUNCTIONS(X)
#undef X
  return DW_OK;
}

static bool layer_installed(const dw_vk_device *device) {
  uint32_t count = 0;
  if (device->vk.vkEnumerateInstanceLayerProperties(&count, NULL) != VK_SUCCESS || count == 0) return false;
  VkLayerProperties *layers = calloc(count, sizeof *layers);
  bool found = false;
  if (layers && device->vk.vkEnumerateInstanceLayerProperties(&count, layers) >= 0)
    for (uint32_t i = 0; i < count; i++) found |= strcmp(layers[i].layerName, VALIDATION_LAYER) == 0;
  free(layers);
  return found;
}

static VkBool32 take_message(int32_t severity, VkFlags types, const VkDebugUtilsMessengerCallbackDataEXT *data,
                             void *user) {
  (void)severity;
  (void)types;
  const dw_vulkan_options *options = user;
  options->on_validation(options->user, data->pMessage);
  return 0;
}

static dw_status open_messenger(dw_vk_device *device, dw_error *error) {
  const VkDebugUtilsMessengerCreateInfoEXT info = {
      .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
      .messageSeverity =
          VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
      .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
      .pfnUserCallback = take_message,
      .pUserData = &device->options};
  VkResult result = device->vk.vkCreateDebugUtilsMessengerEXT(device->instance, &info, NULL, &device->messenger);
  return result == VK_SUCCESS ? DW_OK : dw_vk_fail(error, "vkCreateDebugUtilsMessengerEXT", result);
}

static dw_status open_instance(dw_vk_device *device, PFN_vkGetInstanceProcAddr find, dw_error *error) {
  device->validated = device->options.on_validation && layer_installed(device);
  const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                         .pApplicationName = "driftwood",
                                         .apiVersion = VK_MAKE_VERSION(1, 3)};
  const char *layer = VALIDATION_LAYER, *extension = DEBUG_EXTENSION;
  const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                     .pApplicationInfo = &application,
                                     .enabledLayerCount = device->validated,
                                     .ppEnabledLayerNames = &layer,
                                     .enabledExtensionCount = device->validated,
                                     .ppEnabledExtensionNames = &extension};
  VkResult result = device->vk.vkCreateInstance(&info, NULL, &device->instance);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
    return dw_fail(error, DW_UNSUPPORTED, "no Vulkan driver is installed; %s", INSTALLS);
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkCreateInstance", result);
#define X(result, name, parameters)                               \
  device->vk.name = (PFN_##name)find(device->instance, #name);    \
  if (!device->vk.name) return missing_function(error, #name);
  VK_INSTANCE_FUNCTIONS(X)
  if (!device->validated) return DW_OK;
  VK_DEBUG_FUNCTIONS(X)
#undef X
  return open_messenger(device, error);
}

// ---- Physical device -----------------------------------------------------------------------

typedef struct candidate {
  VkPhysicalDevice physical;
  VkPhysicalDeviceProperties properties;
  uint64_t import_alignment, part_bytes;
  uint32_t family;
  const char *lacks;           // NULL: it can be used
} candidate;

static const char *lacking_extension(const dw_vk_device *device, VkPhysicalDevice physical) {
  uint32_t count = 0;
  bool host = false, zero = false;
  if (device->vk.vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL) != VK_SUCCESS) count = 0;
  VkExtensionProperties *all = calloc(count + 1, sizeof *all);
  if (all && device->vk.vkEnumerateDeviceExtensionProperties(physical, NULL, &count, all) >= 0)
    for (uint32_t i = 0; i < count; i++) {
      host |= strcmp(all[i].extensionName, HOST_EXTENSION) == 0;
      zero |= strcmp(all[i].extensionName, ZERO_EXTENSION) == 0;
    }
  free(all);
  return !host ? HOST_EXTENSION : !zero ? ZERO_EXTENSION : NULL;
}

static const char *lacking_feature(const dw_vk_device *device, VkPhysicalDevice physical) {
  VkPhysicalDeviceZeroInitializeWorkgroupMemoryFeatures zero = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ZERO_INITIALIZE_WORKGROUP_MEMORY_FEATURES};
  VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &zero};
  device->vk.vkGetPhysicalDeviceFeatures2(physical, &features);
  if (!zero.shaderZeroInitializeWorkgroupMemory) return "shaderZeroInitializeWorkgroupMemory";
  return features.features.robustBufferAccess ? NULL : "robustBufferAccess";
}

static const char *lacking_import(const dw_vk_device *device, VkPhysicalDevice physical) {
  const VkPhysicalDeviceExternalBufferInfo info = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
      .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
      .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT};
  VkExternalBufferProperties properties = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES};
  device->vk.vkGetPhysicalDeviceExternalBufferProperties(physical, &info, &properties);
  bool importable = properties.externalMemoryFeatures & VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT;
  return importable ? NULL : "storage buffers over host memory";
}

static const char *lacking_queue(const dw_vk_device *device, VkPhysicalDevice physical, uint32_t *family) {
  VkQueueFamilyProperties families[32];
  uint32_t count = 32;
  device->vk.vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
  for (*family = 0; *family < count; ++*family)
    if (families[*family].queueCount && families[*family].queueFlags & VK_QUEUE_COMPUTE_BIT) return NULL;
  return "a compute queue";
}

static candidate examine(const dw_vk_device *device, VkPhysicalDevice physical) {
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
  VkPhysicalDeviceMaintenance3Properties sizes = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
                                                  .pNext = &host};
  VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &sizes};
  device->vk.vkGetPhysicalDeviceProperties2(physical, &all);
  candidate of = {.physical = physical,
                  .properties = all.properties,
                  .import_alignment = host.minImportedHostPointerAlignment,
                  .part_bytes = sizes.maxMemoryAllocationSize};
  of.properties.deviceName[sizeof of.properties.deviceName - 1] = 0;
  const VkPhysicalDeviceLimits *limits = &all.properties.limits;
  of.lacks = lacking_extension(device, physical);
  if (all.properties.apiVersion < VK_MAKE_VERSION(1, 1)) of.lacks = "Vulkan 1.1";
  if (!of.lacks) of.lacks = lacking_feature(device, physical);
  if (!of.lacks) of.lacks = lacking_import(device, physical);
  if (!of.lacks) of.lacks = lacking_queue(device, physical, &of.family);
  if (!of.lacks && limits->minStorageBufferOffsetAlignment > DW_VIEW_ALIGNMENT) of.lacks = "bindings at 256 bytes";
  return of;
}

// The lower, the better.
static int rank_of(VkPhysicalDeviceType type) {
  static const int ranks[] = {[VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU] = 0,
                              [VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU] = 1,
                              [VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU] = 2,
                              [VK_PHYSICAL_DEVICE_TYPE_CPU] = 3,
                              [VK_PHYSICAL_DEVICE_TYPE_OTHER] = 4};
  return (size_t)type < sizeof ranks / sizeof *ranks ? ranks[type] : 4;
}

static dw_status choose(const dw_vk_device *device, candidate *best, dw_error *error) {
  VkPhysicalDevice all[16];
  uint32_t count = 16;
  VkResult result = device->vk.vkEnumeratePhysicalDevices(device->instance, &count, all);
  if (result < 0) return dw_vk_fail(error, "vkEnumeratePhysicalDevices", result);
  if (count == 0) return dw_fail(error, DW_UNSUPPORTED, "there is no Vulkan device; %s", INSTALLS);
  bool found = false;
  candidate refused = {0};
  for (uint32_t i = 0; i < count; i++) {
    candidate next = examine(device, all[i]);
    if (next.lacks) {
      refused = next;
    } else if (!found || rank_of(next.properties.deviceType) < rank_of(best->properties.deviceType)) {
      *best = next;
      found = true;
    }
  }
  if (found) return DW_OK;
  return dw_fail(error, DW_UNSUPPORTED, "the Vulkan device \"%s\" lacks %s", refused.properties.deviceName,
                 refused.lacks);
}

// ---- Logical device --------------------------------------------------------------------------

static uint64_t lower(uint64_t of_driver, uint64_t of_test) { return of_test && of_test < of_driver ? of_test : of_driver; }

static void take_limits(dw_vk_device *device, const candidate *from) {
  const VkPhysicalDeviceLimits *limits = &from->properties.limits;
  device->physical = from->physical;
  device->family = from->family;
  device->type = from->properties.deviceType;
  device->import_alignment = from->import_alignment;
  device->offset_alignment = limits->minStorageBufferOffsetAlignment;
  if (device->offset_alignment < 4) device->offset_alignment = 4; // F16 weights are read as words
  uint64_t page = device->import_alignment;
  device->part_bytes = lower(from->part_bytes, device->options.max_part_bytes) / page * page;
  // A binding must fit into where two parts overlap.
  device->range_bytes = lower(lower(limits->maxStorageBufferRange, device->options.max_range_bytes),
                              device->part_bytes / 2);
  device->max_groups = limits->maxComputeWorkGroupCount[0] < limits->maxComputeWorkGroupCount[1]
                           ? limits->maxComputeWorkGroupCount[0]
                           : limits->maxComputeWorkGroupCount[1];
  // A tenth of a second at most, or a second on a busy CPU: far below the time-out, and often enough to cancel.
  device->max_work = UINT64_C(1) << (device->type == VK_PHYSICAL_DEVICE_TYPE_CPU ? 26 : 32);
  bool unified = device->type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || device->type == VK_PHYSICAL_DEVICE_TYPE_CPU;
  device->device.unified = unified && !device->options.discrete;
  device->device.max_binding_bytes = device->part_bytes; // operators cut what one binding does not cover
  snprintf(device->device.name, sizeof device->device.name, "vulkan (%.84s)", from->properties.deviceName);
  device->vk.vkGetPhysicalDeviceMemoryProperties(device->physical, &device->memory);
}

static dw_status open_logical(dw_vk_device *device, dw_error *error) {
  const char *extensions[] = {HOST_EXTENSION, ZERO_EXTENSION};
  const float priority = 1;
  const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                         .queueFamilyIndex = device->family,
                                         .queueCount = 1,
                                         .pQueuePriorities = &priority};
  const VkPhysicalDeviceZeroInitializeWorkgroupMemoryFeatures zero = {
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ZERO_INITIALIZE_WORKGROUP_MEMORY_FEATURES,
      .shaderZeroInitializeWorkgroupMemory = 1};
  // Kernels stay inside their bindings; this makes the driver hold them to it.
  const VkPhysicalDeviceFeatures features = {.robustBufferAccess = 1};
  const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                   .pNext = &zero,
                                   .queueCreateInfoCount = 1,
                                   .pQueueCreateInfos = &queue,
                                   .enabledExtensionCount = 2,
                                   .ppEnabledExtensionNames = extensions,
                                   .pEnabledFeatures = &features};
  VkResult result = device->vk.vkCreateDevice(device->physical, &info, NULL, &device->handle);
  if (result != VK_SUCCESS) return dw_vk_fail(error, "vkCreateDevice", result);
#define X(result, name, parameters)                                                      \
  device->vk.name = (PFN_##name)device->vk.vkGetDeviceProcAddr(device->handle, #name);   \
  if (!device->vk.name) return missing_function(error, #name);
  VK_DEVICE_FUNCTIONS(X)
#undef X
  device->vk.vkGetDeviceQueue(device->handle, device->family, 0, &device->queue_handle);
  return DW_OK;
}

// ---- Open and close --------------------------------------------------------------------------

static void close_device(dw_device *base) {
  dw_vk_device *device = dw_vk_device_of(base);
  // A device that never came back may still write to what it was given: that
  // memory, and all that the driver needs for it, has to stay.
  if (!dw_vk_queue_close(device)) return;
  dw_vk_pipelines_close(device);
  if (device->vk.vkDestroyDevice) device->vk.vkDestroyDevice(device->handle, NULL);
  if (device->messenger) device->vk.vkDestroyDebugUtilsMessengerEXT(device->instance, device->messenger, NULL);
  if (device->vk.vkDestroyInstance) device->vk.vkDestroyInstance(device->instance, NULL);
  if (device->library) dlclose(device->library);
  pthread_mutex_destroy(&device->pipelines_lock);
  free(device);
}

static dw_status open_device(const dw_device_options *options, dw_device **answer, dw_error *error) {
  *answer = NULL;
  dw_vk_device *device = calloc(1, sizeof *device);
  if (!device) return dw_fail(error, DW_NOMEM, "a Vulkan device");
  device->device.class_ = &dw_device_vulkan;
  if (options && options->user) device->options = *(const dw_vulkan_options *)options->user;
  if (!device->options.timeout_ns) device->options.timeout_ns = UINT64_C(10000000000);
  pthread_mutex_init(&device->pipelines_lock, NULL);
  PFN_vkGetInstanceProcAddr find = NULL;
  candidate chosen = {0};
  dw_status status = open_library(device, &find, error);
  if (status == DW_OK) status = open_instance(device, find, error);
  if (status == DW_OK) status = choose(device, &chosen, error);
  if (status == DW_OK) {
    take_limits(device, &chosen);
    status = open_logical(device, error);
  }
  if (status == DW_OK) status = dw_vk_pipelines_open(device, error);
  if (status == DW_OK) status = dw_vk_queue_open(device, error);
  if (status == DW_OK) *answer = &device->device;
  else close_device(&device->device);
  return status;
}

bool dw_vulkan_is_cpu(const dw_device *device) {
  return ((const dw_vk_device *)device)->type == VK_PHYSICAL_DEVICE_TYPE_CPU;
}

bool dw_vulkan_is_validated(const dw_device *device) { return ((const dw_vk_device *)device)->validated; }

const dw_device_class dw_device_vulkan = {.name = "vulkan",
                                          .kind = DW_DEVICE_VULKAN,
                                          .open = open_device,
                                          .close = close_device,
                                          .import = dw_vk_import,
                                          .allocate = dw_vk_allocate,
                                          .release = dw_vk_release,
                                          .upload = dw_vk_upload,
                                          .download = dw_vk_download,
                                          .compile = dw_vk_compile,
                                          .discard = dw_vk_discard,
                                          .submit = dw_vk_submit};
