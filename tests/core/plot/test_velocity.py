import numpy as np
import pytest

from prune_kit import plot
from prune_kit.errors import PruneKitError


def columns(intervals, seeds=3, groups=4):
    """Velocity = the epoch + group / 10 + seed / 100, so that every mean is known."""
    rows = [
        (seed, start, end, group, 25 * group, 25 * (group + 1), start + group / 10 + seed / 100)
        for seed in range(seeds)
        for start, end in intervals
        for group in range(groups)
    ]
    names = ("seed", "epoch", "next_epoch", "group", "first_rank", "last_rank", "velocity")
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def test_curves_are_means_over_the_seeds_against_the_middle_rank():
    (axis,) = plot.velocity(columns([(0, 1), (1, 4)])).axes
    assert [line.get_label() for line in axis.lines] == ["0 to 1", "1 to 4"]
    for start, line, band in zip((0, 1), axis.lines, axis.collections, strict=True):
        assert line.get_xdata().tolist() == [12.5, 37.5, 62.5, 87.5]
        assert line.get_ydata() == pytest.approx([start + group / 10 + 0.01 for group in range(4)])
        error = np.std([0, 0.01, 0.02], ddof=1) / 3**0.5
        assert band.get_datalim(axis.transData).ymax == pytest.approx(start + 0.31 + error)
    assert axis.get_xlabel() == "examples by rank of score (higher = harder)"


def test_one_seed_has_no_band():
    (axis,) = plot.velocity(columns([(0, 1)], seeds=1)).axes
    assert axis.lines[0].get_ydata() == pytest.approx([0, 0.1, 0.2, 0.3])
    limits = axis.collections[0].get_datalim(axis.transData)
    assert (limits.ymin, limits.ymax) == pytest.approx((0, 0.3))


def test_of_many_intervals_eight_from_the_first_to_the_last():
    (axis,) = plot.velocity(columns([(e, e + 1) for e in range(30)])).axes
    labels = [line.get_label() for line in axis.lines]
    assert len(labels) == 8
    assert (labels[0], labels[-1]) == ("0 to 1", "29 to 30")


def test_no_rows():
    with pytest.raises(PruneKitError, match="at least one kernel velocity"):
        plot.velocity({name: column[:0] for name, column in columns([(0, 1)]).items()})
