"""`prunekit aggregate`: one row per example, averaged over seeds."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from prune_kit.store import Run
from prune_kit.summary import aggregate_run, agreement_by_epoch

from .agreement import agreement_lines, too_early
from .output import json_option, show, warn
from .parameters import Epochs


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The Parquet file to write."
)
@click.option("--score", default=None, metavar="NAME", help="Which score. [default: the run's first]")
@click.option(
    "--epoch",
    type=click.IntRange(min=0),
    default=None,
    help="Scores at which epoch. [default: the last that every seed reached]",
)
@click.option("--seeds", type=Epochs(), default=None, help="Which seeds (0,1,2 or 0-4). [default: all]")
@json_option
def aggregate(
    run: Path, out: Path, score: str | None, epoch: int | None, seeds: list[int] | None, as_json: bool
) -> None:
    """Average the scores in the directory RUN over its seeds, with standard errors.

    The file has one row per example: id, label, score (higher = harder), standard_error, seeds, rank
    (1 = hardest), predicted, p_label.
    """
    opened = Run.open(run)
    score = score or (opened.config.get("scores") or ["el2n"])[0]
    table = aggregate_run(opened, score=score, epoch=epoch, seeds=seeds)
    table.to_parquet(out)
    rows = agreement_by_epoch(opened, score=score)
    used = table.provenance["epoch"], table.provenance["seeds"]
    values = table["score"]
    quantiles = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    result = {
        "out": str(out),
        "examples": len(table),
        "score": score,
        "epoch": used[0],
        "seeds": used[1],
        "quantiles": quantiles.tolist(),
        "agreement": rows,
    }
    lines = [
        f"{out}: {score} of {len(table):,} examples, mean over {len(used[1])} seeds at epoch {used[0]}",
        "  min {:.3f}, quarter {:.3f}, median {:.3f}, three quarters {:.3f}, max {:.3f}".format(*quantiles),
        *agreement_lines(rows, score),
        "",
        "next: keep what matters",
        f"  prunekit prune {out} --keep 0.5 --out kept.parquet",
    ]
    show(as_json, result, lines)
    if message := too_early(rows, used[0]):
        warn(message)
