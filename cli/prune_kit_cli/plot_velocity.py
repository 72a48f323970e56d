"""`prunekit plot velocity`: kernel velocity against the rank of the examples."""

from __future__ import annotations

from pathlib import Path

import click

from prune_kit.dynamics_files import read_velocity
from prune_kit.plot import velocity as draw

from .plot_options import figure_options, write


@click.command()
@click.argument("file", metavar="VELOCITY", type=click.Path(path_type=Path))
@figure_options(6.0)
def velocity(file: Path, out: Path, width: float, as_json: bool) -> None:
    """Draw the kernel velocity in VELOCITY, a file of `prunekit velocity`, against the rank of the score.

    A curve for each interval of epochs, the mean over the seeds; bands are one standard error.
    """
    write(draw(read_velocity(file), width=width), out, "kernel velocity", as_json)
