"""The options of `prunekit score --framework onnx`: which models, and how they are run and read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

OF_ONNX = ("output", "scale", "mean", "std", "layout", "threads")
"""Names of the options that say something about exported models only."""


class Numbers(click.ParamType[Any]):
    """Numbers with commas between them ("0.485,0.456,0.406"), each perhaps a fraction ("1/255")."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give a list of floats."""
        if not isinstance(value, str):
            return value
        try:
            return [_number(piece) for piece in value.split(",")]
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a number, or several with commas between them", param, ctx)


class Number(Numbers):
    """One number, perhaps a fraction ("1/255")."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give a float."""
        numbers = super().convert(value, param, ctx)
        if not isinstance(numbers, list):
            return numbers
        if len(numbers) != 1:
            self.fail(f"{value!r} must be one number", param, ctx)
        return numbers[0]


def onnx_options(command: F) -> F:
    """Add the options of exported models to a command."""
    options = (
        click.option(
            "--output",
            metavar="NAME",
            help="With --framework onnx: the output that holds the logits. [default: by name and shape]",
        ),
        click.option(
            "--scale",
            type=Number(),
            help="With --framework onnx: what pixels (or features) are multiplied by first, such as 1/255.",
        ),
        click.option(
            "--mean",
            type=Numbers(),
            help="With --framework onnx: what is then subtracted: a number, or one per channel. "
            "[default: without --scale, --mean and --std, images get mean 0 and deviation 1 per channel]",
        ),
        click.option(
            "--std",
            type=Numbers(),
            help="With --framework onnx: what is then divided by: a number, or one per channel.",
        ),
        click.option(
            "--layout",
            type=click.Choice(["NCHW", "NHWC"]),
            help="With --framework onnx: where the model has the channels. [default: by shape, else NCHW]",
        ),
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            help="With --framework onnx: threads of an operation on the CPU. [default: one per core]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _number(text: str) -> float:
    numerator, _, denominator = text.partition("/")
    return float(numerator) / float(denominator or 1)
