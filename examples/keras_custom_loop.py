"""A loop with a GradientTape that exists: five lines of the kit's record the scores of every example.

The scores are of the forward passes that training does anyway; nothing is computed twice.

    pip install "prune-kit[tensorflow]"
    python examples/keras_custom_loop.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import tensorflow as tf

import prune_kit_tensorflow as pkt  # the kit
from prune_kit.data import load_examples


def train(data: tf.data.Dataset, epochs: int, run: Path) -> None:
    """Train a network on the digits."""
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(128, activation="relu"), keras.layers.Dense(10)]
    )
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def train_step(inputs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = loss_of(labels, logits)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss, logits

    step = tf.function(train_step)
    recorder = pkt.ScoreRecorder(run, len(data), overwrite=True)  # the kit
    batches = pkt.with_ids(data).shuffle(len(data)).batch(64)  # the kit: whose examples they are
    for epoch in range(1, epochs + 1):
        for ids, (inputs, labels) in batches:
            loss, logits = step(inputs, labels)
            recorder.update(ids, logits, labels)  # the kit
        recorder.end_epoch()  # the kit: writes the scores of this epoch
        print(f"epoch {epoch}: loss of the last batch {float(loss):.4f}")


def prune(data: tf.data.Dataset, run: Path) -> None:
    """What the run is good for, as from the command line: `prunekit aggregate`, `prunekit prune`."""
    import prune_kit as pk

    recorded = pk.Run.open(run)
    for score in ("el2n", "forgetting", "aum", "variability"):
        table = pk.aggregate_run(recorded, score=score)
        hardest = table.ids[table["rank"] <= 5]
        print(f"{score:12} hardest examples: {', '.join(map(str, hardest))}")
    kept = pk.keep_hardest(pk.aggregate_run(recorded, score="aum")["score"], fraction=0.5)
    print(f"kept {len(pkt.subset(data, kept))} of {len(data)} examples by aum; the run is in {run}")


def main() -> None:
    """Train, then keep the half that was hardest."""
    parser = argparse.ArgumentParser(description="Scores from a training loop that exists.")
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--run", type=Path, default=Path("runs/keras-loop"), help="the run directory")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    digits = load_examples("digits")
    inputs = digits.inputs.reshape(len(digits), -1).astype("float32") / 255
    data = tf.data.Dataset.from_tensor_slices((inputs, digits.labels))
    train(data, 3 if options.quick else 10, options.run)
    prune(data, options.run)


if __name__ == "__main__":
    main()
