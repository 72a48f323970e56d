"""Running one operation that parameters and examples meet in, and watching its output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .layout import Unsupported
from .rules import uses_of
from .rules.use import Use
from .tap import tap
from .trace import Trace, changes_in_place

OnGradient = Callable[[Tensor, list[tuple[Use, tuple[Tensor, ...]]]], None]


def watch(
    trace: Trace,
    name: str,
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    anchor: Tensor,
    on_gradient: OnGradient,
) -> Any:
    """The operation's result, watched.

    `on_gradient` receives the gradient of the result, and every use with the tensors saved for it.
    """
    in_place = changes_in_place(name)
    if "out" in kwargs or (in_place and (not args or id(args[0]) in trace.sources)):
        raise Unsupported(f"`{name}` writes into a parameter, or into a tensor given as `out`")
    uses = uses_of(name, func, trace.sourced(args), trace.sourced(kwargs), in_place)
    result = func(*trace.values(args), **trace.values(kwargs))
    output = args[0] if in_place else result
    if not isinstance(output, Tensor):
        raise Unsupported(f"`{name}` gives several results")
    # The same input serves several uses of one operation: it is saved once.
    at: dict[int, int] = {}
    saved: list[Tensor] = []
    places: list[list[int]] = []
    for use in uses:
        for tensor in use.saved:
            if id(tensor) not in at:
                at[id(tensor)] = len(saved)
                saved.append(tensor)
        places.append([at[id(tensor)] for tensor in use.saved])
    saved = [tensor.detach() for tensor in saved]
    for use in uses:
        use.saved = ()

    def receive(grad: Tensor, kept: tuple[Tensor, ...]) -> None:
        if trace.forwarding:
            raise Unsupported("the model takes gradients in its forward")
        pairs = zip(uses, places, strict=True)
        on_gradient(grad, [(use, tuple(kept[i] for i in where)) for use, where in pairs])

    watched = tap(output, anchor, receive, saved, in_place=in_place)
    return result if in_place and result is None else watched
