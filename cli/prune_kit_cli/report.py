"""`prunekit report`: one HTML file to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.report import ReportSummary, write_report

from .data_and_model import read_data
from .locate import is_import_spec
from .output import json_option, show, warn


@click.command()
@click.argument("scores", metavar="RUN|SCORES", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The HTML file to write."
)
@click.option(
    "--score",
    metavar="NAME",
    help="Of a run: the score that subsets and galleries go by. [default: the run's first]",
)
@click.option(
    "--epoch",
    type=click.IntRange(min=0),
    help="Of a run: scores at which epoch. [default: the last that every seed reached]",
)
@click.option(
    "--data",
    help="The examples, to look at, as `prunekit score` takes them; also Parquet files of texts. "
    "[default: what the run says it scored, where that is still there]",
)
@click.option(
    "--kept",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A subset of `prunekit prune`, for its class balance.",
)
@click.option(
    "--flags",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of `prunekit flag`: suspected labels.",
)
@click.option(
    "--retrain",
    type=click.Path(path_type=Path, file_okay=False),
    help="A directory of `prunekit retrain`: accuracies of subsets.",
)
@click.option(
    "--velocity",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of `prunekit velocity`.",
)
@click.option(
    "--barrier",
    type=click.Path(path_type=Path),
    help="A directory of `prunekit barrier`, or its barrier.parquet.",
)
@json_option
def report(
    scores: Path,
    out: Path,
    score: str | None,
    epoch: int | None,
    data: str | None,
    kept: Path | None,
    flags: Path | None,
    retrain: Path | None,
    velocity: Path | None,
    barrier: Path | None,
    as_json: bool,
) -> None:
    """Write a report of RUN, or of SCORES (a file of `prunekit aggregate`), as one HTML file.

    It opens from disk in any browser and needs no network: how reliable the scores are, how they are
    distributed, by class and over the epochs; sliders that show what a subset would keep, with the command
    that makes it; the easiest and hardest examples, those around the threshold and those whose labels look
    wrong.

    \b
      prunekit report RUN --out report.html
      prunekit report scores.parquet --data train.parquet --flags flags.parquet --out report.html
    """  # noqa: D301, click wants the backspace character itself
    summary = write_report(
        scores,
        out,
        score=score,
        epoch=epoch,
        data=_examples(data),
        kept=kept,
        flags=flags,
        retraining=retrain,
        velocity=velocity,
        barrier=barrier,
    )
    lines = [f"{out}: {summary.examples:,} examples, {summary.shown:,} of them to look at ({_size(summary)})"]
    show(as_json, {**summary._asdict(), "path": str(out)}, lines)
    if summary.note:
        warn(summary.note)
    if summary.missing or summary.unreadable:
        warn(
            f"of the {summary.shown:,} examples to look at, {summary.missing:,} are missing from the data "
            f"and {summary.unreadable:,} cannot be read; the report says which."
        )


def _examples(data: str | None) -> str | Examples | None:
    """Where the data is; examples in memory where a module makes them."""
    if data is None or data.partition(":")[0] == "digits" or not is_import_spec(data):
        return data
    made: Any = read_data(data)
    if not isinstance(made, Examples):
        raise PruneKitError(
            f"--data {data} must be or give prune_kit.data.Examples to be looked at; "
            f"got {type(made).__name__}.",
            hint="give files, or leave --data out: the report then has no pictures",
        )
    return made


def _size(summary: ReportSummary) -> str:
    return f"{summary.size / 1e6:.1f} MB"
