import hashlib

import numpy as np
import torch
from torch import nn

from prune_kit_torch.identity import feed, structure


def test_structure_tells_shapes_and_names_apart_and_not_weights():
    first, again, wider = nn.Linear(2, 3), nn.Linear(2, 3), nn.Linear(3, 3)
    assert structure(first) == structure(again)
    assert structure(first)["structure"] != structure(wider)["structure"]
    assert structure(first)["structure"] != structure(nn.Sequential(nn.Linear(2, 3)))["structure"]
    assert structure(first)["parameters"] == 9


def digest(*values):
    found = hashlib.sha256()
    for value in values:
        feed(found, value)
    return found.hexdigest()


def test_arrays_are_told_apart_by_type_and_shape_too():
    zeros = torch.zeros(6)
    others = [zeros.reshape(2, 3), zeros.int(), torch.zeros(5), {"a": zeros}, {"b": zeros}, np.zeros(6)]
    assert len({digest(zeros), *(digest(other) for other in others)}) == 7


def test_tensors_that_are_not_contiguous_have_the_digest_of_their_values():
    x = torch.arange(6.0).reshape(2, 3)
    assert digest(x.T) == digest(x.T.contiguous()) != digest(x)
    assert digest(torch.zeros(2, dtype=torch.bfloat16)) == digest(torch.zeros(2, dtype=torch.bfloat16))
