"""What the tests of the llm guest share: the command line, its files, the goldens."""
import array
import os
import struct
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ.get("DW_SOURCE_DIR", Path(__file__).resolve().parents[2]))
DRIFTWOOD = os.environ.get("DRIFTWOOD", str(SOURCE / "build/driftwood"))


def run(*words, text=None):
    """The standard output of a command that must succeed."""
    done = subprocess.run([DRIFTWOOD, *map(str, words)], input=text, capture_output=True, timeout=280)
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        sys.exit(f"{' '.join(map(str, words))[:200]} ended with {done.returncode}: {said}")
    return done.stdout


def read_npy(path):
    """Rows of float32 out of a NumPy file."""
    data = Path(path).read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", "no NumPy file of version 1.0"
    (length,) = struct.unpack("<H", data[8:10])
    header = eval(data[10:10 + length].decode(), {"__builtins__": {}})  # a literal dictionary, by the format
    assert header["descr"] == "<f4" and not header["fortran_order"], header
    count, width = header["shape"]
    return rows(data[10 + length:], count, width)


def rows(data, count, width):
    values = array.array("f")
    values.frombytes(data)
    assert len(values) == count * width, f"{len(values)} values are not {count} x {width}"
    return [values[i * width:(i + 1) * width] for i in range(count)]
