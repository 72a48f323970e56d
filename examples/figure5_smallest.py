"""The paper's Figure 5: the images of each class with the smallest scores, and beside them the highest.

Trains several networks to an early epoch, averages the EL2N scores of every image over them, and shows both
ends of each class. Writes figure5_smallest.png and figure5_smallest.csv to --out; interrupted, it goes on
where it was.

    python examples/figure5_smallest.py                  # the embedded digits: a quarter of a minute
    python examples/figure5_smallest.py --quick          # fewer and shorter trainings
    python examples/figure5_smallest.py --data train.parquet --model resnet18 --device cuda
    python examples/figure5_smallest.py --data train.parquet --run RUN    # of `prunekit score`

With --data the defaults are the paper's for CIFAR-10: ten networks, epoch 20, its recipe.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit import plot
from prune_kit.data import Examples, load_examples


def main() -> None:
    """Score, draw, write the numbers."""
    parser = argparse.ArgumentParser(description="The images of each class with the smallest scores.")
    parser.add_argument("--quick", action="store_true", help="few and short trainings")
    parser.add_argument("--data", default="digits", help="images to score, as for `prunekit score`")
    parser.add_argument("--model", help="a built-in model [digits: small-cnn, else resnet18]")
    parser.add_argument("--device", help="where to train [a GPU that works]")
    parser.add_argument("--seeds", type=int, help="networks [10]")
    parser.add_argument("--epoch", type=int, help="when to score [digits: 6, else 20]")
    parser.add_argument("--run", type=Path, help="a run that has scores; nothing is trained then")
    parser.add_argument("--images", type=int, default=8, help="how many at each end of a class")
    parser.add_argument("--out", type=Path, default=Path("out/figure5"), help="a directory")
    options = parser.parse_args()

    examples = load_examples(options.data)
    run = pk.Run.open(options.run) if options.run else trained(options, examples)
    scores = pk.aggregate_run(run, score="el2n", epoch=options.epoch if options.run else None)
    options.out.mkdir(parents=True, exist_ok=True)
    figure = plot.gallery(scores, examples, count=options.images, width=8)
    plot.save_figure(figure, options.out / "figure5_smallest.png", dpi=100)
    write_numbers(scores, examples, options.images, options.out / "figure5_smallest.csv")

    of = scores.provenance
    print(f"mean EL2N of {len(of['seeds'])} networks at epoch {of['epoch']}, {len(scores):,} images")
    for label in np.unique(scores.labels):
        own = np.sort(scores["score"][scores.labels == label])
        median = float(np.median(own))
        print(f"  {class_name(examples, label):12} from {own[0]:.4f} to {own[-1]:.4f}, median {median:.4f}")
    print(f"picture: {options.out / 'figure5.png'}, numbers: {options.out / 'figure5.csv'}")


def trained(options: argparse.Namespace, examples: Examples) -> pk.Run:
    """EL2N of every image at an early epoch, of several networks."""
    digits = options.data == "digits"
    seeds, epoch = options.seeds or 10, options.epoch or (6 if digits else 20)
    if options.quick:
        seeds, epoch = min(seeds, 2), min(epoch, 2)
    recipe = pk.Recipe(learning_rate=0.05) if digits else pk.Recipe(augmentation="crop-flip")
    return pkt.train_seeds(
        pkt.built_in_model(options.model or ("small-cnn" if digits else "resnet18"), examples),
        examples,
        seeds=seeds,
        epochs=epoch,
        recipe=recipe,
        device=options.device,
        run=options.out / f"run-epoch{epoch}",
        progress=True,
    )


def write_numbers(scores: pk.ScoreTable, examples: Examples, count: int, out: Path) -> None:
    """Which images are shown, from the smallest score of each class to its highest."""
    with out.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["class", "end", "id", "score", "rank"])
        ranks = np.argsort(np.argsort(scores["score"], kind="stable"), kind="stable")
        for label in np.unique(scores.labels):
            own = np.flatnonzero(scores.labels == label)
            own = own[np.argsort(scores["score"][own], kind="stable")]
            for end, chosen in (("lowest", own[:count]), ("highest", own[-count:])):
                for i in chosen:
                    score = f"{scores['score'][i]:.6f}"
                    rows.writerow([class_name(examples, label), end, scores.ids[i], score, ranks[i]])


def class_name(examples: Examples, label: int) -> str:
    """What a class is called."""
    return examples.class_names[label] if examples.class_names else str(label)


if __name__ == "__main__":
    main()
