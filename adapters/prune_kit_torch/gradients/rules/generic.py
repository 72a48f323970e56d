"""An operation that nobody wrote a rule for: vector-Jacobian products of that operation, one per example."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..factors import Factor
from ..factors.base import squares, wide
from ..layout import Rows
from ..pullback import pull_back
from ..source import Source
from ..workspace import Workspace
from .use import Use


def generic(name: str, func: Any, args: Any, kwargs: Any, in_place: bool, wanted: list[Source]) -> list[Use]:
    """A use for each of `wanted` by differentiating `func` anew."""
    leaves, tree = tree_flatten((list(args), kwargs), is_leaf=lambda x: isinstance(x, Source))
    tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    saved = [leaves[i] for i in tensors]
    if in_place and isinstance(args[0], Tensor):
        saved[0] = args[0].detach().clone()
    constants = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]

    def use(source: Source) -> Use:
        def factor(rows: Rows, grad: Tensor, *kept: Tensor) -> Factor:
            def run(value: Tensor) -> Tensor:
                filled = [
                    value if c is source else c.value if isinstance(c, Source) else c for c in constants
                ]
                for i, tensor in zip(tensors, kept, strict=True):
                    filled[i] = tensor
                inputs, named = cast(tuple[list[Any], dict[str, Any]], tree_unflatten(filled, tree))
                if in_place:
                    inputs[0] = inputs[0].clone()
                result = func(*inputs, **named)
                return cast(Tensor, inputs[0] if in_place else result)

            return Differentiated(run, source.value, rows, grad)

        return Use(source, tuple(saved), factor, slow=True)

    return [use(source) for source in wanted]


class Differentiated(Factor):
    """Gradients of `run` at `value`, the output's gradient cut down to one example after the other."""

    def __init__(self, run: Any, value: Tensor, rows: Rows, grad: Tensor) -> None:
        self.run, self.value, self.rows, self.grad = run, value, rows, grad
        self.batch, self.shape = rows.batch, tuple(value.shape)

    def squared_norms(self, workspace: Workspace) -> Tensor:
        """See `Factor`."""
        floats = 2 * (self.value.numel() + self.grad.numel())
        blocks = workspace.blocks(self.batch, floats, max(4, self.grad.element_size()))
        return torch.cat([squares(self.dense(i, j)) for i, j in blocks])

    def dense(self, start: int, stop: int) -> Tensor:
        """See `Factor`."""
        size = self.grad.shape[self.rows.axis]
        owner = self.rows.owner(size, self.grad.device)
        mine = owner[None, :] == torch.arange(start, stop, device=owner.device)[:, None]
        shape = [1] * self.grad.ndim
        shape[self.rows.axis] = size
        masks = mine.view(stop - start, *shape)
        with torch.enable_grad():
            leaf = self.value.detach().requires_grad_()
            output = self.run(leaf)

        (full,) = pull_back([output], [leaf], [self.grad * masks])
        if full is None:
            return wide(leaf.detach()).new_zeros((stop - start, *self.shape))
        return wide(full)
