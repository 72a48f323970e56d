"""Scales and shifts of norm layers: products with the normalised input, recomputed in small blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..factors import Dense, wide
from ..layout import Rows
from ..source import Source
from .reduce import channel_sums, channels_first
from .use import Use

_BLOCK = 2**18
"""Numbers worked on at once: few enough to stay in the cache between the passes over them."""


def _scale_and_shift(
    input: Any, weight: Any, bias: Any, scale: Callable[..., Dense], shift: Callable[[Rows, Tensor], Dense]
) -> list[Use]:
    uses = []
    if isinstance(weight, Source) and isinstance(input, Tensor):
        uses.append(Use(weight, (input,), scale))
    if isinstance(bias, Source):
        uses.append(Use(bias, (), shift))
    return uses


def _blocks(rows: int, numbers: int) -> list[slice]:
    step = max(1, _BLOCK * rows // max(1, numbers))
    return [slice(i, i + step) for i in range(0, rows, step)]


def _per_channel(normalise: Callable[[Tensor], Tensor]) -> tuple[Callable[..., Dense], Callable[..., Dense]]:
    """Rules for `(rows, channels, *space)`, given what normalises a few rows."""

    def scale(rows: Rows, grad: Tensor, x: Tensor) -> Dense:
        parts = []
        for part in _blocks(len(x), x.numel()):
            product = normalise(wide(x[part])).mul_(grad[part])
            parts.append(product.sum(list(range(2, x.ndim))) if x.ndim > 2 else product)
        return Dense(channels_first(rows, torch.cat(parts)).sum((1, 3)))

    return scale, lambda rows, grad: Dense(channel_sums(rows, grad))


def _batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> list[Use]:  # fmt: skip
    if training or not isinstance(running_mean, Tensor) or not isinstance(input, Tensor):
        return []
    shape = (-1, *(1,) * (input.ndim - 2))
    mean = wide(running_mean.detach()).view(shape)
    factor = (wide(running_var.detach()) + eps).rsqrt_().view(shape)
    return _scale_and_shift(input, weight, bias, *_per_channel(lambda x: (x - mean).mul_(factor)))


def _instance_norm(
    input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> list[Use]:  # fmt: skip
    if not use_input_stats:
        return _batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    return _scale_and_shift(input, weight, bias, *_per_channel(lambda x: F.instance_norm(x, eps=eps)))


def _group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> list[Use]:
    return _scale_and_shift(
        input, weight, bias, *_per_channel(lambda x: F.group_norm(x, num_groups, eps=eps))
    )


def _trailing(
    shape: Sequence[int], normalise: Callable[[Tensor], Tensor]
) -> tuple[Callable[..., Dense], Callable[..., Dense]]:
    """Rules for norms over trailing axes of `shape`."""
    axes = len(shape)

    def scale(rows: Rows, grad: Tensor, x: Tensor) -> Dense:
        a, g = _merged(rows, x, axes), _merged(rows, grad, axes)
        parts = [normalise(wide(a[part])).mul_(g[part]).sum(1) for part in _blocks(len(a), a.numel())]
        return Dense(torch.cat(parts))

    return scale, lambda rows, grad: Dense(wide(_merged(rows, grad, axes)).sum(1))


def _merged(rows: Rows, tensor: Tensor, trailing: int) -> Tensor:
    """(batch, positions, *trailing axes)."""
    return rows.first(tensor).flatten(1, -trailing - 1)


def _layer_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> list[Use]:
    shape = list(normalized_shape)
    rules = _trailing(shape, lambda x: F.layer_norm(x, shape, eps=eps))
    return _scale_and_shift(input, weight, bias, *rules)


def _rms_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None
) -> list[Use]:
    shape = list(normalized_shape)
    if eps is None and isinstance(input, Tensor):
        eps = torch.finfo(input.dtype).eps
    return _scale_and_shift(input, weight, None, *_trailing(shape, lambda x: F.rms_norm(x, shape, eps=eps)))


RULES: dict[Any, Callable[..., list[Use]]] = {
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.group_norm: _group_norm,
    F.layer_norm: _layer_norm,
    F.rms_norm: _rms_norm,
}
