import itertools
import json

import numpy as np
import pytest
from scipy import stats

from prune_kit.store import Run
from prune_kit.table import ScoreTable

N = 50


@pytest.fixture
def write(prunekit):
    """Write a run of some seeds at epochs 1, 2 and 4, in the folder where the command runs."""

    def write(name, *, model="small-cnn", seeds=range(3), ids=None, labels=None, noise=0.1, fingerprint="f"):
        ids = np.arange(N) * 2 if ids is None else ids
        labels = np.arange(N) % 3 if labels is None else labels
        truth = np.random.default_rng(0).random(N)
        rng = np.random.default_rng(sum(map(ord, name)))
        config = {
            "scores": ["el2n", "margin"],
            "model": model,
            "data": {"examples": N, "fingerprint": fingerprint},
            "class_names": ["cat", "dog", "a class with quite a long name"],
        }
        opened = Run.start(name, config=config, seeds=seeds, epochs=[1, 2, 4], made_with={"numpy": "2"})
        with opened as run:
            for seed, epoch in itertools.product(seeds, (1, 2, 4)):
                columns = {
                    each: (truth + noise * rng.standard_normal(N)).astype(np.float32)
                    for each in ("el2n", "margin")
                }
                columns["predicted"] = np.where(rng.random(N) < 0.7, labels, 0)
                columns["p_label"] = rng.random(N).astype(np.float32)
                run.write_part(seed, epoch, ScoreTable(ids, labels, columns))
        return run

    return write


def rows(run, score, epoch):
    return np.stack([run.read_part(seed, epoch)[score].astype(float) for seed in run.seeds])


def reliability(matrix):
    pairs = [stats.spearmanr(a, b).statistic for a, b in itertools.combinations(matrix, 2)]
    mean = np.mean(pairs)
    return len(matrix) * mean / (1 + (len(matrix) - 1) * mean)


def told(prunekit, *words):
    return json.loads(prunekit("compare", *words, "--json").stdout)


def test_two_runs(prunekit, write):
    first, second = rows(write("a"), "el2n", 4), rows(write("b", model="mlp", noise=0.3), "el2n", 4)
    result = told(prunekit, "a", "b")
    assert result["examples"] == N
    assert [side["name"] for side in result["sides"]] == ["a", "b"]
    for side, matrix in zip(result["sides"], (first, second), strict=True):
        assert (side["score"], side["epoch"], side["seeds"]) == ("el2n", 4, [0, 1, 2])
        assert side["reliability"] == pytest.approx(reliability(matrix), abs=1e-6)
    (pair,) = result["pairs"]
    expected = stats.spearmanr(first.mean(0), second.mean(0)).statistic
    ceiling = (reliability(first) * reliability(second)) ** 0.5
    assert pair["pair"] == "A-B"
    assert pair["rank_correlation"] == pytest.approx(expected, abs=1e-6)
    assert pair["ceiling"] == pytest.approx(ceiling, abs=1e-6)
    assert pair["corrected"] == pytest.approx(expected / ceiling, abs=1e-6)
    assert [size["kept"] for size in result["sizes"]] == [5, 15, 25, 35]
    assert [size["chance"] for size in result["sizes"]] == [0.1, 0.3, 0.5, 0.7]
    for kept, overlap in zip((5, 15, 25, 35), pair["overlap"], strict=True):
        chosen = [set(np.argsort(matrix.mean(0))[-kept:].tolist()) for matrix in (first, second)]
        assert overlap == pytest.approx(len(chosen[0] & chosen[1]) / kept)


def test_class_by_class(prunekit, write):
    first, second = rows(write("a"), "el2n", 4), rows(write("b", model="mlp"), "el2n", 4)
    result = told(prunekit, "a", "b")
    labels = np.arange(N) % 3
    half = set(np.argsort(first.mean(0))[-25:].tolist())
    assert [each["name"] for each in result["classes"]] == ["cat", "dog", "a class with quite a long name"]
    for c, each in enumerate(result["classes"]):
        of = labels == c
        expected = stats.spearmanr(first.mean(0)[of], second.mean(0)[of]).statistic
        assert each["examples"] == of.sum()
        assert each["share"] == pytest.approx(of.mean())
        assert each["rank_correlation"]["A-B"] == pytest.approx(expected, abs=1e-6)
        assert each["share_of_hardest_half"]["A"] == pytest.approx(sum(of[i] for i in half) / 25)


def test_one_run_at_other_epochs_by_other_scores_and_a_file(prunekit, write):
    run = write("a")
    prunekit("aggregate", "a", "--epoch", "2", "--out", "two.parquet")
    result = told(prunekit, "a@1", "a:margin", "a:margin@2", "a:forgetting", "two.parquet")
    assert [side["name"] for side in result["sides"]] == [
        "a@1",
        "a:margin",
        "a:margin@2",
        "a:forgetting",
        "two.parquet",
    ]
    assert [(side["score"], side["epoch"]) for side in result["sides"]] == [
        ("el2n", 1),
        ("margin", 4),
        ("margin", 2),
        ("forgetting", 4),
        ("el2n", 2),
    ]
    assert result["sides"][3]["epochs"] == [1, 2, 4]
    found = {pair["pair"]: pair for pair in result["pairs"]}
    means = [rows(run, *of).mean(0) for of in (("el2n", 1), ("el2n", 2))]
    expected = stats.spearmanr(*means).statistic
    assert found["A-E"]["rank_correlation"] == pytest.approx(expected, abs=1e-6)
    # The same networks: their seeds are no independent draws.
    assert {pair["ceiling"] for pair in found.values()} == {None}
    assert "same networks" in prunekit("compare", "a", "a@1").stdout


def test_text_is_for_people_and_not_wider_than_80_columns(prunekit, write):
    for name in "abcdefg":
        write(name, model=name)
    result = prunekit("compare", *"abcdefg")
    lines = result.stdout.splitlines()
    assert lines[:3] == ["50 examples, matched by id", "  A  a", "  B  b"]
    assert max(map(len, lines)) <= 80
    # What does not fit stands below: every pair has a column for overlaps and one for classes.
    for pair in itertools.combinations("ABCDEFG", 2):
        assert sum("-".join(pair) in line.split() for line in lines) == 3
    assert "no ceiling" not in result.stdout
    two = prunekit("compare", "a", "b", "--keep", "10", "--keep", "0.5").stdout
    assert "  10 (20%)" in two
    assert "  25 (50%)" in two
    assert " a class with quite a long name" not in two
    assert "...e a long name" in two


def test_a_long_path_is_shortened_from_the_left(prunekit, write, tmp_path):
    folder = tmp_path / ("deep" * 20)
    folder.mkdir()
    write("a")
    (tmp_path / "a").rename(folder / "a")
    write("b")
    lines = prunekit("compare", folder / "a", "b").stdout.splitlines()
    assert lines[1].startswith("  A  ...")
    assert lines[1].endswith("deepdeep/a")
    assert len(lines[1]) == 80


def test_of_many_classes_those_that_agree_least_are_shown(prunekit, write, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 10)
    first = rng.random(300)
    second = np.where(np.isin(labels, [4, 27]), -first, first)
    for name, score in (("a", first), ("b", second)):
        ScoreTable(np.arange(300), labels, {"score": score}).to_parquet(tmp_path / f"{name}.parquet")
    lines = prunekit("compare", "a.parquet", "b.parquet").stdout.splitlines()
    start = lines.index("rank correlation within each class, of 30 classes the 20 that agree least:")
    assert [line.split() for line in lines[start + 2 : start + 4]] == [
        ["4", "10", "-1.000"],
        ["27", "10", "-1.000"],
    ]
    assert len(told(prunekit, "a.parquet", "b.parquet")["classes"]) == 30


def test_soft_labels_have_no_classes_to_show(prunekit, tmp_path):
    soft = np.full((4, 2), 0.5)
    ScoreTable([1, 2, 3, 4], soft, {"score": [0.1, 0.2, 0.3, 0.4]}).to_parquet(tmp_path / "a.parquet")
    lines = prunekit("compare", "a.parquet", "a.parquet", "--keep", "0.5").stdout.splitlines()
    assert [line.split() for line in lines[-2:]] == [
        ["hardest", "A-B", "chance"],
        ["2", "(50%)", "1.000", "0.500"],
    ]
    assert told(prunekit, "a.parquet", "a.parquet")["classes"] == []


def test_a_path_that_is_there_as_written_is_a_path(prunekit, write):
    write("a")
    write("a@2", model="mlp")
    result = told(prunekit, "a", "a@2")
    assert (result["sides"][1]["score"], result["sides"][1]["epoch"]) == ("el2n", 4)
    result = told(prunekit, "a", "a@2:margin@2")
    assert (result["sides"][1]["score"], result["sides"][1]["epoch"]) == ("margin", 2)


def test_common_says_how_many_are_left_out(prunekit, write):
    write("a")
    write("b", model="mlp", ids=np.arange(N) * 2 + 10)
    result = prunekit("compare", "a", "b", code=1)
    assert "5 of a are not in b: 0, 2, 4, 6, 8. Hint: common=True (--common)" in result.stderr
    found = told(prunekit, "a", "b", "--common")
    assert found["examples"] == N - 5
    assert [side["left_out"] for side in found["sides"]] == [5, 5]


def test_what_makes_it_doubtful_is_warned_of(prunekit, write):
    write("a")
    labels = np.arange(N) % 3
    labels[7] = 2
    write("b", model="mlp", labels=labels, fingerprint="g")
    result = prunekit("compare", "a", "b:forgetting")
    assert "1 of 50 examples do not have the same label on all sides: 14." in result.stderr
    assert "fingerprints of the data differ" in result.stderr
    assert "b:forgetting: of the kept examples" in result.stderr
    assert "Warning: a:" not in result.stderr
    assert prunekit("compare", "a", "a@1").stderr == ""
    as_json = prunekit("compare", "a", "b:forgetting", "--json")
    assert as_json.stderr == result.stderr
    assert json.loads(as_json.stdout)["differing_labels"] == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["a"], 2, "compare needs 2 to 26 sides; got 1"),
        (["a"] * 27, 2, "compare needs 2 to 26 sides; got 27"),
        ([], 2, "Missing argument"),
        (["a", ""], 2, "'' names no run and no file"),
        (["a", "none"], 1, "there is no file none"),
        (["a", "a@9"], 1, "a has no scores at epoch 9; the scored epochs are 1, 2, 4"),
        (["a", "a:grand"], 1, "there is no column 'grand'"),
        (["a", "two.parquet:el2n"], 1, "two.parquet:el2n: a score and an epoch are chosen of a run"),
        (["a", "a@1", "--keep", "2.5"], 2, "2.5 is not from 0 to 1"),
        (["a", "a@1", "--keep", "51"], 1, "from 0 to the number of examples, 50; got 51"),
        (["a", "a/scores/seed=0/epoch=1/part-0.parquet"], 1, "part-0.parquet must have a column score"),
    ],
)
def test_what_cannot_be_compared_is_said(prunekit, write, words, code, said):
    write("a")
    prunekit("aggregate", "a", "--out", "two.parquet")
    result = prunekit("compare", *words, code=code)
    assert said in result.stderr
    assert result.stdout == ""
