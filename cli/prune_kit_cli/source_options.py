"""What commands that go on from a run ask for: where its data and its model are now, and what computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from .locate import adapter_names

F = TypeVar("F", bound=Callable[..., Any])

_NAMES = ("data", "model", "label_column", "image_size", "framework")


def source_options(command: F) -> F:
    """Add the options of `reopen`, and --device, to a command."""
    options = (
        click.option("--data", metavar="DATA", help="Where the run's data is now. [default: where it was]"),
        click.option(
            "--model",
            metavar="MODEL",
            help="As `prunekit score` takes it: another model than the run's, or where run.json does not say "
            "it. [default: the run's]",
        ),
        click.option("--label-column", help="As `prunekit score` was given it."),
        click.option("--image-size", type=click.IntRange(min=1), help="As `prunekit score` was given it."),
        click.option(
            "--framework",
            type=click.Choice([name for name in adapter_names() if name != "onnx"]),
            help="What computes. [default: the run's]",
        ),
        click.option("--device", help="cpu, cuda or cuda:N. [default: a GPU that works]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def source_of(options: Mapping[str, Any], /) -> dict[str, Any]:
    """Those of a command's options that `reopen` takes."""
    return {name: options[name] for name in _NAMES}
