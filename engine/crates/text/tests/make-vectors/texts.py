"""Texts to tokenise: lines of books, awkward pieces, and random strings of several alphabets. The same for the same seed."""

import random
from pathlib import Path

from vocabularies import SHAPES, SHOWN, SPECIAL

AWKWARD = [
    "", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", "  \n  \n", "a", " a", "a ", "  a", "a  ", "\n\n\n a", " \n\n  a b",
    "<unk>", "<s>", "</s>", "<0x0A>", "[INST]x[/INST]", "<tool>", "a<tool>b", "  <pad2>", " <tool> ", "<|im_start|>user\nhi<|im_end|>\n",
    "<|im_start|>userx", "<|endoftext|><|endoftext|>", "<|im_start", "quokka", " quokka", " quokkas", "zebra123", " Zyx", "qqqq", "qqqqq",
    "don't DON'T Don'T 'tis 's'S", "' s 'x '' '", "0", "00", "000", "0000", "1234567890", "12 345 6789", "a1b22c333d4444",
    "x" * 300, " " * 300, "\n" * 40, "9" * 50, "é" * 50, "🎉" * 20, "!" * 90, "'" * 30, "aA" * 60, "A" * 100,
    "\u200d", "\ufeffx", "\u0301", "a\u0301\u0302b", " \u0301", "\u00a0\u00a0x", "\u3000", "\u2028\u2029", "\x00", "a\x00b", "\x7f\x80\x9f",
    "\U0010ffff", "\ue000", "\U000e0001", "𝐀𝐁𝐂 𝟏𝟐𝟑", "ǅ ǈ ʰ ª º", "٠١٢٣٤٥", "一二三", "㊀㊁", "①②③", "²³¹", "Ⅳ",
]

ALPHABETS = [
    "abcXYZ  '", "aA1 .,\n", " \n\r\t", "01234567 ", "'sStTrReEvVmMlLdD ", "!?.,;:-/\\()[]{}<>\"' a1\n", "éÉßÀa1 ", "привПРИВ1 ",
    "中文字日本かなカナ한글 a1。，", "e\u0301\u0308\u0903ka 1", "٠١٢½²Ⅷ1a ", "$€+<=>^`|~ #a1", "\u00a0\u3000\u2003\u0085\u2028 a\n", "👍🏽👩‍👧🎉 a",
    "ªºʰǅDžÅKſ' ", "/\r\n!a ",
]


def texts(corpus, count, seed):
    choose = random.Random(seed)
    found = list(AWKWARD) + SHAPES + SPECIAL + SHOWN
    books = [path.read_text(encoding="utf-8") for path in sorted(Path(corpus).glob("*.txt"))]
    assigned = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    while len(found) < count:
        kind = choose.randrange(10)
        if kind < 3:
            book = choose.choice(books)
            start = choose.randrange(len(book) - 200)
            found.append(book[start : start + choose.randrange(1, 120)])
        elif kind < 8:
            alphabet = choose.choice(ALPHABETS) + (choose.choice(ALPHABETS) if choose.random() < 0.3 else "")
            found.append("".join(choose.choice(alphabet) for _ in range(choose.randrange(1, 30))))
        elif kind == 8:
            # Any characters of the lower planes, most of which no vocabulary has.
            points = [choose.choice(assigned[:0x3400] if choose.random() < 0.8 else assigned) for _ in range(choose.randrange(1, 12))]
            found.append("".join(map(chr, points)))
        else:
            parts = [choose.choice(SHAPES + AWKWARD[:60] + SPECIAL + SHOWN) for _ in range(3)]
            found.append("".join(part[: choose.randrange(1, 30)] if choose.random() < 0.5 else part[:40] for part in parts))
    return found
