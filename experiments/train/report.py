"""results/training: what was trained, how good it is and what fires in it, every number from files that recipe.sh and measure.sh wrote.

    python report.py --work WORK --out ../../results/training --models mixture-sparse dense-sparse drelu-sparse

Writes OUT/RUN.json and OUT/RUN.log.jsonl for every run, and OUT/README.md. `--models` have been through measure.sh. `--branches` are those that were
trained only to see what a strength costs, and evaluated.
"""

import argparse
import json
import os
import platform
import re
import statistics
from datetime import UTC, datetime
from pathlib import Path

import torch

from half_memory import told as half_told
from paired import cost, over_seeds, told
from provenance import on_the_others, percent, read, table

TITLES = {"mixture": "mixture of experts", "dense": "dense, ReLU(gate) · up", "drelu": "dense, ReLU(gate) · ReLU(up) (dReLU)"}


def shape_of(run: str) -> str:
    return run.split("-")[0]


def collected(work: Path, run: str) -> dict:
    """All that is known of one run; what was not measured is left out."""
    folder, made = work / "runs" / run, work / "ship" / run
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    words, data = state["options"], read(work / "data/data.json")
    tokens = state["step"] * words["windows"] * words["parts"] * state["shape"]["context"]
    found = {
        "run": run,
        "strength": words["strength"],
        "options": {key: words[key] for key in ("seed", "rate", "windows", "parts", "hold", "decay", "products") if key in words},
        "step": state["step"],
        "branchedAt": state["begin"],
        "tokens": tokens,
        "hours": round(sum(hours(lines, steps * tokens / state["step"]) for lines, steps in ((log_of(work, shape_of(run), state["begin"]), state["begin"]), (log_of(work, run, state["step"]), state["step"] - state["begin"]))), 2),
        "epochs": round(tokens / data["trainTokens"], 3),
        "measured": measured_on(made / "evaluation.json" if (made / "evaluation.json").exists() else folder / "evaluation.json"),
        "parameters": sum(tensor.numel() for tensor in state["model"].values()),
        "shape": state["shape"],
        "evaluation": read(folder / "evaluation.json") if words["strength"] == 0 else read(made / "evaluation.json") or read(folder / "evaluation.json"),
    }
    point = read(made / "operating-point.json")
    if point is not None and (made / "chosen.json").exists():
        found["predictors"] = point | {"onTheOtherWindows": on_the_others(made, point["windows"])}
    if found["evaluation"]["step"] != state["step"]:
        raise SystemExit(f"{run}: evaluated at step {found['evaluation']['step']}, and stands at {state['step']}: evaluate it again")
    pytorch, half = read(made / "pytorch.json"), read(made / "half-memory.json")
    formats, parity = ({form: read(made / f"{what}-{form}.json") for form in ("f32", "q8_0", "q4_0")} for what in ("perplexity", "parity"))
    if pytorch is not None:
        found["pytorch"] = {key: pytorch[key] for key in ("perplexity", "standardError", "windows", "scored")}
    kept = lambda one: {key: one[key] for key in ("perplexity", "standardError", "windows", "scored", "difference", "gap", "labels") if key in one} | ({"llamaCpp": one["llamaCpp"]} if "llamaCpp" in one else {})
    if all(formats.values()):
        found["formats"] = {form: kept(one) for form, one in formats.items()}
    return found | ({"halfMemory": half} if half else {}) | ({"parity": parity} if all(parity.values()) else {})


def measured_on(file: Path) -> str:
    """When a file was written, and this machine's processor."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE) if Path("/proc/cpuinfo").exists() else []
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{datetime.fromtimestamp(file.stat().st_mtime, UTC):%Y-%m-%d}, {processor}, {os.cpu_count()} cores"


def log_of(work: Path, run: str, until: int) -> list[dict]:
    lines = (json.loads(line) for line in (work / "runs" / run / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["step"] <= until]


def hours(log: list[dict], tokens: float) -> float:
    """How long so many tokens take at the log's middle speed: stops, and hours in which the machine did something else, are no training."""
    return tokens / statistics.median(line["tokensPerSecond"] for line in log if "tokensPerSecond" in line) / 3600


def over_windows(evaluation: dict) -> float:
    """Standard error of a perplexity over windows: the tokens of one window are of one scene, and say less than as many of different ones."""
    losses = evaluation["windowLosses"]
    return evaluation["perplexity"] * statistics.stdev(losses) / len(losses) ** 0.5


def whole(model: dict) -> list[str]:
    evaluation = model["evaluation"]
    return [
        f"[`{model['run']}`]({model['run']}.json)",
        TITLES[shape_of(model["run"])],
        f"{model['parameters'] / 1e6:.1f} M",
        f"{model['step']} ({model['branchedAt']} at the stable rate)",
        f"{model['tokens'] / 1e6:.1f} M, {model['epochs']:.2f} epochs",
        f"{model['hours']:.1f} h",
        f"{model['strength']:g}",
        f"{evaluation['perplexity']:.2f} ± {over_windows(evaluation):.2f}",
        percent(evaluation["activeShare"]),
    ]


def by_format(model: dict) -> list[list[str]]:
    pytorch = model["pytorch"]["perplexity"]
    parity, half = model.get("parity"), model["halfMemory"]
    rows = []
    for form, one in model["formats"].items():
        theirs = one.get("llamaCpp")
        rows.append([
            f"`{model['run']}`", form, f"{one['perplexity']:.4f}",
            f"{pytorch:.4f}" if form == "f32" else "--",
            f"{theirs['perplexity']:.4f}" if theirs else "has no dReLU" if shape_of(model["run"]) == "drelu" else f"failed: {one.get('gap')}",
            percent(one["difference"], 3) if theirs else "--",
            greedy(parity[form]) if parity else "--",
            half_told(half) if form == "q8_0" else "--",
        ])
    return rows


def greedy(parity: dict) -> str:
    """Of the continuations that are not llama.cpp's: by how much it preferred its own token where they part."""
    others = [row["margin"] for row in parity["prompts"] if row["margin"] is not None]
    same = f"{len(parity['prompts']) - len(others)} of {len(parity['prompts'])}"
    margins = f" (margins {', '.join(f'{margin:.4f}' for margin in sorted(others))})" if others else ""
    return f"{same}{margins}; {sum(row['itself'] == parity['tokens'] for row in parity['prompts'])}"


def by_layer(models: list[dict], of) -> list[list[str]]:
    return [[f"`{model['run']}`", *(of(layer) for layer in model["evaluation"]["layers"])] for model in models]


def branch_rows(groups: list[list[dict]]) -> list[list[str]]:
    rows = []
    for group in groups:
        plain = next((one for one in group if one["strength"] == 0), None)
        for one in sorted(group, key=lambda each: each["strength"]):
            evaluation = one["evaluation"]
            rows.append([
                f"[`{one['run']}`]({one['run']}.json)", f"{one['branchedAt']} + {one['step'] - one['branchedAt']}", f"{one['strength']:g}",
                f"{evaluation['perplexity']:.2f}", "--" if plain is None or one is plain else told(cost(evaluation["windowLosses"], plain["evaluation"]["windowLosses"])), percent(evaluation["activeShare"]),
                ", ".join(f"{100 * layer['activeShare']:.0f}" for layer in evaluation["layers"]) + " %",
            ])
    return rows


def twins(runs: list[dict]) -> list[list[dict]]:
    """Runs that differ in nothing but the term's strength, where there is more than one."""
    groups = {}
    for one in runs:
        groups.setdefault(json.dumps([one["shape"], one["branchedAt"], one["step"], one["options"]], sort_keys=True), []).append(one)
    return [group for group in groups.values() if len(group) > 1]


def seed_rows(groups: list[list[dict]]) -> list[list[str]]:
    """What a strength costs by seed, where twins were trained with more than one and with nothing else between them."""
    compared = {}
    for group in groups:
        plain = next((one for one in group if one["strength"] == 0), None)
        for one in group if plain is not None else []:
            options = {key: value for key, value in one["options"].items() if key != "seed"}
            alike = json.dumps([one["shape"], one["branchedAt"], one["step"], one["strength"], options], sort_keys=True)
            if one is not plain:
                compared.setdefault(alike, []).append((one["options"]["seed"], one, plain, cost(one["evaluation"]["windowLosses"], plain["evaluation"]["windowLosses"])))
    rows = []
    for several in (sorted(each, key=lambda found: found[0]) for each in compared.values() if len(each) > 1):
        runs, plains = ([found[place] for found in several] for place in (1, 2))
        active = lambda branches: ", ".join(f"{100 * branch['evaluation']['activeShare']:.1f}" for branch in branches) + " %"
        rows.append([f"`{runs[0]['run']}`", f"{runs[0]['strength']:g}", ", ".join(str(found[0]) for found in several), "; ".join(told(found[3]) for found in several), f"**{told(over_seeds([found[3]['cost'] for found in several]))}**", active(runs), active(plains)])
    return rows


def seeds_told(rows: list[list[str]]) -> str:
    if not rows:
        return "Every branch was trained once, with one seed: how far two seeds lie apart is not known."
    return f"""A branch's seed says in which order it reads the text; the run that it branches off is the same one, of seed 1. A branch of another seed reads some windows again that the run has just read and leaves others out, which may be why it ends
at a higher perplexity, its twin with it. Over the seeds, ± of the mean being its standard error over them:

{table(["branch", "strength", "seeds", "cost by seed", "mean", "active neurons by seed", "without the term"], rows)}

Where one seed was trained, how far two lie apart is not known."""


def keeping_rows(models: list[dict]) -> list[list[str]]:
    """What perplexity would cost by share of neurons kept, against the model's own with all of them."""
    return [[f"`{model['run']}`", *(f"{100 * (kept['perplexity'] / model['evaluation']['perplexity'] - 1):+.2f} %" for kept in model["evaluation"]["kept"])] for model in models]


def expert_rows(models: list[dict]) -> list[list[str]]:
    """Layer by layer of those that have experts; by popularity alone: if no token knew of the one before."""
    mixtures = [model for model in models if model["shape"]["experts"] > 1]
    return [
        [f"`{model['run']}`", str(place), f"{layer['expertRepeat']:.3f}", f"{model['shape']['experts_used'] * sum(use * use for use in layer['expertUse']):.3f}", f"{min(layer['expertUse']):.3f} to {max(layer['expertUse']):.3f}"]
        for model in mixtures
        for place, layer in enumerate(model["evaluation"]["layers"])
    ]


def page(models: list[dict], branches: list[dict]) -> str:
    first = models[0]
    numbered = [str(place) for place in range(first["shape"]["layers"])]
    overlap = lambda layer: "--" if layer["tokenOverlap"] is None else f"{layer['tokenOverlap']:.3f}"
    several = twins([*models, *branches])
    shares = [kept["share"] for kept in first["evaluation"]["kept"]]
    return f"""# What was trained

Written by [experiments/train](../../experiments/train/README.md)/report.py; do not edit. {first['evaluation']['scored']} tokens of the novel held out are scored ({first['evaluation']['windows']} windows of 512, evenly spread, the second half of each), in float32; ± is the
standard error over windows. `*.log.jsonl` are the logs, a line every twenty steps, of the branches and of the runs that they branched off (`mixture`, `dense`, `drelu`).

{table(["run", "model", "parameters", "steps", "tokens", "hours, at its logs' middle speeds", "sparsity term", "perplexity", "active neurons"], [whole(model) for model in models])}

## What the sparsity term costs

Branches off the same step of one run, of the same data in the same order, that differ in nothing but the term's strength, scored on the same windows; ± is the standard error of the difference over windows.

{table(["branch", "steps: stable + branch", "strength", "perplexity", "cost", "active neurons", "by layer"], branch_rows(several))}

{seeds_told(seed_rows(several))}

## Files against PyTorch and llama.cpp

All {first['pytorch']['windows']} windows of the text held out, by `neuronlab perplexity --ffn dense --vs llama.cpp` (weights as the file has them; llama.cpp's llama-perplexity beside it) and by PyTorch in float32; greedy continuations of {first['parity']['f32']['tokens']} tokens that are llama.cpp's to the last, keys and values in F32 in both programs, and behind the semicolon those in which llama.cpp
agrees with itself when it keeps them in F16, its default; and whether
{first['halfMemory']['tokens']} drawn tokens with half of the FFNs in memory are those with all of them (Q8_0, packed without requantising; reads are of whole pages, and neurons so small do not fill theirs: padding is {', '.join(f"{percent(model['halfMemory']['padding'], 0)} of `{model['run']}`'s packed FFNs" for model in models)}).

{table(["run", "format", "neuronlab", "PyTorch", "llama.cpp", "difference from llama.cpp", "greedy texts the same", "half of the FFNs in memory"], [row for model in models for row in by_format(model)])}

## What fires

Share of the neurons of the experts in use that a token activates, by layer:

{table(["run", *numbered], by_layer(models, lambda layer: percent(layer["activeShare"])))}

Share of a layer's activations that its hottest 10 % of neurons have:

{table(["run", *numbered], by_layer(models, lambda layer: percent(layer["hottestCarry"]["0.1"])))}

Token-to-token overlap: of the chance that its own rate leaves, how much a neuron gains that fired for the token before, (again − rate) / (1 − rate):

{table(["run", *numbered], by_layer(models, overlap))}

Experts: how often one that the last token used is used again, how often popularity alone would bring it back, and the least and greatest share of a layer's uses that one has:

{table(["run", "layer", "used again", "by popularity alone", "use of an expert"], expert_rows(models))}

## By share of neurons kept

What perplexity would cost if of each expert in use only so many of its neurons were computed, each token's strongest (by the length of what each adds to the stream), equally many of every token and expert. What
trained predictors reach stands in [models/novels](../../models/novels/README.md).

{table(["run", *(percent(share, 0) for share in shares)], keeping_rows(models))}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--branches", nargs="*", default=[])
    options = parser.parse_args()
    models, branches = ([collected(options.work, run) for run in runs] for runs in (options.models, options.branches))
    options.out.mkdir(parents=True, exist_ok=True)
    for parent in sorted({shape_of(one["run"]) for one in [*models, *branches]}):
        (options.out / f"{parent}.log.jsonl").write_text((options.work / "runs" / parent / "log.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    for one in [*models, *branches]:
        (options.out / f"{one['run']}.json").write_text(json.dumps(one, indent=2) + "\n", encoding="utf-8")
        (options.out / f"{one['run']}.log.jsonl").write_text((options.work / "runs" / one["run"] / "log.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    (options.out / "README.md").write_text(page(models, branches), encoding="utf-8")


if __name__ == "__main__":
    main()
