"""One door to pruned data sets on disk: the kept examples are written as they were, in a new folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..arrays import NumpyArray
from ..atomic_folder import atomic_folder, check_vacant
from ..errors import PruneKitError
from ..id_index import IdIndex
from ..ids import check_ids
from ..subset_file import write_ids
from ..table import ScoreTable
from .find import find_data
from .pruned_folder import ImageFolder

RECORD = Path(".prune_kit", "kept.parquet")
"""Where a pruned data set names what was kept. Hidden, so that readers of data sets pass over it."""


class Written(NamedTuple):
    """What was written."""

    examples: int
    """How many examples."""
    files: int
    """How many files of data."""
    size: int
    """How many bytes these files have together."""
    vanished: tuple[str, ...]
    """Classes of which nothing is left, where classes are numbered by their sorted names: folders of images,
    and Parquet with names in its label column. Loaded again, the classes after these have lower numbers."""


def write_pruned(source: str | Path, out: str | Path, kept: object, /, *, link: bool = False) -> Written:
    """Write the kept examples of a data set to a new folder, which `load_examples` and others read.

    What is kept stays as it was: of Parquet files the order, the columns, the schema with its metadata and
    the compression; of images the bytes and times. Files have the names that they had, and a file of which
    nothing is kept is left out, as are files that are no data. Parquet is read and written a piece at a
    time: memory does not grow with the files. `out` appears whole or not at all.

    ``out/.prune_kit/kept.parquet`` names what was kept, by the ids that the source has, in the order of the
    data: row i is example i of `out`, whose ids, where they are positions, count from 0 again.

    Parameters
    ----------
    source
        A Parquet file, a folder of them, a pattern, or a folder of class folders of images: see
        `load_examples`.
    out
        The folder to make; it may be there if it is empty. Not inside `source`.
    kept
        The ids of the examples to keep, shape (k,), in any order: those of the column ``id`` of Parquet
        files, else positions over all files; paths of images relative to the folder. Or a ScoreTable of
        these examples, which goes into kept.parquet with its columns and provenance.
    link
        Whether to make hard links to the images instead of copies: they take no space, and a change to one
        is a change to both.

    Returns
    -------
    Written
        How many examples, files and bytes, and the classes of which nothing is left.

    Raises
    ------
    StoreError
        If the source is not there or is damaged, if `out` is taken, or if it cannot be written (no space,
        or no hard links).
    PruneKitError
        If an id is not there (some are named) or doubled, if there are none, or if the source is other data.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq
    >>> folder = getfixture("tmp_path")
    >>> pq.write_table(pa.table({"x": [1.5, 2.5, 3.5], "label": [0, 1, 1]}), folder / "all.parquet")
    >>> write_pruned(folder / "all.parquet", folder / "pruned", [0, 2]).examples
    2
    >>> pq.read_table(folder / "pruned").to_pydict()
    {'x': [1.5, 3.5], 'label': [0, 1]}
    """
    ids = check_ids(kept.ids if isinstance(kept, ScoreTable) else kept)
    if ids.size == 0:
        raise PruneKitError(f"there are no ids to write to {out}.", hint="keep at least one example")
    check_vacant(out)  # before what may take long
    data = _open(source, link)
    if Path(source).is_dir() and Path(out).resolve().is_relative_to(Path(source).resolve()):
        raise PruneKitError(
            f"{out} must not be inside {source}: it would become part of that data.",
            hint="give a folder elsewhere",
        )
    positions = IdIndex(data.ids).positions(ids, where=str(source))
    is_kept = np.zeros(len(data.ids), dtype=np.bool_)
    is_kept[positions] = True
    with atomic_folder(out) as aside:
        vanished = data.write(is_kept, aside)
        sizes = [path.stat().st_size for path in aside.rglob("*") if path.is_file()]
        record = aside / RECORD
        record.parent.mkdir()
        in_order = np.argsort(positions)
        if isinstance(kept, ScoreTable):
            kept.take(in_order).to_parquet(record)
        else:
            write_ids(record, ids[in_order])
    return Written(len(ids), len(sizes), sum(sizes), vanished)


class _Prunable(Protocol):
    """Data on disk of which a part can be written."""

    ids: NumpyArray

    def write(self, is_kept: npt.NDArray[np.bool_], folder: Path) -> tuple[str, ...]:
        """Write what is kept to an empty folder; return the classes that vanish."""
        ...


def _open(source: str | Path, link: bool) -> _Prunable:
    found = find_data(source)
    if found.kind == "images":
        return ImageFolder(found.paths[0], link=link)
    if found.kind != "parquet":
        raise PruneKitError(
            f"{source} must be Parquet files or a folder of class folders of images to be written pruned.",
            hint="of arrays, save array[kept]",
        )
    if link:
        raise PruneKitError(
            f"`link` applies to folders of images; {source} is Parquet, of which new files are written.",
            hint="leave it out",
        )
    from .pruned_parquet import ParquetFiles  # loads pyarrow

    return ParquetFiles(found.paths, str(source))
