#!/usr/bin/env python3
"""Writes guests/llm/unicode_tables.c: the character classes that pre-tokenisers ask for.

The classes are asked of the `tokenizers` package itself (PyPI, 0.23.3), so that
the guest has the version of Unicode that its peer has.

    python tools/unicode_tables.py > guests/llm/unicode_tables.c
"""
import textwrap

from tokenizers import Regex, pre_tokenizers

LETTER, NUMBER, SPACE, WORD = 1, 2, 4, 8
BLOCK = 128


def members(pattern):
    """The code points that the pattern matches."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    found = set()
    for base in range(0, 0x110000, 256):
        points = [p for p in range(base, base + 256) if not 0xD800 <= p < 0xE000]
        left = {ord(c) for piece, _ in split.pre_tokenize_str("".join(map(chr, points))) for c in piece}
        found.update(p for p in points if p not in left)
    return found


def print_rows(values):
    for line in textwrap.wrap(", ".join(map(str, values)) + ",", 100, break_on_hyphens=False):
        print("  " + line)


def main():
    classes = bytearray(0x110000)
    for pattern, bit in ((r"\p{L}", LETTER), (r"\p{N}", NUMBER), (r"\s", SPACE), (r"\w", WORD)):
        for point in members(pattern):
            classes[point] |= bit
    blocks, index = [], []
    for base in range(0, 0x110000, BLOCK):
        packed = bytes(classes[p] | classes[p + 1] << 4 for p in range(base, base + BLOCK, 2))
        if packed not in blocks:
            blocks.append(packed)
        index.append(blocks.index(packed))
    assert len(blocks) < 65536
    print("// Character classes.  Made by tools/unicode_tables.py; do not edit.")
    print('#include "unicode.h"\n')
    print(f"const uint16_t llm_class_index[{len(index)}] = {{")
    print_rows(index)
    print("};\n")
    print(f"const uint8_t llm_class_blocks[{len(blocks)}][{BLOCK // 2}] = {{")
    for block in blocks:
        print(" {")
        print_rows(block)
        print(" },")
    print("};")


main()
