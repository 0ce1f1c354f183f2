"""Whether a packed model writes the same text with half of its FFNs in memory as with all of them.

    python half_memory.py --packed model.flash --program bin/neuronlab.js

The limit is what the process needs besides, and half of the FFNs. Exits with 1 where a token differs. Prints one JSON object.
"""

import argparse
import json
import subprocess
import sys

PROMPT = "It was a fine morning, and the whole party"
TOKENS = 200


def generate(program: str, packed: str, *more: str) -> dict:
    words = ["node", program, "generate", "--model", packed, "--prompt", PROMPT, "--tokens", str(TOKENS), "--ignore-end", "--format", "json", *more]
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: exit code {ended.returncode}: {ended.stderr.strip()}")
    return json.loads(ended.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packed", required=True)
    parser.add_argument("--program", required=True)
    options = parser.parse_args()
    whole = generate(options.program, options.packed, "--memory", "4GB")
    memory = whole["memory"]
    fixed = sum(part["bytes"] for part in memory["fixed"])
    half = generate(options.program, options.packed, "--memory", f"{fixed + memory['ffnBytes'] // 2}B")
    found = {
        "tokens": TOKENS,
        "ffnBytes": memory["ffnBytes"],
        "limit": fixed + memory["ffnBytes"] // 2,
        "held": half["memory"]["ffnBytes"],
        "bytesReadPerToken": half["bytesReadPerToken"],
        "same": half["tokens"] == whole["tokens"],
        "labels": half["labels"],
    }
    print(json.dumps(found, indent=2))
    sys.exit(0 if found["same"] else 1)


if __name__ == "__main__":
    main()
