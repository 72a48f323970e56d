"""How temporaries are kept small, and which of several exact formulas is used for a shape."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

_EXAMPLES_TIMED = 8
_WORTH_TIMING = 5.0


@dataclass(frozen=True)
class Candidate:
    """One formula for the squared norms of a range of examples.

    `flops` and `floats` are per example: arithmetic (in units of one multiply-add in a matrix product)
    and numbers held at once beside the operands.
    """

    compute: Callable[[int, int], Tensor]
    flops: float
    floats: float


def default_limit(device: torch.device) -> int:
    """Bytes of temporaries: on a CPU as many as stay in the caches of the threads that share the work."""
    return min(32, 8 * torch.get_num_threads()) * 2**20 if device.type == "cpu" else 256 * 2**20


@dataclass
class Workspace:
    """Limits temporaries to about `limit` bytes and remembers the fastest candidate of each shape.

    With `tune`, candidates are timed on the first batch that has a shape; without, the one with the least
    estimated work is taken, which makes the result the same from run to run to the last bit.
    """

    tune: bool = True
    limit: int = 8 * 2**20
    choices: dict[str, str] = field(default_factory=dict)

    def blocks(self, batch: int, floats: float, itemsize: int) -> list[tuple[int, int]]:
        """Ranges of examples whose temporaries fit."""
        step = max(1, min(batch, int(self.limit / max(1.0, floats * itemsize))))
        count = -(-batch // step)
        step = -(-batch // count)
        return [(start, min(batch, start + step)) for start in range(0, batch, step)]

    def run(self, shape: str, candidates: Mapping[str, Candidate], batch: int, like: Tensor) -> Tensor:
        """Squared norms `(batch,)` by the candidate chosen for `shape`."""
        itemsize = max(4, like.element_size())
        name = self.choices.get(shape, "")
        if name not in candidates:
            name = self._choose(candidates, batch, like, itemsize)
            self.choices[shape] = name
        best = candidates[name]
        parts = [best.compute(i, j) for i, j in self.blocks(batch, best.floats, itemsize)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _choose(self, candidates: Mapping[str, Candidate], batch: int, like: Tensor, itemsize: int) -> str:
        least = min(c.flops for c in candidates.values())
        worth = {n: c for n, c in candidates.items() if c.flops <= _WORTH_TIMING * least}
        if len(worth) == 1 or not self.tune:
            return min(worth, key=lambda n: worth[n].flops)
        seconds = dict.fromkeys(worth, float("inf"))
        for _ in range(3):
            for name, candidate in worth.items():
                _, stop = self.blocks(min(batch, _EXAMPLES_TIMED), candidate.floats, itemsize)[0]
                _wait(like.device)
                start = time.perf_counter()
                candidate.compute(0, stop)
                _wait(like.device)
                seconds[name] = min(seconds[name], (time.perf_counter() - start) / stop)
        return min(seconds, key=lambda n: seconds[n])


def _wait(device: torch.device) -> None:
    """Kernels on an accelerator run on after the call returns: a time means nothing before they are done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
