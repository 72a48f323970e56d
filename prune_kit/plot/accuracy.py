"""Test accuracy of networks trained on subsets of the data: what pruning costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..retraining import Retraining
from .style import COLOURS, GREY, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@style()
def accuracy(retraining: Retraining, /, *, epoch: int | None = None, width: float = 6.0) -> Figure:
    """Draw the test accuracy on every subset, and every seed of it.

    Parameters
    ----------
    retraining
        What an adapter's `retrain` gives, or `Retraining.read`.
    epoch
        As for `Retraining.summary`.
    width
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each subset: the mean over the seeds, a bar of one standard error to either side, and small
        marks for the seeds. Baselines are grey; the dotted line is the mean on all of the data.

    Raises
    ------
    StoreError
        If nothing was scored at `epoch`.
    MissingExtraError
        If matplotlib is not installed.
    """
    summary = retraining.summary(epoch=epoch)
    figure, (axis,) = new_figure(width, 1.0 + 0.42 * len(summary))
    for place, row in enumerate(summary):
        of = retraining.subsets[row["subset"]]
        is_full = row["kept"] == of["of"]
        colour = GREY if is_full or "drawn" in of else COLOURS[0]
        seeds = [
            100 * each["accuracy"]
            for each in retraining.rows
            if each["subset"] == row["subset"] and each["epoch"] == row["epoch"]
        ]
        mean, error = 100 * row["accuracy"], 100 * (row["standard_error"] or 0.0)
        axis.plot(seeds, [place] * len(seeds), "|", color=colour, alpha=0.5, markersize=9)
        axis.errorbar(mean, place, xerr=error, fmt="o", color=colour, markersize=6, capsize=4)
        said = f"{mean:.2f}" + (f" ± {error:.2f}" if row["standard_error"] is not None else "")
        axis.annotate(
            said,
            (mean, place),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # over the dotted line
        )
        if is_full:
            axis.axvline(mean, color=GREY, linewidth=1, linestyle=":", zorder=0)
    axis.set_yticks(range(len(summary)), [_label(row["subset"], row["kept"]) for row in summary])
    axis.set_ylim(len(summary) - 0.5, -0.7)
    axis.margins(x=0.15)
    axis.grid(visible=False)
    axis.set_xlabel("test accuracy (%)")
    same = f"{summary[0]['steps']:,} steps on each subset" if retraining.equal == "steps" else "equal epochs"
    axis.set_title(f"after {summary[0]['epoch']} epochs, {same}")
    return figure


def _label(name: str, kept: int) -> str:
    """The name of a subset and its size, where the name does not say it."""
    return name if str(kept) in name else f"{name} ({kept:,})"
