"""`prunekit plot barrier`: error barriers between children of one network."""

from __future__ import annotations

from pathlib import Path

import click

from prune_kit.dynamics_files import read_barrier
from prune_kit.plot import barrier as draw

from .plot_options import figure_options, write


@click.command()
@click.argument("barriers", metavar="BARRIER", type=click.Path(path_type=Path))
@click.option(
    "--spawn-epoch",
    type=click.IntRange(min=0),
    default=None,
    help="Of which spawn epoch the path is drawn. [default: the first]",
)
@figure_options(6.5)
def barrier(barriers: Path, spawn_epoch: int | None, out: Path, width: float, as_json: bool) -> None:
    """Draw the training errors in BARRIER, a directory of `prunekit barrier`.

    Left the error along the line between two children of one network; right the error barrier against the
    epoch that they were spawned at. Means over the seeds; bands and bars are one standard error.
    """
    found = read_barrier(barriers)
    figure = draw(found, found.summary, spawn_epoch=spawn_epoch, width=width)
    write(figure, out, "error barrier", as_json)
