import builtins

import numpy as np
import pytest
from sklearn import datasets

from prune_kit.data import load_examples
from prune_kit.errors import MissingExtraError, PruneKitError

DIGITS = datasets.load_digits()


@pytest.mark.parametrize(("source", "size"), [("digits", 1347), ("digits:test", 450), ("digits:all", 1797)])
def test_ids_are_positions_in_scikit_learns_digits(source, size):
    examples = load_examples(source)
    assert examples.inputs.shape == (size, 8, 8, 1)
    assert examples.inputs.dtype == np.uint8
    assert examples.labels.dtype == np.int64
    np.testing.assert_array_equal(examples.labels, DIGITS.target[examples.ids])
    np.testing.assert_allclose(examples.inputs[..., 0] / 255 * 16, DIGITS.images[examples.ids], atol=0.04)
    assert examples.inputs.max() == 255
    assert examples.class_names == tuple("0123456789")
    assert examples.source == source


def test_the_split_is_fixed_and_stratified():
    train, test = load_examples("digits"), load_examples("digits:test")
    assert sorted([*train.ids, *test.ids]) == list(range(1797))
    share = np.bincount(test.labels) / np.bincount(DIGITS.target)
    assert abs(share - 450 / 1797).max() < 1 / np.bincount(DIGITS.target).min()
    assert train.fingerprint == load_examples("digits:train").fingerprint
    # Scores on disk name these digits: the split must never change.
    assert test.ids[:8].tolist() == FIRST_TEST_IDS


FIRST_TEST_IDS = [2, 12, 13, 20, 28, 38, 41, 44]


def test_digits_can_be_resized():
    resized = load_examples("digits", image_size=16)
    assert resized.inputs.shape == (1347, 16, 16, 1)
    plain = load_examples("digits").inputs.astype(float)
    assert abs(resized.inputs.mean() - plain.mean()) < 3


def test_parts_and_options_are_checked():
    with pytest.raises(PruneKitError, match="train, test and all; got 'digits:valid'"):
        load_examples("digits:valid")
    with pytest.raises(PruneKitError, match="`label_column` does not apply to digits"):
        load_examples("digits", label_column="y")


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.split(".")[0] == "sklearn":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r'Hint: pip install "prune-kit\[data\]"'):
        load_examples("digits")
