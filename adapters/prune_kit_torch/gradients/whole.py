"""The slow ways that are right for every model: the whole model's gradient, example by example."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from .factors import squares, wide
from .inputs import Inputs, examples, logits_for
from .losses import Loss, loss_gradients


def one_by_one(
    model: Callable[..., Any],
    parameters: Sequence[Tensor],
    inputs: Inputs,
    labels: Tensor,
    loss: Loss,
    index: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The definition: a backward pass per example, for the examples in `index`.

    Returns
    -------
    tuple
        Squared norms (len(index), parameters) in float64 (NaN where the loss does not reach a parameter),
        losses (len(index),) and logits (len(index), ...).
    """
    squared, losses, logits = [], [], []
    wide_dtype = torch.float32 if labels.device.type == "mps" else torch.float64
    for i in index:
        picked = i[None]
        output = logits_for(model, examples(inputs, len(labels), picked))
        value, gradient = loss_gradients(loss, output, labels[picked.to(labels.device)])
        if not output.requires_grad:
            grads: Sequence[Tensor | None] = [None] * len(parameters)
        else:
            for p in parameters:
                p.grad = None
            # Not autograd.grad: reentrant checkpointing refuses it.
            torch.autograd.backward(output, gradient.to(output.dtype))
            grads = [p.grad for p in parameters]
            for p in parameters:
                p.grad = None
        squared.append(torch.stack([_square(g, wide_dtype, labels.device) for g in grads]))
        losses.append(value[0])
        logits.append(output.detach()[0])
    return torch.stack(squared), torch.stack(losses), torch.stack(logits)


def _square(grad: Tensor | None, dtype: torch.dtype, device: torch.device) -> Tensor:
    if grad is None:
        return torch.full((), torch.nan, dtype=dtype, device=device)
    values = grad.coalesce().values() if grad.is_sparse else grad
    return values.to(dtype).square().sum().to(device)


def vmapped(model: nn.Module, names: Sequence[str], inputs: Inputs, cotangents: Tensor, limit: int) -> Tensor:
    """Squared norms (batch, parameters) by one vectorised gradient of the whole model.

    `cotangents` are the gradients of the losses in the logits.

    Raises
    ------
    RuntimeError
        If an operation of the model cannot be vectorised.
    """
    everything = dict(model.named_parameters()) | dict(model.named_buffers())
    constants = {name: t.detach() for name, t in everything.items()}
    parameters = {name: constants.pop(name) for name in names}
    batch = len(cotangents)
    leaves, tree = tree_flatten(inputs)
    mapped = [isinstance(leaf, Tensor) and leaf.ndim > 0 and leaf.shape[0] == batch for leaf in leaves]

    def one(weights: dict[str, Tensor], cotangent: Tensor, *rows: Tensor) -> Tensor:
        own = iter(rows)
        filled = [
            next(own)[None] if is_mapped else leaf for leaf, is_mapped in zip(leaves, mapped, strict=True)
        ]

        def functional(*args: Any, **kwargs: Any) -> Any:
            return torch.func.functional_call(model, {**constants, **weights}, args, kwargs)

        return (logits_for(functional, tree_unflatten(filled, tree)) * cotangent[None]).sum()

    rows = [leaf for leaf, is_mapped in zip(leaves, mapped, strict=True) if is_mapped]
    size = sum(p.numel() * max(4, p.element_size()) for p in parameters.values())
    step = max(1, min(batch, limit // max(1, size)))
    gradient = torch.func.vmap(torch.func.grad(one), in_dims=(None, 0, *[0] * len(rows)))
    parts = []
    for start in range(0, batch, step):
        stop = start + step
        with warnings.catch_warnings():
            # torch names operations that it loops over: the caller has been told that this is slow.
            warnings.simplefilter("ignore", UserWarning)
            grads = gradient(parameters, cotangents[start:stop], *(r[start:stop] for r in rows))
        parts.append(torch.stack([squares(wide(grads[name])) for name in names], 1))
    return torch.cat(parts)
