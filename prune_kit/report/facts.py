"""What was run, as terms and what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from .reported import Reported

_MOST_NUMBERS = 12


def facts(reported: Reported, /) -> list[tuple[str, str]]:
    """The provenance of a report: a term and its description each, for people."""
    return [(term, said) for term, said in _facts(reported) if said]


def numbers(of: Sequence[int], /) -> str:
    """Ascending numbers in few words: "0, 1, 5-20"."""
    pieces: list[list[int]] = []
    for number in of:
        if pieces and number == pieces[-1][-1] + 1:
            pieces[-1].append(number)
        else:
            pieces.append([number])
    told = [f"{p[0]}-{p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in pieces]
    more = f" … {told[-1]}" if len(told) > _MOST_NUMBERS else ""
    return ", ".join(told[:_MOST_NUMBERS]) + more


def _facts(reported: Reported) -> Iterator[tuple[str, str]]:
    config, made, run = reported.config, reported.made, reported.run
    data = config.get("data") or {}
    yield ("Run" if run else "File"), str(reported.path)
    if run is None:
        yield "Run", str(made.get("run") or "")
    yield "Data", str(config.get("data_source") or "")
    yield "Fingerprint of the data", str(data.get("fingerprint") or "")
    yield "Model", _model(config)
    yield "Framework", str(config.get("framework") or "")
    yield "Score", f"{reported.score}, higher is harder"
    yield "Epoch", _epoch(made)
    yield "Seeds", numbers(made.get("seeds") or [])
    yield "Taken", "in the training pass" if config.get("pass") == "training" else ""
    if run is not None:
        parts = set(run.parts())
        done = sum((seed, epoch) in parts for seed in run.seeds for epoch in run.epochs)
        asked = len(run.seeds) * len(run.epochs)
        yield "Scored epochs", numbers(run.epochs)
        yield "Finished", "yes" if done == asked else f"{done} of {asked} seeds and epochs"
    for key, value in sorted((config.get("recipe") or {}).items()):
        yield f"Recipe: {key.replace('_', ' ')}", "" if value is None else _plain(value)
    yield "Precision", str(config.get("precision") or "")
    versions = made.get("made_with") or {}
    yield "Made with", ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _model(config: dict[str, Any]) -> str:
    model = config.get("model")
    name = str(config.get("model_name") or (model.get("class") if isinstance(model, dict) else "") or "")
    if isinstance(model, dict) and isinstance(model.get("parameters"), int):
        return f"{name} ({model['parameters']:,} parameters)"
    return name


def _epoch(made: dict[str, Any]) -> str:
    if epochs := made.get("epochs"):
        return f"over epochs {numbers(epochs)}"
    return "" if made.get("epoch") is None else str(made["epoch"])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).strip("[]")
