"""`prunekit plot`: figures for papers, a subcommand each."""

from __future__ import annotations

import click

from .plot_accuracy import accuracy
from .plot_barrier import barrier
from .plot_distribution import distribution
from .plot_epochs import epochs
from .plot_gallery import gallery
from .plot_velocity import velocity


@click.group()
def plot() -> None:
    """Draw figures for papers and slides: .png, .svg or .pdf, by matplotlib.

    \b
      prunekit plot distribution scores.parquet --by-class --out classes.pdf
      prunekit plot epochs RUN --out epochs.pdf
      prunekit plot gallery scores.parquet --data train.parquet --out gallery.png
      prunekit plot accuracy RUN-retrained --out accuracy.pdf

    On every axis of scores, higher is harder. The same input gives the same bytes.
    """  # noqa: D301, click wants the backspace character itself


for figure in (distribution, epochs, gallery, accuracy, velocity, barrier):
    plot.add_command(figure)
