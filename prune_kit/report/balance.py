"""The classes of a subset that was kept, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..id_index import IdIndex
from ..subset_file import read_ids
from .chart import SERIES, Chart, finished, values
from .needs import package
from .reported import Reported
from .shown_classes import shown_classes


@dataclass(frozen=True)
class Balance:
    """A kept subset."""

    path: str
    kept: int
    gone: list[str]
    """Names of the classes of which nothing is kept."""
    rows: list[tuple[str, int, int, str]]
    """Of each class: name, examples, kept, the share that is kept."""
    chart: Chart


def balance_of(path: str | Path, reported: Reported, /) -> Balance:
    """Read the ids of a kept subset and count its classes.

    Raises
    ------
    PruneKitError
        If the file names examples that the report does not have.
    """
    ids = read_ids(path)
    places = IdIndex(reported.table.ids).positions(ids, where=str(reported.path))
    num_classes = len(reported.classes)
    before = np.bincount(reported.codes, minlength=num_classes)
    after = np.bincount(reported.codes[places], minlength=num_classes)
    names = reported.class_names
    rows = [(name, int(b), int(a), f"{a / b:.1%}") for name, b, a in zip(names, before, after, strict=True)]
    gone = [name for name, _, a, _ in rows if not a]
    shown = shown_classes((after / before).tolist(), names)
    points = [
        {
            "class": label,
            "what": what,
            "share": float(counts[code] / counts.sum()),
            "count": int(counts[code]),
        }
        for code, label in zip(shown.codes, shown.names, strict=True)
        for what, counts in (("before", before), ("after", after))
    ]
    alt = package("altair")
    base = alt.Chart(values(points)).encode(
        x=alt.X("share:Q", title="share of the examples", axis=alt.Axis(format="%", tickCount=6)),
        y=alt.Y("class:N", sort=shown.names, title=None),
    )
    scale = alt.Scale(domain=["before", "after"], range=["var(--ink-2)", SERIES[0]])
    circles = alt.Legend(symbolType="circle", symbolStrokeWidth=0)
    lines = base.mark_line(color="var(--line-strong)", strokeWidth=2).encode(detail="class:N")
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        color=alt.Color("what:N", title=None, scale=scale, legend=circles),
        tooltip=[
            "class:N",
            "what:N",
            alt.Tooltip("share:Q", format=".1%"),
            alt.Tooltip("count:Q", title="examples", format=","),
        ],
    )
    said = (
        f"The share of each class among all {len(reported):,} examples and among the {len(ids):,} that stay."
        f"{shown.said}"
    )
    chart = Chart(
        "balance",
        "Class balance before and after",
        said,
        finished(lines + dots, height=shown.height),
        ("class", "examples", "kept", "share kept"),
        rows,
    )
    return Balance(str(path), len(ids), gone, rows, chart)
