"""Trains the default model from nothing, on text from generate.py.

    python3 train.py --out models/default --seconds 400

Needs torch, transformers, tokenizers and a GPU (one NVIDIA H100 takes about eight
minutes with the defaults; --device cpu --tiny checks the script anywhere).  Seeds
are fixed: --seed gives the corpus, the tokenizer and the first weights.  The number
of steps follows from --seconds, so the weights depend on the machine's speed.
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

WINDOW = 512
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
    end = tokenizer.token_to_id("<|im_end|>")
    rows, masks, row, mask = [], [], [], []
    for _ in range(count):
        kind, turns = maker.conversation()
        ids, learn = [], []
        for role, text in turns:
            head = tokenizer.encode(f"<|im_start|>{role}\n").ids
            body = tokenizer.encode(text + "<|im_end|>").ids
            # Nothing in a conversation foretells the user's numbers.
            learned = role == "assistant" or kind in ("story", "facts")
            ids += head + body + tokenizer.encode("\n").ids
            learn += [0] * len(head) + [int(learned)] * len(body) + [0]
        assert end in ids and len(ids) <= WINDOW
        if len(row) + len(ids) > WINDOW:
            rows.append(row + [0] * (WINDOW - len(row)))
            masks.append(mask + [0] * (WINDOW - len(mask)))
            row, mask = [], []
        row, mask = row + ids, mask + learn
    return numpy.array(rows, dtype=numpy.uint16), numpy.array(masks, dtype=numpy.uint8)


def make_corpus(seed, conversations, tokenizer):
    workers = os.cpu_count()
    parts = max(workers, conversations // 20000)
    jobs = [(seed * 1000003 + i, conversations // parts, tokenizer.to_str()) for i in range(parts)]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        made = pool.map(make_part, jobs, chunksize=1)
    return (torch.from_numpy(numpy.concatenate([rows for rows, _ in made]).astype(numpy.int16)),
            torch.from_numpy(numpy.concatenate([masks for _, masks in made])))


def configuration(tokenizer, tiny):
    end = tokenizer.token_to_id("<|im_end|>")
    return LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64 if tiny else 256, intermediate_size=176 if tiny else 704,
        num_hidden_layers=2 if tiny else 8, num_attention_heads=8, num_key_value_heads=4,
        head_dim=8 if tiny else 32, max_position_embeddings=2048, rms_norm_eps=1e-5, rope_theta=10000.0,
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
                   "model_max_length": 2048, "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE},
                  file, indent=2)


def train(model, rows, masks, options):
    device = options.device
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
                                  lr=options.rate, betas=(0.9, 0.95), fused=device == "cuda")
    # int16 holds every id: the vocabulary is far below 32,768
    rows, masks = rows.to(device), masks.to(device)
    step_model = torch.compile(model) if device == "cuda" else model
    generator = torch.Generator(device=device).manual_seed(options.seed)
    begin, step, seen = time.time(), 0, 0.0
    order, at = torch.randperm(len(rows), generator=generator, device=device), 0
    while True:
        # Progress by time: warm up, then a cosine down to a hundredth.
        share = (time.time() - begin) / options.seconds if step > 5 else 0.0
        if step == 5:
            begin = time.time()  # what came before was compiling
        if share >= 1:
            break
        rate = options.rate * min(1, (step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        if at + options.batch > len(rows):
            order, at = torch.randperm(len(rows), generator=generator, device=device), 0
            seen += 1
        chosen = order[at:at + options.batch]
        at += options.batch
        ids, mask = rows[chosen].long(), masks[chosen]
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = step_model(input_ids=ids, use_cache=False).logits
        targets = torch.where(mask[:, 1:].bool(), ids[:, 1:], -100)
        loss = F.cross_entropy(logits[:, :-1].float().flatten(0, 1), targets.flatten(), ignore_index=-100)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 250 == 0 or step < 4:
            say(f"step {step}, loss {loss.item():.4f}, epoch {seen + at / len(rows):.2f}, {share:.0%} of the time")
    say(f"{step} steps, {step * options.batch * WINDOW / 1e6:.0f} million tokens, loss {loss.item():.4f}")
    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--seconds", type=float, default=400)
    parser.add_argument("--conversations", type=int, default=4000000)
    parser.add_argument("--batch", type=int, default=192, help="windows of 512 tokens")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a model that only checks this script")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_float32_matmul_precision("high")
    say("training the tokenizer")
    tokenizer = train_tokenizer(options.seed, options.vocabulary)
    say(f"{tokenizer.get_vocab_size()} tokens; making {options.conversations} conversations")
    rows, masks = make_corpus(options.seed, options.conversations, tokenizer)
    say(f"{len(rows)} windows, {rows.numel() / 1e6:.0f} million tokens, {masks.sum().item() / 1e6:.0f} million learned")
    config = configuration(tokenizer, options.tiny)
    model = LlamaForCausalLM(config).to(options.device)
    say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} million parameters")
    train(model, rows, masks, options)
    save(model, tokenizer, options.out)
    say(f"saved in {options.out}")


if __name__ == "__main__":
    main()
