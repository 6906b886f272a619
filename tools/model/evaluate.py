"""Measures models/default on text that training never saw.

    python3 evaluate.py --model models/default --out evaluation.json --samples samples.txt

Sums, facts and story subjects come from the held-out side of generate.py, with a
seed of their own.  Answers count when they are equal, to the letter; all answers
are greedy, stories are sampled at temperature 0.8.  The weights are those shipped
(bf16), the arithmetic is float32.
"""
import argparse
import json
import re

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import words
from generate import UNTOLD, Maker
from talk import TALK

SEED = 77


def answer(model, tokenizer, conversations, sample, tokens, device):
    """Replies to each list of turns; None where no end came within `tokens`."""
    replies = []
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    for begin in range(0, len(conversations), 200):
        texts = [tokenizer.apply_chat_template([{"role": r, "content": t} for r, t in turns], tokenize=False,
                                               add_generation_prompt=True) for turns in conversations[begin:begin + 200]]
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


# ---- Questions with one answer -------------------------------------------------------

def sum_turns(maker, **wanted):
    question, right = maker.arithmetic(**wanted)
    return [("user", question), ("assistant", right)]


def fact_turns(maker):
    """A text of single facts, and one question."""
    return maker.ask_of_text(*maker.facts())


def user_story_turns(maker):
    """A whole story of the user's, and one question."""
    c = maker.cast()
    text, plot = maker.story(c)
    return maker.ask_of_text(text, maker.story_questions(c, plot, 1))


def told_story_turns(maker):
    """A story told by the model's side, another exchange, then a question on the story."""
    c = maker.cast()
    text, plot = maker.story(c)
    turns = [("user", maker.story_request(c)), ("assistant", text)]
    pairs = maker.story_questions(c, plot, 2)
    return turns + [turn for q, a in pairs for turn in (("user", q), ("assistant", a))]


def untold_turns(maker):
    """A question that the text does not answer."""
    while True:
        text, pairs = maker.facts(4)
        for question, right in pairs:
            if right == UNTOLD:
                return maker.ask_of_text(text, [(question, right)])


QUESTIONS = {
    "3-digit addition": lambda maker: sum_turns(maker, digits=3, minus=False),
    "3-digit subtraction": lambda maker: sum_turns(maker, digits=3, minus=True),
    "addition and subtraction of 1 to 3 digits": sum_turns,
    "facts stated in a story": lambda maker: (user_story_turns if maker.chance(0.3) else fact_turns)(maker),
    "facts of a story told before": told_story_turns,
    "question that the story does not answer": untold_turns,
}


def ask(model, tokenizer, turns_of, seed, count, device):
    maker = Maker(seed, want_held_out=True)
    asked = [turns_of(maker) for _ in range(count)]
    replies = answer(model, tokenizer, [turns[:-1] for turns in asked], False, 48, device)
    wrong = [(" / ".join(text for _, text in turns[:-1]), turns[-1][1], str(reply))
             for turns, reply in zip(asked, replies) if reply != turns[-1][1]]
    return share(count - len(wrong), count), wrong


def greetings(model, tokenizer, device):
    """Every question of talk.py: is the answer one of those meant for it?  (These were all in training.)"""
    meant = {}
    for questions, answers in TALK:
        for question in questions:
            meant.setdefault(question, []).extend(answers)
    replies = answer(model, tokenizer, [[("user", q)] for q in meant], False, 64, device)
    wrong = [(q, meant[q][0], str(reply)) for q, reply in zip(meant, replies) if reply not in meant[q]]
    return share(len(meant) - len(wrong), len(meant)), wrong


# ---- Stories ---------------------------------------------------------------------------

SHAPES = {"n": r"[A-Z][a-z]+", "f": r"[A-Z][a-z]+", "time": r"[A-Z][A-Za-z ]+?", "at": r"[a-z]+ the [a-z]+",
          "spot": r"[a-z ]+? the [a-z]+", "food": r"[a-z ]+?"}


def follow(text, slots, known):
    """How many sentences of a plot the text follows, with names, things and colors kept, and what is left of the text."""
    if not slots:
        return 0, text, known
    best = (0, text, known)
    for option in slots[0]:
        groups = set()

        def part(match):
            name = match.group(1)
            if name in known:
                return re.escape(known[name])
            if name in groups:
                return f"(?P={name})"
            groups.add(name)
            return f"(?P<{name}>{SHAPES.get(name, '[a-z]+')})"

        pattern = re.sub(r"\\\{(\w+)\\\}", part, re.escape(option))
        match = re.match(pattern + r"(?: |$)", text)
        if match:
            done, rest, values = follow(text[match.end():], slots[1:], known | match.groupdict())
            if done + 1 > best[0]:
                best = (done + 1, rest, values)
    return best


def story_faults(text, request):
    """Why a text does not read as a story that ends properly; nothing if it does.

    It must open as a story, follow one of the plots to the last sentence with hero, friend, thing, color and
    pronoun kept throughout, and have what was asked for."""
    if text is None:
        return ["no end"]
    faults = []
    if not text.endswith((".", "!", ".\"")):
        faults.append("the last sentence is cut off")
    if text.count("\"") % 2:
        faults.append("a quotation does not end")
    if re.search(r"\b[Aa] [aeiou](?!ni)|\b[Aa]n (?!hour)[^aeiou]", text):
        faults.append("a for an")
    plain = re.sub(r"\b([Aa])n (?=[a-z])", r"\1 ", text)
    best = None
    for he, his, him in (("he", "his", "him"), ("she", "her", "her")):
        pronouns = dict(he=he, his=his, him=him, He=he.capitalize(), His=his.capitalize())
        for name, (_, slots, _) in words.PLOTS.items():
            slots = [words.OPENINGS] + [[re.sub(r"\b([Aa])n (?=[a-z{])", r"\1 ", option) for option in slot] for slot in slots]
            done, rest, values = follow(plain, slots, pronouns)
            wrong = values.get("n") in (words.BOYS if he == "she" else words.GIRLS)
            if best is None or (done - len(slots), not wrong) > (best[0], not best[3]):
                best = (done - len(slots), rest, values, wrong)
    missing, rest, values, wrong = best
    if missing or rest:
        faults.append(f"leaves its plot {-missing} sentences before the end: \"{rest[:60]}\"")
    if "f" in values and values["n"] == values["f"]:
        faults.append("hero and friend have one name")
    if wrong:
        faults.append("the pronoun does not fit the name")
    for word in re.findall(r"[a-z]+", request):
        if word in words.THINGS + words.ANIMALS + words.PEOPLE + words.COLORS and word not in re.findall(r"[a-z]+", text):
            faults.append(f"no {word}")
    return faults


def stories(model, tokenizer, count, device, samples):
    maker = Maker(SEED + 50, want_held_out=True)
    asked = []
    for _ in range(count):
        c = maker.cast()
        asked.append(maker.story_request(c))
    torch.manual_seed(SEED)
    replies = answer(model, tokenizer, [[("user", q)] for q in asked], True, 300, device)
    faults = [(q, reply, story_faults(reply, q)) for q, reply in zip(asked, replies)]
    if samples:
        with open(samples, "w") as file:
            file.write(f"# {count} stories sampled at temperature 0.8 by tools/model/evaluate.py (seed {SEED}), none left out\n")
            for i, (request, reply, found) in enumerate(faults):
                file.write(f"\n{i + 1}. {request}\n{reply}\n" + (f"   faults: {'; '.join(found)}\n" if found else ""))
    ended = sum(reply is not None and "the last sentence is cut off" not in found for _, reply, found in faults)
    whole = sum(not found for _, _, found in faults)
    return {"ended properly": share(ended, count), "no fault found": share(whole, count)}, \
        [(q, str(r), ", ".join(f)) for q, r, f in faults if f]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="models/default")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--count", type=int, default=1000, help="questions of each kind")
    parser.add_argument("--stories", type=int, default=200)
    parser.add_argument("--out")
    parser.add_argument("--samples")
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).to(options.device).eval()
    result, wrong = {"seed": SEED}, {}
    for i, (kind, turns_of) in enumerate(QUESTIONS.items()):
        result[kind], wrong[kind] = ask(model, tokenizer, turns_of, SEED + i, options.count, options.device)
        print(kind, result[kind], flush=True)
    result["small talk"], wrong["small talk"] = greetings(model, tokenizer, options.device)
    print("small talk", result["small talk"], flush=True)
    result["stories"], wrong["stories"] = stories(model, tokenizer, options.stories, options.device, options.samples)
    print("stories", result["stories"], flush=True)
    for kind, examples in wrong.items():
        for example in examples[:12]:
            print(kind, "wrong:", *example, sep="\n    ")
    if options.out:
        with open(options.out, "w") as file:
            json.dump(result, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
