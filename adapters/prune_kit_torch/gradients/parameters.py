"""Which parameters are measured."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from prune_kit.errors import PruneKitError

from .plan import Plan


def trainable(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter that requires gradients, once, under its first name.

    Raises
    ------
    PruneKitError
        If there is none, or two of them share memory and would be counted twice.
    """
    named: dict[str, Tensor] = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not named:
        raise PruneKitError(
            "the model must have at least one parameter that requires gradients; it has none.",
            hint="call requires_grad_(True) on what is trained",
        )
    lazy = [name for name, p in named.items() if isinstance(p, nn.UninitializedParameter)]
    if lazy:
        raise PruneKitError(
            f"every parameter must be initialised; these are not: {', '.join(lazy)}.",
            hint="call the model on a batch once",
        )
    spans = sorted(
        (str(p.device), p.data_ptr(), p.data_ptr() + _reach(p), name)
        for name, p in named.items()
        if p.layout is not None and p.numel() and p.device.type != "meta"
    )
    for (device, _, end, name), (next_device, start, _, next_name) in itertools.pairwise(spans):
        if device == next_device and start < end:
            raise PruneKitError(
                f"parameters must not share memory; `{name}` and `{next_name}` do: they would count twice.",
                hint="to tie weights, assign one Parameter object to both modules",
            )
    return named


def _reach(p: Tensor) -> int:
    """Bytes from the first to past the last number."""
    return p.element_size() * (1 + sum((n - 1) * s for n, s in zip(p.shape, p.stride(), strict=True)))


def last_parameters(plan: Plan) -> set[int]:
    """The parameters of the last operation of the forward pass that has any."""
    return {i for key in plan.last for i in plan.groups[key].parameters}
