"""Two devices that share every batch: run in a process of its own, whose CPU is two logical ones."""

import json
import subprocess
import sys

import numpy as np
import pytest

from prune_kit import Run

SCRIPT = """
import sys, keras, numpy as np, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

# One for all: TensorFlow mixes up what two strategies of one process reduce on the same devices.
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

from prune_kit import PruneKitError, Recipe
from prune_kit_tensorflow import train_seeds

x = np.random.default_rng(0).standard_normal((90, 5)).astype(np.float32)
data = (x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5))

def plain():
    penalty = keras.regularizers.L2(0.01)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, kernel_regularizer=penalty)])

def compiled():
    model = plain()
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

for name, make in {"plain": plain, "compiled": compiled}.items():
    for place in ("one", "two"):
        strategy = mirrored if place == "two" else None
        train_seeds(
            make, data, seeds=2, epochs=2, at_epochs=(0, 2), run=f"{sys.argv[1]}/{name}-{place}",
            recipe=Recipe(batch_size=15 if make is plain else 14), strategy=strategy, checkpoints=True,
        )
for make, options in (
    (plain, {"device": "cpu"}),
    (plain, {"recipe": Recipe(batch_size=1)}),
    (compiled, {"recipe": Recipe(batch_size=15)}),
):
    try:
        train_seeds(make, data, epochs=1, run=sys.argv[1] + "/none", strategy=mirrored, **options)
    except PruneKitError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs on one device and on two."""
    found = tmp_path_factory.mktemp("strategy")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(found)], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    (found / "said.txt").write_text(done.stdout)
    return found


@pytest.mark.parametrize("name", ["plain", "compiled"])
def test_two_devices_train_as_one_does(folder, name):
    """Where they have 7 and 8 examples, each example counts the same; the penalty counts once."""
    one, two = Run.open(folder / f"{name}-one"), Run.open(folder / f"{name}-two")
    assert two.parts() == [(0, 0), (0, 2), (1, 0), (1, 2)]
    assert json.loads((two.path / "run.json").read_text())["config"]["replicas"] == 2
    for part in one.parts():
        expected = one.read_part(*part)["el2n"]
        np.testing.assert_allclose(two.read_part(*part)["el2n"], expected, rtol=1e-4)
    assert not np.allclose(one.read_part(0, 0)["el2n"], one.read_part(0, 2)["el2n"], rtol=1e-2)


def test_what_does_not_go_with_a_strategy_is_told(folder):
    of_device, of_batch, of_fit = (folder / "said.txt").read_text().splitlines()
    assert of_device.startswith("`device` must be None where `strategy` is given")
    assert of_batch.startswith("`batch_size` must be 2 or more, one example for each replica; got 1")
    assert of_fit.startswith("`batch_size` must be a multiple of 2, the replicas, for `fit`; got 15")
