"""The page beside a shipped model: what it was made from and how good it is, every number from the files that ship.sh wrote.

    python provenance.py --work WORK --run RUN --made MADE --model FILE [--about WORDS] [--licence WORDS]
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch

from half_memory import told as half_told
from paired import cost, over_seeds, told


def read(path: Path) -> dict | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def percent(share: float | None, digits: int = 1) -> str:
    return "--" if share is None else f"{100 * share:.{digits}f} %"


def table(titles: list[str], rows: list[list[str]]) -> str:
    line = lambda cells: f"| {' | '.join(cells)} |"
    return "\n".join([line(titles), line(["---"] * len(titles)), *map(line, rows)])


def options_of(work: Path, run: str) -> dict | None:
    """What a run was started with, but for its name and its strength; with the step it branched at and the one it stands at. Folders by their names: how a path was typed says nothing."""
    path = work / "runs" / run / "checkpoint.pt"
    if not path.exists():
        return None
    state = torch.load(path, weights_only=True)
    options = {key: value for key, value in state["options"].items() if key not in ("run", "strength")}
    folders = {"data": Path(options.get("data") or "").name, "branch": Path(options.get("branch") or "").parent.name}
    return {**options, **folders, "begin": state["begin"], "step": state["step"], "shape": state["shape"]}


def cost_of_sparsity(work: Path, run: str, own: dict) -> str:
    """Against the branch without the sparsity term, if one was trained with the same options from the same step to the same step and scored on the same windows."""
    unknown = "No branch without the sparsity term has been trained alike, so what sparsity costs is not known."
    other = run.replace("-sparse", "-plain")
    plain = read(work / "runs" / other / "evaluation.json")
    if other == run or plain is None or "windowLosses" not in plain or plain["windows"] != own["windows"] or options_of(work, run) != options_of(work, other):
        return unknown
    if torch.load(work / "runs" / other / "checkpoint.pt", weights_only=True)["options"]["strength"] != 0:
        return unknown
    costs = [cost(own["windowLosses"], plain["windowLosses"]), *costs_of_other_seeds(work, run, own["windows"])]
    seeds = "one seed was trained" if len(costs) == 1 else f"twins of {len(costs) - 1} other seed{'s' if len(costs) > 2 else ''} cost {' and '.join(told(one) for one in costs[1:])}: in the mean {told(over_seeds([one['cost'] for one in costs]))}, the error over seeds"
    return f"Without the sparsity term, all else the same, {percent(plain['activeShare'])} of the neurons are active instead of {percent(own['activeShare'])}, at a perplexity of {plain['perplexity']:.2f} instead of {own['perplexity']:.2f}: **{told(costs[0])}** ({own['windows']} windows in float32; the error is over windows; {seeds})."


def costs_of_other_seeds(work: Path, run: str, windows: int) -> list[dict]:
    """Of the twins that recipe.sh trained with further seeds, all else as in RUN: RUN-seed2 and its plain one, and so on, scored on as many windows."""
    but_seed = lambda name: {key: value for key, value in (options_of(work, name) or {}).items() if key != "seed"}
    costs = []
    for name in sorted(folder.name for folder in (work / "runs").glob(f"{run}-seed*")):
        twin = name.replace("-sparse", "-plain")
        sparse, plain = (read(work / "runs" / one / "evaluation.json") for one in (name, twin))
        if sparse is not None and plain is not None and sparse["windows"] == plain["windows"] == windows and but_seed(run) == but_seed(name) == but_seed(twin):
            costs.append(cost(sparse["windowLosses"], plain["windowLosses"]))
    return costs


def perplexities(made: Path) -> str:
    rows = []
    for form in ("f32", "q8_0", "q4_0"):
        found = read(made / f"perplexity-{form}.json")
        theirs = found.get("llamaCpp")
        rows.append([form, f"{found['perplexity']:.4f} ± {found['standardError']:.4f}", f"{theirs['perplexity']:.4f}" if theirs else f"none: {found.get('gap', 'not asked')}", percent(found.get("difference"), 3) if theirs else "--"])
    return table(["format", "neuronlab", "llama.cpp", "difference"], rows)


def layers(evaluation: dict) -> str:
    rows = [
        [str(place), percent(layer["activeShare"]), percent(layer["hottestCarry"]["0.1"]), f"{layer['tokenOverlap']:.3f}" if layer["tokenOverlap"] is not None else "--", f"{layer['expertRepeat']:.3f}", f"{min(layer['expertUse']):.3f} to {max(layer['expertUse']):.3f}", str(layer["neverFired"])]
        for place, layer in enumerate(evaluation["layers"])
    ]
    return table(["layer", "active", "of the activations, the hottest 10 % have", "token-to-token overlap", "an expert is used again", "use of an expert", "neurons that never fired"], rows)


def predictors(point: dict) -> str:
    rows = [[f"{row['asked']} %", percent(row["recall"]), percent(row["falsePositives"]), percent(row["predicted"]), f"{row['perplexity']:.3f}", told(row), "shipped" if row["asked"] == point["chosen"] else ""] for row in point["rows"]]
    return table(["recall asked for", "recall found", "false positives", "neurons computed", "perplexity", "cost", ""], rows)


def on_the_others(made: Path, chosen_on: int) -> dict | None:
    """What the chosen predictor costs on the windows that had no say in choosing it; None where fewer than two are left."""
    chosen, without = (read(made / f"{name}.json")["windowLosses"][chosen_on:] for name in ("chosen", "chosen-none"))
    return cost(chosen, without) if len(chosen) > 1 else None


def confirmed(made: Path, chosen_on: int) -> str:
    found = on_the_others(made, chosen_on)
    begin = f"Chosen on the first {chosen_on} windows, for which the table stands (± is the standard error over windows; false positives are of the predictor's own training text, held out there)."
    if found is None:
        return f"{begin} The text has no others, so the choice is not confirmed."
    return f"{begin} On the other {found['windows']} windows it costs **{told(found)}**, with {percent(read(made / 'chosen.json')['predicted'])} of the neurons computed over all of them."


def greedy(made: Path) -> str:
    if not (made / "parity-f32.json").exists():
        return "llama.cpp does not run this architecture."
    rows = []
    for form in ("f32", "q8_0", "q4_0"):
        parity = read(made / f"parity-{form}.json")
        rows.append([form, f"{sum(row['same'] == parity['tokens'] for row in parity['prompts'])} of {len(parity['prompts'])}", f"{sum(row['itself'] == parity['tokens'] for row in parity['prompts'])} of {len(parity['prompts'])}"])
    return table(["format", "neuronlab and llama.cpp, keys and values in F32", "llama.cpp and itself, in F32 and in F16"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--made", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--about", default="texts of your own", help="what it was trained on")
    parser.add_argument("--licence", default="whatever the texts allow", help="of the weights")
    options = parser.parse_args()
    made = options.made
    data, evaluation, half, record, point = (read(path) for path in (options.work / "data/data.json", made / "evaluation.json", made / "half-memory.json", made / "record.json", made / "operating-point.json"))
    state = torch.load(options.work / "runs" / options.run / "checkpoint.pt", weights_only=True)
    shape, words = state["shape"], state["options"]
    tokens = state["step"] * words["windows"] * words["parts"] * shape["context"]
    parameters = sum(tensor.numel() for tensor in state["model"].values())
    digest = hashlib.sha256(options.model.read_bytes()).hexdigest()
    statistics = record["statistics"]
    print(f"""# {options.model.stem.rsplit('-', 1)[0]}

A small language model with ReLU-gated neurons, trained by neuronlab's experiments/train on {options.about}. It writes in their manner and knows nothing.

| | |
|---|---|
| architecture | {shape['architecture']}: {shape['layers']} layers, hidden {shape['hidden']}, {shape['experts']} experts of {shape['neurons']} neurons, {shape['experts_used']} used; {parameters / 1e6:.1f} M parameters |
| file | {options.model.stat().st_size} bytes, SHA-256 `{digest}` |
| trained on | {data['trainTokens']} tokens ({data['trainBytes']} bytes); {data['heldOut']} held out |
| training | {state['step']} steps, {tokens} tokens ({tokens / data['trainTokens']:.1f} epochs); sparsity term {words['strength']} |
| licence | {options.licence} |

## Perplexity on the text held out

{read(made / 'perplexity-f32.json')['windows']} windows of 512 tokens of the text as prepare.py writes it to WORK/data/held-out.txt (one kind of quotes, lines of prose joined), the second half of each scored (`neuronlab perplexity --ffn dense --vs llama.cpp`: weights as the file has them, keys and values in F16 in both programs).

{perplexities(made)}

{cost_of_sparsity(options.work, options.run, evaluation)}

Greedy continuations of 48 tokens that are the same to the last, of eight beginnings of paragraphs (`generate` with `--ffn dense --kv f32`; by default both programs keep keys and values in F16,
which llama.cpp alone rounds queries to as well: enough to part where two words are nearly as likely):

{greedy(made)}

Half of the FFNs in memory, packed without requantising (`pack` with `--down f32`; {', '.join(half['labels'])}): {half['tokens']} drawn tokens with {half['held']} bytes of them held, where the file above has {half['ffnBytes']} and the packed one {half['packedBytes']}, beside as many of
the same packed file with all of them: **{half_told(half)}**. Reads are of whole pages, and neurons so small do not fill theirs: {percent(half['padding'], 0)} of the packed FFNs is padding.

## What fires

{layers(evaluation)}

`{options.made.name}`'s trace: {record['tokens']} tokens of the text held out, {record['bytes']} bytes; active {percent(statistics['activeShare'])}, overlap {statistics['tokenOverlap']:.3f}, a token varies by {percent(statistics['tokenVariation'])}, an expert is used again with
probability {statistics['expertRepeat']:.3f}.

## Predictors

Perplexity with the true gates over the same windows, FFNs computed sparsely like under a predictor (down in rows, which requantises a Q8_0 file's): {point['lossless']:.3f}. The rule: {point['rule']}.

{predictors(point)}

{confirmed(made, point['windows'])}
""")


if __name__ == "__main__":
    main()
