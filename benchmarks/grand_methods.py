"""Ways to get the gradient norm of every example; each gives a function that does one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prune_kit_torch.gradients import GradientNorms

Run = Callable[[], Tensor | None]


def plain(model: nn.Module, x: Tensor, y: Tensor) -> Run:
    """One forward + backward pass of the summed loss: the unit."""

    def run() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y, reduction="sum").backward()

    return run


def ours(model: nn.Module, x: Tensor, y: Tensor) -> Run:
    engine = GradientNorms(model)

    def run() -> Tensor:
        norms = engine(x, y)
        assert isinstance(norms, Tensor)
        return norms

    return run


def vmap_grad(model: nn.Module, x: Tensor, y: Tensor) -> Run:
    """torch.func: the gradients themselves, as many examples at once as fit 1 GiB."""
    weights = {name: p.detach() for name, p in model.named_parameters()}
    buffers = dict(model.named_buffers())
    size = sum(w.numel() * w.element_size() for w in weights.values())
    chunk = max(1, min(len(x), 2**30 // size))

    def loss(w: dict[str, Tensor], row: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(model, (w, buffers), (row[None],)), label[None])

    gradient = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))

    def run() -> Tensor:
        parts = []
        for i in range(0, len(x), chunk):
            grads = gradient(weights, x[i : i + chunk], y[i : i + chunk])
            parts.append(sum(g.flatten(1).square().sum(1) for g in grads.values()))
        return torch.cat(parts).sqrt()

    return run


def _per_sample_norms(model: nn.Module, attribute: str) -> Tensor:
    grads = [getattr(p, attribute) for p in model.parameters()]
    if any(g is None for g in grads):
        raise RuntimeError("some parameters get no per-example gradient")
    return torch.stack([g.flatten(1).square().sum(1) for g in grads]).sum(0).sqrt()


def opacus(model: nn.Module, x: Tensor, y: Tensor) -> Run:
    from opacus import GradSampleModule

    # Its hooks listen in training mode alone; no network here has dropout, and BatchNorm it refuses.
    wrapped = GradSampleModule(model.train(), loss_reduction="sum", batch_first=True)

    def run() -> Tensor:
        wrapped.zero_grad(set_to_none=True)
        F.cross_entropy(wrapped(x), y, reduction="sum").backward()
        return _per_sample_norms(wrapped, "grad_sample")

    return run


def opacus_ghost(model: nn.Module, x: Tensor, y: Tensor) -> Run:
    from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
        GradSampleModuleFastGradientClipping,
    )

    wrapped = GradSampleModuleFastGradientClipping(
        model.train(), loss_reduction="sum", batch_first=True, max_grad_norm=1.0, use_ghost_clipping=True
    )

    def run() -> Tensor:
        wrapped.zero_grad(set_to_none=True)
        F.cross_entropy(wrapped(x), y, reduction="sum").backward()
        return wrapped.get_norm_sample()  # type: ignore[no-any-return]

    return run


def backpack(model: nn.Module, x: Tensor, y: Tensor) -> Run:
    from backpack import backpack as extension
    from backpack import extend
    from backpack.extensions import BatchL2Grad

    model = extend(model, use_converter=not _is_chain(model))
    loss = extend(nn.CrossEntropyLoss(reduction="sum"))

    def run() -> Tensor:
        model.zero_grad(set_to_none=True)
        with extension(BatchL2Grad()):
            loss(model(x), y).backward()
        found = [getattr(p, "batch_l2", None) for p in model.parameters()]
        if any(f is None for f in found):
            raise RuntimeError("some parameters get no norm")
        return torch.stack(found).sum(0).sqrt()  # type: ignore[arg-type]

    return run


def _is_chain(model: nn.Module) -> bool:
    return isinstance(model, nn.Sequential) and all(not list(m.children()) for m in model)


def expanded_weights(model: nn.Module, x: Tensor, y: Tensor) -> Run:
    from torch.nn.utils._per_sample_grad import call_for_per_sample_grads

    call: Any = call_for_per_sample_grads(model, batch_size=len(x), loss_reduction="sum")

    def run() -> Tensor:
        for p in model.parameters():
            p.grad = None
            p.grad_sample = None  # type: ignore[attr-defined]
        F.cross_entropy(call(x), y, reduction="sum").backward()
        return _per_sample_norms(model, "grad_sample")

    return run


METHODS: dict[str, Callable[[nn.Module, Tensor, Tensor], Run]] = {
    "plain": plain,
    "prune_kit": ours,
    "vmap(grad)": vmap_grad,
    "opacus": opacus,
    "opacus ghost": opacus_ghost,
    "backpack": backpack,
    "expanded weights": expanded_weights,
}
