"""What is learnt about a model once, before its gradients are taken: the steps and the groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .layout import Layout

Key = tuple[int, ...]
"""Names a tensor that operations use: `(parameter,)`, or `(-1, step, output)` if computed from parameters."""


@dataclass
class Step:
    """One operation that a parameter, or a tensor computed from parameters, took part in.

    `ignored`: its result carries no gradient (a shape, a detached value). `derived`: its result depends on
    parameters alone and is itself treated like a parameter. `use`: its result differs between examples,
    which lie there as `layout` says; None if no gradient has reached it yet.
    """

    name: str
    kind: Literal["ignored", "derived", "use"]
    layout: Layout | None = None


@dataclass
class Group:
    """Uses whose gradients add up before a norm is taken.

    `written_out` says that they must be pulled back to the parameters as full gradients; otherwise the
    parameter is `parameters[0]` and keys in `transposed` hold its transpose.
    """

    parameters: tuple[int, ...]
    uses: int
    written_out: bool
    transposed: frozenset[Key] = frozenset()


@dataclass
class Plan:
    """The steps of one forward and backward pass, and how the uses belong together.

    `last` are the keys of the last use in the forward pass, `unused` parameters without any, `slow` the
    operations without a rule.
    """

    steps: list[Step] = field(default_factory=list)
    groups: dict[Key, Group] = field(default_factory=dict)
    last: tuple[Key, ...] = ()
    unused: tuple[int, ...] = ()
    slow: tuple[str, ...] = ()


class PlanChanged(Exception):  # noqa: N818 - a reason to plan again, not a failure
    """A batch took the model along another path than the one that was planned for."""
