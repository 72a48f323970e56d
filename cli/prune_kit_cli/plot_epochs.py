"""`prunekit plot epochs`: the scores of a run over its epochs."""

from __future__ import annotations

from pathlib import Path

import click

from prune_kit.plot import epochs as draw
from prune_kit.store import Run

from .plot_options import figure_options, write


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--score",
    default=None,
    metavar="NAME",
    help="Which score: a column of the run, or one over its epochs, such as forgetting. "
    "[default: the run's first]",
)
@figure_options(6.5)
def epochs(run: Path, score: str | None, out: Path, width: float, as_json: bool) -> None:
    """Draw how the scores of RUN spread over its epochs, and from when on seeds agree.

    Left the middle 90% and 50% of the examples and the median; right the rank agreement between the seeds,
    and with the last epoch. Below the dotted line, at 0.7, scores may be taken too early.
    """
    opened = Run.open(run)
    name = score or (opened.config.get("scores") or ["el2n"])[0]
    write(draw(opened, score=name, width=width), out, f"{name} over epochs", as_json)
