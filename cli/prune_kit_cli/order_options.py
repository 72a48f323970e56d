"""What commands that group examples by their scores ask for: which score orders them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def order_options(command: F) -> F:
    """Add --score and --score-epoch to a command."""
    options = (
        click.option("--score", help="Which score orders the examples. [default: the run's first]"),
        click.option(
            "--score-epoch",
            type=click.IntRange(min=0),
            help="Of which epoch that score is, the mean over the seeds. [default: the last that every seed "
            "reached]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
