"""By how much one perplexity is above another of the same windows, and how sure that is."""

import math
import statistics


def cost(losses: list[float], others: list[float]) -> dict:
    """`losses` and `others`: mean nats of each window, the same windows in the same order, at least two. `cost` is by what share the perplexity
    behind `losses` is above the other; `error` is its standard error over windows, which knows nothing of how another seed would have trained."""
    if len(losses) != len(others) or len(losses) < 2:
        raise ValueError(f"{len(losses)} windows beside {len(others)}: should be as many, and at least two")
    differences = [ours - theirs for ours, theirs in zip(losses, others)]
    ratio = math.exp(statistics.fmean(differences))
    return {"cost": ratio - 1, "error": ratio * statistics.stdev(differences) / math.sqrt(len(differences)), "windows": len(differences)}


def over_seeds(costs: list[float]) -> dict:
    """Of one comparison's costs, each of another seed (at least two): their mean, its standard error, and how many."""
    if len(costs) < 2:
        raise ValueError(f"{len(costs)} costs: should be of at least two seeds")
    return {"cost": statistics.fmean(costs), "error": statistics.stdev(costs) / math.sqrt(len(costs)), "seeds": len(costs)}


def told(found: dict) -> str:
    """`+0.42 ± 0.05 %`"""
    return f"{100 * found['cost']:+.2f} ± {100 * found['error']:.2f} %"
