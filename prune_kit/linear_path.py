"""What is common to every adapter's walk along the straight line between two states of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from .arrays import NumpyArray
from .checks import is_whole_number
from .errors import PruneKitError
from .table import ScoreTable

LOSS = "cross_entropy"
"""The score that is taken along the path, beside the predicted class."""


@dataclass(frozen=True, eq=False)
class LinearPath:
    """What a model says of every example on the straight line between two states of its weights.

    Attributes
    ----------
    alphas : array of shape (points,)
        Float64, from 0 (state a) to 1 (state b), equally spaced.
    ids : array of shape (n,)
        Names of the examples.
    wrong : array of shape (points, n)
        Bool: whether the predicted class is not the label's. Of soft labels, the label is the class with the
        largest share.
    loss : array of shape (points, n)
        Cross-entropy of each example in nats, float32; higher is worse.
    """

    alphas: NumpyArray
    ids: NumpyArray
    wrong: NumpyArray
    loss: NumpyArray

    @property
    def errors(self) -> NumpyArray:
        """The 0-1 error, the share of the examples that are wrong, at each point: (points,), float64."""
        return np.asarray(self.wrong.mean(axis=1))

    @property
    def losses(self) -> NumpyArray:
        """The mean cross-entropy at each point, in nats: (points,), float64."""
        return np.asarray(self.loss.mean(axis=1, dtype=np.float64))


def walk(score_at: Callable[[float], ScoreTable], *, points: int, progress: bool) -> LinearPath:
    """Score every example at each point of a path.

    Parameters
    ----------
    score_at
        Gives the table of the state at an alpha in [0, 1], with the columns predicted and cross_entropy.
    points
        How many points, both ends among them: 2 or more.
    progress
        Whether to show a bar on stderr (never off a terminal).

    Raises
    ------
    PruneKitError
        If `points` is no whole number of 2 or more, or a state cannot be scored, as when it gives NaN.
    """
    if not is_whole_number(points, at_least=2):
        raise PruneKitError(
            f"`points` must be a whole number of 2 or more, both ends among them; got {points!r}."
        )
    alphas = np.linspace(0.0, 1.0, int(points))
    tables = []
    for alpha in tqdm(alphas.tolist(), unit="point", desc="path", disable=None if progress else True):
        try:
            tables.append(score_at(alpha))
        except PruneKitError as error:
            raise PruneKitError(f"alpha {alpha:.6g}: {error}") from error
    labels = tables[0].labels
    classes = labels if labels.ndim == 1 else labels.argmax(axis=1)
    return LinearPath(
        alphas,
        tables[0].ids,
        np.stack([table["predicted"] != classes for table in tables]),
        np.stack([table[LOSS] for table in tables]),
    )
