"""`prunekit barrier`: the error between children of one network, by the epoch at which they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from prune_kit.dynamics_files import Barriers

from .from_run import reopen
from .order_options import order_options
from .output import json_option, show, text_table
from .parameters import Epochs
from .recipe_options import changed_recipe, recipe_options
from .source_options import source_of, source_options


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The directory to write."
)
@click.option(
    "--spawn-epochs",
    type=Epochs(),
    required=True,
    help="At which epochs of RUN children part, such as 0,2,4; RUN must have checkpoints of them.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    required=True,
    help="Until which epoch, counted from the parent's initialisation, children are trained.",
)
@click.option(
    "--group-size",
    type=click.IntRange(min=1),
    help="How many examples with the highest scores, with the lowest, and drawn at random. [default: a "
    "tenth, 1,000 at the most]",
)
@click.option(
    "--points",
    type=click.IntRange(min=2),
    default=11,
    show_default=True,
    help="On the line between two children, both among them.",
)
@click.option(
    "--recompute-statistics",
    is_flag=True,
    help="Recompute batch statistics at each point, in place of interpolating them.",
)
@order_options
@click.option("--seeds", type=Epochs(), help="Whose children, 0,1 or 0-3. [default: the first seed's]")
@recipe_options
@source_options
@json_option
def barrier(
    run: Path,
    out: Path,
    spawn_epochs: list[int],
    epochs: int,
    group_size: int | None,
    points: int,
    recompute_statistics: bool,
    score: str | None,
    score_epoch: int | None,
    seeds: list[int] | None,
    device: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Tell from which epoch on a training is bound for one basin of the loss.

    \b
      prunekit score --framework torch --save-checkpoints --at-epochs 0-6 --out runs/digits
      prunekit barrier runs/digits --spawn-epochs 0,2,4 --epochs 12 --out barriers
      prunekit plot barrier barriers --out barrier.png

    At each spawn epoch two children take the weights of RUN's network, and are trained to the end with RUN's
    recipe, a new optimizer and other orders of the examples, as runs of their own in OUT/runs. The error
    barrier is how far the error on the straight line between both rises above that of its ends (Frankle et
    al. 2020): about 0, they ended in one basin. It is told of the examples with the highest and the lowest
    scores, of random ones and of all (Paul et al. 2021, Figure 4).

    The same command again goes on where it was interrupted, and may gain seeds and spawn epochs.
    """  # noqa: D301, click wants the backspace character itself
    opened = reopen(run, **source_of(options))
    found = opened.verbs.error_barriers(
        opened.make_model,
        opened.data,
        opened.run,
        out=out,
        spawn_epochs=spawn_epochs,
        epochs=epochs,
        recipe=changed_recipe(opened.recipe, options),
        group_size=group_size,
        points=points,
        recompute_statistics=recompute_statistics,
        score=score,
        score_epoch=score_epoch,
        seeds=seeds,
        device=device,
        precision=opened.config.get("precision", "float32"),
        channels_last=opened.config.get("channels_last", False),
        progress=True,
    )
    result = _result(found, out)
    show(as_json, result, _lines(result))


def _result(found: Barriers, out: Path) -> dict[str, Any]:
    """The barriers as JSON values: of each spawn epoch and kind of examples the mean over the seeds."""
    summary = found.summary
    kinds = list(dict.fromkeys(row["examples"] for row in summary))
    means = [
        {
            "spawn_epoch": epoch,
            "examples": kind,
            **_mean([r for r in summary if (r["spawn_epoch"], r["examples"]) == (epoch, kind)]),
        }
        for epoch in sorted({row["spawn_epoch"] for row in summary})
        for kind in kinds
    ]
    seeds = sorted({row["seed"] for row in summary})
    return {"out": str(out), "seeds": seeds, "barriers": summary, "means": means}


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "count": rows[0]["count"],
        "seeds": len(rows),
        **{name: float(np.mean([row[name] for row in rows])) for name in ("error_barrier", "loss_barrier")},
    }


def _lines(result: Mapping[str, Any]) -> list[str]:
    means = result["means"]
    kinds = list(dict.fromkeys(row["examples"] for row in means))
    counts = {row["examples"]: row["count"] for row in means}
    epochs = sorted({row["spawn_epoch"] for row in means})
    told = {(row["spawn_epoch"], row["examples"]): row["error_barrier"] for row in means}
    seeds = len(result["seeds"])
    over = f"mean over {seeds} seeds" if seeds > 1 else "1 seed"
    return [
        f"error barrier between children, {over}, as a share of the examples:",
        *text_table(
            ["spawned at", *(f"{kind} ({counts[kind]:,})" for kind in kinds)],
            [[epoch, *(told[epoch, kind] for kind in kinds)] for epoch in epochs],
        ),
        f"wrote {result['out']}; next: prunekit plot barrier {result['out']} --out barrier.png",
    ]
