"""Accuracy against how much is kept: a curve for each way of choosing, from one retraining or several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import PruneKitError
from ..retraining import Retraining
from .style import COLOURS, GREY, MARKERS, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = re.compile(r"(?P<family>.*[^\d.\s_=+-])[\s_=+-]*\d+(?:\.\d+)?%?")
"""A name that ends in a size, such as "hardest 30%", "random-0.5" or "el2n_500"."""


@style()
def kept_curve(retrainings: Retraining | Sequence[Retraining], /, *, width: float = 5.0) -> Figure:
    """Draw test accuracy against the kept share of the data.

    Parameters
    ----------
    retrainings
        One retraining or several, of the same data and test data. Subsets whose names differ by a size at
        the end ("random 30%", "random 50%"), or that have the same name in several retrainings, are one
        curve.
    width
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Means over the seeds at the last epoch, bands one standard error of it. All of the data is the dashed
        line.

    Raises
    ------
    PruneKitError
        If there is none, or they were measured on other test data, trained on other data, or for another
        time.
    MissingExtraError
        If matplotlib is not installed.
    """
    several = [retrainings] if isinstance(retrainings, Retraining) else list(retrainings)
    _check_alike(several)
    families = accuracies(several)
    figure, (axis,) = new_figure(width, 0.65 * width)
    full = [values for of in families.values() for share, values in of.items() if share == 1]
    curves = {
        name: {share: values for share, values in of.items() if share < 1} for name, of in families.items()
    }
    drawn = [(name, of) for name, of in curves.items() if of]
    for i, (name, of) in enumerate(drawn):
        shares = np.array(sorted(of))
        mean = np.array([np.mean(of[share]) for share in shares])
        error = np.array([_standard_error(of[share]) for share in shares])
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        low, high = 100 * (mean - error), 100 * (mean + error)
        axis.fill_between(100 * shares, low, high, color=colour, alpha=0.2, linewidth=0)
        if len(shares) == 1:  # a band of one point has no width
            axis.errorbar(100 * shares, 100 * mean, 100 * error, color=colour, capsize=3, linestyle="none")
        axis.plot(100 * shares, 100 * mean, color=colour, marker=marker, label=name)
    if full:
        values = [value for of in full for value in of]
        middle, spread = 100 * float(np.mean(values)), 100 * _standard_error(values)
        axis.axhspan(middle - spread, middle + spread, color=GREY, alpha=0.15, linewidth=0)
        axis.axhline(middle, color=GREY, linestyle="--", linewidth=1.2, label="all of the data")
    if len({share for _, of in drawn for share in of}) == 1:
        axis.set_xlim(0, 100)  # around a single point, matplotlib would choose a range that means nothing
    axis.set_xlabel("examples kept (%)")
    axis.set_ylabel("test accuracy (%)")
    axis.legend()
    return figure


def accuracies(retrainings: Sequence[Retraining]) -> dict[str, dict[float, list[float]]]:
    """By name without the size, then by the kept share: the accuracies at the last epoch.

    The same training in several directories, such as that on all of the data, counts once.
    """
    found: dict[str, dict[float, dict[tuple[int, float], float]]] = {}
    for retraining in retrainings:
        last = retraining.last_epoch
        for row in retraining.rows:
            if row["epoch"] == last:
                share = row["kept"] / retraining.subsets[row["subset"]]["of"]
                of = found.setdefault(family(row["subset"]), {}).setdefault(share, {})
                of[row["seed"], row["accuracy"]] = row["accuracy"]
    return {name: {share: list(each.values()) for share, each in of.items()} for name, of in found.items()}


def family(name: str) -> str:
    """The name of a subset without a size at its end."""
    match = _SIZE.fullmatch(name)
    return match["family"] if match else name


def _check_alike(retrainings: Sequence[Retraining]) -> None:
    if not retrainings:
        raise PruneKitError("there must be at least one retraining to draw; got none.")
    for what, of in (
        ("test data", [each.test.get("fingerprint") for each in retrainings]),
        ("data", [each.config.get("data") for each in retrainings]),
        ("number of epochs", [each.epochs for each in retrainings]),
        ("kind of equal training (steps, epochs)", [each.equal for each in retrainings]),
    ):
        if other := next((i for i, value in enumerate(of) if value != of[0]), 0):
            raise PruneKitError(
                f"retrainings in one figure must have the same {what}; that of {retrainings[other].path} is "
                f"not that of {retrainings[0].path}.",
                hint="draw them apart",
            )


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
