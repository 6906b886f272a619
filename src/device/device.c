#include "device.h"

#include <string.h>

static const dw_device_class *const classes[] = {
    &dw_device_cpu,
#ifndef DW_NO_VULKAN // a build without the crate that translates its kernels
    &dw_device_vulkan,
#endif
};

// The Vulkan device has two operators so far, which is too few for a language
// model, so "auto" does not choose it however good the GPU is.
static const dw_device_class *const automatic = &dw_device_cpu;

dw_status dw_device_open(const char *name, const dw_device_options *options, dw_device **device, dw_error *error) {
  if (strcmp(name, "auto") == 0) return automatic->open(options, device, error);
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
    if (strcmp(classes[i]->name, name) == 0) return classes[i]->open(options, device, error);
  return dw_fail(error, DW_NOTFOUND, "no device is called \"%s\"; there are auto, cpu and vulkan", name);
}
