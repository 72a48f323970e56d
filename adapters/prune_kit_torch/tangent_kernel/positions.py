"""What the weight of a linear layer or a convolution adds to the kernel.

The row of an example and a logit is ``g.T @ a``: g (t, outputs) is the gradient of the layer's results at t
positions, a (t, inputs) is what the layer met there, which is the same for every logit. Products of two rows
are those of the written-out rows (cheap for many positions and few weights, as in early convolutions), or the
sum over pairs of positions of ``(a a'.T) * (g g'.T)`` (cheap for few positions and many weights).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..gradients.factors import Convolution, Factor, Outer, wide
from ..gradients.workspace import Workspace
from .gram import Gram

# A number of a matrix that is read once costs as much as so many multiply-adds of a large product.
_READ = 8


@dataclass
class Positions:
    """One weight.

    `met(i, j)` gives what examples i to j met, (j - i, positions, inputs); `inputs` is their number.
    `gradients` has shape (examples, logits, positions, outputs).
    """

    met: Callable[[int, int], Tensor]
    inputs: int
    gradients: Tensor

    def count(self, gram: Gram, workspace: Workspace) -> None:
        """Add the products of all rows to the kernel, by the order of multiplication with less work."""
        m, c, positions, outputs = self.gradients.shape
        if positions == 1:
            self._by_examples(gram)
            return
        weights = self.inputs * outputs
        written_out = m * c * positions * weights + (m * c) ** 2 / 2 * weights
        pairs = positions**2 * (self.inputs + c * outputs) + c * positions * outputs * (c + _READ)
        if written_out <= m**2 / 2 * pairs:
            self._by_weights(gram, workspace)
        else:
            self._by_pairs(gram, workspace)

    def _by_examples(self, gram: Gram) -> None:
        m, c = gram.batch, gram.classes
        met, gradients = self.met(0, m)[:, 0], self.gradients.flatten(0, 1)[:, 0]
        gram.kernel.view(m, c, m, c).addcmul_(
            (met @ met.T)[:, None, :, None], (gradients @ gradients.T).view(m, c, m, c)
        )

    def _by_weights(self, gram: Gram, workspace: Workspace) -> None:
        m, c, positions, outputs = self.gradients.shape
        step = max(1, gram.columns(self.inputs * outputs) // self.inputs)
        blocks = workspace.blocks(m, 2 * positions * self.inputs, self.gradients.element_size())
        for start in range(0, outputs, step):
            some = self.gradients[..., start : start + step].transpose(2, 3)
            rows = some.new_empty(m, c * some.shape[2], self.inputs)
            for i, j in blocks:
                torch.bmm(some[i:j].flatten(1, 2), self.met(i, j), out=rows[i:j])
            gram.add_rows(rows)

    def _by_pairs(self, gram: Gram, workspace: Workspace) -> None:
        """Example j against all up to it: the sum over its positions first, over theirs then."""
        m, c = gram.batch, gram.classes
        kernel = gram.kernel.view(m, c, m, c)
        flat = self.gradients.flatten(2)
        met = self.met(0, m)
        for j in range(m):
            for i, stop in workspace.blocks(j + 1, 2 * c * flat.shape[2], flat.element_size()):
                pairs = met[i:stop].flatten(0, 1) @ met[j].T
                seen = torch.matmul(pairs, self.gradients[j]).view(c, stop - i, -1)
                kernel[i:stop, :, j] += torch.bmm(flat[i:stop], seen.permute(1, 2, 0))


def positions_of(factors: Mapping[int, Factor], gram: Gram) -> Positions | None:
    """The gradients for every logit together; None where they are in another form or share nothing."""
    met: Callable[[int, int], Tensor]
    first = next(iter(factors.values()))
    if isinstance(first, Convolution) and first.geometry.groups == 1 and not first.geometry.transposed:
        same = [f for f in factors.values() if isinstance(f, Convolution) and f.x is first.x]
        gradients = [f.g.flatten(3).transpose(2, 3).flatten(1, 2) for f in same]
        met, inputs = first.windows, math.prod(first.shape[1:])
    elif isinstance(first, Outer):
        outer = [f for f in factors.values() if isinstance(f, Outer)]
        if all(f.a is first.a for f in outer):
            met, gradients = _part_of(first.a), [f.g for f in outer]
        else:
            met, gradients = _part_of(first.g), [f.a for f in outer if f.g is first.g]
        inputs = met(0, 1).shape[2]
    else:
        return None
    if len(gradients) < len(factors):
        return None
    of_logit = dict(zip(factors, map(wide, gradients), strict=True))
    none = torch.zeros_like(next(iter(of_logit.values())))
    return Positions(met, inputs, torch.stack([of_logit.get(k, none) for k in range(gram.classes)], 1))


def _part_of(tensor: Tensor) -> Callable[[int, int], Tensor]:
    return lambda i, j: wide(tensor[i:j])
