import numpy as np
import pytest

from prune_kit.batch_parts import batch_parts, check_batch_ids, check_fit, check_label_shape
from prune_kit.errors import PruneKitError

X, Y, IDS = np.zeros((2, 3)), np.array([0, 1]), np.array([7, 8])


@pytest.mark.parametrize("batch", [(X, Y, IDS), [X, Y, IDS], {"x": X, "label": Y, "id": IDS}])
def test_tuples_and_dicts_give_the_same_parts(batch):
    parts = batch_parts(batch)
    assert parts.inputs is X
    assert parts.labels is Y
    assert parts.ids is IDS


def test_ids_may_be_missing():
    assert batch_parts((X, Y)).ids is None
    assert batch_parts({"inputs": X, "targets": Y}).ids is None


def test_several_inputs_are_positional_or_named():
    assert batch_parts(((X, X), Y)).inputs == (X, X)
    assert batch_parts({"a": X, "b": X, "y": Y}).inputs == {"a": X, "b": X}
    assert batch_parts({"input_ids": X, "y": Y}).inputs == {"input_ids": X}


@pytest.mark.parametrize("batch", [X, (X,), (X, Y, IDS, IDS), "text", {"x": X}])
def test_other_batches_are_refused(batch):
    with pytest.raises(PruneKitError, match="must be|must have labels"):
        batch_parts(batch)


def test_ids_are_integers_or_strings_one_per_example():
    check_batch_ids(IDS, 2)
    check_batch_ids(np.array(["a", "b"]), 2)
    for wrong in (IDS[:1], IDS.astype(float), IDS[:, None]):
        with pytest.raises(PruneKitError, match="ids must be integers or strings"):
            check_batch_ids(wrong, 2)


def test_labels_have_one_or_two_axes():
    check_label_shape((2,))
    check_label_shape((2, 3))
    with pytest.raises(PruneKitError, match="labels must have shape"):
        check_label_shape((2, 3, 4))


@pytest.mark.parametrize(
    ("labels", "extremes", "said"),
    [
        ((3,), None, "gave 2 rows of logits for 3 labels"),
        ((2, 5), None, "4 classes, the labels have 5 columns"),
        ((2,), (0, 4), "lie in 0 ... 3; got 4"),
        ((2,), (-1, 3), "lie in 0 ... 3; got -1"),
    ],
)
def test_logits_that_do_not_fit_the_labels_are_refused(labels, extremes, said):
    with pytest.raises(PruneKitError, match=said):
        check_fit((2, 4), labels, extremes)
    check_fit((2, 4), (2,), (0, 3))
