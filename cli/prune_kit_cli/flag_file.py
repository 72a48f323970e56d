"""Files of `prunekit flag`: which examples of another file they flag."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError
from prune_kit.id_index import IdIndex
from prune_kit.table import ScoreTable


def flags_of(path: Path, table: ScoreTable) -> NumpyArray:
    """Which examples of `table` the file flags, bool, matched by id.

    Raises
    ------
    PruneKitError
        If the file has no flags, lacks an example of the table, or knows it by another label.
    """
    flags = ScoreTable.read(path, columns=("flagged",))
    if "flagged" not in flags or flags["flagged"].dtype != bool:
        raise PruneKitError(
            f"{path} must have a column flagged of true and false; it has none.",
            hint="`prunekit flag RUN --out flags.parquet` makes one",
        )
    rows = IdIndex(flags.ids).positions(table.ids, where=str(path))
    if not np.array_equal(flags.labels[rows], table.labels):
        raise PruneKitError(
            f"{path} has other labels than the scores for some of the same ids.",
            hint="flag again: labels were changed since, or these are other data",
        )
    return flags["flagged"][rows]
