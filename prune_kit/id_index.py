"""Where the examples that ids name are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .arrays import NumpyArray
from .errors import PruneKitError
from .ids import some


class IdIndex:
    """Positions of examples by id, looked up many times.

    Parameters
    ----------
    ids
        The ids of all examples, as `check_ids` returns them.

    Attributes
    ----------
    ids : NumPy array
        These ids.
    """

    def __init__(self, ids: NumpyArray) -> None:
        self.ids = ids
        self._counts_up = ids.dtype.kind == "i" and np.array_equal(ids, np.arange(len(ids)))
        if not self._counts_up:
            self._order = np.argsort(ids, kind="stable")

    def positions(self, wanted: NumpyArray, /, *, where: str) -> npt.NDArray[np.int64]:
        """Where the examples called `wanted` are, in that order; an id may be asked for twice.

        Parameters
        ----------
        wanted
            Shape (k,), of the kind of the ids: integers or strings.
        where
            What has the ids, for messages.

        Raises
        ------
        PruneKitError
            If an id is not there (some are named), or is of the other kind.
        """
        kinds = {"i": "integers", "u": "integers", "U": "strings", "T": "strings"}
        own, got = (kinds.get(each.dtype.kind, str(each.dtype)) for each in (self.ids, wanted))
        if own != got:
            raise PruneKitError(
                f"the ids of {where} are {own}; got {got}.", hint="are these ids of other data?"
            )
        n = len(self.ids)
        if np.array_equal(wanted, self.ids):  # a look-up of all ids, most often
            return np.arange(n)
        if self._counts_up:
            positions = wanted.astype(np.int64)
            missing = (positions < 0) | (positions >= n)
        else:
            places = np.searchsorted(self.ids, wanted, sorter=self._order)
            positions = self._order[np.minimum(places, n - 1)]
            missing = self.ids[positions] != wanted
        if missing.any():
            raise PruneKitError(
                f"{where} has no example with the ids {some(wanted[missing].tolist())}.",
                hint=f"its ids are 0 to {n - 1}" if self._counts_up else "are these ids of other data?",
            )
        return positions
