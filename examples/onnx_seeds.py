"""Score exported models with ONNX Runtime, where no training framework is installed; average, and keep half.

Makes three small models of the handwritten digits first, each with its own initial weights, so that it runs
as it stands; your exported seeds take their place.

    python examples/onnx_seeds.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import prune_kit as pk
import prune_kit_onnx as pko
from prune_kit.data import load_examples, open_examples


def main() -> None:
    """Make models, score the digits under each, average, keep half."""
    with tempfile.TemporaryDirectory() as folder:
        models = pko.make_small_models(load_examples("digits"), folder, seeds=range(3), epochs=4)

        data = open_examples("digits")  # Parquet, .npz or a folder of images; it may be larger than memory
        run = pko.score_models(models, data, run=Path(folder) / "run")
        scores = pk.aggregate_run(run)

    kept = pk.keep_hardest(scores["score"], fraction=0.5)
    print(f"scored {len(scores)} digits under {len(models)} models on {run.config['device']}")
    print(f"rank agreement between the seeds: {scores.provenance['agreement']:.2f}")
    print(f"kept {len(kept)}; the hardest is digit {scores.ids[scores['rank'].argmin()]}")
    for label, before, after in pk.class_counts(scores.labels, kept)[:3]:
        print(f"class {label}: {before} before, {after} kept")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Scores of exported models.")
    parser.add_argument("--quick", action="store_true", help="changes nothing: this takes a second")
    parser.parse_args()
    main()
