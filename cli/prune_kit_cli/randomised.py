"""`prunekit score --randomise-labels`: labels shuffled on purpose, and what they were beside the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import click
import numpy as np

from prune_kit.checks import subset_size
from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.randomised_labels import randomise_labels
from prune_kit.store import Run
from prune_kit.table import ScoreTable

from .parameters import Size

OF_RANDOMISED = ("randomise_labels", "label_seed")
"""The options that `randomise_options` adds."""
LABELS_FILE = "labels.parquet"
"""In the run directory: id, label (as given to the networks), original, chosen."""


def randomise_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of shuffled labels to a command."""
    for option in (
        click.option(
            "--label-seed", type=click.IntRange(min=0), default=0, help="Of that draw. [default: 0]"
        ),
        click.option(
            "--randomise-labels",
            type=Size(),
            help="Shuffle the labels of this part of the examples (0.1, or a count) among themselves before "
            "anything is trained, to study wrong labels; RUN/labels.parquet has the original ones.",
        ),
    ):
        command = option(command)
    return command


def randomised(data: Any, how: Mapping[str, Any], /) -> tuple[Examples, ScoreTable]:
    """The examples with some labels shuffled, and the table of `LABELS_FILE`.

    Parameters
    ----------
    data
        What --data names.
    how
        ``fraction`` or ``count``, and ``seed``: what run.json calls randomised_labels.

    Raises
    ------
    PruneKitError
        If the data is not in files or the embedded digits, whose labels can be replaced.
    """
    if not isinstance(data, Examples):
        raise PruneKitError(
            f"--randomise-labels needs data in files, or the digits; got {type(data).__name__}.",
            hint="shuffle the labels where the data is made: prune_kit.randomise_labels",
        )
    given, chosen = randomise_labels(data.labels, **how)
    is_chosen = np.zeros(len(data), bool)
    is_chosen[chosen] = True
    columns = {"original": data.labels, "chosen": is_chosen}
    table = ScoreTable(data.ids, given, columns, {"data": data.source, "randomised_labels": dict(how)})
    return replace(data, labels=given), table


def shuffled_labels(run: Run) -> dict[str, Any] | None:
    """How many labels of a run were shuffled, and where the original ones are; None where none were."""
    how = run.config.get("randomised_labels")
    if how is None:
        return None
    examples = subset_size(run.config["data"]["examples"], how.get("fraction"), how.get("count"))
    return {"examples": examples, "file": str(run.path / LABELS_FILE)}


def shuffled_line(shuffled: Mapping[str, Any]) -> str:
    """The same as a line for people."""
    return f"labels of {shuffled['examples']:,} examples shuffled; {shuffled['file']} has the original ones"
