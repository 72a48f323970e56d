"""A DataLoader that says whose examples each batch holds, and is otherwise the one it is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from prune_kit.errors import PruneKitError

from .loader_settings import settings_of
from .numbered import CollateNumbered, Numbered


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
    check_identifiable(loader)
    arguments = arguments_of(loader)
    arguments |= {"dataset": Numbered(loader.dataset), "collate_fn": _WithTensorOfIds(loader.collate_fn)}
    return DataLoader(**arguments)


def check_identifiable(loader: object) -> None:
    """Refuse what cannot tell whose examples its batches hold.

    Raises
    ------
    PruneKitError
        As for `with_ids`.
    """
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


def arguments_of(loader: DataLoader[Any]) -> dict[str, Any]:
    """What another DataLoader must be made with to be as this one, which makes batches."""
    # A batch sampler of the user's is taken as it is; else the parts that the DataLoader makes one from,
    # which other libraries look for.
    if loader.batch_size is None:
        batches: dict[str, Any] = {"batch_sampler": loader.batch_sampler}
    else:
        batches = {
            "batch_size": loader.batch_size,
            "sampler": loader.sampler,
            "drop_last": loader.drop_last,
        }
    return {
        "dataset": loader.dataset,
        "collate_fn": loader.collate_fn,
        **batches,
        **settings_of(loader),
    }


class _WithTensorOfIds:
    """A collate function of numbered examples; a class, so that workers can have it."""

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self._collate = CollateNumbered(collate)

    def __call__(self, numbered: Sequence[tuple[int, Any]]) -> tuple[Tensor, Any]:
        positions, batch = self._collate(numbered)
        return torch.tensor(positions, dtype=torch.int64), batch
