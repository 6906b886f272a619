#!/usr/bin/env python3
"""Writes tests/goldens/operators: what the ONNX reference answers for every operator.

    pip install onnx==1.23.2
    python tools/goldens/operators.py

One safetensors file an operator.  Its tensors are CASE/in0, CASE/in1, ... (absent
where an optional operand is) and CASE/out0, ...; its metadata is

    generator       this file and the version of onnx
    onnx            name and version of the ONNX operator
    CASE            the attributes i[0] to i[3] and f[0], f[1] of driftwood_abi.h
    CASE/in0.view   for an operand that is not dense: dims;strides;offset;elements, in
                    elements; an input's tensor is then the elements of its memory
    CASE/cache      the cache's data type, for Attention

The reference computes in F64 on inputs that were rounded to their data type first; its
results are rounded once, to the output's data type.  Cast, Identity, Gather, ArgMax and
TopK compute nothing and see the operands' own types.  Each case has a seed of its own.

Attention has CASE/past_key and CASE/past_value where rows are in the cache already.
RotaryEmbedding and Attention of rank 2 are ONNX's rank 3 with a batch axis of 1.
"""
import json
import pathlib
import struct
import zlib

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests" / "goldens" / "operators"
OPSET = 24
DTYPES = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "I32": np.int32, "I64": np.int64}
MOVES = ("Cast", "Identity", "Gather", "ArgMax", "TopK")
F32, F16, BF16, I32, I64 = DTYPES


def name_of(dtype):
    return next(name for name, known in DTYPES.items() if np.dtype(known) == dtype)


def is_float(array):
    return name_of(array.dtype) in ("F32", "F16", "BF16")


class View:
    """Where the elements of an operand lie: axes in memory order, elements between rows, and before all."""

    def __init__(self, shape, order=None, gap=0, offset=0, step=1):
        order = list(range(len(shape))) if order is None else list(order)
        self.shape, self.offset, self.strides = list(shape), offset, [0] * len(shape)
        stride = step
        for axis in reversed(order):
            self.strides[axis] = stride
            stride = stride * shape[axis] + (gap if axis == order[-1] else 0)
        self.elements = offset + stride

    def text(self):
        return ";".join([",".join(map(str, self.shape)), ",".join(map(str, self.strides)), str(self.offset),
                         str(self.elements)])

    def places(self):
        axes = [np.arange(n) * stride for n, stride in zip(self.shape, self.strides)]
        return self.offset + sum(np.ix_(*axes))


class File:
    def __init__(self, operator):
        self.operator, self.tensors = operator, {}
        version = onnx.defs.get_schema(operator, OPSET).since_version
        self.meta = {"generator": f"tools/goldens/operators.py, onnx {onnx.__version__}",
                     "onnx": f"{operator}-{version}"}

    def write(self):
        header, data = {"__metadata__": self.meta}, b""
        for name, array in self.tensors.items():
            raw = np.ascontiguousarray(array).tobytes()
            header[name] = {"dtype": name_of(array.dtype), "shape": list(array.shape),
                            "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        path = FOLDER / f"{self.operator}.safetensors"
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)
        return path.stat().st_size

    def reference(self, inputs, outputs, attributes):
        """Runs a model of this one operator; inputs may be None."""
        if self.operator not in MOVES:
            inputs = [x.astype(np.float64) if x is not None and is_float(x) else x for x in inputs]
        named = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
        node = helper.make_node(self.operator, [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)],
                                [f"y{i}" for i in range(outputs)], **attributes)
        infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
                 for n, x in named.items()]
        results = [helper.make_tensor_value_info(f"y{i}", TensorProto.UNDEFINED, None) for i in range(outputs)]
        model = helper.make_model(helper.make_graph([node], self.operator, infos, results),
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        return ReferenceEvaluator(model).run(None, named)

    def case(self, name, inputs, out=(F32,), attributes=None, i=(), f=(), views=None, rank2=False, cache=None,
             past=None):
        """`views`: View by operand name.  `rank2`: the batch axis is left out of what is written."""
        views = views or {}
        given = list(inputs)
        if past:
            given += [None] * (4 - len(given)) + list(past)
            given[3] = None
        results = self.reference(given, len(out), attributes or {})
        i, f = list(i) + [0] * (4 - len(i)), list(f) + [0.0] * (2 - len(f))
        self.meta[name] = " ".join([str(x) for x in i] + [float(np.float32(x)).hex() for x in f])
        rng = np.random.default_rng(zlib.crc32(f"{self.operator} {name}".encode()))
        for at, array in enumerate(inputs):
            if array is not None:
                batched = array.ndim == 3 or not is_float(array)
                self.add(f"{name}/in{at}", array[0] if rank2 and batched else array, views.get(f"in{at}"), rng)
        for at, dtype in enumerate(out):
            result = results[at].astype(DTYPES[dtype])
            assert not is_float(result) or np.isfinite(result.astype(np.float64)).all(), name
            result = result[0] if rank2 else result
            if f"out{at}" in views:
                self.meta[f"{name}/out{at}.view"] = views[f"out{at}"].text()
            self.tensors[f"{name}/out{at}"] = result
        if cache:
            self.meta[f"{name}/cache"] = cache
        if past:
            self.tensors[f"{name}/past_key"], self.tensors[f"{name}/past_value"] = past

    def add(self, name, array, view, rng):
        if view:
            assert view.shape == list(array.shape), name
            self.meta[f"{name}.view"] = view.text()
            memory = rng.integers(1, 99, view.elements).astype(array.dtype)
            memory[view.places()] = array
            array = memory
        self.tensors[name] = array


class Values:
    """Random operands, the same ones in every run."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape, dtype=F32, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype(DTYPES[dtype])

    def integers(self, low, high, *shape, dtype=I32):
        return self.rng.integers(low, high, shape).astype(DTYPES[dtype])


def matmul(file, values):
    file.case("f32", [values(3, 5), values(5, 7)])
    file.case("one_row", [values(1, 67), values(67, 33)])
    file.case("one_column", [values(9, 13), values(13, 1)])
    file.case("one_term", [values(4, 1), values(1, 6)])
    file.case("batch", [values(2, 3, 4, 5), values(2, 3, 5, 6)])
    file.case("broadcast_b", [values(3, 4, 17), values(17, 5)])
    file.case("broadcast_both", [values(2, 1, 3, 9), values(4, 9, 5)])
    file.case("broadcast_a", [values(5, 11), values(3, 11, 4)])
    for dtype in (F16, BF16):
        b = values(37, 19, dtype=dtype)
        file.case(f"{dtype.lower()}", [values(6, 37), b])
        file.case(f"{dtype.lower()}_rows_of_weights", [values(5, 37), b], views={"in1": View((37, 19), (1, 0))})
        file.case(f"{dtype.lower()}_one_row", [values(1, 131), values(131, 23, dtype=dtype)],
                  views={"in1": View((131, 23), (1, 0))})
    file.case("permuted_a", [values(7, 18), values(18, 4)], views={"in0": View((7, 18), (1, 0))})
    file.case("permuted_batch", [values(3, 5, 8), values(3, 8, 6)],
              views={"in0": View((3, 5, 8), (1, 0, 2)), "in1": View((3, 8, 6), (2, 0, 1), gap=3, offset=2)})
    file.case("gaps", [values(5, 9), values(9, 11)],
              views={"in0": View((5, 9), gap=4, offset=3), "in1": View((9, 11), gap=1, step=2),
                     "out0": View((5, 11), gap=2, offset=5)})
    file.case("permuted_result", [values(20, 31), values(31, 18)], views={"out0": View((20, 18), (1, 0))})


def binary(file, values):
    def b(*shape, dtype=F32):
        x = values(*shape, dtype=dtype)
        # Quotients far from 0 divisors keep every type's range.
        return (np.sign(x) * (np.abs(x) + DTYPES[dtype](0.5))).astype(x.dtype)

    file.case("vector", [values(17), b(17)])
    file.case("matrix", [values(3, 5), b(3, 5)])
    file.case("rank3", [values(2, 3, 7), b(2, 3, 7)])
    file.case("rank4", [values(2, 3, 4, 5), b(2, 3, 4, 5)])
    file.case("broadcast_row", [values(4, 9), b(9)])
    file.case("broadcast_column", [values(4, 9), b(4, 1)])
    file.case("broadcast_one", [values(1), b(2, 3, 5)])
    file.case("broadcast_both", [values(3, 1, 5), b(2, 1, 4, 1)])
    file.case("f16", [values(5, 11, dtype=F16), b(5, 11, dtype=F16)], out=(F16,))
    file.case("bf16", [values(5, 11, dtype=BF16), b(11, dtype=BF16)], out=(BF16,))
    file.case("mixed", [values(3, 33, dtype=F16), b(3, 33, dtype=BF16)])
    file.case("mixed_result", [values(3, 33), b(33, dtype=BF16)], out=(F16,))
    file.case("permuted", [values(4, 6), b(4, 6)], views={"in0": View((4, 6), (1, 0))})
    file.case("strided", [values(2, 5, 3), b(5, 3)],
              views={"in0": View((2, 5, 3), (2, 0, 1), offset=1), "in1": View((5, 3), gap=2, step=3),
                     "out0": View((2, 5, 3), (1, 0, 2), gap=1, offset=4)})


def unary(file, values, **more):
    file.case("vector", [values(33, scale=3)], **more)
    file.case("one", [values(1)], **more)
    file.case("matrix", [values(3, 7, scale=3)], **more)
    file.case("rank3", [values(2, 3, 5)], **more)
    file.case("rank4", [values(2, 1, 3, 19)], **more)
    file.case("small", [values(21, scale=1e-4)], **more)
    file.case("large", [np.linspace(-30, 30, 61).astype(np.float32)], **more)
    file.case("f16", [values(5, 9, dtype=F16)], out=(F16,), **more)
    file.case("bf16", [values(5, 9, dtype=BF16)], out=(BF16,), **more)
    file.case("f16_to_f32", [values(2, 17, dtype=F16)], **more)
    file.case("strided", [values(4, 6)], **more,
              views={"in0": View((4, 6), (1, 0), gap=1), "out0": View((4, 6), gap=3)})


def swish(file, values):
    unary(file, values)
    file.case("alpha", [values(3, 11, scale=2)], attributes={"alpha": 1.75}, f=(1.75,))
    file.case("alpha_negative", [values(19)], attributes={"alpha": -0.5}, f=(-0.5,))


def gelu(file, values):
    unary(file, values)
    for name, dtype in (("tanh", F32), ("tanh_f16", F16), ("tanh_bf16", BF16)):
        file.case(name, [values(3, 37, dtype=dtype, scale=2)], out=(dtype,), attributes={"approximate": "tanh"}, i=(1,))
    file.case("tanh_small", [values(11, scale=1e-4)], attributes={"approximate": "tanh"}, i=(1,))


def softmax(file, values):
    def case(name, x, **more):
        file.case(name, [x], attributes={"axis": -1}, i=(-1,), **more)

    case("vector", values(31))
    case("matrix", values(5, 17))
    case("rank3", values(2, 3, 9))
    case("rank4", values(2, 3, 1, 13))
    case("one_column", values(4, 1))
    case("large", values(3, 23) * np.float32(40))
    case("wide", values(1, 1025))
    case("f16", values(3, 21, dtype=F16), out=(F16,))
    case("bf16", values(3, 21, dtype=BF16), out=(BF16,))
    case("strided", values(6, 5), views={"in0": View((6, 5), (1, 0), offset=2), "out0": View((6, 5), gap=2)})
    file.case("axis_named", [values(2, 5, 7)], attributes={"axis": 2}, i=(2,))


def rms_normalization(file, values):
    def case(name, x, scale, epsilon=1e-5, **more):
        file.case(name, [x, scale], attributes={"axis": -1, "epsilon": epsilon}, f=(epsilon,), **more)

    case("vector", values(31), values(31))
    case("matrix", values(5, 64), values(64))
    case("rank3", values(2, 3, 33), values(33), epsilon=1e-6)
    case("rank4", values(2, 1, 3, 7), values(7))
    case("one", values(4, 1), values(1))
    case("epsilon_large", values(3, 19, scale=0.01), values(19), epsilon=0.5)
    case("epsilon_none", values(3, 19), values(19), epsilon=0.0)
    case("weights_bf16", values(3, 129), values(129, dtype=BF16))
    case("f16", values(3, 40, dtype=F16), values(40, dtype=F16), out=(F16,))
    case("bf16", values(3, 40, dtype=BF16), values(40, dtype=BF16), out=(BF16,))
    case("strided", values(5, 12), values(12),
         views={"in0": View((5, 12), (1, 0), offset=1), "in1": View((12,), step=2), "out0": View((5, 12), gap=5)})


def rotary_embedding(file, values):
    def tables(rows, pairs, dtype=F32, batch=False):
        angles = np.arange(rows)[:, None] * 100.0 ** (-np.arange(pairs) / pairs)
        pair = [np.cos(angles).astype(DTYPES[dtype]), np.sin(angles).astype(DTYPES[dtype])]
        return [x[None] for x in pair] if batch else pair

    for interleaved in (0, 1):
        for rank in (2, 3, 4):
            for rotary in (0, 6):
                rows, heads, width, positions = 5, 3, 10, 23
                x = values(1, heads, rows, width) if rank == 4 else values(1, rows, heads * width)
                attributes = {"interleaved": interleaved, "rotary_embedding_dim": rotary}
                if rank != 4:
                    attributes["num_heads"] = heads
                i = (heads if rank != 4 else 0, interleaved, rotary)
                pairs = (rotary or width) // 2
                name = f"rank{rank}_{'interleaved' if interleaved else 'halves'}_{rotary or 'all'}"
                ids = values.integers(0, positions, 1, rows, dtype=(I32, I64)[interleaved])
                # ONNX's position_ids have a batch axis always.
                file.case(name + "_positions", [x, *tables(positions, pairs), ids], attributes=attributes, i=i,
                          rank2=rank == 2)
                file.case(name, [x, *tables(rows, pairs, batch=True), None], attributes=attributes, i=i,
                          rank2=rank == 2)
    file.case("one_row", [values(1, 1, 4 * 16), *tables(50, 8), np.array([[41]], np.int32)],
              attributes={"num_heads": 4}, i=(4,), rank2=True)
    file.case("tables_f16", [values(1, 7, 2 * 8), *tables(30, 4, F16), np.array([[3, 4, 5, 6, 29, 0, 1]], np.int64)],
              attributes={"num_heads": 2}, i=(2,))
    file.case("tables_bf16", [values(1, 4, 2 * 8), *tables(4, 4, BF16, batch=True), None],
              attributes={"num_heads": 2}, i=(2,))
    file.case("heads_permuted", [values(1, 3, 6, 8), *tables(9, 4), np.array([[2, 3, 4, 5, 6, 7]], np.int32)],
              views={"in0": View((1, 3, 6, 8), (0, 2, 1, 3)), "out0": View((1, 3, 6, 8), (0, 2, 1, 3), gap=2)})


def attention(file, values):
    def case(name, rows, q_heads, kv_heads, width, rank=3, past=0, scale=None, softcap=0.0, cache=F32, **more):
        def kept(*shape):  # what a cache of that type keeps exactly
            return values(*shape).astype(DTYPES[cache]).astype(np.float32)

        attributes = {"is_causal": 1, "softcap": softcap}
        if rank == 4:
            q, k, v = values(1, q_heads, rows, width), kept(1, kv_heads, rows, width), kept(1, kv_heads, rows, width)
        else:
            attributes |= {"q_num_heads": q_heads, "kv_num_heads": kv_heads}
            q, k, v = values(1, rows, q_heads * width), kept(1, rows, kv_heads * width), kept(1, rows, kv_heads * width)
        if scale:
            attributes["scale"] = scale
        before = [kept(1, kv_heads, past, width) for _ in range(2)] if past else None
        file.case(name, [q, k, v], attributes=attributes, i=(q_heads, kv_heads, 1, 0), f=(scale or 0.0, softcap),
                  rank2=rank == 2, cache=cache, past=before, **more)

    case("one_row", 1, 2, 2, 8)
    case("rank2", 7, 4, 4, 6, rank=2)
    case("rank3", 9, 3, 3, 5)
    case("rank4", 6, 4, 2, 8, rank=4)
    case("groups", 11, 6, 2, 8, rank=2)
    case("one_key_head", 8, 5, 1, 7)
    case("scale", 7, 2, 1, 9, scale=0.75)
    case("softcap", 7, 4, 2, 8, softcap=2.5)
    case("scale_softcap", 5, 2, 2, 4, rank=4, scale=1.5, softcap=1.25)
    case("past", 4, 4, 2, 8, rank=2, past=13)
    case("past_one_row", 1, 6, 3, 10, past=37)
    case("past_rank4", 5, 2, 1, 6, rank=4, past=20, softcap=3.0)
    case("cache_f16", 9, 4, 2, 8, cache=F16)
    case("cache_f16_past", 3, 2, 2, 16, rank=2, past=17, cache=F16)
    case("long", 300, 2, 1, 4, rank=2)
    case("long_past", 5, 2, 1, 6, past=515)
    case("permuted", 6, 4, 2, 8, rank=4,
         views={"in0": View((1, 4, 6, 8), (0, 2, 1, 3)), "in1": View((1, 2, 6, 8), (0, 2, 1, 3), gap=3, offset=1),
                "in2": View((1, 2, 6, 8), (0, 1, 3, 2)), "out0": View((1, 4, 6, 8), (0, 2, 1, 3))})


def gather(file, values):
    def case(name, data, indices, **more):
        file.case(name, [data, indices], out=more.pop("out", (name_of(data.dtype),)), attributes={"axis": 0}, **more)

    case("rows", values(13, 5), values.integers(0, 13, 7))
    case("rows_i64", values(13, 5), values.integers(0, 13, 4, dtype=I64))
    case("negative", values(9, 3), np.array([-1, -9, 0, 8, -4], np.int32))
    case("vector", values(17), values.integers(0, 17, 2, 3))
    case("rank3", values(5, 2, 3), values.integers(0, 5, 4))
    case("matrix_of_rank3", values(5, 2, 3), values.integers(0, 5, 2, 2, dtype=I64))
    case("rank4", values(5, 2, 1, 7), values.integers(0, 5, 3))
    case("cube_of_rows", values(6, 4), values.integers(0, 6, 2, 1, 3))
    for dtype in (F16, BF16):
        case(f"{dtype.lower()}", values(11, 7, dtype=dtype), values.integers(0, 11, 5))
        case(f"{dtype.lower()}_to_f32", values(11, 7, dtype=dtype), values.integers(0, 11, 5), out=(F32,))
    case("i32", values.integers(-99, 99, 8, 3), values.integers(0, 8, 4))
    case("i64", values.integers(-2**60, 2**60, 8, 3, dtype=I64), values.integers(0, 8, 4))
    case("strided", values(7, 6), values.integers(0, 7, 5),
         views={"in0": View((7, 6), (1, 0), offset=2), "in1": View((5,), step=3), "out0": View((5, 6), gap=1)})


def argmax(file, values):
    def case(name, x, keep=1, out=I64, **more):
        file.case(name, [x], out=(out,), attributes={"axis": -1, "keepdims": keep}, i=(-1,), **more)

    case("vector", values(37))
    case("matrix", values(5, 9), keep=0)
    case("rank3", values(2, 3, 11), keep=0, out=I32)
    case("rank4", values(2, 3, 2, 7), out=I32)
    case("rank4_dropped", values(2, 3, 2, 7), keep=0)
    case("one_column", values(4, 1))
    case("wide", values(2, 2051))
    case("ties", values.integers(0, 3, 6, 12).astype(np.float32))
    case("f16", values(3, 19, dtype=F16), keep=0)
    case("bf16", values(3, 19, dtype=BF16), out=I32)
    case("strided", values(6, 5), views={"in0": View((6, 5), (1, 0), gap=2), "out0": View((6, 1), gap=1)})


def topk(file, values):
    def case(name, x, k, out=(F32, I64), **more):
        file.case(name, [x, np.array([k], np.int64)], out=out, attributes={"axis": -1, "largest": 1, "sorted": 1},
                  i=(k,), **more)
        del file.tensors[f"{name}/in1"]  # k is an attribute with us

    case("vector", values(37), 5)
    case("all", values(3, 11), 11)
    case("one", values(5, 9), 1, out=(F32, I32))
    case("rank3", values(2, 3, 13), 4)
    case("rank4", values(2, 2, 3, 8), 3, out=(F32, I32))
    case("wide", values(1, 1500), 20)
    case("ties", values.integers(0, 4, 5, 17).astype(np.float32), 9)
    case("f16", values(3, 21, dtype=F16), 6, out=(F16, I64))
    case("bf16", values(2, 15, dtype=BF16), 4, out=(F32, I32))
    case("strided", values(4, 10), 3, views={"in0": View((4, 10), (1, 0), offset=3), "out0": View((4, 3), gap=2),
                                           "out1": View((4, 3), (1, 0))})


def cast(file, values):
    onnx_type = {name: helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) for name, dtype in DTYPES.items()}

    def case(name, x, to, **more):
        file.case(name, [x], out=(to,), attributes={"to": onnx_type[to]}, **more)

    for source in (F32, F16, BF16):
        for to in DTYPES:
            case(f"{source}_{to}".lower(), values(3, 13, dtype=source, scale=20), to)
    for source in (I32, I64):
        for to in DTYPES:
            case(f"{source}_{to}".lower(), values.integers(-30000, 30000, 2, 17, dtype=source), to)
    case("halfway", (1 + np.arange(64) / 4096).astype(np.float32), F16)
    case("halfway_bf16", (1 + np.arange(64) / 512).astype(np.float32), BF16)
    case("subnormal", (np.arange(33) * 2.0**-26).astype(np.float32), F16)
    case("i64_large", values.integers(-2**62, 2**62, 9, dtype=I64), F32)
    case("rank4", values(2, 3, 1, 5), F16)
    case("strided", values(5, 7), BF16, views={"in0": View((5, 7), (1, 0)), "out0": View((5, 7), gap=3, offset=1)})


def identity(file, values):
    def case(name, x, **more):
        file.case(name, [x], out=(name_of(x.dtype),), **more)

    case("vector", values(19))
    case("matrix", values(3, 7))
    case("rank4", values(2, 3, 1, 5))
    for dtype in (F16, BF16):
        case(dtype.lower(), values(4, 9, dtype=dtype))
    for dtype in (I32, I64):
        case(dtype.lower(), values.integers(-2**31, 2**31, 4, 9, dtype=dtype))
    case("transposed", values(5, 6), views={"in0": View((5, 6), (1, 0))})
    case("permuted", values(2, 5, 3), views={"in0": View((2, 5, 3), (2, 1, 0), offset=3),
                                            "out0": View((2, 5, 3), (1, 0, 2), gap=2)})


OPERATORS = {
    "MatMul": matmul, "Add": binary, "Mul": binary, "Sub": binary, "Div": binary,
    "RMSNormalization": rms_normalization, "RotaryEmbedding": rotary_embedding, "Attention": attention,
    "Gather": gather, "Swish": swish, "Softmax": softmax, "ArgMax": argmax, "TopK": topk, "Cast": cast,
    "Identity": identity, "Sigmoid": unary, "Tanh": unary, "Gelu": gelu,
}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    total = 0
    for seed, (operator, cases) in enumerate(OPERATORS.items()):
        file = File(operator)
        cases(file, Values(seed))
        size = file.write()
        total += size
        print(f"{file.meta['onnx']}: {sum('/' not in key for key in file.meta) - 2} cases, {size} bytes")
    print(f"{total} bytes")


if __name__ == "__main__":
    main()
