"""What the sliders of a report need to count exactly what `prunekit prune` keeps, small enough for a page."""

from __future__ import annotations

import base64
import shlex
from typing import Any

import numpy as np

from .bins import class_histogram
from .reported import Reported

MOST_ORDERED = 300_000
"""Up to so many examples a page has the class of each, in the order of the scores; above, counts at steps."""

STEPS = 100
"""Of the sliders, where the page has counts: keep and offset are whole percents then."""


def slider_data(reported: Reported, /) -> dict[str, Any]:
    """The classes in the order of the scores, or their counts where a window can begin and end.

    With `STEPS`, an offset and a size are each rounded to whole examples: a window ends within one example
    of a step. The counts up to these places are there, so that nothing is estimated in between.
    """
    n, num_classes = len(reported), len(reported.classes)
    codes = reported.codes[reported.order]
    bins = class_histogram(reported.scores, reported.codes, num_classes)
    counted: dict[str, Any]
    if n <= MOST_ORDERED:
        width = 1 if num_classes <= 1 << 8 else 2 if num_classes <= 1 << 16 else 4
        counted = {"order": _packed(codes, f"<u{width}"), "bytes": width, "step": 0.001}
    else:
        at = {round(step / STEPS * n) + d for step in range(STEPS + 1) for d in (-1, 0, 1)}
        places = sorted(place for place in at if 0 <= place <= n)
        pieces = np.split(codes, places[1:-1])  # from 0 to n
        per_piece = np.stack([np.bincount(piece, minlength=num_classes) for piece in pieces])
        upto = np.vstack([np.zeros(num_classes, np.int64), np.cumsum(per_piece, axis=0)])
        counted = {"places": _packed(places, "<u4"), "upto": _packed(upto, "<u4"), "step": 1 / STEPS}
    return {
        "n": n,
        "classes": reported.class_names,
        "sizes": np.bincount(reported.codes, minlength=num_classes).tolist(),
        "score": reported.score,
        "edges": [float(edge) for edge in bins.edges],
        "counts": bins.counts.tolist(),
        "perClass": reported.has_hard_labels,
        "commands": commands(reported),
        **counted,
    }


def commands(reported: Reported, /) -> dict[str, str | None]:
    """The command lines that make a subset of these scores; what the sliders say goes between."""
    path = shlex.quote(str(reported.path))
    if reported.run is None:
        return {"aggregate": None, "prune": f"prunekit prune {path}"}
    made = reported.made
    aggregate = f"prunekit aggregate {path} --score {shlex.quote(reported.score)} --epoch {made['epoch']}"
    return {"aggregate": f"{aggregate} --out scores.parquet", "prune": "prunekit prune scores.parquet"}


def _packed(values: Any, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()
