"""Classes at a glance: how many examples, how hard, how much of the hardest half."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.classes import encode_labels
from prune_kit.select import keep_hardest

from .class_names import class_name
from .columns import shortened
from .output import text_table

MOST_CLASSES = 12
MOST_NAME = 24


def classes_of(scores: NumpyArray, labels: NumpyArray, names: Sequence[str]) -> list[dict[str, Any]]:
    """One object per class: label, name, examples, share, mean_score, share_of_hardest_half.

    The shares are those of the class among all examples, and among the harder half of them.
    """
    classes, codes = encode_labels(labels)
    half = keep_hardest(scores, fraction=0.5)
    counts = np.bincount(codes, minlength=len(classes))
    hard = np.bincount(codes[half], minlength=len(classes))
    sums = np.bincount(codes, weights=scores.astype(np.float64), minlength=len(classes))
    return [
        {
            "label": int(label),
            "name": class_name(int(label), names),
            "examples": int(count),
            "share": float(count / len(labels)),
            "mean_score": float(total / count),
            "share_of_hardest_half": float(among / max(1, len(half))),
        }
        for label, count, total, among in zip(classes, counts, sums, hard, strict=True)
    ]


def class_lines(classes: Sequence[dict[str, Any]]) -> list[str]:
    """A table of the classes; of many, those with the highest and the lowest mean scores."""
    if len(classes) < 2:
        return []
    title, shown = "classes:", list(classes)
    if len(shown) > MOST_CLASSES:
        title = f"{len(shown):,} classes; those with the highest and the lowest mean scores:"
        shown.sort(key=lambda each: -each["mean_score"])
        shown = shown[: MOST_CLASSES // 2] + shown[-MOST_CLASSES // 2 :]
    header = ("class", "examples", "mean score", "of all", "of the hardest half")
    rows = [
        (
            shortened(each["name"], MOST_NAME),
            each["examples"],
            each["mean_score"],
            f"{each['share']:.1%}",
            f"{each['share_of_hardest_half']:.1%}",
        )
        for each in shown
    ]
    return [title, *text_table(header, rows)]
