"""What a figure draws of tables: named columns of scores, and what they are scores of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..arrays import NumpyArray
from ..errors import PruneKitError
from ..table import ScoreTable

_NOT_SCORES = ("p_label", "standard_error")
_WIDEST = 24


class Series(NamedTuple):
    """One column of one table."""

    name: str
    """What the legend calls the table."""
    quantity: str
    """Which score it is, such as el2n, and at which epoch where the table says it."""
    values: NumpyArray
    labels: NumpyArray
    class_names: Sequence[str]


def series_of(
    tables: ScoreTable | Mapping[str, ScoreTable], columns: Sequence[str] | None = None
) -> list[Series]:
    """The columns to draw, table by table.

    Raises
    ------
    PruneKitError
        If there is no table, no such column, or none of numbers.
    """
    named = {"": tables} if isinstance(tables, ScoreTable) else dict(tables)
    found = []
    for name, table in named.items():
        if not len(table):
            raise PruneKitError("a table must have at least one example to be drawn; got none.")
        for column in _default_columns(table) if columns is None else columns:
            values = table[column]
            if values.ndim != 1 or values.dtype.kind not in "iuf":
                raise PruneKitError(
                    f"the column {column!r} must have one number per example; "
                    f"got {values.dtype} of shape {values.shape}."
                )
            found.append(Series(name, quantity(table, column), values, table.labels, class_names(table)))
    if not found:
        raise PruneKitError("there is no score to draw.", hint="name columns")
    return found


def quantity(table: ScoreTable, column: str) -> str:
    """What a column is called on an axis: the score of an aggregate by its own name."""
    score = table.provenance.get("score") if column == "score" else None
    return str(score or column)


def class_names(table: ScoreTable) -> list[str]:
    """The names by class index; none where they are not known."""
    names: list[str] = table.provenance.get("config", {}).get("class_names") or []
    return names


def class_title(label: int, names: Sequence[str]) -> str:
    """The name of a class, cut where it is too long for a figure; or its number."""
    name = " ".join(names[label].split()) if 0 <= label < len(names) else str(label)
    return name if len(name) <= _WIDEST else f"{name[: _WIDEST - 1]}…"


def _default_columns(table: ScoreTable) -> list[str]:
    if "score" in table:
        return ["score"]
    return [
        name
        for name, column in table.columns.items()
        if column.ndim == 1 and column.dtype.kind == "f" and name not in _NOT_SCORES
    ]
