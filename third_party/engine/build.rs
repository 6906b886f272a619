//! Copies Wasmtime's headers to where the C build looks for them.
//!
//! `DW_ENGINE_INCLUDE` names that folder; without it (a plain `cargo build`)
//! nothing is copied.
use std::{env, fs, io, path::Path};

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn main() {
    println!("cargo:rerun-if-env-changed=DW_ENGINE_INCLUDE");
    println!("cargo:rerun-if-changed=build.rs");
    // Set by wasmtime-c-api-impl's own build script through its `links` key.
    if let (Ok(to), Ok(from)) = (env::var("DW_ENGINE_INCLUDE"), env::var("DEP_WASMTIME_C_API_INCLUDE")) {
        println!("cargo:rerun-if-changed={to}");
        copy_folder(Path::new(&from), Path::new(&to)).expect("cannot copy Wasmtime's headers");
    }
}
