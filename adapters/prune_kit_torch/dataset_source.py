"""Examples of a map-style Dataset, read through a DataLoader that keeps positions beside the batch."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate

from prune_kit.errors import PruneKitError

from .batches import Ids, Inputs, RawBatch, split_batch
from .identity import feed
from .numbered import CollateNumbered, Numbered


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
            Numbered(self._dataset),
            batch_size=batch_size or (own.batch_size if own is not None else None) or 256,
            num_workers=own.num_workers if own is not None else 0,
            pin_memory=own.pin_memory if own is not None else False,
            worker_init_fn=own.worker_init_fn if own is not None else None,
            multiprocessing_context=own.multiprocessing_context if own is not None else None,
            collate_fn=CollateNumbered(self._collate),
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
            feed(of_batch, split_batch(batch))
            hashes.append(of_batch.hexdigest())
        if hashes[0] != hashes[1]:
            warnings.warn(
                "the data set gives other inputs when an example is read again, as with augmentation: "
                "its scores would be noisy. Give the data without augmentation, and the augmented data "
                "as `training_data`.",
                UserWarning,
                stacklevel=3,
            )
            feed(digest, split_batch(first).labels)
            return digest.hexdigest()
        return hashes[0]

    def to(self, device: torch.device) -> DatasetSource:
        """See `Source.to`; a Dataset stays where it is."""
        return self
