"""What every pruned data set on disk has in common: ids, the record, refusals."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from PIL import Image

from prune_kit.data import load_examples
from prune_kit.data.pruned import RECORD, write_pruned
from prune_kit.errors import PruneKitError, StoreError
from prune_kit.subset_file import read_ids
from prune_kit.table import ScoreTable

N = 30
CLASSES = ("ant", "bee", "cat")


@pytest.fixture
def parquet(tmp_path):
    """A folder of three files, without ids of their own."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for part in range(3):
        rows = np.arange(part * 10, part * 10 + 10)
        table = pa.table({"x": rows.astype(np.float32), "label": rows % 3})
        pq.write_table(table, folder / f"train-{part}.parquet")
    return folder


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "photos"
    for i in range(N):
        path = folder / CLASSES[i % 3] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 8 * i).save(path)
        os.utime(path, (1000 + i, 2000 + i))
    return folder


@pytest.fixture(params=["parquet", "images"])
def source(request):
    return request.getfixturevalue(request.param)


def some_ids(source):
    ids = load_examples(source).ids
    return ids[np.random.default_rng(1).permutation(N)[:12]]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_what_is_written_loads_as_the_kept_examples(source, tmp_path):
    whole, ids = load_examples(source), some_ids(source)
    written = write_pruned(source, tmp_path / "out", ids)
    positions = np.sort(whole.positions_of(ids))
    expected, found = whole.take(positions), load_examples(tmp_path / "out")
    np.testing.assert_array_equal(found.inputs, expected.inputs)
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.class_names == expected.class_names
    if source.name == "photos":  # positions count anew
        assert found.ids.tolist() == expected.ids.tolist()
    assert written.examples == 12
    assert written.vanished == ()
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != RECORD.name]
    assert written.files == len(files) == (12 if source.name == "photos" else 3)
    assert written.size == sum(path.stat().st_size for path in files)


def test_the_record_names_what_was_kept_in_the_order_of_the_data(source, tmp_path):
    whole, ids = load_examples(source), some_ids(source)
    write_pruned(source, tmp_path / "ids", ids)
    in_order = whole.take(np.sort(whole.positions_of(ids)))
    assert read_ids(tmp_path / "ids" / RECORD).tolist() == in_order.ids.tolist()
    scores = {"score": whole.positions_of(ids) / 100}
    kept = ScoreTable(ids, whole.labels[whole.positions_of(ids)], scores, {"method": "hardest"})
    write_pruned(source, tmp_path / "table", kept)
    record = ScoreTable.read(tmp_path / "table" / RECORD)
    assert record.ids.tolist() == in_order.ids.tolist()
    assert record.labels.tolist() == in_order.labels.tolist()
    assert record["score"].tolist() == (np.sort(whole.positions_of(ids)) / 100).tolist()
    assert record.provenance == {"method": "hardest"}


LOAD = """
import json, sys
from datasets import load_dataset
kind, folder, cache = sys.argv[1:]
data = load_dataset(kind, data_dir=folder, split="train", cache_dir=cache)
column = data["x"] if kind == "parquet" else [image.getpixel((0, 0)) // 8 for image in data["image"]]
print(json.dumps([data.column_names, list(column), list(data["label"])]))
"""


@pytest.mark.parametrize(
    ("fixture", "kind", "name"), [("parquet", "parquet", "x"), ("images", "imagefolder", "image")]
)
def test_hugging_face_reads_it_and_passes_over_the_record(request, tmp_path, fixture, kind, name):
    source = request.getfixturevalue(fixture)
    whole, ids = load_examples(source), some_ids(source)
    write_pruned(source, tmp_path / "out", ids)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, kind, tmp_path / "out", tmp_path / "cache"],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    columns, values, labels = json.loads(done.stdout.splitlines()[-1])
    assert columns == [name, "label"]
    expected = whole.take(np.sort(whole.positions_of(ids)))
    firsts = expected.inputs.reshape(12, -1)[:, 0].astype(int)
    if kind == "imagefolder":  # in an order of its own
        assert sorted(values) == sorted((firsts // 8).tolist())
        assert labels == [value % 3 for value in values]
    else:
        assert values == firsts.tolist()
        assert labels == expected.labels.tolist()


def test_arrow_reads_it_and_passes_over_the_record(parquet, tmp_path):
    write_pruned(parquet, tmp_path / "out", [25, 3])
    assert pa.dataset.dataset(tmp_path / "out").to_table().to_pydict() == {"x": [3, 25], "label": [0, 1]}
    assert pq.read_table(tmp_path / "out").num_rows == 2


def test_an_id_that_is_not_there_is_told_before_anything_is_written(source, tmp_path):
    ids = [5, 30, -1] if source.name == "rows" else ["ant/0.png", "ant/1.png", "bee/none.png"]
    missing = "30, -1" if source.name == "rows" else "'ant/1.png', 'bee/none.png'"
    before = contents(tmp_path)
    with pytest.raises(PruneKitError, match=f"has no example with the ids {missing}"):
        write_pruned(source, tmp_path / "out", ids)
    other = ["a"] if source.name == "rows" else [0]
    kinds = "integers; got strings" if source.name == "rows" else "strings; got integers"
    with pytest.raises(PruneKitError, match=f"the ids of .* are {kinds}.*are these ids of other data"):
        write_pruned(source, tmp_path / "out", other)
    assert contents(tmp_path) == before


def test_ids_must_be_ids(source, tmp_path):
    for ids, message in [
        ([], "no ids to write"),
        ([1, 1], "1 occur more than once"),
        ([0.5], "must be integers or strings; got dtype float64"),
        (np.ones(N, bool), "got dtype bool"),
    ]:
        with pytest.raises(PruneKitError, match=message):
            write_pruned(source, tmp_path / "out", ids)
    assert not (tmp_path / "out").exists()


def test_where_something_is_nothing_is_written(source, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("old")
    (tmp_path / "file").write_text("old")
    (source / "empty").mkdir()
    before = contents(tmp_path)
    link = tmp_path / "elsewhere"
    link.symlink_to(source)
    for out, message in [
        (taken, "is there and not empty"),
        (source, "is there and not empty"),
        (tmp_path / "file", "it is a file"),
        (tmp_path / "none" / "out", "there is no folder"),
    ]:
        with pytest.raises(StoreError, match=message):
            write_pruned(source, out, [0])
    shutil.rmtree(source / "empty")
    before.pop(f"{source.name}/empty")
    for out in (source / "out", link / "out", source / ".." / source.name / "out"):
        with pytest.raises(PruneKitError, match=r"must not be inside .*Hint: give a folder elsewhere"):
            write_pruned(source, out, [0])
    link.unlink()
    assert contents(tmp_path) == before


def test_an_empty_folder_is_taken(source, tmp_path):
    (tmp_path / "out").mkdir()
    write_pruned(source, tmp_path / "out", some_ids(source))
    assert len(load_examples(tmp_path / "out")) == 12


@pytest.mark.parametrize("name", ["digits", "digits:all", "x.npz", "x.npy"])
def test_other_kinds_of_data_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", x=np.zeros((2, 2)), y=[0, 1])
    np.save("x.npy", np.zeros((2, 2)))
    with pytest.raises(PruneKitError, match=f"{name} must be Parquet files or a folder of class folders"):
        write_pruned(name, "out", [0])
    with pytest.raises(StoreError, match="no file or folder nowhere"):
        write_pruned("nowhere", "out", [0])


def test_a_full_disk_leaves_nothing_behind(source, tmp_path):
    for path in [*source.rglob("*.png"), *source.rglob("*.parquet")]:
        assert path.stat().st_size > 64
    before = contents(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(
            StoreError, match=r"cannot write .*out: .*File too large.*Hint: check the free space"
        ):
            write_pruned(source, tmp_path / "out", some_ids(source))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert contents(tmp_path) == before


def test_no_space_for_the_record_leaves_nothing_behind(source, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    ids = some_ids(source)
    before = contents(tmp_path)
    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(StoreError, match="cannot write .*kept.parquet: .*No space left"):
        write_pruned(source, tmp_path / "out", ids)
    assert contents(tmp_path) == before
