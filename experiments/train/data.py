"""Token arrays as batches. What a step reads is a function of the seed and the step: a run that resumes reads on where it was."""

from pathlib import Path

import numpy as np
import torch


class Tokens:
    """A file of 16-bit token ids, in windows of `length` + 1 tokens (the last target of a window is the first token of the next)."""

    def __init__(self, path: Path, length: int, seed: int):
        self.ids = np.fromfile(path, dtype="<u2")
        self.length, self.seed = length, seed
        # One window is given up so that every epoch may begin at another place.
        self.windows = (len(self.ids) - 1) // length - 1
        if self.windows < 1:
            raise SystemExit(f"{path}: {len(self.ids)} tokens; must be at least {2 * length + 1}")
        self.epoch, self.order, self.phase = -1, np.empty(0), 0

    def window(self, index: int) -> np.ndarray:
        """Window number `index` since training began: every epoch has all windows once, in an order and from a place of its own."""
        epoch, place = divmod(index, self.windows)
        if epoch != self.epoch:
            drawing = np.random.default_rng([self.seed, epoch])
            self.epoch, self.order = epoch, drawing.permutation(self.windows)
            self.phase = int(drawing.integers(self.length))
        start = self.phase + int(self.order[place]) * self.length
        return self.ids[start : start + self.length + 1]

    def batch(self, first: int, count: int) -> torch.Tensor:
        """Windows `first` to `first + count`, [count, length + 1]."""
        return torch.from_numpy(np.stack([self.window(first + place) for place in range(count)]).astype(np.int64))


def held_out(path: Path, length: int, most: int | None = None) -> torch.Tensor:
    """Whole windows from the beginning (or `most` of them, evenly spread), [windows, length + 1]."""
    ids = np.fromfile(path, dtype="<u2").astype(np.int64)
    count = (len(ids) - 1) // length
    chosen = range(count) if most is None or most >= count else [place * count // most for place in range(most)]
    return torch.from_numpy(np.stack([ids[place * length : (place + 1) * length + 1] for place in chosen]))
