"""Which predictor is shipped, and what each costs.

    python operating_point.py --folder MADE

Reads predicted-RECALL.json and predicted-none.json, which ship.sh wrote. The rule: among the predictors under which the held-out text
has a perplexity at most 1 % above that of the true gates, the one that computes the least share of the neurons; where none is that
good, the one that costs least. Prints one JSON object, and says which part of the rule chose.
"""

import argparse
import json
from pathlib import Path

MOST_COST = 0.01


def choose(rows: list[dict]) -> tuple[dict, str]:
    """Rows have `predicted` (share of neurons) and `cost` (of perplexity)."""
    good = [row for row in rows if row["cost"] <= MOST_COST]
    if good:
        return min(good, key=lambda row: (row["predicted"], row["cost"])), f"least neurons at a cost of at most {MOST_COST:.0%}"
    return min(rows, key=lambda row: (row["cost"], row["predicted"])), f"none costs at most {MOST_COST:.0%}: the cheapest"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    read = lambda path: json.loads(path.read_text(encoding="utf-8"))
    lossless = read(options.folder / "predicted-none.json")["perplexity"]
    rows = []
    for path in sorted(options.folder.glob("predicted-[0-9]*.json")):
        found = read(path)
        asked = path.stem.split("-")[1]
        fitted = read(options.folder / f"train-predictor-{asked}.json")
        rows.append(
            {
                "asked": int(asked),
                "predicted": found["predicted"],
                "recall": found["recall"],
                "falsePositives": fitted["overall"].get("falsePositives"),
                "perplexity": found["perplexity"],
                "cost": found["perplexity"] / lossless - 1,
            }
        )
    if not rows:
        raise SystemExit(f"--folder: {options.folder} has no predicted-*.json")
    chosen, rule = choose(rows)
    print(json.dumps({"lossless": lossless, "rows": rows, "chosen": chosen["asked"], "rule": rule}, indent=2))


if __name__ == "__main__":
    main()
