"""Children of a TensorFlow run: who is trained from which weights, and the error between them by hand."""

import keras
import numpy as np

from prune_kit.training import Recipe
from prune_kit_tensorflow import error_barriers, load_checkpoint, train_seeds

N = 40
RECIPE = Recipe(batch_size=8, learning_rate=0.1)


def make_model():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])


def data():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, N)
    return (rng.normal(size=(N, 5)) + labels[:, None]).astype(np.float32), labels, 1000 - np.arange(N)


def weights_at(path):
    model = make_model()
    load_checkpoint(model, path)
    return [each.astype(float) for each in model.get_weights()]


def test_children_of_one_parent_and_the_error_between_them(tmp_path):
    run = train_seeds(
        make_model, data(), seeds=1, epochs=1, at_epochs=[0, 1], run=tmp_path / "run", recipe=RECIPE,
        checkpoints=True, device="cpu",
    )  # fmt: skip
    found = error_barriers(
        make_model, data(), run, out=tmp_path / "b", spawn_epochs=[0, 1], epochs=3, recipe=RECIPE, points=5,
        device="cpu",
    )  # fmt: skip
    x, y, _ = data()
    for spawn in (0, 1):
        folder = tmp_path / f"b/runs/seed=0/spawn={spawn}/checkpoints"
        files = sorted(folder.glob("*/epoch=3.safetensors"))
        first, second = map(weights_at, files)
        assert not np.allclose(first[0], second[0])
        errors = []
        for alpha in np.linspace(0, 1, 5):
            kernel, bias = ((1 - alpha) * a + alpha * b for a, b in zip(first, second, strict=True))
            errors.append(((x @ kernel + bias).argmax(1) != y).mean())
        mine = (found["examples"] == "all") & (found["spawn_epoch"] == spawn)
        np.testing.assert_allclose(found["error"][mine], errors)
    assert {row["count"] for row in found.summary} == {4, N}
