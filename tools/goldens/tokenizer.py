#!/usr/bin/env python3
"""Makes tests/goldens/tokenizer with the `tokenizers` package (0.23.3 from PyPI).

Text comes from a deterministic generator of our own: words of many scripts, put
together from syllables, between numbers, code, emoji, runs of spaces and special
tokens.  Tokenizers are trained on it (GPT-2, Llama 3, Qwen 2 patterns, single digits,
and one with a vocabulary of 128,000), and what they say to test lines is kept:

    NAME.json        the tokenizer.json, .xz behind it: packed
    NAME.lines       test texts, one a line: JSON strings
    NAME.ids         what `tokenizers` answers with add_special_tokens=False, a JSON list a line
    whole.*          a text of several lines in one piece

    python tools/goldens/tokenizer.py [tests/goldens/tokenizer]
"""
import json
import lzma
import random
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

# Onsets, vowels and codas by script; words are put together from them.
SCRIPTS = {
    "latin": ("b c d f g h j k l m n p r s t v w z br ch cl cr dr fl gr pl pr sh sl st str th tr".split(),
              "a e i o u ai ea ee io ou".split(), "  n r s t l m ng st nd ck".split(" ")),
    "accents": ("b c d l m n p r s t č š ž ř ł ñ ç ß".split(), "á é í ó ú ä ö ü å ø œ ã ê ő ű".split(),
                "  n r s t".split(" ")),
    "cyrillic": ("б в г д ж з к л м н п р с т ф х ц ч ш щ".split(), "а е и о у ы э ю я ё".split(),
                 "  н р с т й ль".split(" ")),
    "greek": ("β γ δ ζ θ κ λ μ ν ξ π ρ σ τ φ χ ψ".split(), "α ε η ι ο υ ω ά έ ή".split(), "  ς ν".split(" ")),
    "arabic": ("ب ت ث ج ح خ د ذ ر ز س ش ص ض ط ع غ ف ق ك ل م ن ه و ي".split(), ["", "ا", "و", "ي", "َ", "ُ"],
               ["", "ة", "ن"]),
    "hebrew": ("ב ג ד ה ו ז ח ט י כ ל מ נ ס ע פ צ ק ר ש ת".split(), ["", "א", "ו", "י", "ָ"], ["", "ם", "ן"]),
    "hindi": ("क ख ग घ च छ ज झ ट ठ ड त थ द ध न प फ ब भ म य र ल व श स ह".split(), ["", "ा", "ि", "ी", "ु", "े", "ो", "्र"],
              ["", "ं", "न्"]),
    "thai": ("ก ข ค ง จ ช ซ ด ต ท น บ ป ผ พ ม ย ร ล ว ส ห อ".split(), ["า", "ิ", "ี", "ุ", "ู", "ะ", "ำ"], ["", "่น", "้ง", "ก"]),
    "hangul": ([chr(0xAC00 + 588 * i) for i in range(19)], [""], ["", chr(0xAC00 + 28 * 7), chr(0xAC00 + 28 * 130 + 4)]),
    "kana": ([chr(c) for c in range(0x3042, 0x3090, 2)] + [chr(c) for c in range(0x30A2, 0x30F0, 3)], ["", "ん", "っ"],
             ["", "ー"]),
    "han": ([chr(0x4E00 + 37 * i) for i in range(500)], [""] + [chr(0x4E00 + 37 * i) for i in range(0, 500, 9)], [""]),
    "georgian": ([chr(c) for c in range(0x10D0, 0x10F0, 2)], ["ა", "ე", "ი", "ო", "უ"], ["", "ს"]),
}
EMOJI = ["😀", "🎉", "👍🏽", "👩‍🔬", "🇫🇷", "❤️", "🤷🏿‍♀️", "🏳️‍🌈", "⚙️", "1️⃣"]
CODE = ["def f(x):\n    return x ** 2", "for (int i = 0; i < n; ++i) {", "\t\tif (!ok) goto out;", "SELECT * FROM t WHERE a<>'b';",
        "https://example.org/a?b=c&d=%20", "<div class=\"x\">&nbsp;</div>", "x = {'a': [1, 2.5e-3], \"b\": None}",
        "git commit -m \"it's done\"", "0x7fFF_ffff", "a->b::c<d>(e)&&f||!g", "\\frac{a}{b} $x_{i}^{2}$", "#!/bin/sh\r\nexit 0\r\n"]
NUMBERS = ["0", "7", "42", "100", "2026", "31415", "1,234,567.89", "٣٤٥٦", "१२३४", "Ⅷ", "½", "x²", "①②③", "１２３４", "1e-10", "৪২"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", " \n ", "\r\n", "\u00a0", "\u3000", "\u2003", "\u2028", "\u0085", " \u00a0 ",
          "        ", "\x1c", "\u200b", "\u180e", "\ufeff", "\x0b\x0c"]
ENGLISH = ["it's", "I'LL", "we've", "they're", "I'm", "he'd", "don't", "DON'T", "'S", "'ſ", "o'clock", "'tis", "''ll", "can’t",
           "rock'n'roll", "ſ", "İi", "ǅ", "ﬁ", "K", "e\u0301", "한글", "ᄒ\u1161\u11ab", "…", "—", "“quoted”", "«»", "¿?", "\u0378",
           "\U0001d400\U0001d7d8", "\U00020000", "\ue000", "_snake_case_", "CamelCase", "ALLCAPS", "a\u0308b", "\u0300"]


class Words:
    def __init__(self, seed, size):
        self.random = random.Random(seed)
        self.words = {}
        for name, (onsets, vowels, codas) in SCRIPTS.items():
            made = set()
            while len(made) < size and len(made) < len(onsets) ** 2 * 2:
                count = self.random.choice((1, 1, 2, 2, 2, 3, 3, 4))
                made.add("".join(self.random.choice(onsets) + self.random.choice(vowels) + self.random.choice(codas)
                                 for _ in range(count)))
            self.words[name] = sorted(made)
        self.names = sorted(self.words)

    def word(self):
        name = self.random.choice(self.names)
        word = self.random.choice(self.words[name])
        if name in ("latin", "accents", "cyrillic", "greek"):
            word = self.random.choice((word, word, word, word.capitalize(), word.upper()))
        return word

    def sentence(self):
        name = self.random.choice(self.names)
        words = [self.random.choice(self.words[name]) for _ in range(self.random.randint(2, 9))]
        return ("" if name in ("han", "kana", "thai") else " ").join(words) + self.random.choice((".", "!", "?", ",", "。", ""))

    def line(self, specials):
        r, parts = self.random, []
        for _ in range(r.randint(1, 7)):
            kind = r.random()
            if kind < 0.35:
                parts.append(self.sentence())
            elif kind < 0.50:
                parts.append(self.word())
            elif kind < 0.60:
                parts.append(r.choice(NUMBERS) if r.random() < 0.6 else str(r.randrange(10 ** r.randint(1, 12))))
            elif kind < 0.66:
                parts.append(r.choice(CODE))
            elif kind < 0.74:
                parts.append(r.choice(EMOJI))
            elif kind < 0.86:
                parts.append(r.choice(ENGLISH))
            elif kind < 0.94:
                parts.append(r.choice(SPACES) * r.randint(1, 3))
            elif specials:
                parts.append(r.choice(specials))
            if r.random() < 0.7:
                parts.append(r.choice(SPACES) if r.random() < 0.25 else " ")
        return "".join(parts)


def sequence(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train(pre_tokenizer, vocabulary, specials, texts, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, min_frequency=1, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=specials)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def array_merges(text, as_arrays):
    data = json.loads(text)
    merges = [m.split(" ") if isinstance(m, str) else m for m in data["model"]["merges"]]
    data["model"]["merges"] = merges if as_arrays else [" ".join(m) for m in merges]
    return data


def keep(path, text, packed):
    if packed:
        path.with_name(path.name + ".xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    else:
        path.write_text(text, encoding="utf-8", newline="")


def write(folder, name, tokenizer, lines, packed=False, as_arrays=True):
    data = array_merges(tokenizer.to_str(), as_arrays)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"
    peer = Tokenizer.from_str(text)  # the answers come from what the file says
    ids = [encoding.ids for encoding in peer.encode_batch(lines, add_special_tokens=False)]
    keep(folder / f"{name}.json", text, packed)
    keep(folder / f"{name}.lines", "".join(json.dumps(line) + "\n" for line in lines), packed)
    keep(folder / f"{name}.ids", "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in ids), packed)
    print(name, "vocabulary", peer.get_vocab_size(), "merges", len(data["model"]["merges"]), "bytes", len(text.encode()))


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "tests/goldens/tokenizer")
    folder.mkdir(parents=True, exist_ok=True)
    small = Words(1, 400)
    texts = [small.line([]) for _ in range(6000)]

    gpt2 = train(pre_tokenizers.ByteLevel(add_prefix_space=False), 1500, ["<|endoftext|>"], texts)
    write(folder, "gpt2", gpt2, [Words(2, 400).line(["<|endoftext|>"])] + lines_of(3, 299, ["<|endoftext|>"]),
          as_arrays=False)

    prefix = train(pre_tokenizers.ByteLevel(add_prefix_space=True), 800, ["<s>", "</s>"], texts[:2000])
    write(folder, "prefix", prefix, lines_of(4, 100, ["<s>", "</s>"]))

    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                      pre_tokenizers.ByteLevel(add_prefix_space=False)])
    write(folder, "digits", train(digits, 1000, ["<|im_start|>", "<|im_end|>"], texts[:3000]),
          lines_of(8, 300, ["<|im_start|>", "12", "  7", "a1 2b ½ "]))

    marks = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    llama = train(sequence(LLAMA3), 2000, [], texts, ignore_merges=True)
    llama.add_special_tokens(marks)
    llama.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[
            ("<|begin_of_text|>", llama.token_to_id("<|begin_of_text|>"))])])
    write(folder, "llama3", llama, lines_of(5, 400, marks + ["<|eot_id", "<|eot_id|>>", "<<|eot_id|>"]))

    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    qwen = train(sequence(QWEN2), 1500, [], texts)
    qwen.add_special_tokens(marks)
    qwen.add_tokens([AddedToken("<tool>", lstrip=True), AddedToken("</tool>", rstrip=True),
                     AddedToken("whole", single_word=True), AddedToken("<tool_call>", normalized=False),
                     AddedToken("  ", normalized=True)])
    write(folder, "qwen2", qwen, lines_of(6, 400, marks + [
        " <tool>", "</tool>  ", "<tool><tool_call>", "  </tool>\n", "whole", " whole ", "wholesome", "a whole,", "éwhole",
        "   <tool>   </tool>   ", "    "]))

    large = Words(7, 60000)
    big = train(sequence(LLAMA3), 128000, ["<|begin_of_text|>", "<|eot_id|>"],
                (large.line([]) for _ in range(400000)), ignore_merges=True)
    write(folder, "large", big, [large.line(["<|eot_id|>"]) for _ in range(2500)], packed=True, as_arrays=False)

    whole = "\n".join(small.line(["<|eot_id|>"]) for _ in range(200)) + "\n" + "a" * 5000 + "ab" * 3000 + " " * 4000
    (folder / "whole.txt").write_text(whole, encoding="utf-8", newline="")
    ids = Tokenizer.from_file(str(folder / "llama3.json")).encode(whole, add_special_tokens=False).ids
    (folder / "whole.ids").write_text(json.dumps(ids, separators=(",", ":")) + "\n")


def lines_of(seed, count, specials):
    words = Words(seed, 400)
    return [words.line(specials) for _ in range(count)]


main()
