"""A compiled Keras model trained by its own `fit`, with scores taken between the epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from prune_kit.errors import PruneKitError

from .batches import RawBatch, model_errors
from .compiled import of_any_size


def fit(
    model: keras.Model,
    batches: Callable[[int], Iterator[RawBatch]],
    *,
    steps: int,
    after: int,
    last: int,
    callbacks: Sequence[keras.callbacks.Callback],
    begin_epoch: Callable[[int], None],
    end_step: Callable[[], None],
    end_epoch: Callable[[], None],
) -> None:
    """Train epochs `after` + 1 to `last` in one call of `model.fit`, so that callbacks see one training.

    Parameters
    ----------
    model
        A compiled model.
    batches
        Gives the batches of an epoch (from 1 on).
    steps
        How many these are.
    after, last
        Completed epochs before and after.
    callbacks
        The user's.
    begin_epoch, end_step, end_epoch
        Called at these times, after the user's callbacks.

    Raises
    ------
    PruneKitError
        If a callback stopped the training, or Keras cannot train the model on the data.
    """
    between = _Between(begin_epoch, end_step, end_epoch)
    first = next(batches(after + 1))
    # A pipeline and no generator: that Keras begins anew under a strategy, some batches too late.
    given = tf.data.Dataset.from_generator(
        lambda: _endless(batches, after),
        output_signature=tf.nest.map_structure(of_any_size, (first.inputs, first.labels)),
    )
    with model_errors(first.inputs):
        model.fit(
            given.prefetch(2),
            steps_per_epoch=steps,
            initial_epoch=after,
            epochs=last,
            callbacks=[*callbacks, between],
            shuffle=False,
            verbose=0,
        )
    if between.epochs_done < last - after:
        raise PruneKitError(
            f"a callback stopped the training after epoch {after + between.epochs_done}; "
            f"epoch {last} is to be scored.",
            hint="leave out callbacks such as EarlyStopping, or ask for fewer epochs",
        )


def _endless(batches: Callable[[int], Iterator[RawBatch]], after: int) -> Iterator[tuple[Any, Any]]:
    """Batches of one epoch after another: `fit` reads ahead of what it trains on."""
    epoch = after
    while True:
        epoch += 1
        for batch in batches(epoch):
            yield batch.inputs, batch.labels


class _Between(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Tells when epochs and steps begin and end."""

    def __init__(
        self, begin_epoch: Callable[[int], None], end_step: Callable[[], None], end_epoch: Callable[[], None]
    ) -> None:
        super().__init__()
        self._begin_epoch, self._end_step, self._end_epoch = begin_epoch, end_step, end_epoch
        self.epochs_done = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin_epoch(epoch + 1)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._end_step()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs_done += 1
        self._end_epoch()
