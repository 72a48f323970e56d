"""A DataLoader that says whose examples each batch holds, and is otherwise the one it is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from prune_kit.errors import PruneKitError

from .loader_settings import settings_of
from .numbered import CollateNumbered, Numbered

Loader = TypeVar("Loader", bound=DataLoader[Any])


def with_ids(loader: DataLoader[Any], /) -> DataLoader[Any]:
    """Give the ids of the examples beside each batch of a DataLoader.

    Parameters
    ----------
    loader
        A DataLoader of a data set with a length. It is not changed.

    Returns
    -------
    DataLoader
        Yields ``(ids, batch)``: ids int64, shape (b,), the positions of the examples in the data set;
        the batch as the loader itself gives it. With the loader's own sampler, collate function, workers
        and settings: the same batches in the same order from the same random state.

    Raises
    ------
    PruneKitError
        If it is no DataLoader, its data set streams, or it does not make batches.

    Examples
    --------
    >>> import torch
    >>> data = torch.utils.data.TensorDataset(torch.tensor([[10.0], [11.0], [12.0]]))
    >>> for ids, (inputs,) in with_ids(torch.utils.data.DataLoader(data, batch_size=2)):
    ...     print(ids.tolist(), inputs.tolist())
    [0, 1] [[10.0], [11.0]]
    [2] [[12.0]]
    """
    return identified(loader, DataLoader)


def identified(loader: DataLoader[Any], kind: type[Loader], /) -> Loader:
    """The same as `with_ids`, as a DataLoader of the class `kind`."""
    if not isinstance(loader, DataLoader):
        raise PruneKitError(
            f"`loader` must be a torch.utils.data.DataLoader; got {type(loader).__name__}.",
            hint="put it around the DataLoader before anything else is",
        )
    if type(loader).__iter__ is not DataLoader.__iter__:
        raise PruneKitError(
            f"`loader` must be a plain DataLoader; {type(loader).__name__} iterates in a way of its own.",
            hint="call with_ids(loader) first and give its result to what makes that one, such as "
            "accelerator.prepare",
        )
    if isinstance(loader.dataset, IterableDataset):
        raise PruneKitError(
            f"the examples of {type(loader.dataset).__name__} stream: they have no positions.",
            hint="use a map-style Dataset, or let the data give ids of its own",
        )
    if loader.batch_sampler is None:
        raise PruneKitError(
            "`loader` must make batches; it has batch_size=None.",
            hint="let the data give ids of its own, beside inputs and labels",
        )
    is_default = loader.batch_size is not None
    return kind(
        Numbered(loader.dataset),
        # A batch sampler of the user's is taken as it is; else the parts that the DataLoader makes one from,
        # which other libraries look for.
        batch_size=loader.batch_size if is_default else 1,
        sampler=loader.sampler if is_default else None,
        drop_last=loader.drop_last if is_default else False,
        batch_sampler=None if is_default else loader.batch_sampler,
        collate_fn=_WithTensorOfIds(loader.collate_fn),
        **settings_of(loader),
    )


class _WithTensorOfIds:
    """A collate function of numbered examples; a class, so that workers can have it."""

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self._collate = CollateNumbered(collate)

    def __call__(self, numbered: Sequence[tuple[int, Any]]) -> tuple[Tensor, Any]:
        positions, batch = self._collate(numbered)
        return torch.tensor(positions, dtype=torch.int64), batch
