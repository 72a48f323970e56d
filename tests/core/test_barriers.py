"""With children and paths that are made up: who is trained, who is measured, and how it goes on."""

import numpy as np
import pytest

from prune_kit.barriers import measure_barriers
from prune_kit.dynamics_files import read_barrier
from prune_kit.errors import PruneKitError, RunConflictError, StoreError
from prune_kit.linear_path import LinearPath
from prune_kit.store import Run
from prune_kit.table import ScoreTable

N = 20
OPTIONS = {
    "spawn_epochs": [0, 2],
    "epochs": 5,
    "settings": {"recipe": {"milestones": (60, 120)}},
    "group_size": 4,
    "points": 3,
    "score": None,
    "score_epoch": None,
    "seeds": [1],
}
SCORES = np.random.default_rng(0).permutation(N).astype(float)
IDS = 100 - np.arange(N)
# In the order of the data that the path was measured on, which is not the run's.
ORDER = np.random.default_rng(1).permutation(N)
WRONG = np.random.default_rng(2).random((3, N)) < 0.5
LOSS = np.random.default_rng(3).random((3, N)).astype(np.float32)


@pytest.fixture
def run(tmp_path):
    started = Run.start(
        tmp_path / "run",
        config={"scores": ["el2n"]},
        seeds=[0, 1],
        epochs=[0, 2],
        made_with={},
        scores=["el2n"],
    )
    with started as run:
        for seed in (0, 1):
            for epoch in (0, 2):
                columns = {"el2n": SCORES + seed, "predicted": np.zeros(N, int)}
                run.write_part(seed, epoch, ScoreTable(IDS, np.zeros(N, int), columns))
                path = run.checkpoint_path(seed, epoch)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    return run


class Trained:
    """Remembers what was asked for."""

    def __init__(self, stop_after=None):
        self.asked, self.measured, self.stop_after = [], [], stop_after

    def children(self, **asked):
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(asked)
        return Run(asked["run"], {"config": {}, "seeds": [], "epochs": [], "made_with": {}, "directions": {}})

    def path(self, first, second):
        self.measured.append((first, second))
        return LinearPath(np.array([0.0, 0.5, 1.0]), IDS[ORDER], WRONG[:, ORDER], LOSS[:, ORDER])


def measure(run, trained, out, **changed):
    return measure_barriers(run, trained.children, trained.path, out=out, **OPTIONS | changed)


def test_children_are_spawned_and_groups_measured(run, tmp_path):
    trained = Trained()
    found = measure(run, trained, tmp_path / "out")
    assert [each["initial_epoch"] for each in trained.asked] == [0, 2]
    assert [each["initial_weights"] for each in trained.asked] == [run.checkpoint_path(1, e) for e in (0, 2)]
    one, other = trained.asked[0]["seeds"]
    assert one != other
    assert not {one, other} & set(run.seeds)
    folder = tmp_path / "out/runs/seed=1/spawn=2"
    assert trained.asked[1]["run"] == folder
    assert trained.measured[1] == tuple(
        folder / f"checkpoints/seed={child}/epoch=5.safetensors" for child in (one, other)
    )
    order = np.argsort(SCORES, kind="stable")
    for kind, rows in (("lowest", order[:4]), ("highest", order[-4:]), ("all", order)):
        mine = (found["examples"] == kind) & (found["spawn_epoch"] == 2)
        assert found["alpha"][mine].tolist() == [0, 0.5, 1]
        np.testing.assert_allclose(found["error"][mine], [WRONG[p, rows].mean() for p in range(3)])
        np.testing.assert_allclose(found["loss"][mine], [LOSS[p, rows].mean() for p in range(3)], rtol=1e-6)
        assert set(found["count"][mine].tolist()) == {len(rows)}
    assert (found["examples"] == "random").sum() == 6
    read = read_barrier(tmp_path / "out")
    assert all(np.array_equal(read[name], found[name]) for name in found)


def test_it_goes_on_where_it_was_and_gains_seeds(run, tmp_path):
    whole = measure(run, Trained(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        measure(run, Trained(stop_after=1), tmp_path / "out")
    trained = Trained()
    found = measure(run, trained, tmp_path / "out")
    assert [each["initial_epoch"] for each in trained.asked] == [2]
    assert all(np.array_equal(whole[name], found[name]) for name in found)
    trained = Trained()
    found = measure(run, trained, tmp_path / "out", seeds=[0, 1], spawn_epochs=[2])
    assert [each["run"].parts[-2:] for each in trained.asked] == [("seed=0", "spawn=2")]
    assert len(found.summary) == 4 * 3


def test_barriers_of_another_kind_are_left_alone(run, tmp_path):
    measure(run, Trained(), tmp_path / "out")
    for changed in ({"epochs": 6}, {"group_size": 5}, {"settings": {"recipe": {"milestones": (9,)}}}):
        with pytest.raises(RunConflictError, match="what differs"):
            measure(run, Trained(), tmp_path / "out", **changed)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    with pytest.raises(StoreError, match=r"is not a directory of `prunekit barrier`"):
        measure(run, Trained(), tmp_path / "mine")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spawn_epochs": [0, 5]}, "epochs from 0 to 4, before the last one that is trained; got"),
        ({"spawn_epochs": []}, "`spawn_epochs` must be"),
        ({"spawn_epochs": [1]}, "no checkpoint of seed 1 at epoch 1; it has those of epochs 0, 2"),
        ({"seeds": [7]}, r"no checkpoint of seed 7 at epoch 0; it has those of epochs \(none\)"),
        ({"seeds": [1, 1]}, "each seed once"),
        ({"group_size": 21}, "from 1 to the number of examples, 20; got 21"),
        ({"epochs": 0}, "`epochs` must be a whole number of 1 or more"),
    ],
)
def test_bad_input(run, tmp_path, changed, message):
    with pytest.raises(PruneKitError, match=message):
        measure(run, Trained(), tmp_path / "out", **changed)
    assert not (tmp_path / "out").exists()


def test_groups_are_a_tenth_by_default_and_checkpoints_are_needed(run, tmp_path):
    found = measure(run, Trained(), tmp_path / "out", group_size=None)
    assert set(found["count"].tolist()) == {2, N}
    for path in run.path.glob("checkpoints/*/*"):
        path.unlink()
    with pytest.raises(PruneKitError, match="has no checkpoints"):
        measure(run, Trained(), tmp_path / "other")
