import json

import keras

from prune_kit_tensorflow.identity import compiled_with, structure


def dense(inputs, units):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(units)])


def test_structure_tells_shapes_and_names_apart_and_not_weights_or_numbers_of_layers():
    first, again, wider = dense(2, 3), dense(2, 3), dense(3, 3)
    assert structure(first) == structure(again)
    assert structure(first)["structure"] != structure(wider)["structure"]
    inputs = keras.Input((2,))
    functional = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    assert structure(first)["structure"] != structure(functional)["structure"]
    assert structure(first)["parameters"] == 9


def test_what_a_model_is_compiled_with_is_told_in_json():
    def compiled(optimizer, loss="sparse_categorical_crossentropy"):
        model = dense(2, 3)
        model.compile(optimizer, loss)
        return compiled_with(model)

    decaying = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    told = [
        compiled(keras.optimizers.Adam(0.1)),
        compiled(keras.optimizers.Adam(0.2)),
        compiled(keras.optimizers.SGD(decaying)),
        compiled(keras.optimizers.Adam(0.1), lambda y, x: keras.ops.sum(x)),
    ]
    assert len({json.dumps(each) for each in told}) == 4
    assert compiled(keras.optimizers.Adam(0.1)) == told[0]
    assert told[0]["loss"] == "sparse_categorical_crossentropy"
