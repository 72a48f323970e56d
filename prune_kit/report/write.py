"""Write a report: read what it is about, summarise it, and put it on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ..atomic import atomic_path
from ..data import Examples
from ..errors import PruneKitError
from .balance import Balance, balance_of
from .chart import Chart
from .curves import barrier_charts, retraining_chart, velocity_chart
from .distributions import distribution_charts
from .facts import facts
from .gallery import Galleries, choose, gallery_data
from .look import Look
from .looks import looks_at
from .page import render
from .relations import relation_charts
from .reported import Reported, read_reported
from .subset import slider_data
from .suspects import read_suspects, suspect_charts
from .trust import trust_in


class ReportSummary(NamedTuple):
    """What a report shows."""

    path: Path
    size: int
    """Of the file, in bytes."""
    examples: int
    shown: int
    """Examples that the page holds, to look at."""
    missing: int
    """Of these, those that the data does not have."""
    unreadable: int
    """Of these, those that cannot be read."""
    note: str | None
    """Why there is nothing to look at; None where there is."""


def write_report(
    scores: str | Path,
    out: str | Path,
    /,
    *,
    score: str | None = None,
    epoch: int | None = None,
    data: str | Path | Examples | None = None,
    kept: str | Path | None = None,
    flags: str | Path | None = None,
    retraining: str | Path | None = None,
    velocity: str | Path | None = None,
    barrier: str | Path | None = None,
) -> ReportSummary:
    """Write a report as one HTML file that opens from disk and needs no network.

    Parameters
    ----------
    scores
        A run directory, or a file of `prunekit aggregate`. Of a run, every score that it holds is shown, over
        its epochs, and forgetting where it can be computed.
    out
        The HTML file to write, whole or not at all.
    score, epoch
        Of a run: the score that subsets and galleries go by, and the epoch; by default its first, at the last
        epoch that every seed reached.
    data
        The examples, to look at: what `prune_kit.data.open_examples` opens, texts in Parquet files, or
        examples in memory. By default what run.json says was scored, where it is still there.
    kept
        A subset, such as `prunekit prune` writes: its class balance is shown.
    flags
        A file of `prunekit flag`.
    retraining
        A directory of `prunekit retrain`.
    velocity, barrier
        Files of `prunekit velocity` and `prunekit barrier`.

    Returns
    -------
    ReportSummary
        Where it is, how large, and how many examples it shows; those that are missing or unreadable are
        counted.

    Raises
    ------
    PruneKitError
        If files do not belong together, or hold something else.
    StoreError
        If a file is missing or damaged, or `out` cannot be written.
    MissingExtraError
        If a package of the extra `report` is not installed.
    """
    reported = read_reported(scores, score=score, epoch=epoch)
    suspects = None if flags is None else read_suspects(flags, reported)
    galleries = choose(reported, suspects)
    looks, note = _looks(reported, galleries, data)
    trust = trust_in(reported)
    sections = {
        "trust": trust.charts,
        "scores": [
            (name, list(distribution_charts(reported, name, values)))
            for name, values in ((reported.score, reported.scores), *reported.others.items())
        ],
        "relations": list(relation_charts(reported)),
        "suspects": [] if suspects is None else list(suspect_charts(suspects)),
        "retraining": [] if retraining is None else [retraining_chart(retraining)],
        "dynamics": [
            *([] if velocity is None else [velocity_chart(velocity)]),
            *([] if barrier is None else barrier_charts(barrier)),
        ],
    }
    balance = None if kept is None else balance_of(kept, reported)
    kinds = [look.kind for look in looks or ()]
    text = render(
        reported=reported,
        facts=facts(reported),
        trust=trust,
        suspects=suspects,
        balance=balance,
        sections=sections,
        note=note,
        shown=len(galleries.rows),
        missing=kinds.count("missing"),
        unreadable=kinds.count("unreadable"),
        page={
            "subset": slider_data(reported),
            "gallery": gallery_data(reported, galleries, looks, suspects),
            "charts": {chart.name: chart.spec for chart in _all_charts(sections, balance)},
        },
    )
    encoded = text.encode("utf-8", errors="replace")  # lone surrogates are no text
    with atomic_path(out) as aside:
        aside.write_bytes(encoded)
    return ReportSummary(
        path=Path(out),
        size=len(encoded),
        examples=len(reported),
        shown=len(galleries.rows),
        missing=kinds.count("missing"),
        unreadable=kinds.count("unreadable"),
        note=note,
    )


def _looks(
    reported: Reported, galleries: Galleries, data: str | Path | Examples | None
) -> tuple[list[Look] | None, str | None]:
    """What the examples of the galleries look like, or None and why that is not known."""
    ids = reported.table.ids[galleries.rows]
    if data is not None:
        return looks_at(data, ids), None
    source = reported.config.get("data_source")
    if not isinstance(source, str):
        return None, "The scores do not say which data they are of: give it with --data to see the examples."
    try:
        return looks_at(source, ids), None
    except PruneKitError as error:  # said in the report: the numbers stand without pictures
        said = str(error).partition(" Hint: ")[0]
        return None, f"The examples cannot be shown: {said} Give the data with --data to see them."


def _all_charts(sections: dict[str, Any], balance: Balance | None) -> list[Chart]:
    of_scores = [chart for _, charts in sections["scores"] for chart in charts]
    others = [chart for name, charts in sections.items() if name != "scores" for chart in charts]
    return [*of_scores, *others, *([] if balance is None else [balance.chart])]
