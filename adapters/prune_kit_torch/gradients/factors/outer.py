"""A sum of outer products over positions: the weight of a linear layer."""

from __future__ import annotations

from torch import Tensor

from ..workspace import Candidate, Workspace
from .base import Factor, squares, wide


class Outer(Factor):
    """`gradient[n] = g[n].T @ a[n]`: `a` (batch, positions, inputs), `g` (batch, positions, outputs)."""

    def __init__(self, a: Tensor, g: Tensor) -> None:
        self.a, self.g = a, g
        self.batch = a.shape[0]
        self.shape = (g.shape[2], a.shape[2])

    def transposed(self) -> Outer:
        """The same gradient for the transposed matrix."""
        return Outer(self.g, self.a)

    def dense(self, start: int, stop: int) -> Tensor:
        """See `Factor`."""
        return wide(self.g[start:stop]).mT @ wide(self.a[start:stop])

    def squared_norms(self, workspace: Workspace) -> Tensor:
        """Directly, or as the sum of `(a a^T) * (g g^T)`, which never forms the gradient."""
        positions, inputs, outputs = self.a.shape[1], self.a.shape[2], self.g.shape[2]
        if positions == 1:
            return squares(wide(self.a)) * squares(wide(self.g))
        candidates = {
            "gram": Candidate(self._gram, positions**2 * (inputs + outputs + 4), 3 * positions**2),
            "direct": Candidate(
                lambda i, j: squares(self.dense(i, j)),
                positions * inputs * outputs + 4 * inputs * outputs,
                inputs * outputs,
            ),
        }
        shape = f"outer {positions}x{inputs}x{outputs} {self.a.dtype} {self.a.device.type}"
        return workspace.run(shape, candidates, self.batch, self.a)

    def _gram(self, start: int, stop: int) -> Tensor:
        a, g = wide(self.a[start:stop]), wide(self.g[start:stop])
        # The sum is not negative but for rounding, which the square root would turn into NaN.
        return (a @ a.mT).mul_(g @ g.mT).sum((1, 2)).clamp_(min=0)
