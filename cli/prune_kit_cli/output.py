"""What commands print: text for people, or one JSON object with --json."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click

from .columns import right_aligned, width_of

F = TypeVar("F", bound=Callable[..., Any])

_HUGE = 1e6

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def show(as_json: bool, result: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Print `result` as JSON, or `lines` for people."""
    if as_json:
        click.echo(json.dumps(_jsonable(result), allow_nan=False))
    else:
        for line in lines:
            click.echo(_printable(line))


def warn(message: str) -> None:
    """Say something on stderr that should not be missed."""
    click.echo(f"Warning: {message}", err=True)


def text_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Rows in aligned columns; numbers to the right."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(width_of(row[i]) for row in cells) for i in range(len(header))]
    return [
        "  " + "  ".join(right_aligned(value, w) for value, w in zip(row, widths, strict=True))
        for row in cells
    ]


def spans(numbers: Sequence[int]) -> str:
    """Ascending numbers as people write them: "0, 1, 5-20"."""
    pieces: list[list[int]] = []
    for number in numbers:
        if pieces and number == pieces[-1][-1] + 1:
            pieces[-1].append(number)
        else:
            pieces.append([number])
    return ", ".join(
        f"{piece[0]}-{piece[-1]}" if len(piece) > 3 else ", ".join(map(str, piece)) for piece in pieces
    )


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < _HUGE or math.isinf(value) else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _printable(line: str) -> str:
    """The line with "?" for characters that the terminal's encoding lacks, rather than a traceback."""
    encoding = sys.stdout.encoding or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)


def _jsonable(value: Any) -> Any:
    """JSON has no NaN and no infinity: null, and the word."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
