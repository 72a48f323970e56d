"""How a score is distributed: over all examples, and class by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..arrays import NumpyArray
from .bins import ClassHistogram, class_histogram, medians_by_class
from .chart import ACCENT, Chart, finished, values
from .movement import movement_charts
from .needs import package
from .reported import Reported
from .shown_classes import ShownClasses, shown_classes


def distribution_charts(reported: Reported, name: str, scores: NumpyArray, /) -> Iterator[Chart]:
    """The charts of one score of a report; those of its epochs are the last."""
    num_classes = len(reported.classes)
    bins = class_histogram(scores, reported.codes, num_classes)
    medians = medians_by_class(scores, reported.codes, num_classes)
    shown = shown_classes(medians, reported.class_names)
    yield _overall(name, bins)
    if num_classes > 1:
        yield _by_class(name, bins, medians, shown)
    yield from movement_charts(reported, name, shown)


def _overall(name: str, bins: ClassHistogram) -> Chart:
    alt = package("altair")
    counts = bins.counts.sum(axis=0)
    infinite = int(bins.infinite.sum())
    is_skewed = counts.max(initial=0) > 0.5 * max(1, counts.sum())
    rows = [
        {"from": low, "to": high, "count": count}
        for low, high, count in zip(bins.edges, bins.edges[1:], counts.tolist(), strict=False)
    ]
    bars = alt.Chart(values(rows)).mark_rect(color=ACCENT, stroke="var(--paper)", strokeWidth=1)
    y_title = "examples (root scale)" if is_skewed else "examples"
    spec = bars.encode(
        x=_along(name, bins),
        x2="to",
        y=alt.Y("count:Q", title=y_title, scale=alt.Scale(type="sqrt" if is_skewed else "linear")),
        y2=alt.datum(0),
        tooltip=[
            alt.Tooltip("from:Q", format=".4~g"),
            alt.Tooltip("to:Q", format=".4~g"),
            alt.Tooltip("count:Q", title="examples", format=","),
        ],
    )
    peak = rows[int(np.argmax(counts))]
    said = f"The fullest bar has {peak['count']:,} examples, from {peak['from']:.3g} to {peak['to']:.3g}."
    if infinite:
        said += f" Not in the picture: {infinite:,} that a seed never learned, whose score is infinite."
    table = [(f"{row['from']:.4g}", f"{row['to']:.4g}", row["count"]) for row in rows]
    return Chart(
        f"histogram-{name}",
        f"{name} of all examples",
        said,
        finished(spec, height=200),
        ("from", "to", "examples"),
        table,
    )


def _by_class(name: str, bins: ClassHistogram, medians: Sequence[float], shown: ShownClasses) -> Chart:
    alt = package("altair")
    sizes = bins.counts.sum(axis=1) + bins.infinite
    rows = [
        {
            "class": label,
            "from": float(bins.edges[b]),
            "to": float(bins.edges[b + 1]),
            "share": count / int(sizes[code]),
            "count": count,
        }
        for code, label in zip(shown.codes, shown.names, strict=True)
        for b, count in enumerate(bins.counts[code].tolist())
        if count
    ]
    # One bin that has most of its class must not make all others pale.
    strong = float(np.quantile([row["share"] for row in rows], 0.97)) if rows else 1.0
    shades = alt.Scale(type="sqrt", domain=[0, strong], range=[0.06, 1], clamp=True)
    spec = (
        alt.Chart(values(rows))
        .mark_rect(color=ACCENT)
        .encode(
            x=_along(name, bins),
            x2="to",
            y=alt.Y("class:N", sort=shown.names, title=None, scale=alt.Scale(paddingInner=0.15)),
            opacity=alt.Opacity("share:Q", scale=shades, legend=None),
            tooltip=[
                "class:N",
                alt.Tooltip("from:Q", format=".4~g"),
                alt.Tooltip("to:Q", format=".4~g"),
                alt.Tooltip("count:Q", title="examples", format=","),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
    )
    table = [
        (label, int(sizes[code]), f"{medians[code]:.4g}")
        for code, label in zip(shown.codes, shown.names, strict=True)
    ]
    hardest, easiest = shown.names[0], shown.names[-1]
    said = (
        f"By the median, {hardest} is the hardest class and {easiest} the easiest. The stronger the colour, "
        f"the larger the share of the class.{shown.said}"
    )
    drawn = finished(spec, height=shown.height)
    header = ("class", "examples", f"median {name}")
    return Chart(f"classes-{name}", f"{name} by class", said, drawn, header, table)


def _along(name: str, bins: ClassHistogram) -> Any:
    """The axis of the scores; one that begins close to 0 begins there."""
    alt = package("altair")
    low, high = float(bins.edges[0]), float(bins.edges[-1])
    begin = 0.0 if 0 <= low < 0.02 * high else low
    axis = alt.Axis(grid=False, tickCount=8)
    return alt.X("from:Q", bin="binned", title=name, axis=axis, scale=alt.Scale(domain=[begin, high]))
