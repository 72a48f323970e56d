"""Tables of scores whose examples are to be matched by id: what is refused, which examples are in all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import NumpyArray
from .errors import PruneKitError
from .ids import some
from .table import ScoreTable


def check_scores(table: ScoreTable, name: str) -> None:
    """Refuse a table without a column of scores that can be ranked.

    Raises
    ------
    PruneKitError
        Then; `name` is what the message calls the table.
    """
    if "score" not in table:
        raise PruneKitError(
            f"{name} must have a column score; its columns are {', '.join(table) or '(none)'}.",
            hint="`aggregate_run` or `prunekit aggregate` makes one from a run",
        )
    column = table["score"]
    if column.ndim != 1 or column.dtype.kind not in "iuf":
        raise PruneKitError(
            f"{name}: scores must be real numbers, one per example; got {column.dtype} of shape "
            f"{column.shape}."
        )
    bad = np.isnan(column) | (column == -np.inf)
    if bad.any():
        raise PruneKitError(
            f"{name}: scores must not be NaN or minus infinity; those of the ids "
            f"{some(table.ids[bad].tolist())} are.",
            hint="find out where the scores come from, or leave these examples out",
        )


def shared_ids(tables: Sequence[ScoreTable], names: Sequence[str], common: bool) -> NumpyArray:
    """Return the ids that are in all tables, in the order of the first.

    Raises
    ------
    PruneKitError
        If an id is not in all of them, unless `common`; if none is; if some are integers, others strings.
    """
    first = tables[0].ids
    shared = np.ones(len(first), bool)
    for table, name in zip(tables[1:], names[1:], strict=True):
        if table.ids.dtype.kind != first.dtype.kind:
            raise PruneKitError(
                f"the ids of all sides must be of one kind; those of {names[0]} are {_kind(first)}, "
                f"those of {name} {_kind(table.ids)}.",
                hint="are these scores of the same data?",
            )
        lacks = ~np.isin(first, table.ids)
        pairs = ((first[lacks], names[0], name), (table.ids[~np.isin(table.ids, first)], name, names[0]))
        for missing, there, where in pairs:
            if len(missing) and not common:
                raise PruneKitError(
                    f"all sides must have the same examples; {len(missing):,} of {there} are not in "
                    f"{where}: {some(missing.tolist())}.",
                    hint="common=True (--common) compares those that are in all",
                )
        shared &= ~lacks
    if not shared.any():
        raise PruneKitError(
            "there is no example that is in all sides.", hint="are these scores of the same data?"
        )
    return np.asarray(first[shared])


def _kind(ids: NumpyArray) -> str:
    return "integers" if ids.dtype.kind == "i" else "strings"
