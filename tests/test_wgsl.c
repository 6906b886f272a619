// The WGSL translator of the Rust crate: what it accepts, describes and refuses.
#include "dw_test.h"
#include "dw_wgsl.h"

#include <pthread.h>

static const char saxpy[] =
    "enable f16;\n"
    "override SIZE: u32 = 64u;\n"
    "struct P { n: u32, a: f32 }\n"
    "var<immediate> p: P;\n"
    "@group(0) @binding(0) var<storage, read> x: array<f32>;\n"
    "@group(0) @binding(3) var<storage, read_write> y: array<f32>;\n"
    "@group(0) @binding(4) var<uniform> fixed: array<vec4<f32>, 4>;\n"
    "var<workgroup> part: array<f32, 32>;\n"
    "@compute @workgroup_size(SIZE) fn main(@builtin(global_invocation_id) id: vec3<u32>) {\n"
    "  if (id.x < p.n) { part[id.x % 32u] = f32(f16(x[id.x])); }\n"
    "  workgroupBarrier();\n"
    "  if (id.x < p.n) { y[id.x] = p.a * part[id.x % 32u] + subgroupAdd(fixed[0].x); }\n"
    "}\n";

static int translate(const char *wgsl, const dw_wgsl_options *options, char *error, size_t capacity) {
  uint32_t *words = (uint32_t *)1;
  size_t count = 1;
  int code = dw_wgsl_to_spirv(wgsl, strlen(wgsl), options, &words, &count, error, capacity);
  if (code == DW_WGSL_OK) {
    CHECK(count > 5);
    CHECK_EQ(words[0], 0x07230203); // SPIR-V's magic number
    CHECK_EQ(words[1], 0x00010300); // version 1.3
  } else {
    CHECK(words == NULL);
    CHECK_EQ(count, 0);
  }
  dw_wgsl_free(words, count);
  return code;
}

static void test_describes(void) {
  char error[256] = "";
  dw_wgsl_info info;
  memset(&info, 0xFF, sizeof info);
  const dw_wgsl_constant constants[] = {{"SIZE", 128}};
  dw_wgsl_options options = {.constants = constants, .constant_count = 1, .info = &info};
  int code = translate(saxpy, &options, error, sizeof error);
  if (code != DW_WGSL_OK) fprintf(stderr, "    %s\n", error);
  CHECK_EQ(code, DW_WGSL_OK);
  CHECK_EQ(info.workgroup_size[0], 128);
  CHECK_EQ(info.workgroup_size[1], 1);
  CHECK_EQ(info.workgroup_size[2], 1);
  CHECK_EQ(info.workgroup_bytes, 128);
  CHECK_EQ(info.immediate_bytes, 8);
  CHECK_EQ(info.binding_mask, 1 | 1 << 3 | 1 << 4);
  CHECK_EQ(info.binding_write_mask, 1 << 3);
  CHECK_EQ(info.binding_min_bytes[0], 4);
  CHECK_EQ(info.binding_min_bytes[4], 64);
  CHECK_EQ(info.binding_min_bytes[1], 0);
}

// A checked kernel compares its indices, so it must be the longer one.
static void test_bounds_checks(void) {
  size_t counts[2];
  for (int unchecked = 0; unchecked < 2; unchecked++) {
    uint32_t *words;
    dw_wgsl_options options = {.unchecked = unchecked};
    CHECK_EQ(dw_wgsl_to_spirv(saxpy, strlen(saxpy), &options, &words, &counts[unchecked], NULL, 0), DW_WGSL_OK);
    dw_wgsl_free(words, counts[unchecked]);
  }
  CHECK(counts[0] > counts[1]);
}

static void refuse(const char *wgsl, const dw_wgsl_options *options, int code, const char *words) {
  char error[512] = "";
  CHECK_EQ(translate(wgsl, options, error, sizeof error), code);
  if (!strstr(error, words)) fprintf(stderr, "    \"%s\" lacks \"%s\"\n", error, words);
  CHECK(strstr(error, words) != NULL);
}

static void test_refuses(void) {
  refuse("fn main() {\n  let x = ;\n}", NULL, DW_WGSL_INVALID, "line 2 column 11");
  refuse("@compute @workgroup_size(1) fn main() {\n  let x: u32 = 1.5;\n}", NULL, DW_WGSL_INVALID, "line 2");
  refuse("@compute @workgroup_size(1) fn other() {}", NULL, DW_WGSL_INVALID, "main");
  refuse("@fragment fn main() {}", NULL, DW_WGSL_INVALID, "main");
  refuse("override N: u32;\n@compute @workgroup_size(N) fn main() {}", NULL, DW_WGSL_INVALID, "N");
  const dw_wgsl_constant unknown[] = {{"M", 1}};
  dw_wgsl_options options = {.constants = unknown, .constant_count = 1};
  refuse("@compute @workgroup_size(1) fn main() {}", &options, DW_WGSL_INVALID, "M");
  refuse("@group(1) @binding(0) var<storage> x: array<f32>;\n"
         "@compute @workgroup_size(1) fn main() { _ = x[0]; }",
         NULL, DW_WGSL_INVALID, "group 0");
  refuse("@group(0) @binding(16) var<storage> x: array<f32>;\n"
         "@compute @workgroup_size(1) fn main() { _ = x[0]; }",
         NULL, DW_WGSL_INVALID, "from 0 to 15");
  refuse("@group(0) @binding(0) var t: texture_2d<f32>;\n"
         "@compute @workgroup_size(1) fn main() { _ = textureDimensions(t); }",
         NULL, DW_WGSL_INVALID, "buffers");
  refuse("", NULL, DW_WGSL_INVALID, "main");
  refuse("\xff\xfe", NULL, DW_WGSL_INVALID, "UTF-8");
}

static void test_source_cap(void) {
  char *wgsl = malloc(DW_WGSL_SOURCE_MAX + 2);
  static const char body[] = "@compute @workgroup_size(1) fn main() {}";
  memset(wgsl, ' ', DW_WGSL_SOURCE_MAX + 1);
  wgsl[DW_WGSL_SOURCE_MAX + 1] = 0;
  memcpy(wgsl, body, sizeof body - 1);
  refuse(wgsl, NULL, DW_WGSL_TOO_LARGE, "65537");
  wgsl[DW_WGSL_SOURCE_MAX] = 0;
  CHECK_EQ(translate(wgsl, NULL, NULL, 0), DW_WGSL_OK);
  free(wgsl);
}

// Nothing that a source can nest overflows the translator's stack or hangs it.
static void test_deep_sources(void) {
  static const char *const patterns[][4] = {
      {"@compute @workgroup_size(1) fn main() { var x = 1; x = ", "-(", "x", ")"},
      {"@compute @workgroup_size(1) fn main() { var x = 1; x = ", "x+", "x", ""},
      {"@compute @workgroup_size(1) fn main() { var x = 1; ", "if (x>0) {} else ", "{", ""},
      {"@compute @workgroup_size(1) fn main() { var x = 1; ", "{", "x = 2;", "}"},
      {"@compute @workgroup_size(1) fn main() { var x : ", "array<", "u32", ",2>"},
  };
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    const char *const *p = patterns[i];
    char *wgsl = calloc(1, DW_WGSL_SOURCE_MAX + 1);
    size_t room = DW_WGSL_SOURCE_MAX - strlen(p[0]) - strlen(p[2]) - 8;
    size_t depth = room / (strlen(p[1]) + strlen(p[3]));
    char *at = wgsl + sprintf(wgsl, "%s", p[0]);
    for (size_t k = 0; k < depth; k++) at += sprintf(at, "%s", p[1]);
    at += sprintf(at, "%s", p[2]);
    for (size_t k = 0; k < depth; k++) at += sprintf(at, "%s", p[3]);
    sprintf(at, ";}");
    char error[200] = "";
    int code = translate(wgsl, NULL, error, sizeof error);
    CHECK(code == DW_WGSL_OK || error[0] != 0);
    free(wgsl);
  }
}

static void test_short_error(void) {
  char error[5] = "....";
  CHECK_EQ(translate("x", NULL, error, sizeof error), DW_WGSL_INVALID);
  CHECK_EQ(strlen(error), 4);
  CHECK_EQ(translate("x", NULL, NULL, 0), DW_WGSL_INVALID);
}

static void *translate_often(void *unused) {
  for (int i = 0; i < 20; i++) CHECK_EQ(translate(saxpy, NULL, NULL, 0), DW_WGSL_OK);
  return unused;
}

static void test_threads(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, translate_often, NULL), 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

static const dw_case cases[] = {
    {"describes", "the workgroup, memory and bindings after overrides", test_describes},
    {"bounds_checks", "checked kernels check, unchecked ones do not", test_bounds_checks},
    {"refuses", "errors name line, column and cause", test_refuses},
    {"source_cap", "64 KiB is the longest source", test_source_cap},
    {"deep_sources", "deeply nested sources end in a result or an error", test_deep_sources},
    {"short_error", "the error is cut to its capacity", test_short_error},
    {"threads", "translations run side by side", test_threads},
};
DW_TEST_MAIN(cases)
