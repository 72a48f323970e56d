import itertools

import numpy as np
import pytest
from scipy import stats

from prune_kit.errors import PruneKitError, StoreError
from prune_kit.select import keep_hardest
from prune_kit.store import Run
from prune_kit.summary import aggregate_run, agreement_by_epoch, default_epoch, hardness_rank
from prune_kit.table import ScoreTable

IDS = np.array([40, 10, 30, 20, 50, 60])
LABELS = np.array([0, 1, 2, 0, 1, 2])


def draw(seeds, epochs):
    """Scores, predictions and probabilities by seed and epoch, float32 as runs have them."""
    rng = np.random.default_rng(0)
    return {
        (seed, epoch): {
            "el2n": rng.random(6).astype(np.float32),
            "margin": rng.random(6).astype(np.float32),
            "predicted": rng.integers(0, 3, 6),
            "p_label": rng.random(6).astype(np.float32),
        }
        for seed in seeds
        for epoch in epochs
    }


@pytest.fixture
def write(tmp_path):
    def write(parts, *, seeds=None, ids=IDS, labels=LABELS):
        seeds = sorted({seed for seed, _ in parts}) if seeds is None else seeds
        epochs = sorted({epoch for _, epoch in parts})
        opened = Run.start(
            tmp_path / "run",
            config={"scores": ["el2n"]},
            seeds=seeds,
            epochs=epochs,
            made_with={"numpy": "2"},
        )
        with opened as run:
            for (seed, epoch), columns in parts.items():
                run.write_part(seed, epoch, ScoreTable(ids, labels, columns))
        return run

    return write


def test_the_mean_over_seeds_is_what_it_says(write):
    parts = draw([0, 1, 4], [0, 7])
    run = write(parts)
    table = aggregate_run(run)
    matrix = np.array([parts[seed, 7]["el2n"] for seed in (0, 1, 4)], np.float64)
    mean = matrix.sum(0) / 3
    error = np.sqrt(((matrix - mean) ** 2).sum(0) / 2 / 3)
    assert list(table) == ["score", "standard_error", "seeds", "rank", "predicted", "p_label"]
    assert table.ids.tolist() == IDS.tolist()
    assert table.labels.tolist() == LABELS.tolist()
    np.testing.assert_allclose(table["score"], mean, rtol=1e-6)
    np.testing.assert_allclose(table["standard_error"], error, rtol=1e-5)
    assert table["score"].dtype == np.float32
    assert table["seeds"].tolist() == [3] * 6
    assert table["rank"].tolist() == (6 - np.argsort(np.argsort(mean))).tolist()
    p_label = np.array([parts[seed, 7]["p_label"] for seed in (0, 1, 4)], np.float64).mean(0)
    np.testing.assert_allclose(table["p_label"], p_label, rtol=1e-6)
    votes = np.array([parts[seed, 7]["predicted"] for seed in (0, 1, 4)])
    for i in range(6):
        counts = np.bincount(votes[:, i], minlength=3)
        assert counts[table["predicted"][i]] == counts.max()


def test_the_provenance_says_what_was_averaged(write):
    run = write(draw([0, 1, 4], [0, 7]))
    table = aggregate_run(run, score="margin", epoch=0, seeds=[4, 0])
    agreement, reliability = (table.provenance.pop(name) for name in ("agreement", "reliability"))
    assert reliability == pytest.approx(2 * agreement / (1 + agreement))
    rows = np.stack([run.read_part(seed, 0)["margin"] for seed in (4, 0)])
    hardest = [set(np.argsort(row, kind="stable")[len(row) - round(len(row) / 2) :]) for row in rows]
    overlap = len(hardest[0] & hardest[1]) / len(hardest[0])
    assert table.provenance.pop("half_overlap") == pytest.approx(overlap)
    assert table.provenance == {
        "run": str(run.path),
        "config": {"scores": ["el2n"]},
        "made_with": {"numpy": "2"},
        "score": "margin",
        "direction": "higher is harder",
        "epoch": 0,
        "seeds": [4, 0],
    }
    parts = draw([0, 1, 4], [0, 7])
    expected = stats.spearmanr(parts[0, 0]["margin"], parts[4, 0]["margin"]).statistic
    assert agreement == pytest.approx(expected, abs=1e-6)


def test_epoch_0_can_be_averaged(write):
    parts = draw([0, 1], [0, 7])
    table = aggregate_run(write(parts), epoch=0)
    assert table.provenance["epoch"] == 0
    np.testing.assert_allclose(
        table["score"], (parts[0, 0]["el2n"].astype(float) + parts[1, 0]["el2n"]) / 2, rtol=1e-6
    )


def test_one_seed_has_no_standard_error(write):
    parts = draw([3], [2])
    table = aggregate_run(write(parts))
    assert table["score"].tobytes() == parts[3, 2]["el2n"].tobytes()
    assert np.isnan(table["standard_error"]).all()
    assert table.provenance["agreement"] is None
    assert table["seeds"].tolist() == [1] * 6


def test_an_example_never_learned_in_one_seed_is_the_hardest(write):
    parts = draw([0, 1], [2])
    parts[1, 2]["el2n"][3] = np.inf
    table = aggregate_run(write(parts))
    assert table["score"][3] == np.inf
    assert np.isnan(table["standard_error"][3])
    assert table["rank"][3] == 1


def test_the_rank_is_the_order_of_keep_hardest_ties_included():
    scores = np.array([0.5, 0.25, 0.5, np.inf, 0.25, 0.5])
    rank = hardness_rank(scores)
    assert rank.tolist() == [4, 6, 3, 1, 5, 2]
    for count in range(len(scores) + 1):
        assert np.flatnonzero(rank <= count).tolist() == keep_hardest(scores, count=count).tolist()


def test_parts_without_the_probability_of_the_label(write):
    parts = draw([0, 1], [2])
    for columns in parts.values():
        del columns["p_label"]
    assert "p_label" not in aggregate_run(write(parts))


def test_soft_labels_stay(write):
    soft = np.full((6, 3), 1 / 3, np.float32)
    assert aggregate_run(write(draw([0, 1], [2]), labels=soft)).labels.tolist() == soft.tolist()


def test_the_default_is_the_last_epoch_that_every_seed_reached(write):
    parts = draw([0, 1, 2], [0, 3, 6])
    del parts[2, 6]
    run = write(parts)
    assert default_epoch(run) == 3
    assert aggregate_run(run).provenance["epoch"] == 3
    # By name, with the seeds that are there.
    assert aggregate_run(run, epoch=6).provenance["seeds"] == [0, 1]


def test_the_default_epoch_may_be_0(write):
    parts = draw([0, 1], [0, 3])
    del parts[1, 3]
    assert default_epoch(write(parts)) == 0


def test_an_unfinished_run_has_no_default(write):
    run = write(draw([0, 1], [0, 3]), seeds=range(10))
    with pytest.raises(PruneKitError, match="no epoch at which all of its 10 seeds have been scored"):
        default_epoch(run)
    with pytest.raises(PruneKitError, match="Hint: run the same `prunekit score` command again"):
        aggregate_run(run)


def test_agreement_is_spearmans(write):
    parts = draw([0, 1, 2], [0, 3, 6])
    rows = agreement_by_epoch(write(parts))
    assert [(row["epoch"], row["seeds"]) for row in rows] == [(0, 3), (3, 3), (6, 3)]
    means = {
        epoch: np.mean([parts[seed, epoch]["el2n"].astype(float) for seed in range(3)], axis=0)
        for epoch in (0, 3, 6)
    }
    for row in rows:
        pairs = [
            stats.spearmanr(parts[a, row["epoch"]]["el2n"], parts[b, row["epoch"]]["el2n"]).statistic
            for a, b in itertools.combinations(range(3), 2)
        ]
        assert row["agreement"] == pytest.approx(np.mean(pairs), abs=1e-6)
        if row["epoch"] == 6:
            assert row["with_last"] is None
        else:
            expected = stats.spearmanr(means[row["epoch"]], means[6]).statistic
            assert row["with_last"] == pytest.approx(expected, abs=1e-6)


def test_agreement_of_one_seed_and_of_constant_scores_is_unknown(write):
    parts = draw([0], [0, 2])
    parts[0, 0]["el2n"][:] = 0.5
    assert agreement_by_epoch(write(parts)) == [
        {"epoch": 0, "seeds": 1, "agreement": None, "with_last": None},
        {"epoch": 2, "seeds": 1, "agreement": None, "with_last": None},
    ]


def test_a_run_without_parts_has_no_agreement(write):
    assert agreement_by_epoch(write({})) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "grand"}, "there is no column 'grand'; the columns are el2n, margin, predicted, p_label"),
        ({"epoch": 5}, "no scores at epoch 5; the scored epochs are 0, 3"),
        ({"seeds": [0, 9]}, "no scores of seed 9 at epoch 3"),
        ({"seeds": [0, 0]}, r"must name each seed once, and at least one; got \[0, 0\]"),
        ({"seeds": []}, r"must name each seed once, and at least one; got \[\]"),
    ],
)
def test_what_is_not_there_is_named(write, options, message):
    with pytest.raises(PruneKitError, match=message):
        aggregate_run(write(draw([0, 1], [0, 3])), **options)


def test_parts_that_do_not_fit_are_refused(write):
    run = write(draw([0, 1], [2]))
    run.write_part(1, 2, ScoreTable(IDS, LABELS[::-1], draw([0], [0])[0, 0]))
    with pytest.raises(StoreError, match="labels differ"):
        aggregate_run(run)
