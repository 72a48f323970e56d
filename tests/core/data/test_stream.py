import io
import shutil
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from prune_kit.data import ExampleStream, InputSpec, load_examples, open_examples
from prune_kit.errors import PruneKitError, StoreError

RNG = np.random.default_rng(0)
N = 150
LABELS = RNG.integers(0, 4, N)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pictures(n=N, size=(6, 5)):
    """Grey where the number divides by 3, so that channels differ."""
    for i in range(n):
        pixels = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
        yield pixels[..., 0] if i % 3 == 0 else pixels


def digits(folder):
    return "digits:test", {}


def digits_resized(folder):
    return "digits:test", {"image_size": 5}


def npz(folder):
    np.savez(folder / "x.npz", x=RNG.random((N, 3, 2)), y=LABELS[:, None], ids=np.arange(N)[::-1] * 7)
    return folder / "x.npz", {}


def npz_compressed(folder):
    np.savez_compressed(folder / "x.npz", images=RNG.integers(0, 256, (N, 3, 6, 5), np.uint8), labels=LABELS)
    return folder / "x.npz", {}


def npz_resized(folder):
    np.savez(folder / "x.npz", images=RNG.integers(0, 256, (N, 6, 5, 3), np.uint8), labels=LABELS)
    return folder / "x.npz", {"image_size": 4}


def npy(folder):
    np.save(folder / "x.npy", np.asfortranarray(RNG.integers(-9, 9, (N, 4)).astype(">i2")))
    np.save(folder / "y.npy", LABELS.astype(np.float32))
    return folder / "x.npy", {"labels": folder / "y.npy"}


def parquet_numbers(folder):
    columns = {"a": RNG.random(N), "b": RNG.integers(0, 9, N), "c": LABELS > 1, "coarse_label": LABELS}
    columns |= {"id": [f"row {i}" for i in range(N)], "label": [f"class {i}" for i in LABELS[::-1]]}
    pq.write_table(pa.table(columns), folder / "x.parquet", row_group_size=37)
    return folder / "x.parquet", {}


def parquet_lists(folder):
    values = RNG.random((N, 2, 3)).tolist()
    names = pa.array(["emu", "cat", "dog", "ant"]).take(pa.array(LABELS)).dictionary_encode()
    table = pa.table({"left": values, "right": values, "kind": names})
    pq.write_table(table, folder / "x.parquet", row_group_size=20)
    return folder / "x.parquet", {"input_column": "right", "label_column": "kind"}


def parquet_fixed_lists(folder):
    values = pa.array(RNG.integers(0, 99, (N, 3)).tolist(), pa.list_(pa.int16(), 3))
    pq.write_table(pa.table({"x": values, "label": LABELS}), folder / "x.parquet")
    return folder / "x.parquet", {}


def parquet_images(folder):
    images = pa.array([{"bytes": png(pixels), "path": None} for pixels in pictures()], IMAGE)
    pq.write_table(pa.table({"image": images, "label": LABELS}), folder / "x.parquet", row_group_size=40)
    return folder / "x.parquet", {}


def parquet_images_resized(folder):
    return parquet_images(folder)[0], {"image_size": 3}


def parquet_parts(folder):
    for part, rows in enumerate(np.split(np.arange(N), [0, 1, 60, 60, 130])):
        columns = {f"f{i}": pa.array(RNG.random(len(rows)), pa.float32()) for i in range(3)}
        columns["label"] = pa.array(LABELS[rows])
        pq.write_table(pa.table(columns), folder / f"train-{part}.parquet", row_group_size=11)
    return folder, {}


def image_folder(folder):
    for i, pixels in enumerate(pictures()):
        path = folder / ("cats", "dogs", "emus")[i % 3] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder, {}


def image_folder_resized(folder):
    return image_folder(folder)[0], {"image_size": 4}


KINDS = [
    digits,
    digits_resized,
    npz,
    npz_compressed,
    npz_resized,
    npy,
    parquet_numbers,
    parquet_lists,
    parquet_fixed_lists,
    parquet_images,
    parquet_images_resized,
    parquet_parts,
    image_folder,
    image_folder_resized,
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda make: make.__name__)
def kind(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp(request.param.__name__))


def small(folder, **columns):
    """Write a small Parquet file."""
    pq.write_table(pa.table(columns), folder / "small.parquet")
    return folder / "small.parquet"


@pytest.mark.parametrize("batch_size", [1, 64, 7, 1000])
def test_it_is_what_load_examples_gives(kind, batch_size):
    source, options = kind
    expected, stream = load_examples(source, **options), open_examples(source, **options)
    assert len(stream) == len(expected)
    assert stream.class_names == expected.class_names
    assert stream.source == expected.source
    assert stream.num_classes == expected.num_classes
    assert stream.is_images == expected.is_images
    assert stream.spec == InputSpec(expected.inputs.shape[1:], expected.inputs.dtype)
    np.testing.assert_array_equal(stream.labels, expected.labels)
    np.testing.assert_array_equal(stream.ids, expected.ids)
    start = 0
    for ids, inputs, labels in stream.batches(batch_size):
        rows = slice(start, start + batch_size)
        assert inputs.dtype == expected.inputs.dtype
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(inputs, expected.inputs[rows])
        np.testing.assert_array_equal(labels, expected.labels[rows])
        np.testing.assert_array_equal(ids, expected.ids[rows])
        start += len(labels)
        if start < len(stream):
            assert len(labels) == batch_size
    assert start == len(stream)


def test_it_can_be_read_again_and_with_any_number_of_threads(kind):
    source, options = kind
    stream = open_examples(source, **options)
    one, other = ([*stream.batches(33, ahead=a, workers=w)] for a, w in ((1, 1), (5, 4)))
    for first, again in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.inputs, again.inputs)
        np.testing.assert_array_equal(first.ids, again.ids)


def test_the_fingerprint_is_that_of_the_data(kind, tmp_path):
    source, options = kind
    fingerprint = open_examples(source, **options).fingerprint
    assert len(fingerprint) == 64
    assert open_examples(source, **options).fingerprint == fingerprint
    if str(source).startswith("digits"):
        return
    moved = tmp_path / source.name
    (shutil.copytree if source.is_dir() else shutil.copy)(source, moved)
    assert open_examples(moved, **options).fingerprint == fingerprint


def test_the_threads_end_with_the_iteration():
    before = threading.active_count()
    stream = open_examples("digits:test")
    for batch in stream.batches(10):
        assert threading.active_count() > before
        if batch.ids[0] > 100:
            break
    del batch
    assert threading.active_count() == before
    assert len([*stream.batches(100)]) == 5
    assert threading.active_count() == before


def test_a_program_that_stops_early_ends():
    program = (
        "from prune_kit.data import open_examples\n"
        "batches = open_examples('digits').batches(1, ahead=50)\n"
        "next(batches)\n"
        "raise SystemExit(3)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 3


def change(array):
    changed = array.copy()
    changed[len(array) // 2] += 1
    return changed


X = RNG.random((400, 3)).astype(np.float32)
Y = np.arange(400) % 5


@pytest.mark.parametrize(
    "changed", [{"x": change(X)}, {"y": change(Y)}, {"x": X.astype(np.float64)}, {"ids": np.arange(1, 401)}]
)
def test_what_is_changed_changes_the_fingerprint(tmp_path, changed):
    for name, arrays in {"a.npz": {"x": X, "y": Y}, "b.npz": {"x": X, "y": Y, **changed}}.items():
        np.savez(tmp_path / name, **arrays)
    one, other = (open_examples(tmp_path / name).fingerprint for name in ("a.npz", "b.npz"))
    assert one != other


def test_what_is_changed_in_parquet_changes_the_fingerprint(tmp_path):
    def fingerprint(values, labels=Y, **options):
        pq.write_table(pa.table({"v": values, "label": labels}), tmp_path / "x.parquet", row_group_size=100)
        return open_examples(tmp_path / "x.parquet", **options).fingerprint

    values = X[:, 0]
    extreme = values.copy()
    extreme[199] = 9  # beyond the rows that are sampled: the statistics tell
    prints = [
        fingerprint(values),
        fingerprint(values, needs_labels=False),
        fingerprint(change(values)),
        fingerprint(extreme),
        fingerprint(values, change(Y)),
        fingerprint(values.astype(np.float64)),
        fingerprint(values[:-1], Y[:-1]),
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 6


@pytest.mark.parametrize("is_list", [False, True])
@pytest.mark.parametrize(
    ("kind", "make"),
    [(pa.float16(), np.float16), (pa.uint64(), int), (pa.int8(), int), (pa.bool_(), bool)],
    ids=str,
)
def test_any_type_of_number_has_a_fingerprint(tmp_path, kind, make, is_list):
    values = pa.array([make(1), make(0)], kind)
    if is_list:
        values = pa.FixedSizeListArray.from_arrays(values, 1)
    stream = open_examples(small(tmp_path, v=values, label=[0, 1]))
    assert len(stream.fingerprint) == 64
    np.testing.assert_array_equal(next(stream.batches(2)).inputs, [[1], [0]])


def test_another_size_of_an_image_in_parquet_changes_the_fingerprint(tmp_path):
    """Of a row group only the first image is decoded."""
    prints = {
        open_examples(small(tmp_path, image=images(*contents), label=[0, 1, 1])).fingerprint
        for contents in ([GOOD] * 3, [GOOD, GOOD, GOOD + b" "])
    }
    assert len(prints) == 2


def test_what_is_changed_in_images_changes_the_fingerprint(tmp_path):
    source, _ = image_folder(tmp_path)
    plain = open_examples(source).fingerprint
    assert open_examples(source, image_size=4).fingerprint != plain
    path = next(source.rglob("*.png"))
    content = path.read_bytes()
    Image.fromarray(np.zeros((6, 5), np.uint8)).save(path)
    assert open_examples(source).fingerprint != plain
    path.write_bytes(content)
    assert open_examples(source).fingerprint == plain


def test_labels_may_be_left_out(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "x.npz", x=X)
    for source in (tmp_path / "x.npy", tmp_path / "x.npz", small(tmp_path, v=X[:, 0])):
        with pytest.raises(PruneKitError, match="labels"):
            open_examples(source)
        stream = open_examples(source, needs_labels=False)
        assert stream.labels is None
        assert {batch.labels for batch in stream.batches(150)} == {None}
        assert repr(stream) == f"ExampleStream(400 examples from {source})"
        with pytest.raises(PruneKitError, match="has no labels"):
            stream.num_classes  # noqa: B018
    with pytest.raises(PruneKitError, match="no column 'z'"):
        open_examples(tmp_path / "x.npz", needs_labels=False, label_column="z")
    np.savez(tmp_path / "y.npz", x=X, y=Y)
    np.testing.assert_array_equal(open_examples(tmp_path / "y.npz", needs_labels=False).labels, Y)


def test_positions_are_no_array_until_they_are_asked_for(tmp_path):
    stream = open_examples(small(tmp_path, v=X[:, 0], label=Y))
    assert not [
        value for value in vars(stream).values() if value is not stream.labels and hasattr(value, "nbytes")
    ]
    np.testing.assert_array_equal(stream.ids, np.arange(400))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.batches(0), "`batch_size` must be a whole number, at least 1; got 0"),
        (lambda s: s.batches(2.0), "`batch_size`.*got 2.0"),
        (lambda s: s.batches(2, ahead=0), "`ahead`.*got 0"),
        (lambda s: s.batches(2, workers=-1), "`workers`.*got -1"),
    ],
)
def test_bad_options_are_named_at_once(call, message):
    with pytest.raises(PruneKitError, match=message):
        call(open_examples("digits:test"))


def both_raise(source, message, kind=PruneKitError, **options):
    """Opened or loaded, bad data gets the same message."""
    with pytest.raises(kind, match=message) as loaded:
        load_examples(source, **options)
    with pytest.raises(kind, match=message) as streamed:
        for _ in open_examples(source, **options).batches(100):
            pass
    assert str(streamed.value) == str(loaded.value)


BAD = RNG.random((300, 3)).astype(np.float32)
BAD[250, 1] = np.nan


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "no column of labels under a usual name"),
        ({"x": X, "y": Y[:5]}, r"shape \(400,\), one per input.*got shape \(5,\)"),
        ({"x": X[:0], "y": Y[:0]}, r"got float32 of shape \(0, 3\)"),
        ({"x": X, "y": np.eye(400)}, r"got \(400, 400\)\. Hint: .*argmax"),
        ({"x": X, "y": Y - 1}, "0 or more; got -1"),
        ({"x": BAD, "y": Y[:300]}, "finite numbers.*with the ids 250"),
        ({"x": BAD, "y": Y[:300], "ids": np.arange(300) * 2}, "finite numbers.*with the ids 500"),
        ({"x": X[:, 0], "y": Y}, r"shape \(n, \.\.\.\), one row per example; got \(400,\)"),
        ({"x": X.astype(str), "y": Y}, "inputs must be numbers"),
        ({"x": np.zeros((6, 8, 8, 5), np.uint8), "y": Y[:6]}, r"channels 1, 3 or 4; got \(6, 8, 8, 5\)"),
        ({"x": X, "y": Y, "ids": np.arange(400) // 2}, "occur more than once"),
        ({"x": np.array([{}] * 400), "y": Y}, "never unpickled"),
    ],
)
def test_bad_arrays_are_named_as_ever(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    both_raise(tmp_path / "x.npz", message)


GOOD, SHORT = png(np.zeros((5, 4, 3), np.uint8)), png(np.zeros((4, 4, 3), np.uint8))


def images(*contents):
    return pa.array([{"bytes": content, "path": None} for content in contents], IMAGE)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"v": X[:, 0], "kind": Y}, "no column of labels under a usual name"),
        ({"name": ["a", "b"], "label": [0, 1]}, "no column of images"),
        ({"v": X[:2, 0], "label": [0, None]}, "column label must have no nulls.*row 1"),
        ({"v": [*X[:299, 0], None], "label": Y[:300]}, "column v must have no nulls.*row 299"),
        ({"v": BAD[:, 1], "label": Y[:300]}, "finite numbers.*with the ids 250"),
        ({"v": [1.0, 1e300], "label": [0, 1]}, r"infinity \(in float32\).*with the ids 1"),
        ({"x": [[1.0], [1.0, 2.0]], "label": [0, 1]}, "all have one length.*from 1 to 2"),
        ({"v": [1.0, 2.0], "label": [0, 1], "id": [5, 5]}, "5 occur more than once"),
        ({"v": [1.0, 2.0], "label": ["a", None]}, "column label must have no nulls"),
        ({"v": pa.array([], pa.float32()), "label": pa.array([], pa.int64())}, "has no rows"),
        (
            {"image": images(GOOD, b"GIF"), "label": [0, 1]},
            "cannot read the image in row 1 of .*not an image",
        ),
        ({"image": images(GOOD, None), "label": [0, 1]}, "image in row 1 has no bytes"),
        ({"image": images(GOOD, SHORT), "label": [0, 1]}, r"5 x 4 \(row 0\) and 4 x 4 \(row 1\)"),
        (
            {"image": images(*[GOOD] * 290, SHORT, *[GOOD] * 9), "label": Y[:300]},
            r"5 x 4 \(row 0\) and 4 x 4 \(row 290\)",
        ),
    ],
)
def test_bad_columns_are_named_as_ever(tmp_path, columns, message):
    both_raise(small(tmp_path, **columns), message)


def test_lists_that_change_their_length_later(tmp_path):
    lists = [[1.0]] * 8192 + [[1.0, 2.0]] * 8192  # of which so many are decoded together
    source = small(tmp_path, x=lists, label=np.zeros(16_384, np.int64))
    with pytest.raises(PruneKitError, match=r"all have one length; got shapes \(1,\) and \(2,\)"):
        [*open_examples(source).batches(128)]
    with pytest.raises(PruneKitError, match=r"all have one length; got shapes \(1,\) and \(2,\)"):
        load_examples(source)


def test_bad_image_files_are_named_as_ever(tmp_path):
    source, _ = image_folder(tmp_path)
    path = sorted(source.rglob("*.png"))[111]
    content = path.read_bytes()
    path.write_bytes(content[:30])
    both_raise(source, f"cannot read the image {path}", StoreError)
    path.write_bytes(SHORT)
    both_raise(source, r"6 x 5 \(.*\) and 4 x 4 \(.*Hint: give image_size")
    path.unlink()
    stream = open_examples(source)
    sorted(source.rglob("*.png"))[99].unlink()
    with pytest.raises(StoreError, match="cannot read the image .*No such file"):
        [*stream.batches(10)]


def test_a_damaged_page(tmp_path):
    source = small(tmp_path, v=np.arange(50_000) * 0.5, label=np.zeros(50_000, np.int64))
    content = bytearray(source.read_bytes())
    content[200_000:200_400] = bytes(400)
    source.write_bytes(content)
    both_raise(source, "small.parquet is not a readable Parquet file", StoreError)


def test_a_file_that_vanishes_while_it_is_read(tmp_path):
    np.savez(tmp_path / "x.npz", x=X, y=Y)
    stream = open_examples(tmp_path / "x.npz")
    (tmp_path / "x.npz").unlink()
    with pytest.raises(StoreError, match="there is no file .*x.npz"):
        next(stream.batches(5))


def test_colour_that_comes_late_is_named(tmp_path):
    """What is RGB is found from a sample; loaded into memory, all becomes RGB."""
    grey, colour = png(np.zeros((5, 4), np.uint8)), GOOD
    source = small(tmp_path, image=images(*[grey] * 99, colour, *[grey] * 20), label=Y[:120])
    assert load_examples(source).inputs.shape == (120, 5, 4, 3)
    stream = open_examples(source)
    assert stream.spec.shape == (5, 4, 1)
    batches = stream.batches(60)
    assert next(batches).inputs.shape == (60, 5, 4, 1)
    with pytest.raises(PruneKitError, match="must be grey where .* got one with colour from 60 to 119"):
        next(batches)


@pytest.mark.parametrize("source", ["nowhere", "none/*.parquet"])
def test_what_is_not_there(tmp_path, source):
    both_raise(str(tmp_path / source), r"no file or folder .*Hint: give 'digits', a \.parquet", StoreError)


def test_options_that_do_not_apply(tmp_path):
    both_raise("digits", "`label_column` does not apply to digits", label_column="y")
    both_raise("digits", "whole number of pixels", image_size=0)
    both_raise(small(tmp_path, v=X[:, 0], label=Y), "`labels` does not apply", labels="y.npy")
    both_raise(tmp_path / "small.parquet", "has features, not images", image_size=5)
    np.savez(tmp_path / "x.npz", x=X, y=Y)
    both_raise(tmp_path / "x.npz", "has features, not images", image_size=5)


def test_the_repr_is_one_line():
    assert isinstance(open_examples("digits"), ExampleStream)
    assert repr(open_examples("digits")) == "ExampleStream(1347 images in 10 classes from digits)"
