"""`driftwood tokenize` against the `tokenizers` package, through the llm guest."""
import json
import lzma
import tempfile
from pathlib import Path

from llm_goldens import SOURCE, run

GOLDENS = SOURCE / "tests/goldens/tokenizer"


def golden(name):
    packed = GOLDENS / (name + ".xz")
    return lzma.decompress(packed.read_bytes()) if packed.exists() else (GOLDENS / name).read_bytes()


def model_of(name, scratch):
    folder = Path(scratch) / name
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(golden(name + ".json"))
    # A model directory has a configuration and weights; tokenising looks at neither.
    config = SOURCE / "tests/goldens/logits/theta_odd_f16"
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_bytes((config / file).read_bytes())
    return folder


def check_lines(name, scratch):
    """Lines without a line break go in together; the others one by one, whole."""
    folder = model_of(name, scratch)
    pairs = list(zip(map(json.loads, golden(name + ".lines").splitlines()),
                     map(json.loads, golden(name + ".ids").splitlines())))
    single = [pair for pair in pairs if "\n" not in pair[0]]
    answer = run("tokenize", "--model", folder, text="".join(text + "\n" for text, _ in single).encode())
    got = [json.loads(line) for line in answer.splitlines()]
    assert len(got) == len(single), f"{name}: {len(got)} answers to {len(single)} lines"
    for ids, (text, wanted) in zip(got, single):
        assert ids == wanted, f"{name}: {text!r} is {wanted}, not {ids}"
    for text, wanted in [pair for pair in pairs if "\n" in pair[0]][:3]:
        assert json.loads(run("tokenize", "--model", folder, "--whole", text=text.encode())) == wanted, text
    print(f"{name}: {len(single)} lines")
    return len(single)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        lines = sum(check_lines(name, scratch) for name in ("gpt2", "prefix", "digits", "llama3", "qwen2", "large"))
        assert lines >= 2000, f"only {lines} lines"
        whole = golden("whole.txt")
        ids = json.loads(run("tokenize", "--model", Path(scratch) / "llama3", "--whole", text=whole))
        assert ids == json.loads(golden("whole.ids")), "the whole text differs"


main()
