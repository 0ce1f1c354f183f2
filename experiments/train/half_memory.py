"""Whether a model writes the same text with half of its FFNs in memory as with all of them.

    python half_memory.py --model model.gguf --packed model.flash --pack pack.json --program bin/neuronlab.js

Half is of the bytes that the GGUF file has FFNs of, however much larger the packed file keeps them. Words are drawn: greedy text of a small model goes in
circles, in which a wrong logit seldom shows. Prints one JSON object. Exits with 1 where a token differs, or where this would show nothing: weights that were
requantised, more than half of them held, nothing read while generating.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from parity import printed

PROMPTS = ("It was a fine morning, and the whole party", "The door was opened by an old man, who", "My dear sister, I have")
TOKENS = 200


def generate(program: str, packed: str, prompt: int, *more: str) -> dict:
    drawn = ["--temperature", "0.8", "--seed", str(prompt + 1)]
    words = ["node", program, "generate", "--model", packed, "--prompt", PROMPTS[prompt], "--tokens", str(TOKENS), "--ignore-end", *drawn, "--format", "json", *more]
    return json.loads(printed(words))


def is_shown(found: dict) -> bool:
    """Whether the text is the same, and that says something."""
    return found["same"] and found["labels"] == ["lossless"] and 2 * found["held"] <= found["ffnBytes"] and found["bytesReadPerToken"] > 0


def told(found: dict) -> str:
    """Of a page."""
    if not is_shown(found):
        return "NOT shown" if found["same"] else "NOT the same"
    return f"the same, {found['bytesReadPerToken'] / 1e6:.2f} MB a token read"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--packed", required=True)
    parser.add_argument("--pack", type=Path, required=True, help="what `neuronlab pack --format json` printed of it")
    parser.add_argument("--program", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record, plan = Path(folder) / "run.json", Path(folder) / "plan.json"
        in_file = generate(options.program, options.model, 0, "--ffn", "dense")["memory"]["ffnBytes"]
        wholes = [generate(options.program, options.packed, prompt, "--memory", "4GB", "--save", str(record)) for prompt in range(len(PROMPTS))]
        planned = json.loads(record.read_text(encoding="utf-8"))["plan"]
        for segment in ("hot", "cold"):
            planned["cache"][segment] = f"{in_file // 4}B"
        plan.write_text(json.dumps(planned), encoding="utf-8")
        halves = [generate(options.program, options.packed, prompt, "--plan", str(plan)) for prompt in range(len(PROMPTS))]
    packed = json.loads(options.pack.read_text(encoding="utf-8"))
    found = {
        "tokens": TOKENS * len(PROMPTS),
        "distinct": len({token for half in halves for token in half["tokens"]}),
        "ffnBytes": in_file,
        "packedBytes": packed["payloadBytes"],
        "padding": packed["padding"],
        "held": max(half["memory"]["hot"] + half["memory"]["cold"] for half in halves),
        "bytesReadPerToken": sum(half["bytesReadPerToken"] for half in halves) / len(halves),
        "same": all(half["tokens"] == whole["tokens"] for half, whole in zip(halves, wholes)),
        "labels": sorted({label for half in halves for label in half["labels"]}),
    }
    print(json.dumps(found, indent=2))
    sys.exit(0 if is_shown(found) else 1)


if __name__ == "__main__":
    main()
