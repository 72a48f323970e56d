"""How fast scoring an exported model is beside a bare loop of `session.run`, and how much memory it takes.

    python benchmarks/onnx_scoring.py --out benchmarks/results/onnx_scoring.md

Both go over the same ready arrays with the same session, one after the other in random order in every
repetition, so that what slows the machine slows both; the ratio is the median of the repetitions' ratios. The
memory is the peak of a process of its own that scores rows of Parquet.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

import prune_kit_onnx as pko

Array = npt.NDArray[Any]
_COLUMNS = 16


def export(name: str, shape: tuple[int, ...], path: Path) -> None:
    import torch

    import prune_kit_torch as pkt

    example = torch.zeros(2, *shape)
    model = pkt.built_in_model(name, (example, torch.tensor([0, 9])))().eval()
    batch = {0: torch.export.Dim("batch", min=1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (example,), path, dynamo=True, verbose=False, input_names=["x"], dynamic_shapes=(batch,)
        )


def compare(
    name: str,
    shape: tuple[int, ...],
    n: int,
    *,
    batch_size: int,
    repetitions: int,
    threads: int,
    folder: Path,
) -> str:
    path = folder / f"{name}.onnx"
    export(name, shape, path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    inputs, labels = rng.standard_normal((n, *shape), dtype=np.float32), rng.integers(0, 10, n)

    def bare() -> None:
        for start in range(0, n, batch_size):
            session.run(None, {"x": inputs[start : start + batch_size]})

    def scored() -> None:
        pko.score(session, (inputs, labels), batch_size=batch_size)

    loops: dict[str, Callable[[], None]] = {"bare": bare, "scored": scored}
    times: dict[str, list[tuple[float, float]]] = {each: [] for each in loops}
    for repetition in range(repetitions + 1):
        for each in rng.permutation(list(loops)).tolist():
            start, start_cpu = time.perf_counter(), time.process_time()
            loops[each]()
            if repetition:  # the first one warms up
                times[each].append((time.perf_counter() - start, time.process_time() - start_cpu))
    cells = [f"{name} {shape}, {n:,} examples, batches of {batch_size}"]
    for kind in range(2):
        bare_times, scored_times = ([each[kind] for each in times[loop]] for loop in ("bare", "scored"))
        ratios = [ours / theirs for ours, theirs in zip(scored_times, bare_times, strict=True)]
        low, ratio, high = statistics.quantiles(ratios, n=4)
        cells += [
            f"{statistics.median(bare_times):.3f} s",
            f"{statistics.median(scored_times):.3f} s",
            f"{ratio:.3f} ({low:.3f} to {high:.3f})" if kind == 0 else f"{ratio:.3f}",
        ]
    return f"| {' | '.join(cells)} |"


def write_rows(path: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, 500_000):
        n = min(500_000, rows - start)
        columns: dict[str, Array] = {
            f"f{i}": rng.standard_normal(n, dtype=np.float32) for i in range(_COLUMNS)
        }
        table = pa.table(columns | {"label": rng.integers(0, 10, n)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


_MEMORY = """
import re, sys, time
from pathlib import Path
import prune_kit_onnx as pko
from prune_kit.data import open_examples
start = time.perf_counter()
run = pko.score_models([sys.argv[1]], open_examples(sys.argv[2]), run=sys.argv[3], score_batch_size=4096)
# Not ru_maxrss, which begins with what the parent process had.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(time.perf_counter() - start, int(peak[1]) / 1024)
"""


def memory(rows: int, folder: Path) -> str:
    data, model = folder / f"{rows}.parquet", folder / "linear.onnx"
    write_rows(data, rows)
    model.write_bytes(_linear())
    words = [sys.executable, "-c", _MEMORY, str(model), str(data), str(folder / f"run-{rows}")]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    seconds, peak = map(float, said.split())
    size = data.stat().st_size / 2**20
    data.unlink()
    return f"| {rows:,} | {size:,.0f} MiB | {seconds:.1f} s | {peak:.0f} MiB |"


def _linear() -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(1).standard_normal((_COLUMNS, 10)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", _COLUMNS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(weight, "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    threads, repetitions = arguments.threads, arguments.repetitions
    lines = [
        f"onnxruntime {version('onnxruntime')}, NumPy {np.__version__}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, {platform.machine()}, {threads} threads.",
        "",
        "| model | bare, wall | score, wall | ratio (quartiles) | bare, CPU | score, CPU | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, shape, n, batch_size in (
            ("resnet18", (3, 32, 32), 96, 32),
            ("mlp", (784,), 25_600, 256),
        ):
            lines.append(
                compare(
                    name,
                    shape,
                    n,
                    batch_size=batch_size,
                    repetitions=repetitions,
                    threads=threads,
                    folder=Path(folder),
                )
            )
        lines += ["", "| rows of Parquet, 16 features | file | time | peak memory |", "|---:|---:|---:|---:|"]
        lines += [memory(rows, Path(folder)) for rows in arguments.rows]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text("# Scoring with ONNX Runtime\n\n" + text)


if __name__ == "__main__":
    main()
