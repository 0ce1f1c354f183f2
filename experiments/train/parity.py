"""Whether neuronlab writes what llama.cpp writes: greedy tokens of a few prompts, one by one.

    python parity.py --model model-q8_0.gguf --prompts held-out.txt --program bin/neuronlab.js [--noise 0.001]

Keys and values in F32, FFNs dense: then both programs round in the same places, and only the order of sums differs (where activations are rounded to
eight bits that now and then moves a code by one, and a logit by thousandths). `itself` is how far llama.cpp
agrees with its own default, keys and values in F16. Where a token of ours differs, it must be the second best of llama.cpp's two, and `margin`,
by how much llama.cpp preferred its own, be below --noise. Exits with 1 where one is not. Prints one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TOKENS = 48


def paragraphs(text: str, count: int) -> list[str]:
    """The first words of paragraphs spread over a text."""
    long = [part for part in text.split("\n\n") if len(part) > 300]
    return [long[place * len(long) // count][:80].rsplit(" ", 1)[0] for place in range(count)]


def printed(words: list[str]) -> str:
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: exit code {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout


def ours(program: str, model: str, prompt: str) -> dict:
    words = ["node", program, "generate", "--model", model, "--prompt", prompt, "--tokens", str(TOKENS), "--ignore-end", "--ffn", "dense", "--kv", "f32", "--format", "json"]
    said = json.loads(printed(words))
    return {"tokens": said["tokens"], "promptTokens": said["promptTokens"]}


def theirs(programs: dict, model: str, prompt: str, *more: str) -> dict:
    said = printed([programs["llama-tokenize"], "-m", model, "-p", prompt, "--ids", "--log-disable"])
    ids = json.loads(said.strip().splitlines()[-1])
    words = [programs["reference"], "--model", model, "--tokens", ",".join(map(str, ids)), "--greedy", str(TOKENS), *more]
    return json.loads(printed(words)) | {"promptTokens": len(ids)}


def second_of(programs: dict, model: str, prompt: str, step: int) -> int:
    """The token that llama.cpp finds second best at a step."""
    with tempfile.TemporaryDirectory() as folder:
        begin, steps = Path(folder) / "prompt", Path(folder) / "steps"
        said = theirs(programs, model, prompt, "--logits", str(begin), "--step-logits", str(steps))
        # Row i of the steps follows greedy token i; what follows the prompt is the last row of the other file.
        logits = np.fromfile(steps if step > 0 else begin, dtype="<f4").reshape(-1, said["vocabulary"])
        return int(np.argsort(-logits[step - 1], kind="stable")[1])


def agreed(tokens: list[int], others: list[int]) -> int:
    """How many of the first tokens are the same."""
    if len(tokens) != TOKENS or len(others) != TOKENS:
        raise ValueError(f"{len(tokens)} and {len(others)} tokens; should be {TOKENS}")
    return next((place for place, pair in enumerate(zip(tokens, others)) if pair[0] != pair[1]), TOKENS)


def is_close(row: dict, noise: float) -> bool:
    return row["margin"] is None or (row["second"] and row["margin"] <= noise)


def told(row: dict, noise: float) -> str:
    """Why a text that parts is not taken for rounding."""
    why = f"by {row['margin']:.4f} of a logit, more than {noise}" if row["second"] else "and ours is not its second best"
    return f"after {row['same']} tokens ours is another word than llama.cpp's, which prefers its own {why}: {row['prompt']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--noise", type=float, default=1e-3, help="of logits")
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()
    build = Path(options.program).resolve().parent.parent / "engine/rivals/llama.cpp/build.mjs"
    programs = json.loads(printed(["node", str(build), "--check"]))["default"]
    rows = []
    for prompt in paragraphs(options.prompts.read_text(encoding="utf-8"), options.count):
        own, wanted = ours(options.program, options.model, prompt), theirs(programs, options.model, prompt)
        if own["promptTokens"] != wanted["promptTokens"]:
            raise SystemExit(f"{options.model}: {own['promptTokens']} tokens here, {wanted['promptTokens']} in llama.cpp, of the prompt {prompt!r}")
        tokens = own["tokens"]
        half = theirs(programs, options.model, prompt, "--kv", "f16")
        same = agreed(tokens, wanted["tokens"])
        parts = same < TOKENS
        rows.append({
            "prompt": prompt,
            "same": same,
            "itself": agreed(half["tokens"], wanted["tokens"]),
            "margin": wanted["margins"][same] if parts else None,
            "second": second_of(programs, options.model, prompt, same) == tokens[same] if parts else None,
        })
    wrong = [row for row in rows if not is_close(row, options.noise)]
    print(json.dumps({"tokens": TOKENS, "noise": options.noise, "prompts": rows, "wrong": len(wrong)}, indent=2))
    if wrong:
        sys.exit("\n".join([f"{options.model}: {len(wrong)} of {len(rows)} greedy texts part from llama.cpp's where rounding does not explain it", *(f"  {told(row, options.noise)}" for row in wrong)]))


if __name__ == "__main__":
    main()
