"""`prunekit retrain`: what pruning costs, in accuracy of networks trained on what was kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prune_kit.plot import accuracy, figure_kind, save_figure
from prune_kit.training import PRECISIONS

from .from_run import reopen
from .output import json_option, show
from .parameters import Epochs, Seeds
from .recipe_options import changed_recipe, recipe_options
from .retrain_parts import subsets_of, test_data_of
from .retrain_report import result_lines, result_of
from .source_options import source_of, source_options

DIGITS_EPOCHS = 30
"""300 steps: where the accuracy on the digits no longer rises (examples/digits_half.py)."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--kept",
    multiple=True,
    metavar="[NAME=]FILE",
    help="A subset to train on: ids, as `prunekit prune` writes them. May be repeated. NAME is what it is "
    "called; by default the file's own name.",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    type=click.Choice(["random", "full", "none"]),
    default=("random", "full"),
    show_default=True,
    help="What to compare with: random, as many examples as each subset has, drawn anew for every seed; "
    "full, all of the data. May be repeated.",
)
@click.option(
    "--test-data",
    metavar="DATA",
    help="What the accuracy is measured on, as --data of `prunekit score`; read with --label-column and "
    "--image-size too. [default: digits:test for digits]",
)
@click.option("--seeds", type=Seeds(), default="3", show_default=True, help="How many, or which (0-9).")
@click.option("--epochs", type=click.IntRange(min=1), help="How long to train. [default for digits: 30]")
@click.option(
    "--equal",
    type=click.Choice(["steps", "epochs"]),
    default="steps",
    show_default=True,
    help="What is the same for all subsets. steps: each is trained for as many as all of the data would be "
    "in these epochs, as the paper does; epochs: passes over the subset, so fewer steps.",
)
@click.option(
    "--at-epochs", type=Epochs(), help="When to measure, such as 10,20. [default: after the last epoch]"
)
@recipe_options
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Of training; accuracy is always taken in float32. [default: the run's]",
)
@click.option(
    "--channels-last/--no-channels-last",
    default=None,
    help="How images and weights are laid out. [default: the run's]",
)
@source_options
@click.option("--save-checkpoints", is_flag=True, help="Keep the weights of every seed when it is measured.")
@click.option(
    "--plot", "figure", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: .png, .svg or .pdf."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The directory of what was retrained. [default: RUN-retrained]",
)
@json_option
def retrain(
    run: Path,
    kept: tuple[str, ...],
    baselines: tuple[str, ...],
    figure: Path | None,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train on what was kept, and tell the test accuracy beside that of baselines.

    \b
      prunekit retrain runs/digits --kept kept.parquet
      prunekit retrain RUN --kept el2n=a.parquet --kept aum=b.parquet --test-data test.parquet \\
          --epochs 20 --milestones 10,15 --plot accuracy.png

    Model, data and recipe are the run's. A seed begins with the same weights on every subset. Told are means
    over the seeds with their standard errors, and the differences to the baselines, seed by seed.
    The same command again goes on where this one was interrupted; it may gain subsets and seeds.
    """  # noqa: D301, click wants the backspace character itself
    if "none" in baselines and len(baselines) > 1:
        raise click.UsageError("--baseline none excludes the others.")
    if not kept and "full" not in baselines:
        raise click.UsageError("nothing to train on: give --kept FILE, as `prunekit prune` writes it.")
    if figure is not None:
        figure_kind(figure)  # to find out before the training that it cannot be drawn
    reopened = reopen(run, **source_of(options))
    is_digits = reopened.data_source.partition(":")[0] == "digits"
    epochs = options["epochs"] or (DIGITS_EPOCHS if is_digits else None)
    if epochs is None:
        raise click.UsageError(
            "--epochs: say how long to train. The paper does 200; with fewer give --milestones too."
        )
    test_source = options["test_data"] or ("digits:test" if is_digits else None)
    if test_source is None:
        raise click.UsageError(
            "--test-data: say on what to measure the accuracy: data that was not trained on."
        )
    subsets = subsets_of(reopened.run, kept, baselines)
    recipe = changed_recipe(reopened.recipe, options)
    test_data = test_data_of(test_source, options)
    out = out or run.with_name(f"{run.resolve().name}-retrained")
    if not as_json:
        click.echo(f"directory: {out}")
    of_run = {"precision": "float32", "channels_last": False} | reopened.config
    chosen = {
        name: of_run[name] if options[name] is None else options[name]
        for name in ("precision", "channels_last")
    }
    retraining = reopened.verbs.retrain(
        reopened.make_model,
        reopened.data,
        test_data,
        subsets=subsets,
        seeds=options["seeds"],
        epochs=epochs,
        at_epochs=options["at_epochs"],
        equal=options["equal"],
        out=out,
        recipe=recipe,
        device=options["device"],
        checkpoints=options["save_checkpoints"],
        described={"data_source": reopened.data_source, "model_name": reopened.model_name},
        test_described={"data_source": test_source},
        progress=True,
        **chosen,
    )
    last = max(options["at_epochs"] or [epochs])
    result = result_of(retraining, last)
    lines = [*result_lines(retraining, last)]
    if figure is not None:
        save_figure(accuracy(retraining, epoch=last), figure)
        result["plot"] = str(figure)
        lines.append(f"drawn: {figure}")
    show(as_json, result, lines)
