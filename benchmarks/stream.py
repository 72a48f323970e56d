"""What reading a batch at a time costs, beside the shortest loops that read the same.

    python benchmarks/stream.py --out benchmarks/results/stream.md

The loops take turns, each timed by itself and in random order, so that what slows the machine slows all. The
bare loop over rows is pyarrow's `iter_batches` and `numpy.column_stack`, without labels, ids or a look for
NaN; that over images opens each file with Pillow in the thread that consumes.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from prune_kit.data import ExampleBatch, open_examples

Loop = Callable[[], Iterable[object]]
COLUMNS = 32
BATCH = 256


def write_rows(path: Path, rows: int) -> None:
    """Random float32 columns and labels, in row groups of 100,000."""
    rng = np.random.default_rng(0)
    columns = {f"f{i}": rng.random(rows, dtype=np.float32) for i in range(COLUMNS)}
    pq.write_table(pa.table({**columns, "label": rng.integers(0, 10, rows)}), path, row_group_size=100_000)


def write_images(folder: Path, images: int, side: int) -> None:
    """JPEGs of soft random patterns, which compress as photos do."""
    rng = np.random.default_rng(0)
    for i in range(images):
        path = folder / f"class {i % 5}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pattern = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        pattern.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)


def bare_rows(path: Path, batch_size: int) -> Iterator[np.ndarray]:
    """The shortest loop that gives batches of features."""
    names = [f"f{i}" for i in range(COLUMNS)]
    for batch in pq.ParquetFile(path).iter_batches(batch_size=batch_size, columns=names):
        yield np.column_stack([column.to_numpy() for column in batch.columns])


def bare_images(folder: Path) -> Iterator[np.ndarray]:
    """The shortest loop that gives batches of images."""
    paths = sorted(folder.glob("*/*.jpg"))
    for start in range(0, len(paths), BATCH):
        yield np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths[start : start + BATCH]])


def streamed(source: Path, batch_size: int, workers: int | None = None) -> Iterator[ExampleBatch]:
    """The kit's own, with what it does to open the data."""
    return open_examples(source).batches(batch_size, workers=workers)


class Cost(NamedTuple):
    """Median seconds of a loop."""

    wall: float
    cpu: float
    """Of all threads of this process together."""


def costs(loops: dict[str, Loop], repeats: int) -> dict[str, Cost]:
    """Time the loops in turn."""
    times: dict[str, list[Cost]] = {name: [] for name in loops}
    for _ in range(repeats + 1):
        for name in random.sample([*loops], len(loops)):
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in loops[name]():
                pass
            times[name].append(Cost(time.perf_counter() - wall, time.process_time() - cpu))
    # The first turn fills caches.
    return {name: Cost(*map(statistics.median, zip(*each[1:], strict=True))) for name, each in times.items()}


def table(title: str, unit: str, examples: int, found: dict[str, Cost]) -> str:
    """Write out speeds, the first loop being what the others are compared with."""
    bare = next(iter(found.values()))
    lines = [f"| {title} | {unit} / s | time / bare | CPU / bare |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {examples / cost.wall:,.0f} | {cost.wall / bare.wall:.2f} | {cost.cpu / bare.cpu:.2f} |"
        for name, cost in found.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--side", type=int, default=256, help="pixels of an image's side")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, images = Path(folder, "rows.parquet"), Path(folder, "images")
        write_rows(rows, options.rows)
        write_images(images, options.images, options.side)
        tables = []
        for size in (BATCH, 4096):
            loops: dict[str, Loop] = {
                "bare loop": partial(bare_rows, rows, size),
                "`open_examples`": partial(streamed, rows, size),
            }
            title = f"{COLUMNS} columns of Parquet, batches of {size:,}"
            tables.append(table(title, "rows", options.rows, costs(loops, options.repeats)))
        kilobytes = sum(path.stat().st_size for path in images.glob("*/*")) / options.images / 1000
        loops = {
            "bare loop": partial(bare_images, images),
            "`open_examples`, 1 worker": partial(streamed, images, BATCH, 1),
            "`open_examples`, 2 workers": partial(streamed, images, BATCH, 2),
        }
        title = f"JPEGs of {options.side} x {options.side} pixels, {kilobytes:.0f} kB"
        tables.append(table(title, "images", options.images, costs(loops, options.repeats)))
    report = "\n\n".join(
        [
            "# What reading a batch at a time costs",
            f"`python benchmarks/stream.py` ({options.rows:,} rows, {options.images:,} images, median of "
            f"{options.repeats} turns; the stream's time includes opening the data)",
            f"{os.cpu_count()} cores, Python {platform.python_version()}, pyarrow {version('pyarrow')}, "
            f"Pillow {version('pillow')}, NumPy {np.__version__}; load {os.getloadavg()[0]:.1f}",
            *tables,
        ]
    )
    print(report)
    if options.out:
        options.out.write_text(report + "\n")


if __name__ == "__main__":
    main()
