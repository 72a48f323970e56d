"""The examples of a data set that a page shows, by id; one that cannot be read does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import NumpyArray
from ..classes import Positions
from ..data import Examples, ExampleStream, open_examples
from ..data.find import find_data
from ..data.images import decode_images
from ..errors import PruneKitError, StoreError
from ..id_index import IdIndex
from ..ids import check_ids
from .look import Look, missing, of_inputs, unreadable
from .thumbnails import shrunk

_BATCH = 512


def looks_at(data: str | Path | Examples, ids: NumpyArray, /) -> list[Look]:
    """Look at some examples of a data set.

    Parameters
    ----------
    data
        What `prune_kit.data.open_examples` opens, or examples in memory. A Parquet file of texts is shown
        as text.
    ids
        Shape (k,): which examples; those that the data does not have are `missing`.

    Returns
    -------
    list of Look
        k of them, in the order of `ids`.

    Raises
    ------
    StoreError
        If the data is not there or cannot be read at all.
    PruneKitError
        If the data has none of the ids, or ids of another kind.
    """
    if isinstance(data, Examples):
        places = _places(data.ids, ids, data.source)
        return [_absent() if at < 0 else of_inputs(data.inputs, at, None) for at in places.tolist()]
    found = find_data(data)
    if found.kind == "images":
        return _of_folder(found.paths[0], ids)
    if found.kind == "parquet":
        from .parquet_looks import of_parquet  # loads pyarrow

        return of_parquet(found.paths, str(data), ids)
    return of_stream(open_examples(data, needs_labels=False), ids, None)


def of_stream(stream: ExampleStream, ids: NumpyArray, names: Sequence[str] | None, /) -> list[Look]:
    """Look at some examples of a stream of arrays, of which one pass is made; `names` are of features."""
    places = _places(stream.ids, ids, stream.source)
    by_place = {place: k for k, place in enumerate(places.tolist()) if place >= 0}
    looks = [_absent()] * len(ids)
    start = 0
    for batch in stream.batches(_BATCH):
        for row in range(len(batch.ids)):
            if (k := by_place.get(start + row)) is not None:
                looks[k] = of_inputs(batch.inputs, row, names)
        start += len(batch.ids)
    return looks


def image_look(encoded: bytes | Path, name: str, /) -> Look:
    """An encoded image, or why it cannot be read."""
    try:
        (image,) = decode_images([encoded], [name], None)
    except StoreError as error:
        return unreadable(str(error).partition(" Hint: ")[0])
    return Look("image", image=shrunk(image))


def places_of(own: Any, ids: NumpyArray, source: str, /) -> Positions:
    """Where the examples called `ids` are among the data's `own`; -1 for those that are not there."""
    return _places(check_ids(own, len(own), name=f"ids of {source}"), ids, source)


def _places(own: NumpyArray, ids: NumpyArray, source: str) -> Positions:
    index = IdIndex(own)
    is_there = np.isin(ids, own) if own.dtype.kind == ids.dtype.kind else np.ones(len(ids), bool)
    if not is_there.any():
        raise PruneKitError(
            f"{source} has none of the examples that were scored: its ids are other ones.",
            hint="give the data that was scored with --data",
        )
    places = np.full(len(ids), -1)
    places[is_there] = index.positions(ids[is_there], where=source)
    return places


def _of_folder(folder: Path, ids: NumpyArray) -> list[Look]:
    if ids.dtype.kind != "U":
        raise PruneKitError(
            f"the ids of {folder} are paths of images; got numbers.", hint="are these ids of other data?"
        )
    looks = list(_files(folder, ids.tolist()))
    if all(look.kind == "missing" for look in looks):
        raise PruneKitError(
            f"{folder} has none of the images that were scored.",
            hint="give the folder that was scored with --data",
        )
    return looks


def _files(folder: Path, ids: Sequence[str]) -> Iterator[Look]:
    root = folder.resolve()
    for each in ids:
        # An id comes from a file: it must not lead out of the folder.
        path = (root / each).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            yield missing("there is no such file in the data")
        else:
            yield image_look(path, each)


def _absent() -> Look:
    return missing("the data has no example of this id")
