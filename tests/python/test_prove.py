#!/usr/bin/env python3
"""`driftwood prove`: every claim holds here, and says so in a stable form."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

DRIFTWOOD = os.environ.get("DRIFTWOOD", "build/driftwood")
CACHE = tempfile.TemporaryDirectory()
NAMES = ["identity", "effect", "growth", "resident", "product", "host-call", "guard", "ownership", "tokens"]


def prove(*arguments):
    return subprocess.run([DRIFTWOOD, "prove", *arguments], capture_output=True, text=True, timeout=500,
                          env={**os.environ, "XDG_CACHE_HOME": CACHE.name})


class Prove(unittest.TestCase):
    def check(self, device, not_applicable):
        done = prove("--device", device, "--json")
        self.assertIn(done.returncode, (0, 1), done.stderr)  # says what is missing and what installs it
        report = json.loads(done.stdout)
        self.assertEqual([claim["name"] for claim in report["claims"]], NAMES)
        for claim in report["claims"]:
            self.assertTrue(claim["claim"])
            self.assertTrue(claim["evidence"])
            expected = "not applicable" if claim["name"] in not_applicable else "pass"
            self.assertEqual(claim["verdict"], expected, claim)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr, "")

    def test_cpu(self):
        self.check("cpu", [])

    def test_vulkan(self):
        # It has two operators, so no model runs on it.
        self.check("vulkan", ["tokens"])

    def test_text(self):
        done = prove("--device", "cpu")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("9 pass, 0 fail, 0 not applicable", done.stdout)

    def test_a_failed_claim_is_exit_code_1(self):
        # A guest that says it called the host and did not, in the place of the probe.
        build = Path(DRIFTWOOD).parent
        with tempfile.TemporaryDirectory() as folder:
            for guest in (build / "guests").glob("*.wasm"):
                shutil.copy(guest, folder)
            shutil.copy(build / "tests" / "guests" / "lazy.wasm", Path(folder) / "probe.wasm")
            done = prove("--device", "cpu", "--json", "--guests", folder)
        verdicts = {claim["name"]: claim["verdict"] for claim in json.loads(done.stdout)["claims"]}
        self.assertEqual(verdicts.pop("host-call"), "fail")
        self.assertEqual(verdicts.pop("guard"), "fail")  # it does not reach past its end either
        self.assertEqual(set(verdicts.values()), {"pass"})
        self.assertEqual(done.returncode, 1)

    def test_a_device_that_is_not_there(self):
        done = prove("--device", "abacus")
        self.assertIn(done.returncode, (3, 4))
        self.assertIn("abacus", done.stderr)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
