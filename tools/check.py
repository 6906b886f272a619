#!/usr/bin/env python3
"""`make check`: the tests again under sanitizers and on another architecture.

  tools/check.py [asan] [tsan] [aarch64] [fuzz] [apple]     (default: all)

asan     all C tests with AddressSanitizer and UndefinedBehaviorSanitizer
tsan     the same with ThreadSanitizer, but for test_prove, which measures resident memory
aarch64  the library without the runtime, cross-built by zig and run by qemu-user
fuzz     a short run of each fuzz target from its seeds
apple    all C and Objective-C compiled for macOS on aarch64, warnings as errors

The last line is `N passed, N failed`; a build that fails counts as one failure,
and a test that did not run is not counted as passed.
"""
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
JOBS = os.cpu_count() or 2
STARTED = time.monotonic()


def say(text):
    print(f"check {time.monotonic() - STARTED:5.0f} s  {text}", flush=True)


def place(name):
    command = [sys.executable, SOURCE / "tools" / "setup.py", "--need", "zig,ninja", "--print", name]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def quiet(command):
    """Runs a command; shows what it said only when it fails."""
    result = subprocess.run([str(c) for c in command], cwd=SOURCE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors="replace")
    if result.returncode:
        print(result.stdout[-20000:], flush=True)
    return result.returncode == 0


def build_and_test(preset, jobs=JOBS):
    """(passed, failed) of a preset's tests."""
    say(f"{preset}: building")
    folder = SOURCE / f"build-{preset}"
    ninja = place("DW_NINJA")
    if not quiet(["cmake", "--preset", preset, f"-DCMAKE_MAKE_PROGRAM={ninja}", "--log-level=WARNING"]):
        return 0, 1
    built = quiet([ninja, "-C", folder, "--quiet", "-k", "0"])
    say(f"{preset}: testing")
    result = subprocess.run(["ctest", "--test-dir", folder, f"-j{jobs}", "--output-on-failure", "--no-tests=error"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    print(result.stdout, flush=True)
    found = re.search(r"tests passed, (\d+) tests? failed out of (\d+)", result.stdout)
    if not found:
        return 0, 1
    failed, total = map(int, found.groups())
    return total - failed, failed + (0 if built else 1)


def check_apple():
    """Compiles every source of the library and the CLI, each of which counts as one."""
    say("apple: compiling")
    zig, cache, include = place("DW_ZIG"), place("DW_ZIG_CACHE"), engine_include()
    out = SOURCE / "build-apple"
    out.mkdir(exist_ok=True)
    quiet([sys.executable, SOURCE / "tools" / "embed.py", "--out", out, *sorted((SOURCE / "kernels").glob("*.wgsl"))])
    sources = [p for pattern in ("src/*.c", "src/format/*.c", "src/device/*.c", "src/device/*/*.c", "src/device/*/*.m",
                                 "cli/*.c") for p in sorted(SOURCE.glob(pattern)) if not re.search(r"_avx\w*\.c$", p.name)]
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": str(out / "zig")}
    flags = ["--target=aarch64-macos.13.0", "-fno-sanitize=undefined", "-std=gnu11", "-O1", "-D_GNU_SOURCE",
             "-D_DARWIN_C_SOURCE", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wno-sign-conversion",
             "-Wunguarded-availability", "-Werror", "-ffp-contract=off", f"-I{SOURCE / 'include'}", f"-I{SOURCE / 'src'}",
             f"-I{SOURCE / 'third_party' / 'engine' / 'include'}", f"-I{out}", f"-I{SOURCE / 'cli'}", "-isystem", include]

    def compile_one(source):
        extra = ["-fobjc-arc", "-fblocks"] if source.suffix == ".m" else []
        target = out / (str(source.relative_to(SOURCE)).replace("/", "_") + ".o")
        return subprocess.run([zig, "cc", *flags, *extra, "-c", "-o", target, source], env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")

    passed = failed = 0
    with ThreadPoolExecutor(JOBS) as pool:
        for source, result in zip(sources, pool.map(compile_one, sources)):
            if result.returncode:
                failed += 1
                print(f"FAILED {source.relative_to(SOURCE)} for macOS\n{result.stdout}", flush=True)
            else:
                passed += 1
    say(f"apple: {passed} files compiled, {failed} failed")
    return passed, failed


def engine_include():
    command = [sys.executable, SOURCE / "tools" / "setup.py", "--need", "engine,zig", "--print", "DW_ENGINE_INCLUDE"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


STEPS = {
    "asan": lambda: build_and_test("asan"),
    "tsan": lambda: build_and_test("tsan"),
    "aarch64": lambda: build_and_test("aarch64"),
    "fuzz": lambda: build_and_test("fuzz"),
    "apple": check_apple,
}


def main():
    wanted = sys.argv[1:] or list(STEPS)
    if unknown := [w for w in wanted if w not in STEPS]:
        print(f"nothing is known as {', '.join(unknown)}\n{__doc__}", file=sys.stderr)
        return 2
    tools = [sys.executable, SOURCE / "tools" / "setup.py", "--tools", "test,check"]
    if subprocess.run(tools).returncode:
        return 1
    results = {name: STEPS[name]() for name in wanted}
    for name, (passed, failed) in results.items():
        say(f"{name}: {passed} passed, {failed} failed")
    passed, failed = (sum(r[i] for r in results.values()) for i in (0, 1))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
