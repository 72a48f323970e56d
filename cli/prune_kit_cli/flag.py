"""`prunekit flag`: which labels look wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prune_kit.errors import PruneKitError
from prune_kit.flagging import flag_run
from prune_kit.noise import flag_highest
from prune_kit.store import Run
from prune_kit.summary import aggregate_run
from prune_kit.table import ScoreTable

from .class_names import class_names
from .flag_report import found, found_lines, too_late
from .output import json_option, show, warn
from .parameters import Epochs, Size


@click.command()
@click.argument("run", metavar="RUN|SCORES", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The Parquet file to write."
)
@click.option(
    "--epoch",
    type=click.IntRange(min=0),
    default=None,
    help="Of which epoch, an early one. [default: the last that every seed reached]",
)
@click.option("--seeds", type=Epochs(), default=None, help="Which seeds (0,1,2 or 0-4). [default: all]")
@click.option(
    "--highest",
    type=Size(),
    default=None,
    help="Flag so many of the highest scores instead, a fraction or a count; needs no probabilities.",
)
@click.option(
    "--column",
    default=None,
    metavar="NAME",
    help="With --highest: the score to go by. [default: score of a file, the first of a run]",
)
@json_option
def flag(
    run: Path,
    out: Path,
    epoch: int | None,
    seeds: list[int] | None,
    highest: float | None,
    column: str | None,
    as_json: bool,
) -> None:
    """Flag the labels of RUN that look wrong, from its class probabilities, averaged over the seeds.

    The run must have been made with `prunekit score --save-probabilities`. The file has one row per example:
    id, label, flagged, probability (that the label is wrong), suggested (the likeliest class if it is),
    p_label, predicted. Choose an epoch at which the networks have not yet memorised their labels.

    With --highest, RUN may be any run, or a file of `prunekit aggregate`; how many labels are wrong must be
    known from elsewhere. The columns are then flagged and the score.
    """
    if highest is None:
        if column is not None:
            raise click.UsageError("--column goes with --highest.")
        if run.is_file():
            raise PruneKitError(
                f"{run} has scores, and no class probabilities.",
                hint="give a run that was made with `prunekit score --save-probabilities`, or --highest",
            )
        opened = Run.open(run)
        table = flag_run(opened, epoch=epoch, seeds=seeds)
    else:
        table = _highest(run, highest, epoch, seeds, column)
    table.to_parquet(out)
    made = table.provenance
    flagged = int(table["flagged"].sum())
    result: dict[str, Any] = {
        "out": str(out),
        "method": made["method"],
        "examples": len(table),
        "flagged": flagged,
    }
    lines = [f"{out}: flagged {flagged:,} of {len(table):,} labels"]
    if highest is None:
        result |= found(opened, table)
        lines += found_lines(result, class_names(table))
    else:
        lines[0] += f", those with the highest {made['column']}"
    lines += [
        "",
        "next: look at them, and keep them out of the subset",
        f"  prunekit prune scores.parquet --keep 0.5 --exclude-flagged {out} \\",
        "    --out kept.parquet",
    ]
    show(as_json, result, lines)
    if highest is None and (message := too_late(result)):
        warn(message)


def _highest(
    path: Path, size: float, epoch: int | None, seeds: list[int] | None, column: str | None
) -> ScoreTable:
    """The table of flags from scores alone."""
    if path.is_file():
        if epoch is not None or seeds is not None:
            raise click.UsageError("--epoch and --seeds go with a run, not with a file of scores.")
        name = column or "score"
        scored = ScoreTable.read(path, columns=(name,))
    else:
        opened = Run.open(path)
        score = column or (opened.config.get("scores") or ["el2n"])[0]
        scored, name = aggregate_run(opened, score=score, epoch=epoch, seeds=seeds), "score"
    of = {"count": size} if isinstance(size, int) else {"fraction": size}
    flags = flag_highest(scored[name], **of)
    by = scored.provenance.get("score", name) if column is None else column
    made = {**scored.provenance, "method": "flag_highest", "column": by, **of}
    return ScoreTable(scored.ids, scored.labels, {"flagged": flags, name: scored[name]}, made)
