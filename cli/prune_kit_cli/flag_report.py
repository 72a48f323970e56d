"""What `prunekit flag` says of the labels that it flags, and when it warns that it came too late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prune_kit.flagging import flag_run
from prune_kit.store import Run
from prune_kit.table import ScoreTable

from .class_names import class_name
from .output import text_table

_MOST_SHOWN = 10
_WIDEST = 20
_FADES_BY = 1.5
_FADING_SHARE = 0.005


def found(run: Run, table: ScoreTable) -> dict[str, Any]:
    """What `flag_run` found, as JSON values: how many, between which classes, which examples first."""
    made = table.provenance
    rows = np.argsort(-table["probability"], kind="stable")[:_MOST_SHOWN]
    rows = rows[table["flagged"][rows]]
    columns = (table.ids, table.labels, table["suggested"], table["probability"])
    keys = ("id", "given", "suggested", "probability")
    return {
        "epoch": made["epoch"],
        "seeds": made["seeds"],
        "wrong": made["wrong"],
        "rate": made["wrong"] / len(table),
        "earlier": _earlier(run, made),
        "class_pairs": [
            dict(zip(("true", "given", "wrong"), pair, strict=True)) for pair in made["class_pairs"]
        ],
        "most_suspect": [
            dict(zip(keys, row, strict=True))
            for row in zip(*(column[rows].tolist() for column in columns), strict=True)
        ],
    }


def found_lines(result: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The same for people, 80 columns wide."""

    def named(label: int) -> str:
        return _short(class_name(label, names))

    seeds = "1 seed" if len(result["seeds"]) == 1 else f"{len(result['seeds'])} seeds"
    lines = [
        f"  class probabilities: mean over {seeds} at epoch {result['epoch']}",
        f"  about {result['wrong']:,.0f} labels are wrong ({result['rate']:.1%}), estimated",
    ]
    if earlier := result["earlier"]:
        lines.append(f"  at epoch {earlier['epoch']} the estimate is {earlier['wrong']:,.0f}")
    if pairs := result["class_pairs"][:_MOST_SHOWN]:
        rows: list[Sequence[Any]] = [
            (named(pair["true"]), named(pair["given"]), f"{pair['wrong']:,.1f}") for pair in pairs
        ]
        lines += ["", "most wrong labels, by classes:", *text_table(("true", "given", "estimated"), rows)]
    if suspects := result["most_suspect"]:
        rows = [
            (_short(str(each["id"])), named(each["given"]), named(each["suggested"]), each["probability"])
            for each in suspects
        ]
        header = ("id", "given", "suggested", "probability")
        lines += ["", "most suspect:", *text_table(header, rows)]
    return lines


def too_late(result: Mapping[str, Any]) -> str | None:
    """What to say where the wrong labels seem to have been memorised by this epoch; None otherwise.

    On digits with 10% wrong labels (three seeds of the built-in network) the estimate stays within 10% from
    epoch 2 to 6 (F1 of the flags .90 to .97), and falls to 54% at epoch 8 (.76), 34% at 10 (.50), 1% at 20.
    """
    earlier = result["earlier"]
    if earlier is None:
        return None
    epoch, before, now = earlier["epoch"], earlier["wrong"], result["wrong"]
    if before <= _FADES_BY * now or before - now <= _FADING_SHARE * result["examples"]:
        return None
    return (
        f"about {now:,.0f} labels are wrong by the probabilities at epoch {result['epoch']}, {before:,.0f} "
        f"by those at epoch {epoch}: networks that have memorised their labels no longer show the wrong "
        f"ones. Compare with --epoch {epoch}."
    )


def _earlier(run: Run, made: Mapping[str, Any]) -> dict[str, Any] | None:
    """The estimate at about half the epoch, where that was scored."""
    done = set(run.parts())
    half = min((made["epoch"] + 1) // 2, made["epoch"] - 1)
    epochs = [e for e in run.epochs if 0 < e <= half and all((s, e) in done for s in made["seeds"])]
    if not epochs:
        return None
    before = flag_run(run, epoch=epochs[-1], seeds=made["seeds"])
    return {"epoch": epochs[-1], "wrong": before.provenance["wrong"]}


def _short(text: str) -> str:
    """The end of a long text, where paths and names differ."""
    return text if len(text) <= _WIDEST else "…" + text[1 - _WIDEST :]
