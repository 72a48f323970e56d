"""`prunekit plot distribution`: how scores are distributed."""

from __future__ import annotations

from pathlib import Path

import click

from prune_kit.plot import distribution as draw

from .plot_options import figure_options, write
from .sides import Side, SideType


@click.command()
@click.argument("sides", metavar="RUN[:SCORE][@EPOCH]|FILE...", type=SideType(), nargs=-1, required=True)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME",
    help="The column of a file to draw; may be repeated. [default: score]",
)
@click.option("--by-class", is_flag=True, help="One row per class, of one score.")
@click.option(
    "--bins",
    type=click.IntRange(1, 1000),
    default=40,
    show_default=True,
    help="Into how many intervals of equal width the scores are cut.",
)
@click.option("--log", is_flag=True, help="Give the share of the examples a logarithmic axis.")
@figure_options(6.0)
def distribution(
    sides: tuple[Side, ...],
    columns: tuple[str, ...],
    by_class: bool,
    bins: int,
    log: bool,
    out: Path,
    width: float,
    as_json: bool,
) -> None:
    """Draw which share of the examples has which score.

    What is given is named as for `prunekit compare`: runs, one score of a run (RUN:grand), of one epoch
    (RUN:grand@5), or files of `prunekit aggregate`. The same score of several is drawn over each other,
    different scores below each other.

    \b
      prunekit plot distribution RUN:el2n@1 RUN:el2n@5 RUN:el2n@20 --out early.pdf
      prunekit plot distribution RUN:el2n RUN:grand RUN:forgetting --log --out scores.pdf
    """  # noqa: D301, click wants the backspace character itself
    tables = {str(side): side.read() for side in sides}
    figure = draw(tables, columns=columns or None, by_class=by_class, bins=bins, log=log, width=width)
    write(figure, out, "distribution of scores" + (" by class" if by_class else ""), as_json)
