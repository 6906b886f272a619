// devices: what can compute here, and why something cannot.
#include "cli.h"

#include "device/device.h"

#include <inttypes.h>
#include <string.h>

typedef struct found_device {
  const char *name; // as --device takes it
  bool present, unified;
  char words[240]; // the device's own name, or what is missing
  uint32_t lanes;
  uint64_t max_binding_bytes;
} found_device;

static const dw_device_class *const classes[] = {&dw_device_cpu, &dw_device_vulkan};
#define CLASS_COUNT (sizeof classes / sizeof *classes)

static void look(const dw_device_class *class_, const cli_options *options, found_device *found) {
  *found = (found_device){.name = class_->name};
  dw_device *device;
  dw_error error = {0};
  const dw_device_options open = {.threads = (uint32_t)options->threads};
  if (class_->open(&open, &device, &error) != DW_OK) {
    snprintf(found->words, sizeof found->words, "%s", error.detail);
    return;
  }
  found->present = true;
  found->unified = device->unified;
  found->lanes = device->lanes;
  found->max_binding_bytes = device->max_binding_bytes;
  snprintf(found->words, sizeof found->words, "%s", device->name);
  class_->close(device);
}

static void print_one(const found_device *found) {
  char size[32];
  const char *style = cli_begin(stdout, found->present ? CLI_GOOD : CLI_DIM);
  printf("%s%-8s%s %s\n", style, found->name, cli_end(stdout), found->words);
  if (!found->present) return;
  printf("%-8s %s memory, tensors up to %s", "", found->unified ? "unified" : "its own",
         cli_size_text(found->max_binding_bytes, size));
  if (found->lanes) printf(", %" PRIu32 " threads", found->lanes);
  putchar('\n');
}

static void print_json(const found_device *found, bool last) {
  printf("    {\"name\": \"%s\", \"present\": %s, \"description\": ", found->name,
         found->present ? "true" : "false");
  cli_json_string(stdout, found->words);
  if (found->present)
    printf(", \"unified\": %s, \"threads\": %" PRIu32 ", \"max_tensor_bytes\": %" PRIu64,
           found->unified ? "true" : "false", found->lanes, found->max_binding_bytes);
  printf("}%s\n", last ? "" : ",");
}

static void choose(char *chosen, size_t capacity) {
  dw_device *device;
  dw_error error = {0};
  snprintf(chosen, capacity, "none");
  if (dw_device_open("auto", &(dw_device_options){0}, &device, &error) != DW_OK) return;
  snprintf(chosen, capacity, "%s", device->class_->name);
  device->class_->close(device);
}

cli_exit cli_devices(const cli_arguments *arguments) {
  const cli_options *options = &arguments->options;
  found_device found[CLASS_COUNT];
  char chosen[32];
  for (size_t i = 0; i < CLASS_COUNT; i++) look(classes[i], options, &found[i]);
  choose(chosen, sizeof chosen);
  if (options->json) {
    printf("{\n  \"auto\": \"%s\",\n  \"devices\": [\n", chosen);
    for (size_t i = 0; i < CLASS_COUNT; i++) print_json(&found[i], i + 1 == CLASS_COUNT);
    printf("  ]\n}\n");
    return CLI_OK;
  }
  for (size_t i = 0; i < CLASS_COUNT; i++) print_one(&found[i]);
  printf("%-8s takes %s\n", "auto", chosen);
  return CLI_OK;
}
