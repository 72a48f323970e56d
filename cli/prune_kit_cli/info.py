"""`prunekit info`: what a directory or a file of the kit holds, at a glance."""

from __future__ import annotations

from pathlib import Path

import click

from prune_kit.dynamics_files import read_barrier, read_velocity
from prune_kit.retraining import Retraining
from prune_kit.store import Run
from prune_kit.table import ScoreTable

from .info_dynamics import kind_of, show_barrier, show_velocity
from .info_retraining import show_retraining
from .info_run import show_run
from .info_table import show_table
from .output import json_option


@click.command()
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@json_option
def info(path: Path, as_json: bool) -> None:
    """Say what a directory or file of the kit holds, at a glance.

    PATH is a run, a directory of `prunekit retrain` or `prunekit barrier`, or a Parquet file of scores, kept
    examples, flags or velocities. Of scores: how they are distributed, class by class how hard, and how far
    other seeds would agree.
    """
    if (path / "retrain.json").exists():
        show_retraining(Retraining.read(path), as_json)
    elif (path / "barrier.parquet").exists() or kind_of(path) == "barrier":
        found = read_barrier(path)
        show_barrier(path, found, found.summary, as_json)
    elif path.is_dir():
        show_run(Run.open(path), as_json)
    elif kind_of(path) == "velocity":
        show_velocity(path, read_velocity(path), as_json)
    else:
        show_table(path, ScoreTable.read(path), as_json)
