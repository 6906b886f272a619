"""Measures models/default on text that training never saw.

    python3 evaluate.py --model models/default --out evaluation.json --samples samples.txt

Sums, facts and story subjects come from the held-out side of generate.py, with a
seed of their own.  Answers count when they are equal, to the letter; sums and
facts are answered greedily, stories are sampled at temperature 0.8.
"""
import argparse
import json
import re

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from generate import NAMES, Maker

SEED = 77


def answer(model, tokenizer, conversations, sample, tokens, device):
    """Replies to each list of turns; None where no end came within `tokens`."""
    replies = []
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    for begin in range(0, len(conversations), 64):
        texts = [tokenizer.apply_chat_template([{"role": r, "content": t} for r, t in turns], tokenize=False,
                                               add_generation_prompt=True) for turns in conversations[begin:begin + 64]]
        batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False).to(device)
        batch.pop("token_type_ids", None)
        with torch.no_grad():
            out = model.generate(**batch, max_new_tokens=tokens, do_sample=sample, temperature=0.8 if sample else None,
                                 top_k=0 if sample else None, top_p=1.0 if sample else None,
                                 pad_token_id=0, eos_token_id=end)
        for row in out[:, batch["input_ids"].shape[1]:].tolist():
            replies.append(tokenizer.decode(row[:row.index(end)]) if end in row else None)
    return replies


def share(right, total):
    return {"right": right, "of": total, "share": round(right / total, 4)}


def sums(model, tokenizer, count, device):
    maker = Maker(SEED, want_held_out=True)
    asked = [maker.arithmetic(digits=3, minus=False) for _ in range(count)]
    replies = answer(model, tokenizer, [[("user", q)] for q, _ in asked], False, 24, device)
    wrong = [(q, right, reply) for (q, right), reply in zip(asked, replies) if reply != right]
    return share(count - len(wrong), count), wrong[:10]


def facts(model, tokenizer, count, device):
    maker = Maker(SEED + 1, want_held_out=True)
    asked = [maker.facts() for _ in range(count)]
    replies = answer(model, tokenizer, [[("user", f"{text} {question}")] for text, question, _ in asked], False, 40, device)
    wrong = [(f"{t} {q}", right, reply) for (t, q, right), reply in zip(asked, replies) if reply != right]
    return share(count - len(wrong), count), wrong[:10]


def story_faults(text, cast, request):
    """Why a text does not read as a story that ends properly; nothing if it does."""
    if text is None:
        return ["no end"]
    faults = []
    sentences = [s for s in re.split(r"(?<=[.!?\"])\s+(?=[A-Z\"])", text.strip()) if s]
    if not text.rstrip().endswith((".", "!", ".\"")):
        faults.append("the last sentence is cut off")
    if not 6 <= len(sentences) <= 16:
        faults.append(f"{len(sentences)} sentences")
    if len(set(sentences)) < len(sentences):
        faults.append("a sentence is repeated")
    if text.count("\"") % 2:
        faults.append("a quotation does not end")
    named = {word for word in re.findall(r"[A-Z][a-z]+", text) if word in NAMES}
    if len(named) != 2:
        faults.append(f"{len(named)} names, not the hero and the friend")
    if not all(len(re.findall(rf"\b{name}\b", text)) >= 2 for name in named):
        faults.append("a name appears once")
    for wanted in (cast["kind"], cast["thing"]):
        if wanted in request and wanted not in text:
            faults.append(f"no {wanted}")
    if len({p.lower() for p in re.findall(r"\b(?:[Hh]e|[Ss]he)\b", text)}) > 1:
        faults.append("he and she for one hero")
    return faults


def stories(model, tokenizer, count, device, samples):
    maker = Maker(SEED + 2, want_held_out=True)
    asked = []
    for _ in range(count):
        cast = maker.cast()
        asked.append((maker.story_request(cast), cast))
    torch.manual_seed(SEED)
    replies = answer(model, tokenizer, [[("user", q)] for q, _ in asked], True, 300, device)
    faults = [(q, reply, story_faults(reply, cast, q)) for (q, cast), reply in zip(asked, replies)]
    if samples:
        with open(samples, "w") as file:
            file.write(f"# {count} stories sampled at temperature 0.8 by tools/model/evaluate.py (seed {SEED}), none left out\n")
            for i, (request, reply, found) in enumerate(faults):
                file.write(f"\n{i + 1}. {request}\n{reply}\n" + (f"   faults: {', '.join(found)}\n" if found else ""))
    ended = sum(reply is not None and "the last sentence is cut off" not in found for _, reply, found in faults)
    whole = sum(not found for _, _, found in faults)
    return {"ended properly": share(ended, count), "no fault found": share(whole, count)}, \
        [(q, r, f) for q, r, f in faults if f][:10]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="models/default")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--count", type=int, default=1000, help="sums and facts")
    parser.add_argument("--stories", type=int, default=200)
    parser.add_argument("--out")
    parser.add_argument("--samples")
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).to(options.device).eval()
    result, wrong = {"seed": SEED}, {}
    result["3-digit addition"], wrong["sums"] = sums(model, tokenizer, options.count, options.device)
    print(result["3-digit addition"], flush=True)
    result["facts of a story"], wrong["facts"] = facts(model, tokenizer, options.count, options.device)
    print(result["facts of a story"], flush=True)
    result["stories"], wrong["stories"] = stories(model, tokenizer, options.stories, options.device, options.samples)
    print(result["stories"], flush=True)
    for kind, examples in wrong.items():
        for example in examples:
            print(kind, "wrong:", *example, sep="\n    ")
    if options.out:
        with open(options.out, "w") as file:
            json.dump(result, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
