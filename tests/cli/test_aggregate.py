import json

import numpy as np
import pytest
from scipy import stats

from prune_kit.store import Run
from prune_kit.table import ScoreTable


@pytest.fixture
def run(prunekit, tmp_path):
    """Three seeds at epochs 0, 2 and 4; seed 2 has not reached epoch 4."""
    rng = np.random.default_rng(0)
    truth = rng.random(50)
    config = {
        "framework": "torch",
        "scores": ["el2n", "margin"],
        "data": {"examples": 50, "fingerprint": "f" * 64},
    }
    opened = Run.start("run", config=config, seeds=range(3), epochs=[0, 2, 4], made_with={"numpy": "2"})
    with opened as run:
        for seed in range(3):
            for epoch, noise in ((0, 1.0), (2, 0.1), (4, 0.05)):
                if (seed, epoch) == (2, 4):
                    continue
                columns = {
                    name: (truth + noise * rng.random(50)).astype(np.float32) for name in ("el2n", "margin")
                }
                columns["predicted"] = rng.integers(0, 3, 50)
                columns["p_label"] = rng.random(50).astype(np.float32)
                run.write_part(seed, epoch, ScoreTable(np.arange(50) * 2, np.arange(50) % 3, columns))
    return run


def test_the_last_epoch_that_every_seed_reached(prunekit, run):
    result = prunekit("aggregate", "run", "--out", "s.parquet")
    assert result.stdout.startswith("s.parquet: el2n of 50 examples, mean over 3 seeds at epoch 2\n")
    assert "prunekit prune s.parquet --keep 0.5 --out kept.parquet" in result.stdout
    assert result.stderr == ""
    table = ScoreTable.read("s.parquet")
    expected = np.mean([run.read_part(seed, 2)["el2n"].astype(float) for seed in range(3)], axis=0)
    np.testing.assert_allclose(table["score"], expected, rtol=1e-6)
    assert table.ids.tolist() == list(range(0, 100, 2))
    assert set(table) == {"score", "standard_error", "seeds", "rank", "predicted", "p_label"}


def test_the_agreement_is_shown_by_epoch(prunekit, run):
    told = json.loads(prunekit("aggregate", "run", "--out", "s.parquet", "--json").stdout)
    assert [(row["epoch"], row["seeds"]) for row in told["agreement"]] == [(0, 3), (2, 3), (4, 2)]
    of_last = [run.read_part(seed, 4)["el2n"] for seed in range(2)]
    expected = stats.spearmanr(*of_last).statistic
    assert told["agreement"][2]["agreement"] == pytest.approx(expected, abs=1e-6)
    values = ScoreTable.read("s.parquet")["score"]
    assert told["quantiles"] == pytest.approx(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist(), rel=1e-6)
    assert (told["epoch"], told["seeds"], told["score"], told["examples"]) == (2, [0, 1, 2], "el2n", 50)


def test_another_score_epoch_and_seeds(prunekit, run):
    words = ("--score", "margin", "--epoch", "4", "--seeds", "0-1", "--out", "s.parquet", "--json")
    told = json.loads(prunekit("aggregate", "run", *words).stdout)
    assert (told["score"], told["epoch"], told["seeds"]) == ("margin", 4, [0, 1])
    expected = (run.read_part(0, 4)["margin"].astype(float) + run.read_part(1, 4)["margin"]) / 2
    np.testing.assert_allclose(ScoreTable.read("s.parquet")["score"], expected, rtol=1e-6)


def test_one_seed(prunekit, run):
    result = prunekit("aggregate", "run", "--seeds", "1", "--out", "s.parquet")
    assert "mean over 1 seeds at epoch 2" in result.stdout
    table = ScoreTable.read("s.parquet")
    assert np.isnan(table["standard_error"]).all()
    assert table["score"].tobytes() == run.read_part(1, 2)["el2n"].tobytes()
    prunekit("prune", "s.parquet", "--keep", "5", "--out", "kept.txt")


def test_scores_of_an_early_epoch_are_warned_of(prunekit, run):
    result = prunekit("aggregate", "run", "--epoch", "0", "--out", "s.parquet")
    assert result.stderr.startswith("Warning: scores at epoch 0 may be taken too early: their rank agreement")
    as_json = prunekit("aggregate", "run", "--epoch", "0", "--out", "s.parquet", "--json")
    assert json.loads(as_json.stdout)
    assert as_json.stderr == result.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "--epoch", "7"], 1, "run has no scores at epoch 7; the scored epochs are 0, 2, 4"),
        (["run", "--epoch", "-1"], 2, "-1 is not in the range x>=0"),
        (["run", "--epoch", "4", "--seeds", "0-2"], 1, "run has no scores of seed 2 at epoch 4"),
        (["run", "--seeds", "0,0"], 1, "`seeds` must name each seed once"),
        (["run", "--seeds", "9"], 1, "run has no scores of seed 9 at epoch 2"),
        (["run", "--seeds", "all"], 2, "'all' must be whole numbers"),
        (["run", "--score", "grand"], 1, "there is no column 'grand'; the columns are el2n, margin"),
        (["none"], 1, "none is not a run directory: it has no run.json"),
        ([".."], 1, ".. is not a run directory"),
        (["run", "--out", "none/s.parquet"], 1, "cannot write none/s.parquet: there is no folder none"),
        (["run", "--out", "run"], 2, "'run' is a directory"),
    ],
)
def test_what_is_not_there_is_said(prunekit, run, tmp_path, words, code, said):
    out = [] if "--out" in words else ["--out", "s.parquet"]
    result = prunekit("aggregate", *words, *out, code=code)
    assert said in result.stderr
    assert not list(tmp_path.glob("*.parquet"))


def test_a_run_that_has_just_begun(prunekit, tmp_path):
    with Run.start("run", config={"scores": ["el2n"]}, seeds=range(2), epochs=[1], made_with={}):
        pass
    result = prunekit("aggregate", "run", "--out", "s.parquet", code=1)
    assert "no epoch at which all of its 2 seeds have been scored" in result.stderr


def test_it_says_whether_the_seeds_are_enough(prunekit, run):
    words = ("aggregate", "run", "--out", "s.parquet")
    told = json.loads(prunekit(*words, "--epoch", "0", "--json").stdout)
    rows = np.stack([run.read_part(seed, 0)["el2n"] for seed in range(3)])
    pairs = [stats.spearmanr(rows[a], rows[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
    mean = np.mean(pairs)
    assert told["reliability"] == pytest.approx(3 * mean / (1 + 2 * mean), abs=1e-6)
    needed = int(np.ceil(0.95 * (1 - mean) / (mean * 0.05)))
    lines = prunekit(*words, "--epoch", "0").stdout
    assert f"reliability of the mean over 3 seeds: {told['reliability']:.3f}" in lines
    assert f"0.95 needs about {needed} seeds" in lines
    assert f"keep {told['half_overlap']:.1%} in common" in lines
    assert "needs about" not in prunekit(*words, "--epoch", "2").stdout


def test_one_seed_has_no_reliability(prunekit, run):
    words = ("aggregate", "run", "--out", "s.parquet", "--seeds", "1,")
    assert "reliability" not in prunekit(*words).stdout
    assert json.loads(prunekit(*words, "--json").stdout)["reliability"] is None


def test_the_earliest_epoch_that_is_good_enough(prunekit, run):
    """At epoch 0 the noise of a seed is as large as the scores' own spread; at epoch 2 a tenth of it."""
    result = prunekit("aggregate", "run", "--out", "s.parquet")
    assert "the earliest of these at which they agree by 0.7 or more: 2\n" in result.stdout


def test_a_subset_that_other_seeds_would_change_is_warned_of(prunekit, run):
    result = prunekit("aggregate", "run", "--epoch", "0", "--out", "s.parquet")
    rows = np.stack([run.read_part(seed, 0)["el2n"] for seed in range(3)])
    kept = [set(np.argsort(row, kind="stable")[25:]) for row in rows]
    overlap = np.mean([len(kept[a] & kept[b]) / 25 for a, b in ((0, 1), (0, 2), (1, 2))])
    assert overlap < 0.75
    assert f"keep only {overlap:.1%} in common (chance: 50%)" in result.stderr
    assert (
        "in common (chance" not in prunekit("aggregate", "run", "--epoch", "2", "--out", "s.parquet").stderr
    )
