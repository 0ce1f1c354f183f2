"""Whether neuronlab writes what llama.cpp writes: greedy tokens of a few prompts, one by one.

    python parity.py --model model-f32.gguf --prompts held-out.txt --program bin/neuronlab.js [--noise 0.001]

Where a token differs, the two logits that llama.cpp had to choose between are told apart by `margin`: below its own noise (batched or one
by one, some 1e-4 in F32; in Q8_0 and Q4_0 both programs round activations to eight bits, each in its way, which moves logits by
hundredths) either is right. Exits with 1 where one differs by more. Prints one JSON object.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

TOKENS = 48


def paragraphs(text: str, count: int) -> list[str]:
    """The first words of paragraphs spread over a text."""
    long = [part for part in text.split("\n\n") if len(part) > 300]
    return [long[place * len(long) // count][:80].rsplit(" ", 1)[0] for place in range(count)]


def ours(program: str, model: str, prompt: str) -> list[int]:
    words = ["node", program, "generate", "--model", model, "--prompt", prompt, "--tokens", str(TOKENS), "--ignore-end", "--ffn", "dense", "--format", "json"]
    return json.loads(subprocess.run(words, capture_output=True, check=True).stdout)["tokens"]


def theirs(programs: dict, model: str, prompt: str) -> tuple[list[int], list[float]]:
    said = subprocess.run([programs["llama-tokenize"], "-m", model, "-p", prompt, "--ids", "--log-disable"], capture_output=True, check=True, text=True).stdout
    ids = json.loads(said.strip().splitlines()[-1])
    words = [programs["reference"], "--model", model, "--tokens", ",".join(map(str, ids)), "--greedy", str(TOKENS)]
    found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return found["tokens"], found["margins"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--noise", type=float, default=1e-3, help="of logits")
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()
    build = Path(options.program).resolve().parent.parent / "engine/rivals/llama.cpp/build.mjs"
    programs = json.loads(subprocess.run(["node", build, "--check"], capture_output=True, check=True).stdout)["default"]
    rows = []
    for prompt in paragraphs(options.prompts.read_text(encoding="utf-8"), options.count):
        tokens, (wanted, margins) = ours(options.program, options.model, prompt), theirs(programs, options.model, prompt)
        same = next((place for place, pair in enumerate(zip(tokens, wanted)) if pair[0] != pair[1]), TOKENS)
        rows.append({"prompt": prompt, "same": same, "margin": None if same == TOKENS else margins[same]})
    wrong = [row for row in rows if row["margin"] is not None and row["margin"] > options.noise]
    print(json.dumps({"tokens": TOKENS, "noise": options.noise, "prompts": rows, "wrong": len(wrong)}, indent=2))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
