import itertools

import pytest

from prune_kit.errors import PruneKitError
from prune_kit.passes import batches_of_epoch, parts_of_epoch


@pytest.mark.parametrize("steps_per_epoch", [1, 2, 3, 5, 7, 12])
@pytest.mark.parametrize("steps_per_pass", [1, 3, 4, 7])
def test_epochs_cut_one_endless_row_of_passes(steps_per_epoch, steps_per_pass):
    row = ((number, step) for number in itertools.count(1) for step in range(steps_per_pass))
    for epoch in range(1, 8):
        given = batches_of_epoch(
            lambda number: ((number, step) for step in range(steps_per_pass)),
            epoch,
            steps_per_epoch=steps_per_epoch,
            steps_per_pass=steps_per_pass,
        )
        assert list(given) == list(itertools.islice(row, steps_per_epoch))


def test_without_steps_an_epoch_is_the_pass_of_its_number_however_long():
    given = batches_of_epoch(lambda number: "abc" * number, 2, steps_per_epoch=None, steps_per_pass=99)
    assert "".join(given) == "abcabc"


def test_the_parts_of_an_epoch():
    assert list(parts_of_epoch(1, 3, 3)) == [(1, 0, 3)]
    assert list(parts_of_epoch(3, 2, 5)) == [(1, 4, 5), (2, 0, 1)]


def test_passes_that_are_shorter_than_they_say_are_told():
    given = batches_of_epoch(lambda number: "ab", 1, steps_per_epoch=4, steps_per_pass=3)
    with pytest.raises(PruneKitError, match="fewer batches in a pass than its length says, 3"):
        list(given)
    with pytest.raises(PruneKitError, match="the training data gives no batch"):
        list(batches_of_epoch(lambda number: "", 1, steps_per_epoch=4, steps_per_pass=0))
