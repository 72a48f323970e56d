"""`prunekit aggregate` of scores over epochs, from a run that a loop recorded."""

import json

import numpy as np
import pytest

import prune_kit as pk
from prune_kit.table import ScoreTable


@pytest.fixture
def recorded(tmp_path):
    """A recorded run of two seeds and fourteen epochs; the last example is never learned."""
    rng = np.random.default_rng(0)
    labels = np.arange(50) % 5
    for seed in range(2):
        recorder = pk.ScoreRecorder(tmp_path / "run", 50, seed=seed)
        for epoch in range(14):
            logits = rng.normal(size=(50, 5)) + epoch / 5 * np.eye(5)[labels]
            logits[49] = -10 * np.eye(5)[labels[49]]
            recorder.update(np.arange(50), logits, labels)
            recorder.end_epoch()
    return tmp_path / "run"


def test_forgetting_says_what_was_never_learned(prunekit, recorded):
    done = prunekit("aggregate", "run", "--score", "forgetting", "--out", "f.parquet")
    first = done.stdout.splitlines()[0]
    assert first == (
        "f.parquet: forgetting of 50 examples, mean over 2 seeds over epochs 1-14, taken in training"
    )
    assert "1 of 50 examples were never classified correctly by at least one seed" in done.stderr
    assert "--never-learned" in done.stderr
    table = ScoreTable.read("f.parquet")
    assert np.flatnonzero(np.isinf(table["score"])).tolist() == [49]
    assert table["rank"][49] == 1
    prunekit("prune", "f.parquet", "--keep", "5", "--out", "kept.txt")
    assert "49" in (recorded.parent / "kept.txt").read_text().split()


def test_a_finite_score_for_what_was_never_learned(prunekit, recorded):
    done = prunekit("aggregate", "run", "--score", "forgetting", "--never-learned", 14, "--out", "f.parquet")
    assert "never classified" not in done.stderr
    assert ScoreTable.read("f.parquet")["score"][49] == 14


@pytest.mark.parametrize("score", ["aum", "confidence", "variability", "mean_el2n", "last_logit_margin"])
def test_every_score_over_epochs_has_a_name(prunekit, recorded, score):
    told = json.loads(prunekit("aggregate", "run", "--score", score, "--out", "s.parquet", "--json").stdout)
    assert told["score"] == score
    assert told["epochs"] == list(range(1, 15))
    assert told["pass"] == "training"
    assert told["never_learned"] == 0
    want = pk.aggregate_run(pk.Run.open(recorded), score=score)
    np.testing.assert_array_equal(ScoreTable.read("s.parquet")["score"], want["score"])


def test_up_to_an_epoch(prunekit, recorded):
    told = json.loads(
        prunekit("aggregate", "run", "--score", "aum", "--epoch", 3, "--out", "s.parquet", "--json").stdout
    )
    assert told["epochs"] == [1, 2, 3]
    assert told["column"] == "logit_margin"


def test_of_many_epochs_a_few_are_shown(prunekit, recorded):
    for words in (("aggregate", "run", "--out", "s.parquet", "--epoch", 4), ("info", "run")):
        shown = prunekit(*words).stdout.splitlines()
        # `info` has a table of the classes before that of the epochs.
        begins = next(i for i, line in enumerate(shown) if line.startswith("rank agreement"))
        table = [line.split() for line in shown[begins:] if line.split()[:1] and line.split()[0].isdigit()]
        assert 10 <= len(table) <= 11
        assert [row[0] for row in table][-1] == "14"
        assert max(map(len, shown)) <= 110
    assert "  epochs    1-14" in shown
    assert "  taken     in the training pass: train mode, inputs as they were trained on" in shown


def test_epochs_that_were_left_out_are_told(prunekit, tmp_path):
    recorder = pk.ScoreRecorder(tmp_path / "run", 20, taken="evaluation")
    for epoch in (1, 2, 5):
        recorder.update(np.arange(20), np.random.default_rng(epoch).normal(size=(20, 3)), np.arange(20) % 3)
        recorder.end_epoch(epoch)
    done = prunekit("aggregate", "run", "--score", "forgetting", "--out", "s.parquet")
    assert "forgetting is computed from epochs 1, 2, 5: what happened between them is not seen" in done.stderr
    assert "taken in training" not in done.stdout


def test_an_infinite_or_missing_choice_is_told(prunekit, recorded):
    done = prunekit("aggregate", "run", "--never-learned", 3, "--out", "s.parquet", code=2)
    assert "--never-learned goes with --score forgetting" in done.output
    done = prunekit("aggregate", "run", "--score", "forgeting", "--out", "s.parquet", code=1)
    assert "no column 'forgeting'" in done.output
    done = prunekit("aggregate", "run", "--score", "mean_entropy", "--out", "s.parquet", code=1)
    assert "from the column entropy" in done.output


def test_a_choice_among_equal_scores_is_told(prunekit, tmp_path):
    scores = np.array([0.0] * 60 + [1.0] * 20 + [2.0] * 20)
    table = ScoreTable(np.arange(100), np.zeros(100, int), {"score": scores})
    table.to_parquet(tmp_path / "s.parquet")
    done = prunekit("prune", "s.parquet", "--keep", "50", "--out", "kept.txt")
    assert "10 of the 50 kept examples have the same score as 50 that are not kept (0)" in done.stderr
    assert prunekit("prune", "s.parquet", "--keep", "40", "--out", "kept.txt").stderr == ""
    window = prunekit("prune", "s.parquet", "--keep", "30", "--offset", "55", "--out", "kept.txt")
    assert "10 of the 30 kept examples have the same score as 70 that are not kept (0, 2)" in window.stderr
    for words in (("--method", "random"), ("--per-class",)):
        assert prunekit("prune", "s.parquet", "--keep", "50", *words, "--out", "kept.txt").stderr == ""
