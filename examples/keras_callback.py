"""Keras: one callback records the scores of every example while `fit` trains a model of yours.

pip install "prune-kit[tensorflow]"
python examples/keras_callback.py
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras

import prune_kit as pk
import prune_kit_tensorflow as pkt
from prune_kit.data import load_examples


def network() -> keras.Model:
    """A model as it was before the kit came."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, metrics=["accuracy"])
    return model


def train(images: Any, labels: Any, epochs: int, run: Path) -> None:
    """Train as ever; the callback is all that is new."""
    model = network()
    callback = pkt.ScoringCallback(run, taken="training", model=model, overwrite=True)  # the kit
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0, callbacks=[callback])


def main() -> None:
    """Train, keep the half that was hardest, and train on it."""
    parser = argparse.ArgumentParser(description="Scores from a training with Keras.")
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--run", type=Path, default=Path("runs/keras-digits"), help="the run directory")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    digits, test = load_examples("digits"), load_examples("digits:test")
    images, labels = digits.inputs.astype("float32") / 255, digits.labels
    epochs = 3 if options.quick else 12
    train(images, labels, epochs, options.run)

    run = pk.Run.open(options.run)
    forgotten = pk.aggregate_run(run, score="forgetting")["score"]
    print(f"{len(forgotten)} digits over {epochs} epochs:")
    for count in range(4):
        print(f"  forgotten {count} times: {int((forgotten == count).sum()):5}")
    print(f"  never learned:     {int((forgotten == float('inf')).sum()):5}")

    scores = pk.aggregate_run(run, score="mean_el2n")["score"]
    kept = {
        "hardest": pk.keep_hardest(scores, fraction=0.5),
        "random": pk.keep_random(len(labels), fraction=0.5, seed=0),
    }
    for name, positions in kept.items():
        model = network()
        subset = pkt.subset((images, labels), positions)
        model.fit(*subset, batch_size=64, epochs=2 * epochs, verbose=0)  # as many steps as on all
        _, accuracy = model.evaluate(test.inputs / 255.0, test.labels, verbose=0)
        print(f"trained on the {name} half, {len(positions)} digits: test accuracy {accuracy:.3f}")
    print(f"the run is in {options.run}")


if __name__ == "__main__":
    main()
