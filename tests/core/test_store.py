import json
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.dataset
import pytest

from prune_kit.errors import RunConflictError, StoreError
from prune_kit.store import Run
from prune_kit.table import ScoreTable

CONFIG = {"framework": "arrays", "scores": ["el2n"], "recipe": {"rate": 0.1, "milestones": (60, 120)}}
IDS = [5, 3, 9]


def start(path, *, seeds=(0,), epochs=(0,), config=CONFIG, versions=None):
    return Run.start(
        path,
        config=config,
        seeds=seeds,
        epochs=epochs,
        made_with=versions or {"numpy": "2"},
        scores=["el2n"],
    )


def table(value=0.0, ids=IDS, labels=(0, 1, 1)):
    return ScoreTable(ids, labels, {"el2n": np.array([value, value + 1, np.inf], np.float32)})


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_run_is_what_was_asked_for_and_its_parts(tmp_path):
    with start(tmp_path / "deep" / "run", seeds=[3, 1], epochs=[5, 0]) as run:
        assert run.parts() == []
        run.write_part(3, 0, table(1))
        run.write_part(1, 0, table(2))
        run.write_part(1, 5, table(3))
    opened = Run.open(tmp_path / "deep" / "run")
    assert opened.seeds == [1, 3]
    assert opened.epochs == [0, 5]
    assert opened.config == {**CONFIG, "recipe": {"rate": 0.1, "milestones": [60, 120]}}
    assert opened.made_with == {"numpy": "2"}
    assert opened.directions == {"el2n": "higher is harder"}
    assert opened.parts() == [(1, 0), (1, 5), (3, 0)]
    assert opened.read_part(1, 5)["el2n"].tolist() == [3, 4, np.inf]
    assert opened.part_path(1, 5).relative_to(opened.path).as_posix() == (
        "scores/seed=1/epoch=5/part-0.parquet"
    )


def test_the_scores_are_read_without_the_kit(tmp_path):
    """Hive partitions: DuckDB, Polars, Spark and pandas see columns seed and epoch."""
    with start(tmp_path, seeds=range(2), epochs=[0, 10]) as run:
        for seed in range(2):
            for epoch in (0, 10):
                run.write_part(seed, epoch, table(seed + epoch))
    dataset = pyarrow.dataset.dataset(tmp_path / "scores", partitioning="hive", format="parquet")
    rows = dataset.to_table().to_pylist()
    assert len(rows) == 12
    assert {(row["seed"], row["epoch"], row["id"], row["el2n"]) for row in rows} == {
        (seed, epoch, name, value)
        for seed in range(2)
        for epoch in (0, 10)
        for name, value in zip(IDS, (seed + epoch, seed + epoch + 1, np.inf), strict=True)
    }
    frame = pd.read_parquet(tmp_path / "scores")
    assert sorted(frame.columns) == ["el2n", "epoch", "id", "label", "seed"]
    assert len(frame) == 12


def test_epoch_0_is_an_epoch(tmp_path):
    with start(tmp_path, seeds=[0], epochs=[0, 3]) as run:
        run.write_part(0, 3, table(3))
        run.write_part(0, 0, table(0))
        assert run.read_part(0, 0)["el2n"][0] == 0
        assert [found["el2n"][0] for _, found in run.read_parts(0)] == [0]
        assert [found["el2n"][0] for _, found in run.read_parts(0, seeds=[0])] == [0]


def test_a_run_is_resumed_and_may_grow(tmp_path):
    with start(tmp_path, seeds=[0], epochs=[2], versions={"numpy": "2.0"}) as run:
        run.write_part(0, 2, table(1))
    before = contents(tmp_path / "scores")
    with start(tmp_path, seeds=[0], epochs=[2]) as run:
        assert run.parts() == [(0, 2)]
    with start(tmp_path, seeds=[1], epochs=[0, 4], versions={"numpy": "2.1"}) as run:
        assert run.seeds == [0, 1]
        assert run.epochs == [0, 2, 4]
        assert run.made_with == {"numpy": "2.0"}
    assert contents(tmp_path / "scores") == before
    assert Run.open(tmp_path).seeds == [0, 1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"framework": "torch"}, 'framework was "arrays", is now "torch"'),
        ({"recipe": {"rate": 0.2, "milestones": (60, 120)}}, "recipe.rate was 0.1, is now 0.2"),
        (
            {"recipe": {"rate": 0.1, "milestones": (60,)}},
            r"recipe.milestones was \[60, 120\], is now \[60\]",
        ),
        ({"new": 1}, "new was null, is now 1"),
        ({"scores": ["el2n", "margin"]}, r'scores was \["el2n"\], is now \["el2n", "margin"\]'),
    ],
)
def test_another_config_is_refused_with_what_differs_and_nothing_else(tmp_path, changed, said):
    with start(tmp_path) as run:
        run.write_part(0, 0, table())
    before = contents(tmp_path)
    with (
        pytest.raises(RunConflictError, match=f"holds another run; what differs: {said}\\. Hint"),
        start(tmp_path, config=CONFIG | changed),
    ):
        pytest.fail("a run with another config was begun")
    assert contents(tmp_path) == before


def test_everything_that_differs_is_named(tmp_path):
    with start(tmp_path) as run:
        run.write_part(0, 0, table())
    with pytest.raises(RunConflictError) as caught, start(tmp_path, config={"framework": "torch"}):
        pass
    assert "framework was" in str(caught.value)
    assert "recipe was" in str(caught.value)
    assert "scores was" in str(caught.value)


def test_a_run_that_failed_before_its_first_part_can_be_given_other_options(tmp_path):
    """Nothing is lost by it: the bad labels that ended the first command can be mended."""
    with start(tmp_path, seeds=[0, 1], epochs=[2]):
        pass
    with start(tmp_path, seeds=[5], epochs=[3], config=CONFIG | {"framework": "torch"}) as run:
        assert (run.config["framework"], run.seeds, run.epochs) == ("torch", [5], [3])


def test_where_the_scores_of_a_seed_come_from(tmp_path):
    """A run may gain seeds, or epochs of a seed, and keeps those that are not asked for this time."""

    def files(**names):
        return CONFIG | {"files": {name.replace("_", "="): value for name, value in names.items()}}

    with start(tmp_path, config=files(seed_0="a", seed_1="b")) as run:
        run.write_part(0, 0, table())
    # Seed 1 has not been scored yet: its file may have been mended.
    with start(tmp_path, config=files(seed_0="a", seed_1="c", seed_2="d"), seeds=[0, 1, 2]) as run:
        run.write_part(1, 0, table())
    with start(tmp_path, config=files(seed_0="a")) as run:
        assert run.config["files"] == {"seed=0": "a", "seed=1": "c", "seed=2": "d"}
        assert run.seeds == [0, 1, 2]
    with (
        pytest.raises(RunConflictError, match=r'what differs: files\.seed=1 was "c", is now "b"\. Hint'),
        start(tmp_path, config=files(seed_0="a", seed_1="b")),
    ):
        pass


@pytest.mark.parametrize("kept", ["resume/seed=0.pt", "checkpoints/seed=0/epoch=1.safetensors"])
def test_the_state_of_an_interrupted_seed_belongs_to_its_config(tmp_path, kept):
    with start(tmp_path):
        (tmp_path / kept).parent.mkdir(parents=True)
        (tmp_path / kept).write_bytes(b"weights")
    with (
        pytest.raises(RunConflictError, match="what differs"),
        start(tmp_path, config=CONFIG | {"framework": "torch"}),
    ):
        pass


def test_a_second_writer_is_refused(tmp_path):
    with (
        start(tmp_path),
        pytest.raises(RunConflictError, match="another command is writing"),
        start(tmp_path),
    ):
        pass
    with start(tmp_path):
        pass


def test_a_foreign_directory_is_refused_and_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with (
        pytest.raises(StoreError, match="exists and is not a run directory; nothing in it was touched"),
        start(tmp_path),
    ):
        pass
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}
    with pytest.raises(StoreError, match="is not a run directory"), start(tmp_path / "thesis.tex"):
        pass
    with (
        pytest.raises(StoreError, match="cannot be made: Not a directory"),
        start(tmp_path / "thesis.tex" / "run"),
    ):
        pass
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_an_empty_directory_is_taken(tmp_path):
    with start(tmp_path) as run:
        assert run.path == tmp_path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b'{"format": 1', "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "must have format 1; got 'list'"),
        (b"{}", "must have format 1; got None"),
        (b'{"format": 2}', "must have format 1; got 2"),
        (b'{"format": 1, "seeds": [0]}', "lacks config, directions, epochs, made_with; it is damaged"),
        (
            b'{"format": 1, "config": 3, "seeds": [0], "epochs": 1, "made_with": {}, "directions": {}}',
            "config, epochs are not what they should be; it is damaged",
        ),
        (
            b'{"format": 1, "config": {}, "seeds": ["0"], "epochs": [1], "made_with": {}, "directions": {}}',
            "seeds are not what they should be; it is damaged",
        ),
    ],
)
def test_a_damaged_run_is_refused_and_not_touched(tmp_path, content, message):
    with start(tmp_path) as run:
        run.write_part(0, 0, table())
    (tmp_path / "run.json").write_bytes(content)
    before = contents(tmp_path)
    with pytest.raises(StoreError, match=message):
        Run.open(tmp_path)
    with pytest.raises(StoreError, match=message), start(tmp_path):
        pass
    assert contents(tmp_path) == before


def test_what_is_no_run_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match=r"is not a run directory: it has no run\.json"):
            Run.open(path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is not a run directory"):
        Run.open(tmp_path / "file")


def test_what_a_killed_writer_leaves_is_never_read_and_removed_at_the_next_start(tmp_path):
    with start(tmp_path, seeds=[0, 1]) as run:
        run.write_part(0, 0, table(1))
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from prune_kit.atomic import atomic_path\n"
        "path = Path(sys.argv[1])\n"
        "path.parent.mkdir(parents=True, exist_ok=True)\n"
        "with atomic_path(path) as aside:\n"
        "    aside.write_bytes(b'half a part')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for name in ("scores/seed=1/epoch=0/part-0.parquet", "run.json", "resume/seed=1.pt"):
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], check=False)
        assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob(".tmp-*"))) == 3
    assert Run.open(tmp_path).parts() == [(0, 0)]
    assert [seed for seed, _ in Run.open(tmp_path).read_parts(0)] == [0]
    assert len(pd.read_parquet(tmp_path / "scores")) == 3
    with start(tmp_path, seeds=[0, 1]) as run:
        assert list(tmp_path.rglob(".tmp-*")) == []
        assert run.parts() == [(0, 0)]


def test_a_part_that_cannot_be_written_leaves_the_one_before(tmp_path):
    with start(tmp_path) as run:
        run.write_part(0, 0, table(1))
        bad = table(2)
        bad.provenance = {"not JSON": object()}
        with pytest.raises(ValueError, match="provenance"):
            run.write_part(0, 0, bad)
        assert run.read_part(0, 0)["el2n"][0] == 1
        (tmp_path / "scores" / "seed=7").write_text("in the way")
        with pytest.raises(StoreError, match="cannot be made"):
            run.write_part(7, 0, table())


def test_a_missing_part_is_named_with_those_there_are(tmp_path):
    with start(tmp_path, seeds=[0, 1], epochs=[0, 2]) as run:
        with pytest.raises(StoreError, match="it has none yet"):
            run.read_part(0, 0)
        with pytest.raises(StoreError, match=r"the scored epochs are \(none yet\)"):
            list(run.read_parts(0))
        run.write_part(1, 2, table())
        with pytest.raises(StoreError, match="no scores of seed 0 at epoch 2; it has seed 1 epoch 2"):
            list(run.read_parts(2, seeds=[1, 0]))
        with pytest.raises(StoreError, match="no scores at epoch 0; the scored epochs are 2"):
            list(run.read_parts(0))


def test_seeds_in_another_order_are_read_in_the_order_of_the_first(tmp_path):
    with start(tmp_path, seeds=[0, 1, 2]) as run:
        run.write_part(0, 0, ScoreTable([5, 3, 9], [0, 1, 2], {"el2n": [0.5, 0.3, 0.9]}))
        run.write_part(1, 0, ScoreTable([9, 5, 3], [2, 0, 1], {"el2n": [0.9, 0.5, 0.3]}))
        run.write_part(2, 0, ScoreTable([3, 9, 5], [1, 2, 0], {"el2n": [0.3, 0.9, 0.5]}))
        for _, part in run.read_parts(0):
            assert part.ids.tolist() == [5, 3, 9]
            assert part.labels.tolist() == [0, 1, 2]
            assert part["el2n"].tolist() == [0.5, 0.3, 0.9]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (table(ids=[5, 3, 8]), "1 are missing from .*seed 1, epoch 0: 9"),
        (ScoreTable([5, 3], [0, 1], {}), "1 are missing from .*seed 1, epoch 0: 9"),
        (ScoreTable([5, 3, 9, 4, 2], [0, 1, 1, 0, 0], {}), "2 are missing from the first seed: 2, 4"),
        (table(labels=(0, 1, 0)), "seed 1, epoch 0: labels differ from the first seed's"),
        (ScoreTable([9, 5, 3], [0, 1, 1], {}), "labels differ from the first seed's"),
    ],
)
def test_seeds_that_do_not_fit_each_other_are_refused(tmp_path, second, message):
    with start(tmp_path, seeds=[0, 1]) as run:
        run.write_part(0, 0, table())
        run.write_part(1, 0, second)
        with pytest.raises(StoreError, match=message):
            list(run.read_parts(0))


def test_a_part_cut_short_is_named(tmp_path):
    with start(tmp_path) as run:
        run.write_part(0, 0, table())
        path = run.part_path(0, 0)
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(
            StoreError, match=r"seed=0/epoch=0/part-0\.parquet is not a readable Parquet file"
        ):
            list(run.read_parts(0))


def test_run_json_is_for_people_too(tmp_path):
    with start(tmp_path, seeds=range(2)):
        pass
    text = (tmp_path / "run.json").read_text()
    assert json.loads(text)["format"] == 1
    assert text.endswith("}\n")
    assert "\n  " in text
