import re

import numpy as np
import pytest
from matplotlib.patches import StepPatch

from prune_kit import plot
from prune_kit.errors import PruneKitError
from prune_kit.table import ScoreTable

RNG = np.random.default_rng(0)
SCORES = RNG.gamma(1.0, 0.3, 500).astype(np.float32)
LABELS = np.arange(500) % 4


def table(scores=SCORES, labels=LABELS, **provenance):
    return ScoreTable(np.arange(len(scores)), labels, {"score": scores}, provenance)


def bars(axis):
    """Heights and edges of each histogram on an axis, as drawn."""
    drawn = [patch.get_data() for patch in axis.patches if isinstance(patch, StepPatch)]
    return [(np.asarray(each.values, float), np.asarray(each.edges, float)) for each in drawn]


def shares(scores, edges):
    """Counted one by one: left edges belong to their interval, the last right edge too."""
    counts = np.zeros(len(edges) - 1)
    for score in scores.astype(float):
        inside = [i for i in range(len(counts)) if edges[i] <= score < edges[i + 1]]
        counts[inside[0] if inside else -1] += 1
    return 100 * counts / len(scores)


def test_bars_are_the_shares_of_the_scores():
    (axis,) = plot.distribution(table(score="el2n"), bins=20).axes
    ((heights, edges),) = bars(axis)
    assert edges == pytest.approx(np.linspace(SCORES.min(), SCORES.max(), 21), rel=1e-6)
    assert heights == pytest.approx(shares(SCORES, edges))
    assert heights.sum() == pytest.approx(100)
    assert axis.get_xlabel() == "el2n (higher = harder)"
    assert axis.get_ylabel() == "examples (%)"
    assert axis.get_legend() is None


def test_the_same_score_of_several_tables_is_on_one_axis_with_common_edges():
    others = table(SCORES[:200] + 1, LABELS[:200], score="el2n")
    (axis,) = plot.distribution({"a": table(score="el2n"), "b": others}).axes
    (first, edges), (second, other_edges) = bars(axis)
    assert edges.tolist() == other_edges.tolist()
    assert first == pytest.approx(shares(SCORES, edges))
    assert second == pytest.approx(shares(SCORES[:200] + 1, edges))
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b"]
    styles = {patch.get_linestyle() for patch in axis.patches}
    assert len(styles) == 2, "colours alone do not tell them apart"


def test_different_scores_have_an_axis_each():
    both = ScoreTable(np.arange(500), LABELS, {"el2n": SCORES, "grand": 5 * SCORES, "p_label": SCORES})
    figure = plot.distribution(both)
    assert [axis.get_xlabel() for axis in figure.axes] == [
        "el2n (higher = harder)",
        "grand (higher = harder)",
    ]
    (axis,) = plot.distribution(both, columns=["p_label"]).axes
    assert axis.get_xlabel().startswith("p_label")


def test_by_class():
    named = table(
        score="el2n", config={"class_names": ["cat", "dog", "$x_1$", "a name far too long for a figure"]}
    )
    figure = plot.distribution(named, by_class=True, bins=10)
    assert [axis.get_ylabel() for axis in figure.axes] == ["cat", "dog", "$x_1$", "a name far too long for…"]
    for label, axis in enumerate(figure.axes):
        ((heights, edges),) = bars(axis)
        assert heights == pytest.approx(shares(SCORES[label == LABELS], edges))
        (median,) = [line.get_xdata()[0] for line in axis.lines]
        assert median == pytest.approx(np.median(SCORES[label == LABELS]))


def test_of_many_classes_those_with_the_lowest_and_highest_medians():
    labels = np.arange(500) % 50
    scores = (labels + RNG.random(500)).astype(np.float32)
    figure = plot.distribution(table(scores, labels), by_class=True)
    assert [axis.get_ylabel() for axis in figure.axes] == [str(c) for c in (*range(10), *range(40, 50))]


def test_infinite_scores_are_told_and_shares_are_of_all():
    scores = np.array([0.0, 1, 1, 2, np.inf])
    (axis,) = plot.distribution(table(scores, np.zeros(5, int), score="forgetting")).axes
    ((heights, edges),) = bars(axis)
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5]
    assert heights.tolist() == [20, 40, 20]
    assert [text.get_text() for text in axis.texts] == ["infinite (never learned): 20.0%"]


def test_a_class_that_was_never_learned_has_no_median_on_the_axis():
    scores, labels = np.array([0.0, 1, 2, np.inf, np.inf]), np.array([0, 0, 0, 1, 1])
    figure = plot.distribution(table(scores, labels), by_class=True)
    figure.draw_without_rendering()
    assert [len(axis.lines) for axis in figure.axes] == [1, 0]


def test_a_logarithmic_axis_has_plain_numbers():
    (axis,) = plot.distribution(table(), log=True).axes
    assert axis.get_yscale() == "log"
    axis.figure.draw_without_rendering()
    told = [label.get_text() for label in axis.get_yticklabels()]
    assert told
    assert all(re.fullmatch(r"[\d.e-]*", each) for each in told)


def test_scores_that_are_all_the_same():
    (axis,) = plot.distribution(table(np.full(3, 0.25), np.zeros(3, int))).axes
    ((heights, _),) = bars(axis)
    assert heights.sum() == 100


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((table(),), {"columns": ["grand"]}, "there is no column 'grand'"),
        ((table(),), {"bins": 0}, "`bins` must be 1 or more; got 0"),
        (({"a": table(), "b": table()},), {"by_class": True}, "of one score of one table; got 2"),
        ((table(),), {"width": 0.5}, "`width` must be from 1 to 40 inches; got 0.5"),
        (({},), {}, "there is no score to draw"),
        ((ScoreTable([1, 2], np.eye(2), {"score": np.ones(2)}),), {"by_class": True}, "labels are soft"),
        ((ScoreTable([1, 2], [0, 1], {"score": np.eye(2)}),), {}, "must have one number per example"),
        ((ScoreTable([1, 2], [0, 1], {"score": np.array(["a", "b"])}),), {}, "must have one number"),
    ],
)
def test_what_cannot_be_drawn(arguments, options, said):
    with pytest.raises(PruneKitError, match=re.escape(said)):
        plot.distribution(*arguments, **options)
