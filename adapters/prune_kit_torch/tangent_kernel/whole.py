"""The slow way that is right for every model: rows of the Jacobian, written out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..gradients.factors import wide
from ..gradients.inputs import Inputs, examples, logits_for
from .gram import Gram


def jacobian_row(
    model: nn.Module, inputs: Inputs, parameters: Sequence[Tensor], batch: int, i: int, k: int
) -> Tensor:
    """The gradient of logit `k` of example `i` alone, shape (all parameters,)."""
    logits = logits_for(model, examples(inputs, batch, torch.tensor([i])))
    return torch.cat([part.flatten() for part in _gradients(logits, parameters, k, is_last=True)])


def gram_of_rows(
    model: nn.Module, inputs: Inputs, parameters: Sequence[Tensor], shape: tuple[int, int], memory: int
) -> Gram:
    """The kernel from a backward pass for each row, once for each part of the columns that fits `memory`."""
    batch, classes = shape
    gram = Gram(batch, classes, wide(parameters[0].detach()), memory)
    width = sum(p.numel() for p in parameters)
    step = gram.columns(width)
    for start in range(0, width, step):
        stop = min(start + step, width)
        rows = gram.kernel.new_zeros(batch, classes, stop - start)
        for i in range(batch):
            logits = logits_for(model, examples(inputs, batch, torch.tensor([i])))
            for k in range(classes):
                gradients = _gradients(logits, parameters, k, is_last=k == classes - 1)
                rows[i, k] = torch.cat(list(_between(gradients, start, stop)))
        gram.add_rows(rows)
    return gram


def _gradients(logits: Tensor, parameters: Sequence[Tensor], k: int, *, is_last: bool) -> list[Tensor]:
    for p in parameters:
        p.grad = None
    if logits.requires_grad:
        cotangent = torch.zeros_like(logits)
        cotangent[0, k] = 1
        # Not autograd.grad: reentrant checkpointing refuses it.
        torch.autograd.backward(logits, cotangent, retain_graph=not is_last)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    for p in parameters:
        p.grad = None
    return [wide(g.to_dense() if g.is_sparse else g) for g in gradients]


def _between(gradients: Sequence[Tensor], start: int, stop: int) -> Iterator[Tensor]:
    """What lies from `start` to `stop` in all gradients one behind the other."""
    place = 0
    for gradient in gradients:
        size = gradient.numel()
        if place < stop and place + size > start:
            yield gradient.flatten()[max(0, start - place) : stop - place]
        place += size
