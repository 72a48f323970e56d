import numpy as np
import pytest
import torch

from prune_kit.errors import PruneKitError
from prune_kit.ids import check_ids, some


@pytest.mark.parametrize("ids", [[3, 1, 2], np.array([3, 1, 2], np.uint8), torch.tensor([3, 1, 2])])
def test_integers_become_int64(ids):
    checked = check_ids(ids, 3)
    assert checked.dtype == np.int64
    assert checked.tolist() == [3, 1, 2]


def test_no_ids_are_integers():
    assert check_ids([]).dtype == np.int64


def test_strings_stay_strings():
    assert check_ids(["b", "a"]).tolist() == ["b", "a"]
    assert check_ids(np.array(["b", "aaa"], dtype=object)).dtype.kind == "U"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2, 1, 2, 3], "1, 2 occur more than once"),
        (["a", "b", "a"], "'a' occur more than once"),
        ([1.0, 2.0], "integers or strings; got dtype float64"),
        (np.array(["a", None]), "got dtype object"),
        ([[1], [2]], r"shape \(n,\).*got \(2, 1\)"),
        (np.array([2**63], dtype=np.uint64), "fit into int64; got 9223372036854775808"),
    ],
)
def test_bad_ids_are_named(ids, message):
    with pytest.raises(PruneKitError, match=message):
        check_ids(ids)


def test_some_names_are_written_out():
    assert some([1, 2]) == "1, 2"
    assert some(list("abcdefg"), most=2) == "'a', 'b' and 5 more"
