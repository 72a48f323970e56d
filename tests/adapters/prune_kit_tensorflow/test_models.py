import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit_tensorflow import MODELS, built_in_model
from prune_kit_tensorflow.layers import AdaptiveMaxPooling

IMAGES = (np.zeros((2, 32, 32, 3)), np.array([0, 9]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Known sizes of the CIFAR variants of He et al.: 3x3 stem, projection shortcuts.
        ("resnet18", 11_173_962),
        ("resnet50", 23_520_842),
        # Per width: two convolutions with biases; then 128 features to 10 classes.
        ("simple-cnn", sum(9 * i * w + w + 9 * w * w + w for i, w in ((3, 32), (32, 64), (64, 128))) + 1290),
        ("mlp", 3072 * 512 + 512 + 512 * 512 + 512 + 5130),
    ],
)
def test_sizes(name, expected):
    model = built_in_model(name, IMAGES)()
    assert sum(math.prod(v.shape) for v in model.trainable_variables) == expected


@pytest.mark.parametrize("name", [name for name in MODELS if name != "resnet50"])
def test_every_model_gives_logits_and_new_weights_each_time(name):
    make = built_in_model(name, (np.zeros((2, 16, 16, 1)), np.array([0, 4])))
    first, second = make(), make()
    assert first(tf.zeros((2, 16, 16, 1))).shape == (2, 5)
    assert not np.array_equal(first.trainable_variables[0], second.trainable_variables[0])


def test_weights_come_from_the_seed():
    make = built_in_model("mlp", (np.zeros((2, 6)), np.array([0, 4])))
    drawn = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        drawn.append(make().get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(drawn[0], drawn[1], strict=True))
    assert not np.array_equal(drawn[0][0], drawn[2][0])


@pytest.mark.parametrize("name", ["simple-cnn", "resnet18", "mlp"])
def test_weights_are_distributed_as_pytorch_has_them(name):
    """Uniform within 1 / sqrt(fan_in) of zero, biases too; BatchNorm begins as the identity."""
    model = built_in_model(name, IMAGES)()
    bounds = {}
    for layer in model.layers:
        for variable in layer.trainable_variables:
            values = np.asarray(variable)
            if variable.path.endswith("kernel"):
                bounds[layer.name] = 1 / math.sqrt(math.prod(values.shape[:-1]))
            if isinstance(layer, keras.layers.BatchNormalization):
                assert np.unique(values).tolist() == [float(variable.path.endswith("gamma"))]
                continue
            bound = bounds[layer.name]
            assert np.abs(values).max() <= bound
            if values.size > 1000:
                assert np.abs(values).max() > 0.98 * bound
                assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)
                assert abs(values.mean()) < 0.1 * bound


def test_the_blocks_of_a_resnet50_begin_as_their_shortcuts():
    model = built_in_model("resnet50", (np.zeros((2, 8, 8, 1)), np.array([0, 4])))()
    scales = [v for v in model.trainable_variables if v.path.endswith("gamma")]
    assert sum(not np.any(scale) for scale in scales) == 16


@pytest.mark.parametrize("height", [2, 4, 7, 8, 10])
def test_adaptive_pooling_takes_the_maxima_of_even_regions(height):
    images = np.random.default_rng(0).normal(size=(2, height, 6, 3)).astype(np.float32)
    expected = np.empty((2, 4, 4, 3), np.float32)
    for i in range(4):
        rows = slice(math.floor(i * height / 4), math.ceil((i + 1) * height / 4))
        for j in range(4):
            columns = slice(math.floor(j * 6 / 4), math.ceil((j + 1) * 6 / 4))
            expected[:, i, j] = images[:, rows, columns].max(axis=(1, 2))
    np.testing.assert_array_equal(AdaptiveMaxPooling(4)(images), expected)


# Keras' own, when it saves a model with NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_a_saved_model_is_loaded_again(tmp_path):
    model = built_in_model("small-cnn", (np.zeros((2, 8, 8, 1)), np.array([0, 4])))()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))


def test_soft_labels_give_the_number_of_classes():
    data = (np.zeros((2, 4)), np.full((2, 7), 1 / 7))
    assert built_in_model("mlp", data)()(tf.zeros((1, 4))).shape == (1, 7)


def test_a_pipeline_gives_shape_and_classes():
    data = tf.data.Dataset.from_tensor_slices((np.zeros((2, 4)), np.array([0, 6])))
    assert built_in_model("mlp", data)()(tf.zeros((1, 4))).shape == (1, 7)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("resnet19", IMAGES, "there is no built-in model 'resnet19'; the models are"),
        ("resnet18", (np.zeros((2, 4)), np.array([0, 1])), "takes images"),
        ("mlp", (np.zeros((2, 4)), np.array([0, 0])), "2 classes or more"),
        ("mlp", tf.data.Dataset.from_tensor_slices(({"a": np.zeros((2, 4))}, [0, 1])), "take one tensor"),
    ],
)
def test_models_that_cannot_be_made(name, data, message):
    with pytest.raises(PruneKitError, match=message):
        built_in_model(name, data)
