"""The paper's Figure 4: by when a network has chosen the basin it ends in, for easy and for hard examples.

Networks are trained; at some epochs two children part from each, with the same weights and other orders of
the data, and are trained to the end. The error on the straight line between the children, above that of its
ends, is the barrier: of the examples with the highest EL2N, with the lowest, of random ones and of all.
Writes figure4_barrier.png and figure4_barrier.csv to --out; interrupted, it goes on where it was.

    python examples/figure4_barrier.py                  # the embedded digits: some minutes on one core
    python examples/figure4_barrier.py --quick          # one network, two spawn epochs
    python examples/figure4_barrier.py --data train.parquet --model resnet18 --device cuda

With --data the defaults are the paper's for CIFAR-10: EL2N of ten networks at epoch 20, 1,000 examples of
each kind, 200 epochs by its recipe.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from figures_common import epoch_list, with_error, write_rows

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit import plot
from prune_kit.data import Examples, load_examples


@dataclass(frozen=True)
class Setting:
    """What is trained and measured."""

    model: str
    recipe: pk.Recipe
    score_seeds: int
    """Networks whose EL2N is averaged."""
    score_epoch: int
    seeds: int
    """Networks that have children."""
    spawn_epochs: tuple[int, ...]
    epochs: int
    """Until which children are trained."""
    group_size: int
    """Examples of each kind."""


# At 0.05, the rate of the other figures, children of digits' networks have no barrier even from the start on.
DIGITS = Setting("small-cnn", pk.Recipe(learning_rate=0.2), 10, 4, 3, (0, 1, 2, 3, 4, 8), 15, 100)
QUICK = replace(DIGITS, score_seeds=2, score_epoch=2, seeds=1, spawn_epochs=(0, 2), epochs=5)
PAPER = Setting(
    "resnet18", pk.Recipe(augmentation="crop-flip"), 10, 20, 1, (0, 1, 2, 4, 8, 12, 20, 40), 200, 1000
)


def main() -> None:
    """Train parents and children, measure, print and draw."""
    parser = argparse.ArgumentParser(description="Error barriers by the epoch at which children part.")
    parser.add_argument("--quick", action="store_true", help="little of everything, on the digits")
    parser.add_argument("--data", default="digits", help="examples to train on, as for `prunekit score`")
    parser.add_argument("--model", help="a built-in model [digits: small-cnn, else resnet18]")
    parser.add_argument("--score-seeds", type=int, help="networks that score [10]")
    parser.add_argument("--score-epoch", type=int, help="when EL2N is taken [digits: 4, else 20]")
    parser.add_argument("--seeds", type=int, help="networks that have children [digits: 3, else 1]")
    parser.add_argument("--spawn-epochs", type=epoch_list, help="when they part, such as 0,1,2,5")
    parser.add_argument("--epochs", type=int, help="until which children are trained [digits: 30, else 200]")
    parser.add_argument("--group-size", type=int, help="examples of each kind [digits: 100, else 1,000]")
    parser.add_argument("--device", help="where to compute [a GPU that works]")
    parser.add_argument("--out", type=Path, default=Path("out/figure4"), help="a directory [out/figure4]")
    options = parser.parse_args()
    setting = QUICK if options.quick else DIGITS if options.data == "digits" else PAPER
    names = ("model", "score_seeds", "score_epoch", "seeds", "spawn_epochs", "epochs", "group_size")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    setting = replace(setting, **given)
    options.out.mkdir(parents=True, exist_ok=True)

    data = load_examples(options.data)
    barriers = pkt.error_barriers(
        pkt.built_in_model(setting.model, data),
        data,
        parents(data, setting, options),
        out=options.out / "children",
        spawn_epochs=setting.spawn_epochs,
        epochs=setting.epochs,
        recipe=setting.recipe,
        group_size=setting.group_size,
        score="el2n",
        score_epoch=setting.score_epoch,
        seeds=range(setting.seeds),
        device=options.device,
        progress=True,
    )
    summary = barriers.summary
    print(f"error barrier after {setting.epochs} epochs, mean of {setting.seeds} networks")
    for kind in ("lowest", "random", "highest", "all"):
        for epoch in sorted({row["spawn_epoch"] for row in summary}):
            of = [r for r in summary if r["examples"] == kind and r["spawn_epoch"] == epoch]
            values = [row["error_barrier"] for row in of]
            error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
            size = of[0]["count"]
            print(
                f"  {kind:8} {size:6,} examples, spawned at {epoch:3}   {with_error(np.mean(values), error)}"
            )
    picture, numbers = options.out / "figure4_barrier.png", options.out / "figure4_barrier.csv"
    write_rows(summary, numbers)
    plot.save_figure(plot.barrier(barriers, summary, width=8), picture, dpi=110)
    print(f"picture: {picture}, numbers: {numbers}")


def parents(data: Examples, setting: Setting, options: argparse.Namespace) -> pk.Run:
    """A run with the parents' checkpoints at the spawn epochs, and the early scores of more networks."""
    at = sorted({setting.score_epoch, *setting.spawn_epochs})
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
            run=options.out / "parents",
            progress=True,
        )
    return run


if __name__ == "__main__":
    main()
