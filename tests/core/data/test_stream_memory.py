"""What a process needs beyond its imports to go through data once, at its peak."""

import io
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

MEASURE = """
import pathlib, sys
import pyarrow.parquet
from PIL import Image, ImageOps
from prune_kit.data import open_examples
from prune_kit.data.parquet import ParquetReader

def peak():
    # Not ru_maxrss, which begins with the peak of the process that started this one.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

before = peak()
total = 0
stream = open_examples(sys.argv[1], needs_labels=False, image_size=int(sys.argv[2]) or None)
stream.fingerprint
for ids, inputs, labels in stream.batches(int(sys.argv[3])):
    total += len(inputs)
print(total, peak() - before)
"""


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def growth(source, n, image_size=0, batch_size=256):
    """Return the growth in MB while `n` examples are read."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, source, str(image_size), str(batch_size)],
        capture_output=True,
        text=True,
        check=True,
    )
    total, grown = map(int, done.stdout.split())
    assert total == n
    return grown


@pytest.mark.parametrize("group_rows", [20_000, 500_000])
def test_rows_of_parquet(tmp_path, group_rows):
    """Arrow holds a page of 1 MB for each column, whatever the number of rows."""
    rng = np.random.default_rng(0)
    columns = {f"f{i}": rng.random(500_000, dtype=np.float32) for i in range(32)}
    table = pa.table({**columns, "label": rng.integers(0, 9, 500_000)})
    few, many = tmp_path / "few.parquet", tmp_path / "many.parquet"
    for path, part in ((few, table[:100_000]), (many, table)):
        pq.write_table(part, path, row_group_size=group_rows, use_dictionary=False, compression="none")
    assert many.stat().st_size - few.stat().st_size > 50_000_000
    assert growth(many, 500_000) - growth(few, 100_000) < 25


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_mapped_arrays(tmp_path, name):
    """The file has 64 MB."""
    x = np.random.default_rng(0).random((500_000, 32), dtype=np.float32)
    if name == "x.npy":
        np.save(tmp_path / name, x)
    else:
        np.savez(tmp_path / name, x=x)
    assert growth(tmp_path / name, 500_000) < 30


def test_images_in_parquet(tmp_path):
    """200 MB of files, in row groups of 100 as Hugging Face writes them; a batch is 2.5 MB."""
    pixels = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    path = tmp_path / "x.parquet"
    images = pa.table({"image": pa.array([file.getvalue()] * 2600, pa.binary())})
    pq.write_table(images, path, row_group_size=100, use_dictionary=False, compression="none")
    assert path.stat().st_size > 190_000_000
    assert growth(path, 2600, image_size=64, batch_size=32) < 120
