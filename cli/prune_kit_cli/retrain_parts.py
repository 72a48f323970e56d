"""From the options of `prunekit retrain` to what an adapter's `retrain` takes: subsets, recipe, test data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from prune_kit.classes import Positions
from prune_kit.errors import PruneKitError
from prune_kit.id_index import IdIndex
from prune_kit.select import keep_random
from prune_kit.store import Run
from prune_kit.subset_file import read_ids

from .data_and_model import read_data


def subsets_of(run: Run, kept: Sequence[str], baselines: Sequence[str]) -> dict[str, Any]:
    """The subsets by name: those that --kept names, then the baselines.

    Raises
    ------
    PruneKitError
        If a file has ids that the run has not scored, or two subsets have one name.
    """
    ids = _ids(run)
    index = IdIndex(ids)
    subsets: dict[str, Positions | Callable[[int], Positions] | None] = {}
    sizes = []
    for given in kept:
        name, path = _named(given)
        positions = index.positions(read_ids(path), where=f"the data of {run.path}")
        _add(subsets, name, positions)
        sizes.append(len(positions))
    n = len(ids)
    if "random" in baselines:
        for size in sorted({*sizes} - {n}, reverse=True):
            _add(subsets, f"random-{size}", partial(_random, n, size))
    if "full" in baselines:
        _add(subsets, "full", None)
    return subsets


def test_data_of(source: str, options: Mapping[str, Any]) -> Any:
    """The data that --test-data names."""
    sizes = {name: options[name] for name in ("label_column", "image_size")}
    if source.partition(":")[0] == "digits":
        sizes["label_column"] = None
    return read_data(source, option="--test-data", **sizes)


def _ids(run: Run) -> Any:
    """The ids of all examples, in the order of the data."""
    for place in run.parts():
        return run.read_part(*place, columns=()).ids
    raise PruneKitError(
        f"{run.path} has no scores yet, so it is not known which examples it has.",
        hint="run the same `prunekit score` command again to finish the run",
    )


def _named(given: str) -> tuple[str, str]:
    """The name and the file that `[NAME=]FILE` gives."""
    name, is_named, path = given.partition("=")
    if is_named and name and not Path(given).exists():
        return name, path
    return Path(given).stem, given


def _random(n: int, size: int, seed: int) -> Positions:
    positions: Positions = keep_random(n, count=size, seed=seed)
    return positions


def _add(subsets: dict[str, Any], name: str, choice: Any) -> None:
    if name in subsets:
        raise PruneKitError(f"two subsets are called {name}.", hint="name them apart: --kept NAME=FILE")
    subsets[name] = choice
