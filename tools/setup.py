#!/usr/bin/env python3
"""Finds or gets what building Driftwood needs, pinned and verified by hash.

  tools/setup.py [--need engine,zig,ninja] [--tools test,check] [--cmake FILE]

Everything that is fetched or built lands in a cache outside the checkout:
$DRIFTWOOD_CACHE, else $XDG_CACHE_HOME/driftwood, else ~/.cache/driftwood.
--cmake writes where things are, for CMakeLists.txt to include.  What may not be
installed from here is named with the one command that installs it, and the exit
status is 1.  When all is there this takes a fraction of a second.

Python 3.9 or later, standard library only.
"""
import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
ENGINE = SOURCE / "third_party" / "engine"
CACHE = Path(
    os.environ.get("DRIFTWOOD_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "driftwood"
).resolve()
RUST_MINIMUM = (1, 95)
CMAKE_MINIMUM = (3, 22)
STARTED = time.monotonic()
LOCK = threading.Lock()


class Missing(Exception):
    """Something that this script may not or could not install; the text has the command."""


SAID = []


def say(text):
    with LOCK:
        if not SAID:
            print(f"setup: what the build needs goes to {CACHE}", file=sys.stderr)
        SAID.append(text)
        print(f"setup {time.monotonic() - STARTED:6.1f} s  {text}", file=sys.stderr, flush=True)


def digest(*parts):
    """A short name for a set of inputs: files by their bytes, the rest by their text."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            total.update(part.name.encode() + b"\0" + part.read_bytes())
        else:
            total.update(str(part).encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


def run(label, command, environment=None, cwd=None):
    """Runs a command into a log file; its last lines are shown when it fails."""
    log = CACHE / "logs" / f"{label}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as out:
        process = subprocess.Popen(
            [str(c) for c in command], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})}, cwd=cwd,
        )
        last = time.monotonic()
        while True:
            try:
                code = process.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() - last > 20:
                    last = time.monotonic()
                    say(f"{label}: {progress(log)}")
    if code != 0:
        tail = "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-25:])
        raise Missing(f"{label} failed with status {code} ({log}):\n{tail}")


def progress(log):
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    compiled = sum(line.startswith("Compiling ") for line in lines)
    return f"{compiled} crates compiled or under way" if compiled else (lines[-1][:90] if lines else "working")


# ---- Packages of the system --------------------------------------------------------

def may_apt():
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt(reason, packages):
    """Installs as root; otherwise says the command."""
    command = f"apt-get install -y {' '.join(packages)}"
    if not may_apt():
        raise Missing(f"{reason}; this installs it on Debian or Ubuntu:\n    sudo {command}")
    say(f"{reason}: {command}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run("apt-install", command.split() + ["--no-install-recommends"], environment)
    except Missing:  # the package lists may be old or absent
        run("apt-update", ["apt-get", "update"], environment)
        run("apt-install", command.split() + ["--no-install-recommends"], environment)


def version_of(command):
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", text)
    return tuple(int(n) for n in found.groups()) if found else (0, 0)


def check_prerequisites(need):
    if sys.version_info < (3, 9):
        raise Missing("Python 3.9 or later is needed")
    wanted = []
    if not any(shutil.which(c) for c in ([os.environ["CC"].split()[0]] if os.environ.get("CC") else ["cc"])):
        wanted += ["gcc", "libc6-dev"]
    if not shutil.which("cmake"):
        wanted.append("cmake")
    if wanted:
        apt("a C compiler and CMake are needed", wanted)
    if version_of(["cmake", "--version"]) < CMAKE_MINIMUM:
        raise Missing("CMake 3.22 or later is needed; this gets it:\n    python3 -m pip install --user 'cmake>=3.22'")
    if "engine" in need:
        rust = "curl --proto =https --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal"
        if not shutil.which("cargo") or not shutil.which("rustc"):
            raise Missing(f"Rust 1.95 or later is needed; this installs it:\n    {rust}")
        if version_of(["rustc", "--version"]) < RUST_MINIMUM:
            raise Missing("Rust 1.95 or later is needed; this updates it:\n    rustup update stable")


def vulkan_present():
    folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"]
    driver = any(name.startswith("lvp_icd") for f in folders if os.path.isdir(f) for name in os.listdir(f))
    return driver and library_present("libvulkan.so.1")


def library_present(name):
    import ctypes
    try:
        ctypes.CDLL(name)
        return True
    except OSError:
        return False


def check_test_tools():
    # The Vulkan test fails with the same command when this was not possible.
    if not vulkan_present():
        try:
            apt("the Vulkan test needs Mesa's lavapipe", ["mesa-vulkan-drivers", "libvulkan1"])
        except Missing as missing:
            say(str(missing))


def check_check_tools():
    wanted = []
    if not shutil.which("clang-14"):
        wanted.append("clang-14")
    if not list(Path("/usr/lib").glob("llvm-14/lib/clang/14*/lib/linux/libclang_rt.fuzzer-*.a")):
        wanted.append("libclang-rt-14-dev")
    if not shutil.which("llvm-profdata-14"):
        wanted.append("llvm-14")
    if not shutil.which("qemu-aarch64") and not shutil.which("qemu-aarch64-static"):
        wanted.append("qemu-user")
    if wanted:
        apt("make check needs clang 14 and qemu-user", wanted)


# ---- Wheels from PyPI --------------------------------------------------------------

def wheel(requirements):
    """Unpacks one pinned, hash-checked wheel into the cache; returns its folder."""
    target = CACHE / "python" / digest(SOURCE / "tools" / requirements)
    if target.is_dir():
        return target
    label = requirements[len("requirements-"):-len(".txt")]
    say(f"{label}: fetching the wheel pinned in tools/{requirements}")
    part = target.with_name(f"{target.name}.part{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    python = sys.executable
    if subprocess.run([python, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        venv = CACHE / "python" / "pip"
        if not (venv / "bin" / "pip").exists():
            made = subprocess.run([python, "-m", "venv", venv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if made.returncode:
                shutil.rmtree(venv, ignore_errors=True)
                apt("pip is needed", ["python3-pip"])
        if (venv / "bin" / "pip").exists():
            python = venv / "bin" / "python"
    run(f"pip-{label}", [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--no-compile",
                         "--only-binary=:all:", "--require-hashes", "--target", part, "-r",
                         SOURCE / "tools" / requirements])
    try:
        part.rename(target)
    except OSError:  # another set-up was faster
        shutil.rmtree(part, ignore_errors=True)
    say(f"{label}: ready")
    return target


def get_zig():
    zig = wheel("requirements-zig.txt") / "ziglang" / "zig"
    warm = CACHE / "zig" / f"warm-{digest(SOURCE / 'tools' / 'requirements-zig.txt')}"
    if not warm.exists():
        # The first compile for a target builds its C library: once, here, beside cargo.
        say("zig: building the guests' C library")
        scratch = CACHE / "zig" / f"scratch{os.getpid()}"
        scratch.mkdir(parents=True, exist_ok=True)
        source = scratch / "first.c"
        source.write_text("#include <stdio.h>\n#include <math.h>\nint first(float x) { return printf(\"%f\", expf(x)); }\n")
        run("zig-first", [zig, "cc", "--target=wasm32-wasi", "-mexec-model=reactor", "-O3", "-o", scratch / "first.wasm",
                          source], {"ZIG_GLOBAL_CACHE_DIR": str(CACHE / "zig"), "ZIG_LOCAL_CACHE_DIR": str(scratch)})
        shutil.rmtree(scratch, ignore_errors=True)
        warm.touch()
        say("zig: ready")
    return {"DW_ZIG": zig, "DW_ZIG_CACHE": CACHE / "zig"}


def get_ninja():
    ninja = shutil.which("ninja") or shutil.which("ninja-build")
    return {"DW_NINJA": ninja or wheel("requirements-ninja.txt") / "bin" / "ninja"}


# ---- The Rust crate ----------------------------------------------------------------

def engine_sources():
    return [ENGINE / "Cargo.toml", ENGINE / "Cargo.lock", ENGINE / "build.rs",
            *sorted((ENGINE / "src").glob("*.rs")), *sorted((ENGINE / "include").glob("*.h"))]


def wasmtime_version():
    return re.search(r'wasmtime-c-api-impl", version = "=([\d.]+)"', (ENGINE / "Cargo.toml").read_text()).group(1)


def installed_wasmtime(prefix):
    """An installed Wasmtime C API (DW_WASMTIME_PREFIX), if it is the very version pinned here."""
    header = prefix / "include" / "wasmtime.h"
    library = next((p for p in (prefix / "lib" / "libwasmtime.a", prefix / "lib" / "libwasmtime.so") if p.exists()), None)
    if not header.exists() or not library:
        raise Missing(f"DW_WASMTIME_PREFIX: {prefix} has no include/wasmtime.h or no lib/libwasmtime.a or .so")
    found = re.search(r'#define WASMTIME_VERSION "([^"]+)"', header.read_text())
    if not found or found.group(1) != wasmtime_version():
        raise Missing(f"DW_WASMTIME_PREFIX: {prefix} has Wasmtime {found.group(1) if found else 'of an unknown version'}, "
                      f"Driftwood needs {wasmtime_version()}")
    return library, prefix / "include"


def get_engine():
    prefix = os.environ.get("DW_WASMTIME_PREFIX")
    found = {}
    if prefix:
        found["DW_WASMTIME_LIBRARY"], found["DW_ENGINE_INCLUDE"] = installed_wasmtime(Path(prefix).resolve())
    features = ["--no-default-features"] if prefix else []
    place = CACHE / "engine" / digest(*engine_sources(), bool(prefix))
    library = place / "libdriftwood_engine.a"
    if not library.exists():
        rustc = subprocess.run(["rustc", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
        # One target folder a lock file and compiler: an edit of our own sources costs seconds.
        target = CACHE / "engine" / f"target-{digest(ENGINE / 'Cargo.lock', ENGINE / 'Cargo.toml', rustc, bool(prefix))}"
        say("engine: building naga (about a minute, once)" if prefix
            else "engine: building Wasmtime and naga (about 4 minutes on 2 cores, once)")
        headers = place / "include"
        headers.mkdir(parents=True, exist_ok=True)
        run("cargo", ["cargo", "build", "--locked", "--release", "--manifest-path", ENGINE / "Cargo.toml", *features],
            {"CARGO_TARGET_DIR": str(target), "DW_ENGINE_INCLUDE": str(headers)})
        part = place / f"part{os.getpid()}"
        shutil.copyfile(target / "release" / library.name, part)
        part.rename(library)
        say("engine: ready")
    return {"DW_ENGINE_LIBRARY": library, "DW_ENGINE_INCLUDE": place / "include", **found}


# ---- The whole ---------------------------------------------------------------------

STEPS = {"engine": get_engine, "zig": get_zig, "ninja": get_ninja}


def all_there(stamp):
    """Whether an earlier run with the same inputs wrote `stamp` and its files still exist."""
    try:
        text = stamp.read_text()
    except OSError:
        return None
    paths = re.findall(r'set\(DW_\w+ "([^"]+)"\)', text)
    return text if all(os.path.exists(p) for p in paths) else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--need", default="engine,zig,ninja", help="comma-separated: engine, zig, ninja")
    parser.add_argument("--tools", default="", help="comma-separated: test, check")
    parser.add_argument("--cmake", help="a file to write the places to")
    parser.add_argument("--print", dest="show", help="print one of the places and nothing else")
    options = parser.parse_args()
    need = [n for n in options.need.split(",") if n]
    if unknown := set(need) - set(STEPS):
        parser.error(f"nothing is known as {', '.join(sorted(unknown))}")
    inputs = [Path(__file__).resolve(), *engine_sources(), *sorted((SOURCE / "tools").glob("requirements-*.txt"))]
    key = digest(*inputs, ",".join(need), os.environ.get("DW_WASMTIME_PREFIX", ""), os.environ.get("PATH", ""))
    stamp = CACHE / "stamps" / f"{key}.cmake"
    try:
        text = all_there(stamp)
        if text is None:
            text = set_up(need, stamp)
        if "test" in options.tools.split(","):
            check_test_tools()
        if "check" in options.tools.split(","):
            check_check_tools()
    except Missing as missing:
        print(f"setup: {missing}", file=sys.stderr)
        return 1
    if options.cmake:
        Path(options.cmake).write_text(text)
    if options.show:
        print(dict(re.findall(r'set\((DW_\w+) "([^"]+)"\)', text)).get(options.show, ""))
    return 0


def set_up(need, stamp):
    check_prerequisites(need)
    found, errors = {}, []

    def step(name):
        try:
            result = STEPS[name]()
            with LOCK:
                found.update(result)
        except (Missing, OSError, subprocess.SubprocessError) as error:
            errors.append(f"{name}: {error}")

    # Cargo's last crates leave a core idle, and fetching waits for the network: all at once.
    threads = [threading.Thread(target=step, args=(name,)) for name in need]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise Missing("\n".join(errors))
    lines = [f'set({name} "{value}")' for name, value in sorted(found.items())]
    text = "# Written by tools/setup.py\n" + "\n".join(lines) + "\n"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(text)
    if SAID:
        say("all is there")
    return text


if __name__ == "__main__":
    sys.exit(main())
