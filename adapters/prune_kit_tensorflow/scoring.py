"""Scores of every example under one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from prune_kit.scores import SCORE_NAMES, check_score_names, score_columns
from prune_kit.table import ScoreTable

from .batches import Model
from .compiled import Compiled
from .gradient_engine import GradientEngine
from .inference import batches
from .sources import Source, as_source

GRAND = "grand"
SCORES = (*SCORE_NAMES, GRAND)
"""What `score` computes by name: the core's scores of logits, and GraNd."""


def check_scores(scores: Sequence[str]) -> None:
    """Raise PruneKitError unless all of `scores` are known."""
    check_score_names(scores, known=SCORES)


def score(
    model: Model,
    data: Any,
    /,
    *,
    scores: Sequence[str] = ("el2n",),
    probabilities: bool = False,
    batch_size: int | None = None,
    device: str | None = None,
    progress: bool = False,
) -> ScoreTable:
    """Score every example under one model, in inference mode, in the data set's own order.

    Parameters
    ----------
    model, data, batch_size, device
        As for `predict`.
    scores
        Names of scores: el2n, error_l1, margin, margin_sum, cross_entropy, entropy, grand_last_layer; and
        grand, the norm of each example's loss gradient over all trainable variables (`gradient_norms`),
        from the same forward pass.
    probabilities
        Whether to give the probability of every class too.
    progress
        Whether to show a bar on stderr (never off a terminal).

    Returns
    -------
    ScoreTable
        Columns predicted and p_label, then one per score, float32; higher is harder. Where asked for,
        probabilities of shape (n, c), float32.

    Raises
    ------
    PruneKitError
        If a score is not known, an id is there twice, logits are NaN or infinite, or as for `predict`.

    Examples
    --------
    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> table = score(model, (np.eye(2), np.array([0, 2])))
    >>> list(table), len(table)
    (['predicted', 'p_label', 'el2n'], 2)
    """
    scorer = Scorer(model, scores=scores, probabilities=probabilities)
    return scorer(as_source(data), batch_size=batch_size, device=device, progress=progress)


class Scorer:
    """Scores examples under one model, again and again while its weights change, traced once.

    Parameters
    ----------
    model, scores, probabilities
        As for `score`. The structure of the model must stay as it is.
    """

    def __init__(
        self, model: Model, *, scores: Sequence[str] = ("el2n",), probabilities: bool = False
    ) -> None:
        check_scores(scores)
        self._probabilities = probabilities
        self._scores = list(scores)
        self._of_logits = [name for name in scores if name != GRAND]
        self._compiled = Compiled(model, features="grand_last_layer" in scores)
        self._engine = GradientEngine(model) if GRAND in scores else None
        self._provenance = {"model": type(model).__name__, "scores": self._scores}

    def __call__(
        self,
        source: Source,
        *,
        batch_size: int | None = None,
        device: str | None = None,
        progress: bool = False,
    ) -> ScoreTable:
        """The table that `score` gives."""
        ids: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        columns: dict[str, list[np.ndarray]] = {}
        total = len(source) if progress else None
        with tqdm(total=total, unit="example", desc="score", disable=None if progress else True) as bar:
            for batch in batches(
                self._compiled, source, batch_size=batch_size, device=device, engine=self._engine
            ):
                ids.append(batch.ids)
                labels.append(_numpy(batch.labels))
                features = None if batch.features is None else _numpy(batch.features)
                of_batch = score_columns(
                    _numpy(batch.logits),
                    labels[-1],
                    scores=self._of_logits,
                    features=features,
                    bias=batch.bias,
                    probabilities=self._probabilities,
                )
                if batch.gradient_norms is not None:
                    of_batch[GRAND] = _numpy(batch.gradient_norms)
                for name, column in of_batch.items():
                    columns.setdefault(name, []).append(column)
                bar.update(len(batch.ids))
        joined = {name: np.concatenate(parts) for name, parts in columns.items()}
        return ScoreTable(np.concatenate(ids), np.concatenate(labels), joined, self._provenance)


def _numpy(tensor: tf.Tensor) -> np.ndarray:
    """A tensor as NumPy; the half types, which NumPy has not both of, as float32 of the same values."""
    is_half = tensor.dtype in (tf.float16, tf.bfloat16)
    values: np.ndarray = (tf.cast(tensor, tf.float32) if is_half else tensor).numpy()
    return values
