"""Flags of a run are those of the mean of its stored probabilities, written out in float64."""

import numpy as np
import pytest

import prune_kit as pk
from prune_kit.errors import PruneKitError, StoreError
from prune_kit.saved_logits import score_saved_logits
from prune_kit.store import Run
from prune_kit.table import ScoreTable

N, C, SEEDS = 400, 5, 3
RNG = np.random.default_rng(0)
TRUE = RNG.integers(0, C, N)
WRONG = RNG.choice(N, 40, replace=False)
GIVEN = TRUE.copy()
GIVEN[WRONG] = (GIVEN[WRONG] + 1) % C
LOGITS = 4 * np.eye(C)[TRUE] + RNG.normal(0, 0.7, (SEEDS, N, C))


def softmax(logits):
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("logits.npy", LOGITS.astype(np.float32))
    np.save("labels.npy", GIVEN)
    return tmp_path


@pytest.fixture
def run(saved):
    return score_saved_logits(["logits.npy"], "labels.npy", run="run", epoch=4, save_probabilities=True)


def test_the_stored_probabilities_are_the_softmax(run):
    for seed in range(SEEDS):
        stored = run.read_part(seed, 4)["probabilities"]
        assert stored.dtype == np.float32
        np.testing.assert_allclose(stored, softmax(LOGITS[seed]), rtol=1e-5)


def test_flags_of_the_mean_over_the_seeds(run):
    table = pk.flag_run(run)
    stored = np.stack([run.read_part(seed, 4)["probabilities"] for seed in range(SEEDS)])
    expected = pk.flag_noise(stored.astype(np.float64).mean(axis=0), GIVEN, from_logits=False)
    assert table["flagged"].tolist() == expected.flags.tolist()
    np.testing.assert_allclose(table["probability"], expected.probability, rtol=1e-5, atol=1e-30)
    # The fit moves a little with what float32 lost.
    np.testing.assert_allclose(table["probability"], pk.flag_noise(LOGITS, GIVEN).probability, atol=0.01)
    assert table["suggested"].tolist() == expected.suggested.tolist()
    mean = softmax(LOGITS).mean(axis=0)
    assert table["predicted"].tolist() == mean.argmax(axis=1).tolist()
    np.testing.assert_allclose(table["p_label"], mean[np.arange(N), GIVEN], rtol=1e-5)
    assert table.provenance["wrong"] == pytest.approx(expected.count, rel=1e-3)
    assert table.labels.tolist() == GIVEN.tolist()
    # The planted ones are found.
    found = np.flatnonzero(table["flagged"])
    assert len(np.intersect1d(found, WRONG)) >= 38
    assert len(np.setdiff1d(found, WRONG)) <= 2
    assert table["suggested"][WRONG].tolist() == TRUE[WRONG].tolist()


def test_class_pairs_are_those_with_most_wrong_labels(run):
    pairs = pk.flag_run(run).provenance["class_pairs"]
    assert len(pairs) >= C
    for true, given, number in pairs[:C]:
        assert given == (true + 1) % C
        planted = np.count_nonzero((TRUE[WRONG] == true) & (GIVEN[WRONG] == given))
        assert number == pytest.approx(planted, abs=2)
    numbers = [number for *_, number in pairs]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] >= 0.5


def test_some_of_the_seeds(run):
    table = pk.flag_run(run, epoch=4, seeds=[0, 2])
    assert table.provenance["seeds"] == [0, 2]
    expected = pk.flag_noise(LOGITS[[0, 2]], GIVEN)
    np.testing.assert_allclose(table["probability"], expected.probability, atol=0.01)
    mean = softmax(LOGITS[[0, 2]]).mean(axis=0)
    np.testing.assert_allclose(table["p_label"], mean[np.arange(N), GIVEN], rtol=1e-5)


def test_seeds_in_another_order_of_ids(run):
    expected = pk.flag_run(run)
    part = run.read_part(1, 4)
    run.write_part(1, 4, part.take(np.random.default_rng(1).permutation(N)))
    table = pk.flag_run(run)
    for name in table:
        assert table[name].tobytes() == expected[name].tobytes()


def test_flags_are_a_file(run, saved):
    table = pk.flag_run(run)
    table.to_parquet("flags.parquet")
    read = ScoreTable.read("flags.parquet")
    assert read["flagged"].dtype == bool
    assert read["flagged"].tolist() == table["flagged"].tolist()
    assert read.provenance == table.provenance


def test_a_run_without_probabilities_is_told_apart(saved):
    run = score_saved_logits(["logits.npy"], "labels.npy", run="plain")
    assert "probabilities" not in run.read_part(0, 0)
    with pytest.raises(PruneKitError, match="no class probabilities of seed 0 at epoch 0. Hint: score with "):
        pk.flag_run(run)


def test_a_run_is_not_resumed_with_probabilities_that_it_lacks(saved):
    score_saved_logits(["logits.npy"], "labels.npy", run="plain")
    with pytest.raises(PruneKitError, match="what differs: save_probabilities was null, is now true"):
        score_saved_logits(["logits.npy"], "labels.npy", run="plain", save_probabilities=True)


def test_parts_that_do_not_fit(run):
    part = run.read_part(2, 4)
    fewer = {**part.columns, "probabilities": part["probabilities"][:, :4]}
    run.write_part(2, 4, ScoreTable(part.ids, part.labels, fewer, part.provenance))
    with pytest.raises(StoreError, match="seed 2 has 4 classes at epoch 4, the first seed 5"):
        pk.flag_run(run)
    with pytest.raises(StoreError, match="no scores at epoch 7"):
        pk.flag_run(run, epoch=7)


def test_aggregating_reads_no_probabilities(run, monkeypatch):
    """Of many seeds and classes they would not fit."""
    read = []
    whole = ScoreTable.read.__func__

    def noted(cls, path, *, columns=None):
        table = whole(cls, path, columns=columns)
        read.extend(table)
        return table

    monkeypatch.setattr(ScoreTable, "read", classmethod(noted))
    pk.aggregate_run(Run.open("run"))
    pk.agreement_by_epoch(Run.open("run"))
    assert "el2n" in read
    assert "probabilities" not in read
