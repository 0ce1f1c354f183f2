"""How good a checkpoint is on the text held out, and what fires in it.

    python evaluate.py --data DATA --checkpoint RUN/checkpoint.pt [--windows 64 | --first 64] [--keep 0.05 0.1]

Perplexity is counted as llama-perplexity counts it: windows of 512 tokens, the second half of each scored. What fires is counted over
whole windows, with the definitions of sim/neurons/trace-statistics.ts, except that the hottest neurons are found and counted in the
same text: `neuronlab record` is the finer instrument, and this one needs no engine. --keep asks what the perplexity would be if only that share of an
expert's neurons were computed, each token's strongest (by the length of what each adds to the stream), equally many of each token and expert. All in float32,
whatever the model was trained with. Prints one JSON object.
"""

import argparse
import json
import math
from pathlib import Path

import torch

from data import held_out
from model import Model, Shape
from precision import use

SHARES = (0.01, 0.05, 0.1, 0.2, 0.26, 0.5)


class LayerCounts:
    """What fired in one layer."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.uses = torch.zeros(shape.experts)
        self.fired = torch.zeros(shape.experts, shape.neurons)
        self.repeats = self.pairs = 0
        self.again = self.before = 0.0
        self.before_by_neuron = torch.zeros(shape.experts, shape.neurons)

    def add(self, chosen: torch.Tensor, fired: torch.Tensor) -> None:
        """One window: chosen [length, used], fired [length * used, neurons] ordered by expert and then by token."""
        length, used = chosen.shape
        order = torch.argsort(chosen.flatten(), stable=True)
        experts = chosen.flatten()[order]
        by_token = torch.zeros(length, self.shape.experts, self.shape.neurons, dtype=torch.bool)
        by_token[order // used, experts] = fired
        in_use = torch.zeros(length, self.shape.experts, dtype=torch.bool)
        in_use[order // used, experts] = True
        self.uses += in_use.sum(0)
        self.fired += by_token.sum(0)
        both = in_use[1:] & in_use[:-1]
        self.repeats += int(both.sum())
        self.pairs += (length - 1) * used
        before = by_token[:-1] & both.unsqueeze(2)
        self.before_by_neuron += before.sum(0)
        self.again += float((before & by_token[1:]).sum())

    def summary(self) -> dict:
        rates = self.fired / self.uses.clamp(min=1).unsqueeze(1)
        hottest = rates.flatten().sort(descending=True).values.cumsum(0)
        carried = {str(share): round(float(hottest[max(0, int(share * len(hottest)) - 1)] / hottest[-1]), 4) for share in SHARES}
        before = float(self.before_by_neuron.sum())
        by_chance = float((self.before_by_neuron * rates).sum())
        return {
            "activeShare": round(float(self.fired.sum() / (self.uses.sum() * self.shape.neurons)), 4),
            "hottestCarry": carried,
            "tokenOverlap": round((self.again - by_chance) / (before - by_chance), 4) if before > by_chance else None,
            "expertRepeat": round(self.repeats / self.pairs, 4),
            "expertUse": [round(float(use), 4) for use in self.uses / self.uses.sum()],
            "neverFired": int((self.fired == 0).sum()),
        }


def perplexity_of(surprises: torch.Tensor) -> dict:
    """Of nats a token; the error is that of the mean."""
    mean = float(surprises.mean())
    error = math.exp(mean) * float(surprises.std(correction=0)) / math.sqrt(len(surprises) - 1)
    return {"perplexity": round(math.exp(mean), 4), "standardError": round(error, 4)}


def scored(losses: torch.Tensor) -> torch.Tensor:
    """The loss at place i is of token i + 1: llama-perplexity scores tokens length / 2 + 1 to length - 1 of a window."""
    return losses[len(losses) // 2 : len(losses) - 1].double()


@torch.no_grad()
def evaluate(model: Model, windows: torch.Tensor) -> dict:
    """Windows are [n, length + 1]."""
    shape = model.shape
    layers = [LayerCounts(shape) for _ in range(shape.layers)]
    surprises = []
    for window in windows:
        told, routes = [], []
        losses, _ = model(window[None, :-1], window[None, 1:], 0.0, told, routes, "none")
        surprises.append(scored(losses))
        for counts, chosen, (_, _, fired) in zip(layers, routes, told):
            counts.add(chosen, fired)
    summaries = [counts.summary() for counts in layers]
    return {
        **perplexity_of(torch.cat(surprises)),
        "windowLosses": [round(float(each.mean()), 6) for each in surprises],
        "scored": sum(map(len, surprises)),
        "windows": len(windows),
        "activeShare": round(sum(layer["activeShare"] for layer in summaries) / len(summaries), 4),
        "layers": summaries,
    }


@torch.no_grad()
def evaluate_kept(model: Model, windows: torch.Tensor, share: float) -> dict:
    """Perplexity where only the strongest neurons of each token are computed."""
    losses = [model(window[None, :-1], window[None, 1:], reduction="none", keep=share)[0] for window in windows]
    return {"share": share, **perplexity_of(torch.cat([scored(each) for each in losses]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--windows", type=int, help="so many, evenly spread over the text; default: all")
    parser.add_argument("--first", type=int, help="so many from the beginning, which llama-perplexity takes")
    parser.add_argument("--keep", type=float, nargs="*", default=[], help="shares of an expert's neurons, between 0 and 1")
    options = parser.parse_args()
    if options.first is not None and options.first < 1:
        raise SystemExit("--first: must be at least 1")
    if not all(0 < share <= 1 for share in options.keep):
        raise SystemExit("--keep: a share must be above 0 and at most 1")
    use("float32")
    state = torch.load(options.checkpoint, weights_only=True)
    shape = Shape(**state["shape"])
    model = Model(shape)
    model.load_state_dict(state["model"])
    windows = held_out(options.data / "held-out.bin", shape.context, options.windows)[: options.first]
    kept = [evaluate_kept(model, windows, share) for share in options.keep]
    print(json.dumps({"step": state["step"], "branchedAt": state["begin"], "shape": shape.describe(), **evaluate(model, windows), **({"kept": kept} if kept else {})}, indent=2))


if __name__ == "__main__":
    main()
