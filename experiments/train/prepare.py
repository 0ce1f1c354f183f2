"""Text files to training data: normalised texts, a byte-level BPE tokeniser, token arrays.

    python prepare.py --corpus DIR --held-out emma-158.txt --out DATA [--vocabulary 4096]

Writes into DATA: tokeniser.json (of the `tokenizers` package), train.bin and held-out.bin (little-endian 16-bit token ids),
held-out.txt (the text that perplexities are of), sample.txt (a piece of every other text, for fitting predictors) and data.json (what
was counted). The tokeniser sees none of the held-out text.
"""

import argparse
import json
import os
import re
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

# Stands between two files. GGUF readers end a generation there.
END_OF_TEXT = "<|endoftext|>"

# The pre-tokeniser that GGUF files call `qwen2`: llama.cpp and engine/crates/text both know it.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# One way to write what books write in several: a small vocabulary has better uses for its tokens.
ONE_SPELLING = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "—": "--", "–": "-", "…": "...", "\u00a0": " ", "\ufeff": "", "_": ""})

# Lines of prose are longer on average (the books are set in lines of 65 to 80); verse and contents are shorter, and stay lines.
PROSE_LINE = 45


def unwrapped(paragraph: str) -> str:
    """A paragraph of prose as one line; verse and lists as they are."""
    lines = [line.strip() for line in paragraph.split("\n")]
    whole = lines[:-1]  # the last line of a paragraph may be short
    is_prose = len(whole) > 0 and sum(map(len, whole)) / len(whole) >= PROSE_LINE
    return (" " if is_prose else "\n").join(lines)


def normalised(text: str) -> str:
    """The text with one spelling of quotes and dashes, paragraphs unwrapped and one blank line between them."""
    text = text.replace("\r\n", "\n").translate(ONE_SPELLING)
    paragraphs = [part.strip("\n") for part in re.split(r"\n[ \t]*\n", text)]
    kept = [unwrapped(part) for part in paragraphs if part.strip() and not part.lstrip().startswith("Produced by")]
    return "\n\n".join(re.sub(r"[ \t]+", " ", part) for part in kept) + "\n"


def sampled(text: str, size: int = 10_000) -> str:
    """Whole paragraphs from the middle of a text, `size` characters or a little more."""
    start = text.find("\n\n", max(0, (len(text) - size) // 2)) + 2
    end = text.find("\n\n", start + size)
    return text[start : end if end > 0 else len(text)].rstrip("\n") + "\n"


def train_tokeniser(texts: list[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE of `vocabulary` tokens, the end of a text and the 256 bytes included."""
    tokeniser = Tokenizer(models.BPE())
    tokeniser.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(WORDS), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokeniser.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokeniser.train_from_iterator(texts, trainer)
    if tokeniser.get_vocab_size() != vocabulary:
        raise SystemExit(f"vocabulary: {tokeniser.get_vocab_size()} tokens came of it; {vocabulary} were asked for: give more text, or ask for fewer")
    return tokeniser


def encoded(tokeniser: Tokenizer, texts: list[str]) -> np.ndarray:
    """All texts as one array of ids, each followed by the end of a text."""
    end = tokeniser.token_to_id(END_OF_TEXT)
    ids = [id for text in texts for id in [*tokeniser.encode(text, add_special_tokens=False).ids, end]]
    return np.asarray(ids, dtype="<u2")


def write(path: Path, data: bytes) -> None:
    """The whole file or none of it."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="a folder of UTF-8 .txt files")
    parser.add_argument("--held-out", required=True, help="the file in it that is not trained on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocabulary", type=int, default=4096)
    options = parser.parse_args()
    files = sorted(options.corpus.glob("*.txt"))
    held_out = options.corpus / options.held_out
    if held_out not in files:
        raise SystemExit(f"--held-out: {options.held_out}; must be one of the .txt files in {options.corpus}")
    if not 512 <= options.vocabulary <= 65536:
        raise SystemExit(f"--vocabulary: {options.vocabulary}; must be from 512 to 65536")
    names = [path.name for path in files if path != held_out]
    texts = [normalised((options.corpus / name).read_text(encoding="utf-8")) for name in names]
    held_text = normalised(held_out.read_text(encoding="utf-8"))
    options.out.mkdir(parents=True, exist_ok=True)
    tokeniser = train_tokeniser(texts, options.vocabulary)
    train, held = encoded(tokeniser, texts), encoded(tokeniser, [held_text])
    facts = {
        "files": names,
        "heldOut": options.held_out,
        "vocabulary": options.vocabulary,
        "trainBytes": sum(len(text.encode()) for text in texts),
        "trainTokens": len(train),
        "heldOutBytes": len(held_text.encode()),
        "heldOutTokens": len(held),
    }
    write(options.out / "tokeniser.json", tokeniser.to_str(pretty=False).encode())
    write(options.out / "train.bin", train.tobytes())
    write(options.out / "held-out.bin", held.tobytes())
    write(options.out / "held-out.txt", held_text.encode())
    write(options.out / "sample.txt", "\n".join(map(sampled, texts)).encode())
    write(options.out / "data.json", (json.dumps(facts, indent=2) + "\n").encode())
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
