#include "dw_test.h"

#include "fake/fake_device.h"
#include "program_text.h"
#include "region.h"

#include <pthread.h>

static dw_error error;

static dw_device *open_fake(dw_fake *fake) {
  const dw_device_options options = {.user = fake};
  dw_device *device;
  CHECK_OK(dw_fake_device_class.open(&options, &device, &error), &error);
  CHECK(device->class_ == &dw_fake_device_class);
  return device;
}

static void close_fake(dw_fake *fake, dw_device *device) {
  device->class_->close(device);
  CHECK_EQ(dw_fake_live(fake), 0);
  CHECK_EQ(dw_fake_running(fake), 0);
  dw_fake_free(fake);
}

// ---- A program that is run ------------------------------------------------------------

// y = 2x + 3 over 256 numbers at the beginning of a page; the answer lies in the next page.
typedef struct job {
  dw_fake *fake;
  dw_device *device;
  dw_program *program;
  dw_compiled *compiled;
  dw_region *region;
  dw_buffer *buffer;
  dw_binding bindings[2];
  dw_run run;
  atomic_bool cancel;
  atomic_int done;
  pthread_t done_thread;
} job;

static void run_done(dw_run *run) {
  job *it = run->user;
  it->done_thread = pthread_self();
  atomic_fetch_add(&it->done, 1);
}

static void release_region(void *owner) { dw_region_release(owner); }

static void begin_job(job *it, const dw_fake_options *options) {
  memset(it, 0, sizeof *it);
  uint64_t page = dw_page_size();
  it->fake = dw_fake_new(options);
  it->device = open_fake(it->fake);
  CHECK_OK(dw_region_new(2 * page, 4 * page, page, &it->region, &error), &error);
  dw_region_retain(it->region);
  const dw_import_desc import = {.host = dw_region_base(it->region), .size_bytes = 2 * page, .owner = it->region,
                                 .release = release_region};
  float *x = dw_region_base(it->region);
  for (int i = 0; i < 256; i++) x[i] = (float)i;
  CHECK_OK(it->device->class_->import(it->device, &import, &it->buffer, &error), &error);
  CHECK_OK(program_text_new("linear f32 256; linear f32 256 at=65536; h1 f32 256; h2 f32 256; Axpby 0 > 1 f0=2 f1=3",
                            &it->program, &error), &error);
  CHECK_OK(it->device->class_->compile(it->device, it->program, &it->compiled, &error), &error);
  it->bindings[0] = (dw_binding){.buffer = it->buffer};
  it->bindings[1] = (dw_binding){.buffer = it->buffer, .offset_bytes = page};
}

static void submit_job(job *it) {
  atomic_store(&it->done, 0);
  it->run = (dw_run){.compiled = it->compiled, .bindings = it->bindings, .cancel = &it->cancel, .done = run_done,
                     .user = it};
  it->device->class_->submit(it->device, &it->run);
}

static dw_status end_run(job *it) {
  CHECK(dw_fake_wait_idle(it->fake, 20000));
  CHECK_EQ(atomic_load(&it->done), 1);
  CHECK(!pthread_equal(it->done_thread, pthread_self()));
  return it->run.status;
}

static float answer(const job *it, int index) {
  return ((float *)((unsigned char *)dw_region_base(it->region) + dw_page_size()))[index];
}

static void end_job(job *it) {
  it->device->class_->discard(it->device, it->compiled);
  it->device->class_->release(it->buffer);
  dw_program_free(it->program);
  dw_region_release(it->region);
  close_fake(it->fake, it->device);
}

// ---- Cases ----------------------------------------------------------------------------

static void test_records(void) {
  job it;
  begin_job(&it, NULL);
  uint64_t page = dw_page_size();
  const dw_fake_call calls[] = {DW_FAKE_OPEN, DW_FAKE_IMPORT, DW_FAKE_COMPILE};
  CHECK_EQ(dw_fake_record_count(it.fake), 3);
  for (uint64_t i = 0; i < 3; i++) CHECK_EQ(dw_fake_record_at(it.fake, i).call, calls[i]);
  CHECK_EQ(dw_fake_record_at(it.fake, 3).call, DW_FAKE_CALLS);
  dw_fake_record last = dw_fake_last(it.fake, DW_FAKE_IMPORT);
  CHECK(last.pointer == dw_region_base(it.region) && last.size_bytes == 2 * page && !last.readonly);
  CHECK(dw_fake_last(it.fake, DW_FAKE_COMPILE).pointer == it.program);
  CHECK_EQ(dw_fake_last(it.fake, DW_FAKE_UPLOAD).size_bytes, 0);
  CHECK_EQ(dw_fake_live(it.fake), 2);
  submit_job(&it);
  CHECK_OK(end_run(&it), &it.run.error);
  CHECK_EQ(dw_fake_count(it.fake, DW_FAKE_SUBMIT), 1);
  CHECK(answer(&it, 5) == 0); // it was not asked to compute
  for (int i = 0; i < 1000; i++) {
    dw_buffer *buffer;
    CHECK_OK(it.device->class_->allocate(it.device, (uint64_t)i, &buffer, &error), &error);
    CHECK_EQ(buffer->size_bytes, i);
    CHECK_EQ((uintptr_t)buffer->host % DW_VIEW_ALIGNMENT, 0);
    it.device->class_->release(buffer);
  }
  CHECK_EQ(dw_fake_count(it.fake, DW_FAKE_RELEASE), 1000);
  end_job(&it);
}

static void test_buffers(void) {
  for (int discrete = 0; discrete < 2; discrete++) {
    dw_fake *fake = dw_fake_new(&(dw_fake_options){.discrete = discrete, .max_binding_bytes = 12345});
    dw_device *device = open_fake(fake);
    dw_buffer *buffer;
    CHECK_EQ(device->unified, !discrete);
    CHECK_EQ(device->max_binding_bytes, 12345);
    CHECK_OK(device->class_->allocate(device, 1000, &buffer, &error), &error);
    CHECK_EQ(buffer->host == NULL, discrete);
    CHECK(!buffer->imported);
    char bytes[1000];
    CHECK_OK(device->class_->download(buffer, 0, bytes, 1000, &error), &error);
    for (int i = 0; i < 1000; i++) CHECK_EQ(bytes[i], 0);
    CHECK_OK(device->class_->upload(buffer, 10, "hello", 5, &error), &error);
    CHECK_OK(device->class_->download(buffer, 11, bytes, 4, &error), &error);
    CHECK(memcmp(bytes, "ello", 4) == 0);
    dw_fake_record last = dw_fake_last(fake, DW_FAKE_DOWNLOAD);
    CHECK(last.pointer == buffer && last.offset_bytes == 11 && last.size_bytes == 4);
    device->class_->release(buffer);
    close_fake(fake, device);
  }
}

static void test_import_alignment(void) {
  dw_fake *fake = dw_fake_new(NULL);
  dw_device *device = open_fake(fake);
  uint64_t page = dw_page_size();
  dw_region *region;
  CHECK_OK(dw_region_new(2 * page, 2 * page, 0, &region, &error), &error);
  dw_import_desc desc = {.host = (unsigned char *)dw_region_base(region) + 256, .size_bytes = page};
  dw_buffer *buffer;
  CHECK_STATUS(device->class_->import(device, &desc, &buffer, &error), DW_INVALID, &error);
  desc = (dw_import_desc){.host = dw_region_base(region), .size_bytes = 100};
  CHECK_STATUS(device->class_->import(device, &desc, &buffer, &error), DW_INVALID, &error);
  dw_region_release(region);
  close_fake(fake, device);
}

static void test_compute(void) {
  job it;
  begin_job(&it, &(dw_fake_options){.compute = true});
  submit_job(&it);
  CHECK_OK(end_run(&it), &it.run.error);
  for (int i = 0; i < 256; i++) CHECK(answer(&it, i) == (float)(2 * i + 3));
  end_job(&it);
}

static void test_copying(void) {
  const dw_fake_import modes[] = {DW_FAKE_COPY, DW_FAKE_COPY_HIDDEN};
  for (int m = 0; m < 2; m++) {
    job it;
    begin_job(&it, &(dw_fake_options){.compute = true, .import = modes[m]});
    unsigned char *base = dw_region_base(it.region);
    bool hidden = modes[m] == DW_FAKE_COPY_HIDDEN;
    CHECK_EQ(it.buffer->host == base, hidden);
    CHECK_EQ(it.buffer->device_pointer == base, hidden);
    submit_job(&it);
    CHECK_OK(end_run(&it), &it.run.error);
    CHECK(answer(&it, 1) == 0); // the answer is in the copy
    float number;
    CHECK_OK(it.device->class_->download(it.buffer, dw_page_size() + 4, &number, 4, &error), &error);
    CHECK(number == 5);
    end_job(&it);
  }
}

static void test_faults(void) {
  dw_fake *fake = dw_fake_new(NULL);
  dw_device *device = open_fake(fake);
  dw_buffer *buffer, *other;
  dw_fake_fail(fake, DW_FAKE_ALLOCATE, 2, DW_NOMEM);
  CHECK_OK(device->class_->allocate(device, 16, &buffer, &error), &error);
  CHECK_STATUS(device->class_->allocate(device, 16, &other, &error), DW_NOMEM, &error);
  CHECK_EQ(error.code, DW_NOMEM);
  CHECK_OK(device->class_->allocate(device, 16, &other, &error), &error);
  device->class_->release(other);
  dw_fake_fail(fake, DW_FAKE_UPLOAD, 0, DW_DEVICE);
  for (int i = 0; i < 3; i++)
    CHECK_STATUS(device->class_->upload(buffer, 0, "x", 1, &error), DW_DEVICE, &error);
  CHECK_EQ(dw_fake_last(fake, DW_FAKE_UPLOAD).status, DW_DEVICE);
  dw_fake_fail(fake, DW_FAKE_UPLOAD, 0, DW_OK);
  CHECK_OK(device->class_->upload(buffer, 0, "x", 1, &error), &error);
  device->class_->release(buffer);
  close_fake(fake, device);

  fake = dw_fake_new(NULL);
  dw_fake_fail(fake, DW_FAKE_OPEN, 1, DW_UNSUPPORTED);
  const dw_device_options options = {.user = fake};
  CHECK_STATUS(dw_fake_device_class.open(&options, &device, &error), DW_UNSUPPORTED, &error);
  device = open_fake(fake);
  close_fake(fake, device);
}

static void test_run_faults(void) {
  job it;
  begin_job(&it, NULL);
  dw_fake_fail(it.fake, DW_FAKE_SUBMIT, 1, DW_IO);
  submit_job(&it);
  CHECK_EQ(end_run(&it), DW_IO);
  CHECK_EQ(it.run.error.code, DW_IO);
  submit_job(&it);
  CHECK_OK(end_run(&it), &it.run.error);
  atomic_store(&it.cancel, true);
  submit_job(&it);
  CHECK_EQ(end_run(&it), DW_CANCELLED);
  end_job(&it);
}

static void test_held_runs(void) {
  job it, other;
  begin_job(&it, &(dw_fake_options){.hold_runs = true});
  submit_job(&it);
  CHECK(dw_fake_wait_held(it.fake, 1, 20000));
  CHECK(!dw_fake_wait_held(it.fake, 2, 10));
  CHECK(!dw_fake_wait_idle(it.fake, 10));
  CHECK_EQ(atomic_load(&it.done), 0);
  CHECK_EQ(dw_fake_running(it.fake), 1);
  CHECK_EQ(dw_fake_finish(it.fake, 5), 1);
  CHECK_OK(end_run(&it), &it.run.error);
  CHECK_EQ(dw_fake_finish(it.fake, 1), 0);
  submit_job(&it);
  CHECK(dw_fake_wait_held(it.fake, 1, 20000));
  CHECK_EQ(atomic_load(&it.done), 0);
  dw_fake_hold(it.fake, false);
  CHECK_OK(end_run(&it), &it.run.error);
  end_job(&it);

  begin_job(&other, &(dw_fake_options){.delay_ms = 5});
  submit_job(&other);
  CHECK_OK(end_run(&other), &other.run.error);
  end_job(&other);
}

static void test_lost(void) {
  job it;
  begin_job(&it, &(dw_fake_options){.hold_runs = true});
  submit_job(&it);
  CHECK(dw_fake_wait_held(it.fake, 1, 20000));
  dw_fake_lose(it.fake);
  CHECK_EQ(end_run(&it), DW_LOST);
  submit_job(&it);
  CHECK_EQ(end_run(&it), DW_LOST);
  dw_buffer *buffer;
  CHECK_STATUS(it.device->class_->allocate(it.device, 16, &buffer, &error), DW_LOST, &error);
  end_job(&it); // what there is can be released all the same
}

static void test_owners(void) {
  uint64_t before = dw_region_unmapped_count();
  job it;
  begin_job(&it, &(dw_fake_options){.hold_imports = true});
  dw_fake *fake = it.fake;
  CHECK_EQ(dw_region_owners(it.region), 2);
  it.device->class_->discard(it.device, it.compiled);
  it.device->class_->release(it.buffer);
  CHECK_EQ(dw_region_owners(it.region), 2); // the device still holds on
  dw_region_release(it.region);
  CHECK_EQ(dw_region_unmapped_count(), before);
  CHECK_EQ(dw_fake_live(fake), 1);
  CHECK_EQ(dw_fake_let_go(fake), 1);
  CHECK_EQ(dw_region_unmapped_count(), before + 1);
  CHECK_EQ(dw_fake_let_go(fake), 0);
  dw_program_free(it.program);
  close_fake(fake, it.device);
}

static void test_default(void) {
  dw_device *device;
  const dw_device_options options = {.threads = 1};
  CHECK_OK(dw_fake_device_class.open(&options, &device, &error), &error);
  device->class_->close(device);
}

// A program over a cache whose blocks the host cannot read.
static void test_discrete_cache(void) {
  dw_fake *fake = dw_fake_new(&(dw_fake_options){.compute = true, .discrete = true});
  dw_device *device = open_fake(fake);
  const dw_cache_desc desc = {.dtype = DW_F32, .layers = 1, .kv_heads = 1, .head_dim = 4, .max_rows = 8};
  dw_cache *cache;
  CHECK_OK(dw_cache_new(device, &desc, NULL, &cache, &error), &error);
  CHECK_OK(dw_cache_reserve(cache, 2, &error), &error);
  dw_buffer *rows, *output;
  CHECK_OK(device->class_->allocate(device, 32, &rows, &error), &error);
  CHECK_OK(device->class_->allocate(device, 32, &output, &error), &error);
  const float values[8] = {1, 2, 3, 4, 1, 2, 3, 4};
  CHECK_OK(device->class_->upload(rows, 0, values, sizeof values, &error), &error);
  dw_program *program;
  dw_compiled *compiled;
  CHECK_OK(program_text_new("device f32 2x4; cache f32 1x1x4x8; device f32 2x4; h1 f32 2x4; c2; h3 f32 2x4;"
                            "Attention 0 0 0 _ 1 > 2 i0=1 i1=1 i2=1", &program, &error), &error);
  CHECK_OK(device->class_->compile(device, program, &compiled, &error), &error);
  const dw_binding bindings[3] = {{.buffer = rows}, {.cache = cache}, {.buffer = output}};
  job it = {.fake = fake};
  it.run = (dw_run){.compiled = compiled, .bindings = bindings, .done = run_done, .user = &it};
  device->class_->submit(device, &it.run);
  CHECK_OK(end_run(&it), &it.run.error);
  dw_cache_commit(cache, 2);
  float answers[8];
  CHECK_OK(device->class_->download(output, 0, answers, sizeof answers, &error), &error);
  for (int i = 0; i < 8; i++) CHECK(answers[i] > values[i] - 1e-4f && answers[i] < values[i] + 1e-4f);
  float block[4];
  CHECK(dw_cache_block_host(cache, 0, 0) == NULL);
  CHECK_OK(device->class_->download(dw_cache_block_buffer(cache, 0, 0), 4 * dw_cache_value_offset(cache, 0, 1), block,
                                    sizeof block, &error), &error);
  CHECK(memcmp(block, values, sizeof block) == 0);
  device->class_->discard(device, compiled);
  dw_program_free(program);
  device->class_->release(rows);
  device->class_->release(output);
  dw_cache_free(cache);
  close_fake(fake, device);
}

static const dw_case cases[] = {
    {"records", "every call is counted and noted with its arguments", test_records},
    {"buffers", "memory of its own, with and without host pointer", test_buffers},
    {"import_alignment", "imports are whole pages", test_import_alignment},
    {"compute", "programs run on the CPU device underneath", test_compute},
    {"copying", "an import that is a copy, shown or hidden", test_copying},
    {"faults", "the n-th call fails as asked", test_faults},
    {"run_faults", "a run ends as asked", test_run_faults},
    {"held_runs", "runs wait until they are let go", test_held_runs},
    {"lost", "a lost device fails everything but clean-up", test_lost},
    {"owners", "owners of imports can be told late", test_owners},
    {"default", "a device without a test behind it", test_default},
    {"discrete_cache", "caches work in memory that the host cannot read", test_discrete_cache},
};
DW_TEST_MAIN(cases)
