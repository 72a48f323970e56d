"""What goes into a model: by name, of its type, in its layout."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto

import prune_kit_onnx as pko
from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError
from prune_kit.standardise import channel_moments

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


def logits(model, inputs, labels=None, **options):
    n = len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)
    return next(
        pko.predict(model, (inputs, np.zeros(n, int) if labels is None else labels), **options)
    ).logits


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((3, 5, 7), (2, 3)), ((3, None, None), (2, 3)), ((5, 7, 3), (1, 2)), ((None, None, 3), (1, 2))],
)
@pytest.mark.parametrize("turned", [False, True])
def test_images_of_bytes_go_where_the_model_has_its_channels(on_images, images, shape, axes, turned):
    """Either way round in the data, either way round in the model; the sums per channel are the logits."""
    given = images.transpose(0, 3, 1, 2) if turned else images
    found = logits(on_images(shape, UINT8, axes=axes), given)
    np.testing.assert_array_equal(found, images.sum(axis=(1, 2), dtype=np.float32))


@pytest.mark.parametrize(("layout", "axes"), [(None, (2, 3)), ("NCHW", (2, 3)), ("NHWC", (1, 2))])
def test_the_user_says_the_layout_where_no_size_does(on_images, images, layout, axes):
    found = logits(on_images((None, None, None), UINT8, axes=axes), images, layout=layout)
    np.testing.assert_array_equal(found, images.sum(axis=(1, 2), dtype=np.float32))


def test_a_model_of_three_by_three_pixels_and_channels_is_taken_for_nchw(on_images):
    cube = np.arange(54, dtype=np.uint8).reshape(2, 3, 3, 3)
    np.testing.assert_array_equal(logits(on_images((3, 3, 3), UINT8), cube), cube.sum(axis=(1, 2)))


def test_grey_images_for_a_model_without_channels(on_images):
    grey = np.arange(40, dtype=np.uint8).reshape(2, 4, 5, 1)
    found = logits(on_images((4, 5), UINT8, axes=(2,)), grey)
    np.testing.assert_array_equal(found, grey[..., 0].sum(axis=2))


def test_bytes_become_floats_standardised_by_the_datas_own_moments(on_images, images):
    mean, std = channel_moments(images)
    expected = ((images - mean) / std).sum(axis=(1, 2))
    np.testing.assert_allclose(logits(on_images((3, 5, 7)), images), expected, atol=1e-4)
    # The same wherever the images are.
    for given in ([(images[:4], np.zeros(4, int)), (images[4:], np.zeros(2, int))],):
        found = [batch.logits for batch in pko.predict(on_images((3, 5, 7)), given)]
        np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-4)


def test_bytes_become_floats_as_the_user_says(on_images, images):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)
    expected = ((images / 255 - mean) / std).sum(axis=(1, 2))
    found = logits(on_images((3, 5, 7)), images, scale=1 / 255, mean=mean, std=std)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    only_scaled = logits(on_images((3, 5, 7)), images, scale=1 / 255)
    np.testing.assert_allclose(only_scaled, images.sum(axis=(1, 2)) / 255, rtol=1e-5)


def test_features_are_standardised_only_where_the_user_says_so(linear, data, weights):
    inputs = data[0]
    np.testing.assert_allclose(logits(linear(), inputs), inputs @ weights["W"] + weights["b"], rtol=1e-4)
    found = logits(linear(), inputs, mean=[1, 2, 3, 4], std=2)
    np.testing.assert_allclose(found, (inputs - [1, 2, 3, 4]) / 2 @ weights["W"] + weights["b"], atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "kind", "options", "said"),
    [
        ((3, 32, 32), FLOAT, {}, "the images of the data are 5 x 7 with 3 channels. Hint: image_size"),
        (
            (1, 5, 7),
            FLOAT,
            {},
            "takes image: float32 of shape (N, 1, 5, 7); the images of the data are 5 x 7",
        ),
        ((3, 5, 7), FLOAT, {"layout": "NHWC"}, "(N, 3, 5, 7), read as NHWC; the images"),
        (
            (3, 5, 7),
            UINT8,
            {"scale": 2.0},
            "`scale`, `mean` and `std` are for a model of one input of floats",
        ),
        ((3, 5, 7), FLOAT, {"std": 0.2}, "`std` of [0.2"),
        ((3, 5, 7), FLOAT, {"mean": [1, 2]}, "`mean` has 2 numbers; the inputs have 3 channels"),
        (
            (3, 5, 7),
            TensorProto.STRING,
            {},
            "its input 'image' is tensor(string), which NumPy arrays cannot be",
        ),
    ],
)
def test_images_that_do_not_fit(on_images, images, shape, kind, options, said):
    with pytest.raises(PruneKitError) as raised:
        logits(on_images(shape, kind), images, **options)
    assert said in str(raised.value)


def takes(build, kind, shape=("N", 4)):
    return build(
        [("Cast", ["x"], ["y"], {"to": FLOAT})],
        inputs={"x": (kind, shape)},
        outputs={"y": (FLOAT, ["N", None])},
    )


@pytest.mark.parametrize("given", [np.float64, np.float32, np.float16, np.int32, np.uint8, np.bool_])
@pytest.mark.parametrize("kind", [FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_numbers_become_the_models_floats(build, given, kind):
    inputs = np.array([[0, 1, 1, 0], [1, 0, 0, 1]], given)
    np.testing.assert_array_equal(logits(takes(build, kind), inputs), inputs.astype(np.float32))


@pytest.mark.parametrize("given", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8, TensorProto.BOOL])
def test_whole_numbers_become_the_models(build, given, kind):
    inputs = np.array([[0, 1, 1, 0], [1, 0, 0, 1]], given)
    np.testing.assert_array_equal(logits(takes(build, kind), inputs), inputs.astype(np.float32))


@pytest.mark.parametrize(
    ("kind", "inputs", "said"),
    [
        (TensorProto.INT64, np.zeros((2, 4), np.float32), "floats are not made whole numbers"),
        (TensorProto.UINT8, np.full((2, 4), 300), "the data has numbers from 300 to 300"),
        (TensorProto.FLOAT16, np.full((2, 4), 1e5), "values above 65504, the largest of float16"),
        (
            FLOAT,
            np.zeros((2, 5), np.float32),
            "takes x: float32 of shape (N, 4); the data gives float32 of shape (2, 5)",
        ),
        (FLOAT, np.zeros((2, 4, 1), np.float32), "the data gives float32 of shape (2, 4, 1)"),
        (FLOAT, np.array([["a", "b", "c", "d"]]), "inputs must be numbers; got dtype <U1"),
    ],
)
def test_numbers_that_do_not_fit(build, kind, inputs, said):
    with pytest.raises(PruneKitError) as raised:
        logits(takes(build, kind), inputs)
    assert said in str(raised.value)


@pytest.fixture(scope="module")
def difference(build):
    """A model of two inputs, a and b, that gives a - b."""
    return build(
        [("Sub", ["a", "b"], ["y"], {})],
        inputs={"a": (FLOAT, ["N", 3]), "b": (FLOAT, ["N", 3])},
        outputs={"y": (FLOAT, ["N", 3])},
    )


def test_several_inputs_by_name_and_in_order(difference):
    a, b = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    wanted = a - b
    np.testing.assert_array_equal(logits(difference, {"b": b, "a": a}), wanted)
    # What the model does not take is left out.
    np.testing.assert_array_equal(logits(difference, {"b": b, "a": a, "c": b}), wanted)
    found = next(pko.predict(difference, ((a, b), np.zeros(2, int)))).logits
    np.testing.assert_array_equal(found, wanted)
    found = next(pko.predict(difference, {"a": a, "b": b, "label": np.zeros(2, int)})).logits
    np.testing.assert_array_equal(found, wanted)


def test_several_inputs_that_are_not_there(difference):
    a = np.zeros((2, 3), np.float32)
    with pytest.raises(PruneKitError, match="takes a, b; the data has a, without b"):
        logits(difference, {"a": a})
    with pytest.raises(PruneKitError, match=r"takes 2 inputs \(a, b\); the data gives 1"):
        logits(difference, a)


def test_an_iterator_of_images_is_not_looked_into(on_images, images):
    once = iter([(images, np.zeros(6, int))])
    with pytest.raises(
        PruneKitError, match="how to make one of the other is not known. Hint: give scale, mean"
    ):
        next(pko.predict(on_images((3, 5, 7)), once))


def test_the_digits_need_no_options(on_images):
    digits = load_examples("digits")
    one_class = replace(digits, labels=np.zeros_like(digits.labels), class_names=None)
    found = next(pko.predict(on_images((1, 8, 8)), one_class)).logits
    mean, std = channel_moments(digits.inputs)
    expected = ((digits.inputs[:256] - mean) / std).sum(axis=(1, 2))
    np.testing.assert_allclose(found, expected, atol=1e-3)
