"""What the figures of `prunekit plot` have in common: where they go, how wide they are, what is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from prune_kit.plot import figure_kind, save_figure

from .output import json_option, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

F = TypeVar("F", bound=Callable[..., Any])


def figure_options(width: float) -> Callable[[F], F]:
    """Options --out, --width and --json; `width` is the default, in inches."""

    def add(command: F) -> F:
        for option in (
            json_option,
            click.option(
                "--width",
                type=click.FloatRange(1, 40),
                default=width,
                show_default=True,
                help="How wide the figure is, in inches; a column of a paper is about 3.3.",
            ),
            click.option(
                "--out",
                type=click.Path(path_type=Path, dir_okay=False),
                required=True,
                callback=_checked,
                help="The figure to write: .png, .svg or .pdf.",
            ),
        ):
            command = option(command)
        return command

    return add


def _checked(ctx: click.Context, param: click.Parameter, value: Path) -> Path:
    """Refuse another suffix before anything is read."""
    figure_kind(value)
    return value


def write(figure: Figure, out: Path, what: str, as_json: bool) -> None:
    """Write the figure and say so."""
    save_figure(figure, out)
    width, height = (float(size) for size in figure.get_size_inches())
    result = {"out": str(out), "figure": what, "width": width, "height": height}
    show(as_json, result, [f"{out}: {what}, {width:.1f} x {height:.1f} inches"])
