from pathlib import Path

import numpy as np
import pytest

from prune_kit import plot
from prune_kit.errors import PruneKitError
from prune_kit.plot.kept_curve import family
from prune_kit.retraining import Retraining


def retraining(accuracies, *, of=1000, test="t", epochs=10, equal="steps"):
    """From {(name, kept): an accuracy for each seed}; at an earlier epoch all are 0."""
    content = {
        "subsets": {name: {"kept": kept, "of": of} for name, kept in accuracies},
        "seeds": [0, 1, 2],
        "epochs": epochs,
        "equal": equal,
        "test": {"examples": 100, "fingerprint": test},
        "config": {"data": {"examples": of}},
    }
    rows = [
        {"subset": name, "kept": kept, "seed": seed, "epoch": epoch, "steps": 1, "accuracy": value}
        for (name, kept), values in accuracies.items()
        for seed, each in enumerate(values)
        for epoch, value in ((5, 0.0), (10, each))
    ]
    return Retraining(Path("R"), content, rows)


HARD = {("el2n 30%", 300): [0.90, 0.91, 0.95], ("el2n 50%", 500): [0.93, 0.94, 0.95]}
FULL = {("full", 1000): [0.96, 0.97, 0.98]}


def curves(figure):
    (axis,) = figure.axes
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axis.lines}


def test_subsets_of_one_kind_are_a_curve_at_the_last_epoch():
    figure = plot.kept_curve(retraining({**HARD, ("random-30", 300): [0.8] * 3, **FULL}))
    drawn = curves(figure)
    assert drawn["el2n"][0] == [30, 50]
    assert drawn["el2n"][1] == pytest.approx([92, 94])
    assert drawn["random"][0] == [30]
    assert drawn["all of the data"][1] == pytest.approx([97, 97])
    (axis,) = figure.axes
    band = axis.collections[0].get_datalim(axis.transData)
    error = 100 * np.std([0.90, 0.91, 0.95], ddof=1) / 3**0.5
    assert band.ymin == pytest.approx(92 - error)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("examples kept (%)", "test accuracy (%)")


def test_several_retrainings_make_the_same_curve():
    """The training on all of the data is in both of them, and counts once."""
    parts = [retraining({key: values, **FULL}) for key, values in HARD.items()]
    one, several = plot.kept_curve(retraining({**HARD, **FULL})), plot.kept_curve(parts)
    assert curves(one) == curves(several)
    assert [patch.get_height() for patch in one.axes[0].patches] == pytest.approx(
        [patch.get_height() for patch in several.axes[0].patches]
    )


def test_a_single_share_has_bars_and_the_whole_axis():
    (axis,) = plot.kept_curve(retraining({("kept", 500): [0.9, 0.91, 0.95], **FULL})).axes
    assert axis.get_xlim() == (0, 100)
    assert len(axis.containers) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hardest 30%", "hardest"),
        ("random-0.5", "random"),
        ("el2n_500", "el2n"),
        ("el2n", "el2n"),
        ("el2n 30", "el2n"),
        ("50", "50"),
        ("0.5", "0.5"),
        ("full", "full"),
        ("a=30%", "a"),
    ],
)
def test_names_without_sizes(name, expected):
    assert family(name) == expected


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"test": "u"}, "the same test data"),
        ({"of": 2000}, "the same data"),
        ({"epochs": 20}, "the same number of epochs"),
        ({"equal": "epochs"}, "the same kind of equal training"),
    ],
)
def test_what_cannot_be_compared(other, said):
    with pytest.raises(PruneKitError, match=said):
        plot.kept_curve([retraining(HARD), retraining(HARD, **other)])


def test_none():
    with pytest.raises(PruneKitError, match="at least one retraining"):
        plot.kept_curve([])
