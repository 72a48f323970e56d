import numpy as np
import pytest
import torch

from prune_kit.errors import PruneKitError
from prune_kit_torch.batches import forward, logits_of, split_batch

X, Y = torch.zeros(3, 2), torch.tensor([0, 1, 1])


def test_pair_has_no_ids():
    ids, inputs, labels = split_batch((X, Y))
    assert ids is None
    assert inputs is X
    assert labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(torch.tensor([7, 8, 9]), [7, 8, 9]), (("a", "b", "c"), ["a", "b", "c"]), ([5, 6, 7], [5, 6, 7])],
)
def test_third_entry_of_a_tuple_is_ids(given, expected):
    assert split_batch((X, Y, given)).ids.tolist() == expected


def test_integer_ids_of_any_width_become_int64():
    assert split_batch((X, Y, np.array([1, 2, 3], np.uint8))).ids.dtype == np.int64


def test_several_inputs_are_positional_arguments():
    inputs = split_batch(((X, X + 1), Y)).inputs
    assert isinstance(inputs, tuple)
    assert inputs[1].sum() == 6


@pytest.mark.parametrize("key", ["labels", "label", "targets", "target", "y"])
def test_labels_of_a_dict_are_found_and_the_rest_are_keyword_arguments(key):
    batch = split_batch({"input_ids": X, "attention_mask": X, key: Y, "id": [1, 2, 3]})
    assert set(batch.inputs) == {"input_ids", "attention_mask"}
    assert batch.ids.tolist() == [1, 2, 3]


def test_single_usual_input_of_a_dict_is_positional():
    assert split_batch({"image": X, "label": Y}).inputs is X


def test_single_unusual_input_of_a_dict_keeps_its_name():
    assert list(split_batch({"pixel_values": X, "label": Y}).inputs) == ["pixel_values"]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (X, "must be \\(inputs, labels\\)"),
        ((X,), "tuple of 1"),
        ((X, Y, Y, Y), "tuple of 4"),
        ({"x": X}, "must have labels under one of"),
        ((X, torch.zeros(3, 2, 2)), "labels must have shape"),
        ((X, Y, torch.zeros(3)), "ids must be integers or strings"),
        ((X, Y, torch.tensor([1, 2])), "ids must be integers or strings, one per example"),
    ],
)
def test_other_batches_are_refused(batch, message):
    with pytest.raises(PruneKitError, match=message):
        split_batch(batch)


class Output:
    def __init__(self, logits):
        self.logits = logits


@pytest.mark.parametrize("wrap", [lambda t: t, Output, lambda t: {"logits": t}, lambda t: (t, "hidden")])
def test_logits_are_found_in_what_models_give(wrap):
    logits = torch.zeros(3, 2)
    assert logits_of(wrap(logits)) is logits


@pytest.mark.parametrize("output", [None, torch.zeros(3, 2).long(), {"hidden": X}, "logits"])
def test_output_without_logits_is_refused(output):
    with pytest.raises(PruneKitError, match="must give logits of shape"):
        logits_of(output)


def test_forward_passes_dicts_and_tuples_as_arguments():
    class Model(torch.nn.Module):
        def forward(self, a, b):
            return a - b

    assert forward(Model(), {"b": X, "a": X + 2}).unique().item() == 2
    assert forward(Model(), (X + 2, X)).unique().item() == 2


@pytest.mark.parametrize("shape", [(3,), (3, 2, 4)])
def test_logits_of_other_shapes_are_refused(shape):
    with pytest.raises(PruneKitError, match=r"must give logits of shape .*got shape"):
        forward(
            torch.nn.Unflatten(1, shape[1:]) if len(shape) > 2 else torch.nn.Flatten(0), torch.zeros(3, 8)
        )
