import numpy as np
import pytest

from prune_kit.enough_seeds import train_until_reliable
from prune_kit.errors import PruneKitError
from prune_kit.reliability import reliability
from prune_kit.store import Run
from prune_kit.table import ScoreTable

N = 400
TRUE = np.random.default_rng(0).normal(size=N)


def scores_of(seed, noise):
    return (TRUE + noise * np.random.default_rng([7, seed]).normal(size=N)).astype(np.float32)


@pytest.fixture
def training(tmp_path):
    """Gives a `train` whose seeds are the true scores with noise, and the numbers that it was called with."""
    calls = []

    def made(noise):
        def train(k):
            calls.append(k)
            config = {"scores": ["el2n"], "noise": noise}
            with Run.start(
                tmp_path / "run", config=config, seeds=range(k), epochs=[4], made_with={"numpy": "2"}
            ) as run:
                for seed in range(k):
                    if (seed, 4) not in run.parts():
                        columns = {"predicted": np.zeros(N, int), "el2n": scores_of(seed, noise)}
                        run.write_part(seed, 4, ScoreTable(np.arange(N), np.zeros(N, int), columns))
            return run

        return train

    return made, calls


@pytest.mark.parametrize(("noise", "target"), [(0.3, 0.9), (1.0, 0.9), (2.0, 0.8)])
def test_it_stops_when_the_mean_is_reliable(training, noise, target):
    made, calls = training
    found = train_until_reliable(made(noise), target=target, most=40)
    assert found.is_reached
    rows = np.stack([scores_of(seed, noise) for seed in range(found.seeds)])
    assert found.reliability == pytest.approx(reliability(rows), abs=1e-6)
    assert found.reliability >= target
    assert calls == sorted(set(calls))
    if len(calls) > 1:
        assert reliability(rows[: calls[-2]]) < target
    assert len(found.run.seeds) == found.seeds == calls[-1]


def test_seeds_that_agree_need_no_more_than_the_first(training):
    made, calls = training
    assert train_until_reliable(made(0.05), target=0.9).seeds == 3
    assert calls == [3]


def test_it_stops_at_the_most(training):
    made, calls = training
    found = train_until_reliable(made(5.0), target=0.99, first=2, most=7)
    assert not found.is_reached
    assert found.seeds == calls[-1] == 7
    assert found.reliability < 0.99


def test_a_run_that_has_more_seeds_already_is_looked_at_first(training):
    made, calls = training
    train = made(1.0)
    train(12)
    found = train_until_reliable(train, target=0.9)
    assert found.seeds == 12
    assert calls == [12, 3]


@pytest.mark.parametrize(
    "options",
    [
        {"target": 1.0},
        {"target": 0},
        {"target": True},
        {"target": 0.9, "first": 1},
        {"target": 0.9, "first": 5, "most": 4},
    ],
)
def test_options_out_of_range(training, options):
    made, calls = training
    with pytest.raises(PruneKitError, match="must be"):
        train_until_reliable(made(1.0), **options)
    assert calls == []
