import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError, StoreError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
LABELS = [2, 0, 1, 1, 0, 2]


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def structs(encoded):
    return pa.array(
        [{"bytes": one, "path": None} for one in encoded],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )


def write(path, columns, metadata=None):
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def with_class_names(**names):
    features = {column: {"_type": "ClassLabel", "names": list(classes)} for column, classes in names.items()}
    return {"huggingface": json.dumps({"info": {"features": features}})}


@pytest.mark.parametrize(
    "store", [structs, lambda encoded: pa.array(encoded, pa.binary())], ids=["struct", "binary"]
)
def test_images(tmp_path, store):
    path = write(tmp_path / "train.parquet", {"image": store([png(p) for p in PIXELS]), "label": LABELS})
    examples = load_examples(path)
    np.testing.assert_array_equal(examples.inputs, PIXELS)
    assert examples.labels.tolist() == LABELS
    assert examples.ids.tolist() == list(range(6))
    assert examples.class_names is None
    assert examples.source == str(path)


def test_class_names_are_those_of_the_chosen_column(tmp_path):
    columns = {"image": structs([png(p) for p in PIXELS]), "label": LABELS, "human_label": LABELS[::-1]}
    metadata = with_class_names(label=["cat", "dog", "emu"], human_label=["x", "y", "z"])
    path = write(tmp_path / "train.parquet", columns, metadata)
    assert load_examples(path).class_names == ("cat", "dog", "emu")
    other = load_examples(path, label_column="human_label")
    assert other.class_names == ("x", "y", "z")
    assert other.labels.tolist() == LABELS[::-1]


def test_more_rows_than_are_read_at_a_time(tmp_path):
    values = np.arange(3000, dtype=np.float32)
    path = write(tmp_path / "x.parquet", {"a": values, "b": -values, "label": np.arange(3000) % 7})
    examples = load_examples(path)
    np.testing.assert_array_equal(examples.inputs, np.column_stack([values, -values]))
    np.testing.assert_array_equal(examples.labels, np.arange(3000) % 7)
    np.testing.assert_array_equal(examples.ids, np.arange(3000))


def test_a_folder_or_a_pattern_is_read_in_the_order_of_names(tmp_path):
    for part in (2, 0, 1):
        write(tmp_path / f"train-0000{part}-of-00003.parquet", {"x": [[part, 0.5]] * 2, "label": [part] * 2})
    (tmp_path / ".tmp-broken.parquet").write_bytes(b"")
    for source in (tmp_path, str(tmp_path / "train-*.parquet")):
        examples = load_examples(source)
        assert examples.labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert examples.inputs[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
        assert examples.ids.tolist() == list(range(6))


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float64()), pa.list_(pa.float32(), 3), pa.large_list(pa.int16())],
    ids=["list", "fixed", "large"],
)
def test_features_in_lists(tmp_path, kind):
    values = RNG.integers(0, 9, (5, 3))
    columns = {"features": pa.array(values.tolist(), kind), "noise": [1.0] * 5, "target": [0, 1, 0, 1, 0]}
    examples = load_examples(write(tmp_path / "x.parquet", columns))
    assert examples.inputs.dtype == np.float32
    np.testing.assert_array_equal(examples.inputs, values)


def test_features_in_nested_lists(tmp_path):
    values = RNG.integers(0, 9, (4, 2, 3)).astype(float)
    path = write(tmp_path / "x.parquet", {"x": pa.array(values.tolist()), "y": [0, 1, 0, 1]})
    np.testing.assert_array_equal(load_examples(path).inputs, values)


def test_features_in_columns_never_take_a_label(tmp_path):
    columns = {
        "id": ["a", "b"],
        "width": [1, 2],
        "coarse_label": [7, 8],
        "label": ["small", "large"],
        "height": [0.5, 0.25],
        "round": [True, False],
        "comment": ["x", "y"],
        "__index_level_0__": [100, 200],
    }
    examples = load_examples(write(tmp_path / "x.parquet", columns))
    assert examples.inputs.tolist() == [[1.0, 0.5, 1.0], [2.0, 0.25, 0.0]]
    assert examples.ids.tolist() == ["a", "b"]
    assert examples.class_names == ("large", "small")
    assert examples.labels.tolist() == [1, 0]


def test_labels_in_a_dictionary_column(tmp_path):
    labels = pa.array(["dog", "cat", "dog"]).dictionary_encode()
    examples = load_examples(write(tmp_path / "x.parquet", {"x": [[1.0], [2.0], [3.0]], "label": labels}))
    assert examples.class_names == ("cat", "dog")
    assert examples.labels.tolist() == [1, 0, 1]


def test_the_input_column_can_be_chosen(tmp_path):
    columns = {"a": [[1.0], [2.0]], "b": [[3.0], [4.0]], "label": [0, 1]}
    path = write(tmp_path / "x.parquet", columns)
    assert load_examples(path, input_column="b").inputs.tolist() == [[3.0], [4.0]]
    with pytest.raises(
        PruneKitError, match=r"several columns that can be the features: a, b\. Hint: .*input_column"
    ):
        load_examples(path)


def test_images_of_different_sizes(tmp_path):
    encoded = [png(PIXELS[0]), png(PIXELS[0][:4])]
    path = write(tmp_path / "x.parquet", {"image": structs(encoded), "label": [0, 1]})
    with pytest.raises(PruneKitError, match=r"5 x 4 \(row 0\) and 4 x 4 \(row 1\)\. Hint: give image_size"):
        load_examples(path)
    assert load_examples(path, image_size=4).inputs.shape == (2, 4, 4, 3)


def test_parts_must_have_the_same_columns(tmp_path):
    write(tmp_path / "a.parquet", {"x": [[1.0]], "label": [0]})
    write(tmp_path / "b.parquet", {"x": [[1.0]], "target": [0]})
    with pytest.raises(
        StoreError, match=r"b\.parquet has other columns than .*a\.parquet: .*target \(int64\)"
    ):
        load_examples(tmp_path)


def test_splits_are_not_mixed(tmp_path):
    for split in ("train", "test"):
        write(tmp_path / f"{split}-00000-of-00001.parquet", {"x": [[1.0]], "label": [0]})
    with pytest.raises(StoreError, match=r"several splits: test, train\. Hint: .*train\*\.parquet"):
        load_examples(tmp_path)
    assert len(load_examples(tmp_path / "train*.parquet")) == 1


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_file_cut_short(tmp_path, keep):
    path = write(tmp_path / "x.parquet", {"x": RNG.random(1000), "label": [0, 1] * 500})
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(
        StoreError, match=r"x\.parquet is not a readable Parquet file: .*Hint: is it complete"
    ):
        load_examples(path)


def test_a_damaged_page(tmp_path):
    path = write(tmp_path / "x.parquet", {"x": RNG.random(1000), "label": [0, 1] * 500})
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not a readable Parquet file"):
        load_examples(path)


IMAGES = structs([png(p) for p in PIXELS[:2]])
X = [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"x": X, "kind": [0, 1]},
            r"no column of labels under a usual name .*; it has x, kind\. Hint: .*label_column",
        ),
        (
            {"name": ["a", "b"], "label": [0, 1]},
            r"no column of images.*it has name \(string\), label \(int64\)",
        ),
        (
            {"x": X, "label": [0, None]},
            "column label must have no nulls; got 1 in one part, the first in row 1",
        ),
        ({"x": X, "label": [0.0, float("nan")]}, "class indices or class names; got float64 with missing"),
        ({"x": X, "label": [0.5, 1.0]}, "scores classifiers, not regressions"),
        ({"x": X, "label": [0, -1]}, "0 or more; got -1.*without a label"),
        ({"x": [[1.0], None], "label": [0, 1]}, "column x must have no nulls.*row 1"),
        ({"x": [[1.0], [None]], "label": [0, 1]}, "lists of the column x must have no nulls; got 1"),
        ({"x": [[1.0], [1.0, 2.0]], "label": [0, 1]}, "all have one length.*from 1 to 2"),
        ({"x": [[1.0], [float("nan")]], "label": [0, 1]}, "finite numbers.*with the ids 1"),
        ({"x": [1e300, 2.0], "label": [0, 1]}, r"infinity \(in float32\).*with the ids 0"),
        ({"x": X, "label": [0, 1], "id": [5, 5]}, "5 occur more than once"),
        ({"x": X, "label": [0, 1], "id": ["a", None]}, "column id must have no nulls"),
        (
            {"image": structs([png(PIXELS[0]), b"GIF"]), "label": [0, 1]},
            "cannot read the image in row 1 of .*x.parquet: not an image",
        ),
        (
            {"image": structs([png(PIXELS[0]), png(PIXELS[1])[:60]]), "label": [0, 1]},
            "cannot read the image in row 1",
        ),
        (
            {"image": structs([png(PIXELS[0]), None]), "label": [0, 1]},
            "image in row 1 has no bytes, only a path",
        ),
        ({"x": pa.array([], pa.list_(pa.float32())), "label": pa.array([], pa.int64())}, "has no rows"),
        (
            {"left": IMAGES, "right": IMAGES, "label": [0, 1]},
            "several columns that can be the image: left, right",
        ),
    ],
)
def test_bad_columns_are_named(tmp_path, columns, message):
    with pytest.raises(PruneKitError, match=message):
        load_examples(write(tmp_path / "x.parquet", columns))


def test_bad_options_are_named(tmp_path):
    path = write(tmp_path / "x.parquet", {"x": X, "label": [0, 1]}, with_class_names(label=["only"]))
    with pytest.raises(PruneKitError, match="below 1, the number of class names; got 1"):
        load_examples(path)
    path = write(tmp_path / "x.parquet", {"x": X, "label": [0, 1]})
    with pytest.raises(PruneKitError, match=r"no column 'y'; it has x, label\. Hint: check label_column"):
        load_examples(path, label_column="y")
    with pytest.raises(PruneKitError, match="no column 'z'; it has x, label"):
        load_examples(path, input_column="z")
    with pytest.raises(PruneKitError, match="has features, not images"):
        load_examples(path, image_size=32)
    with pytest.raises(PruneKitError, match="`labels` does not apply"):
        load_examples(path, labels="y.npy")
