"""What `prunekit info` says of a file of scores, of kept examples, or of flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.table import ScoreTable

from .agreement import reliability_lines
from .columns import WIDTH, field, shortened, wrapped
from .flagged_classes import flagged_by_class, flagged_lines
from .glance import glance, glance_lines
from .output import show, text_table

_TOLD = (
    "run",
    "score",
    "epoch",
    "epochs",
    "column",
    "seeds",
    "method",
    "keep",
    "offset",
    "per_class",
    "at_least",
)
"""Of a file's provenance."""
_MOST_NAME = 16
_FLAGGED = "flagged"


def show_table(path: Path, table: ScoreTable, as_json: bool) -> None:
    """Print what the file holds, as JSON or for people."""
    provenance = table.provenance
    summary = {name: _quantiles(table[name]) for name in table if table[name].dtype.kind in "iuf"}
    counts = {name: int(table[name].sum()) for name in table if table[name].dtype.kind == "b"}
    result: dict[str, Any] = {
        "file": str(path),
        "examples": len(table),
        "columns": summary,
        "provenance": provenance,
        "true": counts,
    }
    ending = f": {len(table):,} examples"
    rows = [
        (shortened(name, _MOST_NAME), *(_short(value) for value in quantiles))
        for name, quantiles in summary.items()
    ]
    lines = [
        shortened(str(path), WIDTH - len(ending)) + ending,
        *text_table(("column", "min", "quarter", "median", "three quarters", "max"), rows),
        *(f"  {shortened(name, 40)}: {count:,} of {len(table):,}" for name, count in counts.items()),
    ]
    for key in _TOLD:
        if provenance.get(key) is not None:
            lines += field(key, provenance[key])
    if "wrong" in provenance:
        lines += field("wrong", f"about {provenance['wrong']:,.0f} labels, estimated")
    if column := _score_column(table):
        result |= glance(table, column)
        lines += glance_lines(table, column)
        lines += wrapped(reliability_lines(provenance))
    if _FLAGGED in counts and table.labels.ndim == 1 and len(table):
        result["flagged_by_class"] = flagged_by_class(table)
        lines += flagged_lines(table)
    show(as_json, result, lines)


def _score_column(table: ScoreTable) -> str | None:
    """The column to show: the mean score, or else the first of floats; not p_label, not an error."""
    if not len(table) or _FLAGGED in table:
        return None
    names = ["score", *(name for name in table if name not in ("p_label", "standard_error"))]
    return next((name for name in names if name in table and _is_plain(table[name])), None)


def _is_plain(column: NumpyArray) -> bool:
    return column.ndim == 1 and column.dtype.kind == "f"


def _short(value: float) -> float | int | str:
    """Whole numbers without decimals; what is too large for the table in powers of ten."""
    if np.isfinite(value) and value == int(value) and abs(value) < 1e9:
        return int(value)
    return value


def _quantiles(column: NumpyArray) -> list[float]:
    finite = column[~np.isnan(column)] if column.dtype.kind == "f" else column
    if not len(finite):
        return [float("nan")] * 5
    return [float(value) for value in np.quantile(finite, [0, 0.25, 0.5, 0.75, 1], method="nearest")]
