"""Error barriers between children of networks that were trained in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prune_kit.barriers import measure_barriers
from prune_kit.dynamics_files import Barriers
from prune_kit.linear_path import LinearPath
from prune_kit.store import Run
from prune_kit.training import Recipe

from .linear_path import linear_path
from .sources import as_source
from .training import train_seeds


def error_barriers(
    make_model: Callable[[], nn.Module],
    data: Any,
    run: Run,
    /,
    *,
    out: str | Path,
    spawn_epochs: Sequence[int],
    epochs: int,
    recipe: Recipe | None = None,
    group_size: int | None = None,
    points: int = 11,
    recompute_statistics: bool = False,
    score: str | None = None,
    score_epoch: int | None = None,
    seeds: Sequence[int] | None = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    channels_last: bool = False,
    progress: bool = False,
) -> Barriers:
    """Spawn two children at some epochs of a training, and measure the error on the line between them.

    Both children begin with the weights of the run's network at that epoch and a new optimizer; they differ
    by the order (and the augmentation) of their examples. They are trained to the end as runs of their own,
    under ``out/runs``; every path is written as soon as it is known. Called again, this goes on where it was
    interrupted, and may gain seeds and spawn epochs.

    Parameters
    ----------
    make_model
        Makes the model that the checkpoints belong to.
    data
        The examples that the run scored, as for `train_seeds`; children are trained and measured on them.
    run
        A run that kept its checkpoints (``checkpoints=True``) at the spawn epochs.
    out
        The directory to write.
    spawn_epochs
        At which epochs children part; 0 is initialisation.
    epochs
        Until which epoch, counted from the parent's initialisation, children are trained.
    recipe
        How, as for `train_seeds`; give the run's.
    group_size
        How many examples with the highest scores, with the lowest, and drawn at random are measured apart, as
        well as all; by default a tenth of the data, 1,000 at the most.
    points
        On the line, both ends among them.
    recompute_statistics
        Whether batch statistics are those of the data at each point, in place of the interpolated ones.
    score, score_epoch
        By which score, at which epoch, as for `aggregate_run`; by default the run's first at the last epoch.
    seeds
        Whose children; by default the first seed's.
    batch_size
        Examples at a time while measuring.
    device, precision, channels_last, progress
        As for `train_seeds`.

    Returns
    -------
    Barriers
        The rows of ``out/barrier.parquet``: the error and the loss at each point; `summary` has the barriers.

    Raises
    ------
    PruneKitError
        If the run lacks a checkpoint, the weights do not fit the model, or an option is out of range.
    RunConflictError
        If `out` holds barriers of another kind, or another process is writing to it.

    References
    ----------
    Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021, Figure 4. Frankle et al., "Linear
    Mode Connectivity and the Lottery Ticket Hypothesis", ICML 2020.
    """
    source = as_source(data)
    recipe = recipe or Recipe()
    train_children = partial(
        train_seeds,
        make_model,
        source,
        recipe=recipe,
        checkpoints=True,
        device=device,
        precision=precision,
        channels_last=channels_last,
        progress=progress,
    )

    def path_between(first: Path, second: Path) -> LinearPath:
        return linear_path(
            make_model(),
            first,
            second,
            source,
            points=points,
            recompute_statistics=source if recompute_statistics else None,
            batch_size=batch_size,
            device=device,
            progress=progress,
        )

    return measure_barriers(
        run,
        train_children,
        path_between,
        out=out,
        spawn_epochs=spawn_epochs,
        epochs=epochs,
        settings={
            "recipe": recipe.as_dict(),
            "recompute_statistics": recompute_statistics,
            "precision": precision,
        },
        group_size=group_size,
        points=points,
        score=score,
        score_epoch=score_epoch,
        seeds=seeds,
    )
