"""Test accuracies of trainings on subsets, and what several seeds of them say: means, differences, errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .seed_means import mean_and_error
from .table import ScoreTable

ALL = "all"
"""What a subset that is all of the data, as it is, says of its examples."""

ACCURACY_COLUMNS = ("subset", "kept", "seed", "epoch", "steps", "accuracy")


def accuracy_of(table: ScoreTable, /) -> float:
    """The share of the examples of `table` whose predicted class is the label's, from 0 to 1.

    Of soft labels, the label is the class with the largest share.
    """
    labels = table.labels if table.labels.ndim == 1 else table.labels.argmax(axis=1)
    return float(np.mean(table["predicted"] == labels))


def summarise(
    rows: Iterable[Mapping[str, Any]], subsets: Mapping[str, Mapping[str, Any]], epoch: int
) -> list[dict[str, Any]]:
    """One row for every subset: its mean accuracy at `epoch`, and the differences to its baselines.

    Differences are of the same seed in both subsets, so of networks that begin with the same weights.

    Parameters
    ----------
    rows
        As `Retraining.rows`.
    subsets
        As `Retraining.subsets`.
    epoch
        Which.

    Returns
    -------
    list of dict
        See `Retraining.summary`.
    """
    by_subset: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        if row["epoch"] == epoch:
            by_subset.setdefault(row["subset"], {})[row["seed"]] = row
    found = []
    for name, of_seed in by_subset.items():
        mean, error = mean_and_error([row["accuracy"] for row in of_seed.values()])
        first = next(iter(of_seed.values()))
        line = {
            "subset": name,
            "kept": first["kept"],
            "seeds": len(of_seed),
            "epoch": epoch,
            "steps": first["steps"],
            "accuracy": mean,
            "standard_error": error,
        }
        for baseline, other in (("random", _random(name, subsets)), ("full", _full(name, subsets))):
            differences = [
                row["accuracy"] - by_subset[other][seed]["accuracy"]
                for seed, row in of_seed.items()
                if other in by_subset and seed in by_subset[other]
            ]
            difference, its_error = mean_and_error(differences) if differences else (None, None)
            line[f"difference_to_{baseline}"] = difference
            line[f"difference_to_{baseline}_standard_error"] = its_error
        found.append(line)
    return found


def _full(name: str, subsets: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The subset that is all of the data, as it is or by its positions, if that is not `name` itself."""
    full = [n for n, s in subsets.items() if s["kept"] == s["of"]]
    as_it_is = [n for n in full if subsets[n].get("examples") == ALL]
    found = next(iter(as_it_is or full), None)
    return None if found == name else found


def _random(name: str, subsets: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The subset that is drawn for every seed and has the size of `name`."""
    if "drawn" in subsets[name]:
        return None
    kept = subsets[name]["kept"]
    return next((n for n, s in subsets.items() if "drawn" in s and s["kept"] == kept and n != name), None)
