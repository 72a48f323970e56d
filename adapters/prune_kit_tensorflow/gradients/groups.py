"""Which uses of a variable add up before a norm is taken, and which must be written out for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .source import Source, Use


@dataclass
class Group:
    """Uses of one tensor, or of tensors that hold the same entries in the same order.

    `turned` are uses of its transpose.
    """

    source: Source
    uses: list[Use] = field(default_factory=list)
    turned: list[Use] = field(default_factory=list)


def by_source(uses: Sequence[Use]) -> list[Group]:
    """Uses of the very same tensor together."""
    groups: dict[int, Group] = {}
    for use in uses:
        groups.setdefault(id(use.source), Group(use.source)).uses.append(use)
    return list(groups.values())


def disjoint(groups: Sequence[Group], root: tuple[int, ...]) -> list[Group] | None:
    """Groups of tensors that share no entries of the variable of shape `root`: squared norms add up.

    Returns None if some overlap in part, or are more than rearrangements of it.
    """
    if len(groups) == 1 and groups[0].source.steps is not None:
        return list(groups)
    if any(g.source.steps is None for g in groups):
        return None
    joined: list[Group] = []
    # The variable itself first: what is transposed is transposed relative to it.
    for group in sorted(groups, key=lambda g: len(g.source.steps or ())):
        place = group.source.address(root)
        for known in joined:
            model = known.source.address(root)
            if model.shape == place.shape and np.array_equal(model, place):
                known.uses += group.uses
            elif model.ndim == 2 and model.shape == place.shape[::-1] and np.array_equal(model, place.T):
                known.turned += group.uses
            else:
                continue
            break
        else:
            joined.append(Group(group.source, list(group.uses)))
    covered = np.zeros(int(np.prod(root, dtype=np.int64)), dtype=np.int32)
    for group in joined:
        covered[group.source.address(root).ravel()] += 1
    return joined if covered.size == 0 or covered.max() <= 1 else None
