"""Forgetting events counted as training goes, without keeping the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .arrays import Array, NumpyArray, as_array, dtype_name, on_host, to_numpy
from .checks import is_number, is_whole_number
from .errors import PruneKitError
from .ids import some
from .trajectory import check_never_learned

_WAITING_UPDATES = 256
"""Updates that wait on a device, which is then asked for their values at once."""

_STATE = ("events", "presentations", "was_right", "was_learned")


class ForgettingTracker:
    """Counts how often each example goes from right to wrong at its successive presentations.

    Holds four arrays of shape (n,), however long training lasts. Examples are presented in any order, once
    or more in an epoch, or not at all.

    Parameters
    ----------
    num_examples
        How many examples there are; their ids are the positions 0 ... num_examples - 1.

    References
    ----------
    Toneva et al. An Empirical Study of Example Forgetting during Deep Neural Network Learning. ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> tracker = ForgettingTracker(3)
    >>> tracker.update([0, 1, 2], np.array([True, False, True]))
    >>> tracker.update([2, 1, 0], np.array([False, False, True]))
    >>> tracker.scores()
    array([ 0., inf,  1.])
    """

    def __init__(self, num_examples: int) -> None:
        if not is_whole_number(num_examples, at_least=1):
            raise PruneKitError(f"`num_examples` must be a whole number of 1 or more; got {num_examples!r}.")
        n = int(num_examples)
        self._events = np.zeros(n, np.int32)
        self._presentations = np.zeros(n, np.int32)
        self._was_right = np.zeros(n, bool)
        self._was_learned = np.zeros(n, bool)
        self._waiting: list[tuple[Array, Array]] = []

    @property
    def presentations(self) -> NumpyArray:
        """How often each example has been presented, shape (n,)."""
        self._count()
        return self._presentations.copy()

    def update(self, ids: object, correct: object, /) -> None:
        """Take in a batch.

        Parameters
        ----------
        ids
            Which examples, integers, shape (b,).
        correct
            Whether each is classified correctly now, bool, shape (b,), of any library: predicted == labels.
            Where ids or `correct` lie on a device, it is not waited for at every update.

        Raises
        ------
        PruneKitError
            If ids are no positions of examples (on a device, found some updates later), or `correct` is not
            bool and of their length.
        """
        names, right = as_array(ids, "ids"), as_array(correct, "correct")
        if names.ndim != 1 or not is_number(names, "integral"):
            raise PruneKitError(
                f"`ids` must be integers of shape (b,); got {dtype_name(names)} of shape "
                f"{tuple(names.shape)}."
            )
        if tuple(right.shape) != tuple(names.shape) or dtype_name(right) != "bool":
            raise PruneKitError(
                f"`correct` must be bool of shape {tuple(names.shape)}, one per id; "
                f"got {dtype_name(right)} of shape {tuple(right.shape)}.",
                hint="predicted == labels",
            )
        if on_host(names):
            names = self._positions(names)
        if on_host(right):
            right = to_numpy(right).copy()  # the loop may use the array again
        self._waiting.append((names, right))
        if (on_host(names) and on_host(right)) or len(self._waiting) >= _WAITING_UPDATES:
            self._count()

    def _positions(self, ids: Array) -> NumpyArray:
        positions, n = to_numpy(ids).astype(np.int64), len(self._events)  # a copy
        wrong = (positions < 0) | (positions >= n)
        if wrong.any():
            raise PruneKitError(
                f"`ids` must be from 0 to {n - 1}, the positions of the {n} examples; "
                f"got {some(positions[wrong].tolist())}."
            )
        return positions

    def scores(self, *, never_learned: float = float("inf")) -> NumpyArray:
        """Forgetting events so far, float64, shape (n,); higher is harder.

        Parameters
        ----------
        never_learned
            The score of an example that was never classified correctly.

        Raises
        ------
        PruneKitError
            If an example has never been presented, or `never_learned` is no number of 0 or more.
        """
        check_never_learned(never_learned)
        self._count()
        unseen = np.flatnonzero(self._presentations == 0)
        if unseen.size:
            raise PruneKitError(
                f"every example must be presented before it has a score; {unseen.size} were not: "
                f"{some(unseen.tolist())}.",
                hint="train for a whole epoch first; `presentations` says which are there",
            )
        return np.where(self._was_learned, self._events.astype(np.float64), never_learned)

    def state_dict(self) -> dict[str, NumpyArray]:
        """What a checkpoint must hold to go on: four arrays of shape (n,)."""
        self._count()
        return {name: getattr(self, f"_{name}").copy() for name in _STATE}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        PruneKitError
            If it is of another number of examples, or no such state.
        """
        missing = [name for name in _STATE if name not in state]
        if missing:
            raise PruneKitError(f"the state of a ForgettingTracker must have {', '.join(_STATE)}; "
                                f"it lacks {', '.join(missing)}.")  # fmt: skip
        arrays = {name: to_numpy(state[name]) for name in _STATE}
        for name, array in arrays.items():
            if array.shape != self._events.shape:
                raise PruneKitError(
                    f"the state is of {len(array)} examples, this tracker of {len(self._events)}.",
                )
            setattr(self, f"_{name}", array.astype(getattr(self, f"_{name}").dtype))
        self._waiting = []

    def __getstate__(self) -> dict[str, Any]:
        self._count()  # nothing that lies on a device goes into a pickle
        return dict(self.__dict__)

    def _count(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        ids = np.concatenate([self._positions(each) for each, _ in waiting])
        right = np.concatenate([to_numpy(each) for _, each in waiting])
        # Presentations of one example side by side, in the order of time.
        order = np.argsort(ids, kind="stable")
        ids, right = ids[order], right[order]
        is_first = np.append(True, ids[1:] != ids[:-1])
        before = np.where(is_first, self._was_right[ids], np.append(False, right[:-1]))
        np.add.at(self._events, ids[before & ~right], 1)
        np.add.at(self._presentations, ids, 1)
        self._was_learned[ids[right]] = True
        is_last = np.append(is_first[1:], True)
        self._was_right[ids[is_last]] = right[is_last]
