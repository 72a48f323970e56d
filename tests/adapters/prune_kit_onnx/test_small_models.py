"""The small models for the digits are trained, and differ by their seeds alone."""

import numpy as np
import pytest

import prune_kit_onnx as pko
from prune_kit.data import load_examples


@pytest.fixture(scope="module")
def digits():
    return load_examples("digits")


def test_they_learn_what_they_have_not_seen(digits, tmp_path):
    (file,) = pko.make_small_models(digits, tmp_path, seeds=[1], epochs=6)
    test = load_examples("digits:all")
    table = pko.score(file, test)
    held_out = ~np.isin(table.ids, digits.ids)
    right = table["predicted"] == table.labels
    assert held_out.sum() == 450
    assert right[held_out].mean() > 0.9
    assert right[~held_out].mean() > 0.95


def test_a_seed_is_a_seed(digits, tmp_path):
    first = pko.make_small_models(digits, tmp_path / "a", seeds=[0, 1], epochs=1)
    again = pko.make_small_models(digits, tmp_path / "b", seeds=[1, 0], epochs=1)
    assert [file.relative_to(tmp_path / "a").as_posix() for file in first] == [
        "seed=0/epoch=1.onnx",
        "seed=1/epoch=1.onnx",
    ]
    assert first[0].read_bytes() == again[1].read_bytes()
    assert first[0].read_bytes() != first[1].read_bytes()


def test_files_that_are_there_stay(digits, tmp_path):
    (file,) = pko.make_small_models(digits, tmp_path, seeds=[0], epochs=0)
    stamp = file.stat().st_mtime_ns
    pko.make_small_models(digits, tmp_path, seeds=[0], epochs=0)
    assert file.stat().st_mtime_ns == stamp


def test_the_gradients_are_those_of_the_loss(digits):
    """Against differences of the loss, in float64."""
    from prune_kit_onnx.small_models import _gradients, _initial

    rng = np.random.default_rng(0)
    weights = {name: value.astype(np.float64) for name, value in _initial(5, 3, rng).items()}
    weights["hidden.bias"] += 0.1
    x, onehot = rng.standard_normal((4, 5)), np.eye(3)[[0, 2, 1, 1]]

    def loss():
        hidden = np.maximum(x @ weights["hidden.weight"] + weights["hidden.bias"], 0)
        logits = hidden @ weights["output.weight"] + weights["output.bias"]
        return (np.log(np.exp(logits).sum(axis=1)) - (logits * onehot).sum(axis=1)).mean()

    for name, gradient in _gradients(weights, x, onehot).items():
        for place in [(0,) * gradient.ndim, tuple(size - 1 for size in gradient.shape)]:
            before = weights[name][place]
            sides = []
            for step in (1e-6, -1e-6):
                weights[name][place] = before + step
                sides.append(loss())
            weights[name][place] = before
            assert gradient[place] == pytest.approx((sides[0] - sides[1]) / 2e-6, abs=1e-6)
