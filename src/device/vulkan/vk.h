// vk.h: what this device uses of Vulkan, and no more.
//
// Names, values and layouts are those of the Vulkan specification (1.3, with
// VK_EXT_external_memory_host and VK_EXT_debug_utils); having them here means
// that no Vulkan header is needed to build.  The library is opened at run time,
// so functions are types here and pointers in a table (vulkan_internal.h).
#ifndef DW_VULKAN_VK_H
#define DW_VULKAN_VK_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t VkBool32;
typedef uint32_t VkFlags;
typedef uint64_t VkDeviceSize;
typedef int32_t VkResult;
typedef int32_t VkStructureType;

typedef struct VkInstance_T *VkInstance;
typedef struct VkPhysicalDevice_T *VkPhysicalDevice;
typedef struct VkDevice_T *VkDevice;
typedef struct VkQueue_T *VkQueue;
typedef struct VkCommandBuffer_T *VkCommandBuffer;

// Handles that are not dispatchable are pointers on 64-bit machines only.
#if UINTPTR_MAX < UINT64_MAX
#error "the Vulkan device is for 64-bit hosts"
#endif
typedef struct VkDeviceMemory_T *VkDeviceMemory;
typedef struct VkBuffer_T *VkBuffer;
typedef struct VkFence_T *VkFence;
typedef struct VkCommandPool_T *VkCommandPool;
typedef struct VkShaderModule_T *VkShaderModule;
typedef struct VkPipeline_T *VkPipeline;
typedef struct VkPipelineLayout_T *VkPipelineLayout;
typedef struct VkPipelineCache_T *VkPipelineCache;
typedef struct VkDescriptorSetLayout_T *VkDescriptorSetLayout;
typedef struct VkDescriptorPool_T *VkDescriptorPool;
typedef struct VkDescriptorSet_T *VkDescriptorSet;
typedef struct VkDebugUtilsMessengerEXT_T *VkDebugUtilsMessengerEXT;

// ---- Numbers -----------------------------------------------------------------------

#define VK_MAKE_VERSION(major, minor) ((uint32_t)(major) << 22 | (uint32_t)(minor) << 12)
#define VK_WHOLE_SIZE (~UINT64_C(0))

// name, value
#define VK_RESULT_MAP(X)                     \
  X(VK_SUCCESS, 0)                           \
  X(VK_NOT_READY, 1)                         \
  X(VK_TIMEOUT, 2)                           \
  X(VK_INCOMPLETE, 5)                        \
  X(VK_ERROR_OUT_OF_HOST_MEMORY, -1)         \
  X(VK_ERROR_OUT_OF_DEVICE_MEMORY, -2)       \
  X(VK_ERROR_INITIALIZATION_FAILED, -3)      \
  X(VK_ERROR_DEVICE_LOST, -4)                \
  X(VK_ERROR_MEMORY_MAP_FAILED, -5)          \
  X(VK_ERROR_LAYER_NOT_PRESENT, -6)          \
  X(VK_ERROR_EXTENSION_NOT_PRESENT, -7)      \
  X(VK_ERROR_FEATURE_NOT_PRESENT, -8)        \
  X(VK_ERROR_INCOMPATIBLE_DRIVER, -9)        \
  X(VK_ERROR_TOO_MANY_OBJECTS, -10)          \
  X(VK_ERROR_FRAGMENTED_POOL, -12)           \
  X(VK_ERROR_UNKNOWN, -13)                   \
  X(VK_ERROR_OUT_OF_POOL_MEMORY, -1000069000) \
  X(VK_ERROR_INVALID_EXTERNAL_HANDLE, -1000072003)

enum {
#define X(name, value) name = value,
  VK_RESULT_MAP(X)
#undef X
};

enum {
  VK_STRUCTURE_TYPE_APPLICATION_INFO = 0,
  VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO = 1,
  VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO = 2,
  VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO = 3,
  VK_STRUCTURE_TYPE_SUBMIT_INFO = 4,
  VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO = 5,
  VK_STRUCTURE_TYPE_FENCE_CREATE_INFO = 8,
  VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO = 12,
  VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO = 16,
  VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO = 18,
  VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO = 29,
  VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO = 30,
  VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO = 32,
  VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO = 33,
  VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO = 34,
  VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET = 35,
  VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO = 39,
  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO = 40,
  VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO = 42,
  VK_STRUCTURE_TYPE_MEMORY_BARRIER = 46,
  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 = 1000059000,
  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2 = 1000059001,
  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO = 1000071002,
  VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES = 1000071003,
  VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO = 1000072000,
  VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT = 1000128004,
  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES = 1000168000,
  VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT = 1000178000,
  VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT = 1000178001,
  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT = 1000178002,
  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ZERO_INITIALIZE_WORKGROUP_MEMORY_FEATURES = 1000325000
};

typedef enum VkPhysicalDeviceType {
  VK_PHYSICAL_DEVICE_TYPE_OTHER = 0,
  VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU = 1,
  VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU = 2,
  VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU = 3,
  VK_PHYSICAL_DEVICE_TYPE_CPU = 4
} VkPhysicalDeviceType;

enum {
  VK_QUEUE_COMPUTE_BIT = 2,
  VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT = 1,
  VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT = 2,
  VK_MEMORY_PROPERTY_HOST_COHERENT_BIT = 4,
  VK_BUFFER_USAGE_TRANSFER_SRC_BIT = 1,
  VK_BUFFER_USAGE_TRANSFER_DST_BIT = 2,
  VK_BUFFER_USAGE_STORAGE_BUFFER_BIT = 0x20,
  VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT = 0x80,
  VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT = 4,
  VK_SHADER_STAGE_COMPUTE_BIT = 0x20,
  VK_DESCRIPTOR_TYPE_STORAGE_BUFFER = 7,
  VK_PIPELINE_BIND_POINT_COMPUTE = 1,
  VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT = 1,
  VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT = 0x800,
  VK_PIPELINE_STAGE_TRANSFER_BIT = 0x1000,
  VK_PIPELINE_STAGE_HOST_BIT = 0x4000,
  VK_ACCESS_SHADER_READ_BIT = 0x20,
  VK_ACCESS_SHADER_WRITE_BIT = 0x40,
  VK_ACCESS_TRANSFER_READ_BIT = 0x800,
  VK_ACCESS_TRANSFER_WRITE_BIT = 0x1000,
  VK_ACCESS_HOST_READ_BIT = 0x2000,
  VK_ACCESS_HOST_WRITE_BIT = 0x4000,
  VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT = 0x100,
  VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT = 0x1000,
  VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT = 2
};

// ---- Instance and physical device -----------------------------------------------------

typedef struct VkApplicationInfo {
  VkStructureType sType;
  const void *pNext;
  const char *pApplicationName;
  uint32_t applicationVersion;
  const char *pEngineName;
  uint32_t engineVersion;
  uint32_t apiVersion;
} VkApplicationInfo;

typedef struct VkInstanceCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  const VkApplicationInfo *pApplicationInfo;
  uint32_t enabledLayerCount;
  const char *const *ppEnabledLayerNames;
  uint32_t enabledExtensionCount;
  const char *const *ppEnabledExtensionNames;
} VkInstanceCreateInfo;

typedef struct VkLayerProperties {
  char layerName[256];
  uint32_t specVersion;
  uint32_t implementationVersion;
  char description[256];
} VkLayerProperties;

typedef struct VkExtensionProperties {
  char extensionName[256];
  uint32_t specVersion;
} VkExtensionProperties;

typedef struct VkPhysicalDeviceLimits {
  uint32_t maxImageDimension1D, maxImageDimension2D, maxImageDimension3D, maxImageDimensionCube;
  uint32_t maxImageArrayLayers, maxTexelBufferElements, maxUniformBufferRange, maxStorageBufferRange;
  uint32_t maxPushConstantsSize, maxMemoryAllocationCount, maxSamplerAllocationCount;
  VkDeviceSize bufferImageGranularity, sparseAddressSpaceSize;
  uint32_t maxBoundDescriptorSets;
  uint32_t maxPerStageDescriptorSamplers, maxPerStageDescriptorUniformBuffers;
  uint32_t maxPerStageDescriptorStorageBuffers, maxPerStageDescriptorSampledImages;
  uint32_t maxPerStageDescriptorStorageImages, maxPerStageDescriptorInputAttachments, maxPerStageResources;
  uint32_t maxDescriptorSetSamplers, maxDescriptorSetUniformBuffers, maxDescriptorSetUniformBuffersDynamic;
  uint32_t maxDescriptorSetStorageBuffers, maxDescriptorSetStorageBuffersDynamic;
  uint32_t maxDescriptorSetSampledImages, maxDescriptorSetStorageImages, maxDescriptorSetInputAttachments;
  uint32_t maxVertexInputAttributes, maxVertexInputBindings, maxVertexInputAttributeOffset;
  uint32_t maxVertexInputBindingStride, maxVertexOutputComponents;
  uint32_t maxTessellationGenerationLevel, maxTessellationPatchSize;
  uint32_t maxTessellationControlPerVertexInputComponents, maxTessellationControlPerVertexOutputComponents;
  uint32_t maxTessellationControlPerPatchOutputComponents, maxTessellationControlTotalOutputComponents;
  uint32_t maxTessellationEvaluationInputComponents, maxTessellationEvaluationOutputComponents;
  uint32_t maxGeometryShaderInvocations, maxGeometryInputComponents, maxGeometryOutputComponents;
  uint32_t maxGeometryOutputVertices, maxGeometryTotalOutputComponents;
  uint32_t maxFragmentInputComponents, maxFragmentOutputAttachments, maxFragmentDualSrcAttachments;
  uint32_t maxFragmentCombinedOutputResources;
  uint32_t maxComputeSharedMemorySize, maxComputeWorkGroupCount[3];
  uint32_t maxComputeWorkGroupInvocations, maxComputeWorkGroupSize[3];
  uint32_t subPixelPrecisionBits, subTexelPrecisionBits, mipmapPrecisionBits;
  uint32_t maxDrawIndexedIndexValue, maxDrawIndirectCount;
  float maxSamplerLodBias, maxSamplerAnisotropy;
  uint32_t maxViewports, maxViewportDimensions[2];
  float viewportBoundsRange[2];
  uint32_t viewportSubPixelBits;
  size_t minMemoryMapAlignment;
  VkDeviceSize minTexelBufferOffsetAlignment, minUniformBufferOffsetAlignment, minStorageBufferOffsetAlignment;
  int32_t minTexelOffset;
  uint32_t maxTexelOffset;
  int32_t minTexelGatherOffset;
  uint32_t maxTexelGatherOffset;
  float minInterpolationOffset, maxInterpolationOffset;
  uint32_t subPixelInterpolationOffsetBits;
  uint32_t maxFramebufferWidth, maxFramebufferHeight, maxFramebufferLayers;
  VkFlags framebufferColorSampleCounts, framebufferDepthSampleCounts, framebufferStencilSampleCounts;
  VkFlags framebufferNoAttachmentsSampleCounts;
  uint32_t maxColorAttachments;
  VkFlags sampledImageColorSampleCounts, sampledImageIntegerSampleCounts, sampledImageDepthSampleCounts;
  VkFlags sampledImageStencilSampleCounts, storageImageSampleCounts;
  uint32_t maxSampleMaskWords;
  VkBool32 timestampComputeAndGraphics;
  float timestampPeriod;
  uint32_t maxClipDistances, maxCullDistances, maxCombinedClipAndCullDistances, discreteQueuePriorities;
  float pointSizeRange[2], lineWidthRange[2], pointSizeGranularity, lineWidthGranularity;
  VkBool32 strictLines, standardSampleLocations;
  VkDeviceSize optimalBufferCopyOffsetAlignment, optimalBufferCopyRowPitchAlignment, nonCoherentAtomSize;
} VkPhysicalDeviceLimits;

typedef struct VkPhysicalDeviceProperties {
  uint32_t apiVersion, driverVersion, vendorID, deviceID;
  VkPhysicalDeviceType deviceType;
  char deviceName[256];
  uint8_t pipelineCacheUUID[16];
  VkPhysicalDeviceLimits limits;
  VkBool32 sparseProperties[5];
} VkPhysicalDeviceProperties;

typedef struct VkPhysicalDeviceProperties2 {
  VkStructureType sType;
  void *pNext;
  VkPhysicalDeviceProperties properties;
} VkPhysicalDeviceProperties2;

typedef struct VkPhysicalDeviceMaintenance3Properties {
  VkStructureType sType;
  void *pNext;
  uint32_t maxPerSetDescriptors;
  VkDeviceSize maxMemoryAllocationSize;
} VkPhysicalDeviceMaintenance3Properties;

typedef struct VkPhysicalDeviceExternalMemoryHostPropertiesEXT {
  VkStructureType sType;
  void *pNext;
  VkDeviceSize minImportedHostPointerAlignment;
} VkPhysicalDeviceExternalMemoryHostPropertiesEXT;

typedef struct VkPhysicalDeviceFeatures {
  VkBool32 robustBufferAccess;
  VkBool32 others[54];         // none of them is asked for
} VkPhysicalDeviceFeatures;

typedef struct VkPhysicalDeviceFeatures2 {
  VkStructureType sType;
  void *pNext;
  VkPhysicalDeviceFeatures features;
} VkPhysicalDeviceFeatures2;

typedef struct VkPhysicalDeviceZeroInitializeWorkgroupMemoryFeatures {
  VkStructureType sType;
  void *pNext;
  VkBool32 shaderZeroInitializeWorkgroupMemory;
} VkPhysicalDeviceZeroInitializeWorkgroupMemoryFeatures;

typedef struct VkQueueFamilyProperties {
  VkFlags queueFlags;
  uint32_t queueCount;
  uint32_t timestampValidBits;
  uint32_t minImageTransferGranularity[3];
} VkQueueFamilyProperties;

typedef struct VkMemoryType {
  VkFlags propertyFlags;
  uint32_t heapIndex;
} VkMemoryType;

typedef struct VkMemoryHeap {
  VkDeviceSize size;
  VkFlags flags;
} VkMemoryHeap;

typedef struct VkPhysicalDeviceMemoryProperties {
  uint32_t memoryTypeCount;
  VkMemoryType memoryTypes[32];
  uint32_t memoryHeapCount;
  VkMemoryHeap memoryHeaps[16];
} VkPhysicalDeviceMemoryProperties;

typedef struct VkPhysicalDeviceExternalBufferInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  VkFlags usage;
  VkFlags handleType;
} VkPhysicalDeviceExternalBufferInfo;

typedef struct VkExternalBufferProperties {
  VkStructureType sType;
  void *pNext;
  VkFlags externalMemoryFeatures, exportFromImportedHandleTypes, compatibleHandleTypes;
} VkExternalBufferProperties;

// ---- Device, memory, buffers -----------------------------------------------------------

typedef struct VkDeviceQueueCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  uint32_t queueFamilyIndex;
  uint32_t queueCount;
  const float *pQueuePriorities;
} VkDeviceQueueCreateInfo;

typedef struct VkDeviceCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  uint32_t queueCreateInfoCount;
  const VkDeviceQueueCreateInfo *pQueueCreateInfos;
  uint32_t enabledLayerCount;
  const char *const *ppEnabledLayerNames;
  uint32_t enabledExtensionCount;
  const char *const *ppEnabledExtensionNames;
  const VkPhysicalDeviceFeatures *pEnabledFeatures;
} VkDeviceCreateInfo;

typedef struct VkMemoryAllocateInfo {
  VkStructureType sType;
  const void *pNext;
  VkDeviceSize allocationSize;
  uint32_t memoryTypeIndex;
} VkMemoryAllocateInfo;

typedef struct VkImportMemoryHostPointerInfoEXT {
  VkStructureType sType;
  const void *pNext;
  VkFlags handleType;
  void *pHostPointer;
} VkImportMemoryHostPointerInfoEXT;

typedef struct VkMemoryHostPointerPropertiesEXT {
  VkStructureType sType;
  void *pNext;
  uint32_t memoryTypeBits;
} VkMemoryHostPointerPropertiesEXT;

typedef struct VkMemoryRequirements {
  VkDeviceSize size;
  VkDeviceSize alignment;
  uint32_t memoryTypeBits;
} VkMemoryRequirements;

typedef struct VkExternalMemoryBufferCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags handleTypes;
} VkExternalMemoryBufferCreateInfo;

typedef struct VkBufferCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  VkDeviceSize size;
  VkFlags usage;
  int32_t sharingMode;         // 0: exclusive
  uint32_t queueFamilyIndexCount;
  const uint32_t *pQueueFamilyIndices;
} VkBufferCreateInfo;

typedef struct VkBufferCopy {
  VkDeviceSize srcOffset, dstOffset, size;
} VkBufferCopy;

// ---- Shaders, pipelines, descriptors ---------------------------------------------------

typedef struct VkShaderModuleCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  size_t codeSize;             // bytes
  const uint32_t *pCode;
} VkShaderModuleCreateInfo;

typedef struct VkPipelineShaderStageCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  VkFlags stage;
  VkShaderModule module;
  const char *pName;
  const void *pSpecializationInfo;
} VkPipelineShaderStageCreateInfo;

typedef struct VkComputePipelineCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  VkPipelineShaderStageCreateInfo stage;
  VkPipelineLayout layout;
  VkPipeline basePipelineHandle;
  int32_t basePipelineIndex;
} VkComputePipelineCreateInfo;

typedef struct VkPushConstantRange {
  VkFlags stageFlags;
  uint32_t offset;
  uint32_t size;
} VkPushConstantRange;

typedef struct VkPipelineLayoutCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  uint32_t setLayoutCount;
  const VkDescriptorSetLayout *pSetLayouts;
  uint32_t pushConstantRangeCount;
  const VkPushConstantRange *pPushConstantRanges;
} VkPipelineLayoutCreateInfo;

typedef struct VkDescriptorSetLayoutBinding {
  uint32_t binding;
  int32_t descriptorType;
  uint32_t descriptorCount;
  VkFlags stageFlags;
  const void *pImmutableSamplers;
} VkDescriptorSetLayoutBinding;

typedef struct VkDescriptorSetLayoutCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  uint32_t bindingCount;
  const VkDescriptorSetLayoutBinding *pBindings;
} VkDescriptorSetLayoutCreateInfo;

typedef struct VkDescriptorPoolSize {
  int32_t type;
  uint32_t descriptorCount;
} VkDescriptorPoolSize;

typedef struct VkDescriptorPoolCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  uint32_t maxSets;
  uint32_t poolSizeCount;
  const VkDescriptorPoolSize *pPoolSizes;
} VkDescriptorPoolCreateInfo;

typedef struct VkDescriptorSetAllocateInfo {
  VkStructureType sType;
  const void *pNext;
  VkDescriptorPool descriptorPool;
  uint32_t descriptorSetCount;
  const VkDescriptorSetLayout *pSetLayouts;
} VkDescriptorSetAllocateInfo;

typedef struct VkDescriptorBufferInfo {
  VkBuffer buffer;
  VkDeviceSize offset;
  VkDeviceSize range;
} VkDescriptorBufferInfo;

typedef struct VkWriteDescriptorSet {
  VkStructureType sType;
  const void *pNext;
  VkDescriptorSet dstSet;
  uint32_t dstBinding;
  uint32_t dstArrayElement;
  uint32_t descriptorCount;
  int32_t descriptorType;
  const void *pImageInfo;
  const VkDescriptorBufferInfo *pBufferInfo;
  const void *pTexelBufferView;
} VkWriteDescriptorSet;

// ---- Commands ---------------------------------------------------------------------------

typedef struct VkCommandPoolCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  uint32_t queueFamilyIndex;
} VkCommandPoolCreateInfo;

typedef struct VkCommandBufferAllocateInfo {
  VkStructureType sType;
  const void *pNext;
  VkCommandPool commandPool;
  int32_t level;               // 0: primary
  uint32_t commandBufferCount;
} VkCommandBufferAllocateInfo;

typedef struct VkCommandBufferBeginInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  const void *pInheritanceInfo;
} VkCommandBufferBeginInfo;

typedef struct VkMemoryBarrier {
  VkStructureType sType;
  const void *pNext;
  VkFlags srcAccessMask;
  VkFlags dstAccessMask;
} VkMemoryBarrier;

typedef struct VkSubmitInfo {
  VkStructureType sType;
  const void *pNext;
  uint32_t waitSemaphoreCount;
  const void *pWaitSemaphores;
  const VkFlags *pWaitDstStageMask;
  uint32_t commandBufferCount;
  const VkCommandBuffer *pCommandBuffers;
  uint32_t signalSemaphoreCount;
  const void *pSignalSemaphores;
} VkSubmitInfo;

typedef struct VkFenceCreateInfo {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
} VkFenceCreateInfo;

// ---- Messages of the validation layers ----------------------------------------------------

typedef struct VkDebugUtilsMessengerCallbackDataEXT {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  const char *pMessageIdName;
  int32_t messageIdNumber;
  const char *pMessage;
  uint32_t queueLabelCount;
  const void *pQueueLabels;
  uint32_t cmdBufLabelCount;
  const void *pCmdBufLabels;
  uint32_t objectCount;
  const void *pObjects;
} VkDebugUtilsMessengerCallbackDataEXT;

typedef VkBool32 (*PFN_vkDebugUtilsMessengerCallbackEXT)(int32_t severity, VkFlags types,
                                                         const VkDebugUtilsMessengerCallbackDataEXT *data, void *user);

typedef struct VkDebugUtilsMessengerCreateInfoEXT {
  VkStructureType sType;
  const void *pNext;
  VkFlags flags;
  VkFlags messageSeverity;
  VkFlags messageType;
  PFN_vkDebugUtilsMessengerCallbackEXT pfnUserCallback;
  void *pUserData;
} VkDebugUtilsMessengerCreateInfoEXT;

// ---- Functions ----------------------------------------------------------------------------
// result, name, parameters.  `const void *` in last place but one is an allocator: always NULL here.

typedef void (*PFN_vkVoidFunction)(void);
typedef PFN_vkVoidFunction (*PFN_vkGetInstanceProcAddr)(VkInstance instance, const char *name);
typedef PFN_vkVoidFunction (*PFN_vkGetDeviceProcAddr)(VkDevice device, const char *name);

#define VK_GLOBAL_FUNCTIONS(X)                                                                              \
  X(VkResult, vkEnumerateInstanceVersion, (uint32_t * version))                                             \
  X(VkResult, vkEnumerateInstanceLayerProperties, (uint32_t * count, VkLayerProperties * layers))           \
  X(VkResult, vkCreateInstance, (const VkInstanceCreateInfo *info, const void *, VkInstance *instance))

#define VK_INSTANCE_FUNCTIONS(X)                                                                            \
  X(void, vkDestroyInstance, (VkInstance instance, const void *))                                           \
  X(VkResult, vkEnumeratePhysicalDevices, (VkInstance instance, uint32_t * count, VkPhysicalDevice * all))  \
  X(void, vkGetPhysicalDeviceProperties2, (VkPhysicalDevice physical, VkPhysicalDeviceProperties2 * all))   \
  X(void, vkGetPhysicalDeviceFeatures2, (VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 * all))       \
  X(void, vkGetPhysicalDeviceMemoryProperties,                                                              \
    (VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties * all))                                    \
  X(void, vkGetPhysicalDeviceQueueFamilyProperties,                                                         \
    (VkPhysicalDevice physical, uint32_t * count, VkQueueFamilyProperties * all))                           \
  X(void, vkGetPhysicalDeviceExternalBufferProperties,                                                      \
    (VkPhysicalDevice physical, const VkPhysicalDeviceExternalBufferInfo *info,                             \
     VkExternalBufferProperties *properties))                                                               \
  X(VkResult, vkEnumerateDeviceExtensionProperties,                                                         \
    (VkPhysicalDevice physical, const char *layer, uint32_t *count, VkExtensionProperties *all))            \
  X(VkResult, vkCreateDevice,                                                                               \
    (VkPhysicalDevice physical, const VkDeviceCreateInfo *info, const void *, VkDevice *device))            \
  X(PFN_vkVoidFunction, vkGetDeviceProcAddr, (VkDevice device, const char *name))

#define VK_DEBUG_FUNCTIONS(X)                                                                               \
  X(VkResult, vkCreateDebugUtilsMessengerEXT,                                                               \
    (VkInstance instance, const VkDebugUtilsMessengerCreateInfoEXT *info, const void *,                     \
     VkDebugUtilsMessengerEXT *messenger))                                                                  \
  X(void, vkDestroyDebugUtilsMessengerEXT, (VkInstance instance, VkDebugUtilsMessengerEXT messenger, const void *))

#define VK_DEVICE_FUNCTIONS(X)                                                                              \
  X(void, vkDestroyDevice, (VkDevice device, const void *))                                                 \
  X(void, vkGetDeviceQueue, (VkDevice device, uint32_t family, uint32_t index, VkQueue *queue))             \
  X(VkResult, vkAllocateMemory,                                                                             \
    (VkDevice device, const VkMemoryAllocateInfo *info, const void *, VkDeviceMemory *memory))              \
  X(void, vkFreeMemory, (VkDevice device, VkDeviceMemory memory, const void *))                             \
  X(VkResult, vkMapMemory,                                                                                  \
    (VkDevice device, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size, VkFlags flags, void **data)) \
  X(void, vkUnmapMemory, (VkDevice device, VkDeviceMemory memory))                                          \
  X(VkResult, vkGetMemoryHostPointerPropertiesEXT,                                                          \
    (VkDevice device, VkFlags handle_type, const void *pointer, VkMemoryHostPointerPropertiesEXT *properties)) \
  X(VkResult, vkCreateBuffer, (VkDevice device, const VkBufferCreateInfo *info, const void *, VkBuffer *buffer)) \
  X(void, vkDestroyBuffer, (VkDevice device, VkBuffer buffer, const void *))                                \
  X(void, vkGetBufferMemoryRequirements, (VkDevice device, VkBuffer buffer, VkMemoryRequirements *requirements)) \
  X(VkResult, vkBindBufferMemory, (VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset)) \
  X(VkResult, vkCreateShaderModule,                                                                         \
    (VkDevice device, const VkShaderModuleCreateInfo *info, const void *, VkShaderModule *module))          \
  X(void, vkDestroyShaderModule, (VkDevice device, VkShaderModule module, const void *))                    \
  X(VkResult, vkCreateDescriptorSetLayout,                                                                  \
    (VkDevice device, const VkDescriptorSetLayoutCreateInfo *info, const void *, VkDescriptorSetLayout *layout)) \
  X(void, vkDestroyDescriptorSetLayout, (VkDevice device, VkDescriptorSetLayout layout, const void *))      \
  X(VkResult, vkCreatePipelineLayout,                                                                       \
    (VkDevice device, const VkPipelineLayoutCreateInfo *info, const void *, VkPipelineLayout *layout))      \
  X(void, vkDestroyPipelineLayout, (VkDevice device, VkPipelineLayout layout, const void *))                \
  X(VkResult, vkCreateComputePipelines,                                                                     \
    (VkDevice device, VkPipelineCache cache, uint32_t count, const VkComputePipelineCreateInfo *infos,      \
     const void *, VkPipeline *pipelines))                                                                  \
  X(void, vkDestroyPipeline, (VkDevice device, VkPipeline pipeline, const void *))                          \
  X(VkResult, vkCreateDescriptorPool,                                                                       \
    (VkDevice device, const VkDescriptorPoolCreateInfo *info, const void *, VkDescriptorPool *pool))        \
  X(void, vkDestroyDescriptorPool, (VkDevice device, VkDescriptorPool pool, const void *))                  \
  X(VkResult, vkResetDescriptorPool, (VkDevice device, VkDescriptorPool pool, VkFlags flags))               \
  X(VkResult, vkAllocateDescriptorSets,                                                                     \
    (VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *sets))                      \
  X(void, vkUpdateDescriptorSets,                                                                           \
    (VkDevice device, uint32_t write_count, const VkWriteDescriptorSet *writes, uint32_t copy_count,        \
     const void *copies))                                                                                   \
  X(VkResult, vkCreateCommandPool,                                                                          \
    (VkDevice device, const VkCommandPoolCreateInfo *info, const void *, VkCommandPool *pool))              \
  X(void, vkDestroyCommandPool, (VkDevice device, VkCommandPool pool, const void *))                        \
  X(VkResult, vkResetCommandPool, (VkDevice device, VkCommandPool pool, VkFlags flags))                     \
  X(VkResult, vkAllocateCommandBuffers,                                                                     \
    (VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *buffers))                   \
  X(VkResult, vkBeginCommandBuffer, (VkCommandBuffer commands, const VkCommandBufferBeginInfo *info))       \
  X(VkResult, vkEndCommandBuffer, (VkCommandBuffer commands))                                               \
  X(VkResult, vkCreateFence, (VkDevice device, const VkFenceCreateInfo *info, const void *, VkFence *fence)) \
  X(void, vkDestroyFence, (VkDevice device, VkFence fence, const void *))                                   \
  X(VkResult, vkResetFences, (VkDevice device, uint32_t count, const VkFence *fences))                      \
  X(VkResult, vkWaitForFences,                                                                              \
    (VkDevice device, uint32_t count, const VkFence *fences, VkBool32 all, uint64_t timeout_ns))            \
  X(VkResult, vkQueueSubmit, (VkQueue queue, uint32_t count, const VkSubmitInfo *submits, VkFence fence))   \
  X(void, vkCmdBindPipeline, (VkCommandBuffer commands, int32_t bind_point, VkPipeline pipeline))           \
  X(void, vkCmdBindDescriptorSets,                                                                          \
    (VkCommandBuffer commands, int32_t bind_point, VkPipelineLayout layout, uint32_t first, uint32_t count, \
     const VkDescriptorSet *sets, uint32_t dynamic_count, const uint32_t *dynamic))                         \
  X(void, vkCmdPushConstants,                                                                               \
    (VkCommandBuffer commands, VkPipelineLayout layout, VkFlags stages, uint32_t offset, uint32_t size,     \
     const void *values))                                                                                   \
  X(void, vkCmdDispatch, (VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z))                    \
  X(void, vkCmdCopyBuffer,                                                                                  \
    (VkCommandBuffer commands, VkBuffer from, VkBuffer to, uint32_t count, const VkBufferCopy *regions))    \
  X(void, vkCmdFillBuffer,                                                                                  \
    (VkCommandBuffer commands, VkBuffer buffer, VkDeviceSize offset, VkDeviceSize size, uint32_t word))     \
  X(void, vkCmdPipelineBarrier,                                                                             \
    (VkCommandBuffer commands, VkFlags from_stages, VkFlags to_stages, VkFlags dependency,                  \
     uint32_t memory_count, const VkMemoryBarrier *memory, uint32_t buffer_count, const void *buffers,      \
     uint32_t image_count, const void *images))

#define X(result, name, parameters) typedef result(*PFN_##name) parameters;
VK_GLOBAL_FUNCTIONS(X)
VK_INSTANCE_FUNCTIONS(X)
VK_DEBUG_FUNCTIONS(X)
VK_DEVICE_FUNCTIONS(X)
#undef X

// ---- Layout, as the C ABI of 64-bit systems gives it ----------------------------------------

#define VK_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
VK_ASSERT_SIZE(VkApplicationInfo, 48);
VK_ASSERT_SIZE(VkInstanceCreateInfo, 64);
VK_ASSERT_SIZE(VkLayerProperties, 520);
VK_ASSERT_SIZE(VkExtensionProperties, 260);
VK_ASSERT_SIZE(VkPhysicalDeviceLimits, 504);
VK_ASSERT_SIZE(VkPhysicalDeviceProperties, 824);
VK_ASSERT_SIZE(VkPhysicalDeviceProperties2, 840);
VK_ASSERT_SIZE(VkPhysicalDeviceMaintenance3Properties, 32);
VK_ASSERT_SIZE(VkPhysicalDeviceExternalMemoryHostPropertiesEXT, 24);
VK_ASSERT_SIZE(VkPhysicalDeviceFeatures, 220);
VK_ASSERT_SIZE(VkPhysicalDeviceFeatures2, 240);
VK_ASSERT_SIZE(VkPhysicalDeviceZeroInitializeWorkgroupMemoryFeatures, 24);
VK_ASSERT_SIZE(VkQueueFamilyProperties, 24);
VK_ASSERT_SIZE(VkPhysicalDeviceMemoryProperties, 520);
VK_ASSERT_SIZE(VkPhysicalDeviceExternalBufferInfo, 32);
VK_ASSERT_SIZE(VkExternalBufferProperties, 32);
VK_ASSERT_SIZE(VkDeviceQueueCreateInfo, 40);
VK_ASSERT_SIZE(VkDeviceCreateInfo, 72);
VK_ASSERT_SIZE(VkMemoryAllocateInfo, 32);
VK_ASSERT_SIZE(VkImportMemoryHostPointerInfoEXT, 32);
VK_ASSERT_SIZE(VkMemoryHostPointerPropertiesEXT, 24);
VK_ASSERT_SIZE(VkMemoryRequirements, 24);
VK_ASSERT_SIZE(VkExternalMemoryBufferCreateInfo, 24);
VK_ASSERT_SIZE(VkBufferCreateInfo, 56);
VK_ASSERT_SIZE(VkBufferCopy, 24);
VK_ASSERT_SIZE(VkShaderModuleCreateInfo, 40);
VK_ASSERT_SIZE(VkPipelineShaderStageCreateInfo, 48);
VK_ASSERT_SIZE(VkComputePipelineCreateInfo, 96);
VK_ASSERT_SIZE(VkPushConstantRange, 12);
VK_ASSERT_SIZE(VkPipelineLayoutCreateInfo, 48);
VK_ASSERT_SIZE(VkDescriptorSetLayoutBinding, 24);
VK_ASSERT_SIZE(VkDescriptorSetLayoutCreateInfo, 32);
VK_ASSERT_SIZE(VkDescriptorPoolSize, 8);
VK_ASSERT_SIZE(VkDescriptorPoolCreateInfo, 40);
VK_ASSERT_SIZE(VkDescriptorSetAllocateInfo, 40);
VK_ASSERT_SIZE(VkDescriptorBufferInfo, 24);
VK_ASSERT_SIZE(VkWriteDescriptorSet, 64);
VK_ASSERT_SIZE(VkCommandPoolCreateInfo, 24);
VK_ASSERT_SIZE(VkCommandBufferAllocateInfo, 32);
VK_ASSERT_SIZE(VkCommandBufferBeginInfo, 32);
VK_ASSERT_SIZE(VkMemoryBarrier, 24);
VK_ASSERT_SIZE(VkSubmitInfo, 72);
VK_ASSERT_SIZE(VkFenceCreateInfo, 24);
VK_ASSERT_SIZE(VkDebugUtilsMessengerCallbackDataEXT, 96);
VK_ASSERT_SIZE(VkDebugUtilsMessengerCreateInfoEXT, 48);

#endif
