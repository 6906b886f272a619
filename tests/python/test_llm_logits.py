"""The llm guest against transformers on the same random weights, through the command line.

Each golden model answers with logits within 1e-3 of the range of the peer's, and continues
greedily with the same tokens wherever the peer's two largest logits differ by more than
twice that.
"""
import json
import tempfile
from pathlib import Path

from llm_goldens import SOURCE, read_npy, rows, run

GOLDENS = SOURCE / "tests/goldens/logits"
TOLERANCE = 1e-3


def difference(got, wanted):
    """The largest difference, as a part of the range of all the peer's logits."""
    low = min(min(row) for row in wanted)
    high = max(max(row) for row in wanted)
    return max(abs(a - b) for one, two in zip(got, wanted) for a, b in zip(one, two)) / (high - low)


def logits(folder, tokens, out):
    run("logits", "--model", folder, "--tokens", " ".join(map(str, tokens)), "--out", out)
    return read_npy(out)


def check_greedy(folder, case, out):
    """One run over prompt and continuation: row i says what follows token i."""
    prompt, greedy = case["prompt"], case["greedy"]
    answer = logits(folder, prompt + greedy[:-1], out)
    checked = 0
    for i, (token, gap) in enumerate(zip(greedy, case["gaps"])):
        row = answer[len(prompt) - 1 + i]
        if gap > 2 * TOLERANCE:
            assert row.index(max(row)) == token, f"{folder.name}: token {i} is {row.index(max(row))}, not {token}"
            checked += 1
    return checked


def main():
    folders = sorted(path.parent for path in GOLDENS.glob("*/cases.json"))
    assert len(folders) >= 6, f"{len(folders)} golden models"
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "logits.npy"
        for folder in folders:
            worst = tokens = 0
            for case in json.loads((folder / "cases.json").read_text()):
                got = logits(folder, case["prompt"], out)
                wanted = rows((folder / case["logits"]).read_bytes(), len(got), len(got[0]))
                assert len(got) == len(case["prompt"])
                worst = max(worst, difference(got, wanted))
                tokens += check_greedy(folder, case, out)
            print(f"{folder.name}: largest difference {worst:.2e} of the range, {tokens} greedy tokens equal")
            assert worst <= TOLERANCE, f"{folder.name}: {worst}"


main()
