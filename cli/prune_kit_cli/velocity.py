"""`prunekit velocity`: how fast the kernel of easy and hard examples turns while networks are trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from prune_kit.arrays import NumpyArray

from .from_run import reopen
from .order_options import order_options
from .output import json_option, show, text_table
from .parameters import Epochs
from .source_options import source_options

_INTERVALS_IN_A_TABLE = 6
_MOST_GROUPS = 20


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The Parquet file to write."
)
@click.option(
    "--group-size",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many examples, neighbours in the order of their scores, make a group.",
)
@click.option(
    "--groups",
    metavar="COUNT|all",
    default="10",
    show_default=True,
    callback=lambda _, __, value: _group_count(value),
    help="How many groups, spread evenly from the lowest to the highest scores.",
)
@order_options
@click.option(
    "--seeds",
    type=Epochs(),
    help="Whose checkpoints, 0,1 or 0-3: each has kernels of its own. [default: the first]",
)
@click.option(
    "--epochs", type=Epochs(), help="Between which of them, such as 0,2,5. [default: all with checkpoints]"
)
@source_options
@json_option
def velocity(
    run: Path,
    out: Path,
    group_size: int,
    groups: int | None,
    score: str | None,
    score_epoch: int | None,
    seeds: list[int] | None,
    epochs: list[int] | None,
    device: str | None,
    as_json: bool,
    **source: Any,
) -> None:
    """Measure how fast the kernel of easy and of hard examples turns while RUN was trained.

    \b
      prunekit score --framework torch --save-checkpoints --at-epochs 0-6 --out runs/digits
      prunekit velocity runs/digits --out velocity.parquet
      prunekit plot velocity velocity.parquet --out velocity.png

    RUN must have been made with --save-checkpoints, at several epochs. The kernel of a group is that of the
    gradients of every logit of every example (the neural tangent kernel); its velocity from one epoch to the
    next is 1 - cosine, 0 where nothing but its size has changed.

    The file has one row per seed, interval of epochs and group: seed, epoch, next_epoch, group, first_rank,
    last_rank (half-open, ranks ascending by score), score (mean of the group), velocity. Every row is written
    when it is known: the same command goes on where it was stopped, and adds seeds and epochs.
    """  # noqa: D301, click wants the backspace character itself
    opened = reopen(run, **source)
    columns = opened.verbs.kernel_velocities(
        opened.make_model,
        opened.data,
        opened.run,
        out=out,
        group_size=group_size,
        groups=groups,
        score=score,
        score_epoch=score_epoch,
        seeds=seeds,
        epochs=epochs,
        device=device,
        progress=True,
    )
    result = _result(columns, out)
    show(as_json, result, _lines(result))


def _group_count(value: str) -> int | None:
    if value == "all":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} must be a number from 1 on, or all")
    return int(value)


def _result(columns: Mapping[str, NumpyArray], out: Path) -> dict[str, Any]:
    """What the file holds, as JSON values: per group the mean over the seeds, interval by interval."""
    intervals = sorted(set(zip(columns["epoch"].tolist(), columns["next_epoch"].tolist(), strict=True)))
    groups = []
    for g in sorted(set(columns["group"].tolist())):
        mine = columns["group"] == g
        first = int(np.flatnonzero(mine)[0])
        of_interval = [mine & (columns["epoch"] == a) & (columns["next_epoch"] == b) for a, b in intervals]
        groups.append(
            {
                "group": g,
                "first_rank": int(columns["first_rank"][first]),
                "last_rank": int(columns["last_rank"][first]),
                "score": float(columns["score"][first]),
                "velocity": [
                    float(columns["velocity"][rows].mean()) if rows.any() else None for rows in of_interval
                ],
            }
        )
    return {
        "out": str(out),
        "rows": len(columns["seed"]),
        "seeds": sorted(set(columns["seed"].tolist())),
        "intervals": [list(each) for each in intervals],
        "groups": groups,
    }


def _lines(result: Mapping[str, Any]) -> list[str]:
    intervals = [f"{a} to {b}" for a, b in result["intervals"]]
    groups = result["groups"]
    shown = sorted({round(i) for i in np.linspace(0, len(groups) - 1, min(len(groups), _MOST_GROUPS))})
    seeds = len(result["seeds"])
    of = f"mean over {seeds} seeds" if seeds > 1 else "1 seed"
    lines = [f"kernel velocity between epochs, {of}; groups by score, the hardest last:"]
    for start in range(0, len(intervals), _INTERVALS_IN_A_TABLE):
        some = slice(start, start + _INTERVALS_IN_A_TABLE)
        rows = [
            [f"{g['first_rank']:,}-{g['last_rank'] - 1:,}", g["score"], *map(_digits, g["velocity"][some])]
            for g in (groups[i] for i in shown)
        ]
        lines += text_table(["ranks", "score", *intervals[some]], rows)
    return [*lines, f"wrote {result['rows']:,} velocities to {result['out']}"]


def _digits(velocity: float | None) -> str | None:
    return None if velocity is None else f"{velocity:.5f}"
