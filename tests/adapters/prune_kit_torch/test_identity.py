import hashlib

import numpy as np
import torch
from torch import nn

from prune_kit_torch.identity import feed, replaced_parts, structure


def optimizer_with(rate):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


def identity(part):
    return replaced_parts(part=part)["part"]


def test_the_same_function_made_again_is_the_same():
    assert identity(optimizer_with(0.1)) == identity(optimizer_with(0.1))


def test_what_a_function_closes_over_is_part_of_it():
    assert identity(optimizer_with(0.1)) != identity(optimizer_with(0.2))


def test_functions_with_other_code_or_constants_differ():
    parts = [lambda e: 1.0, lambda e: 0.5, lambda e: e, lambda e: e + 1, torch.optim.Adam]
    assert len({identity(part) for part in parts}) == len(parts)


def test_parts_that_were_not_replaced_are_not_named():
    assert replaced_parts(loss=None, schedule=None) == {}


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
