import numpy as np
import pytest

from prune_kit import plot
from prune_kit.errors import StoreError
from prune_kit.plot.style import GREY
from prune_kit.retraining import Retraining

SUBSETS = {
    "kept": {"kept": 5, "of": 9, "examples": "a"},
    "random-5": {"kept": 5, "of": 9, "drawn": "every seed"},
    "full": {"kept": 9, "of": 9, "examples": "all"},
}
ACCURACIES = {"kept": [0.9, 0.8, 0.85], "random-5": [0.7, 0.75, 0.8], "full": [0.95, 0.9, 0.85]}


@pytest.fixture
def retraining(tmp_path):
    content = {
        "subsets": SUBSETS,
        "seeds": [0, 1, 2],
        "epochs": 2,
        "equal": "steps",
        "test": {},
        "config": {},
    }
    rows = [
        {"subset": name, "kept": SUBSETS[name]["kept"], "seed": s, "epoch": 2, "steps": 80, "accuracy": a}
        for name, accuracies in ACCURACIES.items()
        for s, a in enumerate(accuracies)
    ]
    return Retraining(tmp_path, content, rows)


def test_means_errors_and_seeds_of_every_subset(retraining):
    (axis,) = plot.accuracy(retraining).axes
    assert len(axis.containers) == 3
    for place, (bar, values) in enumerate(zip(axis.containers, ACCURACIES.values(), strict=True)):
        point, _, (lines,) = bar
        assert point.get_xydata().tolist() == [[pytest.approx(100 * np.mean(values)), place]]
        error = 100 * np.std(values, ddof=1) / 3**0.5
        (((low, _), (high, _)),) = lines.get_segments()
        assert (high - low) / 2 == pytest.approx(error)
        (marks,) = [line for line in axis.lines if line.get_marker() == "|" and len(line.get_xdata()) == 3
                    and line.get_ydata()[0] == place]  # fmt: skip
        assert list(marks.get_xdata()) == pytest.approx([100 * v for v in values])
    assert [text.get_text() for text in axis.texts] == ["85.00 ± 2.89", "75.00 ± 2.89", "90.00 ± 2.89"]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["kept (5)", "random-5", "full (9)"]
    assert axis.get_title("left") == "after 2 epochs, 80 steps on each subset"


def test_baselines_are_grey(retraining):
    (axis,) = plot.accuracy(retraining).axes
    assert [bar[0].get_color() == GREY for bar in axis.containers] == [False, True, True]


def test_one_seed_has_no_error(retraining):
    retraining.rows = [row for row in retraining.rows if row["seed"] == 0]
    (axis,) = plot.accuracy(retraining).axes
    assert [text.get_text() for text in axis.texts] == ["90.00", "70.00", "95.00"]


def test_an_epoch_that_was_not_scored(retraining):
    with pytest.raises(StoreError, match="no accuracies at epoch 1"):
        plot.accuracy(retraining, epoch=1)
