"""`prunekit score`: train seeds (or take checkpoints, or saved logits) and score every example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prune_kit.reliability import spearman_brown
from prune_kit.scores import SCORE_NAMES
from prune_kit.store import Run
from prune_kit.summary import agreement_by_epoch
from prune_kit.training import AUGMENTATIONS, PRECISIONS

from .agreement import agreement_lines, earliest_lines, reliability_lines, too_early
from .locate import adapter_names, is_import_spec
from .onnx_options import OF_ONNX, onnx_options
from .output import json_option, show, warn
from .parameters import Epochs, Seeds
from .randomised import OF_RANDOMISED, randomise_options, shuffled_labels, shuffled_line
from .score_onnx import score_with_onnx
from .score_sources import score_arrays, score_with_adapter

# Options that say something about one way of scoring only.
_OF_ARRAYS = ("logits", "ids")
_OF_SAVED_OUTPUTS = ("labels", "probabilities")
_OF_SEEDS = ("seeds", "epochs")
_OF_ENOUGH_SEEDS = ("until_reliability", "max_seeds")
_OF_RECIPE = (
    "save_checkpoints",
    "learning_rate",
    "weight_decay",
    "augmentation",
    "precision",
    "channels_last",
)
_OF_TRAINING = (*_OF_SEEDS, *_OF_ENOUGH_SEEDS, *_OF_RECIPE)
_OF_MODELS = (
    *_OF_TRAINING,
    "model",
    "data",
    "checkpoint",
    "batch_size",
    "device",
    "label_column",
    "image_size",
    *OF_RANDOMISED,
)


@click.command()
@click.option(
    "--framework",
    type=click.Choice([*adapter_names(), "arrays"]),
    required=True,
    help="What computes the logits; arrays: saved logits.",
)
@click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="DATA",
    help="digits; a Parquet file or folder (images or feature columns); a folder of class folders of images; "
    ".npz; or package.module:attribute.",
)
@click.option(
    "--model",
    multiple=True,
    metavar="MODEL",
    help="small-cnn, simple-cnn, resnet18, resnet50, mlp; or package.module:attribute that makes a model. "
    "With --framework onnx: files, patterns or folders of models, each a seed; may be repeated. "
    "[default: small-cnn for digits, resnet18 for images, mlp for feature vectors]",
)
@click.option("--seeds", type=Seeds(), default="10", show_default=True, help="How many (10), or which (0-9).")
@click.option(
    "--until-reliability",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="R",
    help="Add seeds until the mean of the first score is this reliable at the last epoch, such as 0.95; in "
    "place of --seeds.",
)
@click.option(
    "--max-seeds", type=click.IntRange(min=3), help="With --until-reliability, at most so many. [default: 20]"
)
@click.option(
    "--epochs", type=click.IntRange(min=0), help="How long each seed is trained. [default: 20; 6 for digits]"
)
@click.option(
    "--at-epochs",
    type=Epochs(),
    help="Completed epochs to score at, such as 5,10; 0 is initialisation. [default: halfway and the last]",
)
@click.option(
    "--score",
    "scores",
    multiple=True,
    default=("el2n",),
    show_default=True,
    metavar="NAME",
    help=f"A score; may be repeated: {', '.join(SCORE_NAMES)}; and, where the framework computes gradients, "
    "grand.",
)
@click.option(
    "--checkpoint",
    multiple=True,
    metavar="GLOB",
    help="Score these weights and train nothing; each file is a seed: .safetensors; .pt of a state_dict; "
    "with tensorflow, .weights.h5.",
)
@click.option(
    "--save-checkpoints", is_flag=True, help="Keep the weights of every seed at every scored epoch."
)
@click.option(
    "--save-probabilities",
    is_flag=True,
    help="Keep every example's class probabilities too, for prunekit flag: examples x classes for each seed "
    "and scored epoch.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Examples in a training step [default: 128]; with --checkpoint, at a time [default: 256].",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Times 0.2 after epochs 60, 120 and 160. [default: 0.1; 0.05 for digits]",
)
@click.option("--weight-decay", type=click.FloatRange(min=0), help="Of SGD. [default: 5e-4]")
@click.option(
    "--augmentation",
    type=click.Choice(AUGMENTATIONS),
    help="Of images while training. [default: crop-flip for images, none for digits]",
)
@click.option(
    "--device",
    help="cpu, cuda or cuda:N; with --framework onnx also tensorrt and directml. [default: a GPU that works]",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float32",
    show_default=True,
    help="Of training; scores are always taken in float32.",
)
@click.option(
    "--channels-last",
    is_flag=True,
    help="Lay images and weights out channels last (faster on GPUs); TensorFlow always does.",
)
@click.option(
    "--label-column", help="The column of labels in Parquet data. [default: label, labels, target or y]"
)
@click.option(
    "--image-size", type=click.IntRange(min=1), help="Resize images to this side, and crop the rest."
)
@randomise_options
@click.option(
    "--logits",
    multiple=True,
    metavar="GLOB",
    help="With --framework arrays: .npy or .npz of shape (n, classes), a seed each, or (seeds, n, classes).",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="With --framework arrays: .npy of shape (n,), or .npz. With onnx: those of --data FILE.npy.",
)
@click.option(
    "--ids", type=click.Path(path_type=Path), help="With --framework arrays: .npy. [default: positions]"
)
@click.option(
    "--probabilities",
    is_flag=True,
    help="With --framework arrays or onnx: the files hold, or the models give, probabilities.",
)
@onnx_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The run directory. [default: runs/DATA-FRAMEWORK]",
)
@json_option
@click.pass_context
def score(ctx: click.Context, /, framework: str, out: Path | None, as_json: bool, **options: Any) -> None:
    """Score every example, early in training, for several seeds, into a run directory.

    With nothing but --framework torch (or tensorflow, or onnx) it runs on the handwritten digits that ship
    with scikit-learn.
    The same command again goes on with a run that was interrupted; with more seeds, it adds them.
    """
    _check_usage(ctx, framework)
    options["scores"] = tuple(name.strip() for given in options["scores"] for name in given.split(","))
    out = out or Path("runs") / _default_name(framework, options)
    if not as_json:
        click.echo(f"run directory: {out}")
    if framework == "arrays":
        run = score_arrays(out, options)
    elif framework == "onnx":
        run = score_with_onnx(out, options)
    else:
        run = score_with_adapter(framework, out, options | {"model": next(iter(options["model"]), None)})
    _report(run, options["scores"][0], as_json)


def _check_usage(ctx: click.Context, framework: str) -> None:
    """Refuse options that this way of scoring would ignore."""
    source = click.core.ParameterSource.COMMANDLINE
    given = {name for name in ctx.params if ctx.get_parameter_source(name) is source}
    if framework == "arrays":
        _refuse(given, (*_OF_MODELS, *OF_ONNX), "not with --framework arrays, whose logits exist already")
        if "logits" not in given:
            raise click.UsageError(
                "--framework arrays needs --logits, such as --logits 'seed*.npy' --labels labels.npy."
            )
    elif framework == "onnx":
        _refuse(given, _OF_ARRAYS, "only with --framework arrays")
        _refuse(given, ("checkpoint",), "not with --framework onnx, where --model names the files")
        if "model" in given:
            _refuse(given, _OF_SEEDS, "not with --model: nothing is trained")
        _refuse(given, (*_OF_ENOUGH_SEEDS, *_OF_RECIPE, *OF_RANDOMISED), "not with --framework onnx")
    else:
        _refuse(given, (*_OF_ARRAYS, *_OF_SAVED_OUTPUTS), "only with --framework arrays")
        _refuse(given, OF_ONNX, "only with --framework onnx")
        if len(ctx.params["model"]) > 1:
            raise click.UsageError(f"--model must be one model with --framework {framework}.")
    if "randomise_labels" not in given:
        _refuse(given, ("label_seed",), "only with --randomise-labels")
    if "checkpoint" in given:
        _refuse(given, _OF_TRAINING, "not with --checkpoint: nothing is trained")
    if "until_reliability" in given:
        _refuse(given, ("seeds",), "not with --until-reliability, which says how many")
    else:
        _refuse(given, ("max_seeds",), "only with --until-reliability")


def _refuse(given: set[str], names: tuple[str, ...], why: str) -> None:
    wrong = ["--" + name.replace("_", "-") for name in names if name in given]
    if wrong:
        raise click.UsageError(f"{', '.join(wrong)}: {why}.")


def _default_name(framework: str, options: dict[str, Any]) -> str:
    source: str = options["logits"][0] if framework == "arrays" else options["data"]
    stem = source.rpartition(":")[2] if is_import_spec(source) else Path(source).name.partition(".")[0]
    return f"{stem.strip('*?[]') or 'logits'}-{framework}"


def _report(run: Run, name: str, as_json: bool) -> None:
    rows = agreement_by_epoch(run, score=name)
    agreement, seeds = rows[-1]["agreement"], rows[-1]["seeds"]
    reliability = None if agreement is None else spearman_brown(agreement, seeds)
    trust = {"seeds": range(seeds), "agreement": agreement, "reliability": reliability}
    examples = run.config["data"]["examples"]
    result = {
        "run": str(run.path),
        "examples": examples,
        "seeds": run.seeds,
        **{name: run.config[name] for name in ("device",) if name in run.config},
        "epochs": run.epochs,
        "scores": run.config["scores"],
        "parts": len(run.parts()),
        "agreement": rows,
        "reliability": reliability,
    }
    shuffled = shuffled_labels(run)
    if shuffled is not None:
        result["randomised_labels"] = shuffled
    lines = [
        f"scored {examples:,} examples: {len(run.seeds)} seeds at epochs {', '.join(map(str, run.epochs))}",
        *([f"ran on {run.config['device']}"] if run.config["framework"] == "onnx" else []),
        *([shuffled_line(shuffled)] if shuffled else []),
        *agreement_lines(rows, name),
        *earliest_lines(rows),
        *reliability_lines(trust),
        "",
        "next: average over the seeds, then keep what matters",
        f"  prunekit aggregate {run.path} --out scores.parquet",
        "  prunekit prune scores.parquet --keep 0.5 --out kept.parquet",
    ]
    if run.config.get("save_probabilities"):
        lines.append(f"  prunekit flag {run.path} --out flags.parquet")
    show(as_json, result, lines)
    if message := too_early(rows, rows[-1]["epoch"]):
        warn(message)
