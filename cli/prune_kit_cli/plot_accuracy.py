"""`prunekit plot accuracy`: test accuracy against how much of the data is kept."""

from __future__ import annotations

from pathlib import Path

import click

from prune_kit.plot import kept_curve
from prune_kit.retraining import Retraining

from .plot_options import figure_options, write


@click.command()
@click.argument("retrained", metavar="RETRAINED...", type=click.Path(path_type=Path), nargs=-1, required=True)
@figure_options(5.0)
def accuracy(retrained: tuple[Path, ...], out: Path, width: float, as_json: bool) -> None:
    """Draw test accuracy against the kept share of the data, from directories of `prunekit retrain`.

    Subsets whose names differ by a size at the end (el2n-30, el2n-50), or that have the same name in several
    directories, make one curve: means over the seeds, bands of one standard error. All of the data is the
    dashed line.
    """
    figure = kept_curve([Retraining.read(path) for path in retrained], width=width)
    write(figure, out, "test accuracy against the kept share", as_json)
