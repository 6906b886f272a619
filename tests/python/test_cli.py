#!/usr/bin/env python3
"""The command line: parsing, help, exit codes, what is piped and what is granted."""
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree
from pathlib import Path

DRIFTWOOD = os.environ.get("DRIFTWOOD", "build/driftwood")
SOURCE = Path(os.environ.get("DW_SOURCE_DIR", "."))
MODEL = SOURCE / "models" / "default"
CACHE = tempfile.TemporaryDirectory()
ENVIRONMENT = {**os.environ, "XDG_CACHE_HOME": CACHE.name}


def run(*arguments, stdin="", environment=None):
    return subprocess.run([DRIFTWOOD, *arguments], input=stdin, capture_output=True, text=True, timeout=300,
                          env={**ENVIRONMENT, **(environment or {})})


class Parsing(unittest.TestCase):
    def refuses(self, words, *arguments):
        done = run(*arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_nothing_shows_the_overview(self):
        done = run()
        self.assertEqual(done.returncode, 2)
        self.assertIn("driftwood COMMAND", done.stderr)

    def test_suggestions(self):
        self.refuses("did you mean chat?", "chta")
        self.refuses("did you mean --temperature?", "chat", "--temprature", "1")
        self.refuses("`driftwood help` lists them", "chat", "--zzzzzzzz")
        done = run("run", "gem")
        self.assertEqual(done.returncode, 3)
        self.assertIn("did you mean gemm?", done.stderr)

    def test_values(self):
        self.refuses("--threads takes a whole number", "chat", "--threads", "two")
        self.refuses("--threads takes a whole number", "chat", "--threads", "0")
        self.refuses("--threads takes a whole number", "chat", "--threads", "-1")
        self.refuses("--top-p takes a number above 0", "chat", "--top-p", "0")
        self.refuses("--top-p", "chat", "--top-p=1.01")
        self.refuses("--temperature takes a number", "chat", "--temperature", "nan")
        self.refuses("--max-memory takes a size", "chat", "--max-memory", "5X")
        self.refuses("--max-memory takes a size", "chat", "--max-memory", "99999999999999999999G")
        self.refuses("--deadline takes a time", "chat", "--deadline", "soon")
        self.refuses("--seed needs a value", "chat", "--seed")
        self.refuses("--whole takes no value", "tokenize", "--whole=1")
        self.refuses("--seed takes a whole number", "chat", "--seed", "18446744073709551616")

    def test_options_belong_to_commands(self):
        self.refuses("chat takes no --tokens", "chat", "--tokens", "1")
        self.refuses("one argument too many", "chat", "a", "b")
        self.refuses("an argument is missing", "run")
        self.refuses("there is one benchmark", "bench", "speed")
        self.refuses("--model DIR is needed", "tokenize")
        self.refuses("NAME=PATH", "run", "gemm", "--model", "path")

    def test_help(self):
        overview = run("help")
        self.assertEqual(overview.returncode, 0)
        commands = re.findall(r"^  (\w+)[^\n]*$", overview.stdout.split("Commands")[1].split("To begin")[0], re.M)
        self.assertEqual(commands, ["chat", "run", "prove", "devices", "doctor", "tokenize", "logits", "bench", "help"])
        for command in commands:
            page = run("help", command)
            self.assertEqual(page.returncode, 0)
            self.assertIn("Examples", page.stdout)
            self.assertEqual(page.stdout, run(command, "--help").stdout)
            self.assertFalse([line for line in page.stdout.splitlines() if line != line.rstrip()])
        self.assertEqual(run("help", "prov").returncode, 2)
        self.assertEqual(run("--version").stdout.split()[0], "driftwood")

    def test_the_page_is_the_tables(self):
        self.assertEqual(run("help", "--markdown").stdout, (SOURCE / "docs" / "cli.md").read_text(),
                         "docs/cli.md is old: build/driftwood help --markdown > docs/cli.md")

    def test_no_colours_in_a_pipe(self):
        for arguments in (["help"], ["devices"], ["doctor"], ["help", "chat"]):
            done = run(*arguments)
            self.assertNotIn("\033", done.stdout + done.stderr)


class Reports(unittest.TestCase):
    def test_devices(self):
        self.assertIn("cpu", run("devices").stdout)
        found = json.loads(run("devices", "--json").stdout)
        names = [device["name"] for device in found["devices"]]
        self.assertEqual(names[:2], ["cpu", "vulkan"])
        self.assertTrue(found["devices"][0]["present"])
        self.assertIn(found["auto"], names)
        for device in found["devices"]:
            self.assertTrue(device["description"])

    def test_doctor(self):
        done = run("doctor", "--json")
        found = json.loads(done.stdout)
        states = {check["check"]: check["state"] for check in found["checks"]}
        self.assertEqual(done.returncode, 0, found)
        self.assertEqual(states["cpu device"], "ok")
        self.assertEqual(states["guests"], "ok")
        self.assertEqual(states["a guest"], "ok")

    def test_doctor_finds_missing_guests(self):
        with tempfile.TemporaryDirectory() as empty:
            done = run("doctor", "--json", "--guests", empty)
            self.assertEqual(done.returncode, 1)
            broken = [check for check in json.loads(done.stdout)["checks"] if check["state"] == "broken"]
            self.assertEqual([check["check"] for check in broken], ["guests"])
            self.assertTrue(broken[0]["advice"])

    def test_json_strings(self):
        with tempfile.TemporaryDirectory() as folder:
            strange = os.path.join(folder, 'quote " back \\ tab \t')
            os.mkdir(strange)
            found = json.loads(run("doctor", "--json", environment={"XDG_CACHE_HOME": strange}).stdout)
            cache = [check for check in found["checks"] if check["check"] == "cache"][0]
            self.assertIn('quote " back \\ tab \t', cache["detail"])


class Guests(unittest.TestCase):
    def test_shipped_guests_run_by_name(self):
        done = run("run", "gemm", "--device", "cpu")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("gemm n=128 "), done.stdout)
        self.assertEqual(done.stderr, "")
        done = run("run", "tutorial", "--device", "cpu")
        self.assertIn("summer", done.stdout)
        done = run("run", "gemm", "--device", "cpu", "--set", "n=16", "--message", "run", "--message", "repeat 3")
        self.assertEqual(len(done.stdout.splitlines()), 2, done.stdout)
        self.assertIn("n=16", done.stdout)

    def test_a_file_is_a_guest(self):
        path = os.path.join(os.path.dirname(DRIFTWOOD), "guests", "probe.wasm")
        done = run("run", path, "--message", "alive", "--device", "cpu")
        self.assertEqual(done.stdout, "alive\n", done.stderr)

    def test_a_trap_is_exit_code_1(self):
        done = run("run", "probe", "--message", "read", "--device", "cpu")
        self.assertEqual(done.returncode, 1)
        self.assertIn("out of bounds", done.stderr)

    def test_what_is_not_there_is_exit_code_3(self):
        self.assertEqual(run("run", "missing.wasm").returncode, 3)
        self.assertEqual(run("chat", "/nonexistent").returncode, 3)
        self.assertEqual(run("logits", "--model", "/nonexistent", "--tokens", "1", "--out", "/tmp/x").returncode, 3)

    def test_a_device_that_is_not_there_is_exit_code_4(self):
        done = run("run", "gemm", "--device", "abacus")
        self.assertIn(done.returncode, (3, 4))
        self.assertIn("abacus", done.stderr)

    def test_a_file_that_is_no_guest(self):
        with tempfile.NamedTemporaryFile(suffix=".wasm") as file:
            file.write(b"no wasm")
            file.flush()
            done = run("run", file.name, "--device", "cpu")
            self.assertEqual(done.returncode, 1)
            self.assertIn("driftwood:", done.stderr)

    def test_nothing_is_granted_that_was_not_named(self):
        done = run("run", "llm", "--set", "model=model", "--device", "cpu", "--message", "hello")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr.lower(), "granted|denied|model")

    def test_limits(self):
        done = run("run", "gemm", "--max-memory", "64K", "--device", "cpu")
        self.assertEqual(done.returncode, 1, done.stderr)
        done = run("run", "probe", "--message", "calls 4000000000", "--deadline", "200ms", "--device", "cpu")
        self.assertEqual(done.returncode, 1)
        self.assertIn("deadline", done.stderr)


class Bench(unittest.TestCase):
    def test_copies(self):
        with tempfile.TemporaryDirectory() as folder:
            picture = os.path.join(folder, "copies.svg")
            done = run("bench", "copies", "--device", "cpu", "--max-bytes", "64K", "--runs", "5", "--json", "--out",
                       picture)
            self.assertEqual(done.returncode, 0, done.stderr)
            device = json.loads(done.stdout)["devices"][0]
            self.assertEqual([size["bytes"] for size in device["sizes"]], [4096, 8192, 16384, 32768, 65536])
            for size in device["sizes"]:
                self.assertGreater(size["zerocopy_ns"], 0)
                self.assertGreater(size["copy_ns"], 0)
            root = xml.etree.ElementTree.parse(picture).getroot()
            words = " ".join(text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text"))
            self.assertIn("zero-copy", words)
            self.assertIn("64 KB", words)
        text = run("bench", "copies", "--device", "cpu", "--max-bytes", "8K", "--runs", "5").stdout
        self.assertRegex(text, "zero-copy (pays from|does not pay)")


class Model(unittest.TestCase):
    """With the default model."""

    def test_piped_chat_is_the_answers_alone(self):
        done = run("chat", str(MODEL), "--temperature", "0", "--max-tokens", "16", "--device", "cpu",
                   stdin="What is 123 + 456?\nWhat is 2 + 2?\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertTrue(done.stdout.endswith("\n"))
        self.assertGreaterEqual(len(done.stdout.splitlines()), 2)
        again = run("chat", str(MODEL), "--temperature", "0", "--max-tokens", "16", "--device", "cpu",
                    stdin="What is 123 + 456?\nWhat is 2 + 2?\n")
        self.assertEqual(again.stdout, done.stdout)

    def test_the_default_model_is_found(self):
        done = run("chat", "--max-tokens", "4", "--device", "cpu", stdin="hello\n")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_no_message_no_answer(self):
        done = run("chat", str(MODEL), "--device", "cpu", stdin="")
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_tokenize(self):
        done = run("tokenize", "--model", str(MODEL), "--device", "cpu", stdin="once upon\n\na time")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(rows), 3)
        self.assertEqual(rows[1], [])
        whole = run("tokenize", "--model", str(MODEL), "--device", "cpu", "--whole", stdin="once upon\n\na time")
        ids = json.loads(whole.stdout)
        self.assertEqual(ids[:len(rows[0])], rows[0])
        self.assertGreater(len(ids), len(rows[0]) + len(rows[2]))

    def test_logits(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "out.npy")
            done = run("logits", "--model", str(MODEL), "--device", "cpu", "--tokens", "1 2 3", "--out", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            data = Path(path).read_bytes()
            self.assertEqual(data[:8], b"\x93NUMPY\x01\x00")
            length = struct.unpack("<H", data[8:10])[0]
            self.assertEqual((10 + length) % 64, 0)
            header = eval(data[10:10 + length].decode(), {"__builtins__": {}})  # a literal of the format
            vocabulary = json.loads((MODEL / "config.json").read_text())["vocab_size"]
            self.assertEqual(header, {"descr": "<f4", "fortran_order": False, "shape": (3, vocabulary)})
            self.assertEqual(len(data), 10 + length + 3 * vocabulary * 4)

    def test_logits_leave_no_half_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "out.npy")
            done = run("logits", "--model", str(MODEL), "--device", "cpu", "--tokens", "1 99999999", "--out", path)
            self.assertNotEqual(done.returncode, 0)
            self.assertFalse(os.path.exists(path))

    def talk(self, typed, until, then=None, timeout_s=120):
        """Types into a terminal; returns what it showed and the exit code."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(ENVIRONMENT)
            os.environ["TERM"] = "xterm"
            os.execv(DRIFTWOOD, [DRIFTWOOD, "chat", str(MODEL), "--device", "cpu", "--temperature", "0"])
        shown, since = b"", 0
        end = time.monotonic() + timeout_s
        steps = list(zip(typed, until))
        while time.monotonic() < end:
            if steps and steps[0][1] in shown[since:]:
                os.write(terminal, steps.pop(0)[0])
                since = len(shown)
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                part = os.read(terminal, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        else:
            os.kill(pid, signal.SIGKILL)
            self.fail(shown.decode(errors="replace"))
        return shown.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_on_a_terminal(self):
        shown, code = self.talk([b"What is 123 + 456?\n", b"\x04"], [b"> ", b"copied"])
        self.assertEqual(code, 0, shown)
        self.assertIn("Ctrl-C stops an answer", shown)
        self.assertRegex(shown, r"\d+ tokens, [\d.]+ tokens/s, first after [\d.]+ [mu]?s, 0 bytes copied")

    def test_ctrl_c_stops_an_answer(self):
        shown, code = self.talk([b"Tell me a story about a dog.\n", b"\x03", b"What is 123 + 456?\n", b"\x04"],
                                [b"> ", b"\x1b[K", b"(stopped)", b" copied"])
        self.assertEqual(code, 0, shown)
        self.assertIn("(stopped)", shown)
        self.assertIn("579", shown.split("(stopped)")[1])

    def test_ctrl_c_leaves_at_the_prompt(self):
        shown, code = self.talk([b"\x03"], [b"> "])
        self.assertEqual(code, 0, shown)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
