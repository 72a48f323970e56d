"""Distributions of scores: histograms of one or several columns or runs, together or class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import NumpyArray
from ..classes import encode_labels, members
from ..errors import PruneKitError
from ..histogram import bin_edges
from ..table import ScoreTable
from .series import Series, class_title, series_of
from .style import COLOURS, GREY, LINES, new_figure, series_colours, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_CLASSES = 20


@style()
def distribution(
    tables: ScoreTable | Mapping[str, ScoreTable],
    /,
    *,
    columns: Sequence[str] | None = None,
    by_class: bool = False,
    bins: int = 40,
    log: bool = False,
    width: float = 6.0,
) -> Figure:
    """Draw how scores are distributed: which share of the examples has which score.

    Parameters
    ----------
    tables
        One table of scores, or several by the name that the legend is to give them. The same score of
        several tables is drawn over each other, different scores next to each other.
    columns
        Which columns; by default `score` where there is one, else all columns of floats.
    by_class
        One row per class, of one score of one table. Of more than 20 classes those with the lowest and the
        highest medians.
    bins
        How many intervals of equal width between the lowest and the highest finite score; of few whole
        numbers, such as forgetting events of one seed, one per number.
    log
        Whether the share of the examples has a logarithmic axis.
    width
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Infinite scores (never learned) are in no interval; the axes say which share they are, and shares are
        of all examples nevertheless.

    Raises
    ------
    PruneKitError
        If there is no such column, or none of numbers; if `by_class` is given with more than one score, or
        labels are soft; if `bins` is not at least 1.
    MissingExtraError
        If matplotlib is not installed.
    """
    if bins < 1:
        raise PruneKitError(f"`bins` must be 1 or more; got {bins}.")
    series = series_of(tables, columns)
    if by_class:
        return _by_class(series, bins, log, width)
    quantities = list(dict.fromkeys(each.quantity for each in series))
    figure, axes = new_figure(width, 2.7 if len(quantities) == 1 else 2.4 * len(quantities), len(quantities))
    for axis, quantity in zip(axes, quantities, strict=True):
        of = [each for each in series if each.quantity == quantity]
        edges = bin_edges([each.values for each in of], bins)
        colours = series_colours(len(of))
        for i, (each, colour) in enumerate(zip(of, colours, strict=True)):
            line = None if len(of) == 1 else LINES[i % len(LINES)]
            _draw(axis, each.values, edges, colour, line=line, label=each.name)
        if len(of) > 1:
            axis.legend()
        elif len(series) > 1 and len({each.name for each in series}) > 1:
            axis.set_title(of[0].name)
        _label(axis, quantity, log)
        axis.set_ylabel("examples (%)")
    return figure


def _by_class(series: Sequence[Series], bins: int, log: bool, width: float) -> Figure:
    if len(series) != 1:
        raise PruneKitError(
            f"`by_class` is of one score of one table; got {len(series)}.", hint="name one column"
        )
    (one,) = series
    if one.labels.ndim != 1:
        raise PruneKitError("`by_class` needs one class per example; the labels are soft.")
    labels, codes = encode_labels(one.labels)
    of = members(codes)
    medians = np.array([np.median(one.values[rows]) for rows in of])
    chosen = np.arange(len(of))
    if len(of) > _MOST_CLASSES:
        order = np.argsort(medians, kind="stable")
        chosen = np.concatenate([order[: _MOST_CLASSES // 2], order[-_MOST_CLASSES // 2 :]])
    figure, axes = new_figure(width, 0.7 + 0.5 * len(chosen), len(chosen), sharex=True, sharey=True)
    edges = bin_edges([one.values], bins)
    for axis, c in zip(axes, chosen.tolist(), strict=True):
        _draw(axis, one.values[of[c]], edges, COLOURS[0])
        if np.isfinite(medians[c]):
            axis.axvline(medians[c], color=COLOURS[1], linewidth=1.4)
        axis.grid(visible=False)
        axis.spines["left"].set_visible(False)
        axis.tick_params(left=False, labelleft=False)
        title = class_title(int(labels[c]), one.class_names)
        axis.set_ylabel(title, rotation=0, ha="right", va="center")
        if log:
            axis.set_yscale("log")
    _label(axes[-1], one.quantity, log=False)
    scale = " (logarithmic)" if log else ""
    figure.suptitle(f"share of each class{scale} and its median", fontsize=9)
    return figure


def _draw(
    axis: Axes,
    values: NumpyArray,
    edges: NumpyArray,
    colour: Any,
    *,
    line: str | None = None,
    label: str | None = None,
) -> None:
    """The share of the values in each interval: as an area, or as a line where several are on one axis."""
    counts = np.histogram(values[np.isfinite(values)], edges)[0]
    shares = 100 * counts / len(values)
    if line is None:
        axis.stairs(shares, edges, fill=True, color=colour, label=label)
    else:
        axis.stairs(shares, edges, color=colour, linestyle=line, linewidth=1.6, label=label)
    if outside := int(np.isinf(values).sum()):
        said = f"infinite (never learned): {outside / len(values):.1%}"
        lines = len(axis.texts)
        axis.text(1, 0.98 - 0.1 * lines, said, transform=axis.transAxes, ha="right", va="top", color=colour)


def _label(axis: Axes, quantity: str, log: bool) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_xlabel(f"{quantity} (higher = harder)")
    if log:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
    axis.spines["bottom"].set_color(GREY)
