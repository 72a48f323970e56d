"""The paper's Figure 3: how fast the tangent kernel of easy and of hard examples turns in training.

Orders the examples by EL2N, early in training and averaged over networks, takes groups of neighbours in this
order, and measures how far the kernel of each turns within single epochs; on the labels as they are, and with
those of 10% of the examples shuffled among themselves. Writes figure3_velocity.png and figure3_velocity.csv
to --out; interrupted, it goes on where it was.

    python examples/figure3_velocity.py                  # the embedded digits: some minutes on one core
    python examples/figure3_velocity.py --quick          # fewer networks, groups and epochs
    python examples/figure3_velocity.py --data train.parquet --model resnet18 --device cuda
    python examples/figure3_velocity.py --data train.parquet --run RUN    # of `prunekit score`

With --data the defaults are the paper's for CIFAR-10: EL2N of ten networks at epoch 20, groups of 100 images,
200 epochs by its recipe.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from figures_common import Row, epoch_list, write_rows
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit import plot
from prune_kit.data import Examples, load_examples
from prune_kit.plot.style import GREY, new_figure, ordered_colours, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RANDOMISED = 0.1


@dataclass(frozen=True)
class Setting:
    """What is trained and measured."""

    model: str
    recipe: pk.Recipe
    score_seeds: int
    """Networks whose EL2N is averaged."""
    score_epoch: int
    seeds: int
    """Networks whose kernels are measured."""
    epochs: tuple[int, ...]
    """The velocity is that from each of them to the next epoch."""
    group_size: int
    groups: int


DIGITS = Setting("small-cnn", pk.Recipe(learning_rate=0.05), 10, 4, 3, (0, 1, 2, 4, 8, 15, 30), 100, 7)
QUICK = replace(DIGITS, score_seeds=2, score_epoch=2, seeds=1, epochs=(0, 2), group_size=40, groups=3)
PAPER_EPOCHS = (0, 1, 2, 4, 8, 12, 20, 40, 59, 80, 119, 140, 199)
PAPER = Setting("resnet18", pk.Recipe(augmentation="crop-flip"), 10, 20, 1, PAPER_EPOCHS, 100, 10)


def main() -> None:
    """Train, measure, print and draw."""
    parser = argparse.ArgumentParser(description="Kernel velocity of easy and hard examples over epochs.")
    parser.add_argument("--quick", action="store_true", help="little of everything, on the digits")
    parser.add_argument("--data", default="digits", help="examples to train on, as for `prunekit score`")
    parser.add_argument("--model", help="a built-in model [digits: small-cnn, else resnet18]")
    parser.add_argument("--score-seeds", type=int, help="networks that score [10]")
    parser.add_argument("--score-epoch", type=int, help="when EL2N is taken [digits: 4, else 20]")
    parser.add_argument("--seeds", type=int, help="networks whose kernels are measured [digits: 3, else 1]")
    parser.add_argument("--epochs", type=epoch_list, help="after which ones to measure, such as 0,1,2,5")
    parser.add_argument(
        "--groups", type=int, help="groups, from the lowest to the highest [digits: 7, else 10]"
    )
    parser.add_argument("--group-size", type=int, help="examples in a group [100]")
    parser.add_argument("--run", type=Path, help="a run with checkpoints, in place of training")
    parser.add_argument("--device", help="where to compute [a GPU that works]")
    parser.add_argument("--out", type=Path, default=Path("out/figure3"), help="a directory [out/figure3]")
    options = parser.parse_args()
    is_digits = options.data == "digits"
    setting = QUICK if options.quick else DIGITS if is_digits else PAPER
    names = ("model", "score_seeds", "score_epoch", "seeds", "epochs", "groups", "group_size")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    setting = replace(setting, **given)
    options.out.mkdir(parents=True, exist_ok=True)

    data = load_examples(options.data)
    rows = {"labels as they are": measured(data, setting, options, "clean", np.zeros(len(data), bool))}
    if not options.run:
        labels, _ = pk.randomise_labels(data.labels, fraction=RANDOMISED, seed=0)
        noisy = replace(data, labels=np.asarray(labels))
        name = f"{RANDOMISED:.0%} of the labels shuffled"
        rows[name] = measured(noisy, setting, options, "randomised", noisy.labels != data.labels)
    for name, of in rows.items():
        print(f"{name}: mean kernel velocity from an epoch to the next, by group from the lowest EL2N on")
        for epoch in dict.fromkeys(row["epoch"] for row in of):
            print(f"  {epoch:4}  " + "  ".join(f"{mean:.5f}" for _, mean, _ in by_group(of, epoch)))
        shares = [row["wrong_labels"] for row in of if row["epoch"] == of[0]["epoch"]][: setting.groups]
        print("  wrong labels in the groups:", *shares)
    picture, numbers = options.out / "figure3_velocity.png", options.out / "figure3_velocity.csv"
    write_rows(({"labels": name, **row} for name, of in rows.items() for row in of), numbers)
    draw(rows, picture)
    print(f"picture: {picture}, numbers: {numbers}")


def measured(
    data: Examples,
    setting: Setting,
    options: argparse.Namespace,
    name: str,
    is_wrong: npt.NDArray[np.bool_],
) -> list[Row]:
    """A row for every network, epoch and group, with its velocity and how many of its labels are wrong."""
    make_model = pkt.built_in_model(setting.model, data)
    run = pk.Run.open(options.run) if options.run else trained(data, setting, options, options.out / name)
    for epoch in setting.epochs:
        columns = pkt.kernel_velocities(
            make_model,
            data,
            run,
            out=options.out / f"{name}.parquet",
            group_size=setting.group_size,
            groups=setting.groups,
            score="el2n",
            score_epoch=setting.score_epoch,
            seeds=range(setting.seeds),
            epochs=(epoch, epoch + 1),
            device=options.device,
            progress=True,
        )
    scores = pk.aggregate_run(run, score="el2n", epoch=setting.score_epoch)
    wrong_by_rank = is_wrong[np.argsort(scores["score"], kind="stable")]
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*map(np.ndarray.tolist, columns.values()), strict=True)
    ]
    rows = [row for row in rows if row["epoch"] in setting.epochs and row["seed"] < setting.seeds]
    for row in rows:
        at_once = [r["velocity"] for r in rows if (r["seed"], r["epoch"]) == (row["seed"], row["epoch"])]
        row["relative"] = row["velocity"] / np.mean(at_once)
        row["wrong_labels"] = int(wrong_by_rank[row["first_rank"] : row["last_rank"]].sum())
    return rows


def trained(data: Examples, setting: Setting, options: argparse.Namespace, path: Path) -> pk.Run:
    """A run with the checkpoints of some networks, and the early scores of more."""
    at = sorted({setting.score_epoch, *setting.epochs, *(epoch + 1 for epoch in setting.epochs)})
    for seeds, epochs in ((setting.seeds, at), (setting.score_seeds, [setting.score_epoch])):
        run = pkt.train_seeds(
            pkt.built_in_model(setting.model, data),
            data,
            seeds=seeds,
            epochs=epochs[-1],
            at_epochs=epochs,
            recipe=setting.recipe,
            checkpoints=epochs is at,
            device=options.device,
            run=path,
            progress=True,
        )
    return run


def by_group(rows: Sequence[Row], epoch: int, column: str = "velocity") -> list[tuple[Row, float, float]]:
    """A row of each group, the mean of a column over the networks, and its standard error (0 of one)."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        if row["epoch"] == epoch:
            groups.setdefault(row["group"], []).append(row)
    found = []
    for of in groups.values():
        values = np.array([row[column] for row in of])
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        found.append((of[0], float(values.mean()), float(error)))
    return found


@style()
def draw(rows: dict[str, list[Row]], path: Path) -> None:
    """Velocity, and each group's beside that of all groups, against the epoch; a column for each labels."""
    figure, axes = new_figure(4.2 * len(rows) + 1, 5.6, 2, len(rows), sharex=True, sharey="row")
    for i, (name, of) in enumerate(rows.items()):
        velocity, relative = axes[i], axes[len(rows) + i]
        curves(velocity, of, "velocity")
        curves(relative, of, "relative")
        velocity.set_yscale("log")
        velocity.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        velocity.yaxis.set_major_formatter(FuncFormatter(lambda velocity, _: f"{velocity:g}"))
        velocity.yaxis.set_minor_locator(NullLocator())
        velocity.set_title(name)
        velocity.legend(title="ranks by EL2N, ascending", title_fontsize=8, fontsize=7)
        relative.axhline(1, color=GREY, linewidth=1, linestyle=":")
        relative.set_xlabel("epoch, to the next one")
    axes[0].set_ylabel("kernel velocity")
    axes[len(rows)].set_ylabel("by the mean of the groups")
    plot.save_figure(figure, path, dpi=80)


def curves(axis: Axes, rows: Sequence[Row], column: str) -> None:
    """A curve per group, dark to light from the lowest EL2N on; bands where networks are compared alike."""
    epochs = list(dict.fromkeys(row["epoch"] for row in rows))
    groups = list(zip(*(by_group(rows, epoch, column) for epoch in epochs), strict=True))
    for group, colour in zip(groups, ordered_colours(len(groups)), strict=True):
        first = group[0][0]
        mean, error = (np.array([each[k] for each in group]) for k in (1, 2))
        label = f"{first['first_rank']:,} to {first['last_rank']:,}"
        if first["wrong_labels"]:
            label += f" ({first['wrong_labels']} wrong)"
        if column == "relative":
            axis.fill_between(epochs, mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
        axis.plot(epochs, mean, color=colour, marker="o", markersize=3, label=label)
    axis.set_xscale("symlog", linthresh=2)
    axis.set_xticks(epochs, map(str, epochs))
    axis.xaxis.set_minor_locator(NullLocator())


if __name__ == "__main__":
    main()
