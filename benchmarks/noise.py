"""Wrong labels: F1 of the flags, average precision of the ranking, beside cleanlab on the same probabilities.

    pip install -c constraints.txt -e ".[bench,torch]"
    python benchmarks/noise.py                                  # digits with planted noise, trained here
    python benchmarks/noise.py --logits FILE.npz                # keys logits (seeds, n, c), labels, is_noisy
    python benchmarks/noise.py --cifar train.parquet            # planted noise and human labels, trained here

Every method is given the mean probabilities of the same networks, in-sample, early in training.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prune_kit import Recipe, flag_noise
from prune_kit.data import Examples, load_examples

Classes = npt.NDArray[np.int64]

CLEANLAB_FLAGS = (
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "low_self_confidence",
    "low_normalized_margin",
)


class Setting(NamedTuple):
    """Predictions, the labels that were trained on, and the classes that are right."""

    name: str
    probabilities: npt.NDArray[np.float64]
    labels: Classes
    wrong: npt.NDArray[np.bool_]
    true: Classes | None


def plant(true: Classes, kind: str, rate: float, classes: int, seed: int) -> Classes:
    """Labels of which about `rate` are wrong: any other class, the next one, or what the class decides."""
    rng = np.random.default_rng(seed)
    given = true.copy()
    if kind == "class":
        chosen = rng.random(len(true)) < np.linspace(0, 2 * rate, classes)[true]
        steps = rng.choice([3, 4, 7], chosen.sum(), p=[0.6, 0.3, 0.1])
    else:
        chosen = rng.random(len(true)) < rate
        steps = rng.integers(1, classes, chosen.sum()) if kind == "uniform" else np.ones(chosen.sum(), int)
    given[chosen] = (true[chosen] + steps) % classes
    return given


def probabilities_of_training(
    data: Examples,
    given: Classes,
    model: str,
    *,
    seeds: int,
    epoch: int,
    precision: str,
    recipe: Recipe,
) -> npt.NDArray[np.float64]:
    """Train seeds on the given labels; their mean probabilities (n, c) of all examples after `epoch`."""
    import prune_kit_torch as pkt

    labelled = Examples(data.inputs, given, data.ids, data.class_names, data.source)
    with tempfile.TemporaryDirectory() as folder:
        run = pkt.train_seeds(
            pkt.built_in_model(model, labelled),
            labelled,
            seeds=seeds,
            epochs=epoch,
            run=Path(folder) / "run",
            recipe=recipe,
            precision=precision,
            channels_last=precision == "bfloat16",
            save_probabilities=True,
            progress=True,
        )
        parts = [table["probabilities"].astype(np.float64) for _, table in run.read_parts(epoch)]
    return np.asarray(np.mean(parts, axis=0))


def mean_probabilities(logits: Any) -> npt.NDArray[np.float64]:
    """Softmax of each seed, averaged."""
    logits = np.asarray(logits, np.float64)
    exps = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray((exps / exps.sum(axis=-1, keepdims=True)).mean(axis=0))


def settings(options: argparse.Namespace) -> Iterator[Setting]:
    if options.logits:
        saved = np.load(options.logits)
        yield Setting(
            options.logits.stem,
            mean_probabilities(saved["logits"]),
            saved["labels"].astype(np.int64),
            saved["is_noisy"].astype(bool),
            None,
        )
        return
    if options.cifar:
        data = load_examples(options.cifar, label_column="label")
        noises = [("uniform", 0.1), ("uniform", 0.4), ("pair", 0.2), ("class", 0.1)]
        noises += [("human", 0.0), ("none", 0.0)]
        chosen: dict[str, Any] = {"seeds": options.seeds or 3, "epoch": 4, "precision": "bfloat16"}
    else:
        data = load_examples("digits")
        noises = [(kind, rate) for kind in ("uniform", "pair", "class") for rate in (0.02, 0.1, 0.2, 0.4)]
        noises = [("none", 0.0), *noises]
        chosen = {"seeds": options.seeds or 10, "epoch": options.epoch, "precision": "float32"}
    true = data.labels
    for kind, rate in noises:
        if kind == "human":
            given = load_examples(options.cifar, label_column="aggre_label").labels
        else:
            given = true if kind == "none" else plant(true, kind, rate, data.num_classes, options.seed)
        found = probabilities_of_training(
            data, given, "small-cnn", recipe=Recipe(learning_rate=0.05), **chosen
        )
        name = kind if kind in ("none", "human") else f"{kind} {rate:.0%}"
        yield Setting(name, found, given, given != true, true)


def f1(flags: Any, wrong: Any) -> float:
    return float(2 * (flags & wrong).sum() / max(flags.sum() + wrong.sum(), 1))


def calibration_error(probability: Any, wrong: Any) -> float:
    """Mean gap between probability and share of wrong labels, in ten bins."""
    bins = np.minimum((probability * 10).astype(int), 9)
    inside = [bins == b for b in range(10) if (bins == b).any()]
    return float(sum(i.mean() * abs(probability[i].mean() - wrong[i].mean()) for i in inside))


def row(setting: Setting) -> list[str]:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.metrics import average_precision_score

    _, probabilities, labels, wrong, true = setting
    ours = flag_noise(probabilities, labels, from_logits=False)
    cells = [setting.name, f"{wrong.sum():,}", f"{ours.count:,.0f}", f"{ours.flags.sum():,}"]
    if not wrong.any():
        return [*cells, *["-"] * 8]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cleanlab warns of classes with few examples
        peers = {
            mode: f1(find_label_issues(labels, probabilities, filter_by=mode, n_jobs=1), wrong)
            for mode in CLEANLAB_FLAGS
        }
        ranked = {
            method: average_precision_score(
                wrong, -get_label_quality_scores(labels, probabilities, method=method)
            )
            for method in ("self_confidence", "normalized_margin")
        }
    best = max(peers, key=lambda mode: peers[mode])
    return [
        *cells,
        f"{f1(ours.flags, wrong):.3f}",
        f"{peers[best]:.3f} ({best})",
        f"{peers['prune_by_noise_rate']:.3f}",
        f"{average_precision_score(wrong, ours.probability):.3f}",
        *(f"{value:.3f}" for value in ranked.values()),
        f"{calibration_error(ours.probability, wrong):.3f}",
        "-" if true is None else f"{(ours.suggested[wrong] == true[wrong]).mean():.3f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--logits", type=Path)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--epoch", type=int, default=3, help="of the digits")
    parser.add_argument("--seed", type=int, default=7, help="of the planted labels")
    options = parser.parse_args()
    header = (
        "noise | wrong | estimated | flagged | F1 | F1 cleanlab, best mode | F1 cleanlab, default | AP | "
        "AP self_confidence | AP normalized_margin | calibration error | suggested right"
    )
    print(f"| {header} |")
    print("|" + "---|" * 12)
    for setting in settings(options):
        print(f"| {' | '.join(row(setting))} |", flush=True)


if __name__ == "__main__":
    main()
