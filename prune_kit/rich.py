"""Tables and flags as notebooks show them: plain HTML without scripts, readable on light and dark pages.

Everything that comes from data is escaped. Colours are those of the page, so there is nothing to switch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from .arrays import NumpyArray
from .histogram import Histogram, histogram

_HEAD = 5
_MOST_PAIRS = 10
_MOST_COLUMNS = 20
_LONGEST = 60
_LONGEST_PROVENANCE = 4000
_BINS = 24
_WIDTH, _HEIGHT = 120, 24
_CELL = "text-align:right;padding:2px 8px;border:0;border-bottom:1px solid rgba(128,128,128,.35)"
_SMALL = "margin:.4em 0"


def score_table_html(
    ids: NumpyArray, labels: NumpyArray, columns: Mapping[str, NumpyArray], provenance: Mapping[str, Any]
) -> str:
    """A `ScoreTable` as HTML: the first rows, each column in a line with its histogram, the provenance."""
    n = len(ids)
    names = list(columns)[:_MOST_COLUMNS]
    head = [
        [_value(ids[row]), _label(labels[row], provenance), *(_value(columns[name][row]) for name in names)]
        for row in range(min(_HEAD, n))
    ]
    lines = [[name, *_summary(columns[name])] for name in names]
    classes = f", {len(np.unique(labels)):,} classes" if labels.ndim == 1 and n else ""
    left_out = len(columns) - len(names)
    parts = [
        _paragraph(f"<b>ScoreTable</b>: {n:,} examples{classes}; of scores, higher is harder"),
        _table(["id", "label", *names], head),
        _paragraph(f"and {n - _HEAD:,} more") if n > _HEAD else "",
        _table(["column", "distribution", "min", "median", "max"], lines) if lines else "",
        _paragraph(f"and {left_out:,} more columns") if left_out else "",
        _provenance(provenance),
    ]
    return f"<div>{''.join(parts)}</div>"


def noise_flags_html(
    flags: NumpyArray, probability: NumpyArray, suggested: NumpyArray, count: float, joint: NumpyArray
) -> str:
    """`NoiseFlags` as HTML: how many, between which classes, which examples first."""
    n, flagged = len(flags), int(np.count_nonzero(flags))
    wrong = np.where(np.eye(len(joint), dtype=bool), 0.0, joint)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    true, given = np.unravel_index(order, wrong.shape)
    pairs = [
        [str(t), str(g), f"{wrong[t, g]:,.1f}"]
        for t, g in zip(true.tolist(), given.tolist(), strict=True)
        if wrong[t, g] >= 0.5
    ]
    first = np.argsort(-probability, kind="stable")[: min(_HEAD, flagged)]
    suspects = [[f"{i:,}", f"{probability[i]:.3f}", str(suggested[i])] for i in first.tolist()]
    parts = [
        _paragraph(f"<b>NoiseFlags</b>: {flagged:,} of {n:,} labels flagged, about {count:,.0f} wrong"),
        _paragraph("most wrong labels by class, estimated") if pairs else "",
        _table(["true", "given", "wrong"], pairs) if pairs else "",
        _paragraph("most suspect") if suspects else "",
        _table(["position", "probability", "suggested"], suspects) if suspects else "",
    ]
    return f"<div>{''.join(parts)}</div>"


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def _summary(column: NumpyArray) -> list[str]:
    """What a line says of a column: its histogram, and its lowest, middle and highest value."""
    if column.ndim == 2:
        return [f"{column.shape[1]:,} values each", "", "", ""]
    if column.dtype.kind == "b":
        return [f"{int(column.sum()):,} true", "", "", ""]
    if column.dtype.kind not in "iuf":
        return ["text", "", "", ""]
    known = column[~np.isnan(column)]
    if not len(known):
        return ["no values", "", "", ""]
    quantiles = np.quantile(known, [0, 0.5, 1], method="nearest")
    return [_svg(histogram(column, bins=_BINS)), *(_value(value) for value in quantiles)]


def _svg(counted: Histogram) -> _Html:
    """Bars in the colour of the text."""
    counts = counted.counts.tolist()
    width, most = _WIDTH / len(counts), max(1, *counts)
    bars = "".join(
        f'<rect x="{i * width:.2f}" y="{_HEIGHT - height:.2f}" width="{0.9 * width:.2f}" '
        f'height="{height:.2f}"/>'
        for i, count in enumerate(counts)
        if (height := max(count > 0, _HEIGHT * count / most))
    )
    said = f"histogram from {counted.edges[0]:.3g} to {counted.edges[-1]:.3g}"
    if counted.infinite:
        said += f", {counted.infinite:,} infinite"
    return _Html(
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{said}" fill="currentColor" fill-opacity="0.65">'
        f"<title>{said}</title>{bars}</svg>"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col" style="{_CELL}">{_escaped(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{_escaped(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f'<table style="border-collapse:collapse;color:inherit;font:inherit;{_SMALL}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _paragraph(html: str) -> str:
    return f'<p style="{_SMALL}">{html}</p>'


def _provenance(provenance: Mapping[str, Any]) -> str:
    if not provenance:
        return ""
    text = json.dumps(provenance, indent=2, sort_keys=True, default=str, ensure_ascii=False)
    if len(text) > _LONGEST_PROVENANCE:
        text = f"{text[:_LONGEST_PROVENANCE]}\n..."
    return f"<details><summary>provenance</summary><pre>{escape(text)}</pre></details>"


def _value(value: Any) -> str:
    """One value of a column."""
    if isinstance(value, np.ndarray):
        return f"{len(value):,} values"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return str(value)


def _label(label: Any, provenance: Mapping[str, Any]) -> str:
    """A label, with the name of its class where the provenance has it."""
    config = provenance.get("config")
    names = config.get("class_names") if isinstance(config, Mapping) else None
    if not isinstance(names, Sequence) or label.ndim or not 0 <= label < len(names):
        return _value(label)
    return str(label) if str(names[label]) == str(label) else f"{label} ({names[label]})"


def _escaped(text: str) -> str:
    if isinstance(text, _Html):
        return text
    return escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
