"""Error barriers between children of one network: along the path, and by the epoch that they part at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import NumpyArray
from ..errors import PruneKitError
from ..seed_means import means_at
from .style import EASY, GREY, HARD, INK, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS = {
    "highest": (HARD, "-", "highest scores"),
    "random": (GREY, "--", "random examples"),
    "lowest": (EASY, "-.", "lowest scores"),
    "all": (INK, ":", "all examples"),
}
"""Colour, and a line for those who do not see it."""


@style()
def barrier(
    columns: Mapping[str, NumpyArray],
    summary: Sequence[Mapping[str, object]],
    /,
    *,
    spawn_epoch: int | None = None,
    width: float = 6.5,
) -> Figure:
    """Draw the training error between the children of a network, in two panels.

    Left: the error along the line between their weights, of those spawned at `spawn_epoch`. Right: the error
    barrier (the highest error above the line between the ends) against the epoch they were spawned at, where
    there are several.

    Parameters
    ----------
    columns, summary
        What `read_barrier` gives: seed, spawn_epoch, examples, alpha, error ..., one row per point of a path;
        and the error_barrier of each seed, spawn_epoch and kind of examples.
    spawn_epoch
        Of which the path is drawn; by default the first.
    width
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Curves are means over the seeds, bands and bars one standard error of it.

    Raises
    ------
    PruneKitError
        If there are no rows, or none of that epoch.
    MissingExtraError
        If matplotlib is not installed.

    References
    ----------
    Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, section 4.
    """
    spawned = sorted(set(columns["spawn_epoch"].tolist()))
    if not spawned:
        raise PruneKitError("there must be at least one path to draw; got none.")
    chosen = spawned[0] if spawn_epoch is None else spawn_epoch
    if chosen not in spawned:
        raise PruneKitError(f"`spawn_epoch` must be one of {', '.join(map(str, spawned))}; got {chosen}.")
    panels = 1 if len(spawned) == 1 else 2
    figure, axes = new_figure(width if panels == 2 else 0.6 * width, 0.42 * width, 1, panels)
    kinds = [kind for kind in _LOOKS if kind in set(columns["examples"].tolist())]
    for kind in kinds:
        _path(axes[0], columns, kind, chosen)
    axes[0].set_title(f"spawned at epoch {chosen}")
    axes[0].set_xlabel("from one child (0) to the other (1)")
    axes[0].set_ylabel("training error (%)")
    axes[0].set_ylim(bottom=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds))
    if panels == 2:
        for kind in kinds:
            _by_epoch(axes[1], summary, kind)
        axes[1].set_title("error barrier")
        axes[1].set_xlabel("spawned at epoch")
        axes[1].set_ylabel("barrier (% points)")
        axes[1].set_xticks(spawned)
    return figure


def _path(axis: Axes, columns: Mapping[str, NumpyArray], kind: str, spawn_epoch: int) -> None:
    rows = np.flatnonzero((columns["examples"] == kind) & (columns["spawn_epoch"] == spawn_epoch))
    colour, line, label = _LOOKS[kind]
    at, mean, error = means_at(columns["alpha"][rows], 100 * columns["error"][rows])
    axis.fill_between(at, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    axis.plot(at, mean, color=colour, linestyle=line, label=label)


def _by_epoch(axis: Axes, summary: Sequence[Mapping[str, object]], kind: str) -> None:
    rows = [row for row in summary if row["examples"] == kind]
    epochs = np.array([row["spawn_epoch"] for row in rows])
    barriers = np.array([row["error_barrier"] for row in rows], np.float64)
    colour, line, _ = _LOOKS[kind]
    at, mean, error = means_at(epochs, 100 * barriers)
    axis.errorbar(at, mean, error, color=colour, linestyle=line, marker="o", capsize=2, elinewidth=1)
