// Y[m,n] = A[m,k] x B[k,n], or Y += A x B where `accumulate` is set: a host
// that cuts k into passes gets the very sums of one pass, since every sum runs
// over k in rising order, one fused multiply-add a step.
//
// A and Y are F32; B is F32, or F16 or BF16 in halves of words.  All three are
// strided views: element (r, c) lies at offset + r * row + c * column, in
// elements from the beginning of the binding.
//
// A workgroup makes a tile of 32 x 32 of Y, an invocation 4 x 4 of it.  An
// invocation runs 25 loop iterations for 16 of k; some drivers stop an
// invocation silently after 65,535, so k is at most 16,384 a pass.

override b_type: u32 = 0u; // 0 F32, 1 F16, 2 BF16

struct Parameters {
  m: u32,
  n: u32,
  k: u32,
  accumulate: u32,
  a_offset: u32,
  a_row: u32,
  a_column: u32,
  b_offset: u32,
  b_row: u32,
  b_column: u32,
  y_offset: u32,
  y_row: u32,
  y_column: u32,
}

var<immediate> p: Parameters;
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> a_tile: array<f32, 512>; // [16 of k][32 of m]
var<workgroup> b_tile: array<f32, 512>; // [16 of k][32 of n]

fn b_element(index: u32) -> f32 {
  if (b_type == 0u) {
    return bitcast<f32>(b[index]);
  }
  let word = b[index >> 1u];
  let half = (word >> ((index & 1u) * 16u)) & 0xffffu;
  if (b_type == 1u) {
    return unpack2x16float(half).x;
  }
  return bitcast<f32>(half << 16u);
}

fn store(row: u32, column: u32, sum: f32) {
  if (row < p.m && column < p.n) {
    y[p.y_offset + row * p.y_row + column * p.y_column] = sum;
  }
}

fn store_row(row: u32, column: u32, sums: vec4<f32>) {
  store(row, column, sums.x);
  store(row, column + 1u, sums.y);
  store(row, column + 2u, sums.z);
  store(row, column + 3u, sums.w);
}

fn load(row: u32, column: u32) -> f32 {
  if (row < p.m && column < p.n) {
    return y[p.y_offset + row * p.y_row + column * p.y_column];
  }
  return 0.0;
}

fn load_row(row: u32, column: u32) -> vec4<f32> {
  return vec4<f32>(load(row, column), load(row, column + 1u), load(row, column + 2u), load(row, column + 3u));
}

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let row = group.y * 32u + local.y * 4u;
  let column = group.x * 32u + local.x * 4u;
  var sum0 = vec4<f32>();
  var sum1 = vec4<f32>();
  var sum2 = vec4<f32>();
  var sum3 = vec4<f32>();
  if (p.accumulate != 0u) {
    sum0 = load_row(row, column);
    sum1 = load_row(row + 1u, column);
    sum2 = load_row(row + 2u, column);
    sum3 = load_row(row + 3u, column);
  }
  for (var first = 0u; first < p.k; first += 16u) {
    for (var i = 0u; i < 8u; i++) {
      let e = lane + i * 64u;
      let a_r = group.y * 32u + e / 16u;
      let a_k = first + e % 16u;
      var value = 0.0;
      if (a_r < p.m && a_k < p.k) {
        value = a[p.a_offset + a_r * p.a_row + a_k * p.a_column];
      }
      a_tile[(e % 16u) * 32u + e / 16u] = value;
      let b_k = first + e / 32u;
      let b_c = group.x * 32u + e % 32u;
      value = 0.0;
      if (b_k < p.k && b_c < p.n) {
        value = b_element(p.b_offset + b_k * p.b_row + b_c * p.b_column);
      }
      b_tile[e] = value;
    }
    workgroupBarrier();
    for (var i = 0u; i < 16u; i++) {
      let at_a = i * 32u + local.y * 4u;
      let at_b = i * 32u + local.x * 4u;
      let right = vec4<f32>(b_tile[at_b], b_tile[at_b + 1u], b_tile[at_b + 2u], b_tile[at_b + 3u]);
      sum0 = fma(vec4<f32>(a_tile[at_a]), right, sum0);
      sum1 = fma(vec4<f32>(a_tile[at_a + 1u]), right, sum1);
      sum2 = fma(vec4<f32>(a_tile[at_a + 2u]), right, sum2);
      sum3 = fma(vec4<f32>(a_tile[at_a + 3u]), right, sum3);
    }
    workgroupBarrier();
  }
  store_row(row, column, sum0);
  store_row(row + 1u, column, sum1);
  store_row(row + 2u, column, sum2);
  store_row(row + 3u, column, sum3);
}
