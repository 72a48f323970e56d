"""Scores over epochs: how they spread, and from when on seeds and epochs agree on the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..epoch_quantiles import QUANTILES, epoch_quantiles
from ..errors import PruneKitError
from ..store import Run
from ..summary import EARLY_AGREEMENT, agreement_by_epoch
from .style import COLOURS, GREY, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@style()
def epochs(run: Run, /, *, score: str = "el2n", width: float = 6.5) -> Figure:
    """Draw a score of a run over its epochs, in two panels.

    Left: the middle 90% and 50% of the examples, and the median, of the mean over the seeds. Right: the rank
    agreement (Spearman) between pairs of seeds, and of the mean of each epoch with that of the last one;
    below 0.7 (dotted) scores may be taken too early.

    Parameters
    ----------
    run
        A run directory with two scored epochs or more.
    score
        As for `aggregate_run`.
    width
        Of the figure, in inches.

    Raises
    ------
    PruneKitError
        If the run has fewer scored epochs, or no such score.
    MissingExtraError
        If matplotlib is not installed.
    """
    spread = epoch_quantiles(run, score=score, quantiles=QUANTILES)
    if len(spread) < 2:
        raise PruneKitError(
            f"{run.path} must have two scored epochs or more to draw them; got {len(spread)}.",
            hint="score at several epochs: `prunekit score --at-epochs 1-10`",
        )
    agreement = agreement_by_epoch(run, score=score)
    figure, (left, right) = new_figure(width, 0.42 * width, 1, 2)
    _spread(left, spread, score)
    _agreement(right, agreement)
    for axis in (left, right):
        axis.set_xlabel("epoch")
        _whole_numbers(axis)
    return figure


def _spread(axis: Axes, rows: Sequence[Mapping[str, Any]], score: str) -> None:
    at = [row["epoch"] for row in rows]
    values = np.array([row["quantiles"] for row in rows])
    values[np.isinf(values)] = np.nan  # never learned: beyond any axis
    low, quarter, median, three_quarters, high = values.T
    axis.fill_between(at, low, high, color=COLOURS[0], alpha=0.18, linewidth=0, label="90% of examples")
    axis.fill_between(at, quarter, three_quarters, color=COLOURS[0], alpha=0.35, linewidth=0, label="50%")
    axis.plot(at, median, color=COLOURS[0], label="median")
    axis.set_ylabel(f"{score} (higher = harder)")
    axis.legend(loc="best")


def _agreement(axis: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    at = [row["epoch"] for row in rows]
    drawn = (("agreement", "between seeds", "o", "-"), ("with_last", "with the last epoch", "s", "--"))
    for (key, label, marker, line), colour in zip(drawn, COLOURS, strict=False):
        known = [np.nan if row[key] is None else row[key] for row in rows]
        if not np.isnan(known).all():
            axis.plot(at, known, marker=marker, linestyle=line, color=colour, label=label)
    axis.axhline(EARLY_AGREEMENT, color=GREY, linewidth=1, linestyle=":")
    axis.set_ylabel("rank agreement (Spearman)")
    lowest = min(value for row in rows for value in (row["agreement"], row["with_last"], 0.05) if value)
    axis.set_ylim(lowest - 0.05, 1.02)
    axis.legend(loc="lower right")


def _whole_numbers(axis: Axes) -> None:
    """Epochs are whole numbers; ticks at halves would be of none."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
