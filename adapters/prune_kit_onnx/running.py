"""A session over batches of any size: outputs in buffers made beforehand, fixed batches filled up and cut."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError

from .feeding import Feeds
from .runtime_errors import RUNTIME_ERRORS, told


class Runner:
    """Runs a session, its outputs bound to arrays of the caller's.

    Parameters
    ----------
    session
        Of the model.
    outputs
        The names of the outputs that are wanted, with a row per example.
    constants
        The names of outputs that are the same for all examples, wanted once.
    batch
        How many examples the model takes at a time; None for any number.
    name
        What to call the model.

    Attributes
    ----------
    constants : list of arrays
        The constants; there are none before the first batch.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        outputs: list[str],
        constants: list[str],
        batch: int | None,
        name: str,
    ) -> None:
        self._session = session
        self._outputs = outputs
        self._constant_names = constants
        self._batch = batch
        self._name = name
        self._rows: list[tuple[tuple[int, ...], np.dtype[np.generic]]] | None = None
        self.constants: list[NumpyArray] = []

    def run(self, feeds: Feeds, n: int) -> list[NumpyArray]:
        """What the model gives for `n` examples, each array of n rows and the caller's to keep.

        Raises
        ------
        PruneKitError
            If the model cannot take them, or gives another number of rows.
        """
        step = self._batch or n
        done: list[NumpyArray] = []
        if self._rows is None:
            done = self._first_run(_filled(feeds, 0, step), step)
            self._rows = [(array.shape[1:], array.dtype) for array in done]
            if step >= n:
                return [each[:n] for each in done]
        rows = -(-n // step) * step
        buffers = [np.empty((rows, *shape), dtype) for shape, dtype in self._rows]
        for buffer, array in zip(buffers, done, strict=False):
            buffer[:step] = array
        for start in range(step if done else 0, n, step):
            self._run_bound(_filled(feeds, start, step), [each[start : start + step] for each in buffers])
        return [each[:n] for each in buffers]

    def _first_run(self, feeds: Feeds, step: int) -> list[NumpyArray]:
        """The outputs for the first examples, which tell how large they are."""
        try:
            found = self._session.run([*self._outputs, *self._constant_names], feeds)
        except RUNTIME_ERRORS as error:
            raise self._not_run(feeds, error) from error
        arrays = [np.asarray(each) for each in found]
        self.constants = arrays[len(self._outputs) :]
        arrays = arrays[: len(self._outputs)]
        for output, array in zip(self._outputs, arrays, strict=True):
            if array.ndim != 2:
                raise PruneKitError(
                    f"{self._name} must give one row per example; its {output!r} has shape {array.shape}.",
                    hint="logits are of shape (batch, classes), inputs of the last layer of shape (batch, d)",
                )
            if len(array) != step:
                raise PruneKitError(
                    f"the model gave {len(array)} rows of {output!r} for {step} examples.",
                    hint="it must give one row per example: was it exported with a fixed batch size?",
                )
        return arrays

    def _run_bound(self, feeds: Feeds, buffers: list[NumpyArray]) -> None:
        binding = self._session.io_binding()
        try:
            for name, array in feeds.items():
                binding.bind_cpu_input(name, array)
            for name, buffer in zip(self._outputs, buffers, strict=True):
                binding.bind_output(
                    name,
                    element_type=buffer.dtype.type,
                    shape=buffer.shape,
                    buffer_ptr=buffer.ctypes.data,
                )
            self._session.run_with_iobinding(binding)
        except RUNTIME_ERRORS as error:
            raise self._not_run(feeds, error) from error

    def _not_run(self, feeds: Feeds, error: Exception) -> PruneKitError:
        given = ", ".join(f"{name}: {array.dtype} of shape {array.shape}" for name, array in feeds.items())
        return PruneKitError(
            f"{self._name} cannot take the data, {given}: {told(error)}",
            hint="the model and the data must be made for each other; an exported model may be bound to the "
            "batch size it was exported with (--batch-size)",
        )


def _filled(feeds: Feeds, start: int, step: int) -> Feeds:
    """`step` rows from `start` on; the last one again where there are fewer."""
    cut = {}
    for name, array in feeds.items():
        rows = array if step == len(array) else array[start : start + step]
        if missing := step - len(rows):
            rows = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])
        cut[name] = rows
    return cut
