"""Files of weights or models that exist already, each the seed and the epoch that its name says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import PruneKitError

_KIT_LAYOUT = re.compile(r"seed=(\d+)/epoch=(\d+)\.\w+(?:\.\w+)?$")


def seeds_and_epochs(files: Sequence[str | Path], epoch: int | None) -> dict[tuple[int, int], Path]:
    """The seed and the epoch that each file is.

    Parameters
    ----------
    files
        Files of the kit (``seed=0/epoch=20.safetensors``) are the seed and the epoch that they are named
        after; others are seeds 0, 1, ... in the order given.
    epoch
        The epoch that all files are from whose names do not say it.

    Raises
    ------
    PruneKitError
        If there is no file, an epoch is not known, or two files are one seed and epoch.
    """
    if not files:
        raise PruneKitError("`checkpoints` must name at least one file.")
    places: dict[tuple[int, int], Path] = {}
    for i, file in enumerate(map(Path, files)):
        match = _KIT_LAYOUT.search(file.as_posix())
        if match is None and epoch is None:
            raise PruneKitError(
                f"the name of {file} does not say which epoch it is from.",
                hint="give the epoch (--at-epochs), or files named seed=0/epoch=20.safetensors",
            )
        place = (int(match[1]), int(match[2])) if match else (i, int(epoch or 0))
        if place in places:
            raise PruneKitError(f"{places[place]} and {file} are both seed {place[0]}, epoch {place[1]}.")
        places[place] = file
    return places


def check_weights_fit(
    path: Path, found: Mapping[str, Sequence[int]], wanted: Mapping[str, Sequence[int]]
) -> None:
    """Refuse weights whose names or shapes are not those of the model.

    Parameters
    ----------
    path
        The file that they are from.
    found, wanted
        Shapes by name, of the file and of the model.

    Raises
    ------
    PruneKitError
        If they differ; up to five differences are named.
    """
    problems = [f"missing {name}" for name in wanted.keys() - found.keys()]
    problems += [f"unexpected {name}" for name in found.keys() - wanted.keys()]
    problems += [
        f"{name} is {tuple(found[name])}, not {tuple(wanted[name])}"
        for name in wanted.keys() & found.keys()
        if tuple(found[name]) != tuple(wanted[name])
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5])
        raise misfit(path, f"{shown}{' ...' if len(problems) > 5 else ''}")


def misfit(path: Path, problems: str) -> PruneKitError:
    """The error for weights that are another model's."""
    return PruneKitError(
        f"{path} does not fit the model: {problems}.",
        hint="check --model: it must be the architecture that the weights were saved from",
    )


def file_digest(file: Path) -> str:
    """SHA-256 of what `file` holds, as hexadecimal digits.

    Raises
    ------
    PruneKitError
        If it is not there.
    """
    if not file.is_file():
        raise PruneKitError(f"there is no checkpoint {file}.")
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
