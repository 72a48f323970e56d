"""Flagged labels class by class: how many, and what they should be most often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prune_kit.classes import encode_labels
from prune_kit.table import ScoreTable

from .class_names import class_name, class_names
from .class_table import MOST_CLASSES, MOST_NAME
from .columns import shortened
from .output import text_table


def flagged_by_class(table: ScoreTable) -> list[dict[str, Any]]:
    """One object per given class: label, name, examples, flagged, and what is suggested most often.

    ``suggested`` and ``suggested_times`` are None and 0 where the file suggests nothing, or flags none.
    """
    names = class_names(table)
    classes, codes = encode_labels(table.labels)
    flagged = table["flagged"].astype(bool)
    rows = []
    for code, label in enumerate(classes.tolist()):
        of = flagged & (codes == code)
        suggested, times = None, 0
        if "suggested" in table and of.any():
            values, counts = np.unique(table["suggested"][of], return_counts=True)
            suggested, times = int(values[counts.argmax()]), int(counts.max())
        rows.append(
            {
                "label": label,
                "name": class_name(label, names),
                "examples": int((codes == code).sum()),
                "flagged": int(of.sum()),
                "suggested": suggested,
                "suggested_times": times,
            }
        )
    return rows


def flagged_lines(table: ScoreTable) -> list[str]:
    """The same for people: of many classes those with most flags."""
    names = class_names(table)
    rows = flagged_by_class(table)
    title = "flagged labels by given class:"
    if len(rows) > MOST_CLASSES:
        title = f"flagged labels, the {MOST_CLASSES} of {len(rows):,} classes with most:"
        rows = sorted(rows, key=lambda row: -row["flagged"])[:MOST_CLASSES]
    cells = [
        (shortened(row["name"], MOST_NAME), row["examples"], row["flagged"], _suggested(row, names))
        for row in rows
    ]
    return [title, *text_table(("given", "examples", "flagged", "suggested most"), cells)]


def _suggested(row: dict[str, Any], names: Sequence[str]) -> str:
    if row["suggested"] is None:
        return "-"
    return f"{shortened(class_name(row['suggested'], names), MOST_NAME - 4)} ({row['suggested_times']:,})"
