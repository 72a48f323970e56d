"""Kernel velocity: how fast the data-dependent kernel moves on examples of each rank of difficulty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import NumpyArray
from ..errors import PruneKitError
from ..seed_means import means_at
from .style import new_figure, ordered_colours, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_CURVES = 8


@style()
def velocity(columns: Mapping[str, NumpyArray], /, *, width: float = 6.0) -> Figure:
    """Draw kernel velocity against the rank of the examples, a curve per interval of epochs.

    Parameters
    ----------
    columns
        What `read_velocity` gives: seed, epoch, next_epoch, group, first_rank, last_rank, velocity ..., one
        row per seed, interval and group of examples.
    width
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Curves are means over the seeds, bands one standard error of it. Of more than eight intervals eight,
        spread from the first to the last.

    Raises
    ------
    PruneKitError
        If there are no rows.
    MissingExtraError
        If matplotlib is not installed.

    References
    ----------
    Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, section 5.
    """
    intervals = sorted(set(zip(columns["epoch"].tolist(), columns["next_epoch"].tolist(), strict=True)))
    if not intervals:
        raise PruneKitError("there must be at least one kernel velocity to draw; got none.")
    if len(intervals) > _MOST_CURVES:
        places = np.linspace(0, len(intervals) - 1, _MOST_CURVES).round().astype(int)
        intervals = [intervals[place] for place in places.tolist()]
    figure, (axis,) = new_figure(width, 0.55 * width)
    for (start, end), colour in zip(intervals, ordered_colours(len(intervals)), strict=True):
        rows = np.flatnonzero((columns["epoch"] == start) & (columns["next_epoch"] == end))
        ranks = (columns["first_rank"][rows] + columns["last_rank"][rows]) / 2
        at, mean, error = means_at(ranks, columns["velocity"][rows])
        axis.fill_between(at, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
        axis.plot(at, mean, color=colour, marker="o", markersize=3, label=f"{start} to {end}")
    axis.set_xlabel("examples by rank of score (higher = harder)")
    axis.set_ylabel("kernel velocity")
    axis.set_ylim(bottom=0)
    axis.legend(title="epochs", title_fontsize=8)
    return figure
