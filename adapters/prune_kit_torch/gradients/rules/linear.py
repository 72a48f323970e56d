"""Matrix products with a weight: linear layers, `@`, addmm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..factors import Dense, Outer, wide
from ..layout import Rows
from ..source import Source
from .reduce import reduced
from .use import Use


def _linear(input: Any, weight: Any, bias: Any = None) -> list[Use]:
    uses = []
    if isinstance(weight, Source) and isinstance(input, Tensor) and weight.value.ndim == 2 and input.ndim > 1:
        uses.append(Use(weight, (input,), _weight))
    if isinstance(bias, Source):
        uses.append(Use(bias, (), _bias))
    return uses


def _weight(rows: Rows, grad: Tensor, x: Tensor) -> Outer:
    return Outer(rows.positions(x), rows.positions(grad))


def _bias(rows: Rows, grad: Tensor) -> Dense:
    return Dense(_sum(rows.positions(grad)))


def _sum(positions: Tensor) -> Tensor:
    return positions[:, 0] if positions.shape[1] == 1 else wide(positions).sum(1)


def _matmul(input: Any, other: Any) -> list[Use]:
    if isinstance(other, Source) and isinstance(input, Tensor) and input.ndim > 1:
        if other.value.ndim == 2:
            return [Use(other, (input,), lambda rows, grad, x: _weight(rows, grad, x).transposed())]
        if other.value.ndim == 1:
            return [Use(other, (input,), _vector)]
    if isinstance(input, Source) and isinstance(other, Tensor) and input.value.ndim == 2 and other.ndim > 1:
        return [Use(input, (other,), _from_left)]
    return []


def _vector(rows: Rows, grad: Tensor, x: Tensor) -> Dense:
    g, a = rows.positions(grad[..., None]), rows.positions(x)
    return Dense((wide(g).mT @ wide(a)).squeeze(1))


def _from_left(rows: Rows, grad: Tensor, x: Tensor) -> Outer:
    return _weight(rows.transposed(grad.ndim), grad.mT, x.mT)


def _reflected(self: Any, other: Any) -> list[Use]:
    return _matmul(other, self)


def _addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> list[Use]:
    if beta != 1 or alpha != 1:
        return []
    uses = _matmul(mat1, mat2)
    if isinstance(input, Source):
        shape = input.value.shape
        uses.append(Use(input, (), lambda rows, grad: Dense(reduced(rows, grad, shape))))
    return uses


RULES: dict[Any, Callable[..., list[Use]]] = {
    F.linear: _linear,
    **dict.fromkeys(
        (torch.matmul, torch.mm, torch.mv, Tensor.matmul, Tensor.mm, Tensor.mv, Tensor.__matmul__), _matmul
    ),
    Tensor.__rmatmul__: _reflected,
    torch.addmm: _addmm,
    Tensor.addmm: _addmm,
}
