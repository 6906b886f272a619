//! WGSL to SPIR-V for C callers.
//!
//! A shader may come from an untrusted guest: naga can recurse deeply, be slow
//! and panic on it.  So the source is capped, and translated on a thread with a
//! large stack, a time limit and a caught panic.

use naga::back::{spv, PipelineConstants};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy, Layouter};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ShaderStage, StorageAccess};
use std::error::Error;
use std::ffi::{c_char, c_int, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Once};
use std::time::Duration;

const SOURCE_MAX: usize = 65536;
const BINDINGS_MAX: usize = 16;
const STACK_BYTES: usize = 64 << 20;
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// A thread that outlived its time limit cannot be killed; past this many in
/// all, nothing more is translated until one of them ends.
const RUNNING_MAX: usize = 16;
static RUNNING: AtomicUsize = AtomicUsize::new(0);
const THREAD_NAME: &str = "dw-wgsl";

const OK: c_int = 0;
const TOO_LARGE: c_int = 1;
const INVALID: c_int = 2;
const TIMEOUT: c_int = 3;
const INTERNAL: c_int = 4;

#[repr(C)]
pub struct Constant {
    name: *const c_char,
    value: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Info {
    workgroup_size: [u32; 3],
    workgroup_bytes: u32,
    immediate_bytes: u32,
    binding_mask: u32,
    binding_write_mask: u32,
    binding_min_bytes: [u32; BINDINGS_MAX],
}

#[repr(C)]
pub struct Options {
    entry_point: *const c_char,
    constants: *const Constant,
    constant_count: usize,
    unchecked: c_int,
    info: *mut Info,
}

struct Failure(c_int, String);

fn invalid(text: impl Into<String>) -> Failure {
    Failure(INVALID, text.into())
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn at(location: Option<naga::SourceLocation>, text: String) -> Failure {
    match location {
        Some(l) => invalid(format!("line {} column {}: {text}", l.line_number, l.line_position)),
        None => invalid(text),
    }
}

struct Job {
    source: String,
    entry_point: String,
    constants: PipelineConstants,
    unchecked: bool,
}

fn policies(unchecked: bool) -> BoundsCheckPolicies {
    let (index, buffer) = if unchecked {
        (BoundsCheckPolicy::Unchecked, BoundsCheckPolicy::Unchecked)
    } else {
        (BoundsCheckPolicy::Restrict, BoundsCheckPolicy::ReadZeroSkipWrite)
    };
    BoundsCheckPolicies { index, buffer, image_load: buffer, binding_array: index }
}

/// The bindings that the entry point uses, refused where the host has no place for them.
fn describe(module: &naga::Module, info: &naga::valid::ModuleInfo, entry: usize) -> Result<(Info, spv::BindingMap), Failure> {
    let mut layouter = Layouter::default();
    layouter.update(module.to_ctx()).map_err(|e| invalid(chain(&e)))?;
    let mut result = Info { workgroup_size: module.entry_points[entry].workgroup_size, ..Info::default() };
    let mut map = spv::BindingMap::default();
    let uses = info.get_entry_point(entry);
    for (handle, variable) in module.global_variables.iter() {
        if uses[handle].is_empty() {
            continue;
        }
        let name = variable.name.as_deref().unwrap_or("");
        let bytes = layouter[variable.ty].size;
        let writable = match variable.space {
            AddressSpace::Private | AddressSpace::Function => continue,
            AddressSpace::WorkGroup => {
                result.workgroup_bytes = result.workgroup_bytes.saturating_add(bytes);
                continue;
            }
            AddressSpace::Immediate => {
                result.immediate_bytes = bytes;
                continue;
            }
            AddressSpace::Uniform => false,
            AddressSpace::Storage { access } => access.contains(StorageAccess::STORE),
            _ => return Err(invalid(format!("{name}: only storage and uniform buffers can be bound"))),
        };
        let binding = variable.binding.ok_or_else(|| invalid(format!("{name} has no binding")))?;
        let slot = binding.binding as usize;
        if binding.group != 0 || slot >= BINDINGS_MAX {
            let text = format!("{name}: bindings are in group 0 from 0 to {}", BINDINGS_MAX - 1);
            return Err(invalid(text));
        }
        if result.binding_mask & (1 << slot) != 0 {
            return Err(invalid(format!("{name}: binding {slot} is used twice")));
        }
        result.binding_mask |= 1 << slot;
        result.binding_write_mask |= u32::from(writable) << slot;
        result.binding_min_bytes[slot] = bytes;
        let place = spv::BindingInfo { descriptor_set: 0, binding: binding.binding, binding_array_size: None };
        map.insert(binding, place);
    }
    Ok((result, map))
}

fn translate(job: &Job) -> Result<(Vec<u32>, Info), Failure> {
    let module = naga::front::wgsl::parse_str(&job.source)
        .map_err(|e| at(e.location(&job.source), e.message().to_string()))?;
    let allowed = Capabilities::SHADER_FLOAT16
        | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::SUBGROUP
        | Capabilities::SUBGROUP_BARRIER
        | Capabilities::IMMEDIATES;
    let info = Validator::new(ValidationFlags::all(), allowed)
        .validate(&module)
        .map_err(|e| at(e.location(&job.source), chain(e.as_inner())))?;
    let wanted = |m: &naga::Module| {
        m.entry_points.iter().position(|e| e.stage == ShaderStage::Compute && e.name == job.entry_point)
    };
    if wanted(&module).is_none() {
        return Err(invalid(format!("no compute entry point named {}", job.entry_point)));
    }
    let selected = Some((ShaderStage::Compute, job.entry_point.as_str()));
    let (module, info) = naga::back::pipeline_constants::process_overrides(&module, &info, selected, &job.constants)
        .map_err(|e| invalid(chain(&e)))?;
    let entry = wanted(&module).ok_or_else(|| Failure(INTERNAL, "the entry point was lost".into()))?;
    let (described, binding_map) = describe(&module, &info, entry)?;
    let options = spv::Options {
        lang_version: (1, 3), // the first with subgroup operations
        flags: spv::WriterFlags::empty(),
        fake_missing_bindings: false,
        binding_map,
        bounds_check_policies: policies(job.unchecked),
        // Polyfill takes drivers seconds to compile for large arrays; None
        // would show a workgroup what another one left.
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::Native,
        force_loop_bounding: !job.unchecked,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: job.entry_point.clone() };
    let words = spv::write_vec(&module, &info, &options, Some(&pipeline)).map_err(|e| invalid(chain(&e)))?;
    Ok((words, described))
}

/// The library never prints: a panic that is caught here stays silent.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(THREAD_NAME) {
                others(info);
            }
        }));
    });
}

/// Counts a translation from its start to its end, also when it panics.
struct Running;
impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

fn translate_limited(job: Job) -> Result<(Vec<u32>, Info), Failure> {
    if RUNNING.fetch_add(1, Ordering::SeqCst) >= RUNNING_MAX {
        drop(Running);
        return Err(Failure(TIMEOUT, "too many translations are under way".into()));
    }
    let running = Running;
    silence_panics();
    let (send, receive) = mpsc::sync_channel(1);
    let work = move || {
        let _running = running;
        let result = catch_unwind(AssertUnwindSafe(|| translate(&job)))
            .unwrap_or_else(|_| Err(Failure(INTERNAL, "the translator failed on this shader".into())));
        let _ = send.send(result); // the caller may have given up
    };
    std::thread::Builder::new()
        .name(THREAD_NAME.into())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map_err(|e| Failure(INTERNAL, format!("cannot start a thread: {e}")))?;
    receive.recv_timeout(TIME_LIMIT).unwrap_or_else(|_| {
        Err(Failure(TIMEOUT, format!("translating took longer than {} s", TIME_LIMIT.as_secs())))
    })
}

unsafe fn text(pointer: *const c_char) -> Result<String, Failure> {
    CStr::from_ptr(pointer).to_str().map(str::to_string).map_err(|_| invalid("a name is not UTF-8"))
}

unsafe fn job(wgsl: *const c_char, length: usize, options: Option<&Options>) -> Result<Job, Failure> {
    if length > SOURCE_MAX {
        return Err(Failure(TOO_LARGE, format!("the source has {length} bytes, at most {SOURCE_MAX} are allowed")));
    }
    if wgsl.is_null() {
        return Err(invalid("there is no source"));
    }
    let bytes = std::slice::from_raw_parts(wgsl.cast::<u8>(), length);
    let source = std::str::from_utf8(bytes).map_err(|e| invalid(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
    let mut result = Job {
        source: source.to_string(),
        entry_point: "main".into(),
        constants: PipelineConstants::default(),
        unchecked: false,
    };
    if let Some(options) = options {
        if !options.entry_point.is_null() {
            result.entry_point = text(options.entry_point)?;
        }
        if !options.constants.is_null() {
            for constant in std::slice::from_raw_parts(options.constants, options.constant_count) {
                result.constants.insert(text(constant.name)?, constant.value);
            }
        }
        result.unchecked = options.unchecked != 0;
    }
    Ok(result)
}

/// # Safety
/// As `dw_wgsl.h` says: `wgsl` has `length` bytes, `options` is null or valid,
/// `words` and `word_count` are writable, `error` is null or has its capacity.
#[no_mangle]
pub unsafe extern "C" fn dw_wgsl_to_spirv(
    wgsl: *const c_char,
    length: usize,
    options: *const Options,
    words: *mut *mut u32,
    word_count: *mut usize,
    error: *mut c_char,
    error_capacity: usize,
) -> c_int {
    *words = std::ptr::null_mut();
    *word_count = 0;
    let options = options.as_ref();
    let result = job(wgsl, length, options).and_then(translate_limited);
    match result {
        Ok((vector, info)) => {
            if let Some(place) = options.and_then(|o| o.info.as_mut()) {
                *place = info;
            }
            let boxed = vector.into_boxed_slice();
            *word_count = boxed.len();
            *words = Box::into_raw(boxed).cast::<u32>();
            OK
        }
        Err(Failure(code, message)) => {
            if !error.is_null() && error_capacity > 0 {
                let mut end = message.len().min(error_capacity - 1);
                while !message.is_char_boundary(end) {
                    end -= 1;
                }
                std::ptr::copy_nonoverlapping(message.as_ptr(), error.cast::<u8>(), end);
                *error.add(end) = 0;
            }
            code
        }
    }
}

/// # Safety
/// `words` is null, or came with `word_count` from `dw_wgsl_to_spirv`.
#[no_mangle]
pub unsafe extern "C" fn dw_wgsl_free(words: *mut u32, word_count: usize) {
    if !words.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(words, word_count)));
    }
}
