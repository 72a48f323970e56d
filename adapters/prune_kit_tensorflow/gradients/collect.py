"""From cotangents of uses to each example's squared norm for every variable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from .factors import Factor, in_blocks, merge, squares, taken, transposed
from .groups import Group, by_source, disjoint
from .layout import Layout
from .pullback import pull_back
from .rules import RULES
from .source import Use
from .walk import Walk


def squared_norms(
    found: Walk, gradients: Mapping[int, Any], layouts: Mapping[int, Layout], batch: int
) -> dict[int, Any]:
    """Squared norms (b,) by variable, for those that a use with a gradient and a layout reaches.

    `gradients` and `layouts` are those of the results of uses, by step.
    """
    factors: dict[int, Factor] = {}
    uses = [use for use in found.uses if use.step in gradients and use.step in layouts]
    for use in uses:
        g, layout = gradients[use.step], layouts[use.step]
        rows = layout.rows(batch, g.shape[layout.axis])
        factors[id(use)] = RULES[use.op.type](use, g, rows)
    groups: dict[int, list[Group] | None] = {}
    for i, root in enumerate(found.roots):
        mine = by_source([use for use in uses if i in use.source.variables])
        if mine:
            groups[i] = disjoint(mine, root.shape)
    squared = {
        i: _total([_merged(group, factors, batch).squared_norms() for group in found_groups])
        for i, found_groups in groups.items()
        if found_groups is not None
    }
    written = [i for i, found_groups in groups.items() if found_groups is None]
    if written:
        squared |= _written_out(found, written, uses, factors, batch)
    return squared


def _merged(group: Group, factors: Mapping[int, Factor], batch: int) -> Factor:
    parts = [factors[id(use)] for use in group.uses]
    parts += [transposed(factors[id(use)]) for use in group.turned]
    return merge(parts, group.source.shape, batch)


def _written_out(
    found: Walk, variables: Sequence[int], uses: Sequence[Use], factors: Mapping[int, Factor], batch: int
) -> dict[int, Any]:
    """Squared norms for variables that are used in several forms: their gradients are formed and added."""
    merged = {
        group.source: _merged(group, factors, batch)
        for group in by_source([use for use in uses if use.source.variables & set(variables)])
    }
    numbers = 2 * sum(math.prod(source.shape) for source in [*merged, *(found.roots[i] for i in variables)])

    def compute(start: int, stop: int) -> Any:
        direct: dict[int, Any] = {}
        cotangents: dict[str, Any] = {}
        for source, factor in merged.items():
            dense = taken(factor, start, stop).written_out()
            if source.name:
                cotangents[source.name] = dense
            else:
                direct[next(iter(source.variables))] = dense
        pulled = pull_back(found, cotangents, variables, stop - start)
        return tf.stack(
            [squares(_total([part[i] for part in (direct, pulled) if i in part])) for i in variables], 1
        )

    return dict(zip(variables, tf.unstack(in_blocks(compute, batch, numbers), axis=1), strict=True))


def _total(parts: Sequence[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
