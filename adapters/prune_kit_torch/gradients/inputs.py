"""What a batch may look like and how the model is called with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from prune_kit.errors import PruneKitError

from ..batches import call, logits_of

Inputs = Any
"""A tensor, a tuple of positional arguments, or a mapping of keyword arguments."""


def unwrapped(model: nn.Module) -> nn.Module:
    """The module itself, inside DataParallel, DistributedDataParallel or torch.compile."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def detached(inputs: Inputs) -> Inputs:
    """`inputs` without a graph, usable in autograd also where they were made in inference mode."""

    def plain(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.clone() if value.is_inference() else value.detach()

    return tree_map(plain, inputs)


def examples(inputs: Inputs, batch: int, index: Tensor) -> Inputs:
    """The batch of the examples in `index`; what does not have `batch` rows is shared and left alone."""

    def pick(value: Any) -> Any:
        if isinstance(value, Tensor) and value.ndim and value.shape[0] == batch:
            return value[index.to(value.device)]
        return value

    return tree_map(pick, inputs)


def logits_for(model: Callable[..., Any], inputs: Inputs) -> Tensor:
    """The logits that `model` gives for `inputs`, examples first; their other dimensions are the loss's.

    Raises
    ------
    PruneKitError
        If there are no logits in what the model returns.
    """
    return logits_of(call(model, inputs))


def check_batch(inputs: Inputs, labels: Tensor) -> int:
    """How many examples there are.

    Raises
    ------
    PruneKitError
        If `labels` is no tensor with rows, or no input has one row per label.
    """
    if not isinstance(labels, Tensor) or labels.ndim == 0 or len(labels) == 0:
        got = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise PruneKitError(
            f"`labels` must be a tensor with one row per example, at least one; got {got}.",
            hint="make a tensor of the labels of this batch with torch.as_tensor",
        )
    sizes: list[tuple[int, ...]] = []
    tree_map(lambda v: sizes.append(tuple(v.shape)) if isinstance(v, Tensor) else None, inputs)
    if not any(shape[:1] == (len(labels),) for shape in sizes):
        raise PruneKitError(
            f"`inputs` must hold a tensor with one row per label, {len(labels)}; got shapes {sizes}.",
            hint="examples lie along the first axis of every input",
        )
    return len(labels)


def check_logits(logits: Tensor, batch: int) -> None:
    """Raise PruneKitError unless `logits` are finite and have `batch` rows."""
    if logits.ndim == 0 or logits.shape[0] != batch:
        raise PruneKitError(
            f"the model must give one row of logits per example, ({batch}, ...); got {tuple(logits.shape)}.",
            hint="examples lie along the first axis of inputs, logits and labels",
        )
    if not bool(torch.isfinite(logits).all()):
        rows = (~torch.isfinite(logits.flatten(1)).all(1)).nonzero().flatten().tolist()
        raise PruneKitError(
            f"logits must be finite; those of the examples at positions {rows[:10]} of the batch are not.",
            hint="look for NaN in inputs and weights; float16 overflows above 65504: use bfloat16 or float32",
        )
