"""Which predictor is shipped, and what each costs.

    python operating_point.py --folder MADE

Reads predicted-RECALL.json and predicted-none.json, which ship.sh wrote of the recalls that predictors.json lists. The rule: among the
predictors whose cost, two standard errors added, is at most 1 % of perplexity, the one that computes the least share of the neurons;
where none is that good, the one that costs least. The cost is counted on the first windows of the text held out; what the chosen one costs on the others, which had no
say, is told beside it. Prints one JSON object, and says which part of the rule chose.
"""

import argparse
import json
from pathlib import Path

from paired import cost

MOST_COST = 0.01


def choose(rows: list[dict]) -> tuple[dict, str]:
    """Rows have `predicted` (share of neurons), `cost` (of perplexity) and its standard `error`."""
    good = [row for row in rows if row["cost"] + 2 * row["error"] <= MOST_COST]
    if good:
        return min(good, key=lambda row: (row["predicted"], row["cost"])), f"least neurons at a cost, two standard errors added, of at most {MOST_COST:.0%}"
    return min(rows, key=lambda row: (row["cost"], row["predicted"])), f"none costs at most {MOST_COST:.0%}: the cheapest"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    read = lambda path: json.loads(path.read_text(encoding="utf-8"))
    lossless = read(options.folder / "predicted-none.json")
    rows = []
    for asked in read(options.folder / "predictors.json"):
        found = read(options.folder / f"predicted-{asked}.json")
        fitted = read(options.folder / f"train-predictor-{asked}.json")
        rows.append(
            {
                "asked": int(asked),
                "predicted": found["predicted"],
                "recall": found["recall"],
                "falsePositives": fitted["overall"].get("falsePositives"),
                "perplexity": found["perplexity"],
                **cost(found["windowLosses"], lossless["windowLosses"]),
            }
        )
    chosen, rule = choose(rows)
    print(json.dumps({"lossless": lossless["perplexity"], "windows": lossless["windows"], "rows": rows, "chosen": chosen["asked"], "rule": rule}, indent=2))


if __name__ == "__main__":
    main()
