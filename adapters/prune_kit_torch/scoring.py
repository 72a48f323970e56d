"""Scores of every example under one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from prune_kit.scores import SCORE_NAMES, check_score_names, score_columns
from prune_kit.table import ScoreTable

from .gradients import GradientNorms
from .inference import batches
from .sources import as_source

GRAND = "grand"
SCORES = (*SCORE_NAMES, GRAND)
"""What `score` computes by name: the core's scores of logits, and GraNd."""


def check_scores(scores: Sequence[str]) -> None:
    """Raise PruneKitError unless all of `scores` are known."""
    check_score_names(scores, known=SCORES)


def score(
    model: nn.Module,
    data: Any,
    /,
    *,
    scores: Sequence[str] = ("el2n",),
    probabilities: bool = False,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> ScoreTable:
    """Score every example under one model, in inference mode, in the data set's own order.

    Parameters
    ----------
    model, data, batch_size, device
        As for `predict`.
    scores
        Names of scores: el2n, error_l1, margin, margin_sum, cross_entropy, entropy, grand_last_layer; and
        grand, the norm of each example's loss gradient over all trainable parameters (`gradient_norms`),
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
    >>> import torch
    >>> model = torch.nn.Linear(2, 3)
    >>> table = score(model, (torch.eye(2), torch.tensor([0, 2])))
    >>> list(table), len(table)
    (['predicted', 'p_label', 'el2n'], 2)
    """
    check_scores(scores)
    source = as_source(data)
    # Not tuned: formulas chosen by their time would give other last bits in another run.
    engine = GradientNorms(model, tune=False) if GRAND in scores else None
    of_logits = [name for name in scores if name != GRAND]
    ids: list[np.ndarray] = []
    labels: list[Tensor] = []
    columns: dict[str, list[Tensor]] = {}
    with tqdm(total=len(source), unit="example", desc="score", disable=None if progress else True) as bar:
        features = "grand_last_layer" in scores
        given = batches(model, source, batch_size=batch_size, device=device, features=features, engine=engine)
        for batch in given:
            ids.append(batch.ids)
            labels.append(batch.labels)
            of_batch = score_columns(
                batch.logits,
                batch.labels,
                scores=of_logits,
                features=batch.features,
                bias=batch.bias,
                probabilities=probabilities,
            )
            if batch.gradient_norms is not None:
                of_batch[GRAND] = batch.gradient_norms
            for name, column in of_batch.items():
                columns.setdefault(name, []).append(column)
            bar.update(len(batch.ids))
    return ScoreTable(
        np.concatenate(ids),
        torch.cat(labels),
        {name: torch.cat(parts) for name, parts in columns.items()},
        {"model": type(model).__name__, "scores": list(scores)},
    )
