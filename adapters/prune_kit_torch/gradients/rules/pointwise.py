"""Parameters in elementwise arithmetic: scales, shifts, gates, positions, learnt activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..factors import Dense, wide
from ..layout import Rows
from ..source import Source
from .reduce import reduced
from .use import Use

_SAME = {"add", "sub", "mul", "div", "true_divide", "pow", "maximum", "minimum", "where", "lerp", "addcmul",
         "addcdiv", "rsub", "atan2", "hypot", "copysign", "logaddexp", "multiply", "divide", "subtract",
         "fmod", "remainder", "clamp", "float_power", "max", "min", "threshold"}  # fmt: skip
_OPERATORS = {"__add__": "add", "__radd__": "add", "__sub__": "sub", "__mul__": "mul", "__rmul__": "mul",
              "__truediv__": "div", "__pow__": "pow", "__iadd__": "add", "__isub__": "sub", "__imul__": "mul",
              "__itruediv__": "div", "__ipow__": "pow", "__rsub__": "rsub", "__rpow__": "rpow",
              "__rtruediv__": "rdiv", "__rdiv__": "rdiv", "__div__": "div"}  # fmt: skip
_REFLECTED: dict[str, Callable[..., Tensor]] = {
    "rsub": lambda a, b: b - a,
    "rpow": lambda a, b: b**a,
    "rdiv": lambda a, b: b / a,
}


def pointwise(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> list[Use]:
    """Uses in an operation that treats its broadcast arguments element by element; none if it is no such."""
    plain = _OPERATORS.get(name, name.removesuffix("_") if in_place else name)
    if plain not in _SAME and plain not in _REFLECTED:
        return []
    if plain in ("max", "min") and not (len(args) == 2 and all(isinstance(a, Source | Tensor) for a in args)):
        return []
    if any(not isinstance(a, Source | Tensor | int | float) for a in (*args, *kwargs.values())):
        return []
    function = _REFLECTED.get(plain) or getattr(torch, plain, None)
    if function is None:
        return []
    sources = [a for a in (*args, *kwargs.values()) if isinstance(a, Source)]
    if plain == "add" and not kwargs:
        return [Use(s, (), _plain(s.value.shape)) for s in sources]
    tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
    if in_place and isinstance(args[0], Tensor):
        tensors = [args[0].detach().clone(), *tensors[1:]]
    return [
        Use(s, tuple(tensors), _recomputed(function, args, kwargs, s))
        for s in {id(s): s for s in sources}.values()
    ]


def _plain(shape: torch.Size) -> Callable[..., Dense]:
    return lambda rows, grad: Dense(reduced(rows, grad, shape))


def _recomputed(
    function: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any], source: Source
) -> Callable[..., Dense]:
    """Autograd on the parameter written out to the output's size, whose gradient falls apart by example."""
    markers = tuple(_Saved() if isinstance(a, Tensor) else a for a in args)
    named = {key: _Saved() if isinstance(a, Tensor) else a for key, a in kwargs.items()}

    def factor(rows: Rows, grad: Tensor, *saved: Tensor) -> Dense:
        with torch.enable_grad():
            large = source.value.expand(grad.shape).detach().requires_grad_()
            rest = iter(saved)

            def real(a: Any) -> Any:
                if isinstance(a, _Saved):
                    return next(rest)
                if isinstance(a, Source):
                    return large if a is source else a.value
                return a

            output = function(*[real(a) for a in markers], **{key: real(a) for key, a in named.items()})
            (full,) = torch.autograd.grad(output, large, grad.to(output.dtype))
        return Dense(reduced(rows, full, source.value.shape))

    return factor


class _Saved:
    """Stands for a tensor that is kept by autograd until the backward pass."""


def _prelu(input: Any, weight: Any) -> list[Use]:
    if not isinstance(weight, Source) or not isinstance(input, Tensor):
        return []
    shape = (-1, *(1,) * (input.ndim - 2)) if weight.value.numel() > 1 else (1,)
    viewed = weight.value.view(shape).shape

    def factor(rows: Rows, grad: Tensor, x: Tensor) -> Dense:
        values = reduced(rows, wide(grad) * x.clamp(max=0), viewed)
        return Dense(values.reshape(len(values), *weight.value.shape))

    return [Use(weight, (input,), factor)]


def _expand(input: Any, *sizes: Any, **_: Any) -> list[Use]:
    if not isinstance(input, Source):
        return []
    shape = input.value.shape
    return [Use(input, (), lambda rows, grad: Dense(reduced(rows, grad, shape)))]


def _repeat(input: Any, *sizes: Any) -> list[Use]:
    counts = sizes[0] if sizes and isinstance(sizes[0], tuple | list) else sizes
    if not isinstance(input, Source) or not all(isinstance(n, int) for n in counts):
        return []
    lengths = (1,) * (len(counts) - input.value.ndim) + tuple(input.value.shape)
    if any(n != 1 and length != 1 for n, length in zip(counts, lengths, strict=True)):
        return []
    return _expand(input)


RULES: dict[Any, Callable[..., list[Use]]] = {
    torch.prelu: _prelu,
    **dict.fromkeys((Tensor.expand, Tensor.expand_as, torch.broadcast_to), _expand),
    Tensor.repeat: _repeat,
}
