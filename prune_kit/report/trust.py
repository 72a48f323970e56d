"""How reliable the scores are, and whether more seeds are worth it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..reliability import RELIABLE, STABLE_OVERLAP, seeds_for, spearman_brown
from ..summary import EARLY_AGREEMENT, agreement_by_epoch
from .chart import ACCENT, SERIES, Chart, finished, values
from .epoch_means import evenly
from .needs import package
from .reported import Reported


@dataclass(frozen=True)
class Trust:
    """What the report says of the seeds."""

    seeds: int | None
    reliability: float | None
    overlap: float | None
    verdict: str
    """Whether more seeds are worth it, in a sentence or two."""
    warnings: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)


def trust_in(reported: Reported, /) -> Trust:
    """Judge the seeds of a report from what its scores' provenance says, and the run where there is one."""
    made = reported.made
    listed = made.get("seeds")
    seeds = len(listed) if listed else None
    reliability, agreement, overlap = (made.get(key) for key in ("reliability", "agreement", "half_overlap"))
    charts: list[Chart] = []
    warnings: list[str] = []
    if reliability is not None and agreement is not None and seeds and 0 < agreement < 1:
        charts.append(_by_seeds(agreement, seeds))
    if reported.run is not None:
        epochs = sorted({epoch for _, epoch in reported.run.parts()})
        rows = agreement_by_epoch(reported.run, score=reported.score, epochs=[*evenly(epochs), made["epoch"]])
        warnings += _too_early(rows, made["epoch"])
        charts += _by_epoch(rows, reported.score)
    if overlap is not None and overlap < STABLE_OVERLAP:
        warnings.append(
            f"Of the hardest half, two halves of the seeds keep only {overlap:.0%} in common (chance: 50%): "
            "other seeds would choose a good part of the subset otherwise."
        )
    return Trust(seeds, reliability, overlap, _verdict(seeds, reliability, agreement), warnings, charts)


def _verdict(seeds: int | None, reliability: float | None, agreement: float | None) -> str:
    if seeds == 1:
        return (
            "One seed: how far its scores can be trusted shows in no other way than by scoring with another. "
            "The paper averages ten."
        )
    if seeds is None or reliability is None or agreement is None:
        return "How reliable the scores are is not known: the file does not say which seeds they come from."
    if reliability >= RELIABLE:
        return (
            f"More seeds are hardly worth it: the mean over {seeds} seeds has a reliability of "
            f"{reliability:.3f}, and {RELIABLE} is enough."
        )
    if agreement <= 0:
        return "Seeds agree no more than by chance: more seeds do not help, a later epoch may. "
    needed = seeds_for(agreement, RELIABLE)
    return (
        f"More seeds are worth it: the mean over {seeds} seeds has a reliability of {reliability:.3f}; "
        f"{RELIABLE} needs about {needed} seeds, {needed - seeds} more."
    )


def _too_early(rows: list[dict[str, Any]], epoch: int) -> Iterator[str]:
    row = next((each for each in rows if each["epoch"] == epoch), {})
    for key, what in (("agreement", "between seeds"), ("with_last", "with the last epoch")):
        found = row.get(key)
        if found is not None and found < EARLY_AGREEMENT:
            yield (
                f"Scores at epoch {epoch} may be taken too early: their rank agreement {what} is "
                f"{found:.2f}, below {EARLY_AGREEMENT}. A subset chosen by them can be worse than a random "
                "one."
            )


def _by_seeds(agreement: float, seeds: int) -> Chart:
    alt = package("altair")
    most = max(10, 2 * seeds, min(40, seeds_for(agreement, RELIABLE)))
    rows = [{"seeds": k, "reliability": spearman_brown(agreement, k)} for k in range(1, most + 1)]
    y = alt.Y("reliability:Q", scale=alt.Scale(domain=[0, 1]))
    line = (
        alt.Chart(values(rows))
        .mark_line(color=ACCENT, strokeWidth=2)
        .encode(x=alt.X("seeds:Q", axis=alt.Axis(grid=False, tickMinStep=1)), y=y)
    )
    here = (
        alt.Chart(values([rows[seeds - 1]]))
        .mark_point(color=SERIES[1], filled=True, size=90, opacity=1)
        .encode(x="seeds:Q", y=y, tooltip=["seeds:Q", alt.Tooltip("reliability:Q", format=".3f")])
    )
    goal = alt.Chart(values([{"reliability": RELIABLE}])).mark_rule(strokeDash=[4, 4], color="var(--ink-2)")
    said = (
        f"What to expect of the mean over more seeds (Spearman-Brown), at an agreement of {agreement:.2f} "
        f"between two. The dot is this report's {seeds} seeds, the dashed line {RELIABLE}."
    )
    table = [(row["seeds"], f"{row['reliability']:.3f}") for row in rows]
    spec = finished(goal.encode(y=y) + line + here, height=200)
    return Chart("reliability", "Reliability by number of seeds", said, spec, ("seeds", "reliability"), table)


def _by_epoch(rows: list[dict[str, Any]], score: str) -> Iterator[Chart]:
    names = {"agreement": "between seeds", "with_last": "with the last epoch"}
    points = [
        {"epoch": row["epoch"], "what": name, "agreement": row[key]}
        for row in rows
        for key, name in names.items()
        if row[key] is not None
    ]
    if len(rows) < 2 or not points:
        return
    alt = package("altair")
    colours = alt.Scale(domain=[*names.values()], range=SERIES[:2])
    spec = (
        alt.Chart(values(points))
        .mark_line(strokeWidth=2, point={"size": 40})
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(grid=False, tickMinStep=1)),
            y=alt.Y("agreement:Q", title="rank agreement"),
            color=alt.Color("what:N", title=None, scale=colours),
            tooltip=["epoch:Q", "what:N", alt.Tooltip("agreement:Q", format=".3f")],
        )
    )
    table = [
        (row["epoch"], row["seeds"], *("" if row[key] is None else f"{row[key]:.3f}" for key in names))
        for row in rows
    ]
    said = (
        f"How far the order by {score} agrees (Spearman; 1 is the same order). Below {EARLY_AGREEMENT}, "
        "scores may be taken too early."
    )
    header = ("epoch", "seeds", *names.values())
    yield Chart("agreement", "Agreement over epochs", said, finished(spec, height=200), header, table)
