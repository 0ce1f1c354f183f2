"""Makes tests/data: two vocabularies, and what llama.cpp makes of texts with them.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python make.py --llama SOURCE --library FOLDER --corpus FOLDER [--texts 330] [--seed 1] [--out ../data]

SOURCE is a checkout of llama.cpp (v0.5.0 was used), FOLDER of the library holds its built libllama.so. For a long comparison
make many vectors elsewhere (--texts 20000 --out /tmp/vectors) and run the tests with TEXT_VECTORS=/tmp/vectors.
"""

import argparse
import json
import struct
import subprocess
import tempfile
from pathlib import Path

from texts import texts
from vocabularies import byte_pairs, gguf, sentence_pieces

# One name of each pre-tokeniser that the crate knows.
PRE = [
    "default", "gpt-2", "smollm", "falcon", "llama-bpe", "dbrx", "qwen2", "qwen35", "ufakzeka", "laguna", "bailingmoe2", "seed-coder",
    "minicpm5", "tekken", "gpt-4o", "deepseek-coder", "deepseek-v3", "bloom", "viking",
]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--llama", required=True)
    arguments.add_argument("--library", required=True)
    arguments.add_argument("--corpus", required=True)
    arguments.add_argument("--texts", type=int, default=330)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--out", default=str(Path(__file__).parent.parent / "data"))
    asked = arguments.parse_args()
    out = Path(asked.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        program = build(asked, scratch)
        requests = [(flags, text) for index, text in enumerate(texts(asked.corpus, asked.texts, asked.seed)) for flags in [index % 4]]
        pairs = byte_pairs(asked.corpus)
        variants = {name: {**pairs, "tokenizer.ggml.pre": name} for name in PRE}
        write(out, "bpe", variants, requests, program, scratch)
        pieces = sentence_pieces(asked.corpus)
        variants = {
            "prefix": pieces,
            "no-prefix": {**pieces, "tokenizer.ggml.add_space_prefix": False},
            "eos": {**pieces, "tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_eos_token": True},
        }
        write(out, "spm", variants, requests, program, scratch)


def build(asked, scratch):
    program = f"{scratch}/tokenise"
    source, library = Path(asked.llama), Path(asked.library).resolve()
    subprocess.run(
        ["gcc", "-O1", "-o", program, str(Path(__file__).parent / "tokenise.c"), f"-I{source}/include", f"-I{source}/ggml/include",
         f"-L{library}", "-lllama", "-lggml-base", f"-Wl,-rpath,{library}"],
        check=True,
    )
    return program


def write(out, name, variants, requests, program, scratch):
    """NAME.gguf, the first variant; NAME.jsonl: for each text the ids, and for which variants; NAME-pieces.jsonl: the tokens."""
    (out / f"{name}.gguf").write_bytes(gguf(next(iter(variants.values()))))
    stdin = b"".join(struct.pack("<BI", flags, len(text.encode())) + text.encode() for flags, text in requests)
    answers = {}
    for variant, metadata in variants.items():
        path = f"{scratch}/{variant}.gguf"
        Path(path).write_bytes(gguf(metadata))
        lines = subprocess.run([program, path], input=stdin, capture_output=True, check=True).stdout.decode().split("\n")[:-1]
        answers[variant] = [[int(number) for number in line.split(",") if number] for line in lines]
        assert len(answers[variant]) == len(requests), variant
    with open(out / f"{name}.jsonl", "w", encoding="utf-8") as file:
        for index, (flags, text) in enumerate(requests):
            by_ids = {}
            for variant in variants:
                by_ids.setdefault(tuple(answers[variant][index]), []).append(variant)
            results = [{"of": names, "ids": list(ids)} for ids, names in by_ids.items()]
            line = {"text": text, "add": bool(flags & 1), "parse": bool(flags & 2), "results": results}
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    lines = subprocess.run([program, f"{scratch}/{next(iter(variants))}.gguf", "pieces"], capture_output=True, check=True).stdout.decode()
    with open(out / f"{name}-pieces.jsonl", "w", encoding="utf-8") as file:
        for line in lines.split("\n")[:-1]:
            plain, special, ends = line.split(" ")
            file.write(json.dumps({"plain": plain, "special": special, "ends": ends == "1"}, separators=(",", ":")) + "\n")


main()
