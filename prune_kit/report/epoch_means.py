"""The mean scores of a report's examples, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..aggregate import mean_over_seeds
from ..arrays import NumpyArray
from ..errors import IncompleteEpochError
from ..id_index import IdIndex
from ..over_epochs import is_over_epochs, over_epochs
from ..store import Run
from .reported import Reported

MOST_EPOCHS = 12


def means_by_epoch(reported: Reported, run: Run, name: str, /) -> Iterator[tuple[int, NumpyArray]]:
    """Mean scores, in the order of the table, at some of the epochs up to that of the report."""
    seeds, until = reported.made["seeds"], reported.made["epoch"]
    if is_over_epochs(name):
        found = over_epochs(run, name, until=until, seeds=seeds, at=evenly)
        places = IdIndex(found.ids).positions(reported.table.ids, where=str(run.path))
        for epoch, matrix in found.scores.items():
            if not np.isnan(matrix).any():
                yield epoch, mean_over_seeds(matrix)[places]
        return
    there = {e: [s for s, at in run.parts() if at == e and s in seeds] for _, e in run.parts() if e <= until}
    for epoch in evenly(sorted(e for e, scored in there.items() if scored)):
        try:
            tables = [table for _, table in run.read_parts(epoch, there[epoch], columns=(name,))]
        except IncompleteEpochError:  # other examples each time: their distribution says nothing
            continue
        places = IdIndex(tables[0].ids).positions(reported.table.ids, where=str(run.path))
        yield epoch, mean_over_seeds(np.stack([table[name] for table in tables]))[places]


def evenly(epochs: Sequence[int], /) -> list[int]:
    """Up to `MOST_EPOCHS` of the epochs, from the first to the last."""
    places = np.unique(np.linspace(0, len(epochs) - 1, min(MOST_EPOCHS, len(epochs))).round().astype(int))
    return [epochs[place] for place in places.tolist()]
