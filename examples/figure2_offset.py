"""The paper's Figure 2: whether the very hardest examples are worth keeping, as labels are right or not.

Orders the examples by EL2N and keeps a window of fixed size: the easiest examples, then ever harder ones,
up to the hardest. Trains new networks on each window for equal steps; once with the labels as they are,
once with those of 10% of the training examples shuffled among themselves. Writes figure2_offset.png and
figure2_offset.csv to --out; interrupted, it goes on where it was.

    python examples/figure2_offset.py                  # the embedded digits: some minutes on one core
    python examples/figure2_offset.py --quick          # few and short trainings
    python examples/figure2_offset.py --data train.parquet --test-data test.parquet --device cuda

With --data the defaults are the paper's for CIFAR-10: ResNet-18, scores of ten networks at epoch 20, 200
epochs on each window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from figures_common import Choice, Experiment, Row, draw_curve, draw_level, parser, print_rows, write_rows

import prune_kit as pk
from prune_kit import plot
from prune_kit.plot.style import GREY, new_figure, style

KEEP = 0.4
OFFSETS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6)
RANDOMISED = 0.1


def main() -> None:
    """Score, prune, train again, print and draw; first with the labels as they are."""
    experiment = Experiment.of(parser("Accuracy of a window by its offset.", "figure2"))
    clean = experiment.data
    labels, _ = pk.randomise_labels(clean.labels, fraction=RANDOMISED, seed=0)
    noisy = replace(experiment, data=replace(clean, labels=np.asarray(labels)))
    offsets = (0.0, 0.5, 0.6) if experiment.options.quick else OFFSETS
    rows = {
        "labels as they are": measured(experiment, "clean", offsets, clean.labels),
        f"{RANDOMISED:.0%} of the labels shuffled": measured(noisy, "randomised", offsets, clean.labels),
    }
    for name, of in rows.items():
        print(f"{name}: test accuracy after {of[0]['steps']:,} steps, ± standard error")
        print_rows(of)
    picture, numbers = experiment.out / "figure2_offset.png", experiment.out / "figure2_offset.csv"
    write_rows(({"labels": name, **row} for name, of in rows.items() for row in of), numbers)
    draw(rows, picture)
    print(f"picture: {picture}, numbers: {numbers}")


def measured(
    experiment: Experiment, name: str, offsets: Sequence[float], right: npt.NDArray[Any]
) -> list[Row]:
    """A row for each window, with its offset and how many of its labels are wrong; and rows of baselines."""
    epoch = experiment.setting.score_epoch
    run = experiment.score(f"{name}/scores", "el2n", at_epochs=(epoch,))
    scores = pk.aggregate_run(run, score="el2n", epoch=epoch)["score"]
    windows = {
        f"offset {offset:.0%}": np.asarray(pk.keep_window(scores, offset=offset, fraction=KEEP))
        for offset in offsets
    }
    subsets: dict[str, Choice] = {**windows, "random": experiment.random(KEEP), "full": None}
    rows = experiment.retrain(f"{name}/retrained", subsets)
    offset_of = dict(zip(windows, offsets, strict=True))
    is_wrong = experiment.data.labels != right
    for row in rows:
        kept = windows.get(row["subset"])
        row["offset"] = offset_of.get(row["subset"])
        row["wrong_labels"] = None if kept is None else int(is_wrong[kept].sum())
    return rows


@style()
def draw(rows: dict[str, list[Row]], path: Path) -> None:
    """Accuracy against the offset, a panel for the labels as they are and one for the shuffled ones."""
    figure, axes = new_figure(8.5, 3.6, 1, 2, sharey=True)
    for i, (axis, (name, of)) in enumerate(zip(axes, rows.items(), strict=True)):
        windows = [row for row in of if row["offset"] is not None]
        at = [100 * row["offset"] for row in windows]
        draw_curve(axis, f"a window of {KEEP:.0%}", at, windows, i)
        baselines = {row["subset"]: row for row in of}
        draw_level(axis, "all of the data", baselines["full"], "--")
        draw_level(axis, f"random {KEEP:.0%}", baselines["random"], ":")
        if any(row["wrong_labels"] for row in windows):
            for x, row in zip(at, windows, strict=True):
                axis.annotate(
                    f"{row['wrong_labels']:,}",
                    (x, 100 * row["accuracy"]),
                    xytext=(-3, -13),
                    textcoords="offset points",
                    ha="right",
                    fontsize=8,
                    color=GREY,
                )
            name += " (numbers: wrong ones in the window)"
        axis.margins(0.07, 0.1)
        axis.set_xlabel("easiest examples left out before the window (%)")
        axis.set_title(name)
        axis.legend(loc="lower right" if i == 0 else "lower left")
    axes[0].set_ylabel("test accuracy (%)")
    plot.save_figure(figure, path, dpi=130)


if __name__ == "__main__":
    main()
