// Each claim of `driftwood prove` fails when its cause is broken, and only then:
// by a device that copies, a guest that cheats, memory without guard, an owner
// that is let go too late or too early.
#include "cli/claims.h"
#include "fake_device.h"
#include "tests/dw_test.h"
#include "tests/guest_path.h"

#include <sys/mman.h>

typedef void (*claim_fn)(cli_claim *claim, const claim_environment *environment);

// Guests that stand in for others: {"probe", "lazy"}.
typedef struct swap {
  const char *guest, *by;
} swap;

static bool guest_path(void *user, const char *guest, char *path) {
  const swap *other = user;
  snprintf(path, 4096, "%s", dw_test_guest(other && strcmp(other->guest, guest) == 0 ? other->by : guest));
  return true;
}

static void check(claim_fn claim, const claim_environment *environment, claim_verdict expected) {
  cli_claim result = {0};
  claim(&result, environment);
  if (result.verdict != expected)
    fprintf(stderr, "    %s, not %s: %s\n", claim_verdict_text(result.verdict), claim_verdict_text(expected),
            result.evidence);
  CHECK(result.verdict == expected);
  CHECK(result.evidence[0]);
}

static void check_on_cpu(claim_fn claim, claim_verdict expected) {
  check(claim, &(claim_environment){.device = "cpu", .threads = 2, .guest_path = guest_path}, expected);
}

typedef dw_status (*import_fn)(dw_device *device, const dw_import_desc *desc, dw_buffer **buffer,
                               dw_error *error);

static dw_device_class broken; // the fake's class with another import

static dw_status open_broken(const dw_device_options *options, dw_device **device, dw_error *error) {
  dw_status status = dw_fake_device_class.open(options, device, error);
  if (status == DW_OK) (*device)->class_ = &broken;
  return status;
}

// On a fake device of this kind, whose import may be another function.
static void check_on_fake(claim_fn claim, dw_fake_options options, import_fn import, claim_verdict expected) {
  dw_fake *fake = dw_fake_new(&options);
  broken = dw_fake_device_class;
  if (import) {
    broken.open = open_broken;
    broken.import = import;
  }
  check(claim,
        &(claim_environment){
            .threads = 2, .guest_path = guest_path, .device_class = &broken, .device_class_user = fake},
        expected);
  dw_fake_free(fake);
}

// ---- All well -------------------------------------------------------------------------

static void test_all_hold(void) {
  claim_report report;
  dw_error error = {0};
  const claim_environment environment = {.device = "cpu", .threads = 2, .guest_path = guest_path};
  CHECK_OK(claims_run(&environment, &report, &error), &error);
  for (size_t i = 0; i < CLAIM_COUNT; i++) {
    const cli_claim *one = &report.claims[i];
    bool tokens = strcmp(one->name, "tokens") == 0; // needs a model
    claim_verdict expected = tokens ? CLAIM_NOT_APPLICABLE : CLAIM_PASS;
    if (one->verdict != expected) fprintf(stderr, "    %s: %s\n", one->name, one->evidence);
    CHECK(one->verdict == expected);
  }
}

static void test_no_device(void) {
  claim_report report;
  dw_error error = {0};
  const claim_environment environment = {.device = "abacus", .guest_path = guest_path};
  CHECK(claims_run(&environment, &report, &error) != DW_OK);
  CHECK(error.detail[0]);
}

// ---- Identity, effect, growth ---------------------------------------------------------

static void test_identity(void) {
  check_on_fake(claim_identity, (dw_fake_options){.compute = true}, NULL, CLAIM_PASS);
  check_on_fake(claim_identity, (dw_fake_options){.compute = true, .import = DW_FAKE_COPY}, NULL, CLAIM_FAIL);
}

// The device shows the right pointers and works on something else.
static void test_effect(void) {
  const dw_fake_options hidden = {.compute = true, .import = DW_FAKE_COPY_HIDDEN};
  check_on_fake(claim_identity, hidden, NULL, CLAIM_PASS);
  check_on_fake(claim_effect, hidden, NULL, CLAIM_FAIL);
  check_on_fake(claim_effect, (dw_fake_options){.compute = true}, NULL, CLAIM_PASS);
}

static int imports;

// Wraps what it is given first and copies what comes later.
static dw_status import_first_only(dw_device *device, const dw_import_desc *desc, dw_buffer **buffer,
                                   dw_error *error) {
  if (imports++ == 0) return dw_fake_device_class.import(device, desc, buffer, error);
  // Lives as long as the process of this case.
  unsigned char *copy =
      mmap(NULL, desc->size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(copy != MAP_FAILED);
  memcpy(copy, desc->host, desc->size_bytes);
  dw_import_desc other = *desc;
  other.host = copy;
  return dw_fake_device_class.import(device, &other, buffer, error);
}

static void test_growth(void) {
  check_on_fake(claim_growth, (dw_fake_options){.compute = true}, NULL, CLAIM_PASS);
  check_on_fake(claim_growth, (dw_fake_options){.compute = true}, import_first_only, CLAIM_FAIL);
}

// ---- Resident memory ------------------------------------------------------------------

static void test_resident(void) {
  check_on_fake(claim_resident, (dw_fake_options){.compute = true, .import = DW_FAKE_COPY_HIDDEN}, NULL,
                CLAIM_FAIL);
}

// ---- The product ------------------------------------------------------------------------

static void test_product(void) {
  check_on_fake(claim_product, (dw_fake_options){.compute = true}, NULL, CLAIM_PASS);
  check_on_fake(claim_product, (dw_fake_options){.compute = false}, NULL, CLAIM_FAIL);
  check_on_fake(claim_product, (dw_fake_options){.compute = true, .import = DW_FAKE_COPY_HIDDEN}, NULL,
                CLAIM_FAIL);
}

// ---- Host calls ---------------------------------------------------------------------------

static void test_host_call(void) {
  static swap lazy = {"probe", "lazy"};
  check(claim_host_call,
        &(claim_environment){.device = "cpu", .threads = 2, .guest_path = guest_path, .user = &lazy},
        CLAIM_FAIL);
}

// ---- The guard ------------------------------------------------------------------------------

static void open_guard(void *user, dw_actor *actor) {
  (void)user;
  dw_actor_memory memory;
  dw_error error = {0};
  CHECK_OK(dw_actor_memory_get(actor, &memory, &error), &error);
  // More than a page: the guest's C library may grow the memory before the guest reaches past it.
  CHECK(mprotect((char *)memory.mapping + memory.size_bytes, 1 << 20, PROT_READ | PROT_WRITE) == 0);
}

static void test_guard(void) {
  check_on_cpu(claim_guard, CLAIM_PASS);
  check(claim_guard,
        &(claim_environment){
            .device = "cpu", .threads = 2, .guest_path = guest_path, .before_access = open_guard},
        CLAIM_FAIL);
}

// ---- Ownership ------------------------------------------------------------------------------

// Lets the owner go at once and keeps the memory.
static dw_status import_unowned(dw_device *device, const dw_import_desc *desc, dw_buffer **buffer,
                                dw_error *error) {
  dw_import_desc other = *desc;
  other.release = NULL;
  dw_status status = dw_fake_device_class.import(device, &other, buffer, error);
  if (status == DW_OK && desc->release) desc->release(desc->owner);
  return status;
}

static void test_ownership(void) {
  check_on_fake(claim_ownership, (dw_fake_options){.compute = true}, NULL, CLAIM_PASS);
  check_on_fake(claim_ownership, (dw_fake_options){.compute = true, .hold_imports = true}, NULL, CLAIM_FAIL);
  check_on_fake(claim_ownership, (dw_fake_options){.compute = true}, import_unowned, CLAIM_FAIL);
}

// ---- Tokens -----------------------------------------------------------------------------------

static void test_tokens(void) {
  static swap copying = {"llm", "copying"};
  check(claim_tokens,
        &(claim_environment){
            .device = "cpu", .threads = 2, .guest_path = guest_path, .user = &copying, .model_path = "/"},
        CLAIM_FAIL);
}

static const dw_case cases[] = {
    {"all_hold", "on the CPU every claim holds", test_all_hold},
    {"no_device", "a device that is not there is an error", test_no_device},
    {"identity", "a device with a copy shows another pointer", test_identity},
    {"effect", "a device that hides its copy is found by what kernels do", test_effect},
    {"growth", "a device that copies what is imported later is found", test_growth},
    {"resident", "a hidden copy of 16 MB is found in the resident memory", test_resident},
    {"product", "a device that computes nothing, or elsewhere, is found", test_product},
    {"host_call", "a guest that makes no calls is found by the host's counter", test_host_call},
    {"guard", "memory behind the end that can be touched is found", test_guard},
    {"ownership", "an owner let go too late, or too early, is found", test_ownership},
    {"tokens", "a guest that moves its state for each token is found", test_tokens},
};
DW_TEST_MAIN(cases)
