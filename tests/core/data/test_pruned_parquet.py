import datetime
import decimal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prune_kit.data import load_examples
from prune_kit.data.pruned import write_pruned
from prune_kit.errors import PruneKitError, StoreError

N = 250
DAY = datetime.datetime(2026, 1, 1)
KEPT = np.flatnonzero(np.random.default_rng(0).random(N) < 0.5)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path, columns, *, metadata=None, **options):
    path.parent.mkdir(exist_ok=True)
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata), path, **options)
    return path


def numbers(n, start=0):
    return {"x": np.arange(start, start + n, dtype=np.float32), "label": np.arange(n) % 3}


KINDS = {
    "int8": pa.array(np.arange(N) % 100, pa.int8()),
    "uint64": pa.array(range(N), pa.uint64()),
    "float16": pa.array(np.arange(N, dtype=np.float16)),
    "bool with nulls": pa.array([None if i % 7 == 0 else i % 2 == 0 for i in range(N)]),
    "string with nulls": pa.array([None if i % 7 == 0 else f"s{i}" for i in range(N)]),
    "large string": pa.array([f"s{i}" for i in range(N)], pa.large_string()),
    "string view": pa.array([f"longer than twelve bytes {i}" for i in range(N)], pa.string_view()),
    "list of views": pa.array(
        [[f"longer than twelve bytes {i}"] for i in range(N)], pa.list_(pa.string_view())
    ),
    "binary": pa.array([b"x" * i for i in range(N)]),
    "dictionary": pa.array([f"c{i % 5}" for i in range(N)]).dictionary_encode(),
    "ordered dictionary": pa.DictionaryArray.from_arrays(
        pa.array(np.arange(N) % 3, pa.int8()), ["x", "y", "z"], ordered=True
    ),
    "timestamp": pa.array(
        [DAY + datetime.timedelta(i) for i in range(N)], pa.timestamp("ns", "Europe/Berlin")
    ),
    "seconds": pa.array([DAY + datetime.timedelta(i) for i in range(N)], pa.timestamp("s")),
    "duration": pa.array([datetime.timedelta(i) for i in range(N)], pa.duration("us")),
    "decimal": pa.array([decimal.Decimal(i) for i in range(N)], pa.decimal128(20, 3)),
    "list with nulls": pa.array([None if i % 3 == 0 else [i, i + 1] for i in range(N)]),
    "fixed list": pa.array([[i, i + 1] for i in range(N)], pa.list_(pa.float32(), 2)),
    "image": pa.array([{"bytes": b"%d" % i, "path": None} for i in range(N)], IMAGE),
    "map": pa.array([[("k", i)] for i in range(N)], pa.map_(pa.string(), pa.int32())),
    "nulls": pa.nulls(N),
    "nested": pa.array([[{"a": [i]}] for i in range(N)]),
    "tensor": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), (2, 2)),
        pa.array([[i, 0, 0, 1] for i in range(N)], pa.list_(pa.float32(), 4)),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_every_type_with_their_schema_and_metadata(tmp_path, kind):
    schema = pa.schema(
        [
            pa.field("value", KINDS[kind].type, metadata={"unit": "m"}),
            pa.field("row", pa.int64(), nullable=False),
        ],
        metadata={"huggingface": '{"info": {}}', "mine": "yes"},
    )
    source = tmp_path / "data.parquet"
    table = pa.Table.from_arrays([KINDS[kind], pa.array(range(N))], schema=schema)
    pq.write_table(table, source, row_group_size=60)
    write_pruned(source, tmp_path / "out", KEPT)
    before, after = pq.ParquetFile(source), pq.ParquetFile(tmp_path / "out" / "data.parquet")
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.schema.equals(before.schema)
    assert after.schema_arrow.metadata == schema.metadata
    found = after.read()
    assert found["row"].to_pylist() == KEPT.tolist()
    values = before.read()["value"].to_pylist()
    assert found["value"].to_pylist() == [values[row] for row in KEPT]
    found.validate(full=True)


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_the_compression_is_that_of_the_source(tmp_path, codec):
    source = write(tmp_path / "data.parquet", numbers(N), compression=codec)
    write_pruned(source, tmp_path / "out", KEPT)
    codecs = [
        [pq.read_metadata(path).row_group(0).column(i).compression for i in range(2)]
        for path in (source, tmp_path / "out" / "data.parquet")
    ]
    assert codecs[0] == codecs[1]
    assert codecs[0][0] == {"none": "UNCOMPRESSED"}.get(codec, codec.upper())


@pytest.mark.parametrize("compliant", [True, False])
def test_columns_may_differ_in_their_compression(tmp_path, compliant):
    columns = {
        "image": pa.array([{"bytes": b"x" * 9, "path": "a"}] * 9, IMAGE),
        "list": [[1, 2]] * 9,
        "label": [0] * 9,
    }
    middle = "list.element" if compliant else "list.item"
    codecs = {"image.bytes": "NONE", "image.path": "ZSTD", f"list.{middle}": "GZIP", "label": "SNAPPY"}
    options = {"compression": codecs, "use_compliant_nested_type": compliant}
    source = write(tmp_path / "data.parquet", columns, **options)
    write_pruned(source, tmp_path / "out", [1, 2])
    group = pq.read_metadata(tmp_path / "out" / "data.parquet").row_group(0)
    assert [group.column(i).compression for i in range(4)] == ["UNCOMPRESSED", "ZSTD", "GZIP", "SNAPPY"]


def test_row_groups_are_as_large_as_those_of_the_source(tmp_path):
    source = write(tmp_path / "data.parquet", numbers(1000), row_group_size=100)
    write_pruned(source, tmp_path / "out", np.arange(0, 1000, 3))
    metadata = pq.read_metadata(tmp_path / "out" / "data.parquet")
    rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert rows == [100, 100, 100, 34]


def test_one_file_keeps_its_name(tmp_path):
    source = write(tmp_path / "in" / "train-00000-of-00001.parquet", numbers(9))
    written = write_pruned(source, tmp_path / "out", [7, 2])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".prune_kit", source.name]
    assert written.files == 1
    assert pq.read_table(tmp_path / "out" / source.name)["x"].to_pylist() == [2, 7]


def test_a_file_of_which_nothing_is_kept_is_left_out(tmp_path):
    for part in range(4):
        write(tmp_path / "in" / f"{part}.parquet", numbers(10 if part != 1 else 0, 10 * part))
    (tmp_path / "in" / "_SUCCESS").touch()
    # Positions: file 1 is empty, so that row 10 of the data is row 0 of file 2.
    for source in (tmp_path / "in", str(tmp_path / "in" / "*.parquet")):
        out = tmp_path / f"out{len(str(source))}"
        assert write_pruned(source, out, [3, 25, 10, 29, 12]).files == 3
        found = {path.name: pq.read_table(path)["x"].to_pylist() for path in out.glob("*.parquet")}
        assert found == {"0.parquet": [3], "2.parquet": [20, 22], "3.parquet": [35, 39]}
    assert write_pruned(tmp_path / "in", tmp_path / "last", [29]).files == 1
    assert sorted(path.name for path in (tmp_path / "last").iterdir()) == [".prune_kit", "3.parquet"]


@pytest.mark.parametrize("convert", [pa.array, lambda ids: pa.array(ids).dictionary_encode()])
def test_rows_are_named_by_their_id_column(tmp_path, convert):
    for part in range(2):
        ids = convert([f"e{i}" for i in range(10 * part, 10 * part + 10)][::-1])
        write(tmp_path / "in" / f"{part}.parquet", {"id": ids, **numbers(10, 10 * part)})
    write_pruned(tmp_path / "in", tmp_path / "out", ["e12", "e0", "e19"])
    found = load_examples(tmp_path / "out")
    assert found.ids.tolist() == ["e0", "e19", "e12"]
    assert found.inputs[:, 0].tolist() == [9, 10, 17]
    with pytest.raises(PruneKitError, match="are strings; got integers"):
        write_pruned(tmp_path / "in", tmp_path / "other", [3])


def test_ids_that_are_none_are_refused(tmp_path):
    source = write(tmp_path / "nulls.parquet", {"id": [1, None, 3], **numbers(3)})
    with pytest.raises(PruneKitError, match="the column id must have no nulls; got 1"):
        write_pruned(source, tmp_path / "out", [1])
    source = write(tmp_path / "doubled.parquet", {"id": [1, 1, 3], **numbers(3)})
    with pytest.raises(PruneKitError, match=r"ids of .*doubled\.parquet.* 1 occur more than once"):
        write_pruned(source, tmp_path / "out", [3])


def test_class_names_that_vanish_are_told_where_they_give_the_numbers(tmp_path):
    names = ["dog", "ant", None, "cat", "ant"]
    for label in (pa.array(names), pa.array(names).dictionary_encode(), pa.array(names, pa.string_view())):
        source = write(tmp_path / "names.parquet", {"x": [1.0] * 5, "label": label}, row_group_size=2)
        out = tmp_path / f"out {label.type}"
        assert write_pruned(source, out, [0, 2]).vanished == ("ant", "cat")
    source = write(tmp_path / "numbers.parquet", numbers(5))
    assert write_pruned(source, tmp_path / "numbers", [0]).vanished == ()
    source = write(tmp_path / "unlabelled.parquet", {"x": [1.0] * 5})
    assert write_pruned(source, tmp_path / "unlabelled", [0]).vanished == ()


def test_what_hugging_face_writes_it_reads_again(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "grid": datasets.Array2D((2, 2), "float32"),
            "label": datasets.ClassLabel(names=["x", "y", "z"]),
        }
    )
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    grids = np.arange(80, dtype=np.float32).reshape(20, 2, 2)
    columns = {"image": list(images), "grid": list(grids), "label": [0, 2] * 10}
    whole = datasets.Dataset.from_dict(columns, features=features)
    whole.to_parquet(str(tmp_path / "train.parquet"))
    kept = [1, 4, 19]
    write_pruned(tmp_path / "train.parquet", tmp_path / "out", kept)
    found = datasets.Dataset.from_parquet(
        str(tmp_path / "out" / "train.parquet"), cache_dir=str(tmp_path / "cache")
    )
    assert found.features == features
    assert found["label"][:] == [2, 0, 2]
    for name in ("image", "grid"):
        np.testing.assert_array_equal(np.array(found[name][:]), np.array(whole.select(kept)[name][:]))
    assert load_examples(tmp_path / "out").class_names == ("x", "y", "z")


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["b/part.parquet", "a/part.parquet"], "*/part.parquet"),
        (["a/2.parquet", "b/1.parquet"], "*/*.parquet"),
        (["_x.parquet"], "_x.parquet"),
        ([".x.parquet"], ".x.parquet"),
        (["x.PARQUET"], "x.PARQUET"),
    ],
)
def test_names_that_would_be_read_in_another_order_or_not_at_all(tmp_path, names, pattern):
    for name in names:
        write(tmp_path / name, numbers(3))
    with pytest.raises(
        PruneKitError, match=r"must keep their order and names in one folder; got .*Hint: names"
    ):
        write_pruned(str(tmp_path / pattern), tmp_path / "out", [0])
    assert not (tmp_path / "out").exists()


def test_links_are_refused(tmp_path):
    source = write(tmp_path / "x.parquet", numbers(3))
    with pytest.raises(PruneKitError, match=r"`link` applies to folders of images; .*x\.parquet is Parquet"):
        write_pruned(source, tmp_path / "out", [0], link=True)


def test_files_that_do_not_fit_or_are_damaged(tmp_path):
    write(tmp_path / "in" / "0.parquet", numbers(3))
    write(tmp_path / "in" / "1.parquet", {"y": [1.0]})
    with pytest.raises(StoreError, match=r"1\.parquet has other columns than .*0\.parquet"):
        write_pruned(tmp_path / "in", tmp_path / "out", [0])
    empty = write(tmp_path / "empty.parquet", numbers(0))
    with pytest.raises(StoreError, match=r"empty\.parquet has no rows"):
        write_pruned(empty, tmp_path / "out", [0])
    cut = write(tmp_path / "cut.parquet", numbers(30_000))
    cut.write_bytes(cut.read_bytes()[:500])
    with pytest.raises(StoreError, match=r"cut\.parquet is not a readable Parquet file"):
        write_pruned(cut, tmp_path / "out", [0])
    rng = np.random.default_rng(0)
    broken = write(
        tmp_path / "broken.parquet",
        {"x": rng.standard_normal(9999), "label": [0] * 9999},
        compression="none",
        write_page_checksum=True,
    )
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 1
    broken.write_bytes(content)
    with pytest.raises(StoreError, match=r"broken\.parquet is not a readable Parquet file: .*CRC"):
        write_pruned(broken, tmp_path / "out", [0])
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".", "out"))) == []


MEASURE = """
import re, sys
import numpy as np
import pyarrow.parquet as pq
from prune_kit.data.pruned import write_pruned

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) // 1024

source, out = sys.argv[1:]
write_pruned(source + "/small.parquet", out + "-small", [0, 2])
before = peak()
n = pq.read_metadata(source + "/large.parquet").num_rows
write_pruned(source + "/large.parquet", out, np.arange(0, n, 2))
print(peak() - before)
"""


@pytest.mark.parametrize("group_rows", [100, 10**6])
def test_memory_does_not_grow_with_the_file(tmp_path, group_rows):
    rng = np.random.default_rng(0)
    schema = pa.schema({"image": IMAGE, "label": pa.int64()})
    large = [
        pa.table({"image": [{"bytes": rng.bytes(100_000), "path": None}], "label": [0]}, schema)
        for _ in range(3000)
    ]
    pq.write_table(pa.concat_tables(large), tmp_path / "large.parquet", row_group_size=group_rows)
    pq.write_table(pa.concat_tables(large[:8]), tmp_path / "small.parquet")
    del large
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (tmp_path / "large.parquet").stat().st_size > 300_000_000
    assert int(done.stdout) < 250  # MB
