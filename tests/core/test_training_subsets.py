"""What is trained on: by name, for every seed."""

import numpy as np
import pytest

from prune_kit.errors import PruneKitError
from prune_kit.select import keep_random
from prune_kit.table import ScoreTable
from prune_kit.training_subsets import training_subsets


def test_all_some_and_a_draw_for_every_seed():
    subsets = {
        "full": None,
        "kept": [7, 2, 5],
        "random": lambda seed: keep_random(10, count=3, seed=seed),
    }
    full, kept, drawn = training_subsets(subsets, 10, [0, 4])
    assert [(s.name, s.kept, s.of, s.is_drawn) for s in (full, kept, drawn)] == [
        ("full", 10, 10, False),
        ("kept", 3, 10, False),
        ("random", 3, 10, True),
    ]
    assert [seeds for _, seeds, _ in full.together()] == [[0, 4]]
    assert full.positions == {0: None, 4: None}
    ((place, seeds, positions),) = kept.together()
    assert (place, seeds, positions.tolist()) == ("", [0, 4], [2, 5, 7])
    draws = list(drawn.together())
    assert [seeds for _, seeds, _ in draws] == [[0], [4]]
    for seed, (_, _, positions) in zip((0, 4), draws, strict=True):
        assert positions.tolist() == sorted(keep_random(10, count=3, seed=seed).tolist())
    assert draws[0][2].tolist() != draws[1][2].tolist()
    assert draws[1][0] == ", draw 2 of 2"


def test_a_subset_is_the_same_in_any_order_and_told_from_others():
    def digest(positions, n=10):
        (subset,) = training_subsets({"s": positions}, n, [0])
        assert subset.as_dict()["examples"] == subset.of_seed(0)
        return subset.of_seed(0)

    assert digest([3, 1]) == digest(np.array([1, 3], np.int32))
    assert len({digest([1, 3]), digest([1, 4]), digest([1, 3, 4]), digest(None)}) == 4


def test_what_is_drawn_says_so_in_place_of_its_examples():
    (subset,) = training_subsets({"s": lambda seed: [seed]}, 10, [0, 1])
    assert subset.as_dict() == {"kept": 1, "of": 10, "drawn": "every seed"}
    assert subset.of_seed(0) != subset.of_seed(1)


@pytest.mark.parametrize(
    ("subsets", "message"),
    [
        ({}, "`subsets` must name at least one subset to train on"),
        ([1, 2], "`subsets` must name at least one subset to train on"),
        ({"a/b": [1]}, "names of subsets must be up to 100 letters"),
        ({".hidden": [1]}, "names of subsets must be up to 100 letters"),
        ({"": [1]}, "names of subsets must be up to 100 letters"),
        ({"A": [1], "a": [2]}, "differ in more than case"),
        ({"s": []}, "the subset s: `kept` must name at least one"),
        ({"s": [1, 1]}, "the subset s: `kept` must name each example once"),
        ({"s": [10]}, "the subset s: `kept` must be from 0 to 9"),
        ({"s": [0.5]}, "the subset s: `kept` must be positions"),
        ({"s": np.array([True, False])}, "numpy.flatnonzero"),
        ({"s": "kept.parquet"}, "the subset s must be positions; got a str, which holds ids"),
        ({"s": ScoreTable([1], [0], {})}, "got a ScoreTable, which holds ids"),
        ({"s": lambda seed: range(1 + seed)}, "the same size for every seed; got 1 to 2"),
    ],
)
def test_what_is_no_subset_is_refused(subsets, message):
    with pytest.raises(PruneKitError, match=message):
        training_subsets(subsets, 10, [0, 1])
