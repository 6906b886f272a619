"""Trains the default model from nothing, on text from generate.py.

    python3 train.py --out models/default --seconds 300

Needs torch, transformers, tokenizers and a GPU (one NVIDIA H100 takes about eight
minutes with the defaults; --device cpu --tiny checks the script anywhere).  Seeds
are fixed: --seed gives the corpus, the tokenizer and the first weights.  The number
of steps follows from --seconds and the machine's speed unless --steps gives it.
"""
import argparse
import json
import math
import multiprocessing
import os
import time

import numpy
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from generate import Maker, render

WINDOW = 2048  # whole conversations one after another, so that a long chat is nothing new
# One digit is one token: sums are learned digit by digit.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = ("{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
            "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def train_tokenizer(seed, vocabulary):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    maker = Maker(seed)
    texts = [text for _ in range(60000) for _, text in maker.conversation()[1]]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def make_part(job):
    """Windows of whole conversations: ids, and which of them are learned."""
    seed, count, tokenizer_json = job
    tokenizer, maker = Tokenizer.from_str(tokenizer_json), Maker(seed)
    heads = {role: tokenizer.encode(f"<|im_start|>{role}\n").ids for role in ("user", "assistant")}
    end, line = tokenizer.token_to_id("<|im_end|>"), tokenizer.encode("\n").ids
    rows, masks, row, mask = [], [], [], []
    for _ in range(count):
        ids, learn = [], []
        for role, text in maker.conversation()[1]:
            head, body = heads[role], tokenizer.encode(text).ids + [end]
            # Only answers are learned: what a user says is drawn at random.
            ids += head + body + line
            learn += [0] * len(head) + [int(role == "assistant")] * len(body) + [0] * len(line)
        assert len(ids) <= WINDOW
        if len(row) + len(ids) > WINDOW:
            rows.append(numpy.array(row + [0] * (WINDOW - len(row)), dtype=numpy.int16))
            masks.append(numpy.array(mask + [0] * (WINDOW - len(mask)), dtype=bool))
            row, mask = [], []
        row, mask = row + ids, mask + learn
    return numpy.array(rows), numpy.array(masks)


def make_corpus(seed, conversations, tokenizer):
    parts = max(1, conversations // 20000)
    jobs = [(seed * 1000003 + i, conversations // parts, tokenizer.to_str()) for i in range(parts)]
    with multiprocessing.get_context("fork").Pool() as pool:
        made = pool.map(make_part, jobs, chunksize=1)
    return (torch.from_numpy(numpy.concatenate([rows for rows, _ in made])),
            torch.from_numpy(numpy.concatenate([masks for _, masks in made])))


def configuration(tokenizer, tiny):
    end = tokenizer.token_to_id("<|im_end|>")
    return LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64 if tiny else 256, intermediate_size=176 if tiny else 704,
        num_hidden_layers=2 if tiny else 8, num_attention_heads=8, num_key_value_heads=4,
        head_dim=8 if tiny else 32, max_position_embeddings=WINDOW, rms_norm_eps=1e-5, rope_theta=10000.0,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=end, pad_token_id=0)


def save(model, tokenizer, out):
    os.makedirs(out, exist_ok=True)
    model = model.to(torch.bfloat16)
    model.generation_config.eos_token_id = model.config.eos_token_id
    model.generation_config.pad_token_id = 0
    model.save_pretrained(out)
    tokenizer.save(os.path.join(out, "tokenizer.json"))
    with open(os.path.join(out, "tokenizer_config.json"), "w") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
                   "model_max_length": WINDOW, "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE},
                  file, indent=2)
        file.write("\n")


def train(model, rows, masks, options):
    device = options.device
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
                                  lr=options.rate, betas=(0.9, 0.95), fused=device == "cuda")
    # int16 holds every id: the vocabulary is far below 32,768
    rows, masks = rows.to(device), masks.to(device)
    body = torch.compile(model.model) if device == "cuda" else model.model
    generator = torch.Generator(device=device).manual_seed(options.seed)
    begin, step, epoch = time.time(), 0, 0
    order, at = torch.randperm(len(rows), generator=generator, device=device), 0
    while True:
        if step == 5:
            begin = time.time()  # what came before was compiling
        passed = (time.time() - begin) / options.seconds if step > 5 else 0.0
        share = step / options.steps if options.steps else passed
        if share >= 1:
            break
        # Warm up, then a cosine down to a hundredth.
        rate = options.rate * min(1, (step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        if at + options.batch > len(rows):
            order, at = torch.randperm(len(rows), generator=generator, device=device), 0
            epoch += 1
        chosen = order[at:at + options.batch]
        at += options.batch
        ids, mask = rows[chosen].long(), masks[chosen]
        with torch.autocast(device, dtype=torch.bfloat16):
            hidden = body(input_ids=ids, use_cache=False).last_hidden_state
            learned = mask[:, 1:]
            logits = model.lm_head(hidden[:, :-1][learned])
        loss = F.cross_entropy(logits.float(), ids[:, 1:][learned])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 250 == 0 or step < 4:
            say(f"step {step}, loss {loss.item():.4f}, epoch {epoch + at / len(rows):.2f}, {share:.0%} done")
    say(f"{step} steps, {step * options.batch * WINDOW / 1e6:.0f} million tokens, loss {loss.item():.4f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--seconds", type=float, default=400, help="how long to train")
    parser.add_argument("--steps", type=int, help="how many steps to train, instead of --seconds")
    parser.add_argument("--conversations", type=int, default=5000000)
    parser.add_argument("--corpus", help="a file that keeps tokenizer and corpus for the next run with the same seed and count")
    parser.add_argument("--only-corpus", action="store_true")
    parser.add_argument("--batch", type=int, default=48, help=f"windows of {WINDOW} tokens")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a model that only checks this script")
    options = parser.parse_args()
    torch.set_float32_matmul_precision("high")
    if options.corpus and os.path.exists(options.corpus):
        made = torch.load(options.corpus)
        tokenizer, rows, masks = Tokenizer.from_str(made["tokenizer"]), made["rows"], made["masks"]
    else:
        say("training the tokenizer")
        tokenizer = train_tokenizer(options.seed, options.vocabulary)
        say(f"{tokenizer.get_vocab_size()} tokens; making {options.conversations} conversations")
        rows, masks = make_corpus(options.seed, options.conversations, tokenizer)
        if options.corpus:
            torch.save({"tokenizer": tokenizer.to_str(), "rows": rows, "masks": masks}, options.corpus)
    say(f"{len(rows)} windows, {rows.numel() / 1e6:.0f} million tokens, {masks.sum().item() / 1e6:.0f} million learned")
    if options.only_corpus:
        return
    torch.manual_seed(options.seed)
    model = LlamaForCausalLM(configuration(tokenizer, options.tiny)).to(options.device)
    say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} million parameters")
    train(model, rows, masks, options)
    save(model, tokenizer, options.out)
    say(f"saved in {options.out}")


if __name__ == "__main__":
    main()
