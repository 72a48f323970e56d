"""One rule per kind of operation: which parameters it uses and how their gradients look for each example."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..source import Source
from . import convolution, embedding, linear, normalisation, pointwise, recurrent
from .generic import generic
from .use import Use

_RULES: dict[Any, Callable[..., list[Use]]] = {
    **linear.RULES,
    **convolution.RULES,
    **normalisation.RULES,
    **embedding.RULES,
    **pointwise.RULES,
    **recurrent.RULES,
}


def uses_of(name: str, func: Any, args: Any, kwargs: Any, in_place: bool) -> list[Use]:
    """Every use of a parameter in `func(*args, **kwargs)`, where parameters are given as `Source`."""
    rule = _RULES.get(func)
    uses = rule(*args, **kwargs) if rule is not None else pointwise.pointwise(name, args, kwargs, in_place)
    sources = [*_sources(args), *_sources(tuple(kwargs.values()))]
    covered = [use.source for use in uses]
    if len(covered) == len(sources) and set(covered) == set(sources):
        return uses
    if any(covered.count(s) != sources.count(s) for s in covered):
        # One parameter twice in one operation (w * w * x): the rule saw only part of it.
        uses, covered = [], []
    left = list(dict.fromkeys(s for s in sources if s not in covered))
    return uses + generic(name, func, args, kwargs, in_place, left)


def _sources(values: Any) -> Iterator[Source]:
    for value in values:
        if isinstance(value, Source):
            yield value
        elif isinstance(value, tuple | list):
            yield from _sources(value)


__all__ = ["Use", "uses_of"]
