"""What charts of seeds, suspected labels and kept subsets say."""

import numpy as np
import pytest

from prune_kit.report.balance import balance_of
from prune_kit.report.chart import distinct, values
from prune_kit.report.epoch_means import evenly
from prune_kit.report.facts import facts, numbers
from prune_kit.report.reported import read_reported
from prune_kit.report.shown_classes import shown_classes
from prune_kit.report.suspects import read_suspects, suspect_charts
from prune_kit.report.trust import trust_in
from prune_kit.subset_file import write_ids
from prune_kit.table import ScoreTable


def test_flags_are_counted_by_class_pair(scores, tmp_path):
    table = ScoreTable.read(scores)
    rng = np.random.default_rng(2)
    flagged = rng.random(85) < 0.4
    suggested = (table.labels + rng.integers(1, 3, 85)) % 3
    columns = {"flagged": flagged, "probability": rng.random(85), "suggested": suggested}
    ScoreTable(table.ids, table.labels, columns).take(rng.permutation(85)).to_parquet(tmp_path / "f.parquet")
    suspects = read_suspects(tmp_path / "f.parquet", read_reported(scores))
    (chart,) = suspect_charts(suspects)
    names = ("cat", "dog", "owl")
    expected = {}
    for i in np.flatnonzero(flagged).tolist():
        pair = names[table.labels[i]], names[suggested[i]]
        expected[pair] = expected.get(pair, 0) + 1
    assert {(given, other): count for given, other, count in chart.rows} == expected
    assert f"{flagged.sum()} in all" in chart.description
    most = np.flatnonzero(flagged)[np.argmax(columns["probability"][flagged])]
    assert suspects.rows[0] == most
    assert suspects.about(int(most)) == {
        "suggested": names[suggested[most]],
        "probability": f"{columns['probability'][most]:.3f}",
    }
    assert suspects.about(int(np.flatnonzero(~flagged)[0])) is None


def test_flags_of_scores_alone_have_no_class_pairs(scores, tmp_path):
    table = ScoreTable.read(scores)
    flagged = np.arange(85) > 80
    ScoreTable(table.ids, table.labels, {"flagged": flagged}).to_parquet(tmp_path / "f.parquet")
    suspects = read_suspects(tmp_path / "f.parquet", read_reported(scores))
    assert list(suspect_charts(suspects)) == []
    assert suspects.estimated is None
    by_score = sorted(range(81, 85), key=lambda i: (-table["score"][i], i))
    assert suspects.rows.tolist() == by_score


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        ({"seeds": [0], "agreement": None, "reliability": None}, "One seed"),
        ({"agreement": 0.9, "reliability": 0.964}, "More seeds are hardly worth it"),
        ({"agreement": -0.1, "reliability": 0.0}, "a later epoch may"),
        ({"agreement": 0.5, "reliability": 0.75}, "0.95 needs about 19 seeds, 16 more"),
        ({"seeds": None}, "is not known"),
    ],
)
def test_whether_more_seeds_are_worth_it(make_scores, tmp_path, made, verdict):
    trust = trust_in(read_reported(make_scores(tmp_path / "scores.parquet", **made)))
    assert verdict in trust.verdict


def test_early_scores_are_warned_of(run):
    trust = trust_in(read_reported(run, score="grand"))
    assert {chart.name for chart in trust.charts} == {"reliability", "agreement"}
    assert any("other seeds would choose" in each or "too early" in each for each in trust.warnings) == any(
        float(row[2]) < 0.7 for chart in trust.charts if chart.name == "agreement" for row in chart.rows[-1:]
    )


def test_balance_counts_before_and_after(scores, tmp_path):
    table = ScoreTable.read(scores)
    kept = table.ids[10:40]
    write_ids(tmp_path / "kept.npy", kept)
    balance = balance_of(tmp_path / "kept.npy", read_reported(scores))
    for label, (name, before, after, share) in enumerate(balance.rows):
        assert name == ("cat", "dog", "owl")[label]
        assert before == sum(table.labels == label)
        assert after == sum(table.labels[10:40] == label)
        assert share == f"{after / before:.1%}"


def test_facts_say_what_was_run(run):
    said = dict(facts(read_reported(run)))
    assert said["Run"] == str(run)
    assert said["Framework"] == "torch"
    assert said["Seeds"] == "0-2"
    assert said["Scored epochs"] == "0-3"
    assert said["Finished"] == "yes"
    assert numbers([0, 1, 5, 6, 7, 9]) == "0, 1, 5-7, 9"


def test_of_many_classes_the_hardest_and_the_easiest_are_shown():
    names = [f"c{i}" for i in range(51)]
    shown = shown_classes([*range(50), np.inf], names)
    assert shown.codes == [50, *range(49, 38, -1), *range(11, -1, -1)]
    assert shown.names == [f"c{i}" for i in shown.codes]
    assert "Of 51 classes, the 12 highest and the 12 lowest" in shown.said
    assert shown_classes([0.1, 0.3], ["a", "b"])[:3] == ([1, 0], ["b", "a"], "")


def test_names_that_are_cut_to_the_same_are_told_apart():
    assert distinct(["a", "b"]) == ["a", "b"]
    long = ["x" * 30, "x" * 40]
    assert len(set(distinct(long))) == 2


def test_what_is_not_finite_is_null():
    data = values(
        [{"x": 1.5, "name": "a"}, {"x": float("nan"), "name": "b"}, {"x": float("inf"), "name": "c"}]
    )
    assert [row["x"] for row in data.to_dict()["values"]] == [1.5, None, None]


def test_epochs_are_spread_from_the_first_to_the_last():
    assert evenly(range(5)) == [0, 1, 2, 3, 4]
    many = evenly(range(100))
    assert (len(many), many[0], many[-1]) == (12, 0, 99)
