"""What has been recorded of one epoch: each example's first presentation, and how many there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .arrays import NumpyArray

POSITION, STEP, TIMES = "position", "step", "times"
"""Names of what goes with the columns: whose row it is, when it was recorded, how often."""


class EpochRows:
    """Rows of up to `n` examples, by position: of several presentations in one epoch the first one stays.

    Parameters
    ----------
    n
        How many examples there are. Columns of this length are held, and nothing else.
    """

    def __init__(self, n: int) -> None:
        self.times = np.zeros(n, np.int32)
        self._steps = np.zeros(n, np.int32)
        self._columns: dict[str, NumpyArray] = {}

    @property
    def seen(self) -> NumpyArray:
        """Positions of the examples presented so far, ascending."""
        return np.flatnonzero(self.times)

    def add(self, rows: Mapping[str, NumpyArray]) -> None:
        """Take in rows: "position", "step" and "times", each (b,), and columns (b, ...), by order of step."""
        positions = rows[POSITION]
        unique, first = np.unique(positions, return_index=True)
        is_new = self.times[unique] == 0
        target, source = unique[is_new], first[is_new]
        np.add.at(self.times, positions, rows[TIMES])
        self._steps[target] = rows[STEP][source]
        for name, column in rows.items():
            if name in (POSITION, STEP, TIMES):
                continue
            if name not in self._columns:
                self._columns[name] = np.zeros((len(self.times), *column.shape[1:]), column.dtype)
            self._columns[name][target] = column[source]

    def columns(self) -> dict[str, NumpyArray]:
        """The columns of the examples seen, by position.

        Where all were seen, these are the arrays themselves: copies would double the memory.
        """
        if self.times.all():
            return dict(self._columns)
        seen = self.seen
        return {name: column[seen] for name, column in self._columns.items()}

    def rows(self) -> dict[str, NumpyArray]:
        """Copies of the rows of the examples seen, by position, as `add` takes them."""
        seen = self.seen
        columns = {STEP: self._steps, TIMES: self.times, **self._columns}
        return {POSITION: seen, **{name: column[seen] for name, column in columns.items()}}


def merged(n: int, parts: Sequence[Mapping[str, NumpyArray]]) -> EpochRows:
    """The rows of several processes as one: of an example's presentations the earliest step's stays."""
    filled = [part for part in parts if len(part[POSITION])]
    together = EpochRows(n)
    if filled:
        whole = {name: np.concatenate([part[name] for part in filled]) for name in filled[0]}
        order = np.argsort(whole[STEP], kind="stable")
        together.add({name: column[order] for name, column in whole.items()})
    return together
