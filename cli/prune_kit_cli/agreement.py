"""How well seeds and epochs agree, as lines for people, and the warning that scores were taken too early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prune_kit.reliability import RELIABLE, STABLE_OVERLAP, seeds_for
from prune_kit.store import Run
from prune_kit.summary import EARLY_AGREEMENT

from .output import text_table


def a_few_epochs(run: Run, *, also: int | None = None, most: int = 10) -> list[int]:
    """Up to `most` scored epochs from the first to the last, and one more that is wanted."""
    epochs = sorted({epoch for _, epoch in run.parts()})
    places = np.unique(np.linspace(0, len(epochs) - 1, min(most, len(epochs))).round().astype(int))
    return sorted({epochs[place] for place in places.tolist()} | ({also} if also is not None else set()))


def agreement_lines(rows: Sequence[Mapping[str, Any]], score: str) -> list[str]:
    """A table of the agreement of the ranking by `score`, epoch by epoch."""
    if not rows or (rows[0]["seeds"] < 2 and len(rows) < 2):
        return []
    header = ("epoch", "seeds", "between seeds", "with the last epoch")
    cells = [(row["epoch"], row["seeds"], row["agreement"], row["with_last"]) for row in rows]
    return [f"rank agreement of {score} (Spearman; 1 = the same order):", *text_table(header, cells)]


def too_early(rows: Sequence[Mapping[str, Any]], epoch: int) -> str | None:
    """What to say if seeds disagree at `epoch`, or later epochs disagree with it; None if neither does."""
    row = next((each for each in rows if each["epoch"] == epoch), {})
    found = [
        f"{what} is {row[key]:.2f}"
        for key, what in (("agreement", "between seeds"), ("with_last", "with the last epoch"))
        if (agreement := row.get(key)) is not None and agreement < EARLY_AGREEMENT
    ]
    if not found:
        return None
    return (
        f"scores at epoch {epoch} may be taken too early: their rank agreement {' and '.join(found)}, below "
        f"{EARLY_AGREEMENT}. A subset chosen by them can be worse than a random one. Score at a later epoch "
        "(--at-epochs), or with more seeds."
    )


def earliest_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The earliest epoch whose scores are good enough, where there are several to choose from."""
    if len(rows) < 2:
        return []
    for row in rows:
        known = [row[key] for key in ("agreement", "with_last") if row[key] is not None]
        if row["agreement"] is not None and min(known) >= EARLY_AGREEMENT:
            return [f"the earliest of these at which they agree by {EARLY_AGREEMENT} or more: {row['epoch']}"]
    return []


def would_change(made: Mapping[str, Any]) -> str | None:
    """What to say if other seeds would choose a subset that differs much; None if they would not."""
    overlap = made.get("half_overlap")
    if overlap is None or overlap >= STABLE_OVERLAP:
        return None
    return (
        f"of the hardest half, two halves of the seeds keep only {overlap:.1%} in common (chance: 50%): "
        "other seeds would choose a good part of the subset otherwise. Add seeds (score "
        "--until-reliability), or score at a later epoch."
    )


def reliability_lines(made: Mapping[str, Any]) -> list[str]:
    """Whether the seeds of an aggregate are enough, from its provenance."""
    reliability, agreement, overlap = (made.get(key) for key in ("reliability", "agreement", "half_overlap"))
    if reliability is None or agreement is None:
        return []
    lines = [
        f"reliability of the mean over {len(made['seeds'])} seeds: {reliability:.3f} (1 = no need of more)"
    ]
    if 0 < agreement < 1 and reliability < RELIABLE:
        needed = seeds_for(agreement, RELIABLE)
        lines[0] += f"; {RELIABLE} needs about {needed} seeds"
    if overlap is not None:
        lines.append(f"of the hardest half, two halves of the seeds keep {overlap:.1%} in common")
    return lines
