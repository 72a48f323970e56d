import numpy as np
import pytest

from prune_kit.epoch_quantiles import epoch_quantiles
from prune_kit.errors import PruneKitError
from prune_kit.store import Run
from prune_kit.table import ScoreTable

N = 41


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    with Run.start(tmp_path, config={}, seeds=range(2), epochs=[0, 3], made_with={}) as run:
        for seed in range(2):
            for epoch in (0, 3):
                columns = {"el2n": rng.random(N).astype(np.float32), "predicted": rng.integers(0, 2, N)}
                run.write_part(seed, epoch, ScoreTable(np.arange(N), np.arange(N) % 2, columns))
    return run


def test_quantiles_of_the_mean_over_the_seeds(run):
    rows = epoch_quantiles(run, quantiles=(0, 0.25, 0.5, 1))
    assert [(row["epoch"], row["seeds"]) for row in rows] == [(0, 2), (3, 2)]
    for row in rows:
        mean = sorted(
            (float(a) + float(b)) / 2
            for a, b in zip(*(run.read_part(s, row["epoch"])["el2n"] for s in range(2)), strict=True)
        )
        assert row["quantiles"] == pytest.approx([mean[0], mean[10], mean[20], mean[40]], abs=1e-6)


def test_infinite_scores_over_epochs(run):
    rows = epoch_quantiles(run, score="forgetting", quantiles=(0.5, 1))
    assert rows[-1]["quantiles"][1] == np.inf
    assert not any(np.isnan(value) for row in rows for value in row["quantiles"])


def test_a_score_that_is_not_there(run):
    with pytest.raises(PruneKitError, match="there is no column 'grand'"):
        epoch_quantiles(run, score="grand")
