"""How a score moves from epoch to epoch: over all examples, and class by class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import NumpyArray
from .bins import medians_by_class, quantiles
from .chart import ACCENT, Chart, finished, values
from .epoch_means import means_by_epoch
from .needs import package
from .reported import Reported
from .shown_classes import ShownClasses


def movement_charts(reported: Reported, name: str, shown: ShownClasses, /) -> Iterator[Chart]:
    """The charts of one score of a run that was scored at several epochs."""
    if reported.run is None:
        return
    means = dict(means_by_epoch(reported, reported.run, name))
    if len(means) < 2:
        return
    yield from _over_epochs(name, means)
    num_classes = len(reported.classes)
    if num_classes > 1:
        by_class = {e: medians_by_class(mean, reported.codes, num_classes) for e, mean in means.items()}
        yield _classes_over_epochs(name, by_class, shown)


def _over_epochs(name: str, means: dict[int, NumpyArray]) -> Iterator[Chart]:
    alt = package("altair")
    by_epoch = {epoch: quantiles(mean) for epoch, mean in means.items()}
    keys = ("q5", "q25", "q50", "q75", "q95")
    # What is infinite has no place on the axis; the table has it.
    drawn = [epoch for epoch, found in by_epoch.items() if np.isfinite(found).all()]
    if len(drawn) < 2:
        return
    rows = [{"epoch": epoch} | dict(zip(keys, by_epoch[epoch], strict=True)) for epoch in drawn]
    base = alt.Chart(values(rows)).encode(x=alt.X("epoch:Q", axis=alt.Axis(grid=False, tickMinStep=1)))
    outer = base.mark_area(color=ACCENT, opacity=0.18).encode(y=alt.Y("q5:Q", title=name), y2="q95")
    inner = base.mark_area(color=ACCENT, opacity=0.3).encode(y="q25:Q", y2="q75")
    tooltip = ["epoch:Q", *(alt.Tooltip(f"{key}:Q", format=".4~g") for key in keys)]
    middle = base.mark_line(color=ACCENT, strokeWidth=2.5, point={"size": 30, "color": ACCENT}).encode(
        y="q50:Q", tooltip=tooltip
    )
    first, last = (by_epoch[epoch][2] for epoch in (min(by_epoch), max(by_epoch)))
    said = (
        f"The median moves from {first:.3g} at epoch {min(by_epoch)} to {last:.3g} at epoch {max(by_epoch)}. "
        "Line: median. Bands: the middle half, and all but the outer tenth."
    )
    if len(drawn) < len(by_epoch):
        said += " Epochs at which some of these are infinite are not drawn."
    table = [(epoch, *(f"{value:.4g}" for value in found)) for epoch, found in by_epoch.items()]
    yield Chart(
        f"epochs-{name}",
        f"{name} over epochs",
        said,
        finished(outer + inner + middle, height=200),
        ("epoch", "5%", "25%", "median", "75%", "95%"),
        table,
    )


def _classes_over_epochs(name: str, by_class: dict[int, list[float]], shown: ShownClasses) -> Chart:
    alt = package("altair")
    rows: list[dict[str, Any]] = [
        {"class": label, "epoch": epoch, "median": medians[code]}
        for epoch, medians in by_class.items()
        for code, label in zip(shown.codes, shown.names, strict=True)
        if np.isfinite(medians[code])
    ]
    spec = (
        alt.Chart(values(rows))
        .mark_rect(color=ACCENT)
        .encode(
            x=alt.X("epoch:O", axis=alt.Axis(labelAngle=0), scale=alt.Scale(paddingInner=0.06)),
            y=alt.Y("class:N", sort=shown.names, title=None, scale=alt.Scale(paddingInner=0.15)),
            opacity=alt.Opacity("median:Q", scale=alt.Scale(range=[0.06, 1]), legend=None),
            tooltip=["class:N", "epoch:O", alt.Tooltip("median:Q", format=".4~g")],
        )
    )
    table = [
        (label, *(f"{medians[code]:.4g}" for medians in by_class.values()))
        for code, label in zip(shown.codes, shown.names, strict=True)
    ]
    blank = (
        " Where it is blank, the median is infinite." if len(rows) < len(by_class) * len(shown.codes) else ""
    )
    said = f"The median of each class at each epoch; the stronger the colour, the harder.{blank}{shown.said}"
    drawn = finished(spec, height=shown.height)
    header = ("class", *(f"epoch {epoch}" for epoch in by_class))
    return Chart(f"class-epochs-{name}", f"{name} of each class over epochs", said, drawn, header, table)
