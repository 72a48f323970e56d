"""Examples held as tensors, on the device where they fit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.standardise import channel_moments

from .batches import Ids, Inputs, RawBatch, split_batch
from .identity import feed


def from_examples(examples: Examples, *, like: Any = None) -> ArraySource:
    """Examples of the core; images are standardised, channel by channel, when they are read.

    With the moments of the images that `like` was made of, where that is a source of such, else with
    their own.
    """
    inputs = examples.inputs
    if inputs.dtype != np.uint8 or inputs.ndim != 4:
        return ArraySource(inputs, examples.labels, examples.ids, digest=examples.fingerprint)
    channels_first = torch.from_numpy(np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)))
    standardise = like._prepare if isinstance(like, ArraySource) else None
    standardise = standardise or Standardise(*channel_moments(inputs))
    return ArraySource(channels_first, examples.labels, examples.ids, standardise, examples.fingerprint)


class Standardise:
    """Bytes to floats with mean 0 and standard deviation 1 per channel, as the paper's recipe has it."""

    def __init__(self, mean: np.ndarray, std: np.ndarray) -> None:
        self.mean = torch.as_tensor(mean, dtype=torch.float32).view(1, -1, 1, 1)
        self.std = torch.as_tensor(std, dtype=torch.float32).view(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Images of shape (b, channels, height, width) as float32."""
        return images.float().sub_(self.mean.to(images.device)).div_(self.std.to(images.device))


class ArraySource:
    """Examples held as tensors, on the device where they fit.

    Parameters
    ----------
    inputs, labels
        Arrays of n rows. NumPy float64 becomes torch's default float type; tensors keep theirs.
    ids
        Names of the examples; positions by default.
    prepare
        What makes a batch of `inputs` the model's input.
    digest
        The fingerprint, where it is known already.
    """

    def __init__(
        self,
        inputs: Any,
        labels: Any,
        ids: Any = None,
        prepare: Callable[[Tensor], Tensor] | None = None,
        digest: str | None = None,
    ) -> None:
        self._inputs = _as_tensor(inputs)
        self._prepare = prepare
        self._digest = digest
        n = len(self._inputs)
        if len(labels) != n:
            raise PruneKitError(
                f"inputs and labels must have the same length; got {n} inputs and {len(labels)} labels."
            )
        batch = split_batch((self._inputs, labels, np.arange(n) if ids is None else ids))
        self._labels, self._ids = batch.labels, batch.ids

    def __len__(self) -> int:
        return len(self._inputs)

    @property
    def labels(self) -> Tensor:
        """See `Source.labels`."""
        return self._labels

    @property
    def inputs(self) -> Tensor:
        """What the model sees of all examples; for small data only."""
        return self._inputs if self._prepare is None else self._prepare(self._inputs)

    def _batch(self, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        inputs = self._inputs[rows]
        return inputs if self._prepare is None else self._prepare(inputs), self._labels[rows]

    def ordered(self, batch_size: int | None) -> Iterator[tuple[Ids, Inputs, Tensor]]:
        """See `Source.ordered`."""
        step = batch_size or 256
        for start in range(0, len(self), step):
            rows = slice(start, start + step)
            assert self._ids is not None
            yield self._ids[rows], *self._batch(rows)

    def shuffled(self, batch_size: int, seed: int) -> Iterator[RawBatch]:
        """See `Source.shuffled`."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        order = order.to(self._inputs.device)
        for start in range(0, _whole_batches(len(self), batch_size), batch_size):
            yield RawBatch(None, *self._batch(order[start : start + batch_size]))

    def steps(self, batch_size: int) -> int:
        """See `Source.steps`."""
        return max(1, len(self) // batch_size)

    def fingerprint(self) -> str:
        """SHA-256 of ids, labels and inputs."""
        if self._digest is None:
            digest = hashlib.sha256()
            for array in (self._ids, self._labels.cpu().numpy(), self._inputs.cpu()):
                feed(digest, array)
            self._digest = digest.hexdigest()
        return self._digest

    def to(self, device: torch.device) -> ArraySource:
        """See `Source.to`; half of the free memory of a GPU is the most that is taken."""
        size = self._inputs.element_size() * self._inputs.nelement()
        if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 2:
            return self
        moved = ArraySource.__new__(ArraySource)
        moved.__dict__ |= self.__dict__
        moved._inputs, moved._labels = self._inputs.to(device), self._labels.to(device)
        return moved


def _whole_batches(n: int, batch_size: int) -> int:
    """How many of `n` examples an epoch takes: a ragged last batch is left out unless it is the only one."""
    return n - n % batch_size if n > batch_size else n


def _as_tensor(array: Any) -> Tensor:
    if isinstance(array, Tensor):
        return array.detach()
    numpy_array = np.asarray(array)
    if numpy_array.dtype.kind not in "fiub":
        raise PruneKitError(
            f"inputs must be numbers; got dtype {numpy_array.dtype}.",
            hint="encode text first, and give a Dataset of dicts for a model that takes several inputs",
        )
    if numpy_array.dtype == np.float64:
        return torch.as_tensor(numpy_array, dtype=torch.get_default_dtype())
    if numpy_array.dtype in (np.uint16, np.uint32, np.uint64):
        numpy_array = numpy_array.astype(np.int64)
    return torch.as_tensor(numpy_array if numpy_array.flags.writeable else numpy_array.copy())
