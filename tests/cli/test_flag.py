"""`prunekit flag`, from planted wrong labels to a subset without them."""

import json

import numpy as np
import pytest

import prune_kit
from prune_kit.data import load_examples
from prune_kit.store import Run
from prune_kit.subset_file import read_ids
from prune_kit.table import ScoreTable

TINY = ("score", "--framework", "torch", "--data", "tiny.npz", "--batch-size", "16", "--out", "run")
FEW = ("--seeds", "2", "--epochs", "2")
ARRAYS = ("score", "--framework", "arrays", "--logits", "seed*.npy", "--labels", "labels.npy")


@pytest.fixture
def noisy(tmp_path):
    """600 digits, 60 of them with another label; which ones."""
    digits = load_examples("digits")
    labels = digits.labels[:600].copy()
    rng = np.random.default_rng(0)
    wrong = rng.choice(600, 60, replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, 60)) % 10
    np.savez(tmp_path / "noisy.npz", x=digits.inputs[:600], y=labels, ids=np.arange(600) + 5000)
    return digits.labels[:600], np.sort(wrong)


@pytest.fixture
def flags(prunekit, logits):
    """The file of flags of the saved logits."""
    prunekit(*ARRAYS, "--save-probabilities", "--out", "run")
    prunekit("aggregate", "run", "--out", "scores.parquet")
    prunekit("flag", "run", "--out", "flags.parquet")
    return logits / "flags.parquet"


def test_planted_wrong_labels_are_found_and_kept_out(prunekit, noisy):
    true, wrong = noisy
    words = ("--model", "small-cnn", "--learning-rate", "0.05", "--augmentation", "none")
    recipe = ("--seeds", "2", "--epochs", "2", "--batch-size", "32", *words)
    scored = prunekit(
        "score",
        "--framework",
        "torch",
        "--data",
        "noisy.npz",
        *recipe,
        "--save-probabilities",
        "--out",
        "run",
    )
    assert "  prunekit flag run --out flags.parquet\n" in scored.stdout
    shown = prunekit("flag", "run", "--out", "flags.parquet")
    assert shown.stderr == ""
    table = ScoreTable.read("flags.parquet")
    flagged = np.flatnonzero(table["flagged"])
    hits = np.intersect1d(flagged, wrong)
    assert len(hits) >= 50
    assert len(flagged) - len(hits) <= 10
    assert 50 <= table.provenance["wrong"] <= 70
    assert np.mean(table["suggested"][hits] == true[hits]) > 0.9
    # Those that are shown are those that the file has.
    assert f"flags.parquet: flagged {len(flagged)} of 600 labels\n" in shown.stdout
    assert "class probabilities: mean over 2 seeds at epoch 2" in shown.stdout
    first = np.argsort(-table["probability"], kind="stable")[0]
    row = [str(table.ids[first]), str(table.labels[first]), str(table["suggested"][first])]
    assert [line.split()[:3] for line in shown.stdout.split("most suspect:\n")[1].splitlines()][1] == row
    assert max(map(len, shown.stdout.splitlines())) <= 80
    # None of the flagged is kept, and the size is that of all.
    prunekit("aggregate", "run", "--out", "scores.parquet")
    words = ("prune", "scores.parquet", "--keep", "0.5", "--exclude-flagged", "flags.parquet")
    pruned = prunekit(*words, "--out", "kept.parquet")
    assert f"kept 300 of 600 examples (hardest), none of the {len(flagged)} flagged\n" in pruned.stdout
    kept = read_ids("kept.parquet") - 5000
    scores = ScoreTable.read("scores.parquet")["score"]
    others = np.setdiff1d(np.arange(600), flagged)
    expected = others[np.argsort(scores[others], kind="stable")[-300:]]
    assert kept.tolist() == sorted(expected.tolist())
    assert len(np.intersect1d(kept, wrong)) == len(np.intersect1d(expected, wrong)) <= 10


def test_json(prunekit, flags):
    told = json.loads(prunekit("flag", "run", "--out", "flags.parquet", "--json").stdout)
    table = ScoreTable.read(flags)
    assert told["out"] == "flags.parquet"
    assert told["method"] == "flag_noise"
    assert (told["examples"], told["flagged"]) == (60, int(table["flagged"].sum()))
    assert (told["epoch"], told["seeds"]) == (0, [0, 1, 2])
    assert told["rate"] == told["wrong"] / 60
    assert told["wrong"] == pytest.approx(table["probability"].sum(), rel=1e-5)
    assert {tuple(each) for each in told["class_pairs"]} <= {("true", "given", "wrong")}
    for each in told["most_suspect"]:
        row = int(np.flatnonzero(table.ids == each["id"])[0])
        assert table["flagged"][row]
        assert (each["given"], each["suggested"]) == (table.labels[row], table["suggested"][row])


def test_names_of_classes_and_long_ids(prunekit, tmp_path):
    """Nothing is wider than a terminal, and of long names the end is shown."""
    labels = np.arange(300) % 3
    logits = 8.0 * np.eye(3)[labels]
    labels[:6] = (labels[:6] + 1) % 3
    np.save(tmp_path / "seed0.npy", logits)
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "ids.npy", np.array([f"train/{'deep/' * 20}image-{i:03}.png" for i in range(300)]))
    prunekit(*ARRAYS, "--ids", "ids.npy", "--save-probabilities", "--out", "run")
    content = json.loads((tmp_path / "run/run.json").read_text())
    content["config"]["class_names"] = ["a very long name of a class: zero", "one", "two"]
    (tmp_path / "run/run.json").write_text(json.dumps(content))
    shown = prunekit("flag", "run", "--out", "flags.parquet").stdout
    assert "flags.parquet: flagged 6 of 300 labels\n" in shown
    assert "about 6 labels are wrong (2.0%), estimated\n" in shown
    assert [line.split() for line in shown.splitlines() if "image-001" in line] == [
        ["…/deep/image-001.png", "two", "one", "1.000"]
    ]
    assert "…me of a class: zero" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("memorised", [False, True])
def test_what_networks_have_memorised_is_warned_of(prunekit, memorised):
    """At epoch 4 the probabilities show 30 wrong labels; at epoch 10 they still do, or agree with them."""
    true = np.arange(300) % 3
    given = true.copy()
    given[:30] = (given[:30] + 1) % 3
    config = {"framework": "arrays", "save_probabilities": True}
    with Run.start("run", config=config, seeds=[0], epochs=[4, 10], made_with={}) as run:
        for epoch, seen in ((4, np.eye(3)[true]), (10, np.eye(3)[given if memorised else true])):
            shares = np.exp(8 * seen)
            probabilities = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
            run.write_part(0, epoch, ScoreTable(np.arange(300), given, {"probabilities": probabilities}))
    result = prunekit("flag", "run", "--out", "flags.parquet")
    assert "  class probabilities: mean over 1 seed at epoch 10\n" in result.stdout
    assert "  at epoch 4 the estimate is 30\n" in result.stdout
    assert ("30 by those at epoch 4: networks that have memorised" in result.stderr) == memorised
    assert result.stderr.endswith("Compare with --epoch 4.\n" if memorised else "")
    earlier = prunekit("flag", "run", "--epoch", "4", "--out", "flags.parquet")
    assert "flags.parquet: flagged 30 of 300 labels\n" in earlier.stdout
    assert "the estimate is" not in earlier.stdout
    assert earlier.stderr == ""


def test_the_highest_scores_where_there_are_no_probabilities(prunekit, scores):
    table = ScoreTable.read(scores)
    for of, words in (("scores.parquet", ()), ("run", ()), ("run", ("--column", "el2n"))):
        shown = prunekit("flag", of, "--highest", "0.1", "--out", "flags.parquet", *words)
        assert shown.stdout.startswith("flags.parquet: flagged 6 of 60 labels, those with the highest el2n\n")
        flags = ScoreTable.read("flags.parquet")
        assert np.flatnonzero(flags["flagged"]).tolist() == sorted(
            np.argsort(table["score"], kind="stable")[-6:].tolist()
        )
        assert list(flags) == ["flagged", "score"]
        assert flags.provenance["method"] == "flag_highest"
    told = json.loads(
        prunekit("flag", "run", "--highest", "7", "--seeds", "0,2", "--out", "flags.parquet", "--json").stdout
    )
    assert told == {"out": "flags.parquet", "method": "flag_highest", "examples": 60, "flagged": 7}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run"], 1, "run has no class probabilities of seed 0 at epoch 0. Hint: score with --save-prob"),
        (["scores.parquet"], 1, "scores.parquet has scores, and no class probabilities. Hint: give a run"),
        (["none"], 1, "none is not a run directory"),
        (["run", "--column", "el2n"], 2, "--column goes with --highest"),
        (["scores.parquet", "--highest", "5", "--epoch", "3"], 2, "--epoch and --seeds go with a run"),
        (["scores.parquet", "--highest", "61"], 1, "from 0 to the number of examples, 60; got 61"),
        (["scores.parquet", "--highest", "many"], 2, "'many' is no number"),
        (["scores.parquet", "--highest", "5", "--column", "grand"], 1, "there is no column 'grand'"),
        (["run", "--highest", "5", "--epoch", "9"], 1, "no scores at epoch 9"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_written(prunekit, scores, tmp_path, words, code, said):
    result = prunekit("flag", *words, "--out", "flags.parquet", code=code)
    assert said in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "flags.parquet").exists()


def test_a_run_without_probabilities_is_not_gone_on_with(prunekit, tiny):
    prunekit(*TINY, *FEW)
    again = prunekit(*TINY, *FEW, "--save-probabilities", code=1)
    assert "run holds another run; what differs: save_probabilities was null, is now true" in again.stderr


def test_probabilities_of_a_seed_are_those_that_its_scores_are_of(prunekit, tiny):
    prunekit(*TINY, *FEW, "--save-probabilities")
    run = Run.open("run")
    assert run.parts() == [(0, 1), (0, 2), (1, 1), (1, 2)]
    for seed, epoch in run.parts():
        part = run.read_part(seed, epoch)
        probabilities = part["probabilities"].astype(np.float64)
        assert probabilities.shape == (64, 3)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        errors = np.linalg.norm(probabilities - np.eye(3)[part.labels], axis=1)
        np.testing.assert_allclose(part["el2n"], errors, rtol=1e-5, atol=1e-6)
    shown = prunekit("info", "run/scores/seed=0/epoch=1/part-0.parquet").stdout
    assert "probabilities" in shown


class TestExcludeFlagged:
    WORDS = ("prune", "scores.parquet", "--keep", "20", "--out", "kept.parquet")

    def flag(self, rows, labels=None, ids=None):
        table = ScoreTable.read("scores.parquet")
        flags = np.zeros(60, bool)
        flags[rows] = True
        given = (table.ids if ids is None else ids, table.labels if labels is None else labels)
        ScoreTable(*given, {"flagged": flags}).to_parquet("flags.parquet")
        return table, np.flatnonzero(~flags)

    @pytest.mark.parametrize(
        ("words", "keep"),
        [
            (["--per-class"], lambda s, y: prune_kit.keep_hardest(s, count=20, labels=y)),
            (["--method", "easiest"], lambda s, _: prune_kit.keep_easiest(s, count=20)),
            (["--offset", "3"], lambda s, _: prune_kit.keep_window(s, offset=3, count=20)),
            (["--method", "random", "--seed", "2"], lambda s, _: prune_kit.keep_random(50, count=20, seed=2)),
            (["--method", "stratified"], lambda s, _: prune_kit.keep_stratified(s, count=20, seed=0)),
        ],
    )
    def test_every_method(self, prunekit, scores, words, keep):
        table, others = self.flag(np.argsort(ScoreTable.read(scores)["score"])[-10:])
        result = json.loads(
            prunekit(*self.WORDS, "--exclude-flagged", "flags.parquet", *words, "--json").stdout
        )
        assert (result["kept"], result["excluded"]) == (20, 10)
        expected = others[keep(table["score"][others], table.labels[others])]
        assert read_ids("kept.parquet").tolist() == table.ids[expected].tolist()
        # Class counts are of all examples, flagged or not.
        assert [each["before"] for each in result["classes"]] == [15, 15, 15, 15]
        assert [each["kept"] for each in result["classes"]] == np.bincount(table.labels[expected]).tolist()
        assert ScoreTable.read("kept.parquet").provenance["exclude_flagged"] == "flags.parquet"

    def test_flags_are_matched_by_id(self, prunekit, scores):
        table = ScoreTable.read(scores)
        order = np.random.default_rng(0).permutation(60)
        self.flag(np.arange(10), labels=table.labels[order], ids=table.ids[order])
        prunekit(*self.WORDS, "--exclude-flagged", "flags.parquet")
        assert not np.isin(read_ids("kept.parquet"), table.ids[order[:10]]).any()

    def test_flags_of_no_example_change_nothing(self, prunekit, scores):
        self.flag([])
        result = prunekit(*self.WORDS, "--exclude-flagged", "flags.parquet")
        assert "kept 20 of 60 examples (hardest), none of the 0 flagged\n" in result.stdout
        kept = read_ids("kept.parquet").tolist()
        prunekit(*self.WORDS)
        assert read_ids("kept.parquet").tolist() == kept

    def test_bad_files(self, prunekit, scores):
        words = (*self.WORDS, "--exclude-flagged", "flags.parquet")
        assert "there is no file flags.parquet" in prunekit(*words, code=1).stderr
        table, _ = self.flag(np.arange(41))
        assert "20 of 60 examples are to be kept, and only 19 are not" in prunekit(*words, code=1).stderr
        self.flag([0], ids=table.ids + 1)
        assert "flags.parquet has no example with the ids 0" in prunekit(*words, code=1).stderr
        self.flag([0], labels=(table.labels + 1) % 4)
        assert "flags.parquet has other labels than the scores" in prunekit(*words, code=1).stderr
        table.to_parquet("flags.parquet")
        assert "must have a column flagged of true and false" in prunekit(*words, code=1).stderr
