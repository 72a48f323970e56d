import numpy as np
import pytest
import torch

from prune_kit.errors import PruneKitError
from prune_kit.score_groups import score_groups


def test_neighbours_in_ascending_order():
    scores = np.random.default_rng(0).permutation(20) / 4
    first, second, third = score_groups(scores, size=4, count=3)
    assert sorted(scores)[:4] == list(scores[first.positions])
    assert sorted(scores)[-4:] == list(scores[third.positions])
    for group in (first, second, third):
        assert list(scores[group.positions]) == sorted(scores)[group.first_rank : group.last_rank]
        assert group.score == np.mean(scores[group.positions])
    assert (first.first_rank, second.first_rank, third.last_rank) == (0, 8, 20)


@pytest.mark.parametrize(
    ("n", "size", "count"), [(7, 2, 3), (100, 7, 14), (1347, 100, 13), (10, 3, 3), (5, 5, 9)]
)
def test_no_example_is_in_two_groups(n, size, count):
    groups = score_groups(np.arange(n) % 5, size=size, count=count)
    positions = np.concatenate([group.positions for group in groups])
    assert len(set(positions.tolist())) == len(positions) == size * min(count, n // size)
    assert (groups[0].first_rank, groups[-1].last_rank) == (0, size if len(groups) == 1 else n)


def test_all_that_there_is_room_for():
    assert [g.first_rank for g in score_groups(torch.arange(9.0), size=3)] == [0, 3, 6]
    assert len(score_groups(np.arange(11), size=3)) == 3


def test_equal_scores_are_ordered_by_position():
    first, last = score_groups(np.zeros(6), size=3)
    assert first.positions.tolist() == [0, 1, 2]
    assert last.positions.tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("scores", "size", "count", "said"),
    [
        ([1.0, 2.0], 3, None, "from 1 to the number of examples, 2"),
        ([1.0, 2.0], 0, None, "got 0"),
        ([1.0, 2.0], 1, 0, "`count` must be 1 or more"),
        ([1.0, np.nan], 1, None, "without NaN"),
        ([[1.0, 2.0]], 1, None, "shape (n,)"),
    ],
)
def test_bad_input(scores, size, count, said):
    with pytest.raises(PruneKitError, match=said.replace("(", r"\(").replace(")", r"\)")):
        score_groups(np.array(scores), size=size, count=count)
