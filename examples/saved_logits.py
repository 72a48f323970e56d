"""Logits that are on disk already: scores, an average over seeds, and a subset, with the core alone.

Makes two small files of logits first, so that it runs as it stands; yours take their place.

    python examples/saved_logits.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import prune_kit as pk


def main() -> None:
    """Save logits, score them, keep half."""
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=5_000)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(2):
            logits = rng.normal(size=(5_000, 10)) + 3 * np.eye(10)[labels]
            np.save(Path(folder) / f"seed{seed}.npy", logits.astype(np.float32))

        average = pk.SeedAverage()
        for file in sorted(Path(folder).glob("seed*.npy")):
            logits = np.load(file, mmap_mode="r")  # may be larger than memory
            average.update(pk.el2n(logits, labels))

    kept = pk.keep_hardest(average.mean, fraction=0.5)
    windowed = pk.keep_window(average.mean, offset=0.4, fraction=0.5)  # leaves the hardest 10% out
    print(f"EL2N from {average.mean.min():.3f} to {average.mean.max():.3f}, mean of {average.count} seeds")
    print(f"kept {len(kept)}: {kept[:5]} ...; in the window: {windowed[:5]} ...")
    for label, before, after in pk.class_counts(labels, kept)[:3]:
        print(f"class {label}: {before} before, {after} kept")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Scores from saved logits.")
    parser.add_argument("--quick", action="store_true", help="changes nothing: this takes a second")
    parser.parse_args()
    main()
