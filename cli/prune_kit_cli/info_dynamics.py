"""What `prunekit info` says of kernel velocities and of error barriers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.errors import StoreError

from .columns import WIDTH, shortened
from .output import show, spans, text_table

_MOST_ROWS = 40


def kind_of(path: Path) -> str | None:
    """Whether a file has the columns of velocities ("velocity"), of barriers ("barrier"), or of neither."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.ParquetFile(path.absolute()).schema_arrow.names
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        return None  # whoever reads it next says what is wrong with it
    if "id" in names:  # one row per example: scores
        return None
    return next(
        (kind for column, kind in (("velocity", "velocity"), ("alpha", "barrier")) if column in names), None
    )


def show_velocity(path: Path, columns: Mapping[str, NumpyArray], as_json: bool) -> None:
    """Print the mean velocities of the examples with the lowest and the highest scores, by epochs."""
    if not len(columns["velocity"]):
        raise StoreError(f"{path} has no kernel velocities.", hint="make it again with `prunekit velocity`")
    groups, seeds = np.unique(columns["group"]), np.unique(columns["seed"])
    intervals = sorted(set(zip(columns["epoch"].tolist(), columns["next_epoch"].tolist(), strict=True)))
    rows = []
    for start, end in intervals:
        of = (columns["epoch"] == start) & (columns["next_epoch"] == end)
        low, high = (
            float(columns["velocity"][of & (columns["group"] == group)].mean()) for group in groups[[0, -1]]
        )
        mean = float(columns["velocity"][of].mean())
        rows.append({"epoch": start, "next_epoch": end, "lowest": low, "mean": mean, "highest": high})
    result = {
        "file": str(path),
        "seeds": seeds.tolist(),
        "groups": len(groups),
        "group_size": int((columns["last_rank"] - columns["first_rank"]).max()),
        "velocities": rows,
    }
    ending = ": kernel velocities"
    lines = [
        shortened(str(path), WIDTH - len(ending)) + ending,
        f"  {len(groups):,} groups of up to {result['group_size']:,} examples by score, {_seeds(seeds)}",
        "mean velocity of the groups with the lowest and the highest scores, and of all:",
        *text_table(
            ("epochs", "lowest", "all", "highest"),
            [
                (f"{row['epoch']} to {row['next_epoch']}", row["lowest"], row["mean"], row["highest"])
                for row in rows[:_MOST_ROWS]
            ],
        ),
        *_more(rows),
    ]
    show(as_json, result, lines)


def show_barrier(
    path: Path, columns: Mapping[str, NumpyArray], summary: Sequence[Mapping[str, Any]], as_json: bool
) -> None:
    """Print the mean error barriers by spawn epoch and kind of examples."""
    kinds = list(dict.fromkeys(str(row["examples"]) for row in summary))
    epochs = sorted({int(row["spawn_epoch"]) for row in summary})
    barriers: dict[tuple[int, str], list[float]] = {}
    for row in summary:
        barriers.setdefault((int(row["spawn_epoch"]), str(row["examples"])), []).append(
            float(row["error_barrier"])
        )
    means = {key: float(np.mean(values)) for key, values in barriers.items()}
    rows = [{"spawn_epoch": e, **{kind: means.get((e, kind)) for kind in kinds}} for e in epochs]
    seeds = np.unique(columns["seed"])
    result = {"file": str(path), "seeds": seeds.tolist(), "examples": kinds, "error_barriers": rows}
    ending = ": error barriers"
    lines = [
        shortened(str(path), WIDTH - len(ending)) + ending,
        f"  {_seeds(seeds)}, {len(np.unique(columns['alpha'])):,} points from child to child",
        "mean barrier (share of the examples) by the epoch at which the children part:",
        *text_table(
            ("epoch", *(shortened(kind, 12) for kind in kinds[:5])),
            [(row["spawn_epoch"], *(row[kind] for kind in kinds[:5])) for row in rows[:_MOST_ROWS]],
        ),
        *_more(rows),
    ]
    show(as_json, result, lines)


def _seeds(seeds: NumpyArray) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {shortened(spans(seeds.tolist()), 30)}"


def _more(rows: Sequence[object]) -> list[str]:
    left_out = len(rows) - _MOST_ROWS
    return [f"  and {left_out:,} more; --json has them all"] if left_out > 0 else []
