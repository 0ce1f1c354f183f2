"""The format that matrix products are computed in: weights, momenta and losses are float32 always.

Which is faster depends on the processor: two cores of an Emerald Rapids without AMX do 165 GFLOP/s in bfloat16 and 205 to 310 in
float32, and a step of one machine, at work on other things too, took 4.6 s in float32 where it took 5.9 s in bfloat16. `--products` of train.py says which.
"""

import torch

FORMATS = {"bfloat16": torch.bfloat16, "float32": torch.float32}
_chosen = [torch.bfloat16]


def use(name: str) -> None:
    """From now on; before any model is made, as its tables are in this format."""
    _chosen[0] = FORMATS[name]


def products() -> torch.dtype:
    return _chosen[0]
