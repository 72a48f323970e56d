"""The paper's Figure 1, top: how early in training scores are good enough to choose half of the data.

Scores at several epochs of the same trainings, keeps the hardest half by EL2N, by GraNd and by forgetting
(counted up to that epoch), and trains new networks on each for equal steps; beside them a random half, and
all of the data. Writes figure1_epochs.png and figure1_epochs.csv to --out; interrupted, it goes on where it
was.

    python examples/figure1_epochs.py                  # the embedded digits: some minutes on one core
    python examples/figure1_epochs.py --quick          # few and short trainings
    python examples/figure1_epochs.py --data train.parquet --test-data test.parquet --device cuda

With --data the defaults are the paper's for CIFAR-10: ResNet-18, scores of ten networks, 200 epochs on each
half.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from figures_common import Choice, Experiment, Row, draw_curve, draw_level, parser, print_rows, write_rows

import prune_kit as pk
from prune_kit import plot
from prune_kit.plot.style import new_figure, style

KEEP = 0.5
SCORES = ("EL2N", "GraNd", "forgetting")


def main() -> None:
    """Score, prune, train again, print and draw."""
    experiment = Experiment.of(
        parser("Accuracy of the hardest half by the epoch of scoring.", "figure1-epochs")
    )
    epochs = experiment.setting.score_epochs
    every_epoch = experiment.score("scores/el2n", "el2n", at_epochs=range(epochs[-1] + 1))
    grand = experiment.score("scores/grand", "grand", at_epochs=epochs)

    subsets: dict[str, Choice] = {}
    for epoch in epochs:
        by = {
            "EL2N": pk.aggregate_run(every_epoch, score="el2n", epoch=epoch)["score"],
            "GraNd": pk.aggregate_run(grand, score="grand", epoch=epoch)["score"],
        }
        if epoch >= 2:  # before, nothing can have been learned and forgotten
            by["forgetting"] = experiment.forgetting(every_epoch, epoch)
        for score, values in by.items():
            subsets[f"{score} epoch {epoch}"] = experiment.hardest(values, KEEP)
    rows = experiment.retrain("retrained", {**subsets, "random": experiment.random(KEEP), "full": None})

    setting = experiment.setting
    print(f"test accuracy of the hardest {KEEP:.0%} by mean scores of {setting.score_seeds} networks;")
    print(f"{rows[0]['steps']:,} steps, mean of {setting.seeds} trainings ± standard error")
    print_rows(rows)
    picture, numbers = experiment.out / "figure1_epochs.png", experiment.out / "figure1_epochs.csv"
    write_rows(({"score": score_of(row), "scored_at": epoch_of(row), **row} for row in rows), numbers)
    draw(rows, picture)
    print(f"picture: {picture}, numbers: {numbers}")


def score_of(row: Row) -> str:
    """The score by whose order a subset was chosen."""
    return str(row["subset"]).split(" epoch ", maxsplit=1)[0]


def epoch_of(row: Row) -> int | None:
    """When the score was taken; None of baselines."""
    name = str(row["subset"])
    return int(name.split(" epoch ")[1]) if " epoch " in name else None


@style()
def draw(rows: Sequence[Row], path: Path) -> None:
    """Accuracy against the epoch of scoring, a curve per score; beside it the same enlarged."""
    epochs = sorted({epoch for row in rows if (epoch := epoch_of(row)) is not None})
    baselines = {row["subset"]: row for row in rows if epoch_of(row) is None}
    figure, axes = new_figure(8.5, 3.6, 1, 2)
    for axis in axes:
        for i, score in enumerate(SCORES):
            of = [row for row in rows if score_of(row) == score]
            draw_curve(axis, score, [epochs.index(epoch_of(row) or 0) for row in of], of, i)
        draw_level(axis, "all of the data", baselines["full"], "--")
        draw_level(axis, f"random {KEEP:.0%}", baselines["random"], ":")
        axis.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
        axis.set_xlabel("epoch of scoring (0 = before training)")
    axes[0].set_ylabel("test accuracy (%)")
    axes[0].set_title(f"The hardest {KEEP:.0%}, by the time at which they were scored")
    axes[0].legend(loc="lower right")
    best, random = max(row["accuracy"] for row in rows), baselines["random"]["accuracy"]
    margin = 0.3 * (best - random) + 0.002
    axes[1].set_ylim(100 * (random - 2 * margin), 100 * (best + margin))
    axes[1].set_title("The same, enlarged")
    plot.save_figure(figure, path, dpi=130)


if __name__ == "__main__":
    main()
