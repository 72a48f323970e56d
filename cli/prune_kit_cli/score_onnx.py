"""From the options of `prunekit score --framework onnx` to the verbs of that adapter."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from prune_kit.data import ExampleStream, load_examples, open_examples
from prune_kit.errors import PruneKitError
from prune_kit.store import Run
from prune_kit.training import check_seeds

from .locate import adapter, call, import_attribute, is_import_spec

_DIGITS_EPOCHS = 6


def score_with_onnx(out: Path, options: dict[str, Any]) -> Run:
    """Score with exported models: those that the options name, or small ones made for the digits."""
    verbs = adapter("onnx")
    data = _data(options)
    epoch = _epoch(options)
    if options["model"]:
        models = model_files(options["model"])
    else:
        models = _small_models(verbs, out.with_name(f"{out.name}-models"), epoch, options)
    described = {"data_source": options["data"]}
    if isinstance(data, ExampleStream) and data.class_names is not None:
        described["class_names"] = list(data.class_names)
    run: Run = verbs.score_models(
        models,
        data,
        run=out,
        epoch=epoch,
        scores=options["scores"],
        save_probabilities=options["save_probabilities"],
        score_batch_size=options["batch_size"],
        device=options["device"],
        described=described,
        progress=True,
        logits=options["output"],
        from_logits=False if options["probabilities"] else None,
        **{name: options[name] for name in ("scale", "mean", "std", "layout", "threads")},
    )
    return run


def model_files(patterns: Sequence[str]) -> list[Path]:
    """The files that --model names: files, patterns, and folders of .onnx files, each sorted by name.

    Raises
    ------
    PruneKitError
        If a pattern or folder has none.
    """
    files: list[Path] = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            found = sorted(path.rglob("*.onnx"))
        elif glob.has_magic(pattern) and not path.exists():
            found = sorted(map(Path, glob.glob(pattern)))  # noqa: PTH207 - absolute patterns
        else:
            found = [path]
        if not found:
            raise PruneKitError(f"--model {pattern}: there is no model of such a name.")
        files += found
    return files


def _data(options: dict[str, Any]) -> Any:
    source = options["data"]
    if source.startswith("digits:") or not is_import_spec(source):
        return open_examples(
            source,
            image_size=options["image_size"],
            label_column=options["label_column"],
            labels=options["labels"],
        )
    data = import_attribute(source, "--data")
    return call(data, source, "--data") if callable(data) else data


def _epoch(options: dict[str, Any]) -> int:
    epochs = options["at_epochs"]
    if epochs is not None and len(epochs) > 1:
        raise click.UsageError("--at-epochs must be the one epoch that the models are from.")
    if epochs:
        return int(epochs[0])
    if options["model"]:
        return 0
    return _DIGITS_EPOCHS if options["epochs"] is None else int(options["epochs"])


def _small_models(verbs: Any, folder: Path, epochs: int, options: dict[str, Any]) -> list[Path]:
    source = options["data"]
    if source.partition(":")[0] != "digits":
        raise click.UsageError("--framework onnx needs --model, such as --model 'seed*.onnx'.")
    files: list[Path] = verbs.make_small_models(
        load_examples("digits"), folder, seeds=check_seeds(options["seeds"]), epochs=epochs
    )
    return files
