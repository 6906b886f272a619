#!/usr/bin/env python3
"""Writes a Hugging Face model directory with random weights, for measurements.

    python tools/make_model.py FOLDER [--shape 1b|tiny] [--layers N --hidden N --heads N
        --kv-heads N --head-dim N --inner N --vocab N --context N] [--dtype bf16|f32] [--untied]
        [--tokenizer tests/goldens/tokenizer/large.json.xz] [--shard-bytes N]

The default is the shape of a Llama of 1.2 billion parameters (2.47 GB in bf16).  Values
are normal, scaled by the square root of a weight's inputs so that activations keep their
size, and repeat one block of 4 MiB: what they are costs no time, and what a kernel does
with them is the same.  The standard library is enough.
"""
import argparse
import json
import lzma
import random
import struct
from array import array
from pathlib import Path

SHAPES = {
    "1b": dict(layers=16, hidden=2048, heads=32, kv_heads=8, head_dim=64, inner=8192, vocab=128256, context=131072),
    "tiny": dict(layers=2, hidden=64, heads=4, kv_heads=2, head_dim=16, inner=160, vocab=2048, context=512),
}
BLOCK = 1 << 20  # elements drawn
ALIGNMENT = 64


def draw(seed, count, scale, dtype):
    """`count` normal values as bytes of the dtype."""
    source = random.Random(seed)
    pairs = array("f", (source.gauss(0, scale) for _ in range(min(count, 1 << 16))))
    while len(pairs) < count:  # rotate what was drawn: rows of a matrix shall differ
        turn = source.randrange(len(pairs))
        pairs.extend(pairs[turn:] + pairs[:turn])
    data = pairs[:count].tobytes()
    if dtype == "f32":
        return data
    out = bytearray(count * 2)  # bf16 is the upper half
    out[0::2], out[1::2] = data[2::4], data[3::4]
    return bytes(out)


def tensors(shape, tied):
    """Names, dimensions and the number of inputs of each weight, in the order of the file."""
    hidden, inner, vocab = shape["hidden"], shape["inner"], shape["vocab"]
    wide, narrow = shape["heads"] * shape["head_dim"], shape["kv_heads"] * shape["head_dim"]
    yield "model.embed_tokens.weight", (vocab, hidden), hidden
    for layer in range(shape["layers"]):
        name = f"model.layers.{layer}."
        yield name + "input_layernorm.weight", (hidden,), 0
        yield name + "mlp.down_proj.weight", (hidden, inner), inner
        yield name + "mlp.gate_proj.weight", (inner, hidden), hidden
        yield name + "mlp.up_proj.weight", (inner, hidden), hidden
        yield name + "post_attention_layernorm.weight", (hidden,), 0
        yield name + "self_attn.k_proj.weight", (narrow, hidden), hidden
        yield name + "self_attn.o_proj.weight", (hidden, wide), wide
        yield name + "self_attn.q_proj.weight", (wide, hidden), hidden
        yield name + "self_attn.v_proj.weight", (narrow, hidden), hidden
    yield "model.norm.weight", (hidden,), 0
    if not tied:
        yield "lm_head.weight", (vocab, hidden), hidden


def elements(dims):
    return dims[0] * (dims[1] if len(dims) > 1 else 1)


def write_safetensors(path, listed, dtype, blocks):
    size, offset, header = {"bf16": 2, "f32": 4}[dtype], 0, {"__metadata__": {"format": "pt"}}
    for name, dims, _ in listed:
        count = elements(dims) * size
        header[name] = {"dtype": dtype.upper(), "shape": list(dims), "data_offsets": [offset, offset + count]}
        offset += count
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, dims, inputs in listed:
            left, block = elements(dims) * size, blocks(inputs)
            while left > 0:
                out.write(block if left >= len(block) else memoryview(block)[:left])
                left -= len(block)
    return offset


def config(shape, tied, dtype):
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": shape["hidden"], "intermediate_size": shape["inner"], "num_hidden_layers": shape["layers"],
            "num_attention_heads": shape["heads"], "num_key_value_heads": shape["kv_heads"],
            "head_dim": shape["head_dim"],
            "vocab_size": shape["vocab"], "max_position_embeddings": shape["context"], "rms_norm_eps": 1e-5,
            "rope_theta": 500000.0, "tie_word_embeddings": tied, "attention_bias": False, "mlp_bias": False,
            "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                             "original_max_position_embeddings": 8192},
            "bos_token_id": 0, "torch_dtype": {"bf16": "bfloat16", "f32": "float32"}[dtype]}


def write_weights(folder, listed, dtype, shard_bytes):
    drawn, size = {}, {"bf16": 2, "f32": 4}[dtype]

    def blocks(inputs):
        if inputs not in drawn:
            drawn[inputs] = (draw(inputs, BLOCK, inputs ** -0.5, dtype) if inputs
                             else struct.pack("<f", 1.0)[4 - size:] * BLOCK)
        return drawn[inputs]

    shards, room = [[]], shard_bytes
    for tensor in listed:
        count = elements(tensor[1]) * size
        if shard_bytes and count > room and shards[-1]:
            shards.append([])
            room = shard_bytes
        shards[-1].append(tensor)
        room -= count
    if len(shards) == 1:
        return write_safetensors(folder / "model.safetensors", listed, dtype, blocks)
    total, places = 0, {}
    for i, shard in enumerate(shards):
        name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        total += write_safetensors(folder / name, shard, dtype, blocks)
        places.update((tensor[0], name) for tensor in shard)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


def write_tokenizer(folder, path):
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    (folder / "tokenizer.json").write_bytes(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="1b")
    for key in SHAPES["1b"]:
        parser.add_argument("--" + key.replace("_", "-"), type=int)
    parser.add_argument("--dtype", choices=("bf16", "f32"), default="bf16")
    parser.add_argument("--untied", action="store_true")
    parser.add_argument("--shard-bytes", type=int, default=0)
    parser.add_argument("--tokenizer", type=Path,
                        default=Path(__file__).resolve().parents[1] / "tests/goldens/tokenizer/large.json.xz")
    options = parser.parse_args()
    shape = {key: getattr(options, key) or value for key, value in SHAPES[options.shape].items()}
    options.folder.mkdir(parents=True, exist_ok=True)
    tied = not options.untied
    total = write_weights(options.folder, list(tensors(shape, tied)), options.dtype, options.shard_bytes)
    text = json.dumps(config(shape, tied, options.dtype), indent=1)
    (options.folder / "config.json").write_text(text + "\n")
    write_tokenizer(options.folder, options.tokenizer)
    print(f"{options.folder}: {total / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    main()
