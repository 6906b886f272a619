#!/usr/bin/env python3
"""Measures and prints every figure that Driftwood is held to, with its target and the machine.

  tools/figures.py [--runs 7] [--only WORD] [--json FILE] [--write]
  tools/figures.py --cold            also: clone, empty caches, `make run`, `make test` (long)
  tools/figures.py --fuzz 1000000    also: that many executions of each fuzz target (longer)

Each figure is the median of at least five runs, with the least and the largest.
What is not measured this time is shown as it was measured last, with its commit.
Nothing here is a test: the exit status says whether everything could be measured,
not whether a target was met.  --write puts the table into docs/performance.md.
Needs a build (`make`) and a C compiler; Python 3.9 or later, standard library only.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
BUILD = SOURCE / "build"
DRIFTWOOD = BUILD / "driftwood"
WORK = BUILD / "figures"
PAGE = SOURCE / "docs" / "performance.md"
THREADS = 2
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


class Figure:
    """Values in `unit`; `target` is a limit, "least" or "most" says on which side."""

    def __init__(self, name, values, unit, target=None, side="most", commit=""):
        self.name, self.values, self.unit = name, [float(v) for v in values], unit
        self.target, self.side, self.commit = target, side, commit

    @property
    def median(self):
        return statistics.median(self.values)

    def met(self):
        if self.target is None or not self.values:
            return ""
        met = self.median <= self.target if self.side == "most" else self.median >= self.target
        return "yes" if met else "no"

    def row(self):
        limit = "" if self.target is None else f"at {self.side} {show(self.target)} {self.unit}"
        if not self.values:
            return [self.name, "not measured", "", "", limit, "", ""]
        spread = f"{show(min(self.values))} to {show(max(self.values))}" if len(self.values) > 1 else ""
        return [self.name, f"{show(self.median)} {self.unit}", spread, str(len(self.values)), limit, self.met(),
                self.commit]

    def record(self):
        return {"figure": self.name, "values": self.values, "unit": self.unit, "target": self.target,
                "side": self.side, "commit": self.commit, "met": self.met()}


# What takes long and is measured only when asked for: it has its line all the same.
LONG = [
    Figure("clean clone, empty caches: `make run` to the first token", [], "min", 8),
    Figure("clean clone: `make test` after it", [], "min", 10),
    Figure("clean clone: `make test` and `make check` together", [], "min", 30),
    Figure("fuzz targets: executions of each, nothing found", [], "runs", 1000000, "least"),
]


def show(value):
    if value and abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def say(text):
    print(f"figures: {text}", file=sys.stderr, flush=True)


def machine():
    cpu = ""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    except OSError:
        cpu = os.uname().machine
    commit = output(["git", "rev-parse", "--short", "HEAD"]).strip()
    changed = output(["git", "status", "--porcelain", "--untracked-files=no"]).strip()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gb": round(memory, 1),
            "system": f"{os.uname().sysname} {os.uname().release}", "commit": commit + ("+" if changed else ""),
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


def output(command, **more):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          cwd=SOURCE, **more).stdout


# ---- What prove measures ---------------------------------------------------------------

def proof_figures(runs):
    wrapped, copied, product, call = [], [], [], []
    for i in range(runs):
        say(f"driftwood prove, {i + 1} of {runs}")
        text = output([DRIFTWOOD, "prove", "--device", "cpu", "--threads", THREADS, "--json"])
        evidence = {claim["name"]: claim["evidence"] for claim in json.loads(text)["claims"]}
        resident = re.search(r"wrapped: ([+-][\d.]+) MB resident; copied: ([+-][\d.]+) MB", evidence["resident"])
        wrapped.append(resident.group(1))
        copied.append(resident.group(2))
        product.append(re.search(r"([\d.]+) ms from submit", evidence["product"]).group(1))
        call.append(re.search(r"([\d.]+) ns each", evidence["host-call"]).group(1))
    return [Figure("resident memory that 16 MB wrapped add", wrapped, "MB", 0.05),
            Figure("resident memory that 16 MB copied add", copied, "MB"),
            Figure("128x128 GEMM issued by the guest, CPU", product, "ms", 0.2),
            Figure("host call", call, "ns", 20)]


# ---- From nothing, and again ------------------------------------------------------------

def first_token(folder, environment):
    """Seconds from `make run` to the first byte of the chat's answer, and to its end."""
    begun = time.monotonic()
    process = subprocess.Popen(["make", "run"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env={**os.environ, **environment})
    shown, first, answering = b"", None, False
    while True:
        part = os.read(process.stdout.fileno(), 1)
        if not part:
            break
        if answering and first is None:
            first = time.monotonic() - begun
        shown += part
        answering = answering or bool(re.search(rb"\| *\S*driftwood chat[^\n]*\n", shown))
    if process.wait() != 0 or first is None:
        raise RuntimeError("`make run` failed:\n" + shown.decode(errors="replace")[-2000:])
    return first, time.monotonic() - begun


def again_figures(runs):
    first_token(SOURCE, {})
    times = []
    for i in range(runs):
        say(f"make run, {i + 1} of {runs}")
        times.append(first_token(SOURCE, {})[0])
    return [Figure("`make run` again, to the first token", times, "s", 1.5)]


def empty_cargo_home(folder):
    """Crates are fetched again, from where this machine is told to fetch them."""
    folder.mkdir()
    settings = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo") / "config.toml"
    if settings.exists():
        shutil.copy(settings, folder)
    return str(folder)


def cold_figures(_runs):
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "driftwood"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(SOURCE), str(clone)], check=True)
        environment = {"DRIFTWOOD_CACHE": f"{folder}/cache", "XDG_CACHE_HOME": f"{folder}/user-cache",
                       "CARGO_HOME": empty_cargo_home(Path(folder) / "cargo")}
        say("clone with empty caches: make run (minutes)")
        first, _ = first_token(clone, environment)
        minutes = {}
        for target in ("test", "check"):
            say(f"make {target} (minutes)")
            begun = time.monotonic()
            subprocess.run(["make", target], cwd=clone, env={**os.environ, **environment}, check=True)
            minutes[target] = (time.monotonic() - begun) / 60
    values = first / 60, minutes["test"], minutes["test"] + minutes["check"]
    return [Figure(long.name, [value], long.unit, long.target, long.side) for long, value in zip(LONG, values)]


# ---- The 1B shape -----------------------------------------------------------------------

def model_1b():
    folder = WORK / "model-1b"
    if not (folder / "config.json").exists():
        say("making a model of the 1B shape with random bf16 weights (2.5 GB)")
        partial = WORK / "model-1b.partial"
        shutil.rmtree(partial, ignore_errors=True)
        subprocess.run([sys.executable, SOURCE / "tools" / "make_model.py", "--shape", "1b", str(partial)], check=True)
        partial.rename(folder)
    return folder


def weight_bytes(folder):
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def bandwidth_meter():
    meter = WORK / "bandwidth"
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-O3", "-march=native", "-pthread", "-o", str(meter), str(SOURCE / "bench/bandwidth.c")],
                   check=True)
    return meter


def read_bandwidth(meter):
    rates = [float(line) for line in output([meter, THREADS, 1024, 5]).split("\n")[:5]]
    return statistics.median(rates)


def resident_parts(pid):
    """Resident bytes of a process: of mapped weights, of everything else."""
    weights, other, in_weights = 0, 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            in_weights = line.endswith(".safetensors")
        elif line.startswith("Rss:"):
            size = int(line.split()[1]) * 1024
            weights, other = weights + size * in_weights, other + size * (not in_weights)
    return weights, other


SIZES = {"bytes": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


def generate(model, tokens):
    """One answer; (tokens/s, bytes copied, resident besides weights and KV)."""
    process = subprocess.Popen(
        [str(DRIFTWOOD), "chat", str(model), "--device", "cpu", "--threads", str(THREADS), "--temperature", "0",
         "--max-tokens", str(tokens), "--context", "512", "--verbose", "--set", "mode=generate"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    process.stdin.write("Once upon a time\n")
    process.stdin.flush()
    rate = copied = None
    for line in process.stderr:
        if found := re.search(r"([\d.]+) tokens/s, .*?([\d.]+) (bytes|KB|MB|GB) copied", line):
            rate, copied = float(found.group(1)), float(found.group(2)) * SIZES[found.group(3)]
        if found := re.search(r"memory: guest .*device ([\d.]+) (bytes|KB|MB|GB)", line):
            cache = float(found.group(1)) * SIZES[found.group(2)]
            break
    else:
        raise RuntimeError("the model of the 1B shape did not answer")
    _, other = resident_parts(process.pid)
    process.stdin.close()
    process.wait()
    return rate, copied, other - cache


def load_time(model):
    """Seconds of a whole process that loads the model and reads no message."""
    begun = time.monotonic()
    subprocess.run([str(DRIFTWOOD), "chat", str(model), "--device", "cpu", "--threads", str(THREADS), "--set",
                    "mode=generate"], stdin=subprocess.DEVNULL, check=True)
    return time.monotonic() - begun


def decode_figures(runs):
    model, meter = model_1b(), bandwidth_meter()
    size = weight_bytes(model)
    load_time(model)  # compiles the guest
    generate(model, 4)  # reads the file into the cache
    shares, rates, bandwidths, loads, beyond, copies = [], [], [], [], [], []
    for i in range(runs):
        say(f"1B shape, {i + 1} of {runs}")
        loads.append(load_time(model) * 1000)
        before = read_bandwidth(meter)
        rate, copied, rest = generate(model, 24)
        bandwidth = (before + read_bandwidth(meter)) / 2
        shares.append(100 * rate * size / 1e9 / bandwidth)
        rates.append(rate)
        bandwidths.append(bandwidth)
        beyond.append(rest / (1 << 20))
        copies.append(copied)
    return [Figure("1B shape, 2 threads: decode, share of the read bandwidth", shares, "%", 60, "least"),
            Figure("1B shape: tokens a second", rates, "tokens/s"),
            Figure("read bandwidth, 2 threads", bandwidths, "GB/s"),
            Figure("1B shape: load, warm file cache, 128,000-entry tokeniser", loads, "ms", 150),
            Figure("1B shape: memory beyond mapped weights and KV", beyond, "MB", 96),
            Figure("1B shape: bytes copied for an answer", copies, "bytes")]


def default_model_figures(runs):
    rates, firsts = [], []
    for _ in range(runs):
        done = subprocess.run([str(DRIFTWOOD), "chat", "--device", "cpu", "--temperature", "0", "--max-tokens", "64",
                               "--verbose"], input="Tell me a story.\n", capture_output=True, text=True)
        found = re.search(r"([\d.]+) tokens/s, first after ([\d.]+) (us|ms|s)", done.stderr)
        rates.append(float(found.group(1)))
        firsts.append(float(found.group(2)) * {"us": 1e-3, "ms": 1, "s": 1e3}[found.group(3)])
    return [Figure("default model: tokens a second", rates, "tokens/s"),
            Figure("default model: message to first token", firsts, "ms")]


# ---- Fuzzing ------------------------------------------------------------------------------

def fuzz_figures(executions):
    say(f"fuzzing, {executions:,} executions of each target (long)")
    done = subprocess.run([sys.executable, str(SOURCE / "tools" / "fuzz.py"), "--runs", str(executions)],
                          stdout=subprocess.PIPE, text=True)
    print(done.stdout, file=sys.stderr)
    if done.returncode:
        raise RuntimeError("fuzzing found something")
    return [Figure(LONG[3].name, [executions], "runs", LONG[3].target, "least")]


# ---- Showing it -----------------------------------------------------------------------------

HEAD = ["figure", "median", "least to largest", "runs", "target", "met", "commit"]


def with_earlier(figures, path):
    """These and, for the lines that they lack, what was measured before or nothing."""
    earlier = []
    if path.exists():
        earlier = [Figure(old["figure"], old["values"], old["unit"], old["target"], old["side"], old["commit"])
                   for old in json.loads(path.read_text())["figures"] if old["values"]]
    for old in earlier + LONG:
        if old.name not in [figure.name for figure in figures]:
            figures.append(old)
    return figures


def markdown(about, figures):
    lines = [f"Measured on {about['cpu']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}, "
             f"{about['date']}.", "",
             "| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    lines += ["| " + " | ".join(figure.row()) + " |" for figure in figures]
    return "\n".join(lines) + "\n"


def print_table(about, figures):
    rows = [HEAD] + [figure.row() for figure in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    print(f"{about['cpu']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}, commit {about['commit']}")
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def write_page(text):
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", help="prove, default, again, decode, cold or fuzz")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--fuzz", type=int)
    parser.add_argument("--json", default=str(WORK / "figures.json"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.runs < 5:
        parser.error("--runs is at least 5")
    WORK.mkdir(parents=True, exist_ok=True)
    parts = {"prove": proof_figures, "default": default_model_figures, "again": again_figures, "decode": decode_figures}
    if options.cold:
        parts["cold"] = cold_figures
    if options.fuzz:
        parts["fuzz"] = lambda _: fuzz_figures(options.fuzz)
    about, figures, failed = machine(), [], []
    for name, part in parts.items():
        if options.only and options.only != name:
            continue
        try:
            figures += part(options.runs)
        except Exception as problem:  # one figure that cannot be had must not hide the others
            failed.append(name)
            say(f"{name}: {problem}")
    for figure in figures:
        figure.commit = about["commit"]
    path = Path(options.json)
    figures = with_earlier(figures, path)
    print_table(about, figures)
    path.write_text(json.dumps({"machine": about, "figures": [f.record() for f in figures]}, indent=1) + "\n")
    if options.write:
        write_page(markdown(about, figures))
    for name in failed:
        print(f"could not be measured: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
