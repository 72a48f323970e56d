"""Which way of choosing at which pruning rate: test accuracy on digits at equal steps.

    python benchmarks/pruning_rates.py [--trainings 8] [--quick]

Scores (EL2N) and flags are of ten seeds of small-cnn after four epochs. Every subset is trained for the
same number of steps; random and stratified ones are drawn anew for every training. Prints two tables: the
labels as they are, and with those of 10% of the examples shuffled among themselves.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from digits_training import Digits, accuracy, read_digits, with_error

import prune_kit as pk
import prune_kit_torch as pkt

EPOCH = 4
KEEP = (0.7, 0.5, 0.3, 0.2, 0.1, 0.05)

Choose = Callable[[float, int], Any]
"""From the fraction kept and the seed of a training to positions."""


def scored(digits: Digits, seeds: int) -> tuple[Any, pk.ScoreTable]:
    """Mean EL2N of the training digits (n,), and which labels look wrong."""
    with tempfile.TemporaryDirectory() as folder:
        run = pkt.train_seeds(
            pkt.built_in_model("small-cnn", digits.examples),
            digits.examples,
            seeds=seeds,
            epochs=EPOCH,
            save_probabilities=True,
            recipe=pk.Recipe(learning_rate=0.05),
            run=Path(folder) / "run",
        )
        return pk.aggregate_run(run)["score"], pk.flag_run(run)


def below_the_hardest(scores: Any, left_out: int) -> Choose:
    """A window that ends below the hardest `left_out`."""

    def choose(keep: float, seed: int) -> Any:
        count = round(keep * len(scores))
        return pk.keep_window(scores, offset=len(scores) - left_out - count, count=count)

    return choose


def ways_of_clean(scores: Any) -> dict[str, Choose]:
    n = len(scores)
    tenth = round(n / 10)
    return {
        "hardest": lambda keep, seed: pk.keep_hardest(scores, fraction=keep),
        "window below the hardest 10%": below_the_hardest(scores, tenth),
        "stratified, hardest 10% left out": lambda keep, seed: pk.keep_stratified(
            scores, fraction=keep, prune_hardest=tenth, seed=seed
        ),
        "random": lambda keep, seed: pk.keep_random(n, fraction=keep, seed=seed),
        "easiest": lambda keep, seed: pk.keep_easiest(scores, fraction=keep),
    }


def ways_of_noisy(scores: Any, flags: Any, wrong: int) -> dict[str, Choose]:
    n = len(scores)

    def random(values: Any, *, count: int, seed: int) -> Any:
        return pk.keep_random(len(values), count=count, seed=seed)

    return {
        "hardest": lambda keep, seed: pk.keep_hardest(scores, fraction=keep),
        "hardest, flagged excluded": lambda keep, seed: pk.exclude_flagged(
            pk.keep_hardest, scores, flags, fraction=keep
        ),
        f"window below the hardest {wrong} (`--offset auto`)": below_the_hardest(scores, wrong),
        f"stratified, hardest {wrong} left out": lambda keep, seed: pk.keep_stratified(
            scores, fraction=keep, prune_hardest=wrong, seed=seed
        ),
        "stratified, flagged excluded": lambda keep, seed: pk.exclude_flagged(
            pk.keep_stratified, scores, flags, fraction=keep, seed=seed
        ),
        "random": lambda keep, seed: pk.keep_random(n, fraction=keep, seed=seed),
        "random, flagged excluded": lambda keep, seed: pk.exclude_flagged(
            random, scores, flags, fraction=keep, seed=seed
        ),
    }


def print_table(
    digits: Digits, ways: dict[str, Choose], options: argparse.Namespace, is_wrong: Any = None
) -> None:
    """A row per way of choosing, a column per fraction kept; of wrong labels the number kept in brackets."""

    def cell(choose: Choose, keep: float) -> str:
        subsets = [choose(keep, seed) for seed in range(options.trainings)]
        values = [accuracy(digits, kept, steps=options.steps, seed=i) for i, kept in enumerate(subsets)]
        wrong = "" if is_wrong is None else f" ({np.mean([is_wrong[kept].sum() for kept in subsets]):.0f})"
        return with_error(values) + wrong

    n = len(digits.y)
    print("| keep | " + " | ".join(f"{keep:.0%} ({round(keep * n):,})" for keep in options.keep) + " |")
    print("|---|" + "---:|" * len(options.keep))
    for name, choose in ways.items():
        print(f"| {name} | " + " | ".join(cell(choose, keep) for keep in options.keep) + " |", flush=True)
    everything = cell(lambda keep, seed: np.arange(n), 1.0)
    print(f"\nall {n:,}: {everything}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trainings", type=int, default=8, help="networks trained on each subset")
    parser.add_argument("--steps", type=int, default=300, help="steps of each training")
    parser.add_argument("--seeds", type=int, default=10, help="networks that score")
    parser.add_argument("--quick", action="store_true", help="two rates, few and short trainings")
    options = parser.parse_args()
    options.keep = KEEP
    if options.quick:
        options.trainings, options.steps, options.seeds, options.keep = 2, 40, 3, (0.5, 0.1)

    print("Labels as they are\n")
    digits = read_digits()
    print_table(digits, ways_of_clean(scored(digits, options.seeds)[0]), options)

    given, chosen = pk.randomise_labels(digits.examples.labels, fraction=0.1, seed=0)
    is_wrong = given != digits.examples.labels
    digits = read_digits(given)
    scores, found = scored(digits, options.seeds)
    flags, wrong = found["flagged"], round(found.provenance["wrong"])
    print(
        f"\nLabels of {len(chosen)} examples shuffled: {is_wrong.sum()} are wrong, {wrong} by the estimate; "
        f"{flags.sum()} are flagged, {(flags & is_wrong).sum()} of them wrong\n"
    )
    print_table(digits, ways_of_noisy(scores, flags, wrong), options, is_wrong)
    kept = np.flatnonzero(~flags)
    values = [accuracy(digits, kept, steps=options.steps, seed=i) for i in range(options.trainings)]
    print(f"all but the flagged: {with_error(values)} ({(is_wrong & ~flags).sum()})")


if __name__ == "__main__":
    main()
