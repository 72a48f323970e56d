import itertools

import numpy as np
import pytest
from scipy import stats

from prune_kit.compare import compare_scores
from prune_kit.errors import PruneKitError
from prune_kit.select import keep_hardest
from prune_kit.table import ScoreTable

N = 60


def made_from(*, seeds=(0, 1), reliability=0.8, **config):
    return {"reliability": reliability, "seeds": list(seeds), "config": config}


@pytest.fixture
def tables():
    """Three scores of 60 examples in 4 classes, each table in an order of its own."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, N)
    truth = rng.random(N)
    made = []
    for i, (noise, reliability) in enumerate(((0.2, 0.9), (0.5, 0.8), (1.0, 0.6))):
        order = rng.permutation(N)
        score = (truth + noise * rng.random(N)).astype(np.float32)
        provenance = made_from(reliability=reliability, model=i)
        made.append(ScoreTable(1000 + order, labels[order], {"score": score[order]}, provenance))
    return made


def by_id(table):
    return dict(zip(table.ids.tolist(), table["score"].tolist(), strict=True))


def hardest(table, count):
    """The ids with the highest scores; there are no ties."""
    scores = by_id(table)
    return set(sorted(scores, key=scores.get)[-count:])


def test_rank_correlations_are_of_the_scores_of_the_same_ids(tables):
    compared = compare_scores(tables)
    assert compared.ids.tolist() == tables[0].ids.tolist()
    for a, b in itertools.product(range(3), repeat=2):
        one, other = by_id(tables[a]), by_id(tables[b])
        expected = stats.spearmanr([one[i] for i in one], [other[i] for i in one]).statistic
        assert compared.rank_correlation[a, b] == pytest.approx(expected, abs=1e-12)
    assert compared.left_out == (0, 0, 0)
    assert compared.differing_labels.size == 0


def test_overlaps_are_of_the_hardest_by_each(tables):
    compared = compare_scores(tables, sizes=[0.1, 0.5, 17, 1.0])
    assert compared.sizes == (6, 30, 17, 60)
    for s, count in enumerate((6, 30, 17, 60)):
        assert compared.chance[s] == pytest.approx(count / N)
        for a, b in itertools.product(range(3), repeat=2):
            both = hardest(tables[a], count) & hardest(tables[b], count)
            assert compared.overlap[s, a, b] == pytest.approx(len(both) / count)
    assert compared.tied.tolist() == [[0.0] * 3] * 4


def test_the_overlap_by_chance_is_that_of_unrelated_scores():
    rng = np.random.default_rng(0)
    unrelated = [ScoreTable(range(20000), [0] * 20000, {"score": rng.random(20000)}) for _ in range(2)]
    compared = compare_scores(unrelated)
    assert compared.sizes == (2000, 6000, 10000, 14000)
    np.testing.assert_allclose(compared.overlap[:, 0, 1], compared.chance, atol=0.02)


def test_classes_are_compared_one_by_one(tables):
    compared = compare_scores(tables)
    label_of = dict(zip(tables[0].ids.tolist(), tables[0].labels.tolist(), strict=True))
    assert compared.classes.tolist() == [0, 1, 2, 3]
    for c in range(4):
        ids = [i for i, label in label_of.items() if label == c]
        assert compared.class_sizes[c] == len(ids)
        for a, b in itertools.combinations(range(3), 2):
            rows = [[by_id(tables[each])[i] for i in ids] for each in (a, b)]
            expected = stats.spearmanr(*rows).statistic
            assert compared.class_correlation[c, a, b] == pytest.approx(expected, abs=1e-12)
        for a in range(3):
            in_half = [label_of[i] == c for i in hardest(tables[a], 30)]
            assert compared.class_shares[c, a] == pytest.approx(sum(in_half) / 30)


def test_the_ceiling_is_what_both_reliabilities_allow(tables):
    compared = compare_scores(tables)
    assert compared.reliability.tolist() == [0.9, 0.8, 0.6]
    for a, b in itertools.permutations(range(3), 2):
        ceiling = (compared.reliability[a] * compared.reliability[b]) ** 0.5
        assert compared.ceiling[a, b] == pytest.approx(ceiling)
        assert compared.corrected[a, b] == pytest.approx(compared.rank_correlation[a, b] / ceiling)
    assert np.isnan(np.diagonal(compared.ceiling)).all()
    assert np.isnan(np.diagonal(compared.corrected)).all()


@pytest.mark.parametrize("truth", [0.5, 0.9])
def test_the_corrected_correlation_is_that_of_the_true_scores(truth):
    """True scores of two networks, and few seeds of each, with noise of their own."""
    rng = np.random.default_rng(0)
    n = 20000
    first = rng.standard_normal(n)
    second = truth * first + np.sqrt(1 - truth**2) * rng.standard_normal(n)
    made = []
    for i, (true, seeds) in enumerate(((first, 2), (second, 4))):
        rows = true + rng.standard_normal((seeds, n))
        pairs = [
            stats.spearmanr(rows[a], rows[b]).statistic for a, b in itertools.combinations(range(seeds), 2)
        ]
        reliability = seeds * np.mean(pairs) / (1 + (seeds - 1) * np.mean(pairs))
        provenance = made_from(seeds=range(seeds), reliability=float(reliability), model=i)
        made.append(ScoreTable(range(n), [0] * n, {"score": rows.mean(axis=0)}, provenance))
    compared = compare_scores(made)
    true_correlation = stats.spearmanr(first, second).statistic
    assert compared.corrected[0, 1] == pytest.approx(true_correlation, abs=0.03)
    assert compared.rank_correlation[0, 1] < true_correlation - 0.1


@pytest.mark.parametrize(
    ("first", "second", "is_known"),
    [
        (made_from(model="a", scores=["el2n"]), made_from(model="a", scores=["grand"]), False),
        (made_from(model="a"), made_from(model="a", seeds=(1, 2)), False),
        (made_from(model="a"), made_from(model="a", seeds=(2, 3)), True),
        (made_from(model="a"), made_from(model="b"), True),
        (made_from(model="a"), made_from(model="b", reliability=None), False),
        (made_from(model="a"), {}, False),
        ({"reliability": 0.8}, {"reliability": 0.8}, True),
    ],
)
def test_there_is_no_ceiling_of_unknown_reliability_or_of_the_same_networks(first, second, is_known):
    one = ScoreTable([0, 1, 2, 3], [0, 0, 1, 1], {"score": [0.1, 0.2, 0.3, 0.4]}, first)
    other = ScoreTable([0, 1, 2, 3], [0, 0, 1, 1], {"score": [0.1, 0.3, 0.2, 0.4]}, second)
    compared = compare_scores([one, other])
    assert compared.rank_correlation[0, 1] == pytest.approx(0.8)
    assert np.isfinite(compared.ceiling[0, 1]) == is_known
    assert np.isfinite(compared.corrected[0, 1]) == is_known


def test_nothing_is_divided_by_a_ceiling_of_0(tables):
    tables[0].provenance["reliability"] = 0.0
    compared = compare_scores(tables)
    assert compared.ceiling[0, 1] == 0
    assert np.isnan(compared.corrected[0, 1])


def test_ties_go_by_the_place_in_each_table_and_are_told():
    one = ScoreTable([0, 1, 2, 3, 4], [0] * 5, {"score": [1.0, 0.0, 0.0, 0.0, 0.0]})
    other = ScoreTable([4, 3, 2, 1, 0], [0] * 5, {"score": [0.0, 0.0, 0.0, 0.0, 1.0]})
    compared = compare_scores([one, other], sizes=[3])
    kept = [set(keep_hardest(t["score"], count=3, ids=t.ids).tolist()) for t in (one, other)]
    assert kept == [{0, 3, 4}, {0, 1, 2}]
    assert compared.overlap[0, 0, 1] == pytest.approx(1 / 3)
    assert compared.tied.tolist() == [[pytest.approx(2 / 3)] * 2]


def test_examples_that_are_not_in_all_are_left_out_where_asked(tables):
    short = [tables[0].take(np.arange(5, N)), tables[1], tables[2].take(np.arange(N - 7))]
    shared = set.intersection(*(set(t.ids.tolist()) for t in short))
    compared = compare_scores(short, common=True, sizes=[0.3])
    assert compared.ids.tolist() == [i for i in short[0].ids.tolist() if i in shared]
    assert compared.left_out == (55 - len(shared), 60 - len(shared), 53 - len(shared))
    alone = [t.take(np.flatnonzero(np.isin(t.ids, list(shared)))) for t in tables]
    expected = compare_scores(alone, sizes=[0.3])
    np.testing.assert_array_equal(compared.rank_correlation, expected.rank_correlation)
    both = hardest(alone[0], compared.sizes[0]) & hardest(alone[1], compared.sizes[0])
    assert compared.overlap[0, 0, 1] == pytest.approx(len(both) / compared.sizes[0])


def test_examples_that_are_not_in_all_are_named(tables):
    missing = tables[1].ids[:7].tolist()
    shown = ", ".join(map(str, [i for i in tables[0].ids.tolist() if i in missing][:5]))
    message = f"7 of A are not in B: {shown} and 2 more. Hint: common=True"
    with pytest.raises(PruneKitError, match=message):
        compare_scores([tables[0], tables[1].take(np.arange(7, N))], names=["A", "B"])
    shown = ", ".join(map(str, tables[1].ids[[1, 2]].tolist()))
    with pytest.raises(PruneKitError, match=rf"2 of tables\[1\] are not in tables\[0\]: {shown}\. Hint"):
        compare_scores([tables[1].take(np.delete(np.arange(N), [1, 2])), tables[1]])


def test_other_labels_of_the_same_id_are_told(tables):
    other = tables[1]
    other.labels[[3, 8]] += 1
    compared = compare_scores(tables)
    assert sorted(compared.differing_labels.tolist()) == sorted(other.ids[[3, 8]].tolist())


def test_soft_labels_are_of_no_class():
    soft = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    one = ScoreTable(["a", "b", "c"], soft, {"score": [1.0, 2.0, 3.0]})
    others = np.add(soft[::-1], [[0, 0], [0.1, -0.1], [0, 0]])
    other = ScoreTable(["c", "b", "a"], others, {"score": [1.0, 2.0, 3.0]})
    compared = compare_scores([one, other])
    assert compared.rank_correlation[0, 1] == -1
    assert compared.differing_labels.tolist() == ["b"]
    assert compared.class_correlation.shape == (0, 2, 2)
    assert compared.class_shares.shape == (0, 2)
    assert compared.classes.size == compared.class_sizes.size == 0
    hard = ScoreTable(["a", "b", "c"], [0, 1, 1], {"score": [1.0, 2.0, 3.0]})
    assert compare_scores([one, one, hard]).differing_labels.tolist() == ["a", "b", "c"]


def test_what_has_no_order_is_unknown_and_what_was_never_learned_is_hardest():
    one = ScoreTable([0, 1, 2], [0, 1, 1], {"score": [np.inf, 1.0, 0.0]}, {"reliability": 0.9})
    same = ScoreTable([0, 1, 2], [0, 1, 1], {"score": [5, 5, 5]}, {"reliability": None})
    compared = compare_scores([one, same, one], sizes=[1])
    assert compared.rank_correlation[0, 2] == 1
    assert np.isnan(compared.rank_correlation[0, 1])
    assert np.isnan(compared.class_correlation[0, 0, 2])
    assert compared.class_correlation[1, 0, 2] == 1
    assert compared.overlap[0, 0, 2] == 1
    assert compared.overlap[0, 0, 1] == 0


def test_two_tables_of_one_example():
    compared = compare_scores([ScoreTable([7], [0], {"score": [1.0]})] * 2, sizes=[1.0])
    assert np.isnan(compared.rank_correlation[0, 1])
    assert compared.overlap[0, 0, 1] == 1
    assert np.isnan(compared.class_shares).all()


def test_of_a_subset_of_none_the_overlap_is_unknown(tables):
    compared = compare_scores(tables, sizes=[0, 0.001, 1])
    assert compared.sizes == (0, 0, 1)
    assert np.isnan(compared.overlap[:2]).all()
    assert compared.chance.tolist() == [0, 0, 1 / N]
    assert compared.tied.tolist() == [[0] * 3] * 3


FINE = ScoreTable([0, 1], [0, 1], {"score": [0.5, 1.0]})


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        (
            [ScoreTable([0, 1], [0, 1], {"score": np.ones((2, 3))}), FINE],
            {},
            r"one per example; got float64 of shape \(2, 3\)",
        ),
        ([FINE], {}, "needs two tables of scores or more; got 1"),
        (
            [FINE, ScoreTable([0, 1], [0, 1], {"el2n": [0.0, 1.0]})],
            {},
            r"tables\[1\] must have a column score",
        ),
        ([FINE, ScoreTable([0, 1], [0, 1], {"score": ["a", "b"]})], {}, r"tables\[1\]: scores must be real"),
        (
            [FINE, ScoreTable([0, 1], [0, 1], {"score": [1.0, np.nan]})],
            {"names": ["A", "B"]},
            "B: scores must not be NaN or minus infinity; those of the ids 1 are",
        ),
        (
            [FINE, ScoreTable(["0", "1"], [0, 1], {"score": [0.0, 1.0]})],
            {},
            "are integers, those of .* strings",
        ),
        (
            [FINE, ScoreTable([2, 3], [0, 1], {"score": [0.0, 1.0]})],
            {"common": True},
            "no example that is in all",
        ),
        ([FINE, FINE], {"names": ["A"]}, "`names` must name each of the 2 tables; got 1"),
        ([FINE, FINE], {"sizes": []}, "at least one size"),
        ([FINE, FINE], {"sizes": [3]}, "`count` must be a whole number from 0 to the number of examples, 2"),
        ([FINE, FINE], {"sizes": [1.5]}, "`fraction` must be a number from 0 to 1; got 1.5"),
    ],
)
def test_what_cannot_be_compared_is_refused(tables, options, message):
    with pytest.raises(PruneKitError, match=message):
        compare_scores(tables, **options)


def test_it_says_what_it_is(tables):
    assert repr(compare_scores(tables)) == "ScoreComparison(3 scores of 60 examples)"
