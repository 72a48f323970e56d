"""With kernels that are made up: which are asked for, what is written, and how it goes on."""

import numpy as np
import pytest

from prune_kit.dynamics_files import VELOCITY_TYPES, read_velocity
from prune_kit.errors import PruneKitError, RunConflictError, StoreError
from prune_kit.store import Run
from prune_kit.table import ScoreTable
from prune_kit.velocities import inputs_of_groups, measure_velocities

N, EPOCHS = 12, (0, 1, 3)


@pytest.fixture
def run(tmp_path):
    """Two seeds at three epochs, with files in the place of checkpoints; ids count down."""
    rng = np.random.default_rng(0)
    started = Run.start(
        tmp_path / "run",
        config={"scores": ["el2n"]},
        seeds=[0, 1],
        epochs=EPOCHS,
        made_with={},
        scores=["el2n"],
    )
    with started as run:
        for seed in (0, 1):
            for epoch in EPOCHS:
                scores = np.arange(N) + rng.random(N) / 4
                columns = {"el2n": scores, "predicted": np.zeros(N, int)}
                table = ScoreTable(100 - np.arange(N), np.zeros(N, int), columns)
                run.write_part(seed, epoch, table)
                path = run.checkpoint_path(seed, epoch)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{seed} {epoch}")
    return run


class MadeUp:
    """A kernel [[1, s], [s, 1]]: s depends on seed, epoch and group."""

    def __init__(self, asked, stop_after=None):
        self.asked, self.stop_after = asked, stop_after

    def __call__(self, ids):
        self.ids = ids
        return self

    def load(self, checkpoint):
        self.seed, self.epoch = map(int, checkpoint.read_text().split())

    def kernel(self, group):
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append((self.seed, self.epoch, group))
        return kernel(self.seed, self.epoch, group)


def kernel(seed, epoch, group):
    s = 0.1 * epoch + 0.05 * group + 0.02 * seed
    return np.array([[1, s], [s, 1]])


def cosine_gap(a, b):
    return 1 - (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b))


def test_every_interval_of_every_group(run, tmp_path):
    asked = []
    kernels = MadeUp(asked)
    columns = measure_velocities(
        run, kernels, out=tmp_path / "v.parquet", group_size=3, groups=2, seeds=[1, 0]
    )
    assert [ids.tolist() for ids in kernels.ids] == [[100, 99, 98], [91, 90, 89]]
    assert len(asked) == len(set(asked)) == 2 * 3 * 2
    rows = list(zip(*(columns[name].tolist() for name in list(VELOCITY_TYPES)[:4]), strict=True))
    assert rows == [(s, a, b, g) for s in (0, 1) for a, b in ((0, 1), (1, 3)) for g in (0, 1)]
    expected = [cosine_gap(kernel(s, a, g), kernel(s, b, g)) for s, a, b, g in rows]
    np.testing.assert_allclose(columns["velocity"], expected, rtol=1e-12)
    assert columns["first_rank"][:2].tolist() == [0, 9]
    assert columns["last_rank"][:2].tolist() == [3, 12]
    tables = [run.read_part(seed, 3)["el2n"] for seed in (0, 1)]
    np.testing.assert_allclose(
        columns["score"][:2], [np.mean([t[:3] for t in tables]), np.mean([t[9:] for t in tables])]
    )
    read = read_velocity(tmp_path / "v.parquet")
    assert list(read) == list(VELOCITY_TYPES)
    for name, column in columns.items():
        np.testing.assert_array_equal(read[name], column)
        assert read[name].dtype == column.dtype == (np.float64 if name in ("score", "velocity") else np.int64)


def test_the_first_seed_by_default(run, tmp_path):
    columns = measure_velocities(run, MadeUp([]), out=tmp_path / "v.parquet", group_size=3, groups=None)
    assert set(columns["seed"].tolist()) == {0}
    assert set(columns["group"].tolist()) == {0, 1, 2, 3}


def test_chosen_epochs_skip_those_between(run, tmp_path):
    columns = measure_velocities(run, MadeUp([]), out=tmp_path / "v.parquet", group_size=3, epochs=[3, 0])
    assert set(zip(columns["epoch"].tolist(), columns["next_epoch"].tolist(), strict=True)) == {(0, 3)}


def test_what_was_interrupted_goes_on(run, tmp_path):
    options = {"out": tmp_path / "v.parquet", "group_size": 3, "groups": 2}
    with pytest.raises(KeyboardInterrupt):
        measure_velocities(run, MadeUp([], stop_after=3), **options)
    assert len(read_velocity(tmp_path / "v.parquet")["velocity"]) == 1
    asked = []
    columns = measure_velocities(run, MadeUp(asked), **options)
    # Of group 0 the first interval is there: its kernel at epoch 0 is not needed again.
    assert asked == [(0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 3, 0), (0, 3, 1)]
    whole = measure_velocities(run, MadeUp([]), **options | {"out": tmp_path / "whole.parquet"})
    np.testing.assert_array_equal(columns["velocity"], whole["velocity"])
    asked.clear()
    measure_velocities(run, MadeUp(asked), **options)
    assert asked == []
    both = measure_velocities(run, MadeUp(asked), **options, seeds=[1])
    assert set(both["seed"].tolist()) == {0, 1}
    assert {seed for seed, _, _ in asked} == {1}


@pytest.mark.parametrize("changed", [{"group_size": 4}, {"groups": 3}, {"score_epoch": 1}])
def test_a_file_of_other_groups_stays(run, tmp_path, changed):
    options = {"out": tmp_path / "v.parquet", "group_size": 3, "groups": 2}
    measure_velocities(run, MadeUp([]), **options)
    before = (tmp_path / "v.parquet").read_bytes()
    with pytest.raises(RunConflictError, match="holds rows that were measured otherwise; what differs: "):
        measure_velocities(run, MadeUp([]), **options | changed)
    assert (tmp_path / "v.parquet").read_bytes() == before


def test_bad_input(run, tmp_path):
    out = tmp_path / "v.parquet"
    with pytest.raises(
        PruneKitError, match=r"no checkpoint of seed 0 at epoch 2; it has those of epochs 0, 1, 3"
    ):
        measure_velocities(run, MadeUp([]), out=out, group_size=3, epochs=[0, 2])
    with pytest.raises(PruneKitError, match="between two checkpoints"):
        measure_velocities(run, MadeUp([]), out=out, group_size=3, epochs=[1])
    with pytest.raises(PruneKitError, match="seed 7 .* has none"):
        measure_velocities(run, MadeUp([]), out=out, group_size=3, seeds=[7])
    with pytest.raises(PruneKitError, match="each seed once"):
        measure_velocities(run, MadeUp([]), out=out, group_size=3, seeds=[0, 0])
    with pytest.raises(StoreError, match="there is no folder"):
        measure_velocities(run, MadeUp([]), out=tmp_path / "no" / "v.parquet", group_size=3)
    for file in run.path.glob("checkpoints/*/*"):
        file.unlink()
    with pytest.raises(PruneKitError, match=r"has no checkpoints. Hint: .*--save-checkpoints"):
        measure_velocities(run, MadeUp([]), out=out, group_size=3)
    assert not out.exists()


def test_a_kernel_of_zeros_says_where(run, tmp_path):
    class Zero(MadeUp):
        def kernel(self, group):
            return np.zeros((2, 2))

    with pytest.raises(PruneKitError, match="seed 0, epochs 0 to 1: `kernel` must be finite and not zero"):
        measure_velocities(run, Zero([]), out=tmp_path / "v.parquet", group_size=3)


def test_inputs_in_the_order_of_the_ids():
    batches = [(np.array([5, 3]), np.array([50, 30]), None), (np.array([9, 1]), np.array([90, 10]), None)]
    groups = [np.array([1, 5]), np.array([9])]
    found = inputs_of_groups(batches, groups, pick=lambda inputs, n, rows: inputs[rows], join=np.concatenate)
    assert [each.tolist() for each in found] == [[10, 50], [90]]
    for wanted, said in ((np.array([1, 4]), "has no example with the ids 4"), (np.array([4]), "has none of")):
        with pytest.raises(PruneKitError, match=said):
            inputs_of_groups(
                batches, [wanted], pick=lambda inputs, n, rows: inputs[rows], join=np.concatenate
            )
