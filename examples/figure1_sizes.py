"""The paper's Figure 1, bottom: how much of the data can be pruned, by each score.

Keeps the hardest of several sizes by EL2N and GraNd early in training, by GraNd before training, and by
forgetting over a whole training; and random subsets. Trains new networks on each for equal steps. Writes
figure1_sizes.png and figure1_sizes.csv to --out; interrupted, it goes on where it was.

    python examples/figure1_sizes.py                  # the embedded digits: some minutes on one core
    python examples/figure1_sizes.py --quick          # few and short trainings
    python examples/figure1_sizes.py --data train.parquet --test-data test.parquet --device cuda

With --data the defaults are the paper's for CIFAR-10: ResNet-18, scores of ten networks at epoch 20, 200
epochs on each subset.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from figures_common import Choice, Experiment, Row, draw_curve, draw_level, parser, print_rows, write_rows

import prune_kit as pk
from prune_kit import plot
from prune_kit.plot.style import new_figure, style

PRUNED = (0.3, 0.5, 0.7, 0.8, 0.9)


def main() -> None:
    """Score, prune, train again, print and draw."""
    experiment = Experiment.of(parser("Accuracy by the pruned fraction, score by score.", "figure1-sizes"))
    setting = experiment.setting
    early, pruned = setting.score_epoch, (0.5, 0.9) if experiment.options.quick else PRUNED
    every_epoch = experiment.score("scores/el2n", "el2n", at_epochs=range(setting.epochs + 1))
    grand = experiment.score("scores/grand", "grand", at_epochs=(0, early))
    scores = {
        f"EL2N, epoch {early}": pk.aggregate_run(every_epoch, score="el2n", epoch=early)["score"],
        f"GraNd, epoch {early}": pk.aggregate_run(grand, score="grand", epoch=early)["score"],
        f"forgetting, {setting.epochs} epochs": experiment.forgetting(every_epoch, setting.epochs),
        "GraNd, before training": pk.aggregate_run(grand, score="grand", epoch=0)["score"],
    }

    # Folders are named after subsets, which may hold no comma.
    ways = {name: name.replace(",", "") for name in (*scores, "random")}
    subsets: dict[str, Choice] = {"full": None}
    for share in pruned:
        subsets[subset_name("random", share)] = experiment.random(1 - share)
        for name, values in scores.items():
            subsets[subset_name(ways[name], share)] = experiment.hardest(values, 1 - share)
    rows = experiment.retrain("retrained", subsets)

    print(f"test accuracy, scores of {setting.score_seeds} networks;")
    print(f"{rows[0]['steps']:,} steps, mean of {setting.seeds} trainings ± standard error")
    print_rows(rows)
    picture, numbers = experiment.out / "figure1_sizes.png", experiment.out / "figure1_sizes.csv"
    write_rows(rows, numbers)
    by_name = {row["subset"]: row for row in rows}
    curves = {name: [by_name[subset_name(way, share)] for share in pruned] for name, way in ways.items()}
    draw(curves, pruned, by_name["full"], picture)
    print(f"picture: {picture}, numbers: {numbers}")


def subset_name(way: str, pruned: float) -> str:
    """What a subset is called: by what it was chosen, and how much is kept."""
    return f"{way} {1 - pruned:.0%}"


@style()
def draw(curves: dict[str, list[Row]], pruned: Sequence[float], full: Row, path: Path) -> None:
    """Accuracy against the pruned fraction, a curve for each way of choosing."""
    figure, (axis,) = new_figure(6, 3.8)
    for i, (name, rows) in enumerate(curves.items()):
        draw_curve(axis, name, [100 * share for share in pruned], rows, i)
    draw_level(axis, "all of the data", full, "--")
    axis.set_xlabel("examples pruned (%)")
    axis.set_ylabel("test accuracy (%)")
    axis.set_title("The hardest examples, by the score that chose them")
    axis.legend(loc="lower left")
    plot.save_figure(figure, path, dpi=130)


if __name__ == "__main__":
    main()
