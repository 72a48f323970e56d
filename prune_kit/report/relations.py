"""The score that a report goes by against the other scores of the run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..arrays import NumpyArray
from .bins import rank_density
from .chart import ACCENT, Chart, finished, values
from .needs import package
from .reported import Reported


def relation_charts(reported: Reported, /) -> Iterator[Chart]:
    """The score that the report goes by against each other one, by rank."""
    for name, scores in reported.others.items():
        yield _relation(reported.score, name, reported.scores, scores)


def _relation(first: str, second: str, x: NumpyArray, y: NumpyArray) -> Chart:
    alt = package("altair")
    density = rank_density(x, y)
    bins = len(density.counts)
    rows = [
        {"x": i / bins, "x2": (i + 1) / bins, "y": j / bins, "y2": (j + 1) / bins, "count": int(count)}
        for (i, j), count in np.ndenumerate(density.counts)
        if count
    ]
    whole = alt.Scale(domain=[0, 1])
    axis = {"format": "%", "values": [0, 0.25, 0.5, 0.75, 1], "grid": False}
    spec = (
        alt.Chart(values(rows))
        .mark_rect(color=ACCENT)
        .encode(
            x=alt.X("x:Q", bin="binned", title=f"rank by {first}", axis=alt.Axis(**axis), scale=whole),
            x2="x2",
            y=alt.Y("y:Q", bin="binned", title=f"rank by {second}", axis=alt.Axis(**axis), scale=whole),
            y2="y2",
            opacity=alt.Opacity("count:Q", scale=alt.Scale(type="sqrt", range=[0.06, 1]), legend=None),
            tooltip=[alt.Tooltip("count:Q", title="examples", format=",")],
        )
    )
    quarters = rank_density(x, y, bins=4).counts
    table = [(f"{i + 1} of 4", *quarters[i].tolist()) for i in range(4)]
    rho = "is not defined" if density.correlation is None else f"is {density.correlation:.3f}"
    said = (
        f"Examples by their rank in both orders, easiest at the bottom left; the stronger the colour, the "
        f"more of them. The rank correlation (Spearman) {rho}."
    )
    header = (f"quarter by {first}", *(f"{second}: {j + 1} of 4" for j in range(4)))
    drawn = finished(spec, height=320)
    return Chart(f"relation-{second}", f"{first} against {second}", said, drawn, header, table)
