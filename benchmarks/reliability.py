"""Do scores on which seeds agree choose better subsets: agreement against accuracy of the hardest half.

    python benchmarks/reliability.py [--trainings 8] [--quick]      # digits, scored and trained here
    python benchmarks/reliability.py --cifar RUN --retrained 2=R2 4=R4:hardest

Digits: EL2N of ten seeds of small-cnn after epochs 1 to 8, at two learning rates; networks trained on the
hardest half by their mean and on a random half, each for as many steps. With --cifar the same table of a run
and of what `prunekit retrain` made of subsets by its scores, as EPOCH=DIRECTORY or EPOCH=DIRECTORY:SUBSET;
the directory has a random baseline of the same size.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from digits_training import accuracy, read_digits, with_error

import prune_kit as pk

LEARNING_RATES = (0.05, 0.01)


class Row(NamedTuple):
    """One epoch of scoring; `difference` is accuracy minus that of a random subset of the size."""

    scored: str
    epoch: int
    trust: Any
    accuracy: str
    difference: float
    error: float

    def cells(self) -> list[str]:
        trust = [f"{self.trust[name]:.2f}" for name in ("agreement", "reliability", "half_overlap")]
        return [
            self.scored,
            str(self.epoch),
            *trust,
            self.accuracy,
            f"{self.difference:+.3f} ± {self.error:.3f}",
        ]


def of_digits(options: argparse.Namespace) -> Iterator[Row]:
    import prune_kit_torch as pkt

    digits = read_digits()
    n = len(digits.y)

    def trained(kept: Any, training: int) -> float:
        return accuracy(digits, kept, steps=options.steps, seed=training)

    trainings = range(options.trainings)
    random = [trained(pk.keep_random(n, fraction=0.5, seed=each), each) for each in trainings]
    full = [trained(np.arange(n), each) for each in trainings]
    print(f"random half: {with_error(random)}; all: {with_error(full)}\n")
    print_header()
    for rate in LEARNING_RATES:
        with tempfile.TemporaryDirectory() as folder:
            run = pkt.train_seeds(
                pkt.built_in_model("small-cnn", digits.examples),
                digits.examples,
                seeds=options.seeds,
                epochs=options.epochs,
                at_epochs=range(1, options.epochs + 1),
                recipe=pk.Recipe(learning_rate=rate),
                run=Path(folder) / "run",
            )
            averages = {epoch: pk.aggregate_run(run, epoch=epoch) for epoch in run.epochs}
        for epoch, table in averages.items():
            kept = pk.keep_hardest(table["score"], fraction=0.5)
            values = [trained(kept, each) for each in trainings]
            differences = np.subtract(values, random)
            error = float(differences.std(ddof=1) / np.sqrt(len(differences)))
            yield Row(
                f"rate {rate}",
                epoch,
                table.provenance,
                with_error(values),
                float(differences.mean()),
                error,
            )


def of_retrained(path: Path, retrained: Sequence[str]) -> Iterator[Row]:
    from prune_kit.retraining import Retraining

    run = pk.Run.open(path)
    print_header()
    for each in retrained:
        epoch, _, place = each.partition("=")
        folder, _, subset = place.partition(":")
        table = pk.aggregate_run(run, epoch=int(epoch))
        for row in Retraining.read(folder).summary():
            if row["difference_to_random"] is None or subset not in ("", row["subset"]):
                continue
            yield Row(
                row["subset"],
                int(epoch),
                table.provenance,
                f"{row['accuracy']:.3f} ± {row['standard_error'] or np.nan:.3f}",
                row["difference_to_random"],
                row["difference_to_random_standard_error"] or np.nan,
            )


def print_header() -> None:
    print("| scored | epoch | agreement | reliability | halves overlap | accuracy | minus random |")
    print("|---|---:|---:|---:|---:|---:|---:|")


def print_relation(rows: Sequence[Row]) -> None:
    """Where the line between subsets that are better than random and others lies."""
    worse = [row.trust["agreement"] for row in rows if row.difference < -2 * row.error]
    unsure = [row.trust["agreement"] for row in rows if abs(row.difference) <= 2 * row.error]
    better = [row.trust["agreement"] for row in rows if row.difference > 2 * row.error]
    for name, found in (("worse than", worse), ("as good as", unsure), ("better than", better)):
        span = f"agreement {min(found):.2f} to {max(found):.2f}" if found else ""
        print(f"{name} random (by two standard errors): {len(found)} of {len(rows)} {span}".rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trainings", type=int, default=8, help="networks trained on each subset")
    parser.add_argument("--steps", type=int, default=300, help="steps of each training")
    parser.add_argument("--seeds", type=int, default=10, help="networks that score")
    parser.add_argument("--epochs", type=int, default=8, help="scored are epochs 1 to this")
    parser.add_argument("--quick", action="store_true", help="two epochs, few and short trainings")
    parser.add_argument("--cifar", type=Path, metavar="RUN", help="a run to read, in place of the digits")
    parser.add_argument("--retrained", nargs="+", metavar="EPOCH=DIRECTORY[:SUBSET]", default=[])
    options = parser.parse_args()
    if options.quick:
        options.trainings, options.steps, options.seeds, options.epochs = 2, 40, 3, 2
    rows = []
    for row in of_retrained(options.cifar, options.retrained) if options.cifar else of_digits(options):
        rows.append(row)
        print("| " + " | ".join(row.cells()) + " |", flush=True)
    print()
    print_relation(rows)


if __name__ == "__main__":
    main()
