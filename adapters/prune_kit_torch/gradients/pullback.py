"""Several vectors through one graph at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor


def pull_back(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], grads: Sequence[Tensor]
) -> list[Tensor | None]:
    """Gradients of `inputs` from those of `outputs`, examples first in both; None where unconnected."""
    with warnings.catch_warnings():
        # torch says which operations it cannot batch: they are merely looped over.
        warnings.simplefilter("ignore", UserWarning)
        try:
            return list(
                torch.autograd.grad(
                    outputs, inputs, grads, retain_graph=True, allow_unused=True, is_grads_batched=True
                )
            )
        except RuntimeError:
            each = [
                torch.autograd.grad(
                    outputs, inputs, [g[i] for g in grads], retain_graph=True, allow_unused=True
                )
                for i in range(len(grads[0]))
            ]
    return [None if parts[0] is None else torch.stack(parts) for parts in zip(*each, strict=True)]
