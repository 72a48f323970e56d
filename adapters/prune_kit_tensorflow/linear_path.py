"""The straight line between two states of a model: what it says of every example on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from prune_kit.arrays import NumpyArray
from prune_kit.checkpoint_files import check_weights_fit
from prune_kit.errors import PruneKitError
from prune_kit.linear_path import LOSS, LinearPath, walk
from prune_kit.table import ScoreTable

from .batch_statistics import BatchStatistics
from .checkpoints import load_checkpoint
from .devices import choose_device
from .scoring import Scorer
from .sources import as_source
from .trial import first_logits
from .weights import named_weights, set_values, values_of

State: TypeAlias = Sequence[Any] | Mapping[str, Any] | str | Path
"""Arrays as `model.get_weights()` gives them, or by the names of `named_weights`; or a file of weights."""


def error_path(
    model: Any,
    state_a: State,
    state_b: State,
    data: Any,
    /,
    *,
    points: int = 11,
    recompute_statistics: Any = None,
    batch_size: int | None = None,
    device: str | None = None,
    progress: bool = False,
) -> NumpyArray:
    """The 0-1 error on the straight line between two states of a model; `error_barrier` makes it a number.

    Parameters
    ----------
    model
        The architecture, a Keras model or a tf.Module; its own weights are found again as they were.
    state_a, state_b
        The ends: what ``model.get_weights()`` gives, or checkpoint files. Weights of floats are interpolated,
        the moving statistics of BatchNormalization among them, as Frankle et al. do; integers, such as
        counters, are those of `state_a`.
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
        Where to compute: cpu, cuda or cuda:N; by default where TensorFlow would.
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
    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    >>> right, wrong = [2 * np.eye(2)], [2 * np.eye(2)[::-1]]
    >>> error_path(model, right, wrong, (np.eye(2), np.array([0, 1])), points=5)
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
    model: Any,
    state_a: State,
    state_b: State,
    data: Any,
    /,
    *,
    points: int = 11,
    recompute_statistics: Any = None,
    batch_size: int | None = None,
    device: str | None = None,
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
    first_logits(model, source)  # builds a model that is not built yet
    weights = named_weights(model)
    with nullcontext() if device is None else tf.device(choose_device(device)), _found_again(model):
        begin = _read(model, state_a, "state_a")
        end = _read(model, state_b, "state_b")
        scorer = Scorer(model, scores=(LOSS,))
        statistics = None if training is None else BatchStatistics(model, training, batch_size=batch_size)

        def score_at(alpha: float) -> ScoreTable:
            set_values(weights, _between(begin, end, alpha))
            if statistics is not None:
                statistics.recompute()
            return scorer(source, batch_size=batch_size)

        return walk(score_at, points=points, progress=progress)


@contextmanager
def _found_again(model: Any) -> Iterator[None]:
    """Put the variables of `model` back after the block, states of random generators too."""
    variables = {str(i): variable for i, variable in enumerate(model.variables)}
    before = values_of(variables)
    try:
        yield
    finally:
        set_values(variables, before)


def _read(model: Any, state: State, name: str) -> dict[str, NumpyArray]:
    """The state by names of weights, known to fit the model."""
    weights = named_weights(model)
    if isinstance(state, (str, Path)):
        load_checkpoint(model, state)
        return values_of(weights)
    if isinstance(state, Mapping):
        arrays = {key: np.asarray(value) for key, value in state.items()}
    elif isinstance(state, (list, tuple)):
        if len(state) != len(weights):
            raise PruneKitError(
                f"`{name}` must have {len(weights)} arrays, as model.get_weights() gives; got {len(state)}."
            )
        arrays = {key: np.asarray(value) for key, value in zip(weights, state, strict=True)}
    else:
        raise PruneKitError(
            f"`{name}` must be a list of weights or a checkpoint file; got {type(state).__name__}.",
            hint="of a Keras model it is model.get_weights()",
        )
    shapes = {key: tuple(variable.shape) for key, variable in weights.items()}
    check_weights_fit(Path(name), {key: array.shape for key, array in arrays.items()}, shapes)
    return arrays


def _between(
    begin: Mapping[str, NumpyArray], end: Mapping[str, NumpyArray], alpha: float
) -> dict[str, NumpyArray]:
    return {
        name: ((1 - alpha) * value + alpha * end[name]).astype(value.dtype)
        if "float" in value.dtype.name
        else value
        for name, value in begin.items()
    }
