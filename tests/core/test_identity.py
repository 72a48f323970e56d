import hashlib
import subprocess
import sys

import numpy as np
import pytest

from prune_kit.identity import feed, replaced_parts, structure


def schedule_with(rate):
    return lambda epoch: rate * epoch


def identity(part):
    return replaced_parts(part=part)["part"]


def test_the_same_function_made_again_is_the_same():
    assert identity(schedule_with(0.1)) == identity(schedule_with(0.1))


def test_what_a_function_closes_over_is_part_of_it():
    assert identity(schedule_with(0.1)) != identity(schedule_with(0.2))


def test_functions_with_other_code_or_constants_differ():
    parts = [lambda e: 1.0, lambda e: 0.5, lambda e: e, lambda e: e + 1, np.mean]
    assert len({identity(part) for part in parts}) == len(parts)


def test_parts_that_were_not_replaced_are_not_named():
    assert replaced_parts(loss=None, schedule=None) == {}


def digest(value):
    found = hashlib.sha256()
    feed(found, value)
    return found.hexdigest()


def test_arrays_are_told_apart_by_type_shape_and_name():
    zeros = np.zeros(6)
    others = [zeros.reshape(2, 3), zeros.astype(int), np.zeros(5), {"a": zeros}, {"b": zeros}, np.ones(6)]
    assert len({digest(zeros), *map(digest, others)}) == 7


def test_the_order_of_a_dict_is_no_part_of_it():
    a, b = np.zeros(2), np.ones(3)
    assert digest({"a": a, "b": b}) == digest({"b": b, "a": a}) != digest({"a": b, "b": a})


def test_arrays_that_are_not_contiguous_have_the_digest_of_their_values():
    x = np.arange(6.0).reshape(2, 3)
    assert digest(x.T) == digest(np.ascontiguousarray(x.T)) != digest(x)


@pytest.mark.parametrize("other", [[("w", (2, 4))], [("v", (2, 3))], [("w", (2, 3)), ("b", (3,))]])
def test_structure_tells_names_and_shapes_apart(other):
    first = structure(dict, [("w", (2, 3))], parameters=6)
    assert first["class"] == "builtins.dict"
    assert first["structure"] != structure(dict, other, parameters=6)["structure"]


def test_nothing_is_the_same_in_every_process():
    program = (
        "import hashlib; from prune_kit.identity import feed; d = hashlib.sha256(); feed(d, ([1.0], None)); "
        "print(d.hexdigest())"
    )
    digests = {subprocess.check_output([sys.executable, "-c", program]) for _ in range(3)}
    assert len(digests) == 1
    assert digest(([1.0], None)) != digest(([1.0],))
