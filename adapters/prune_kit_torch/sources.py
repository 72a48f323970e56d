"""What data may be: arrays, Datasets and DataLoaders, read in their own order or shuffled, ids at hand."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, default_collate

from prune_kit.data import Examples
from prune_kit.errors import PruneKitError

from .batches import Ids, Inputs, RawBatch, split_batch


class Source(Protocol):
    """Examples that can be read in the data set's own order, and shuffled for training."""

    @property
    def labels(self) -> Tensor | None:
        """The labels of all examples, where they are at hand without reading the data."""
        ...

    def __len__(self) -> int: ...

    def ordered(self, batch_size: int | None) -> Iterator[tuple[Ids, Inputs, Tensor]]:
        """Every example once, in the data set's own order: batches of ids, inputs and labels."""
        ...

    def shuffled(self, batch_size: int, seed: int) -> Iterator[RawBatch]:
        """The training batches of one epoch, in the order that `seed` gives."""
        ...

    def steps(self, batch_size: int) -> int:
        """How many batches `shuffled` gives."""
        ...

    def fingerprint(self) -> str:
        """What tells this data from other data, as hexadecimal digits."""
        ...

    def to(self, device: torch.device) -> Source:
        """The same examples, kept on `device` where they fit."""
        ...


def as_source(data: Any) -> Source:
    """`data` as a `Source`.

    Parameters
    ----------
    data
        Examples of the core; (inputs, labels) or (inputs, labels, ids) as arrays; a Dataset (of (x, y),
        (x, y, id) or dicts); or a DataLoader, of which the data set, the collate function and the
        workers are used for scoring, and the loader itself for training.

    Raises
    ------
    PruneKitError
        If it is none of these, or is empty.
    """
    source: Source
    if isinstance(data, (ArraySource, DatasetSource)):
        source = data
    elif isinstance(data, Examples):
        source = _from_examples(data)
    elif isinstance(data, DataLoader):
        source = DatasetSource(data.dataset, loader=data)
    elif isinstance(data, TensorDataset) and len(data.tensors) in (2, 3):
        inputs, labels, *own_ids = data.tensors
        source = ArraySource(inputs, labels, own_ids[0] if own_ids else None)
    elif isinstance(data, (tuple, list)) and len(data) in (2, 3) and all(map(_is_array, data)):
        source = ArraySource(*data)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (tuple, list)):
        source = DatasetSource(data)
    else:
        raise PruneKitError(
            "`data` must be a Dataset with a length, a DataLoader, or a pair of arrays (inputs, labels); "
            f"got {type(data).__name__}.",
            hint="examples that stream need ids of their own and a length: wrap them in a Dataset",
        )
    if len(source) == 0:
        raise PruneKitError("`data` has no examples.")
    return source


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") or hasattr(x, "__array__")


def _from_examples(examples: Examples) -> ArraySource:
    inputs = examples.inputs
    if inputs.dtype != np.uint8 or inputs.ndim != 4:
        return ArraySource(inputs, examples.labels, examples.ids, digest=examples.fingerprint)
    channels_first = torch.from_numpy(np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)))
    # Moments from sums of integers: exact, and the image set is never held as floats.
    pixels = inputs.reshape(-1, inputs.shape[-1])
    histogram = np.stack([np.bincount(channel, minlength=256) for channel in pixels.T])
    values = np.arange(256)
    mean = histogram @ values / len(pixels)
    std = np.sqrt(histogram @ values**2 / len(pixels) - mean**2)
    standardise = Standardise(mean, np.where(std > 0, std, 1.0))
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
                _update(digest, array)
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


class DatasetSource:
    """Examples of a map-style Dataset, read through a DataLoader.

    Parameters
    ----------
    dataset
        Whatever has a length and gives examples by position.
    loader
        The user's DataLoader of it, if there is one.
    """

    def __init__(self, dataset: Any, loader: DataLoader[Any] | None = None) -> None:
        if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
            raise PruneKitError(
                "`data` must have a length and give examples by position; "
                f"got {type(dataset).__name__}, which streams.",
                hint="scores belong to examples that can be named and found again: use a map-style Dataset",
            )
        self._dataset = dataset
        self._loader = loader
        collate: Callable[[list[Any]], Any] = default_collate
        if loader is not None and loader.collate_fn is not None and loader.batch_size is not None:
            collate = loader.collate_fn
        self._collate = collate

    @property
    def labels(self) -> None:
        """See `Source.labels`: not known without reading every example."""

    def __len__(self) -> int:
        return len(self._dataset)

    def ordered(self, batch_size: int | None) -> Iterator[tuple[Ids, Inputs, Tensor]]:
        """See `Source.ordered`; the user's loader lends its collate function, workers and batch size."""
        own = self._loader
        numbered: DataLoader[Any] = DataLoader(
            _Numbered(self._dataset),
            batch_size=batch_size or (own.batch_size if own is not None else None) or 256,
            num_workers=own.num_workers if own is not None else 0,
            pin_memory=own.pin_memory if own is not None else False,
            worker_init_fn=own.worker_init_fn if own is not None else None,
            multiprocessing_context=own.multiprocessing_context if own is not None else None,
            collate_fn=_CollateNumbered(self._collate),
        )
        for positions, batch in numbered:
            ids, inputs, labels = split_batch(batch)
            if len(labels) != len(positions):
                raise PruneKitError(
                    f"a batch of {len(positions)} examples came back with {len(labels)} labels.",
                    hint="the collate function must keep one row per example",
                )
            yield np.asarray(positions, np.int64) if ids is None else ids, inputs, labels

    def shuffled(self, batch_size: int, seed: int) -> Iterator[RawBatch]:
        """See `Source.shuffled`; a loader of the user's is used as it is, its generator seeded."""
        loader = self._loader
        if loader is None:
            n = len(self)
            loader = DataLoader(
                self._dataset,
                batch_size=batch_size,
                shuffle=True,
                drop_last=n > batch_size,
                generator=torch.Generator().manual_seed(seed),
            )
        else:
            for generator in {loader.generator, getattr(loader.sampler, "generator", None)} - {None}:
                generator.manual_seed(seed)
        for batch in loader:
            yield split_batch(batch)

    def steps(self, batch_size: int) -> int:
        """See `Source.steps`."""
        return len(self._loader) if self._loader is not None else max(1, len(self) // batch_size)

    def fingerprint(self) -> str:
        """SHA-256 of the length and of up to 64 examples, evenly spread.

        Warns if an example is another one when it is read again: scores need data without augmentation.
        """
        digest = hashlib.sha256(str(len(self)).encode())
        positions = np.unique(np.linspace(0, len(self) - 1, 64).astype(int)).tolist()
        first, again = (self._collate([self._dataset[i] for i in positions]) for _ in range(2))
        hashes = []
        for batch in (first, again):
            of_batch = digest.copy()
            _update(of_batch, split_batch(batch))
            hashes.append(of_batch.hexdigest())
        if hashes[0] != hashes[1]:
            warnings.warn(
                "the data set gives other inputs when an example is read again, as with augmentation: "
                "its scores would be noisy. Give the data without augmentation, and the augmented data "
                "as `training_data`.",
                UserWarning,
                stacklevel=3,
            )
            _update(digest, split_batch(first).labels)
            return digest.hexdigest()
        return hashes[0]

    def to(self, device: torch.device) -> DatasetSource:
        """See `Source.to`; a Dataset stays where it is."""
        return self


class _Numbered(Dataset[Any]):
    """A Dataset that says with each example at which position it stands."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, position: int) -> tuple[int, Any]:
        return position, self._dataset[position]


class _CollateNumbered:
    """A collate function that keeps the positions beside the batch; a class, so that workers can have it."""

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self._collate = collate

    def __call__(self, numbered: Sequence[tuple[int, Any]]) -> tuple[list[int], Any]:
        return [position for position, _ in numbered], self._collate([example for _, example in numbered])


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


def _update(digest: Any, value: Any) -> None:
    """Feed arrays, and what holds arrays, to a hash: type and shape first, so that no two look alike."""
    if isinstance(value, dict):
        for key in sorted(value):
            digest.update(str(key).encode())
            _update(digest, value[key])
    elif isinstance(value, (tuple, list)):
        for each in value:
            _update(digest, each)
    elif isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().contiguous().view(torch.uint8)).data)
    else:
        array = np.ascontiguousarray(value)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
