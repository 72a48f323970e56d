"""Which uses add up before a norm is taken, and whether their gradients must be written out for that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .plan import Group, Key
from .selection import address
from .source import Source


def group_uses(
    fired: Sequence[Key], sources: Mapping[Key, Source], leaves: Sequence[Tensor]
) -> dict[Key, Group]:
    """The group of every key in `fired`, which names a key once per use.

    Uses of one parameter through views add up as they are where the views agree, count on their own where
    they are disjoint, and are written out where they overlap in part or are not views.
    """
    counts = Counter(fired)
    roots = {key: _roots(key, sources, leaves) for key in counts}
    groups: dict[Key, Group] = {}
    for family in _families(roots):
        keys = [key for key in counts if set(roots[key]) & family]
        parameters = tuple(sorted(family))
        split = _without_writing_out(keys, counts, parameters, sources, leaves)
        if split is None:
            split = [(keys, Group(parameters, sum(counts[key] for key in keys), written_out=True))]
        for members, group in split:
            groups.update(dict.fromkeys(members, group))
    return groups


def _roots(key: Key, sources: Mapping[Key, Source], leaves: Sequence[Tensor]) -> tuple[int, ...]:
    """The parameters that a key was computed from."""
    if len(key) == 1:
        return key
    derived = sources[key].attached
    found = torch.autograd.grad(
        derived, list(leaves), torch.ones_like(derived), retain_graph=True, allow_unused=True
    )
    return tuple(i for i, grad in enumerate(found) if grad is not None)


def _families(roots: Mapping[Key, tuple[int, ...]]) -> list[set[int]]:
    families: list[set[int]] = []
    for parameters in roots.values():
        joined = set(parameters)
        for family in [f for f in families if f & joined]:
            joined |= family
            families.remove(family)
        if joined:
            families.append(joined)
    return families


def _without_writing_out(
    keys: list[Key],
    counts: Mapping[Key, int],
    parameters: tuple[int, ...],
    sources: Mapping[Key, Source],
    leaves: Sequence[Tensor],
) -> list[tuple[list[Key], Group]] | None:
    if len(parameters) != 1:
        return None
    if all(len(key) == 1 for key in keys):
        return [(keys, Group(parameters, sum(counts[key] for key in keys), written_out=False))]
    leaf = leaves[parameters[0]]
    places: dict[Key, Tensor] = {}
    for key in keys:
        place = (
            torch.arange(leaf.numel(), device=leaf.device).view(leaf.shape)
            if len(key) == 1
            else address(sources[key].attached, leaf)
        )
        if place is None:
            return None
        places[key] = place
    classes: list[tuple[list[Key], set[Key]]] = []
    # The parameter itself first: what is transposed is transposed relative to it.
    for key in sorted(keys, key=len):
        for members, transposed in classes:
            model = places[members[0]]
            if torch.equal(model, places[key]):
                members.append(key)
            elif model.ndim == 2 and torch.equal(
                model, places[key].mT if places[key].ndim == 2 else places[key]
            ):
                members.append(key)
                transposed.add(key)
            else:
                continue
            break
        else:
            classes.append(([key], set()))
    covered = torch.zeros(leaf.numel(), dtype=torch.int32, device=leaf.device)
    for members, _ in classes:
        covered[places[members[0]].flatten()] += 1
    if int(covered.max()) > 1:
        return None
    return [
        (members, Group(parameters, sum(counts[k] for k in members), False, frozenset(transposed)))
        for members, transposed in classes
    ]
