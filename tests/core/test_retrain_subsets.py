"""Retraining with a stand-in for an adapter: what is asked of it, what is kept, what is refused."""

import json

import numpy as np
import pytest

import prune_kit.retrain_subsets
from prune_kit.errors import PruneKitError, RunConflictError, StoreError
from prune_kit.retrain_subsets import retrain_subsets
from prune_kit.retraining import Retraining
from prune_kit.store import Run
from prune_kit.table import ScoreTable
from prune_kit.training import Recipe

N, TEST = 40, 20
LABELS = np.arange(TEST) % 2


class Adapter:
    """Data is a tuple of numbers; a seed predicts so many labels wrong as it has trained on few examples."""

    def __init__(self):
        self.calls = []
        self.stop_at = None

    def as_source(self, data, *, like=None):
        return Source(data, like)

    def subset(self, data, positions):
        return tuple(data[p] for p in positions.tolist())

    def train_seeds(self, make_model, test, /, *, training_data, seeds, at_epochs, run, described, **options):
        options |= {"training_data": training_data, "seeds": seeds, "at_epochs": at_epochs}
        self.calls.append((described["training"]["subset"], options))
        config = {"data": {"fingerprint": test.fingerprint()}, **described}
        with Run.start(
            run, config=config, seeds=seeds, epochs=at_epochs, made_with={}, scores=["el2n"]
        ) as opened:
            for seed in seeds:
                for epoch in at_epochs:
                    if (seed, epoch) in opened.parts():
                        continue
                    if self.stop_at == len(self.calls):
                        raise KeyboardInterrupt
                    opened.write_part(seed, epoch, self.table(len(training_data), seed, epoch))
        return opened

    @staticmethod
    def wrong(examples, seed, epoch):
        return min(TEST, (N - examples) // 8 + seed + (3 - epoch))

    def table(self, examples, seed, epoch):
        predicted = LABELS.copy()
        predicted[: self.wrong(examples, seed, epoch)] ^= 1
        columns = {"predicted": predicted, "p_label": np.ones(TEST), "el2n": np.ones(TEST)}
        return ScoreTable(np.arange(TEST), LABELS, columns)


class Source:
    def __init__(self, data, like):
        self.data, self.like = data, like

    def __len__(self):
        return len(self.data)

    def steps(self, batch_size):
        return max(1, len(self.data) // batch_size)

    def fingerprint(self):
        return f"{self.data[0]} to {self.data[-1]}"


@pytest.fixture
def adapter(monkeypatch):
    monkeypatch.setattr(prune_kit.retrain_subsets, "versions", lambda *packages: {"stand-in": "1"})
    return Adapter()


def retrain(adapter, out, **changed):
    options = {
        "subsets": {"kept": [1, 3, 5, 7], "random": lambda seed: [seed, 9, 20, 30], "full": None},
        "seeds": 2,
        "epochs": 3,
        "equal": "steps",
        "at_epochs": None,
        "recipe": Recipe(batch_size=8),
        "prepare": None,
        "described": None,
        "test_described": None,
        "progress": False,
    } | changed
    data = options.pop("data", tuple(range(N)))
    test_data = options.pop("test_data", tuple(range(100, 100 + TEST)))
    return retrain_subsets(
        object,
        data,
        test_data,
        as_source=adapter.as_source,
        subset=adapter.subset,
        train_seeds=adapter.train_seeds,
        framework="stand-in",
        out=out,
        **options,
    )


def test_every_subset_is_trained_for_the_steps_of_all_of_the_data(adapter, tmp_path):
    made = retrain(adapter, tmp_path / "out", at_epochs=[1, 3], device="cpu")
    assert [(name, each["seeds"]) for name, each in adapter.calls] == [
        ("kept", [0, 1]),
        ("random", [0]),
        ("random", [1]),
        ("full", [0, 1]),
    ]
    assert {each["steps_per_epoch"] for _, each in adapter.calls} == {N // 8}
    assert {each["device"] for _, each in adapter.calls} == {"cpu"}
    assert [each["training_data"].data for _, each in adapter.calls] == [
        (1, 3, 5, 7),
        (0, 9, 20, 30),
        (1, 9, 20, 30),
        tuple(range(N)),
    ]
    # Standardised as all of the data is.
    assert {each["training_data"].like.data for _, each in adapter.calls} == {tuple(range(N))}
    assert made.rows == [
        {
            "subset": name,
            "kept": kept,
            "seed": seed,
            "epoch": epoch,
            "steps": epoch * 5,
            "accuracy": (TEST - adapter.wrong(kept, seed, epoch)) / TEST,
        }
        for name, kept in (("kept", 4), ("random", 4), ("full", N))
        for seed in (0, 1)
        for epoch in (1, 3)
    ]
    assert made.last_epoch == 3
    assert [row["epoch"] for row in made.summary()] == [3, 3, 3]
    assert [row["epoch"] for row in made.summary(epoch=1)] == [1, 1, 1]


def test_equal_epochs_are_passes_over_the_subset(adapter, tmp_path):
    made = retrain(adapter, tmp_path / "out", equal="epochs", subsets={"kept": range(16), "full": None})
    assert {each["steps_per_epoch"] for _, each in adapter.calls} == {None}
    assert [(row["subset"], row["steps"]) for row in made.summary()] == [("kept", 3 * 2), ("full", 3 * 5)]
    assert made.equal == "epochs"


def test_prepare_makes_what_is_trained_on(adapter, tmp_path):
    retrain(
        adapter, tmp_path / "out", subsets={"kept": [1, 3], "full": None}, prepare=lambda kept: (*kept, *kept)
    )
    kept, full = (each for _, each in adapter.calls)
    assert kept["training_data"].data == (1, 3, 1, 3)
    assert full["training_data"].data == (*range(N), *range(N))
    assert kept["steps_per_epoch"] == full["steps_per_epoch"] == 2 * N // 8


def test_it_says_what_was_done(adapter, tmp_path):
    retrain(
        adapter,
        tmp_path / "out",
        described={"data_source": "train"},
        test_described={"data_source": "test"},
    )
    said = json.loads((tmp_path / "out/retrain.json").read_text())
    assert said["format"] == 1
    assert said["config"]["data_source"] == "train"
    assert said["test"] == {"examples": TEST, "fingerprint": "100 to 119", "data_source": "test"}
    assert list(said["subsets"]) == ["kept", "random", "full"]
    assert (said["seeds"], said["epochs"], said["at_epochs"], said["equal"]) == ([0, 1], 3, [3], "steps")
    run = Retraining.read(tmp_path / "out").run("random")
    assert run.config["data_source"] == "test"
    training = run.config["training"]
    assert (training["fingerprint"], training["steps"], training["kept"]) == ("0 to 39", 5, 4)
    assert training["seed=0"] != training["seed=1"]


def everything(path):
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_interrupted_anywhere_it_goes_on_to_the_same_bytes(adapter, tmp_path):
    retrain(adapter, tmp_path / "whole")
    for stop_at in (1, 2, 3, 4):
        out = tmp_path / f"stopped {stop_at}"
        adapter.calls, adapter.stop_at = [], stop_at
        with pytest.raises(KeyboardInterrupt):
            retrain(adapter, out)
        adapter.stop_at = None
        if stop_at == 1:
            with pytest.raises(StoreError, match=r"there is no file .*accuracy.parquet"):
                Retraining.read(out)
        if stop_at == 3:
            assert [row["subset"] for row in Retraining.read(out).summary()] == ["kept"]
        (out / ".tmp-left").touch()
        retrain(adapter, out)
        assert everything(out) == everything(tmp_path / "whole")


def test_it_may_gain_subsets_seeds_and_epochs(adapter, tmp_path):
    subsets = {"kept": [1, 3, 5, 7], "full": None}
    retrain(adapter, tmp_path / "out", subsets=subsets, seeds=1, epochs=1)
    more = retrain(adapter, tmp_path / "out", subsets={"other": [2, 4]}, seeds=[1], epochs=2)
    assert list(more.subsets) == ["kept", "full", "other"]
    assert (more.seeds, more.epochs) == ([0, 1], 2)
    # At the epoch at which most trainings were tested, which is not the last of all.
    assert more.last_epoch == 1
    assert [(row["subset"], row["epoch"]) for row in more.summary(epoch=1)] == [("kept", 1), ("full", 1)]
    again = retrain(
        adapter, tmp_path / "out", subsets={**subsets, "other": [2, 4]}, seeds=2, epochs=2, at_epochs=[1, 2]
    )
    assert [(row["subset"], row["seeds"], row["epoch"]) for row in again.summary()] == [
        ("kept", 2, 2),
        ("full", 2, 2),
        ("other", 2, 2),
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"equal": "epochs"}, 'equal was "steps", is now "epochs"'),
        ({"recipe": Recipe(batch_size=4)}, "config.recipe.batch_size was 8, is now 4"),
        ({"data": tuple(range(1, N + 1))}, 'config.data.fingerprint was "0 to 39", is now "1 to 40"'),
        ({"test_data": tuple(range(50, 50 + TEST))}, "test.fingerprint was"),
        ({"subsets": {"kept": [1, 3, 5, 8]}}, "subsets.kept.examples was"),
        ({"subsets": {"full": lambda seed: [1]}}, "subsets.full.drawn was null"),
        ({"subsets": {"random": lambda seed: [8, 9, 20, 30]}}, "training.seed=0 was"),
        ({"prepare": lambda kept: kept}, "prepare"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_retraining_in_its_place_is_refused(adapter, tmp_path, changed, message):
    out = tmp_path / "out"
    retrain(adapter, out)
    before = everything(out)
    with pytest.raises(RunConflictError, match=message):
        retrain(adapter, out, **changed)
    assert everything(out) == before


def test_one_that_has_no_result_is_begun_anew(adapter, tmp_path):
    adapter.stop_at = 1
    with pytest.raises(KeyboardInterrupt):
        retrain(adapter, tmp_path / "out", equal="epochs", subsets={"kept": [1], "typo": [2]})
    adapter.stop_at = None
    made = retrain(adapter, tmp_path / "out")
    assert list(made.subsets) == ["kept", "random", "full"]


def test_test_data_that_is_the_training_data_is_refused(adapter, tmp_path):
    with pytest.raises(PruneKitError, match="`test_data` is the training data"):
        retrain(adapter, tmp_path / "out", test_data=tuple(range(N)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"equal": "time"}, "`equal` must be one of steps, epochs; got 'time'"),
        ({"seeds": 0}, "`seeds` must be"),
        ({"at_epochs": [4]}, "`at_epochs` must be"),
        ({"subsets": {}}, "`subsets` must name at least one"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_is_written(adapter, tmp_path, changed, message):
    with pytest.raises(PruneKitError, match=message):
        retrain(adapter, tmp_path / "out", **changed)
    assert not (tmp_path / "out").exists()


def test_a_directory_of_something_else_is_left_alone(adapter, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="exists and is not a retraining; nothing in it was touched"):
        retrain(adapter, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
