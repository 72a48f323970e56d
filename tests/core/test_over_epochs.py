"""Scores over the epochs of a run: from its parts, against the definitions on the whole history."""

import numpy as np
import pytest
from scipy import stats

import prune_kit as pk
from prune_kit.errors import PruneKitError, StoreError
from prune_kit.over_epochs import OVER_EPOCHS, is_over_epochs, over_epochs
from prune_kit.summary import agreement_by_epoch

N, C, EPOCHS, SEEDS = 40, 4, 5, 3


@pytest.fixture
def history():
    """Logits (seeds, epochs, n, c) that get better, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(C, size=N)
    hardness = rng.random(N)[None, None, :, None]
    better = 4 * (1 - hardness) * np.linspace(0.1, 1, EPOCHS)[None, :, None, None] * np.eye(C)[labels]
    return rng.normal(size=(SEEDS, EPOCHS, N, C)) + better, labels


@pytest.fixture
def write(tmp_path):
    def write(logits, labels, *, seeds=None, seen=None, name="run", **options):
        for seed in range(len(logits)) if seeds is None else seeds:
            recorder = pk.ScoreRecorder(tmp_path / name, len(labels), seed=seed, **options)
            for epoch, of_epoch in enumerate(logits[seed]):
                rows = np.arange(len(labels)) if seen is None else np.flatnonzero(seen[seed, epoch])
                recorder.update(rows, of_epoch[rows], labels[rows])
                recorder.end_epoch()
        return pk.Run.open(tmp_path / name)

    return write


def by_definition(score, logits, labels):
    """For one seed, (epochs, n, c), in NumPy alone."""
    n = len(labels)
    exps = np.exp(logits - logits.max(axis=2, keepdims=True))
    p = exps / exps.sum(axis=2, keepdims=True)
    p_label, correct = p[:, np.arange(n), labels], logits.argmax(axis=2) == labels
    others = np.where(np.eye(C, dtype=bool)[labels], -np.inf, logits)
    margin = others.max(axis=2) - logits[:, np.arange(n), labels]
    el2n = np.linalg.norm(p - np.eye(C)[labels], axis=2)
    events = (correct[:-1] & ~correct[1:]).sum(axis=0)
    return {
        "forgetting": np.where(correct.any(axis=0), events, np.inf),
        "aum": margin.mean(axis=0),
        "confidence": 1 - p_label.mean(axis=0),
        "variability": p_label.std(axis=0),
        "mean_el2n": el2n.mean(axis=0),
        "last_el2n": el2n[-1],
    }[score]


SCORES = ("forgetting", "aum", "confidence", "variability", "mean_el2n", "last_el2n")


@pytest.mark.parametrize("score", SCORES)
def test_each_score_is_its_definition_averaged_over_seeds(history, write, score):
    logits, labels = history
    run = write(*history)
    table = pk.aggregate_run(run, score=score)
    want = np.stack([by_definition(score, each, labels) for each in logits])
    np.testing.assert_allclose(table["score"], want.mean(axis=0), rtol=2e-5)
    with np.errstate(invalid="ignore"):
        error = want.std(axis=0, ddof=1) / np.sqrt(SEEDS)
    error[np.isinf(want).any(axis=0)] = np.nan
    np.testing.assert_allclose(table["standard_error"], error, rtol=1e-3, atol=1e-6)
    assert table.labels.tolist() == labels.tolist()
    assert table.provenance["epochs"] == [1, 2, 3, 4, 5]
    assert table.provenance["epoch"] == 5
    assert table.provenance["seeds"] == [0, 1, 2]
    assert table["seeds"].tolist() == [SEEDS] * N
    last = logits[:, -1].argmax(axis=2)
    assert all(table["predicted"][i] in last[:, i] for i in range(N))


def test_an_epoch_is_the_last_that_counts_and_seeds_can_be_chosen(history, write):
    logits, labels = history
    run = write(*history)
    table = pk.aggregate_run(run, score="aum", epoch=2, seeds=[2])
    np.testing.assert_allclose(table["score"], by_definition("aum", logits[2, :2], labels), rtol=1e-5)
    assert table.provenance["epochs"] == [1, 2]
    assert np.isnan(table["standard_error"]).all()


def test_never_learned_is_infinite_or_what_is_asked_for(history, write):
    logits, labels = history
    run = write(*history)
    never = (~(logits.argmax(axis=3) == labels).any(axis=1)).any(axis=0)
    assert 0 < never.sum() < N
    infinite = pk.aggregate_run(run, score="forgetting")
    assert (np.isinf(infinite["score"]) == never).all()
    assert set(infinite["rank"][never]) == set(range(1, never.sum() + 1))
    finite = pk.aggregate_run(run, score="forgetting", never_learned=EPOCHS)
    want = np.stack([by_definition("forgetting", each, labels) for each in logits])
    np.testing.assert_allclose(
        finite["score"], np.where(np.isinf(want), EPOCHS, want).mean(axis=0), rtol=1e-6
    )
    with pytest.raises(PruneKitError, match="`never_learned`"):
        pk.aggregate_run(run, score="forgetting", never_learned=-1)


@pytest.mark.parametrize("is_any_complete", [True, False])
@pytest.mark.filterwarnings("ignore:.*not presented:UserWarning")
def test_epochs_in_which_an_example_was_not_presented_do_not_count(history, write, is_any_complete):
    logits, labels = history
    seen = np.random.default_rng(1).random((SEEDS, EPOCHS, N)) > 0.3
    seen[:, 2] |= ~seen.any(axis=1)
    if is_any_complete:
        seen[1, 3] = True
    run = write(logits, labels, seen=seen)
    for score in SCORES:
        table = pk.aggregate_run(run, score=score, never_learned=9)
        assert table.ids.tolist() == list(range(N))
        for i in range(N):
            own = [
                by_definition(score, logits[s][seen[s, :, i], i : i + 1], labels[i : i + 1])[0]
                for s in range(SEEDS)
            ]
            want = np.mean([9 if np.isinf(value) else value for value in own])
            np.testing.assert_allclose(table["score"][i], want, rtol=1e-4, atol=1e-6)
    agreement = agreement_by_epoch(run, score="aum")
    assert [row["epoch"] for row in agreement] == [1, 2, 3, 4, 5]
    assert all(-1 <= row["agreement"] <= 1 for row in agreement)
    assert agreement_by_epoch(run, score="el2n") == []  # no epoch is complete in every seed


@pytest.mark.filterwarnings("ignore:.*not presented:UserWarning")
def test_an_example_that_was_never_presented_is_told(history, write):
    logits, labels = history
    seen = np.ones((SEEDS, EPOCHS, N), bool)
    seen[1, :, 7] = False
    run = write(logits, labels, seen=seen)
    with pytest.raises(StoreError, match=r"1 of 40 examples were never presented to seed 1 .*\(ids 7\)"):
        pk.aggregate_run(run, score="forgetting")
    assert len(pk.aggregate_run(run, score="forgetting", seeds=[0, 2])) == N
    seen[:, :, 7] = False
    run = write(logits, labels, seen=seen, name="none")
    with pytest.raises(StoreError, match="1 of 40 examples were never presented up to epoch 5"):
        pk.aggregate_run(run, score="aum")


def test_aum_takes_logit_margins_before_margins_of_probabilities(history, write):
    logits, labels = history
    run = write(*history, scores=("margin", "logit_margin"), name="both")
    assert pk.aggregate_run(run, score="aum").provenance["column"] == "logit_margin"
    run = write(*history, scores=("margin",), name="margin")
    table = pk.aggregate_run(run, score="aum")
    assert table.provenance["column"] == "margin"
    of_one = [pk.aum(np.stack([pk.margin(each, labels) for each in of_seed])) for of_seed in logits]
    np.testing.assert_allclose(table["score"], np.mean(of_one, axis=0), rtol=1e-5, atol=1e-6)
    run = write(*history, scores=("el2n",), name="neither")
    with pytest.raises(
        PruneKitError, match="from the column logit_margin or margin; .*predicted, p_label, el2n"
    ):
        pk.aggregate_run(run, score="aum")
    with pytest.raises(PruneKitError, match="from the column entropy"):
        pk.aggregate_run(run, score="mean_entropy")


def test_agreement_goes_by_what_was_known_at_each_epoch(history, write):
    logits, labels = history
    run = write(*history)
    rows = agreement_by_epoch(run, score="confidence")
    for row in rows:
        upto = np.stack([by_definition("confidence", each[: row["epoch"]], labels) for each in logits])
        pairs = [stats.spearmanr(upto[a], upto[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
        assert row["agreement"] == pytest.approx(np.mean(pairs), abs=1e-4)
    assert rows[-1]["with_last"] is None
    few = agreement_by_epoch(run, score="confidence", epochs=[2])
    assert few == [rows[1], rows[-1]]


def test_seeds_must_have_the_same_epochs(history, write):
    logits, labels = history
    write(logits, labels, seeds=[0])
    write(logits[:, :4], labels, seeds=[1])
    run = pk.Run.open(write(logits[:, :0], labels, seeds=[]).path)
    table = pk.aggregate_run(run, score="aum")  # the epochs that both have
    assert table.provenance["epochs"] == [1, 2, 3, 4]
    run.part_path(1, 2).unlink()
    with pytest.raises(StoreError, match="seed 0 has 1, 2, 3, 4, seed 1 has 1, 3, 4"):
        pk.aggregate_run(run, score="aum")
    with pytest.raises(StoreError, match="has not all seeds at epoch 9; the last epoch of all is 4"):
        pk.aggregate_run(run, score="aum", epoch=9)
    with pytest.raises(StoreError, match="no scores of the seeds 5"):
        pk.aggregate_run(run, score="aum", seeds=[5])
    for seeds in ([0, 0], []):
        with pytest.raises(PruneKitError, match="`seeds` must name each seed once"):
            pk.aggregate_run(run, score="aum", seeds=seeds)


def test_labels_that_change_between_epochs_are_told(history, write, tmp_path):
    logits, labels = history
    run = write(logits[:1], labels)
    part = run.read_part(0, 3)
    changed = labels.copy()
    changed[[4, 9]] = (changed[[4, 9]] + 1) % C
    run.write_part(0, 3, pk.ScoreTable(part.ids, changed, part.columns, part.provenance))
    with pytest.raises(StoreError, match="epoch 3: labels differ from those of other parts, of the ids 4, 9"):
        pk.aggregate_run(run, score="forgetting")


def test_soft_labels_have_means_and_no_forgetting(history, write):
    logits, labels = history
    soft = 0.8 * np.eye(C)[labels] + 0.2 / C
    run = write(logits, soft, scores=("el2n",))
    with pytest.raises(
        PruneKitError, match="forgetting needs one class per example; the labels of .* are soft"
    ):
        pk.aggregate_run(run, score="forgetting")
    want = np.mean([pk.el2n(each, soft) for of_seed in logits for each in of_seed], axis=0)
    np.testing.assert_allclose(pk.aggregate_run(run, score="mean_el2n")["score"], want, rtol=1e-5)


@pytest.mark.parametrize("score", ["p_label", "mean_p_label", "last_predicted", "predicted"])
def test_columns_of_which_higher_is_not_harder_are_no_scores(history, write, score):
    with pytest.raises(PruneKitError, match="is no score: higher is not harder"):
        pk.aggregate_run(write(*history), score=score)


def test_names():
    assert all(is_over_epochs(name) for name in (*OVER_EPOCHS, "mean_el2n", "last_grand"))
    assert not any(is_over_epochs(name) for name in pk.scores.SCORE_NAMES)


def test_every_seed_is_there_by_epoch(history, write):
    run = write(*history)
    found = over_epochs(run, "aum", at=lambda epochs: epochs[:2])
    assert {epoch: scores.shape for epoch, scores in found.scores.items()} == {1: (SEEDS, N), 2: (SEEDS, N)}
