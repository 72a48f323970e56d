"""`prunekit info`: what a run directory or a file of the kit holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.store import Run
from prune_kit.summary import agreement_by_epoch
from prune_kit.table import ScoreTable

from .agreement import a_few_epochs, agreement_lines
from .output import json_option, show, spans, text_table


@click.command()
@click.argument("path", metavar="RUN|FILE", type=click.Path(path_type=Path))
@json_option
def info(path: Path, as_json: bool) -> None:
    """Say what a run directory, or a Parquet file of scores or kept examples, holds."""
    if path.is_dir():
        _show_run(Run.open(path), as_json)
    else:
        _show_file(path, ScoreTable.read(path), as_json)


def _show_run(run: Run, as_json: bool) -> None:
    parts = run.parts()
    asked = len(run.seeds) * len(run.epochs)
    done = sum((seed, epoch) in set(parts) for seed in run.seeds for epoch in run.epochs)
    # The kit's own verbs write all of these; a program that uses Run by itself need not.
    config, data = run.config, run.config.get("data") or {}
    scores = config.get("scores") or []
    rows = agreement_by_epoch(run, score=scores[0], epochs=a_few_epochs(run)) if scores else []
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
    lines = [f"{run.path}: a run of {config.get('framework', 'another program')}"]
    if data:
        lines.append(
            f"  data      {config.get('data_source', '')} ({data['examples']:,} examples, "
            f"fingerprint {data['fingerprint'][:12]})"
        )
    if "model_name" in config:
        lines.append(f"  model     {config['model_name']}{_size(config)}")
    if scores:
        lines.append(f"  scores    {', '.join(scores)}: higher is harder")
    if config.get("pass") == "training":
        lines.append("  taken     in the training pass: train mode, inputs as they were trained on")
    lines += [
        f"  seeds     {spans(run.seeds)}",
        f"  epochs    {spans(run.epochs)}",
        f"  parts     {done} of {asked}"
        + ("" if done == asked or "pass" in config else "; the same score command goes on with it"),
        f"  made with {', '.join(f'{k} {v}' for k, v in sorted(run.made_with.items()))}",
        *(agreement_lines(rows, scores[0]) if scores else []),
    ]
    show(as_json, result, lines)


def _size(config: Mapping[str, Any]) -> str:
    """How large the model is, where the run says it."""
    model = config.get("model")
    return f" ({model['parameters']:,} parameters)" if isinstance(model, dict) else ""


def _show_file(path: Path, table: ScoreTable, as_json: bool) -> None:
    summary = {name: _quantiles(table[name]) for name in table if table[name].dtype.kind in "iuf"}
    result: dict[str, Any] = {
        "file": str(path),
        "examples": len(table),
        "columns": summary,
        "provenance": table.provenance,
    }
    counts = {name: int(table[name].sum()) for name in table if table[name].dtype.kind == "b"}
    result["true"] = counts
    rows = [(name, *quantiles) for name, quantiles in summary.items()]
    lines = [
        f"{path}: {len(table):,} examples",
        *text_table(("column", "min", "quarter", "median", "three quarters", "max"), rows),
        *(f"  {name}: {count:,} of {len(table):,}" for name, count in counts.items()),
    ]
    provenance = table.provenance
    told = ("run", "score", "epoch", "epochs", "column", "seeds", "method", "keep", "offset", "per_class")
    lines += [f"  {key:10}{provenance[key]}" for key in told if provenance.get(key) is not None]
    show(as_json, result, lines)


def _quantiles(column: NumpyArray) -> list[float]:
    finite = column[~np.isnan(column)] if column.dtype.kind == "f" else column
    if not len(finite):
        return [float("nan")] * 5
    return [float(value) for value in np.quantile(finite, [0, 0.25, 0.5, 0.75, 1], method="nearest")]
