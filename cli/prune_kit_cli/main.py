"""The `prunekit` command: a group with one file per command."""

from __future__ import annotations

import warnings
from typing import TextIO

import click

from .aggregate import aggregate
from .barrier import barrier
from .compare import compare
from .errors import KitGroup
from .flag import flag
from .info import info
from .plot import plot
from .prune import prune
from .report import report
from .retrain import retrain
from .score import score
from .velocity import velocity


@click.group(cls=KitGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="prune-kit", prog_name="prunekit")
def cli() -> None:
    """Find out which training examples matter, and train on those.

    \b
    The main job, on the embedded digits:
      prunekit score --framework torch --out runs/digits
      prunekit aggregate runs/digits --out scores.parquet
      prunekit prune scores.parquet --keep 0.5 --out kept.parquet

    Every score of the kit: higher = harder = more important. Shell completion:
    eval "$(_PRUNEKIT_COMPLETE=bash_source prunekit)" (or zsh_source, fish_source).
    """  # noqa: D301, click wants the backspace character itself
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Warnings are for the person at the terminal: without the line of code that they come from."""
    if issubclass(category, UserWarning):
        click.echo(f"Warning: {message}", err=True)


for command in (score, aggregate, prune, retrain, flag, compare, velocity, barrier, info, plot, report):
    cli.add_command(command)
