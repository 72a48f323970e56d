"""Reading what was retrained; damage is told."""

import json

import pytest

from prune_kit.errors import StoreError
from prune_kit.retraining import Retraining, start_retraining, write_accuracies

CONTENT = {
    "config": {"framework": "stand-in"},
    "subsets": {"kept": {"kept": 1, "of": 2, "examples": "x"}},
    "seeds": [0],
    "epochs": 3,
    "at_epochs": [3],
    "equal": "steps",
    "test": {"examples": 4, "fingerprint": "y"},
    "made_with": {},
}


@pytest.fixture
def begun(tmp_path):
    with start_retraining(tmp_path / "r", CONTENT) as content:
        assert write_accuracies(tmp_path / "r", content) == []
    return tmp_path / "r"


def test_one_without_results_has_no_rows(begun):
    read = Retraining.read(begun)
    assert (read.rows, read.summary()) == ([], [])
    assert (read.subsets, read.equal) == (CONTENT["subsets"], "steps")


def test_an_epoch_that_was_not_scored_is_refused(begun):
    with pytest.raises(StoreError, match="has no accuracies at epoch 2"):
        Retraining.read(begun).summary(epoch=2)


def test_a_folder_without_one_is_told(tmp_path):
    with pytest.raises(
        StoreError, match=r"is not a retraining: it has no retrain.json. Hint: `prunekit retrain`"
    ):
        Retraining.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "must have format 1; got 'list'"),
        (json.dumps({"format": 2}), "must have format 1; got 2. Hint: upgrade prune-kit"),
        (json.dumps({**CONTENT, "format": 1, "seeds": 3}), "seeds are not what they should be"),
    ],
)
def test_a_damaged_one_is_told(begun, text, message):
    (begun / "retrain.json").write_text(text)
    with pytest.raises(StoreError, match=message):
        Retraining.read(begun)


def test_two_writers_are_refused(begun):
    with (
        start_retraining(begun, CONTENT),
        pytest.raises(StoreError, match="another command is writing"),
        start_retraining(begun, CONTENT),
    ):
        pass
