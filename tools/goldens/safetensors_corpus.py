#!/usr/bin/env python3
"""Writes tests/corpus/safetensors and checks it against the `safetensors` package.

    pip install safetensors==0.8.0
    python tools/goldens/safetensors_corpus.py

y_*  both readers accept the file; accepted.txt says what the package found in it
n_*  both refuse it
i_*  we refuse what the package accepts; the reason stands beside the file below

tests/test_safetensors.c says with which status and at which byte each is refused.
"""
import json
import pathlib
import struct

import safetensors

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests" / "corpus" / "safetensors"


def raw(header, data=b"", length=None):
    header = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def file(header, data=b""):
    return raw(json.dumps(header, separators=(",", ":"), ensure_ascii=False), data)


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def count(size):
    return bytes(i % 251 for i in range(size))


F32 = tensor("F32", [2, 3], 0, 24)
DTYPES = {"F32": 4, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "I64": 8, "U8": 1, "I8": 1, "F64": 8, "I16": 2, "U16": 2,
          "U64": 8, "BOOL": 1}


def every_dtype():
    header, at = {}, 0
    for name, size in DTYPES.items():
        header["t." + name] = tensor(name, [3], at, at + 3 * size)
        at += 3 * size
    return file(header, count(at))


def many():
    return file({f"layers.{i * 37 % 300}.w": tensor("F16", [i % 5, 2], sum(4 * (j % 5) for j in range(i)),
                                                    sum(4 * (j % 5) for j in range(i + 1))) for i in range(300)},
                count(sum(4 * (j % 5) for j in range(300))))


ACCEPTED = {
    "one": file({"a": F32}, count(24)),
    "no_tensors": file({}),
    "no_tensors_padded": raw("{}" + " " * 14),
    "metadata": file({"__metadata__": {"format": "pt", "": "", "é\n": "\"quoted\""}, "a": F32}, count(24)),
    "metadata_alone": file({"__metadata__": {"k": "v"}}),
    "metadata_empty": file({"__metadata__": {}, "a": F32}, count(24)),
    "metadata_last": file({"a": F32, "__metadata__": {"k": "v"}}, count(24)),
    "padded": raw(json.dumps({"a": F32}) + " " * 33, count(24)),
    "padded_by_lines": raw(json.dumps({"a": F32}) + "\n\t\r ", count(24)),
    "spaces": raw(json.dumps({"a": F32}, indent=3), count(24)),
    "every_dtype": every_dtype(),
    "out_of_order": file({"b": tensor("U8", [5], 7, 12), "a": tensor("U8", [7], 0, 7)}, count(12)),
    "members_in_any_order": raw('{"a":{"data_offsets":[0,2],"shape":[2],"dtype":"U8"}}', count(2)),
    "scalar": file({"a": tensor("F64", [], 0, 8)}, count(8)),
    "empty_tensor": file({"a": tensor("F32", [0], 0, 0)}),
    "empty_tensors_between": file({"a": tensor("U8", [2], 0, 2), "b": tensor("F32", [4, 0], 2, 2), "c": tensor("F32", [0, 9], 2, 2),
                                   "d": tensor("U8", [1], 2, 3), "e": tensor("U8", [0], 3, 3), "f": tensor("U8", [0], 0, 0)}, count(3)),
    "zero_then_huge": file({"a": tensor("F32", [0, 2**63, 4], 0, 0)}),
    "rank_4": file({"a": tensor("I16", [2, 1, 3, 2], 0, 24)}, count(24)),
    "rank_8": file({"a": tensor("U8", [1, 2, 1, 2, 1, 2, 1, 1], 0, 8)}, count(8)),
    "escaped_names": raw('{"\\u0061\\n":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                         '"\\ud83d\\ude00":{"dt\\u0079pe":"U\\u0038","shape":[1],"data_offsets":[1,2]}}', count(2)),
    "zero_byte_in_a_name": raw('{"a\\u0000b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', count(1)),
    "empty_name": file({"": tensor("U8", [1], 0, 1)}, count(1)),
    "prefixes": file({"ab": tensor("U8", [1], 0, 1), "a": tensor("U8", [1], 1, 2), "abc": tensor("U8", [1], 2, 3)}, count(3)),
    "many": many(),
}

REFUSED = {
    "nothing": b"",
    "seven_bytes": b"\x02\0\0\0\0\0\0",
    "length_alone": struct.pack("<Q", 2),
    "length_zero": struct.pack("<Q", 0),
    "length_one_short": raw("{}", length=1),
    "length_one_long": raw("{}", length=3),
    "length_into_the_data": raw(json.dumps({"a": F32}), count(24), length=len(json.dumps({"a": F32})) + 24),
    "length_100000001": raw("{}", length=100000001),
    "length_2_63": raw("{}", length=2**63),
    "length_all_ones": raw("{}", length=2**64 - 1),
    "byte_order_mark": raw(b"\xef\xbb\xbf{}"),
    "array": raw("[]"),
    "string": raw('"{}"'),
    "zero_padding": raw(b"{}\0\0"),
    "text_after": raw("{}{}"),
    "comment": raw("{}//"),
    "not_utf8": raw(b'{"\xff":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', count(1)),
    "utf8_overlong": raw(b'{"\xc0\xaf":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', count(1)),
    "utf8_surrogate": raw(b'{"\xed\xa0\x80":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', count(1)),
    "lone_surrogate": raw('{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', count(1)),
    "json_cut": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]'),
    "trailing_comma": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},}', count(1)),
    "member_twice": raw('{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', count(1)),
    "entry_not_an_object": raw('{"a":1}'),
    "entry_null": raw('{"a":null}'),
    "no_dtype": raw('{"a":{"shape":[1],"data_offsets":[0,1]}}', count(1)),
    "no_shape": raw('{"a":{"dtype":"U8","data_offsets":[0,1]}}', count(1)),
    "no_offsets": raw('{"a":{"dtype":"U8","shape":[1]}}', count(1)),
    "dtype_number": raw('{"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}}', count(1)),
    "dtype_unknown": file({"a": tensor("Q4_0", [1], 0, 1)}, count(1)),
    "dtype_lower_case": file({"a": tensor("f32", [1], 0, 4)}, count(4)),
    "dtype_empty": file({"a": tensor("", [1], 0, 1)}, count(1)),
    "shape_number": raw('{"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}', count(1)),
    "shape_negative": file({"a": tensor("U8", [-1], 0, 1)}, count(1)),
    "shape_fraction": file({"a": tensor("U8", [1.0], 0, 1)}, count(1)),
    "shape_exponent": raw('{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', count(1)),
    "shape_text": file({"a": tensor("U8", ["1"], 0, 1)}, count(1)),
    "shape_2_64": file({"a": tensor("U8", [2**64], 0, 1)}, count(1)),
    "shape_overflow": file({"a": tensor("U8", [2**32, 2**32], 0, 0)}),
    "shape_overflow_to_fit": file({"a": tensor("F32", [2**62 + 1], 0, 4)}, count(4)),
    "shape_overflow_then_zero": file({"a": tensor("U8", [2**63, 4, 0], 0, 0)}),
    "offsets_one": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}', count(1)),
    "offsets_three": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}', count(1)),
    "offsets_number": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":1}}', count(1)),
    "offsets_negative": file({"a": tensor("U8", [1], -1, 0)}, count(1)),
    "offsets_text": file({"a": tensor("U8", [1], "0", 1)}, count(1)),
    "offsets_reversed": file({"a": tensor("U8", [1], 1, 0)}, count(1)),
    "offsets_2_64": file({"a": tensor("U8", [1], 0, 2**64)}, count(1)),
    "offsets_wrap": file({"a": tensor("U8", [1], 2**64 - 1, 0)}, count(1)),
    "offsets_beyond": file({"a": tensor("U8", [2], 0, 2)}, count(1)),
    "size_too_small": file({"a": tensor("F32", [2], 0, 7)}, count(7)),
    "size_too_large": file({"a": tensor("F32", [2], 0, 9)}, count(9)),
    "size_of_a_scalar": file({"a": tensor("F32", [], 0, 0)}),
    "gap_first": file({"a": tensor("U8", [1], 1, 2)}, count(2)),
    "gap_between": file({"a": tensor("U8", [1], 0, 1), "b": tensor("U8", [1], 2, 3)}, count(3)),
    "gap_of_an_empty_one": file({"a": tensor("U8", [1], 0, 1), "b": tensor("U8", [0], 2, 2)}, count(2)),
    "overlap": file({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, count(3)),
    "overlap_same": file({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 0, 2)}, count(2)),
    "overlap_inside": file({"a": tensor("U8", [4], 0, 4), "b": tensor("U8", [0], 2, 2)}, count(4)),
    "data_cut": file({"a": F32}, count(23)),
    "data_missing": file({"a": F32}),
    "trailing_byte": file({"a": F32}, count(25)),
    "trailing_byte_alone": file({}, count(1)),
    "metadata_number": file({"__metadata__": {"k": 1}, "a": F32}, count(24)),
    "metadata_nested": file({"__metadata__": {"k": {"l": "m"}}}),
    "metadata_text": file({"__metadata__": "k"}),
    "metadata_array": file({"__metadata__": ["k"]}),
}

# What the package accepts and we do not, and why.
STRICTER = {
    # The format says "duplicate keys are disallowed"; which one would count differs from reader to reader.
    "tensor_twice": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', count(1)),
    "metadata_key_twice": raw('{"__metadata__":{"k":"1","k":"2"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', count(1)),
    # The format says that the header begins with '{'.
    "space_first": raw(" {}"),
    # A writer that puts more into an entry means something that a reader must not ignore.
    "member_unknown": raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"scale":2}}', count(1)),
    "metadata_null": file({"__metadata__": None, "a": F32}, count(24)),
    # Data types that no operator takes.
    "dtype_f8": file({"a": tensor("F8_E4M3", [1], 0, 1)}, count(1)),
    "dtype_c64": file({"a": tensor("C64", [1], 0, 8)}, count(8)),
    "rank_9": file({"a": tensor("U8", [1] * 9, 0, 1)}, count(1)),
}


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def read(data):
    """What the package finds, or None if it refuses the file."""
    try:
        return sorted(safetensors.deserialize(data), key=lambda entry: entry[0].encode())
    except safetensors.SafetensorError as error:
        return str(error) and None


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*"):
        old.unlink()
    lines = []
    for prefix, files in (("y", ACCEPTED), ("n", REFUSED), ("i", STRICTER)):
        for name, data in files.items():
            found = read(data)
            assert (found is None) == (prefix == "n"), (prefix, name, found)
            (FOLDER / f"{prefix}_{name}.safetensors").write_bytes(data)
            if prefix == "y":
                lines.append(f"{name} {len(found)}")
                for key, entry in found:
                    shape = ",".join(str(dim) for dim in entry["shape"])
                    lines.append(f"  {key.encode().hex() or '-'} {entry['dtype']} [{shape}] {len(entry['data'])} {fnv(entry['data']):016x}")
    (FOLDER / "accepted.txt").write_text("\n".join(lines) + "\n")
    print(f"{len(ACCEPTED)} accepted, {len(REFUSED)} refused, {len(STRICTER)} refused by us alone, as safetensors "
          f"{safetensors.__version__} has it")


if __name__ == "__main__":
    main()
