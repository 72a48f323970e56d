import json
import shutil

import numpy as np
import pytest

import prune_kit
from prune_kit.subset_file import read_ids
from prune_kit.table import ScoreTable


@pytest.fixture
def table(scores):
    return ScoreTable.read(scores)


def test_the_hardest_are_kept_exactly_as_many_as_asked_for(prunekit, table):
    for keep, count in (("0.5", 30), ("25%", 15), ("7", 7), ("60", 60), ("1.0", 60), ("0.01", 1)):
        result = prunekit("prune", "scores.parquet", "--keep", keep, "--out", "kept.parquet")
        assert result.stdout.startswith(f"kept.parquet: kept {count} of 60 examples (hardest)\n")
        expected = table.ids[prune_kit.keep_hardest(table["score"], count=count)]
        assert read_ids("kept.parquet").tolist() == expected.tolist()


def test_class_counts_before_and_after(prunekit, table):
    result = prunekit("prune", "scores.parquet", "--keep", "20", "--out", "kept.parquet")
    shown = [line.split() for line in result.stdout.splitlines()[1:]]
    assert shown[0] == ["class", "before", "kept", "share"]
    kept = table.labels[prune_kit.keep_hardest(table["score"], count=20)]
    counts = np.bincount(kept, minlength=4)
    assert [row[:3] for row in shown[1:]] == [[str(c), "15", str(counts[c])] for c in range(4)]
    assert [float(row[3]) for row in shown[1:]] == pytest.approx(counts / 15, abs=5e-4)
    as_json = prunekit("prune", "scores.parquet", "--keep", "20", "--out", "kept.parquet", "--json")
    assert json.loads(as_json.stdout) == {
        "out": "kept.parquet",
        "method": "hardest",
        "examples": 60,
        "kept": 20,
        "classes": [{"label": c, "before": 15, "kept": int(counts[c])} for c in range(4)],
    }


def test_per_class_keeps_the_same_share_of_each(prunekit, table):
    words = ("prune", "scores.parquet", "--keep", "0.4", "--per-class", "--out", "kept.parquet")
    result = json.loads(prunekit(*words, "--json").stdout)
    assert [each["kept"] for each in result["classes"]] == [6, 6, 6, 6]
    expected = table.ids[prune_kit.keep_hardest(table["score"], fraction=0.4, labels=table.labels)]
    assert read_ids("kept.parquet").tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("words", "keep"),
    [
        ([], prune_kit.keep_hardest),
        (["--offset", "0.5"], lambda s, **o: prune_kit.keep_window(s, offset=0.5, **o)),
        (["--method", "random"], lambda s, **o: prune_kit.keep_random(60, seed=0, **o)),
        (["--method", "stratified"], lambda s, **o: prune_kit.keep_stratified(s, seed=0, **o)),
    ],
)
@pytest.mark.parametrize(("at_least", "floor"), [("3", 3), ("0.2", 3)])
def test_at_least_so_many_of_every_class_stay(prunekit, scores, words, keep, at_least, floor):
    table = ScoreTable.read(scores)
    table.columns["score"] = table["score"] + 5.0 * (table.labels == 2)  # in which all are hard
    table.to_parquet(scores)
    words = ("prune", "scores.parquet", "--keep", "24", *words, "--at-least", at_least)
    result = json.loads(prunekit(*words, "--out", "kept.parquet", "--json").stdout)
    assert all(each["kept"] >= floor for each in result["classes"])
    expected = keep(table["score"], count=24, labels=table.labels, at_least=floor)
    assert read_ids("kept.parquet").tolist() == table.ids[expected].tolist()
    assert ScoreTable.read("kept.parquet").provenance["at_least"] == float(at_least)


@pytest.mark.parametrize(
    ("words", "keep"),
    [
        (["--method", "easiest"], lambda s: prune_kit.keep_easiest(s, fraction=0.5)),
        (["--offset", "0.05"], lambda s: prune_kit.keep_window(s, offset=0.05, fraction=0.5)),
        (["--offset", "3"], lambda s: prune_kit.keep_window(s, offset=3, fraction=0.5)),
        (["--method", "window", "--offset", "0"], lambda s: prune_kit.keep_window(s, offset=0, fraction=0.5)),
        (["--method", "random"], lambda s: prune_kit.keep_random(60, fraction=0.5, seed=0)),
        (["--method", "random", "--seed", "5"], lambda s: prune_kit.keep_random(60, fraction=0.5, seed=5)),
        (["--method", "stratified"], lambda s: prune_kit.keep_stratified(s, fraction=0.5, seed=0)),
        (
            ["--method", "stratified", "--prune-hardest", "0.1", "--strata", "4", "--seed", "2"],
            lambda s: prune_kit.keep_stratified(s, fraction=0.5, prune_hardest=0.1, strata=4, seed=2),
        ),
    ],
)
def test_other_methods(prunekit, table, words, keep):
    prunekit("prune", "scores.parquet", "--keep", "0.5", *words, "--out", "kept.txt")
    assert read_ids("kept.txt").tolist() == table.ids[keep(table["score"])].tolist()


def test_random_subsets_of_one_seed_are_nested(prunekit, table):
    before = set()
    for keep in (5, 20, 45, 60):
        words = ("--method", "random", "--seed", "3", "--out", "kept.npy")
        prunekit("prune", "scores.parquet", "--keep", keep, *words)
        kept = set(read_ids("kept.npy").tolist())
        assert len(kept) == keep
        assert before < kept
        before = kept
    prunekit(
        "prune", "scores.parquet", "--keep", 20, "--method", "random", "--seed", "4", "--out", "other.npy"
    )
    prunekit(
        "prune", "scores.parquet", "--keep", 20, "--method", "random", "--seed", "3", "--out", "kept.npy"
    )
    assert set(read_ids("other.npy")) != set(read_ids("kept.npy"))


def test_every_kind_of_file_names_the_same_ids(prunekit, table):
    found = {}
    for suffix in ("txt", "npy", "csv", "parquet"):
        prunekit("prune", "scores.parquet", "--keep", "0.3", "--out", f"kept.{suffix}")
        found[suffix] = read_ids(f"kept.{suffix}").tolist()
    assert len(found["txt"]) == 18
    assert len({tuple(ids) for ids in found.values()}) == 1


def test_a_parquet_subset_has_the_other_columns_and_says_where_it_comes_from(prunekit, table):
    prunekit("prune", "scores.parquet", "--keep", "0.3", "--out", "kept.parquet")
    kept = ScoreTable.read("kept.parquet")
    rows = np.flatnonzero(np.isin(table.ids, kept.ids))
    for name in table:
        assert kept[name].tolist() == pytest.approx(table[name][rows].tolist(), nan_ok=True)
    assert kept.provenance == {
        "method": "hardest",
        "keep": 0.3,
        "offset": None,
        "prune_hardest": None,
        "strata": None,
        "per_class": False,
        "at_least": None,
        "seed": None,
        "exclude_flagged": None,
        "of": table.provenance,
    }


def test_another_column(prunekit, table):
    words = ("--keep", "5", "--column", "standard_error", "--out", "kept.txt")
    prunekit("prune", "scores.parquet", *words)
    expected = table.ids[prune_kit.keep_hardest(table["standard_error"], count=5)]
    assert read_ids("kept.txt").tolist() == expected.tolist()


def test_a_class_that_vanishes_is_said(prunekit, scores):
    table = ScoreTable.read(scores)
    table.columns["score"] = np.where(table.labels == 2, -1.0, table["score"])
    table.to_parquet(scores)
    result = prunekit("prune", "scores.parquet", "--keep", "0.5", "--out", "kept.parquet")
    assert result.stderr == (
        "Warning: nothing is kept of 1 classes (2); --per-class keeps a share of each, --at-least some.\n"
    )
    assert prunekit("prune", "scores.parquet", "--keep", "0.5", "--per-class", "--out", "k.txt").stderr == ""


def test_of_many_classes_the_extremes_are_shown(prunekit, tmp_path):
    labels = np.arange(3000) % 100
    ScoreTable(np.arange(3000), labels, {"score": labels / 100}).to_parquet(tmp_path / "s.parquet")
    result = prunekit("prune", "s.parquet", "--keep", "0.5", "--out", "kept.txt")
    lines = result.stdout.splitlines()
    assert lines[1] == "100 classes; those that lose most and least:"
    assert len(lines) == 2 + 1 + 20
    assert "nothing is kept of 50 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--keep", "1.5"], 2, "1.5 is not from 0 to 1; a count is written without a point"),
        (["--keep", "-0.5"], 2, "-0.5 is not from 0 to 1"),
        (["--keep", "nan"], 2, "nan is not from 0 to 1"),
        (["--keep", "half"], 2, "'half' is no number; give a fraction such as 0.5, or a count such as 500"),
        (["--keep", "101%"], 2, "101% is not from 0 to 1"),
        (["--keep", "61"], 1, "must be a whole number from 0 to the number of examples, 60; got 61"),
        (["--keep", "0"], 1, "no ids to write"),
        (["--keep", "0.5", "--offset", "0.6"], 1, "must not be more than the 60 examples together"),
        (["--keep", "30", "--offset", "31"], 1, "got 31 + 30 = 61. Hint: with this offset at most 29 can be"),
        (
            ["--keep", "0.5", "--offset", "0.1", "--method", "hardest"],
            2,
            "--offset does not go with --method hard",
        ),
        (["--keep", "0.5", "--method", "window"], 2, "--method window needs --offset"),
        (["--keep", "0.5", "--per-class", "--at-least", "2"], 2, "--at-least does not go with --per-class"),
        (["--keep", "7", "--at-least", "2"], 1, "2 of each of 4 classes is 8 examples, more than the 7"),
        (["--keep", "0.5", "--at-least", "2.5"], 2, "2.5 is not from 0 to 1"),
        (["--keep", "0.5", "--method", "best"], 2, "'best' is not one of"),
        (["--keep", "0.5", "--seed", "-1", "--method", "random"], 2, "-1 is not in the range x>=0"),
        (["--keep", "0.5", "--column", "grand"], 1, "there is no column 'grand'; the columns are score, "),
        (
            ["--keep", "0.5", "--out", "kept.json"],
            1,
            "must end in .parquet, .txt, .npy, .csv; got 'kept.json'",
        ),
        (["--keep", "0.5", "--out", "none/kept.txt"], 1, "there is no folder none"),
        (["--keep", "0.5", "--out", "none/kept.parquet"], 1, "there is no folder none"),
        (["--keep", "0.5", "--out", "run"], 2, "'run' is a directory"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_written(prunekit, table, tmp_path, words, code, said):
    before = sorted(path.name for path in tmp_path.iterdir())
    out = [] if "--out" in words else ["--out", "kept.txt"]
    result = prunekit("prune", "scores.parquet", *words, *out, code=code)
    assert said in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_empty_subset_is_refused_as_parquet_too(prunekit, scores, tmp_path):
    result = prunekit("prune", "scores.parquet", "--keep", "0", "--out", "kept.parquet", code=1)
    assert "no ids to write" in result.stderr
    assert not (tmp_path / "kept.parquet").exists()


def test_a_part_of_a_run_has_no_score_column(prunekit, scores):
    shutil.copy("run/scores/seed=0/epoch=0/part-0.parquet", "part.parquet")
    result = prunekit("prune", "part.parquet", "--keep", "0.5", "--out", "kept.txt", code=1)
    assert "average over the seeds first (`prunekit aggregate`), or name a --column" in result.stderr
    prunekit("prune", "part.parquet", "--keep", "0.5", "--column", "el2n", "--out", "kept.txt")


def test_bad_score_files(prunekit, scores, tmp_path):
    whole = scores.read_bytes()
    scores.write_bytes(whole[: len(whole) // 2])
    words = ("--keep", "0.5", "--out", "kept.txt")
    assert "not a readable Parquet file" in prunekit("prune", "scores.parquet", *words, code=1).stderr
    assert "there is no file none.parquet" in prunekit("prune", "none.parquet", *words, code=1).stderr
    table = ScoreTable([1, 2], [0, 1], {"score": [0.5, np.nan]})
    table.to_parquet(scores)
    assert (
        "must not be NaN; 1 of 2 are, at positions 1"
        in prunekit("prune", "scores.parquet", *words, code=1).stderr
    )
    soft = ScoreTable([1, 2], np.full((2, 2), 0.5), {"score": [0.5, 0.25]})
    soft.to_parquet(scores)
    assert (
        "labels of this file are soft"
        in prunekit("prune", "scores.parquet", *words, "--per-class", code=1).stderr
    )
    assert prunekit("prune", "scores.parquet", *words).stdout == "kept.txt: kept 1 of 2 examples (hardest)\n"


def test_options_of_another_method_are_refused(prunekit, table):
    words = ("prune", "scores.parquet", "--keep", "0.5", "--out", "kept.parquet")
    for wrong in (
        ("--strata", "5"),
        ("--prune-hardest", "0.1"),
        ("--method", "window", "--offset", "0", "--strata", "5"),
    ):
        assert "go with --method stratified" in prunekit(*words, *wrong, code=2).stderr


def test_the_stratified_choice_is_written_down_and_warns_of_no_ties(prunekit, table):
    words = ("--method", "stratified", "--prune-hardest", "3", "--seed", "4")
    result = prunekit("prune", "scores.parquet", "--keep", "20", "--out", "kept.parquet", *words)
    assert result.stderr == ""
    kept = ScoreTable.read("kept.parquet")
    told = {name: kept.provenance[name] for name in ("method", "prune_hardest", "strata", "seed")}
    assert told == {"method": "stratified", "prune_hardest": 3, "strata": 50, "seed": 4}
    hardest = table.ids[np.argsort(table["score"], kind="stable")[-3:]]
    assert not np.isin(kept.ids, hardest).any()
