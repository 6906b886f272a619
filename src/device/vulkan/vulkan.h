// vulkan.h: what the Vulkan device offers beyond device.h.
#ifndef DW_VULKAN_H
#define DW_VULKAN_H

#include "../device.h"

// dw_device_options.user of dw_device_vulkan: one of these, or NULL for all
// defaults.  Read during open only, but for what the callback is given.
typedef struct dw_vulkan_options {
  uint64_t timeout_ns;         // of one submission; 0: 10 s
  // For tests:
  bool discrete;               // as if the CPU could not reach the device's own memory
  uint64_t max_range_bytes;    // lowers what one binding may cover; 0: the driver's
  uint64_t max_part_bytes;     // lowers what one memory object may cover; 0: the driver's
  // Turns the validation layer on, if it is installed, and takes its warnings and errors, from any thread.
  void (*on_validation)(void *user, const char *text);
  void *user;                  // for on_validation
} dw_vulkan_options;

// True if the Vulkan device is a CPU in disguise (Mesa's lavapipe).
bool dw_vulkan_is_cpu(const dw_device *device);
// True if on_validation was given and the layer is installed.
bool dw_vulkan_is_validated(const dw_device *device);

#endif
