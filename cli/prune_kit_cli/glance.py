"""Mean scores at a glance: their histogram and their classes, as lines and as JSON values."""

from __future__ import annotations

from typing import Any

import numpy as np

from prune_kit.histogram import histogram
from prune_kit.table import ScoreTable

from .class_names import class_names
from .class_table import class_lines, classes_of
from .columns import shortened, wrapped
from .output import spans
from .text_histogram import BINS, histogram_lines


def glance(table: ScoreTable, column: str = "score") -> dict[str, Any]:
    """The histogram of a column, and its classes where all examples have one, and a score."""
    counted = histogram(table[column], bins=BINS)
    result: dict[str, Any] = {
        "histogram": {
            "column": column,
            "edges": counted.edges.tolist(),
            "counts": counted.counts.tolist(),
            "infinite": counted.infinite,
            "missing": counted.missing,
        },
        "classes": [],
    }
    if table.labels.ndim == 1 and not np.isnan(table[column]).any():
        result["classes"] = classes_of(table[column], table.labels, class_names(table))
    return result


def glance_lines(table: ScoreTable, column: str = "score") -> list[str]:
    """The same for people."""
    found = glance(table, column)
    return [
        *wrapped([f"{_what(table, column)} (higher is harder):"]),
        *histogram_lines(histogram(table[column], bins=BINS)),
        *class_lines(found["classes"]),
    ]


def _what(table: ScoreTable, column: str) -> str:
    """Which score, at which epochs, of how many seeds, as far as the table says it."""
    made = table.provenance.get("of") or table.provenance
    said = shortened(str(made.get("score") or column) if column == "score" else column, 30)
    if epochs := made.get("epochs"):
        said += f" over epochs {shortened(spans(epochs), 16)}"
    elif made.get("epoch") is not None:
        said += f" at epoch {made['epoch']}"
    seeds = made.get("seeds")
    return said if not seeds else f"{said}, mean over {len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
