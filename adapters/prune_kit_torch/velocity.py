"""Kernel velocities of a run that was trained in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from prune_kit.arrays import NumpyArray
from prune_kit.store import Run
from prune_kit.velocities import inputs_of_groups, measure_velocities

from .batches import Inputs, to_device
from .checkpoints import load_checkpoint
from .gradients.inputs import examples
from .inference import choose_device
from .sources import as_source
from .tangent_kernel import neural_tangent_kernel


def kernel_velocities(
    make_model: Callable[[], nn.Module],
    data: Any,
    run: Run,
    /,
    *,
    out: str | Path,
    group_size: int = 100,
    groups: int | None = 10,
    score: str | None = None,
    score_epoch: int | None = None,
    seeds: Sequence[int] | None = None,
    epochs: Sequence[int] | None = None,
    device: str | torch.device | None = None,
    memory: int = 2**30,
    progress: bool = False,
) -> dict[str, NumpyArray]:
    """How fast the tangent kernel of easy and of hard examples turns while a network is trained.

    Examples are put in ascending order of the run's mean score and taken in groups. For each group, the
    kernel of the logits at one checkpoint is compared with that at the next. Every velocity is written as
    soon as it is known; called again, this goes on where it was interrupted.

    Parameters
    ----------
    make_model
        Makes the model that the checkpoints belong to.
    data
        The examples that the run scored, as for `predict`.
    run
        A run that kept its checkpoints (``checkpoints=True``), at two epochs or more.
    out
        The Parquet file to write. One that is there must be of the same groups and run, and gains rows.
    group_size
        Examples in a group; the kernel has (group_size * classes) rows.
    groups
        How many groups, spread evenly over the ranks, the lowest and the highest scores among them; None for
        all that there is room for.
    score, score_epoch
        By which score, at which epoch, examples are ordered, as for `aggregate_run`; by default the run's
        first score at the last epoch.
    seeds
        Whose checkpoints; by default those of the first seed.
    epochs
        Between which epochs; by default all that have checkpoints.
    device
        CUDA where there is one, by default.
    memory
        As for `neural_tangent_kernel`.
    progress
        Whether to show a bar on stderr (never off a terminal).

    Returns
    -------
    dict of NumPy arrays
        The columns of `read_velocity`: seed, epoch, next_epoch, group, first_rank, last_rank, score and
        velocity (`kernel_velocity`, in [0, 1] but for rounding), by seed, epoch and group.

    Raises
    ------
    PruneKitError
        If the run lacks checkpoints, examples of it are not in the data, the weights do not fit the model,
        or an option is out of range.
    RunConflictError
        If `out` holds velocities of other groups or another run, or another process is writing to it.

    References
    ----------
    Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021, section 5 and Figure 3.
    """
    where = choose_device(device)

    def make_kernels(ids: list[NumpyArray]) -> _Kernels:
        ordered = as_source(data).ordered(None)
        inputs = inputs_of_groups(ordered, ids, pick=_picked, join=_joined)
        return _Kernels(make_model().to(where), [to_device(each, where) for each in inputs], memory)

    return measure_velocities(
        run,
        make_kernels,
        out=out,
        group_size=group_size,
        groups=groups,
        score=score,
        score_epoch=score_epoch,
        seeds=seeds,
        epochs=epochs,
        progress=progress,
    )


class _Kernels:
    """See `prune_kit.velocities.Kernels`."""

    def __init__(self, model: nn.Module, inputs: Sequence[Inputs], memory: int) -> None:
        self._model, self._inputs, self._memory = model, inputs, memory

    def load(self, checkpoint: Path) -> None:
        load_checkpoint(self._model, checkpoint)

    def kernel(self, group: int) -> Tensor:
        return neural_tangent_kernel(self._model, self._inputs[group], memory=self._memory)


def _picked(inputs: Inputs, n: int, rows: NumpyArray) -> Inputs:
    picked: Inputs = examples(inputs, n, torch.from_numpy(rows))
    return picked


def _joined(parts: list[Inputs]) -> Inputs:
    def join(*values: Any) -> Any:
        return torch.cat(values) if isinstance(values[0], Tensor) and values[0].ndim else values[0]

    joined: Inputs = tree_map(join, *parts)
    return joined
