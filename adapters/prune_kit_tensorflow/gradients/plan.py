"""What is learnt about a model once, before its gradients are taken."""

from __future__ import annotations

from dataclasses import dataclass, field

from .layout import Layout
from .walk import Step


@dataclass
class Plan:
    """The steps of a forward pass.

    `last` are the variables of the last layer, `unused` those that the logits do not depend on.
    """

    steps: list[Step] = field(default_factory=list)
    last: frozenset[int] = frozenset()
    unused: tuple[int, ...] = ()

    def layouts(self) -> dict[int, Layout]:
        """Where examples lie in the result of each use that a gradient reaches."""
        return {i: step.layout for i, step in enumerate(self.steps) if step.layout is not None}


class PlanChanged(Exception):  # noqa: N818 - a reason to plan again, not a failure
    """A batch took the model along another path than the one that was planned for."""
