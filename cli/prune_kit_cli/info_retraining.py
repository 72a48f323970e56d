"""What `prunekit info` says of networks that were retrained on subsets of the data."""

from __future__ import annotations

from prune_kit.retraining import Retraining

from .columns import WIDTH, field, shortened
from .output import show, spans, text_table
from .retrain_report import result_of

_MOST_NAME = 20
_MOST_SUBSETS = 40


def show_retraining(retraining: Retraining, as_json: bool) -> None:
    """Print which subsets were trained on and how accurate the networks are, as JSON or for people."""
    result = {**result_of(retraining), "config": retraining.config}
    rows = result["subsets"]
    ending = f": networks retrained on {len(retraining.subsets):,} subsets"
    test = retraining.test
    lines = [
        shortened(str(retraining.path), WIDTH - len(ending)) + ending,
        *field("test", f"{test.get('data_source', '')} ({test['examples']:,} examples)"),
        *field("seeds", spans(retraining.seeds)),
        *field("epochs", f"{retraining.epochs}, equal {retraining.equal} for every subset"),
        f"accuracy on the test data at epoch {rows[0]['epoch']}, mean over the seeds:"
        if rows
        else "no accuracy yet",
    ]
    of = {name: subset["of"] for name, subset in retraining.subsets.items()}
    cells = [
        (
            shortened(row["subset"], _MOST_NAME),
            row["kept"],
            f"{row['kept'] / of[row['subset']]:.1%}",
            row["seeds"],
            row["steps"],
            f"{row['accuracy']:.4f}",
            "-" if row["standard_error"] is None else f"± {row['standard_error']:.4f}",
        )
        for row in rows[:_MOST_SUBSETS]
    ]
    lines += text_table(("subset", "kept", "share", "seeds", "steps", "accuracy", "error"), cells)
    if len(rows) > _MOST_SUBSETS:
        lines.append(f"  and {len(rows) - _MOST_SUBSETS:,} more; --json has them all")
    show(as_json, result, lines)
