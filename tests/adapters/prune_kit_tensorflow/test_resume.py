import keras
import numpy as np
import pytest

from prune_kit.errors import StoreError
from prune_kit_tensorflow.resume import load_progress, save_progress


def make():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def trained():
    model, optimizer = make()
    for _ in range(2):
        optimizer.apply([keras.ops.ones_like(v) for v in model.trainable_variables])
    optimizer.learning_rate = 0.03
    return model, optimizer


def values(model, optimizer):
    return [v.value.numpy() for v in (*model.weights, *optimizer.variables)]


def test_weights_optimizer_and_epoch_come_back(tmp_path):
    before = trained()
    save_progress(tmp_path / "resume" / "state.safetensors", *before, 4)
    after = make()
    assert load_progress(tmp_path / "resume" / "state.safetensors", *after, before=5) == 4
    for x, y in zip(values(*before), values(*after), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_state_that_is_too_late_or_not_there_changes_nothing(tmp_path):
    path = tmp_path / "state.safetensors"
    after = make()
    before = values(*after)
    assert load_progress(path, *after, before=5) is None
    save_progress(path, *trained(), 4)
    assert load_progress(path, *after, before=3) is None
    for x, y in zip(before, values(*after), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_state_saved_a_moment_ago_is_not_written_again(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    save_progress(path, *trained(), 4)
    save_progress(path, *trained(), 5)
    assert load_progress(path, *make(), before=9) == 4
    monkeypatch.setattr("prune_kit.training._SECONDS_BETWEEN_SAVES", 0.0)
    save_progress(path, *trained(), 6)
    assert load_progress(path, *make(), before=9) == 6


def test_a_damaged_state_is_told(tmp_path):
    path = tmp_path / "state.safetensors"
    save_progress(path, *trained(), 4)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StoreError, match="cannot be read: .* Hint: delete it: the seed is then trained"):
        load_progress(path, *make(), before=9)
