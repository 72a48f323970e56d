"""`prunekit aggregate`: one row per example, averaged over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np

from prune_kit.store import Run
from prune_kit.summary import aggregate_run, agreement_by_epoch

from .agreement import (
    a_few_epochs,
    agreement_lines,
    earliest_lines,
    reliability_lines,
    too_early,
    would_change,
)
from .output import json_option, show, spans, warn
from .parameters import Epochs


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The Parquet file to write."
)
@click.option(
    "--score",
    default=None,
    metavar="NAME",
    help="A score of the run; or, over its epochs, forgetting, aum, confidence, variability, or mean_NAME "
    "and last_NAME of a score. [default: the run's first]",
)
@click.option(
    "--epoch",
    type=click.IntRange(min=0),
    default=None,
    help="Scores at which epoch, or over the epochs up to which. [default: the last that every seed reached]",
)
@click.option("--seeds", type=Epochs(), default=None, help="Which seeds (0,1,2 or 0-4). [default: all]")
@click.option(
    "--never-learned",
    type=click.FloatRange(min=0),
    default=None,
    help="Forgetting score of an example that a seed never got right, such as the number of epochs. "
    "[default: infinity, as in the paper]",
)
@json_option
def aggregate(
    run: Path,
    out: Path,
    score: str | None,
    epoch: int | None,
    seeds: list[int] | None,
    never_learned: float | None,
    as_json: bool,
) -> None:
    """Average the scores in the directory RUN over its seeds, with standard errors.

    The file has one row per example: id, label, score (higher = harder), standard_error, seeds, rank
    (1 = hardest), predicted, p_label.

    Scores over epochs come from the columns that the run holds of each epoch: forgetting (events of going
    from right to wrong; Toneva et al. 2019), aum (mean logit margin; Pleiss et al. 2020), confidence and
    variability (of the label's probability; Swayamdipta et al. 2020), mean_el2n, last_el2n, ...
    """
    opened = Run.open(run)
    score = score or (opened.config.get("scores") or ["el2n"])[0]
    if never_learned is not None and score != "forgetting":
        raise click.UsageError("--never-learned goes with --score forgetting.")
    table = aggregate_run(
        opened,
        score=score,
        epoch=epoch,
        seeds=seeds,
        never_learned=float("inf") if never_learned is None else never_learned,
    )
    table.to_parquet(out)
    made = table.provenance
    shown = a_few_epochs(opened, also=made["epoch"])
    rows = agreement_by_epoch(opened, score=score, epochs=shown)
    never = int(np.isinf(table["score"]).sum())
    # There is nothing between a number and infinity.
    method: Literal["linear", "nearest"] = "nearest" if never else "linear"
    quantiles = np.quantile(table["score"], [0, 0.25, 0.5, 0.75, 1], method=method)
    result = {
        "out": str(out),
        "examples": len(table),
        "score": score,
        "epoch": made["epoch"],
        "epochs": made.get("epochs"),
        "column": made.get("column"),
        "pass": made["config"].get("pass", "evaluation"),
        "seeds": made["seeds"],
        "quantiles": quantiles.tolist(),
        "never_learned": never,
        "agreement": rows,
        "reliability": made["reliability"],
        "half_overlap": made["half_overlap"],
    }
    lines = [
        f"{out}: {score} of {len(table):,} examples, mean over {len(made['seeds'])} seeds {_when(made)}",
        "  min {:.3f}, quarter {:.3f}, median {:.3f}, three quarters {:.3f}, max {:.3f}".format(*quantiles),
        *agreement_lines(rows, score),
        *earliest_lines(rows),
        *reliability_lines(made),
        "",
        "next: keep what matters",
        f"  prunekit prune {out} --keep 0.5 --out kept.parquet",
    ]
    show(as_json, result, lines)
    if never:
        warn(
            f"{never:,} of {len(table):,} examples were never classified correctly by at least one seed: "
            "their score is infinite, above all others. A finite one: --never-learned."
        )
    epochs = made.get("epochs") or [made["epoch"]]
    if epochs != list(range(epochs[0], epochs[-1] + 1)):
        warn(f"{score} is computed from epochs {spans(epochs)}: what happened between them is not seen.")
    for message in (too_early(rows, made["epoch"]), would_change(made)):
        if message:
            warn(message)


def _when(made: Mapping[str, Any]) -> str:
    """At which epochs, from what and in which kind of pass the scores of an aggregate were taken."""
    when = f"at epoch {made['epoch']}"
    if epochs := made.get("epochs"):
        of = f" ({made['column']})" if made["score"] == "aum" else ""
        when = f"over epochs {spans(epochs)}{of}"
    return when + (", taken in training" if made["config"].get("pass") == "training" else "")
