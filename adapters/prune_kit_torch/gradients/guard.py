"""The model is found again as it was: modes, gradients, buffers, attributes, also after an exception."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def left_as_it_was(model: nn.Module, frozen: Sequence[Tensor] = ()) -> Iterator[None]:
    """Put every module into inference mode and take the parameters' `.grad` aside; undo all of it at the end.

    `frozen` parameters require no gradient meanwhile.
    Buffers that the forward changes (counters, caches) get their values back. So do tensors that modules
    keep as plain attributes (the weight that the older `weight_norm` computes in every forward), and
    embedding tables with `max_norm`, which their own forward renormalises.
    """
    modules = list(model.modules())
    modes = [module.training for module in modules]
    grads: list[tuple[Tensor, Tensor | None]] = [(p, p.grad) for p in model.parameters()]
    attributes = [
        (module, key, value)
        for module in modules
        for key, value in vars(module).items()
        if isinstance(value, Tensor)
    ]
    changing = [*model.buffers(), *(m.weight for m in modules if getattr(m, "max_norm", None) is not None)]
    with torch.no_grad():
        kept = [(t, t.detach().clone(), t._version) for t in changing if isinstance(t, Tensor)]
    named = [(module, key, b) for module in modules for key, b in module._buffers.items()]
    try:
        model.eval()
        for p, _ in grads:
            p.grad = None
        for p in frozen:
            p.requires_grad_(False)
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for p, grad in grads:
            p.grad = grad
        for p in frozen:
            p.requires_grad_(True)
        for module, key, value in attributes:
            vars(module)[key] = value
        for module, key, buffer in named:
            module._buffers[key] = buffer
        with torch.no_grad():
            for tensor, values, version in kept:
                if tensor._version != version:
                    tensor.copy_(values)
