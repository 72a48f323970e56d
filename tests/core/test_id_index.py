import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit.errors import PruneKitError
from prune_kit.id_index import IdIndex

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)


@PROPERTY
@given(st.lists(st.integers(-50, 50), unique=True, min_size=1), st.data())
def test_integers_are_found_where_they_are(ids, data):
    wanted = data.draw(st.lists(st.sampled_from(ids)))
    found = IdIndex(np.array(ids)).positions(np.array(wanted, np.int64), where="it")
    assert found.tolist() == [ids.index(each) for each in wanted]


@PROPERTY
@given(st.lists(st.text("abc", min_size=1), unique=True, min_size=1), st.data())
def test_strings_are_found_where_they_are(ids, data):
    wanted = data.draw(st.lists(st.sampled_from(ids), min_size=1))
    found = IdIndex(np.array(ids)).positions(np.array(wanted), where="it")
    assert found.tolist() == [ids.index(each) for each in wanted]


@pytest.mark.parametrize("ids", [[0, 1, 2, 3], [3, 0, 1, 2]])
def test_positions_and_any_other_integers_alike(ids):
    index = IdIndex(np.array(ids))
    assert index.positions(np.array(ids), where="it").tolist() == [0, 1, 2, 3]
    assert index.positions(np.array([2, 2], np.uint8), where="it").tolist() == [ids.index(2)] * 2
    for wrong in (-1, 4):
        with pytest.raises(PruneKitError, match=f"it has no example with the ids {wrong}"):
            index.positions(np.array([1, wrong]), where="it")


def test_kinds_do_not_mix():
    with pytest.raises(PruneKitError, match="the ids of it are integers; got strings"):
        IdIndex(np.arange(3)).positions(np.array(["0"]), where="it")
    with pytest.raises(PruneKitError, match="the ids of it are strings; got integers"):
        IdIndex(np.array(["0"])).positions(np.arange(1), where="it")
    with pytest.raises(PruneKitError, match="are integers; got float64"):
        IdIndex(np.arange(3)).positions(np.array([1.0]), where="it")
