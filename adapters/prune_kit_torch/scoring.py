"""Scores of every example under one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from prune_kit.scores import check_score_names, score_columns
from prune_kit.table import ScoreTable

from .inference import predict
from .sources import as_source


def score(
    model: nn.Module,
    data: Any,
    /,
    *,
    scores: Sequence[str] = ("el2n",),
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
        Names of scores: el2n, error_l1, margin, margin_sum, cross_entropy, entropy, grand_last_layer.
    progress
        Whether to show a bar on stderr (never off a terminal).

    Returns
    -------
    ScoreTable
        Columns predicted and p_label, then one per score, float32; higher is harder.

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
    check_score_names(scores)
    source = as_source(data)
    ids: list[np.ndarray] = []
    labels: list[Tensor] = []
    columns: dict[str, list[Tensor]] = {}
    with tqdm(total=len(source), unit="example", desc="score", disable=None if progress else True) as bar:
        batches = predict(
            model,
            source,
            batch_size=batch_size,
            device=device,
            features="grand_last_layer" in scores,
        )
        for batch in batches:
            ids.append(batch.ids)
            labels.append(batch.labels)
            of_batch = score_columns(
                batch.logits, batch.labels, scores=scores, features=batch.features, bias=batch.bias
            )
            for name, column in of_batch.items():
                columns.setdefault(name, []).append(column)
            bar.update(len(batch.ids))
    return ScoreTable(
        np.concatenate(ids),
        torch.cat(labels),
        {name: torch.cat(parts) for name, parts in columns.items()},
        {"model": type(model).__name__, "scores": list(scores)},
    )
