"""Operations that are taken apart into simpler ones before their parameters are looked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import Unsupported
from .recurrence import GRU, LSTM, Plain
from .rules.recurrent import hidden_term


def _without_override_check(function: Any) -> Callable[..., Any]:
    """`function` as it stands, but without the question at its top whether somebody overrides it.

    The answer is yes for as long as a trace is active, and the call would come back here for ever.
    """
    scope = {**function.__globals__, "has_torch_function": lambda _: False}
    copy = FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


backward = _without_override_check(torch.autograd.backward)

_State = Sequence[Tensor]
_Layer = Callable[[Tensor, Sequence[Tensor], _State], tuple[Tensor, _State]]


def _gates(
    x: Tensor, weights: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, list[Tensor]]:
    weight, inner, *biases = weights
    bias, inner_bias = biases if biases else (None, None)
    gates = F.linear(x, weight, bias)
    previous: list[Tensor] = []
    return gates, hidden_term(inner, inner_bias, gates, previous), inner, inner_bias, previous


def _lstm_direction(x: Tensor, weights: Sequence[Tensor], state: _State) -> tuple[Tensor, _State]:
    gates, term, inner, bias, previous = _gates(x, weights)
    hidden, cell = _apply(LSTM, gates, term, inner, bias, *state)
    previous.append(hidden[:-1].detach())
    return hidden[1:], (hidden[-1], cell)


def _gru_direction(x: Tensor, weights: Sequence[Tensor], state: _State) -> tuple[Tensor, _State]:
    gates, term, inner, bias, previous = _gates(x, weights)
    hidden = _apply(GRU, gates, term, inner, bias, *state)
    previous.append(hidden[:-1].detach())
    return hidden[1:], (hidden[-1],)


def _plain_direction(relu: bool) -> _Layer:
    def direction(x: Tensor, weights: Sequence[Tensor], state: _State) -> tuple[Tensor, _State]:
        gates, term, inner, bias, previous = _gates(x, weights)
        hidden = _apply(Plain, gates, term, inner, bias, *state, relu)
        previous.append(hidden[:-1].detach())
        return hidden[1:], (hidden[-1],)

    return direction


def _apply(
    function: type[torch.autograd.Function],
    gates: Tensor,
    term: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *rest: Any,
) -> Any:
    # The weights' gradients are those of `term`: the operation itself sees them as constants.
    return cast(Any, function).apply(
        gates, term, weight.detach(), None if bias is None else bias.detach(), *rest
    )


def _layers(
    direction: _Layer,
    input: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    has_biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple[Tensor, ...]:
    """All layers and directions; `states` (layers * directions, batch, hidden) each."""
    if train and dropout:
        raise Unsupported("a recurrent layer drops units at random in inference mode")
    directions = 2 if bidirectional else 1
    each = 4 if has_biases else 2
    if len(weights) != layers * directions * each:
        raise Unsupported("a recurrent layer with projections")
    x = input.transpose(0, 1) if batch_first else input
    last: list[_State] = []
    for layer in range(layers):
        outputs = []
        for side in range(directions):
            k = layer * directions + side
            own = weights[k * each : (k + 1) * each]
            output, state = direction(x.flip(0) if side else x, own, [s[k] for s in states])
            outputs.append(output.flip(0) if side else output)
            last.append(state)
        x = torch.cat(outputs, 2) if bidirectional else outputs[0]
    final = [torch.stack(parts) for parts in zip(*last, strict=True)]
    return (x.transpose(0, 1) if batch_first else x, *final)


def _recurrent(direction: _Layer, *, cell: bool) -> Callable[..., Any]:
    def layer(input: Tensor, hx: Any, params: Any, *rest: Any) -> tuple[Tensor, ...]:
        if not isinstance(params, tuple | list) or isinstance(rest[0], tuple | list):
            raise Unsupported("a recurrent layer on packed sequences")
        return _layers(direction, input, hx if cell else [hx], params, *rest)

    return layer


def _lstm_cell(
    input: Tensor, hx: _State, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> _State:
    h, c = hx
    i, f, g, o = (F.linear(input, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> Tensor:
    r, z, n = F.linear(input, w_ih, b_ih).chunk(3, -1)
    hr, hz, hn = F.linear(hx, w_hh, b_hh).chunk(3, -1)
    z, n = (z + hz).sigmoid(), (n + (r + hr).sigmoid() * hn).tanh()
    return n + z * (hx - n)


def _plain_cell(activation: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def cell(
        input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
    ) -> Tensor:
        return activation(F.linear(input, w_ih, b_ih) + F.linear(hx, w_hh, b_hh))

    return cell


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    F.multi_head_attention_forward: _without_override_check(F.multi_head_attention_forward),
    torch.lstm: _recurrent(_lstm_direction, cell=True),
    torch.gru: _recurrent(_gru_direction, cell=False),
    torch.rnn_tanh: _recurrent(_plain_direction(relu=False), cell=False),
    torch.rnn_relu: _recurrent(_plain_direction(relu=True), cell=False),
    torch.lstm_cell: _lstm_cell,
    torch.gru_cell: _gru_cell,
    torch.rnn_tanh_cell: _plain_cell(torch.tanh),
    torch.rnn_relu_cell: _plain_cell(torch.relu),
}
"""Called with the trace active, so that the parts are seen."""
