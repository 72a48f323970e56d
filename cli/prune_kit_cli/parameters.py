"""Kinds of option that several commands take: seeds, epochs, sizes."""

from __future__ import annotations

import re
from typing import Any

import click


class Seeds(click.ParamType[Any]):
    """A number of seeds ("10"), or which ones ("0,3,5", "10-19"; "3," is seed 3 alone)."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give an int, or a list of ints."""
        if not isinstance(value, str):
            return value
        if re.fullmatch(r"\d+", value):
            if int(value) == 0:
                self.fail("must be 1 or more", param, ctx)
            return int(value)
        return _numbers(self, value, param, ctx)


class Epochs(click.ParamType[Any]):
    """Epochs ("20", "1,5,20", "1-5"); 0 is initialisation."""

    name = "epochs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give a list of ints."""
        return _numbers(self, value, param, ctx) if isinstance(value, str) else value


class Size(click.ParamType[Any]):
    """How many examples: a number with a point is a fraction ("0.5", "1.0"), one without a count ("500")."""

    name = "fraction|count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give an int (a count) or a float (a fraction)."""
        if not isinstance(value, str):
            return value
        if re.fullmatch(r"\d+", value):
            return int(value)
        percent = value.endswith("%")
        try:
            fraction = float(value.rstrip("%")) / (100 if percent else 1)
        except ValueError:
            self.fail(
                f"{value!r} is no number; give a fraction such as 0.5, or a count such as 500", param, ctx
            )
        if not 0 <= fraction <= 1:
            self.fail(f"{value} is not from 0 to 1; a count is written without a point", param, ctx)
        return fraction


class Offset(Size):
    """A `Size`, or the word auto."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give an int (a count), a float (a fraction) or "auto"."""
        return value if value == "auto" else super().convert(value, param, ctx)


def _numbers(
    kind: click.ParamType[Any], value: str, param: click.Parameter | None, ctx: click.Context | None
) -> list[int]:
    numbers: list[int] = []
    for piece in value.strip(",").split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", piece)
        if match is None:
            kind.fail(f"{value!r} must be whole numbers such as 20 or 1,5,20 or 0-9", param, ctx)
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            kind.fail(f"{piece} ends before it begins", param, ctx)
        numbers += range(first, last + 1)
    return numbers
