"""Convolutions of one to three dimensions, and transposed ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..factors import Convolution, Dense
from ..factors.convolution import Geometry
from ..layout import Rows, Unsupported
from ..source import Source
from .reduce import channel_sums
from .use import Use


def _each(value: Any, space: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    return values * space if len(values) == 1 else values


def _convolution(space: int) -> Callable[..., list[Use]]:
    def rule(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> list[Use]:
        uses = []
        if isinstance(weight, Source) and isinstance(input, Tensor) and input.ndim == space + 2:
            shape = tuple(weight.value.shape)
            kernel, steps = shape[2:], _each(dilation, space)
            before, after = _sides(padding, kernel, steps)
            # "same" with an even kernel pads one more at the end: that one is written out.
            extra = [q - p for p, q in zip(before, after, strict=True)]
            geometry = Geometry(kernel, _each(stride, space), before, steps, groups)

            def factor(rows: Rows, grad: Tensor, x: Tensor) -> Convolution:
                if any(extra):
                    full = [n for p, q in zip(reversed(before), reversed(after), strict=True) for n in (p, q)]
                    bare = Geometry(kernel, geometry.stride, (0,) * space, steps, groups)
                    return Convolution(_first(rows, F.pad(x, full)), _first(rows, grad), shape, bare)
                return Convolution(_first(rows, x), _first(rows, grad), shape, geometry)

            uses.append(Use(weight, (input,), factor))
        return uses + _bias(bias, space)

    return rule


def _transposed(space: int) -> Callable[..., list[Use]]:
    def rule(
        input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        groups: int = 1, dilation: Any = 1,
    ) -> list[Use]:  # fmt: skip
        uses = []
        if isinstance(weight, Source) and isinstance(input, Tensor) and input.ndim == space + 2:
            shape = tuple(weight.value.shape)
            geometry = Geometry(
                shape[2:], _each(stride, space), _each(padding, space), _each(dilation, space), groups, True,
                _each(output_padding, space),
            )  # fmt: skip
            uses.append(
                Use(
                    weight,
                    (input,),
                    lambda rows, grad, x: Convolution(_first(rows, x), _first(rows, grad), shape, geometry),
                )
            )
        return uses + _bias(bias, space)

    return rule


def _sides(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
    sides = _each(padding, len(kernel))
    return sides, sides


def _bias(bias: Any, space: int) -> list[Use]:
    if not isinstance(bias, Source):
        return []
    return [Use(bias, (), lambda rows, grad: Dense(channel_sums(rows, grad)))]


def _first(rows: Rows, tensor: Tensor) -> Tensor:
    if rows.axis != 0:
        raise Unsupported("the examples do not lie along the first axis of a convolution")
    return rows.first(tensor)


RULES: dict[Any, Callable[..., list[Use]]] = {
    torch.conv1d: _convolution(1),
    torch.conv2d: _convolution(2),
    torch.conv3d: _convolution(3),
    torch.conv_transpose1d: _transposed(1),
    torch.conv_transpose2d: _transposed(2),
    torch.conv_transpose3d: _transposed(3),
}
