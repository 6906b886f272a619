"""The guests gemm and stream: what they answer, what they refuse, what they import."""
import os
import re
import subprocess
from pathlib import Path

from llm_goldens import DRIFTWOOD, run

WASI = {"clock_time_get", "random_get", "fd_write", "args_sizes_get", "args_get", "environ_sizes_get", "environ_get",
        "proc_exit"}


def matrix(n, state):
    """What the guest fills a matrix with."""
    values = []
    for _ in range(n * n):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values.append((state >> 8) / 8388608.0 - 1.0)
    return values


def check_gemm():
    for n in (1, 65, 128):
        a, b = matrix(n, 1), matrix(n, 2)
        wanted = sum(sum(a[k::n]) * sum(b[k * n:(k + 1) * n]) for k in range(n))
        answer = run("run", "gemm", "--set", f"n={n}", "--message", "run", "--message", "repeat 3").decode()
        found = re.findall(r"gemm n=(\d+) a=(\d+) b=(\d+) c=(\d+) runs=(\d+) checksum=(\S+)\n", answer)
        assert [line[0] for line in found] == [str(n)] * 2 and [line[4] for line in found] == ["1", "3"], answer
        for line in found:
            assert all(int(address) % 256 == 0 for address in line[1:4]), answer
            assert abs(float(line[5]) - wanted) < 1e-3 * n, f"{line[5]} is not {wanted}"


def check_stream():
    messages = ["bytes=4 mode=zerocopy", "bytes=1000000 mode=copy repeat=3", "prepare bytes=65536 mode=zerocopy",
                "run repeat=5", "run", "check", "grow bytes=3000000", "bytes=2500000 mode=zerocopy repeat=2"]
    answer = run("run", "stream", *(word for text in messages for word in ("--message", text))).decode()
    lines = answer.splitlines()
    assert len(lines) == len(messages), answer
    for i in (0, 1, 5, 7):
        assert " wrong=0 " in lines[i], answer
    assert "runs=6" in lines[5] and "runs=2" in lines[7], answer
    assert lines[6].split()[1] == lines[7].split()[3], "the new buffer does not lie in the new memory: " + answer


def check_refused():
    for guest, words, said in [("gemm", ["--set", "n=0"], "from 1 to 2048"),
                               ("gemm", ["--set", "n=x"], "from 1 to 2048"),
                               ("stream", ["--message", "bytes=2"], "prepare takes"),
                               ("stream", ["--message", "run"], "prepare first"),
                               ("stream", ["--message", "bytes=64 mode=fast"], "prepare takes"),
                               ("stream", ["--message", "grow bytes=4294901760"], "does not grow")]:
        done = subprocess.run([DRIFTWOOD, "run", guest, *words], capture_output=True, timeout=120)
        assert done.returncode and said in done.stderr.decode(), f"{guest} {words}: {done.stderr.decode()}"


def leb(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def imports(data):
    """Module and name of each import of a WebAssembly module."""
    at, found = 8, []
    while at < len(data):
        section = data[at]
        size, at = leb(data, at + 1)
        if section == 2:
            count, position = leb(data, at)
            for _ in range(count):
                pair = []
                for _ in range(2):
                    length, position = leb(data, position)
                    pair.append(data[position:position + length].decode())
                    position += length
                assert data[position] == 0, f"{pair} is no function"
                _, position = leb(data, position + 1)
                found.append(tuple(pair))
        at += size
    return found


def check_imports():
    folder = Path(os.environ.get("DW_BINARY_DIR", Path(DRIFTWOOD).parent)) / "guests"
    guests = sorted(folder.glob("*.wasm"))
    assert {"gemm", "llm", "stream", "tutorial"} <= {path.stem for path in guests}
    for path in guests:
        for module, name in imports(path.read_bytes()):
            offered = module == "driftwood" or (module == "wasi_snapshot_preview1" and name in WASI)
            assert offered, f"{path}: {module}.{name}"


check_gemm()
check_stream()
check_refused()
check_imports()
