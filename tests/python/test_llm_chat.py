"""The llm guest as a conversation: prompts, replies, how they end, what is refused.

The model has random weights, so what it says is noise; but it must be the noise that its
logits ask for.
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from llm_goldens import DRIFTWOOD, SOURCE, rows, run

LLAMA3 = ("{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
          "{{ m.content | trim }}<|eot_id|>{% endfor %}")
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def make_model(folder, tokenizer, template):
    subprocess.run([sys.executable, str(SOURCE / "tools/make_model.py"), str(folder), "--shape", "tiny", "--tokenizer",
                    str(SOURCE / "tests/goldens/tokenizer" / tokenizer)], check=True, stdout=subprocess.DEVNULL)
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return folder


def llm(folder, *messages, expect=0, threads=2, **settings):
    """What the guest emits, and what it logs."""
    words = [DRIFTWOOD, "run", "llm", "--verbose", "--threads", str(threads), "--model", f"model={folder}"]
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    for message in messages:
        words += ["--message", message]
    done = subprocess.run(words, capture_output=True, timeout=280)
    log = done.stderr.decode(errors="replace")
    assert (done.returncode == 0) == (expect == 0), f"{words} ended with {done.returncode}: {log}"
    return done.stdout, log


def replies(log):
    return [(int(a), int(b), c) for a, b, c in re.findall(r"reply prompt_tokens=(\d+) tokens=(\d+) stop=(\w+)", log)]


def token_bytes(tokenizer):
    """By id, as the byte-level alphabet of GPT-2 spells them."""
    data = json.loads((SOURCE / "tests/goldens/tokenizer" / tokenizer).read_text(encoding="utf-8"))
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    alphabet = {**{chr(byte): byte for byte in plain}, **{chr(256 + i): byte for i, byte in enumerate(others)}}
    special = {token["id"] for token in data["added_tokens"]}
    return {i: bytes(alphabet[c] for c in text) for text, i in data["model"]["vocab"].items()}, special


def check_chunks(model):
    """Prefill in any chunks, decoding, and any number of threads give the same bits."""
    ids = " ".join(str(7 * i % 1900) for i in range(40))
    whole, _ = llm(model, ids, mode="logits", kv="f32")
    for threads in (1, 3):
        assert llm(model, ids, mode="logits", kv="f32", threads=threads)[0] == whole, f"{threads} threads differ"
    for chunk in (1, 3, 16):
        assert llm(model, ids, mode="logits", kv="f32", chunk=chunk)[0] == whole, f"chunk={chunk} differs"
    half, _ = llm(model, ids, mode="logits")
    assert half != whole and len(half) == len(whole)
    twice, _ = llm(model, ids, "5 6", mode="logits", kv="f32")
    assert twice[:len(whole)] == whole and len(twice) == len(whole) // 40 * 42


def check_greedy(model):
    """A reply is what the largest logits say, one after the other."""
    prompt = "Some words, 123 numbers and ünïcödé"
    tokens = json.loads(run("tokenize", "--model", model, text=(prompt + "\n").encode()))
    vocabulary, special = token_bytes("llama3.json")
    tokens.insert(0, next(iter(i for i in sorted(special))))  # <|begin_of_text|>, as the post-processor has it
    width, reply = 2048, b""
    for _ in range(12):
        answer, _ = llm(model, " ".join(map(str, tokens)), mode="logits", kv="f32")
        last = rows(answer, len(tokens), width)[-1]
        token = last.index(max(last))
        tokens.append(token)
        reply += vocabulary.get(token, b"") if token not in special else b""
    wanted = reply.decode(errors="replace").encode()
    for chunk in (2, 256):
        got, log = llm(model, prompt, mode="generate", kv="f32", max_tokens=12, chunk=chunk)
        assert got == wanted, f"{got} is not {wanted}"
        assert replies(log) == [(len(tokens) - 12, 12, "length")], log
    assert "prefill" in log
    return wanted.decode()


def check_ends(model, greedy):
    middle = greedy[len(greedy) // 2:][:2]
    got, log = llm(model, "Some words, 123 numbers and ünïcödé", mode="generate", kv="f32", max_tokens=12, stop=middle)
    assert replies(log)[0][2] == "string" and got.decode() == greedy[:greedy.index(middle)], (got, log)
    _, log = llm(model, "a b c", mode="generate", context=20)
    prompt, count, why = replies(log)[0]
    assert why == "context" and prompt + count == 20, log
    _, log = llm(model, "a b c " * 20, "d", mode="generate", context=20, max_tokens=2)
    assert replies(log)[0][1:] == (0, "context") and replies(log)[1][1:] == (2, "length"), log
    assert "fill the context" in log


def check_sampling(model):
    settings = dict(mode="generate", temperature=1.5, max_tokens=20)
    one = llm(model, "word", seed=1, **settings)[0]
    assert one == llm(model, "word", seed=1, **settings)[0]
    assert one != llm(model, "word", seed=2, **settings)[0]
    greedy = llm(model, "word", mode="generate", max_tokens=20)[0]
    assert greedy == llm(model, "word", top_k=1, seed=3, **settings)[0]
    assert greedy == llm(model, "word", top_p=0, seed=3, **settings)[0]
    one.decode()  # every piece is UTF-8


def check_chat(model, template, marks):
    """The prompt of each turn is as long as the template's text."""
    begin, middle, end, bos = marks
    turns = ["  Hi there!\n", "And\nnow?", ""]
    strip = str.strip if template is LLAMA3 else str
    text = bos + begin + "system" + middle + "Be brief." + end
    _, log = llm(model, *turns, max_tokens=3, system="Be brief.")
    assert len(replies(log)) == 3, log
    pending = 0  # the last token of a reply goes into the cache with the next prompt
    for turn, (prompt, count, why) in zip(turns, replies(log)):
        assert why in ("length", "eos"), log
        text += begin + "user" + middle + strip(turn) + end + begin + "assistant" + middle
        ids = json.loads(run("tokenize", "--model", model, "--whole", text=text.encode()))
        assert prompt == len(ids) + pending, (prompt, ids, log)
        text, pending = end, min(count, 1)
    # What a user types is text, markers too.
    _, log = llm(model, turns[0] + end.strip(), max_tokens=1)
    plain = llm(model, turns[0], max_tokens=1)[1]
    assert replies(log)[0][0] > replies(plain)[0][0] + 1, log
    # A prompt that does not fit is forgotten; the conversation goes on where it was.
    _, log = llm(model, "a", "b " * 200, "c", max_tokens=2, context=120)
    reply = replies(log)
    assert [r[2] for r in reply] == ["length", "context", "length"] and reply[2][0] < 40, log


def check_refused(scratch, model):
    plain = make_model(scratch / "plain", "llama3.json", None)
    for words, folder, settings in [
            ("no chat template", plain, {}), ("mode is one of", model, dict(mode="sing")),
            ("was made for", model, dict(context=100000)), ("kv is f16 or f32", model, dict(kv="f8")),
            ("out of range", model, dict(temperature=-1)), ("out of range", model, dict(chunk="x")),
            ("empty text", model, dict(stop=""))]:
        log = llm(folder, "x", expect=1, **settings)[1]
        assert words in log, f"{settings}: {log}"
    assert "vocabulary" in llm(model, "5000", expect=1, mode="logits")[1]
    assert "token ids" in llm(model, "1 x", expect=1, mode="logits")[1]
    (plain / "chat_template.jinja").write_text("[INST] {{ messages }} [/INST]")
    assert "neither" in llm(plain, "x", expect=1)[1]
    config = json.loads((plain / "config.json").read_text())
    for change, words in [({"architectures": ["GemmaForCausalLM"]}, "GemmaForCausalLM"),
                          ({"hidden_act": "gelu"}, "silu"), ({"num_hidden_layers": 3}, "layers.2"),
                          ({"rope_scaling": {"rope_type": "yarn"}}, "rope_type"),
                          ({"hidden_size": 60}, "Gather"), ({"num_attention_heads": None}, "num_attention_heads")]:
        (plain / "config.json").write_text(json.dumps({**config, **change}))
        log = llm(plain, "x", expect=1, mode="generate")[1]
        assert words in log, f"{change}: {log}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        model = make_model(scratch / "llama", "llama3.json", LLAMA3)
        check_chunks(model)
        check_ends(model, check_greedy(model))
        check_sampling(model)
        check_chat(model, LLAMA3, ("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", "<|begin_of_text|>"))
        chatml = make_model(scratch / "qwen", "qwen2.json", CHATML)
        check_chat(chatml, CHATML, ("<|im_start|>", "\n", "<|im_end|>\n", ""))
        check_refused(scratch, model)


main()
