"""The recorder of the core in TensorFlow's training loops: eager tensors, values per replica, workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from prune_kit.epoch_record import EpochRecord
from prune_kit.errors import PruneKitError
from prune_kit.pending import DEVICE_ELEMENTS
from prune_kit.recorder import Pass
from prune_kit.recorder import ScoreRecorder as CoreRecorder

from .batches import check_rank, logits_of
from .example_ids import as_ids
from .workers import Workers

__all__ = ["EpochRecord", "ScoreRecorder"]


class ScoreRecorder(CoreRecorder):
    """Records scores inside a training loop: `update` after each batch, `end_epoch` after each epoch.

    Nothing waits for a GPU at a step: eager tensors never change, so that they are kept as they are and
    copied to the host some hundred steps later together. `update` is called eagerly; a step that is a
    tf.function returns its logits. Values per replica, as ``strategy.run`` gives them, are put together.
    In a MultiWorkerMirroredStrategy, in whose scope the recorder is then made, so are the rows of all
    workers, each example once, and the first worker writes.

    Parameters
    ----------
    run, examples, seed, scores, taken, described, overwrite
        As for `prune_kit.ScoreRecorder`. With `with_ids`, `examples` is the length of the data set.

    Raises
    ------
    PruneKitError
        If an argument is not as described there, or several workers train and this is not the scope of
        their strategy.

    Examples
    --------
    >>> import keras, numpy as np, tensorflow as tf
    >>> from prune_kit_tensorflow.identified_data import with_ids
    >>> data = tf.data.Dataset.from_tensor_slices((np.eye(4, dtype="float32"), [0, 1, 0, 1]))
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> recorder = ScoreRecorder(None, len(data))
    >>> for ids, (inputs, labels) in with_ids(data).shuffle(4).batch(2):
    ...     recorder.update(ids, model(inputs), labels)
    >>> list(recorder.end_epoch().table)
    ['predicted', 'p_label', 'el2n', 'logit_margin']
    """

    def __init__(
        self,
        run: str | Path | None,
        examples: int | Sequence[Any] | tf.Tensor,
        /,
        *,
        seed: int = 0,
        scores: Sequence[str] = ("el2n", "logit_margin"),
        taken: Pass = "training",
        described: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self._held: list[tuple[Any, Any, Any]] = []
        self._elements = 0
        super().__init__(
            run,
            as_ids(examples) if tf.is_tensor(examples) else examples,
            seed=seed,
            scores=scores,
            taken=taken,
            described=described,
            overwrite=overwrite,
            peers=Workers(tf.distribute.get_strategy()),
            framework="tensorflow",
        )

    def update(self, ids: object, outputs: object, labels: object, /) -> None:
        """Record a batch.

        Parameters
        ----------
        ids
            Whose rows these are, shape (b,).
        outputs
            Logits (b, c), or what the model gives: with `.logits`, with "logits", or a tuple that begins
            with them. Values per replica are put one after the other.
        labels
            Classes, (b,) or (b, 1), or soft labels, (b, c).

        Raises
        ------
        PruneKitError, RunConflictError
            As for `prune_kit.ScoreRecorder.update`, and inside a tf.function.
        """
        if _is_per_replica(ids, outputs, labels):
            for of_replica in zip(*map(_replicas, (ids, outputs, labels)), strict=True):
                self.update(*of_replica)
            return
        logits = logits_of(outputs)
        if not isinstance(logits, np.ndarray) and tf.is_symbolic_tensor(logits):
            raise PruneKitError(
                "`update` must be called eagerly; got a tensor of a tf.function, which has no values.",
                hint="let the step that is a tf.function return ids, logits and labels, and call "
                "update outside of it",
            )
        check_rank(logits)
        labels = _without_last_axis_of_one(labels)
        rows = {"ids": _rows(ids), "logits": int(logits.shape[0]), "labels": _rows(labels)}
        if len(set(rows.values())) > 1:
            raise PruneKitError(
                "`ids`, `outputs` and `labels` must have one row per example; got "
                + ", ".join(f"{n} {name}" for name, n in rows.items())
                + ".",
                hint="an id is the example's position in the data set, or its name, never its place in the "
                "batch",
            )
        if not rows["ids"]:  # the last batch may leave a replica without examples
            return
        self._begin()
        self._held.append((ids, logits, labels))
        self._elements += rows["logits"] * int(logits.shape[1])
        if self._elements >= DEVICE_ELEMENTS:
            self._score_pending()

    def begin(self) -> None:
        """Make the run directory, or see that it may be written to, which else the first update does.

        Raises
        ------
        RunConflictError
            As for `update`.
        """
        self._begin()

    def discard_epoch(self) -> None:
        """Forget what was recorded since the last `end_epoch`, as if the epoch had not begun."""
        self._held, self._elements = [], 0
        super().discard_epoch()

    def _score_pending(self) -> None:
        held, self._held, self._elements = self._held, [], 0
        for ids, logits, labels in held:
            super().update(as_ids(ids), _values(logits), _values(labels))
        super()._score_pending()


def _is_per_replica(*values: Any) -> bool:
    return any(isinstance(part, tf.distribute.DistributedValues) for part in tf.nest.flatten(values))


def _replicas(value: Any) -> list[Any]:
    """The values of all replicas, of one that may be a structure of them."""
    parts = [
        part.values if isinstance(part, tf.distribute.DistributedValues) else (part,)
        for part in tf.nest.flatten(value)
    ]
    return [tf.nest.pack_sequence_as(value, each) for each in zip(*parts, strict=True)]


def _rows(values: Any) -> int:
    if not hasattr(values, "shape"):
        return len(values)
    return int(values.shape[0]) if len(values.shape) else 0


def _without_last_axis_of_one(labels: Any) -> Any:
    """Labels (b,) of those that Keras takes as (b, 1)."""
    is_column = hasattr(labels, "shape") and len(labels.shape) == 2 and labels.shape[1] == 1
    return labels[:, 0] if is_column else labels


def _values(values: Any) -> Any:
    if not tf.is_tensor(values):
        return values
    is_half = values.dtype in (tf.float16, tf.bfloat16)
    return (tf.cast(values, tf.float32) if is_half else values).numpy()
