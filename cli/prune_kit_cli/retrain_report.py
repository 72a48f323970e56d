"""What `prunekit retrain` tells: the accuracy of every subset, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prune_kit.retraining import Retraining

from .output import spans, text_table


def result_of(retraining: Retraining, epoch: int | None = None) -> dict[str, Any]:
    """The retraining as JSON values; its subsets at `epoch`, as for `Retraining.summary`."""
    return {
        "retraining": str(retraining.path),
        "equal": retraining.equal,
        "epochs": retraining.epochs,
        "seeds": retraining.seeds,
        "test": retraining.test,
        "recipe": retraining.config["recipe"],
        "subsets": retraining.summary(epoch=epoch),
        "rows": retraining.rows,
    }


def result_lines(retraining: Retraining, epoch: int) -> Iterator[str]:
    """The same for people."""
    rows = retraining.summary(epoch=epoch)
    test = retraining.test
    where = test.get("data_source", "the test data")
    yield f"test accuracy on {where} ({test['examples']:,} examples) after {epoch} epochs"
    steps = {row["steps"] for row in rows}
    yield (
        f"equal steps: {steps.pop():,} on every subset"
        if retraining.equal == "steps" and len(steps) == 1
        else f"equal {retraining.equal}: a smaller subset is trained for fewer steps"
    )
    yield _schedule(retraining.config["recipe"], epoch)
    yield from text_table(
        ("subset", "kept", "steps", "accuracy", "to random", "to full"),
        [
            (
                row["subset"],
                row["kept"],
                row["steps"],
                _with_error(row, "accuracy", "standard_error", ".4f"),
                *(
                    _with_error(row, f"difference_to_{each}", f"difference_to_{each}_standard_error", "+.4f")
                    for each in ("random", "full")
                ),
            )
            for row in rows
        ],
    )
    seeds = sorted({row["seeds"] for row in rows})
    if seeds[-1] > 1:
        yield f"± is the standard error over {spans(seeds)} seeds, of differences seed by seed"
    else:
        yield "one seed says nothing about the spread: give --seeds 3 or more"
    yield f"one test example is {1 / test['examples']:.4f}"
    if len(epochs := sorted({row["epoch"] for row in retraining.rows})) > 1:
        yield f"epochs {spans(epochs)}: {retraining.path / 'accuracy.parquet'}"


def _schedule(recipe: Mapping[str, Any], epoch: int) -> str:
    """What the learning rate was; short trainings easily miss that it never falls."""
    rate, milestones = recipe["learning_rate"], recipe["milestones"]
    passed = [each for each in milestones if each < epoch]
    if passed:
        return f"learning rate {rate:g}, times {recipe['decay']:g} after epochs {spans(sorted(passed))}"
    if not milestones:
        return f"learning rate {rate:g} throughout"
    return (
        f"learning rate {rate:g} throughout: its milestones ({spans(sorted(milestones))}) come later; "
        "--milestones sets others"
    )


def _with_error(row: Mapping[str, Any], name: str, error: str, form: str) -> str:
    if row[name] is None:
        return "-"
    return format(row[name], form) + ("" if row[error] is None else f" ± {row[error]:.4f}")
