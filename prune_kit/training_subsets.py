"""What is trained on: all of the data, examples that stay the same, or a draw that is new for every seed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .accuracy import ALL
from .errors import PruneKitError
from .kept_positions import kept_positions
from .table import ScoreTable

Positions = npt.NDArray[np.int64]
Choice = Callable[[int], Any] | Any
"""Positions (k,); a function of the seed that gives them; None for all of the data."""

# Subsets are folders.
_NAME = re.compile(r"[A-Za-z0-9_%+=][A-Za-z0-9_%+=. -]{0,99}")


@dataclass(frozen=True)
class TrainingSubset:
    """A subset of the data to train on, for each of some seeds."""

    name: str
    kept: int
    """How many examples it has, the same for every seed."""
    of: int
    """How many the data has."""
    is_drawn: bool
    """Whether it is drawn anew for every seed."""
    positions: Mapping[int, Positions | None]
    """By seed; None for all of the data, as it is."""

    def as_dict(self) -> dict[str, Any]:
        """The subset as JSON values, for retrain.json; seeds apart."""
        drawn = {"drawn": "every seed"} if self.is_drawn else {"examples": _digest(self._of_any_seed)}
        return {"kept": self.kept, "of": self.of, **drawn}

    def of_seed(self, seed: int) -> str:
        """What tells the examples that `seed` is trained on from others, as hexadecimal digits."""
        return _digest(self.positions[seed])

    def together(self) -> Iterator[tuple[str, list[int], Positions | None]]:
        """Seeds that are trained on the same examples: which draw of how many, they, and the positions."""
        if not self.is_drawn:
            yield "", list(self.positions), self._of_any_seed
            return
        for i, (seed, positions) in enumerate(self.positions.items(), 1):
            yield f", draw {i} of {len(self.positions)}", [seed], positions

    @property
    def _of_any_seed(self) -> Positions | None:
        return next(iter(self.positions.values()))


def training_subsets(subsets: Mapping[str, Choice], n: int, seeds: Sequence[int]) -> list[TrainingSubset]:
    """The subsets by name, their examples chosen for every seed.

    Parameters
    ----------
    subsets
        By name, see `Choice`. Names become folders: letters, digits, spaces and ``_%+=.-``.
    n
        How many examples the data has.
    seeds
        Of the trainings.

    Raises
    ------
    PruneKitError
        If there is none, a name is no name of a folder, positions are not 1 to n integers from 0 to n - 1,
        each once, or a draw has another size for another seed.
    """
    if not isinstance(subsets, Mapping) or not subsets:
        raise PruneKitError(
            f"`subsets` must name at least one subset to train on; got {subsets!r}.",
            hint="{'kept': positions, 'full': None}",
        )
    folded = [str(name).casefold() for name in subsets]
    for name in subsets:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or folded.count(name.casefold()) > 1:
            raise PruneKitError(
                f"names of subsets must be up to 100 letters, digits, spaces and _%+=.- that begin with none "
                f"of the last, and differ in more than case; got {name!r}."
            )
    return [_subset(name, choice, n, seeds) for name, choice in subsets.items()]


def _subset(name: str, choice: Choice, n: int, seeds: Sequence[int]) -> TrainingSubset:
    if choice is None:
        return TrainingSubset(name, n, n, False, dict.fromkeys(seeds))
    if not callable(choice):
        positions = _checked(choice, name, n)
        return TrainingSubset(name, len(positions), n, False, dict.fromkeys(seeds, positions))
    drawn = {seed: _checked(choice(seed), name, n) for seed in seeds}
    sizes = {len(positions) for positions in drawn.values()}
    if len(sizes) > 1:
        raise PruneKitError(
            f"the subset {name} must have the same size for every seed; got {min(sizes)} to {max(sizes)}.",
            hint="trainings on subsets of several sizes have no common mean",
        )
    return TrainingSubset(name, sizes.pop(), n, True, drawn)


def _checked(choice: Any, name: str, n: int) -> Positions:
    """The positions, ascending: a subset is the same in whatever order it is named."""
    if isinstance(choice, (str, Path, ScoreTable)):
        raise PruneKitError(
            f"the subset {name} must be positions; got a {type(choice).__name__}, which holds ids.",
            hint="of prune_kit.data.Examples they are data.positions_of(read_ids(path))",
        )
    try:
        return np.sort(kept_positions(choice, n, ids=None, own_ids=lambda: None))
    except PruneKitError as error:
        raise PruneKitError(f"the subset {name}: {error}") from error


def _digest(positions: Positions | None) -> str:
    if positions is None:
        return ALL
    return hashlib.sha256(np.ascontiguousarray(positions, "<i8").tobytes()).hexdigest()[:16]
