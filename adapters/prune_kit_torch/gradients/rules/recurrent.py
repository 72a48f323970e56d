"""The hidden-to-hidden weights of recurrent layers, all time steps at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from ..factors import Dense, Outer, wide
from ..layout import Rows
from ..source import Source
from .use import Use


def hidden_term(weight: Tensor, bias: Tensor | None, like: Tensor, previous: list[Tensor]) -> Tensor:
    """A tensor whose gradient is that of `previous @ weight.T + bias` at every step; its values mean nothing.

    A recurrence runs as one operation that adds the hidden-to-hidden term itself. This input of it only
    collects that term's gradient. `previous` receives the hidden states, shaped (time, batch, hidden),
    once they are known.
    """
    if has_torch_function((weight,)):
        return handle_torch_function(hidden_term, (weight,), weight, bias, like, previous)
    return torch.empty_like(like)


def _hidden_term(weight: Any, bias: Any, like: Tensor, previous: list[Tensor]) -> list[Use]:
    uses = []
    if isinstance(weight, Source):
        uses.append(
            Use(weight, (), lambda rows, grad: Outer(rows.positions(previous[0]), rows.positions(grad)))
        )
    if isinstance(bias, Source):
        uses.append(Use(bias, (), _bias))
    return uses


def _bias(rows: Rows, grad: Tensor) -> Dense:
    return Dense(wide(rows.positions(grad)).sum(1))


RULES: dict[Any, Callable[..., list[Use]]] = {hidden_term: _hidden_term}
