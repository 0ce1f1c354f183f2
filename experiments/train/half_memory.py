"""Whether a model writes the same text with half of its FFNs in memory as with all of them.

    python half_memory.py --model model.gguf --packed model.flash --program bin/neuronlab.js

Half is of the bytes that the GGUF file has FFNs of, however much larger the packed file keeps them. Prints one JSON object. Exits with 1 where a token
differs, or where this would show nothing: weights that were requantised, more than half of them held, nothing read while generating.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PROMPT = "It was a fine morning, and the whole party"
TOKENS = 200


def generate(program: str, packed: str, *more: str) -> dict:
    words = ["node", program, "generate", "--model", packed, "--prompt", PROMPT, "--tokens", str(TOKENS), "--ignore-end", "--format", "json", *more]
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: exit code {ended.returncode}: {ended.stderr.strip()}")
    return json.loads(ended.stdout)


def is_shown(found: dict) -> bool:
    return found["same"] and found["labels"] == ["lossless"] and 2 * found["held"] <= found["ffnBytes"] and found["bytesReadPerToken"] > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--packed", required=True)
    parser.add_argument("--program", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record, plan = Path(folder) / "run.json", Path(folder) / "plan.json"
        in_file = generate(options.program, options.model, "--ffn", "dense")["memory"]["ffnBytes"]
        whole = generate(options.program, options.packed, "--memory", "4GB", "--save", str(record))
        planned = json.loads(record.read_text(encoding="utf-8"))["plan"]
        for segment in ("hot", "cold"):
            planned["cache"][segment] = f"{in_file // 4}B"
        plan.write_text(json.dumps(planned), encoding="utf-8")
        half = generate(options.program, options.packed, "--plan", str(plan))
    memory = half["memory"]
    found = {
        "tokens": TOKENS,
        "ffnBytes": in_file,
        "packedBytes": whole["memory"]["hot"] + whole["memory"]["cold"],
        "held": memory["hot"] + memory["cold"],
        "bytesReadPerToken": half["bytesReadPerToken"],
        "same": half["tokens"] == whole["tokens"],
        "labels": half["labels"],
    }
    print(json.dumps(found, indent=2))
    sys.exit(0 if is_shown(found) else 1)


if __name__ == "__main__":
    main()
