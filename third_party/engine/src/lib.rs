//! What Driftwood takes from Rust, as one C-linkable static library: Wasmtime's
//! C API (its own headers) and naga (`include/dw_wgsl.h`).

mod wgsl;

#[cfg(feature = "wasmtime")]
pub use wasmtime_c_api::*;
