"""The straight line between two states of a model: what it says of every example on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from prune_kit.arrays import NumpyArray
from prune_kit.checkpoint_files import check_weights_fit
from prune_kit.errors import PruneKitError
from prune_kit.linear_path import LOSS, LinearPath, walk
from prune_kit.table import ScoreTable

from .batch_statistics import recompute_batch_statistics
from .checkpoints import load_checkpoint
from .inference import moved_to
from .scoring import score
from .sources import as_source

State: TypeAlias = Mapping[str, Any] | str | Path
"""A state_dict, or a file of one, as `load_checkpoint` takes it."""


def error_path(
    model: nn.Module,
    state_a: State,
    state_b: State,
    data: Any,
    /,
    *,
    points: int = 11,
    recompute_statistics: Any = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> NumpyArray:
    """The 0-1 error on the straight line between two states of a model; `error_barrier` makes it a number.

    Parameters
    ----------
    model
        The architecture; its own weights, modes and device are found again as they were.
    state_a, state_b
        The ends: state_dicts, or checkpoint files. Tensors of floats are interpolated, the running statistics
        of BatchNorm among them, as Frankle et al. do; integers, such as counters, are those of `state_a`.
    data
        As for `predict`: the examples to be classified.
    points
        How many points, both ends among them.
    recompute_statistics
        Training data. The batch statistics are then those that it has at each point, both ends too, and not
        the interpolated ones, as in Jordan et al. 2023. Batches are drawn as for training, in one order for
        all points, and passed in training mode. By default nothing is recomputed.
    batch_size
        Examples at a time, here and there; 256 by default.
    device
        Where to compute; by default where the model is.
    progress
        Whether to show a bar on stderr (never off a terminal).

    Returns
    -------
    array of shape (points,)
        Float64, in [0, 1]: the share of examples whose predicted class is not the label's, at alpha = 0
        (`state_a`) to 1 (`state_b`), equally spaced.

    Raises
    ------
    PruneKitError
        If a state does not fit the model, a point gives NaN or infinite logits, statistics are to be
        recomputed of a model that has none, or as for `predict`.
    StoreError
        If a file is missing or damaged.

    References
    ----------
    Frankle, Dziugaite, Roy, Carbin, "Linear Mode Connectivity and the Lottery Ticket Hypothesis", ICML 2020.
    Jordan et al., "REPAIR: REnormalizing Permuted Activations for Interpolation Repair", ICLR 2023.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(2, 2, bias=False)
    >>> right = {"weight": torch.eye(2)}
    >>> wrong = {"weight": torch.eye(2).flip(0)}
    >>> error_path(model, right, wrong, (torch.eye(2), torch.tensor([0, 1])), points=5)
    array([0. , 0. , 0.5, 1. , 1. ])
    """
    return linear_path(
        model,
        state_a,
        state_b,
        data,
        points=points,
        recompute_statistics=recompute_statistics,
        batch_size=batch_size,
        device=device,
        progress=progress,
    ).errors


def linear_path(
    model: nn.Module,
    state_a: State,
    state_b: State,
    data: Any,
    /,
    *,
    points: int = 11,
    recompute_statistics: Any = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> LinearPath:
    """The errors and the loss of every example on the line, for groups of them: as `error_path`.

    Returns
    -------
    LinearPath
        `wrong` and `loss` of shape (points, n), in the order of the data;
        ``path.wrong[:, positions].mean(axis=1)`` is the error path of some examples.

    Raises
    ------
    PruneKitError, StoreError
        As `error_path`.
    """
    source = as_source(data)
    training = None if recompute_statistics is None else as_source(recompute_statistics)
    with _found_again(model), moved_to(model, device) as where:
        begin = _read(model, state_a, "state_a")
        end = _read(model, state_b, "state_b")

        def score_at(alpha: float) -> ScoreTable:
            model.load_state_dict(_between(begin, end, alpha))
            if training is not None:
                recompute_batch_statistics(model, training, batch_size=batch_size, device=where)
            return score(model, source, scores=(LOSS,), batch_size=batch_size, device=where)

        return walk(score_at, points=points, progress=progress)


@contextmanager
def _found_again(model: nn.Module) -> Iterator[None]:
    """Put the weights and buffers of `model` back after the block."""
    before = _copied(model.state_dict())
    try:
        yield
    finally:
        model.load_state_dict(before)


def _read(model: nn.Module, state: State, name: str) -> dict[str, Any]:
    """The state, where the model is; loaded into it by the way, so that it is known to fit."""
    if isinstance(state, (str, Path)):
        load_checkpoint(model, state)
    elif isinstance(state, Mapping):
        check_weights_fit(Path(name), _shapes(state), _shapes(model.state_dict()))
        model.load_state_dict(state)
    else:
        raise PruneKitError(
            f"`{name}` must be a state_dict or a checkpoint file; got {type(state).__name__}.",
            hint="of a model it is model.state_dict()",
        )
    return _copied(model.state_dict())


def _between(begin: Mapping[str, Any], end: Mapping[str, Any], alpha: float) -> dict[str, Any]:
    return {
        name: (1 - alpha) * value + alpha * end[name]
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())
        else value
        for name, value in begin.items()
    }


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: v.detach().clone() if isinstance(v, Tensor) else v for name, v in state.items()}


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}
