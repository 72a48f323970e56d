import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from prune_kit_tensorflow.randomness import reseed, seeded


def draw():
    return (
        tf.random.uniform(()).numpy().item(),
        keras.random.uniform(()).numpy().item(),
        np.random.random(),  # noqa: NPY002 - the global stream
        random.random(),
        float(keras.initializers.RandomUniform(0, 1)(())),
    )


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others():
    drawn = []
    for seed in (2**62 + 1, 2**62 + 1, 5):
        with seeded(seed):
            drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[0], drawn[2], strict=True))


def test_the_streams_outside_go_on_as_if_nothing_had_been_drawn():
    with seeded(1):
        expected = draw(), draw()
    with seeded(1):
        first = draw()
        with pytest.raises(ZeroDivisionError), seeded(2):
            draw()[0] / 0
        assert (first, draw()) == expected


def test_dropout_draws_what_the_seed_says_in_a_function_that_was_traced_before():
    layers = [keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    dropped = tf.function(lambda x: [layer(x, training=True) for layer in layers])
    drawn = []
    for seed in (2**62 + 1, 2**62 + 1, 5):
        reseed(model, seed)
        drawn.append([np.concatenate(dropped(tf.ones((1, 64)))) for _ in range(2)])
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0][0], drawn[0][1])  # the next step's
    assert not np.array_equal(*drawn[0][0])  # the next layer's


def test_models_without_dropout_have_nothing_to_reseed():
    reseed(tf.Module(), 1)
    reseed(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), 1)
