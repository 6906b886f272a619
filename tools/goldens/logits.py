#!/usr/bin/env python3
"""Makes tests/goldens/logits with transformers (5.23.0) and torch (2.15.0) on the CPU.

For each configuration: a tiny model with random weights as transformers itself saves it,
and cases.json with prompts, the file of their float32 logits, and a greedy continuation
with the gap between the two largest logits at each of its tokens.

    python tools/goldens/logits.py [tests/goldens/logits]
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
BASE = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
            vocab_size=199, max_position_embeddings=512, rms_norm_eps=1e-5, tie_word_embeddings=False,
            bos_token_id=1, eos_token_id=2, pad_token_id=None)

# name, changes to the configuration, dtype as stored, shard size
CASES = [
    ("mha_untied_f32", {}, torch.float32, None),
    ("gqa_tied_bf16", dict(num_key_value_heads=2, tie_word_embeddings=True), torch.bfloat16, None),
    ("llama3_rope_f16", dict(num_key_value_heads=1, rope_parameters=LLAMA3, rms_norm_eps=1e-6), torch.float16, None),
    ("wide_heads_bf16", dict(head_dim=24, num_key_value_heads=2), torch.bfloat16, None),
    ("odd_sizes_f32", dict(hidden_size=45, intermediate_size=77, num_attention_heads=5, num_key_value_heads=1, head_dim=18,
                           vocab_size=211, num_hidden_layers=3), torch.float32, None),
    ("sharded_bf16", dict(num_key_value_heads=2, num_hidden_layers=4, tie_word_embeddings=True, rope_parameters=LLAMA3),
     torch.bfloat16, "60KB"),
    ("biases_f32", dict(attention_bias=True, mlp_bias=True, num_key_value_heads=2), torch.float32, None),
    ("mistral_f16", dict(num_key_value_heads=2, sliding_window=None, head_dim=16), torch.float16, None),
    ("theta_odd_f16", dict(hidden_size=63, num_attention_heads=7, num_key_value_heads=7, head_dim=10, vocab_size=97,
                           intermediate_size=51, rope_parameters={"rope_type": "default", "rope_theta": 1234.5}),
     torch.float16, None),
]


def make(name, changes, dtype):
    settings = dict(BASE, **changes)
    mistral = name.startswith("mistral")
    if mistral:
        settings.pop("attention_bias", None)
    config = (MistralConfig if mistral else LlamaConfig)(**settings)
    torch.manual_seed(sum(map(ord, name)))
    model = (MistralForCausalLM if mistral else LlamaForCausalLM)(config).eval()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if weight.dim() == 1:  # norms around 1, biases around 0
                weight.copy_(torch.randn_like(weight) * 0.2 + ("norm" in key))
            else:
                weight.copy_(torch.randn_like(weight) * (1.0 if "embed" in key else 1.5 / weight.shape[1] ** 0.5))
    return model.to(dtype)


def prompts(vocabulary):
    for length in (1, 7, 70):
        yield torch.randint(3, vocabulary, (length,)).tolist()


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "tests/goldens/logits")
    torch.set_num_threads(2)
    for name, changes, dtype, shard in CASES:
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        model = make(name, changes, dtype)
        model.save_pretrained(place, **({"max_shard_size": shard} if shard else {}))
        model = type(model).from_pretrained(place, dtype=torch.float32, attn_implementation="eager").eval()
        cases = []
        for index, prompt in enumerate(prompts(model.config.vocab_size)):
            with torch.no_grad():
                logits = model(torch.tensor([prompt])).logits[0]
                (place / f"{index}.f32").write_bytes(logits.contiguous().numpy().tobytes())
                tokens, gaps = list(prompt), []
                for _ in range(12):
                    last = model(torch.tensor([tokens])).logits[0, -1]
                    best = torch.topk(last, 2)
                    tokens.append(int(best.indices[0]))
                    gaps.append(float((best.values[0] - best.values[1]) / (last.max() - last.min())))
            cases.append({"prompt": prompt, "logits": f"{index}.f32", "greedy": tokens[len(prompt):], "gaps": gaps})
        (place / "cases.json").write_text(json.dumps(cases) + "\n")
        print(name, sorted(p.name for p in place.iterdir()), sum(p.stat().st_size for p in place.iterdir()))


main()
