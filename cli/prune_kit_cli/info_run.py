"""What `prunekit info` says of a run: what was run, how far it is, its scores, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prune_kit.errors import IncompleteEpochError
from prune_kit.store import Run
from prune_kit.summary import aggregate_run, agreement_by_epoch
from prune_kit.table import ScoreTable

from .agreement import a_few_epochs, agreement_lines, reliability_lines
from .columns import WIDTH, field, plain, shortened, wrapped
from .glance import glance, glance_lines
from .output import show, spans


def show_run(run: Run, as_json: bool) -> None:
    """Print what the run holds, as JSON or for people."""
    parts = run.parts()
    asked = len(run.seeds) * len(run.epochs)
    done = sum((seed, epoch) in set(parts) for seed in run.seeds for epoch in run.epochs)
    # The kit's own verbs write all of these; a program that uses Run by itself need not.
    config = run.config
    scores = config.get("scores") or []
    rows = agreement_by_epoch(run, score=scores[0], epochs=a_few_epochs(run)) if scores else []
    latest = _latest(run, scores[0]) if scores else None
    result: dict[str, Any] = {
        "run": str(run.path),
        "config": config,
        "made_with": run.made_with,
        "seeds": run.seeds,
        "epochs": run.epochs,
        "parts": len(parts),
        "asked": asked,
        "complete": done == asked,
        "directions": run.directions,
        "agreement": rows,
    }
    made = plain(str(config.get("framework", "another program")))
    ending = f": a run of {shortened(made, 40)}"
    lines = [shortened(str(run.path), WIDTH - len(ending)) + ending, *_made_from(config)]
    if scores:
        lines += field("scores", f"{', '.join(scores)}: higher is harder")
    if config.get("pass") == "training":
        lines += field("taken", "in the training pass: train mode, inputs as they were trained on")
    lines += [
        *field("seeds", spans(run.seeds)),
        *field("epochs", spans(run.epochs)),
        *field(
            "parts",
            f"{done} of {asked}"
            + ("" if done == asked or "pass" in config else "; the same score command goes on with it"),
        ),
        *field("made with", ", ".join(f"{k} {v}" for k, v in sorted(run.made_with.items()))),
    ]
    if latest is not None:
        result |= glance(latest)
        lines += glance_lines(latest)
    if scores:
        lines += agreement_lines(rows, shortened(scores[0], 30))
    if latest is not None:
        lines += wrapped(reliability_lines(latest.provenance))
    show(as_json, result, lines)


def _made_from(config: Mapping[str, Any]) -> list[str]:
    """The data and the model, where the run says them."""
    lines = []
    if data := config.get("data"):
        said = f"({data['examples']:,} examples, fingerprint {data['fingerprint'][:12]})"
        lines += field("data", f"{config.get('data_source', '')} {said}")
    if "model_name" in config:
        model = config.get("model")
        size = f" ({model['parameters']:,} parameters)" if isinstance(model, dict) else ""
        lines += field("model", f"{config['model_name']}{size}")
    return lines


def _latest(run: Run, score: str) -> ScoreTable | None:
    """The mean scores at the last of the epochs that most seeds have reached; None where there are none."""
    parts = run.parts()
    epochs = sorted({epoch for _, epoch in parts}, key=lambda e: (sum(of == e for _, of in parts), e))
    for epoch in reversed(epochs):
        try:
            return aggregate_run(run, score=score, epoch=epoch)
        except IncompleteEpochError:  # the scores of a part of the examples are not those of the data
            continue
    return None
