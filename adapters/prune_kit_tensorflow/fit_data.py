"""The data that `model.fit` is given, with the ids of the examples in each batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from prune_kit.batch_parts import ID_KEYS, INPUT_KEYS
from prune_kit.errors import PruneKitError

from .identified_data import IdentifiedSequence, is_identified

# No input is called so. As entries of x, ids and inputs go along through whatever Keras does with a batch.
_IDS, _INPUTS = "prune_kit_ids", "prune_kit_inputs"


class FitData(NamedTuple):
    """What `fit` trains on."""

    arguments: dict[str, Any]
    """The arguments of `fit`, with ids in the data."""
    examples: int | None
    """How many examples there are, where the ids in the data are positions; else only the user knows."""
    names: Any = None
    """The ids of all examples, where the data brings them as an array."""


def with_ids_in_batches(arguments: Mapping[str, Any], input_names: tuple[str, ...]) -> FitData:
    """The arguments of `fit`, with the ids of the examples in the data.

    Parameters
    ----------
    arguments
        As `fit` was called. Of arrays, and of a PyDataset with the same batches in each epoch, ids are
        positions. A tf.data.Dataset must give ``(ids, element)``, as after `with_ids`; like arrays and a
        PyDataset it may also have ids among its inputs, under a usual key.
    input_names
        The names of the model's inputs: these are no ids.

    Raises
    ------
    PruneKitError
        If the data cannot tell whose examples its batches hold.
    """
    x = arguments.get("x")
    if isinstance(x, tf.data.Dataset):
        return FitData({**arguments, "x": _pipeline(x, input_names)}, None)
    if isinstance(x, keras.utils.PyDataset):
        sequence = _Sequence(x, input_names)
        return FitData({**arguments, "x": sequence}, sequence.examples)
    leaves = [leaf for leaf in tf.nest.flatten(x) if leaf is not None]
    if not leaves or not all(hasattr(leaf, "shape") for leaf in leaves):
        raise PruneKitError(
            "`x` must be arrays, a tf.data.Dataset or a keras.utils.PyDataset, so that it can be told whose "
            f"examples a batch holds; got {type(x).__name__}.",
            hint="a generator has no positions: tf.data.Dataset.from_generator, then with_ids(dataset)",
        )
    return _arrays(dict(arguments), input_names)


def taken_apart(data: Any) -> tuple[Any, Any, Any]:
    """Ids, the batch as it was before they came, and its labels; ids None where there are none."""
    if not isinstance(data, (dict, tuple, list)):
        return None, data, None
    x, y, weights = _unpacked(data)
    if not isinstance(x, dict) or x.keys() != {_IDS, _INPUTS}:
        return None, data, None
    return x[_IDS], keras.utils.pack_x_y_sample_weight(x[_INPUTS], y, weights), y


def _arrays(arguments: dict[str, Any], input_names: tuple[str, ...]) -> FitData:
    parts = [arguments.get(name) for name in ("x", "y", "sample_weight")]
    n = int(tf.nest.flatten(parts[0])[0].shape[0])
    share = arguments.pop("validation_split", 0.0)
    if share and arguments.get("validation_data") is None:
        # As Keras splits them; validation data would have ids among its inputs otherwise.
        n_trained = math.floor(n * (1.0 - share))
        arguments["validation_data"] = tuple(_rows(part, slice(n_trained, None)) for part in parts)
        parts = [_rows(part, slice(n_trained)) for part in parts]
        n = n_trained
    own = _own_ids(parts[0], input_names)
    names, inputs = (None, parts[0]) if own is None else own
    arguments |= {"x": {_IDS: np.arange(n), _INPUTS: inputs}, "y": parts[1], "sample_weight": parts[2]}
    return FitData(arguments, n, names)


def _rows(part: Any, rows: slice) -> Any:
    return tf.nest.map_structure(
        lambda each: None if each is None else each.iloc[rows] if hasattr(each, "iloc") else each[rows], part
    )


def _own_ids(x: Any, input_names: tuple[str, ...]) -> tuple[Any, Any] | None:
    """Ids and inputs, where `x` is a dict with ids, and the model has no input of that name."""
    if not isinstance(x, Mapping):
        return None
    if _IDS in x:
        raise PruneKitError("one ScoringCallback records the training pass of a model; got two.")
    key = next((key for key in ID_KEYS if key in x and key not in input_names), None)
    if key is None:
        return None
    rest = {name: value for name, value in x.items() if name != key}
    if len(rest) == 1 and next(iter(rest)) in INPUT_KEYS:
        return x[key], next(iter(rest.values()))
    return x[key], rest


def _unpacked(element: Any) -> tuple[Any, Any, Any]:
    if isinstance(element, (tuple, list)) and not 1 <= len(element) <= 3:
        raise PruneKitError(
            f"an element of the data must be x, (x, y) or (x, y, sample_weight); got {len(element)} parts."
        )
    parts: tuple[Any, Any, Any] = keras.utils.unpack_x_y_sample_weight(element)
    return parts


def _packed(element: Any, input_names: tuple[str, ...]) -> Any | None:
    """An element with the ids that it brings among its inputs; None if it brings none."""
    if is_identified(element):
        ids, (x, y, weights) = element[0], _unpacked(element[1])
    else:
        x, y, weights = _unpacked(element)
        own = _own_ids(x, input_names)
        if own is None:
            return None
        ids, x = own
    return keras.utils.pack_x_y_sample_weight({_IDS: ids, _INPUTS: x}, y, weights)


def _pipeline(dataset: tf.data.Dataset, input_names: tuple[str, ...]) -> tf.data.Dataset:
    if _packed(dataset.element_spec, input_names) is None:
        raise PruneKitError(
            "ids must travel with the examples of a tf.data.Dataset, so that it can be told whose examples a "
            f"batch holds; its elements are {dataset.element_spec}.",
            hint="fit(with_ids(dataset).shuffle(n).batch(b), ...), where the dataset is not shuffled yet",
        )

    def packed(*element: Any) -> Any:
        return _packed(element[0] if len(element) == 1 else element, input_names)

    return dataset.map(tf.autograph.experimental.do_not_convert(packed))


class _Sequence(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """A PyDataset with ids among the inputs of each batch."""

    def __init__(self, sequence: keras.utils.PyDataset, input_names: tuple[str, ...]) -> None:
        super().__init__(
            workers=sequence.workers,
            use_multiprocessing=sequence.use_multiprocessing,
            max_queue_size=sequence.max_queue_size,
        )
        self._input_names = input_names
        brings_ids = _packed(sequence[0], input_names) is not None
        self._sequence = sequence if brings_ids else IdentifiedSequence(sequence)
        self.examples = getattr(self._sequence, "examples", None)
        """How many there are, where ids are positions."""

    @property
    def num_batches(self) -> int | None:
        """As of the other."""
        return self._sequence.num_batches

    def __getitem__(self, index: int) -> Any:
        return _packed(self._sequence[index], self._input_names)

    def on_epoch_begin(self) -> None:
        """As of the other."""
        self._sequence.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """As of the other."""
        self._sequence.on_epoch_end()
