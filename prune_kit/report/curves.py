"""What was measured on subsets and during training: retraining, kernel velocity, error barriers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import NumpyArray
from ..dynamics_files import read_barrier, read_velocity
from ..retraining import Retraining
from ..seed_means import means_at
from .chart import ACCENT, SERIES, Chart, distinct, finished, values
from .needs import package


def retraining_chart(path: str | Path, /) -> Chart:
    """The accuracy of every subset that was retrained, with its standard error."""
    found = Retraining.read(path)
    summary = found.summary()
    labels = distinct([row["subset"] for row in summary])
    rows = []
    for label, row in zip(labels, summary, strict=True):
        of = found.subsets[row["subset"]].get("of")
        error = row["standard_error"]
        rows.append(
            {
                "subset": label,
                "accuracy": row["accuracy"],
                "low": row["accuracy"] - (error or 0),
                "high": row["accuracy"] + (error or 0),
                "kept": f"{row['kept']:,}" + (f" ({row['kept'] / of:.0%})" if of else ""),
                "seeds": row["seeds"],
                "error": "" if error is None else f"{error:.4f}",
            }
        )
    alt = package("altair")
    y = alt.Y("subset:N", sort=labels, title=None)
    x_axis = alt.Axis(format=".1%", tickCount=6)
    x = alt.X("accuracy:Q", scale=alt.Scale(zero=False), title="test accuracy", axis=x_axis)
    base = alt.Chart(values(rows)).encode(y=y)
    low = alt.X("low:Q", scale=alt.Scale(zero=False))
    bars = base.mark_rule(color=ACCENT, strokeWidth=2).encode(x=low, x2="high")
    dots = base.mark_point(color=ACCENT, filled=True, size=80, opacity=1).encode(
        x=x, tooltip=["subset:N", "kept:N", "seeds:Q", alt.Tooltip("accuracy:Q", format=".4f"), "error:N"]
    )
    same = "optimisation steps" if found.equal == "steps" else "epochs"
    said = (
        f"Mean test accuracy at epoch {found.last_epoch} of networks trained anew on each subset, for the "
        f"same number of {same}; the bars are one standard error to either side."
    )
    table = [(r["subset"], r["kept"], r["seeds"], f"{r['accuracy']:.4f}", r["error"]) for r in rows]
    header = ("subset", "examples", "seeds", "accuracy", "standard error")
    spec = finished(bars + dots, height=max(100, 26 * len(rows)))
    return Chart("retraining", "Retraining on subsets", said, spec, header, table)


def velocity_chart(path: str | Path, /) -> Chart:
    """How fast the tangent kernel of examples moves, against the rank of their scores."""
    columns = read_velocity(path)
    intervals = sorted(set(zip(columns["epoch"].tolist(), columns["next_epoch"].tolist(), strict=True)))
    places = np.unique(np.linspace(0, len(intervals) - 1, len(SERIES)).round().astype(int)).tolist()
    rows: list[dict[str, Any]] = []
    for first, last in (intervals[place] for place in places):
        of_interval = (columns["epoch"] == first) & (columns["next_epoch"] == last)
        ranks = (columns["first_rank"][of_interval] + columns["last_rank"][of_interval]) / 2
        means = means_at(ranks, columns["velocity"][of_interval])
        rows += [{"epochs": f"{first} to {last}", **row} for row in _rows("rank", "velocity", *means)]
    said = (
        "Cosine distance between the tangent kernels at two epochs, of groups of examples by the rank of "
        "their scores, the easiest at the left; mean over the seeds, with one standard error to either side."
    )
    if len(places) < len(intervals):
        said += f" {len(places)} of {len(intervals)} intervals."
    table = [(row["epochs"], f"{row['rank']:,.0f}", f"{row['velocity']:.4g}") for row in rows]
    spec = _lines(rows, x="rank", y="velocity", by="epochs")
    return Chart("velocity", "Kernel velocity", said, spec, ("epochs", "rank", "velocity"), table)


def barrier_charts(path: str | Path, /) -> list[Chart]:
    """Error along the line between children of one network, and barriers by the epoch at which they part."""
    found = read_barrier(path)
    epochs = sorted(set(found["spawn_epoch"].tolist()))
    kinds = list(dict.fromkeys(found["examples"].tolist()))
    along: list[dict[str, Any]] = []
    barriers: list[dict[str, Any]] = []
    for kind in kinds:
        there = (found["examples"] == kind) & (found["spawn_epoch"] == epochs[0])
        errors = means_at(found["alpha"][there], found["error"][there])
        along += [{"examples": kind, **row} for row in _rows("alpha", "error", *errors)]
        of_kind = [row for row in found.summary if row["examples"] == kind]
        at = np.array([row["spawn_epoch"] for row in of_kind])
        means = means_at(at, np.array([row["error_barrier"] for row in of_kind]))
        barriers += [{"examples": kind, **row} for row in _rows("epoch", "barrier", *means)]
    with_errors = "mean over the seeds, with one standard error to either side."
    return [
        Chart(
            "barrier",
            "Error barrier",
            "How far the error on the line between two children of a network rises above that of its ends, "
            f"by the epoch at which they part; {with_errors} Near 0, they are linearly connected.",
            _lines(barriers, x="epoch", y="barrier", by="examples"),
            ("spawn epoch", "examples", "barrier"),
            [(row["epoch"], row["examples"], f"{row['barrier']:.4f}") for row in barriers],
        ),
        Chart(
            "barrier-path",
            f"Error between children of epoch {epochs[0]}",
            f"The error along the line from one child (0) to the other (1); {with_errors}",
            _lines(along, x="alpha", y="error", by="examples"),
            ("alpha", "examples", "error"),
            [(f"{row['alpha']:.3g}", row["examples"], f"{row['error']:.4f}") for row in along],
        ),
    ]


def _rows(
    x: str, y: str, places: NumpyArray, mean: NumpyArray, error: NumpyArray
) -> Iterator[dict[str, Any]]:
    """What a chart draws of means at places, with one standard error to either side."""
    columns = (each.tolist() for each in (places, mean, mean - error, mean + error))
    for place, middle, low, high in zip(*columns, strict=True):
        yield {x: place, y: middle, "low": low, "high": high}


def _lines(rows: Sequence[dict[str, Any]], *, x: str, y: str, by: str) -> dict[str, Any]:
    alt = package("altair")
    names = list(dict.fromkeys(row[by] for row in rows))
    scale = alt.Scale(domain=names, range=SERIES[: len(names)])
    base = alt.Chart(values(rows)).encode(
        x=alt.X(f"{x}:Q", axis=alt.Axis(grid=False)), color=alt.Color(f"{by}:N", scale=scale)
    )
    errors = base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=y), y2="high")
    lines = base.mark_line(strokeWidth=2, point={"size": 40}).encode(
        y=f"{y}:Q", tooltip=[f"{x}:Q", f"{by}:N", alt.Tooltip(f"{y}:Q", format=".4~g")]
    )
    return finished(errors + lines, height=240)
