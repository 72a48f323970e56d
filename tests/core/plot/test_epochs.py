import numpy as np
import pytest
from scipy import stats

from prune_kit import plot
from prune_kit.errors import PruneKitError
from prune_kit.store import Run
from prune_kit.table import ScoreTable

EPOCHS = (0, 1, 2, 4)


def matrix(run, epoch):
    return np.stack([run.read_part(seed, epoch)["el2n"].astype(float) for seed in range(3)])


def test_the_median_and_the_bands(run):
    left, _ = plot.epochs(run).axes
    means = [matrix(run, epoch).mean(axis=0) for epoch in EPOCHS]
    (median,) = left.lines
    assert median.get_xdata().tolist() == list(EPOCHS)
    # One of the examples' scores, the lower of the two in the middle or the higher.
    for drawn, mean in zip(median.get_ydata(), means, strict=True):
        middle = np.sort(mean)[len(mean) // 2 - 1 : len(mean) // 2 + 1]
        assert np.abs(middle - drawn).min() < 1e-6
    wide, narrow = (band.get_datalim(left.transData) for band in left.collections)
    assert wide.ymin == pytest.approx(min(np.quantile(m, 0.05, method="nearest") for m in means), abs=1e-6)
    assert wide.ymax == pytest.approx(max(np.quantile(m, 0.95, method="nearest") for m in means), abs=1e-6)
    assert narrow.ymax == pytest.approx(max(np.quantile(m, 0.75, method="nearest") for m in means), abs=1e-6)
    assert left.get_ylabel() == "el2n (higher = harder)"
    assert left.get_xlabel() == "epoch"


def test_the_agreement(run):
    _, right = plot.epochs(run).axes
    lines = {line.get_label(): line.get_ydata() for line in right.lines}
    for epoch, drawn in zip(EPOCHS, lines["between seeds"], strict=True):
        seeds = matrix(run, epoch)
        pairs = [stats.spearmanr(seeds[a], seeds[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
        assert drawn == pytest.approx(np.mean(pairs), abs=1e-6)
    last = matrix(run, 4).mean(axis=0)
    for epoch, drawn in zip(EPOCHS[:-1], lines["with the last epoch"], strict=False):
        assert drawn == pytest.approx(
            stats.spearmanr(matrix(run, epoch).mean(axis=0), last).statistic, abs=1e-6
        )
    assert np.isnan(lines["with the last epoch"][-1])


def test_a_score_over_epochs(run):
    left, _ = plot.epochs(run, score="mean_el2n").axes
    assert left.get_ylabel() == "mean_el2n (higher = harder)"
    (median,) = left.lines
    upto = np.stack([[matrix(run, epoch) for epoch in EPOCHS[: i + 1]] for i in range(1)]).mean(axis=(0, 1))
    assert upto.shape == (3, 60)
    assert np.abs(np.sort(upto.mean(axis=0))[29:31] - median.get_ydata()[0]).min() < 1e-6


def test_one_seed_has_no_agreement_between_seeds(tmp_path):
    rng = np.random.default_rng(0)
    with Run.start(tmp_path, config={}, seeds=[0], epochs=[0, 1], made_with={}) as run:
        for epoch in (0, 1):
            run.write_part(0, epoch, ScoreTable(np.arange(9), np.zeros(9, int), {"el2n": rng.random(9)}))
    _, right = plot.epochs(run).axes
    labels = [line.get_label() for line in right.lines]
    assert "with the last epoch" in labels
    assert "between seeds" not in labels


def test_one_epoch_is_no_curve(tmp_path):
    with Run.start(tmp_path, config={}, seeds=[0], epochs=[0], made_with={}) as run:
        run.write_part(0, 0, ScoreTable([1, 2], [0, 1], {"el2n": [0.1, 0.2]}))
    with pytest.raises(PruneKitError, match="two scored epochs or more to draw them; got 1"):
        plot.epochs(run)
