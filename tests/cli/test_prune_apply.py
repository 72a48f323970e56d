"""`prunekit prune --apply`: the pruned data set itself."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import prune_kit
from prune_kit.data import load_examples
from prune_kit.store import Run
from prune_kit.table import ScoreTable

CLASSES = ("ant", "bee", "cat")
N = 60


@pytest.fixture
def rows(tmp_path):
    """Three Parquet files of 20 rows, without ids of their own."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "rows"
    folder.mkdir()
    for part in range(3):
        labels = rng.integers(0, 3, 20)
        features = (rng.standard_normal((20, 4)) + labels[:, None]).astype(np.float32)
        columns = {"features": features.tolist(), "label": labels, "comment": ["as it was"] * 20}
        pq.write_table(pa.table(columns), folder / f"train-{part}.parquet")
    return folder


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for i in range(N):
        path = folder / CLASSES[i % 3] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return folder


def write_scores(source, path="scores.parquet", *, seed=0):
    """Write random scores of the examples of `source`, in an order that is not theirs."""
    examples = load_examples(source)
    order = np.random.default_rng(seed).permutation(len(examples))
    scores = {"score": np.random.default_rng(seed + 1).random(len(examples))}
    table = ScoreTable(examples.ids[order], examples.labels[order], scores, {"run": "RUN"})
    table.to_parquet(path)
    return table


@pytest.mark.parametrize("fixture", ["rows", "photos"])
def test_the_folder_loads_as_the_kept_examples(request, prunekit, fixture):
    source = request.getfixturevalue(fixture)
    table = write_scores(source)
    words = ("prune", "scores.parquet", "--keep", "0.5", "--apply", source, "--out", "half")
    result = prunekit(*words)
    whole = load_examples(source)
    kept = table.ids[prune_kit.keep_hardest(table["score"], fraction=0.5)]
    expected, found = whole.take(np.sort(whole.positions_of(kept))), load_examples("half")
    np.testing.assert_array_equal(found.inputs, expected.inputs)
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.class_names == expected.class_names
    record = ScoreTable.read("half/.prune_kit/kept.parquet")
    assert record.ids.tolist() == expected.ids.tolist()
    assert record["score"].min() >= np.median(table["score"])
    assert record.provenance == {
        "method": "hardest",
        "keep": 0.5,
        "offset": None,
        "prune_hardest": None,
        "strata": None,
        "per_class": False,
        "at_least": None,
        "seed": None,
        "exclude_flagged": None,
        "of": {"run": "RUN"},
        "applied_to": str(source),
    }
    data = [path for path in Path("half").rglob("*.p*") if path.is_file() and path.name != "kept.parquet"]
    size = sum(path.stat().st_size for path in data)
    lines = result.stdout.splitlines()
    assert lines[0] == "half: kept 30 of 60 examples (hardest)"
    assert lines[1] == f"half: wrote 30 examples of {source}, {len(data)} files, {size / 1000:.1f} kB"
    assert result.stderr == ""
    as_json = json.loads(prunekit(*words[:-1], "again", "--json").stdout)
    assert as_json["out"] == "again"
    assert as_json["kept"] == 30
    assert as_json["applied"] == {
        "data": str(source),
        "examples": 30,
        "files": len(data),
        "bytes": size,
        "linked": False,
        "vanished": [],
    }
    assert prunekit("info", "half/.prune_kit/kept.parquet").exit_code == 0


def test_a_pattern_and_one_file(prunekit, rows):
    write_scores("rows/train-[01].parquet")
    prunekit("prune", "scores.parquet", "--keep", "9", "--apply", "rows/train-[01].parquet", "--out", "some")
    assert sorted(path.name for path in Path("some").glob("*")) == [
        ".prune_kit",
        "train-0.parquet",
        "train-1.parquet",
    ]
    write_scores("rows/train-2.parquet")
    result = prunekit(
        "prune", "scores.parquet", "--keep", "9", "--apply", "rows/train-2.parquet", "--out", "one"
    )
    assert "wrote 9 examples of rows/train-2.parquet, 1 file, " in result.stdout
    table = pq.read_table("one/train-2.parquet")
    assert table.num_rows == 9
    assert table.schema.equals(pq.read_schema("rows/train-2.parquet"), check_metadata=True)


def test_images_can_be_linked(prunekit, photos):
    write_scores(photos)
    words = ("prune", "scores.parquet", "--keep", "0.5", "--apply", photos, "--link", "--out", "half")
    result = prunekit(*words)
    assert f"half: linked 30 examples of {photos}, 30 files, " in result.stdout
    images = list(Path("half").rglob("*.png"))
    assert len(images) == 30
    assert all(path.samefile(photos / path.relative_to("half")) for path in images)
    assert json.loads(prunekit(*words[:-1], "again", "--json").stdout)["applied"]["linked"] is True


def test_classes_that_vanish_are_said(prunekit, photos):
    examples = load_examples(photos)
    scores = {"score": np.where(examples.labels == 1, 1.0, 0.0)}
    ScoreTable(examples.ids, examples.labels, scores).to_parquet("scores.parquet")
    result = prunekit("prune", "scores.parquet", "--keep", "20", "--apply", photos, "--out", "bees")
    assert "Warning: nothing is kept of 2 classes (0, 2); --per-class" in result.stderr
    assert (
        "Warning: bees has nothing of 2 classes (ant, cat): loaded from there, classes that sort after these "
        "have lower numbers than in the whole data.\n"
    ) in result.stderr
    assert load_examples("bees").labels.tolist() == [0] * 20
    result = prunekit(
        "prune", "scores.parquet", "--keep", "20", "--per-class", "--apply", photos, "--out", "all"
    )
    assert result.stderr == ""


@pytest.mark.parametrize(("fixture", "model"), [("rows", "mlp"), ("photos", "small-cnn")])
def test_from_scores_to_pruned_data_to_scores(request, prunekit, fixture, model):
    source = request.getfixturevalue(fixture)
    train = ("--model", model, "--seeds", "1", "--epochs", "1", "--batch-size", "16")
    prunekit("score", "--framework", "torch", "--data", source, *train, "--out", "run")
    prunekit("aggregate", "run", "--out", "scores.parquet")
    prunekit("prune", "scores.parquet", "--keep", "0.5", "--apply", source, "--out", "half", "--per-class")
    prunekit("score", "--framework", "torch", "--data", "half", *train, "--out", "run of half")
    part = Run.open("run of half").read_part(0, 1)
    expected = load_examples("half")
    assert part.ids.tolist() == expected.ids.tolist()
    assert part.labels.tolist() == expected.labels.tolist()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--link", "--out", "kept.txt"], 2, "--link goes with --apply"),
        (["--out", "rows"], 2, "'rows' is a directory; with --apply it can be"),
        (
            ["--apply", "rows", "--link", "--out", "half"],
            1,
            "`link` applies to folders of images; rows is Parquet",
        ),
        (["--apply", "photos", "--out", "half"], 1, "the ids of photos are strings; got integers"),
        (["--apply", "rows/train-0.parquet", "--out", "half"], 1, "has no example with the ids "),
        (
            ["--apply", "digits", "--out", "half"],
            1,
            "digits must be Parquet files or a folder of class folders",
        ),
        (["--apply", "nowhere", "--out", "half"], 1, "there is no file or folder nowhere"),
        (["--apply", "rows", "--out", "rows"], 1, "cannot write rows: the folder is there and not empty"),
        (["--apply", "rows", "--out", "rows/half"], 1, "rows/half must not be inside rows"),
        (["--apply", "rows", "--out", "none/half"], 1, "there is no folder "),
        (["--apply", "rows", "--out", "scores.parquet"], 1, "cannot write scores.parquet: it is a file"),
        (["--apply", "rows", "--keep", "0", "--out", "half"], 1, "no ids to write to half"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_written(prunekit, rows, photos, tmp_path, words, code, said):
    write_scores(rows)
    before = {str(path): path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    keep = [] if "--keep" in words else ["--keep", "0.5"]
    result = prunekit("prune", "scores.parquet", *keep, *words, code=code)
    assert said in result.stderr
    assert result.stdout == ""
    assert {str(path): path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before
