// The claim about who owns memory.
#include "claims.h"

#include "device/device.h"
#include "region.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REGION_BYTES 65536

static void release_region(void *owner) {
  dw_region_release(owner);
}

static dw_status open_device(const claim_environment *environment, dw_device **device, dw_error *error) {
  const dw_device_options options = {.threads = environment->threads, .user = environment->device_class_user};
  if (environment->device_class) return environment->device_class->open(&options, device, error);
  return dw_device_open(environment->device ? environment->device : "auto", &options, device, error);
}

typedef struct sequence {
  uint64_t while_imported; // unmappings after the region's maker let go
  uint64_t after_import;   // and after the device did
} sequence;

// A region whose maker lets go first: the import has to keep it.
static dw_status import_alone(const claim_environment *environment, sequence *seen, dw_error *error) {
  dw_device *device;
  dw_region *region;
  dw_buffer *buffer;
  dw_status status = open_device(environment, &device, error);
  if (status != DW_OK) return status;
  status = dw_region_new(REGION_BYTES, REGION_BYTES, REGION_BYTES, &region, error);
  if (status == DW_OK) {
    const dw_import_desc desc = {.host = dw_region_base(region),
                                 .size_bytes = REGION_BYTES,
                                 .owner = region,
                                 .release = release_region};
    dw_region_retain(region);
    status = device->class_->import(device, &desc, &buffer, error);
    if (status != DW_OK) dw_region_release(region);
    uint64_t before = dw_region_unmapped_count();
    dw_region_release(region);
    seen->while_imported = dw_region_unmapped_count() - before;
    if (status == DW_OK) device->class_->release(buffer);
    seen->after_import = dw_region_unmapped_count() - before;
  }
  device->class_->close(device);
  return status;
}

void claim_ownership(cli_claim *claim, const claim_environment *environment) {
  claim_rig rig;
  sequence alone = {0};
  dw_status status = claim_open(&rig, environment, "stream", &(dw_actor_desc){0});
  if (status == DW_OK) status = claim_tell(&rig, "bytes=65536 mode=zerocopy");
  uint64_t before = dw_region_unmapped_count();
  claim_close(&rig);
  uint64_t closed = dw_region_unmapped_count() - before;
  if (status == DW_OK) status = import_alone(environment, &alone, &rig.error);
  if (status != DW_OK) {
    claim_stop(claim, &rig, "a region and its import");
    return;
  }
  claim_judge(claim, closed == 1 && alone.while_imported == 0 && alone.after_import == 1,
              "closing an actor with an import: %" PRIu64
              " unmapping; a region whose maker let go first: %" PRIu64 " while imported, %" PRIu64 " after",
              closed, alone.while_imported, alone.after_import);
}
