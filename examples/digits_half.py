"""Half of the data, no loss: train on the hardest half of the digits by EL2N, on a random half, on all of it.

Scores the embedded digits with ten seeds, keeps the hardest 50% and 30%, and trains new networks on each
subset for the same number of steps. Prints test accuracies with standard errors, and draws them.

    python examples/digits_half.py                  # about four minutes on two cores
    python examples/digits_half.py --quick          # the same with few and short trainings
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit.data import Examples, load_examples

Positions = npt.NDArray[np.int64]


def main() -> None:
    """Score, prune, train on each subset, print and draw."""
    parser = argparse.ArgumentParser(description="The hardest half of the digits against a random half.")
    parser.add_argument("--trainings", type=int, default=12, help="networks trained on each subset")
    parser.add_argument("--steps", type=int, default=300, help="steps of each training")
    parser.add_argument("--quick", action="store_true", help="few and short trainings")
    parser.add_argument("--out", type=Path, default=Path("digits_half.png"), help="the picture")
    options = parser.parse_args()
    trainings, steps = (2, 60) if options.quick else (options.trainings, options.steps)

    digits, test = load_examples("digits"), load_examples("digits:test")
    with tempfile.TemporaryDirectory() as run:
        scores = el2n_of(digits, Path(run), seeds=2 if options.quick else 10)

    n = len(digits)
    subsets: dict[str, Callable[[int], Positions]] = {
        "all": lambda seed: np.arange(n),
        "hardest 50%": lambda seed: pk.keep_hardest(scores["score"], fraction=0.5),
        "random 50%": lambda seed: pk.keep_random(n, fraction=0.5, seed=seed),
        "hardest 30%": lambda seed: pk.keep_hardest(scores["score"], fraction=0.3),
        "random 30%": lambda seed: pk.keep_random(n, fraction=0.3, seed=seed),
    }
    accuracies = {
        name: [accuracy(digits, test, choose(seed), steps, seed) for seed in range(trainings)]
        for name, choose in subsets.items()
    }
    print(f"test accuracy after {steps} steps, mean of {trainings} trainings +- standard error")
    for name, values in accuracies.items():
        kept = len(subsets[name](0))
        print(f"  {name:12} {kept:5} examples   {np.mean(values):.4f} +- {standard_error(values):.4f}")
    draw(accuracies, digits, scores, options.out)
    print(f"picture: {options.out}")


def el2n_of(digits: Examples, run: Path, seeds: int) -> pk.ScoreTable:
    """EL2N at epoch 6, averaged over seeds."""
    scored = pkt.train_seeds(
        pkt.built_in_model("small-cnn", digits),
        digits,
        seeds=seeds,
        epochs=6,
        recipe=pk.Recipe(learning_rate=0.05),
        run=run,
    )
    return pk.aggregate_run(scored)


def accuracy(digits: Examples, test: Examples, kept: Positions, steps: int, seed: int) -> float:
    """Accuracy on the test digits of a network trained on the kept ones; a plain loop, none of the kit's."""
    mean, std = digits.inputs.mean(), digits.inputs.std()

    def tensors(examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
        images = (examples.inputs.transpose(0, 3, 1, 2) - mean) / std
        return torch.tensor(images, dtype=torch.float32), torch.tensor(examples.labels)

    (x, y), (x_test, y_test) = tensors(digits.take(kept)), tensors(test)
    torch.manual_seed(1000 + seed)
    model = pkt.built_in_model("small-cnn", digits)()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    taken = 0
    while taken < steps:
        for rows in torch.randperm(len(x)).split(128)[: max(1, len(x) // 128)][: steps - taken]:
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            taken += 1
    with torch.no_grad():
        return float((model(x_test).argmax(1) == y_test).float().mean())


def standard_error(values: list[float]) -> float:
    """Of the mean of `values`."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def draw(accuracies: dict[str, list[float]], digits: Examples, scores: pk.ScoreTable, out: Path) -> None:
    """Left: accuracy on each subset. Right: the easiest and the hardest digits."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, *galleries) = plt.subplots(
        1, 3, figsize=(11, 3.4), width_ratios=(1.9, 1, 1), layout="constrained"
    )
    colors = {"all": "#6b7280", "hardest": "#c2410c", "random": "#9ca3af"}
    for i, (name, values) in enumerate(accuracies.items()):
        error = standard_error(values)
        mean, color = float(np.mean(values)), colors[name.split()[0]]
        left.errorbar(i, mean, 2 * error, fmt="o", ms=8, lw=2, capsize=5, color=color)
        beside = {"xytext": (9, 6), "textcoords": "offset points", "fontsize": 9}
        left.annotate(f"{mean:.3f}", (i, mean), **beside)
    left.axhline(float(np.mean(accuracies["all"])), color=colors["all"], lw=1, ls=":")
    left.set_xticks(range(len(accuracies)), [name.replace(" ", "\n") for name in accuracies])
    left.set_xlim(-0.5, len(accuracies) - 0.3)
    left.set_ylabel("test accuracy (± 2 standard errors)")
    left.set_title("Trained on a part of the digits, equal steps", loc="left", fontsize=11)
    left.spines[["top", "right"]].set_visible(False)
    order = np.argsort(scores["score"], kind="stable")
    for axis, rows, title in (
        (galleries[0], order[:25], "Easiest by EL2N"),
        (galleries[1], order[::-1][:25], "Hardest by EL2N"),
    ):
        images = digits.inputs[rows, :, :, 0].reshape(5, 5, 8, 8)
        padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
        axis.imshow(255 - padded.transpose(0, 2, 1, 3).reshape(50, 50), cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_axis_off()
    figure.savefig(out, dpi=150)


if __name__ == "__main__":
    main()
