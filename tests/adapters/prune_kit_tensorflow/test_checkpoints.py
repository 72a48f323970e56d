import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from prune_kit.errors import PruneKitError, StoreError
from prune_kit_tensorflow.checkpoints import load_checkpoint, save_checkpoint

# Keras, under NumPy 2, when it writes .weights.h5.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def make_model(seed=0):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    layers[1].moving_mean.assign_add([float(seed)] * 4)
    return model


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


@pytest.mark.parametrize("name", ["w.safetensors", "model.weights.h5"])
def test_round_trip_keeps_weights_and_statistics(tmp_path, name):
    saved, loaded = make_model(1), make_model(2)
    path = tmp_path / "deep" / "down" / name
    if name.endswith("h5"):
        path.parent.mkdir(parents=True)
        saved.save_weights(path)
    else:
        save_checkpoint(saved, path)
    load_checkpoint(loaded, path)
    assert same(saved, loaded)


def test_names_are_those_of_any_model_of_the_architecture(tmp_path):
    """Keras counts layers through the process: the second model's first layer is another dense_N."""
    names = [load_file(save_checkpoint(make_model(), tmp_path / "w.safetensors")).keys() for _ in range(2)]
    assert names[0] == names[1]
    assert {"0/sequential/dense/kernel", "4/sequential/batch_normalization/moving_mean"} < names[0]


def test_a_layer_used_twice_is_written_once(tmp_path):
    def make():
        inputs = keras.Input((3,))
        shared = keras.layers.Dense(3, use_bias=False)
        return keras.Model(inputs, shared(shared(inputs)))

    saved, loaded = make(), make()
    assert len(load_file(save_checkpoint(saved, tmp_path / "w.safetensors"))) == 1
    load_checkpoint(loaded, tmp_path / "w.safetensors")
    assert same(saved, loaded)


def test_a_plain_module_and_weights_of_half_precision(tmp_path):
    class Module(tf.Module):
        def __init__(self, value):
            super().__init__()
            self.kernel = tf.Variable(tf.fill((2, 3), tf.constant(value, tf.bfloat16)), name="kernel")

    loaded = Module(0.0)
    load_checkpoint(loaded, save_checkpoint(Module(1.5), tmp_path / "w.safetensors"))
    assert loaded.kernel.dtype == tf.bfloat16
    assert np.all(tf.cast(loaded.kernel, tf.float32).numpy() == 1.5)
    make_model(1).save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(PruneKitError, match="holds the weights of a Keras model; this one is Module"):
        load_checkpoint(loaded, tmp_path / "model.weights.h5")


def test_a_whole_model_is_not_read(tmp_path):
    model = make_model()
    model.save(tmp_path / "model.keras")
    with pytest.raises(StoreError, match="is not read: it can hold code"):
        load_checkpoint(model, tmp_path / "model.keras")


@pytest.mark.parametrize("name", ["w.safetensors", "model.weights.h5"])
def test_a_file_cut_short_is_refused_and_the_model_untouched(tmp_path, name):
    model, before, other = make_model(1), make_model(1), make_model(2)
    path = tmp_path / name
    if name.endswith("h5"):
        other.save_weights(path)
    else:
        save_checkpoint(other, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="not a readable checkpoint"):
        load_checkpoint(model, path)
    assert same(model, before)


def test_something_else_is_no_checkpoint(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(StoreError, match="not a readable checkpoint"):
        load_checkpoint(make_model(), tmp_path / "weights.pt")


def test_weights_of_another_architecture_are_refused_by_name_and_the_model_untouched(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(5)]
    wider = keras.Sequential([keras.Input((3,)), *layers])
    model, before = make_model(1), make_model(1)
    with pytest.raises(PruneKitError, match=r"6/sequential/dense/kernel is \(4, 5\), not \(4, 3\)"):
        load_checkpoint(model, save_checkpoint(wider, tmp_path / "w.safetensors"))
    wider.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(PruneKitError, match="does not fit the model"):
        load_checkpoint(model, tmp_path / "model.weights.h5")
    assert same(model, before)
    small = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])
    with pytest.raises(PruneKitError, match="missing 2/sequential/batch_normalization/gamma"):
        load_checkpoint(model, save_checkpoint(small, tmp_path / "v.safetensors"))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(StoreError, match="there is no checkpoint"):
        load_checkpoint(make_model(), tmp_path / "none.safetensors")


def test_a_saved_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = save_checkpoint(make_model(1), tmp_path / "w.safetensors")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("prune_kit_tensorflow.checkpoints.save_file", full)
    with pytest.raises(StoreError, match="No space left"):
        save_checkpoint(make_model(2), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
