"""Scores of every example under one exported model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Unpack

import numpy as np
from tqdm import tqdm

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError
from prune_kit.scores import SCORE_NAMES, check_score_names, score_columns
from prune_kit.table import ScoreTable

from .growing import GrowingColumns
from .inference import Batch, batches, opened
from .model import Model
from .opening import OnnxModel
from .options import ModelOptions, Options
from .sources import Source, as_source

_BLOCK_ROWS = 4096

SCORES = SCORE_NAMES
"""What `score` computes by name: the core's scores of logits."""


def check_scores(scores: Sequence[str]) -> None:
    """Raise PruneKitError unless all of `scores` are known."""
    if "grand" in scores:
        raise PruneKitError(
            "the score 'grand' needs gradients of all parameters, which an exported model does not give.",
            hint="take grand_last_layer, of the last layer alone, or score in PyTorch or TensorFlow",
        )
    check_score_names(scores, known=SCORES)


def score(
    model: OnnxModel,
    data: Any,
    /,
    *,
    scores: Sequence[str] = ("el2n",),
    probabilities: bool = False,
    batch_size: int | None = None,
    device: str | None = None,
    progress: bool = False,
    **options: Unpack[Options],
) -> ScoreTable:
    """Score every example under one model, in the data set's own order.

    Parameters
    ----------
    model, data, batch_size, device, **options
        As for `predict`.
    scores
        Names of scores: el2n, error_l1, margin, margin_sum, cross_entropy, entropy, grand_last_layer ...
    probabilities
        Whether to give the probability of every class too.
    progress
        Whether to show a bar on stderr (never off a terminal).

    Returns
    -------
    ScoreTable
        Columns predicted and p_label, then one per score, float32; higher is harder. Where asked for,
        probabilities of shape (n, c), float32. The provenance says on which device the model ran.

    Raises
    ------
    PruneKitError
        If a score is not known, an id is there twice, or as for `predict`.
    """
    check_scores(scores)
    source = as_source(data)
    ready = opened(model, source, device, "grand_last_layer" in scores, ModelOptions(**options))
    table = score_source(
        ready,
        source,
        scores=scores,
        probabilities=probabilities,
        batch_size=batch_size,
        progress=progress,
    )
    table.provenance = {"model": ready.name, "scores": list(scores), "device": ready.device}
    return table


def score_source(
    model: Model,
    source: Source,
    *,
    scores: Sequence[str],
    probabilities: bool,
    batch_size: int | None,
    progress: bool,
) -> ScoreTable:
    """What `score` gives, of a model that is ready; without provenance."""
    table = GrowingColumns(source.size)
    with tqdm(total=source.size, unit="example", desc="score", disable=None if progress else True) as bar:
        for batch in _in_blocks(batches(model, source, batch_size)):
            columns = score_columns(
                batch.logits,
                batch.labels,
                scores=scores,
                from_logits=batch.from_logits,
                features=batch.features,
                bias=batch.bias,
                probabilities=probabilities,
            )
            stored = {name: _as_stored(column) for name, column in columns.items()}
            table.append({"id": batch.ids, "label": batch.labels, **stored})
            bar.update(len(batch.ids))
    whole = table.whole()
    if not whole:
        raise PruneKitError("`data` has no examples.")
    return ScoreTable(whole.pop("id"), whole.pop("label"), whole)


def _in_blocks(given: Iterable[Batch]) -> Iterator[Batch]:
    """Batches joined: scores of a few hundred examples at a time would take as long as a small model."""
    held: list[Batch] = []
    rows = 0
    for batch in given:
        held.append(batch)
        rows += len(batch.ids)
        if rows >= _BLOCK_ROWS:
            yield _joined(held)
            held, rows = [], 0
    if held:
        yield _joined(held)


def _joined(parts: list[Batch]) -> Batch:
    features = [each.features for each in parts if each.features is not None]
    return parts[0]._replace(
        ids=np.concatenate([each.ids for each in parts]),
        labels=np.concatenate([each.labels for each in parts]),
        logits=np.concatenate([each.logits for each in parts]),
        features=np.concatenate(features) if features else None,
    )


def _as_stored(column: NumpyArray) -> NumpyArray:
    return column.astype(np.float32, copy=False) if column.dtype.kind == "f" else column
