"""Scores of one architecture, used to prune for another.

Scores the examples with networks of two architectures, tells how far the two orders agree, and trains
networks of both on what is hardest for their own kind, on what is hardest for the other, and on random
subsets, for equal steps. Writes transfer.png, transfer.csv (accuracies) and transfer.json (agreement) to
--out; interrupted, it goes on where it was.

    python examples/transfer.py                  # the embedded digits: some minutes on one core
    python examples/transfer.py --quick          # few and short trainings
    python examples/transfer.py --data train.parquet --test-data test.parquet --device cuda

The models are --model and --other: small-cnn and mlp on the digits; with --data resnet18 and simple-cnn,
EL2N of ten networks at epoch 20 and 200 epochs on each subset.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from figures_common import Choice, Experiment, Row, draw_curve, draw_level, parser, print_rows, write_rows

import prune_kit as pk
from prune_kit import plot
from prune_kit.plot.style import new_figure, style

KEEP = (0.2, 0.3, 0.5, 0.7)


def main() -> None:
    """Score with both, compare, prune, train both again, print and draw."""
    own = parser("Scores of one architecture prune for another.", "transfer")
    own.add_argument("--other", help="the other built-in model [digits: mlp, else simple-cnn]")
    experiment = Experiment.of(own)
    options = experiment.options
    models = (
        experiment.setting.model,
        options.other or ("mlp" if options.data == "digits" else "simple-cnn"),
    )
    if models[0] == models[1]:
        own.error("--other must not be --model")
    keep = (0.3, 0.5) if experiment.options.quick else KEEP
    tables = [scores_of(experiment, model) for model in models]

    compared = pk.compare_scores(tables, sizes=keep, names=models)
    correlation = float(compared.rank_correlation[0, 1])
    agreement = {
        "models": models,
        "rank_correlation": correlation,
        "ceiling": float(compared.ceiling[0, 1]),
        "reliability": dict(zip(models, compared.reliability.tolist(), strict=True)),
        "overlap": dict(zip(map(str, keep), compared.overlap[:, 0, 1].tolist(), strict=True)),
    }
    print(f"rank correlation of EL2N of {models[0]} and {models[1]}: {correlation:.3f}")
    print(f"  if both were the same but for the seeds: {agreement['ceiling']:.3f}")
    rows: dict[str, list[Row]] = {}
    for model in models:
        subsets: dict[str, Choice] = {"full": None}
        for share in keep:
            subsets[f"random {share:.0%}"] = experiment.random(share)
            for source, table in zip(models, tables, strict=True):
                subsets[f"{source} {share:.0%}"] = experiment.hardest(table["score"], share)
        rows[model] = experiment.retrain(f"retrained/{model}", subsets, model=model)
        print(f"{model} trained for {rows[model][0]['steps']:,} steps on the hardest by the scores of each")
        print_rows(rows[model])

    picture = experiment.out / "transfer.png"
    write_rows(
        ({"model": model, **row} for model, of in rows.items() for row in of), picture.with_suffix(".csv")
    )
    picture.with_suffix(".json").write_text(json.dumps(agreement, indent=2) + "\n", encoding="utf-8")
    draw(rows, keep, correlation, picture)
    print(f"picture: {picture}, numbers: {picture.with_suffix('.csv')}, {picture.with_suffix('.json')}")


def scores_of(experiment: Experiment, model: str) -> pk.ScoreTable:
    """EL2N by networks of one architecture."""
    epoch = experiment.setting.score_epoch
    run = experiment.score(f"scores/{model}", "el2n", at_epochs=(epoch,), model=model)
    return pk.aggregate_run(run, score="el2n", epoch=epoch)


@style()
def draw(rows: dict[str, list[Row]], keep: Sequence[float], correlation: float, path: Path) -> None:
    """Accuracy against the pruned fraction, a panel per architecture that is trained."""
    figure, axes = new_figure(8.5, 3.6, 1, 2)
    for axis, (model, of) in zip(axes, rows.items(), strict=True):
        by_name = {row["subset"]: row for row in of}
        for i, source in enumerate((*rows, "random")):
            label = source if source == "random" else f"EL2N of {source}" + ", its own" * (source == model)
            curve = [by_name[f"{source} {share:.0%}"] for share in keep]
            draw_curve(axis, label, [100 * (1 - share) for share in keep], curve, i)
        draw_level(axis, "all of the data", by_name["full"], "--")
        axis.set_xlabel("examples pruned (%)")
        axis.set_ylabel("test accuracy (%)")
        axis.set_title(f"trained: {model}   (rank correlation of the scores {correlation:.2f})")
        axis.legend(loc="lower left")
    plot.save_figure(figure, path, dpi=130)


if __name__ == "__main__":
    main()
