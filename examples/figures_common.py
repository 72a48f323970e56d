"""What the examples of the paper's accuracy figures share: options, settings, scoring, retraining, drawing.

No example by itself. A setting says how networks are scored and trained again: `DIGITS` by default, `QUICK`
for --quick, and with --data `PAPER`, which is that of the paper for CIFAR-10 and ResNet-18.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit.data import Examples, load_examples
from prune_kit.plot.style import COLOURS, GREY, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Positions = npt.NDArray[np.int64]
Choice = Positions | Callable[[int], Positions] | None
Row = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """How networks are scored and trained again."""

    model: str
    recipe: pk.Recipe
    score_seeds: int
    """Networks whose scores are averaged."""
    score_epoch: int
    """Early in training: when EL2N and GraNd are taken."""
    score_epochs: tuple[int, ...]
    """Where scores of several epochs are compared: 0 is before training."""
    seeds: int
    """Networks trained on each subset."""
    epochs: int
    """Of these trainings, in steps of all of the data; and those over which forgetting is counted."""


DIGITS = Setting(
    model="small-cnn",
    recipe=pk.Recipe(learning_rate=0.05),
    score_seeds=10,
    score_epoch=4,
    score_epochs=(0, 1, 2, 3, 4, 8, 15, 30),
    seeds=5,
    epochs=30,
)
QUICK = replace(DIGITS, score_seeds=2, score_epoch=2, score_epochs=(0, 2), seeds=2, epochs=4)
PAPER = Setting(
    model="resnet18",
    recipe=pk.Recipe(augmentation="crop-flip"),
    score_seeds=10,
    score_epoch=20,
    score_epochs=(0, 1, 2, 4, 8, 12, 16, 20),
    seeds=4,
    epochs=200,
)


def parser(description: str, name: str) -> argparse.ArgumentParser:
    """The options that every figure has; `name` is that of its directory."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--quick", action="store_true", help="few and short trainings on the digits")
    options.add_argument("--data", default="digits", help="examples to train on, as for `prunekit score`")
    options.add_argument("--test-data", help="examples to test on [of the digits: their test split]")
    options.add_argument("--model", help="a built-in model [digits: small-cnn, else resnet18]")
    options.add_argument("--score-seeds", type=int, help="networks that score [10]")
    options.add_argument("--score-epoch", type=int, help="when EL2N and GraNd are taken [digits: 4, else 20]")
    options.add_argument("--seeds", type=int, help="networks trained on each subset [digits: 5, else 4]")
    options.add_argument("--epochs", type=int, help="of the trainings on subsets [digits: 30, else 200]")
    options.add_argument(
        "--milestones", type=epoch_list, help="epochs after which their learning rate falls [60,120,160]"
    )
    options.add_argument("--device", help="where to train [a GPU that works]")
    options.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    options.add_argument("--out", type=Path, help=f"a directory [out/{name}]")
    options.set_defaults(name=name)
    return options


def epoch_list(text: str) -> tuple[int, ...]:
    """Epochs as they are given on the command line: 60,120,160."""
    return tuple(int(each) for each in text.split(","))


@dataclass(frozen=True)
class Experiment:
    """Data, a setting, and a directory where what was trained stays: the same call again goes on with it."""

    data: Examples
    test: Examples
    setting: Setting
    out: Path
    recipe: pk.Recipe
    """Of the trainings on subsets."""
    options: argparse.Namespace
    """What the command line says."""
    training: Mapping[str, Any]
    """Further options of every training."""

    @classmethod
    def of(cls, parser: argparse.ArgumentParser) -> Experiment:
        """What the command line asks for."""
        options = parser.parse_args()
        is_digits = options.data == "digits"
        if options.quick and not is_digits:
            parser.error("--quick is for the digits")
        if not is_digits and options.test_data is None:
            parser.error("--data needs --test-data")
        setting = QUICK if options.quick else DIGITS if is_digits else PAPER
        given = {
            name: getattr(options, name)
            for name in ("model", "score_seeds", "score_epoch", "seeds", "epochs")
            if getattr(options, name) is not None
        }
        setting = replace(setting, **given)
        recipe = setting.recipe
        if options.milestones is not None:
            recipe = replace(recipe, milestones=options.milestones)
        out = options.out or Path("out") / (options.name + ("-quick" if options.quick else ""))
        out.mkdir(parents=True, exist_ok=True)
        return cls(
            data=load_examples(options.data),
            test=load_examples(options.test_data or "digits:test"),
            setting=setting,
            out=out,
            recipe=recipe,
            options=options,
            training={"device": options.device, "precision": options.precision, "progress": True},
        )

    def score(self, name: str, score: str, *, at_epochs: Sequence[int], model: str | None = None) -> pk.Run:
        """A run of the setting's networks, in which every example has its score at some epochs."""
        return pkt.train_seeds(
            pkt.built_in_model(model or self.setting.model, self.data),
            self.data,
            seeds=self.setting.score_seeds,
            epochs=max(at_epochs),
            at_epochs=at_epochs,
            scores=(score,),
            recipe=self.setting.recipe,
            run=self.out / name,
            **self.training,
        )

    def forgetting(self, run: pk.Run, epoch: int) -> npt.NDArray[Any]:
        """Mean forgetting score (n,) up to `epoch`; what a network has not learned by then ranks highest."""
        return pk.aggregate_run(run, score="forgetting", epoch=epoch, never_learned=epoch)["score"]

    def retrain(self, name: str, subsets: Mapping[str, Choice], *, model: str | None = None) -> list[Row]:
        """Test accuracies of networks trained on each subset, as `Retraining.summary` has them."""
        retraining = pkt.retrain(
            pkt.built_in_model(model or self.setting.model, self.data),
            self.data,
            self.test,
            subsets=subsets,
            seeds=self.setting.seeds,
            epochs=self.setting.epochs,
            recipe=self.recipe,
            out=self.out / name,
            **self.training,
        )
        return [row for row in retraining.summary(epoch=self.setting.epochs) if row["subset"] in subsets]

    def random(self, fraction: float) -> Callable[[int], Positions]:
        """A random subset, another draw for every seed."""
        return lambda seed: pk.keep_random(len(self.data), fraction=fraction, seed=seed)

    def hardest(self, scores: npt.NDArray[Any], fraction: float) -> Positions:
        """The positions of the hardest examples."""
        return np.asarray(pk.keep_hardest(scores, fraction=fraction))


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """The numbers of a figure as CSV; columns are those of the first row."""
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows({name: _shown(value) for name, value in row.items()} for row in rows)


def print_rows(rows: Iterable[Row]) -> None:
    """A line for each subset: how many examples, the accuracy, and how far it is from a random subset."""
    for row in rows:
        line = f"  {row['subset']:34} {row['kept']:7,}   {with_error(row['accuracy'], row['standard_error'])}"
        if (difference := row["difference_to_random"]) is not None:
            to_random = with_error(difference, row["difference_to_random_standard_error"], sign="+")
            line += f"   {to_random} to random"
        print(line)


def with_error(mean: float, error: float | None, sign: str = "") -> str:
    """A mean and its standard error, which one training does not tell."""
    return f"{mean:{sign}.4f}" if error is None else f"{mean:{sign}.4f} ± {error:.4f}"


def draw_curve(axis: Axes, label: str, at: Sequence[float], rows: Sequence[Row], place: int) -> None:
    """Accuracies in percent with a band of one standard error; `place` chooses colour and marker."""
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    mean = 100 * np.array([row["accuracy"] for row in rows])
    error = 100 * np.array([row["standard_error"] or 0.0 for row in rows])
    axis.fill_between(at, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    axis.plot(at, mean, color=colour, marker=marker, label=label)


def draw_level(axis: Axes, label: str, row: Row, line: str) -> None:
    """An accuracy that does not depend on the horizontal axis, with its band."""
    mean, error = 100 * row["accuracy"], 100 * (row["standard_error"] or 0.0)
    axis.axhspan(mean - error, mean + error, color=GREY, alpha=0.15, linewidth=0)
    axis.axhline(mean, color=GREY, linestyle=line, linewidth=1.2, label=label)


def _shown(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
