"""A comparison of scores as lines for people, none wider than 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .output import spans, text_table

_WIDTH = 80
_MOST_CLASSES = 20
_MOST_NAME = 16


def comparison_lines(result: Mapping[str, Any]) -> list[str]:
    """The lines of what `prunekit compare --json` prints."""
    return [
        f"{result['examples']:,} examples, matched by id",
        *_side_lines(result["sides"]),
        *_correlation_lines(result["pairs"]),
        *_overlap_lines(result),
        *_class_lines(result),
    ]


def _side_lines(sides: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [f"  {side['side']}  {_shortened(side['name'], _WIDTH - 5)}" for side in sides]
    header = ("side", "score", "epochs", "seeds", "reliability", "left out")
    rows = [
        (
            side["side"],
            _shortened(side["score"] or "score", _MOST_NAME),
            _epochs(side),
            None if side["seeds"] is None else len(side["seeds"]),
            side["reliability"],
            side["left_out"],
        )
        for side in sides
    ]
    return [*names, *text_table(header, rows)]


def _correlation_lines(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [(each["pair"], each["rank_correlation"], each["ceiling"], each["corrected"]) for each in pairs]
    lines = [
        "rank correlation of the mean scores (Spearman):",
        *text_table(("pair", "correlation", "ceiling", "corrected"), rows),
    ]
    if any(np.isnan(each["ceiling"]) for each in pairs):
        lines += [
            "  no ceiling: one seed, no reliability in the file, or both sides rest on the",
            "  same networks, whose chance they share",
        ]
    return lines


def _overlap_lines(result: Mapping[str, Any]) -> list[str]:
    n, sizes = result["examples"], result["sizes"]
    header = ["hardest", *(each["pair"] for each in result["pairs"]), "chance"]
    rows = [
        [
            f"{size['kept']:,} ({size['kept'] / n:.0%})",
            *(e["overlap"][i] for e in result["pairs"]),
            size["chance"],
        ]
        for i, size in enumerate(sizes)
    ]
    return ["share of the kept examples that both keep:", *_blocks(header, rows)]


def _class_lines(result: Mapping[str, Any]) -> list[str]:
    """Of many classes those in which the sides agree least."""
    pairs = [each["pair"] for each in result["pairs"]]
    sides = [side["side"] for side in result["sides"]]
    if not (classes := list(result["classes"])):
        return []
    which = ""
    if len(classes) > _MOST_CLASSES:
        which = f", of {len(classes)} classes the {_MOST_CLASSES} that agree least"
        classes.sort(key=lambda each: np.nan_to_num(min(each["rank_correlation"].values()), nan=np.inf))
        classes = classes[:_MOST_CLASSES]
    names = [_shortened(each["name"], _MOST_NAME) for each in classes]
    within = [
        [name, each["examples"], *(each["rank_correlation"][pair] for pair in pairs)]
        for name, each in zip(names, classes, strict=True)
    ]
    shares = [
        [name, each["share"], *(each["share_of_hardest_half"][side] for side in sides)]
        for name, each in zip(names, classes, strict=True)
    ]
    return [
        f"rank correlation within each class{which}:",
        *_blocks(["class", "examples", *pairs], within),
        "share of each class, of all and of the hardest half by each side:",
        *_blocks(["class", "all", *sides], shares),
    ]


def _blocks(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A table; as several tables, one below the other, where it would be too wide."""
    lines = text_table(header, rows)
    if len(lines[0]) <= _WIDTH:
        return lines
    for fits in range(len(header) - 1, 1, -1):
        lines = text_table(header[:fits], [row[:fits] for row in rows])
        if len(lines[0]) <= _WIDTH:
            break
    rest = _blocks([header[0], *header[fits:]], [[row[0], *row[fits:]] for row in rows])
    return [*lines, *rest]


def _epochs(side: Mapping[str, Any]) -> str | None:
    """At which epoch, or over which epochs, the scores of a side were taken."""
    epochs = side["epochs"] or ([] if side["epoch"] is None else [side["epoch"]])
    if not epochs:
        return None
    written = spans(epochs)
    return written if len(written) <= _MOST_NAME else f"{len(epochs)}, {epochs[0]} to {epochs[-1]}"


def _shortened(name: str, most: int) -> str:
    """`name`, or its end where it is long: of paths that is what tells them apart."""
    return name if len(name) <= most else f"...{name[3 - most :]}"
