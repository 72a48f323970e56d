"""A chart of the report: a Vega-Lite specification, what it shows in words, and its numbers as a table.

Colours are CSS variables, so that one drawing fits light, dark and paper; shades are opacities of one colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .needs import package

ACCENT = "var(--accent)"
SERIES = tuple(f"var(--series-{i})" for i in range(1, 6))
_MOST_NAME = 24


@dataclass(frozen=True)
class Chart:
    """What a page needs of a chart."""

    name: str
    """Unique in the page; letters, digits and hyphens."""
    title: str
    description: str
    """What is seen, for those who do not see it."""
    spec: dict[str, Any]
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    """The numbers behind the chart."""


def finished(chart: Any, /, *, height: int) -> dict[str, Any]:
    """The specification of an Altair chart, as wide as its place in the page."""
    drawn = chart.properties(width="container", height=height).configure(
        background="transparent",
        font="system-ui, sans-serif",
        padding=0,
        view={"stroke": None},
        axis={
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "labelLimit": 140,
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
            "titlePadding": 8,
        },
        legend={
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "orient": "top",
            "labelLimit": 200,
            "symbolType": "stroke",
            "symbolStrokeWidth": 3,
            "columnPadding": 24,
        },
        rect={"strokeWidth": 0},
    )
    spec: dict[str, Any] = drawn.to_dict()
    return spec


def values(rows: Sequence[dict[str, Any]]) -> Any:
    """Rows as the data of an Altair chart; what is NaN or infinite is null, which is not drawn."""
    finite = [{name: value if _is_finite(value) else None for name, value in row.items()} for row in rows]
    return package("altair").Data(values=finite)


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def short(name: str) -> str:
    """A name that fits beside an axis."""
    return name if len(name) <= _MOST_NAME else name[: _MOST_NAME - 1] + "…"


def distinct(names: Sequence[str]) -> list[str]:
    """Short names, told apart by their number where shortening made them the same."""
    shortened = [short(name) for name in names]
    twice = {name for name in shortened if shortened.count(name) > 1}
    return [f"{name} ({i})" if name in twice else name for i, name in enumerate(shortened)]
