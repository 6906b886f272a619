// y = a * x + b, each element once: the streaming operator.
//
// Dense: element i of both lies at offset + i.  Else element i is the index
// (i0, i1, i2, i3) in row-major order of `dims`, and lies at offset + the sum
// of index * stride.  Offsets and strides are in elements of the binding.  An
// invocation takes 16 elements, neighbours next to each other.

override dense: bool = true;

struct Parameters {
  count: u32,
  x_offset: u32,
  y_offset: u32,
  a: f32,
  b: f32,
  dims: vec4<u32>,
  x_strides: vec4<u32>,
  y_strides: vec4<u32>,
}

var<immediate> p: Parameters;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  for (var i = 0u; i < 16u; i++) {
    let element = group.x * 1024u + i * 64u + lane;
    if (element < p.count) {
      var at_x = element;
      var at_y = element;
      if (!dense) {
        let row = element / p.dims.w;
        let plane = row / p.dims.z;
        let index = vec4<u32>(plane / p.dims.y, plane % p.dims.y, row % p.dims.z, element % p.dims.w);
        at_x = index.x * p.x_strides.x + index.y * p.x_strides.y + index.z * p.x_strides.z + index.w * p.x_strides.w;
        at_y = index.x * p.y_strides.x + index.y * p.y_strides.y + index.z * p.y_strides.z + index.w * p.y_strides.w;
      }
      y[p.y_offset + at_y] = fma(p.a, x[p.x_offset + at_x], p.b);
    }
  }
}
