"""From the options of `prunekit score` to the verbs of the core and the adapters."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from prune_kit.data import Examples
from prune_kit.enough_seeds import train_until_reliable
from prune_kit.errors import PruneKitError
from prune_kit.saved_logits import score_saved_logits
from prune_kit.store import Run
from prune_kit.training import Recipe

from .data_and_model import find_model, read_data
from .locate import adapter
from .output import warn
from .randomised import LABELS_FILE, randomised

# Found on the digits (examples/digits_half.py): at these epochs the seeds agree, and the hardest half that
# they choose trains as well as all of the data.
_DIGITS = {"epochs": 6, "learning_rate": 0.05}
_EPOCHS = 20


def score_arrays(out: Path, options: dict[str, Any]) -> Run:
    """Score the saved logits that the options name."""
    return score_saved_logits(
        _files(options["logits"], "--logits"),
        options["labels"],
        run=out,
        ids=options["ids"],
        epoch=_only_epoch(options["at_epochs"], "the logits") or 0,
        scores=options["scores"],
        from_logits=not options["probabilities"],
        save_probabilities=options["save_probabilities"],
    )


def score_with_adapter(framework: str, out: Path, options: dict[str, Any]) -> Run:
    """Score with the adapter for `framework`: its checkpoints, or seeds that it trains."""
    data = read_data(options["data"], label_column=options["label_column"], image_size=options["image_size"])
    size = options["randomise_labels"]
    if size is None:
        return _scored(framework, data, out, options, {})
    how = {"count" if isinstance(size, int) else "fraction": size, "seed": options["label_seed"]}
    data, labels = randomised(data, how)
    run = _scored(framework, data, out, options, {"randomised_labels": how})
    labels.to_parquet(run.path / LABELS_FILE)
    return run


def _scored(framework: str, data: Any, out: Path, options: dict[str, Any], about_data: dict[str, Any]) -> Run:
    verbs = adapter(framework)
    is_digits = options["data"].partition(":")[0] == "digits"
    is_image = isinstance(data, Examples) and data.inputs.ndim == 4
    model = options["model"] or ("small-cnn" if is_digits else "resnet18" if is_image else "mlp")
    described = {"data_source": options["data"], "model_name": model, **about_data}
    if isinstance(data, Examples) and data.class_names is not None:
        described["class_names"] = list(data.class_names)
    common = {
        "run": out,
        "scores": options["scores"],
        "save_probabilities": options["save_probabilities"],
        "device": options["device"],
        "described": described,
        "progress": True,
    }
    make_model = find_model(verbs, model, data)
    run: Run
    if options["checkpoint"]:
        run = verbs.score_checkpoints(
            make_model,
            data,
            _files(options["checkpoint"], "--checkpoint"),
            epoch=_only_epoch(options["at_epochs"], "the checkpoints"),
            score_batch_size=options["batch_size"],
            **common,
        )
        return run
    recipe = {
        "batch_size": options["batch_size"],
        "learning_rate": options["learning_rate"] or (_DIGITS["learning_rate"] if is_digits else None),
        "weight_decay": options["weight_decay"],
        "augmentation": options["augmentation"] or ("crop-flip" if is_image and not is_digits else None),
    }
    epochs = options["epochs"]
    if epochs is None:
        epochs = max(options["at_epochs"] or [_DIGITS["epochs"] if is_digits else _EPOCHS])
    train = partial(
        verbs.train_seeds,
        make_model,
        data,
        epochs=epochs,
        at_epochs=options["at_epochs"] or sorted({(epochs + 1) // 2, epochs}),
        recipe=Recipe(**{name: value for name, value in recipe.items() if value is not None}),
        precision=options["precision"],
        channels_last=options["channels_last"],
        checkpoints=options["save_checkpoints"],
        **common,
    )
    if options["until_reliability"] is not None:
        return _until_reliable(train, options)
    run = train(seeds=options["seeds"])
    return run


def _until_reliable(train: Callable[..., Run], options: dict[str, Any]) -> Run:
    target = options["until_reliability"]
    found = train_until_reliable(
        lambda seeds: train(seeds=seeds),
        target=target,
        most=options["max_seeds"] or 20,
        score=options["scores"][0],
    )
    if not found.is_reached:
        warn(
            f"the reliability of the mean over {found.seeds} seeds is "
            f"{'not known' if found.reliability is None else f'{found.reliability:.3f}'}, below {target}. "
            "Score at a later epoch (--at-epochs), or allow more seeds (--max-seeds)."
        )
    return found.run


def _only_epoch(epochs: list[int] | None, what: str) -> int | None:
    if epochs is not None and len(epochs) > 1:
        raise click.UsageError(f"--at-epochs must be the one epoch that {what} are from.")
    return epochs[0] if epochs else None


def _files(patterns: Sequence[str], option: str) -> list[str]:
    files: list[str] = []
    for pattern in patterns:
        # Sorted, so that the same files are the same seeds.
        found = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207 - absolute patterns
        if not found:
            raise PruneKitError(f"{option} {pattern}: no file has such a name.")
        files += found
    return files
