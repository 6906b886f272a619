#!/usr/bin/env python3
"""Runs the fuzz targets for long, or measures what their inputs cover.

  tools/fuzz.py [--runs 1000000] [--seconds N] [TARGET...]
  tools/fuzz.py --coverage [--runs 20000] [TARGET...]
  tools/fuzz.py --keep [TARGET...]

A target tests/fuzz/fuzz_NAME.c names the files that it is to cover in a line
`// Covers: src/format/safetensors.c src/format/json.c`.  --coverage prints the
share of their lines that its seeds and `--runs` executions reach, and fails
below 90%.  --keep adds to the seeds those inputs of earlier runs that reach what
the seeds do not.  The exit status is 0 when nothing was found.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
FUZZ = SOURCE / "tests" / "fuzz"
LINES_WANTED = 90.0


def build(preset):
    setup = [sys.executable, SOURCE / "tools" / "setup.py", "--need", "ninja"]
    subprocess.run([*setup, "--tools", "check"], check=True)
    ninja = subprocess.run([*setup, "--print", "DW_NINJA"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    folder = SOURCE / f"build-{preset}"
    for command in (["cmake", "--preset", preset, f"-DCMAKE_MAKE_PROGRAM={ninja}", "--log-level=WARNING"],
                    [ninja, "-C", folder, "--quiet"]):
        result = subprocess.run(command, cwd=SOURCE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode:
            raise SystemExit(result.stdout)
    return folder / "tests" / "fuzz"


def execute(folder, name, runs, seconds, environment=None):
    """One run of a target: (seconds, executions, new inputs, text if it failed)."""
    found = folder / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    before = len(list(found.iterdir()))
    command = [folder / f"fuzz_{name}", f"-runs={runs}", "-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1",
               f"-artifact_prefix={folder}/{name}-", found, FUZZ / "corpus" / name]
    if seconds:
        command.insert(2, f"-max_total_time={seconds}")
    started = time.monotonic()
    result = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors="replace", env={**os.environ, **(environment or {})})
    executed = re.search(r"number_of_executed_units:\s*(\d+)", result.stdout)
    return (time.monotonic() - started, int(executed.group(1)) if executed else 0,
            len(list(found.iterdir())) - before, result.stdout if result.returncode else "")


def long_run(names, runs, seconds):
    folder = build("fuzz")
    failed = 0
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for name, (wall_s, executed, new, output) in zip(names, pool.map(
                lambda n: execute(folder, n, runs, seconds), names)):
            failed += bool(output)
            print(f"{name:16} {executed:>10,} executions  {wall_s:7.1f} s  {new:5} inputs kept  "
                  f"{'FAILED' if output else 'clean'}", flush=True)
            if output:
                print(output[-6000:])
    return failed


def covered_files(name):
    text = (FUZZ / f"fuzz_{name}.c").read_text()
    files = re.findall(r"^// Covers: (.+)$", text, re.MULTILINE)
    if not files:
        raise SystemExit(f"tests/fuzz/fuzz_{name}.c has no line `// Covers: FILES`")
    return [SOURCE / f for line in files for f in line.split()]


def coverage(names, runs):
    folder = build("coverage")
    failed = 0
    for name in names:
        raw, merged = folder / f"{name}.profraw", folder / f"{name}.profdata"
        inputs = SOURCE / "build-fuzz" / "tests" / "fuzz" / "found" / name
        if inputs.is_dir():
            shutil.copytree(inputs, folder / "found" / name, dirs_exist_ok=True)
        output = execute(folder, name, runs, 0, {"LLVM_PROFILE_FILE": str(raw)})[3]
        if output:
            raise SystemExit(output[-6000:])
        subprocess.run(["llvm-profdata-14", "merge", "-sparse", raw, "-o", merged], check=True)
        text = subprocess.run(["llvm-cov-14", "export", "-summary-only", folder / f"fuzz_{name}",
                               f"-instr-profile={merged}", *covered_files(name)],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        for entry in json.loads(text)["data"][0]["files"]:
            lines = entry["summary"]["lines"]
            enough = lines["percent"] >= LINES_WANTED
            failed += not enough
            print(f"{name:16} {os.path.relpath(entry['filename'], SOURCE):36} {lines['covered']:5} of "
                  f"{lines['count']:5} lines  {lines['percent']:5.1f}%{'' if enough else '  below 90%'}", flush=True)
    return failed


def keep(names):
    folder = build("fuzz")
    for name in names:
        corpus, small = FUZZ / "corpus" / name, folder / f"small-{name}"
        shutil.rmtree(small, ignore_errors=True)
        shutil.copytree(corpus, small)
        subprocess.run([folder / f"fuzz_{name}", "-merge=1", small, folder / "found" / name], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for path in small.iterdir():
            if not (corpus / path.name).exists():
                shutil.copyfile(path, corpus / path.name[:12])
        print(f"{name:16} {len(list(corpus.iterdir()))} seeds")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("targets", nargs="*")
    options = parser.parse_args()
    names = options.targets or sorted(p.stem[len("fuzz_"):] for p in FUZZ.glob("fuzz_*.c"))
    if options.coverage:
        return 1 if coverage(names, options.runs or 20000) else 0
    if options.keep:
        return keep(names)
    return 1 if long_run(names, options.runs or 1000000, options.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
