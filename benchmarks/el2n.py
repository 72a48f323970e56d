"""How fast `el2n` is beside what one would write, and how much memory a memory-mapped file costs.

    python benchmarks/el2n.py --out benchmarks/results/el2n.md
    python benchmarks/el2n.py --memmap 8 --folder /tmp

Every repetition runs all implementations one after the other, in random order, so that what slows the
machine slows them all; the table has medians and, in brackets, their ratios to prune_kit's.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prune_kit.scores import el2n

Array = npt.NDArray[Any]
SHAPES = ((2_000_000, 10), (200_000, 100), (20_000, 1_000))


def by_definition(logits: Array, labels: Array) -> Array:
    """Definition 2.3 as it stands: the norm of softmax(logits) - onehot."""
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = exps / exps.sum(axis=1, keepdims=True)
    onehot = np.eye(logits.shape[1], dtype=logits.dtype)[labels]
    return np.asarray(np.linalg.norm(softmax - onehot, axis=1))


def in_place(logits: Array, labels: Array) -> Array:
    """The same without a one-hot matrix: 1 is subtracted where the labels are."""
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors = exps / exps.sum(axis=1, keepdims=True)
    errors[np.arange(len(labels)), labels] -= 1
    return np.asarray(np.linalg.norm(errors, axis=1))


def with_scipy(logits: Array, labels: Array) -> Array:
    import scipy.special

    errors = scipy.special.softmax(logits, axis=1)
    errors[np.arange(len(labels)), labels] -= 1
    return np.asarray(np.linalg.norm(errors, axis=1))


def with_torch() -> Callable[[Array, Array], Any]:
    import torch

    torch.set_num_threads(2)

    def run(logits: Array, labels: Array) -> torch.Tensor:
        errors = torch.softmax(torch.from_numpy(logits), dim=1)
        errors[torch.arange(len(labels)), torch.from_numpy(labels)] -= 1
        norms: torch.Tensor = torch.linalg.vector_norm(errors, dim=1)
        return norms

    return run


def with_jax() -> Callable[[Array, Array], Any]:
    """Return the formula of the paper's code: the norm of softmax(logits) - one_hot(labels), compiled."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def formula(logits: Any, labels: Any) -> Any:
        errors = jax.nn.softmax(logits, axis=-1) - jax.nn.one_hot(labels, logits.shape[-1])
        return jnp.linalg.norm(errors, ord=2, axis=-1)

    def run(logits: Array, labels: Array) -> Any:
        return formula(logits, labels).block_until_ready()

    return run


def compare(repetitions: int) -> str:
    rivals: dict[str, Callable[[Array, Array], Any]] = {
        "prune_kit": el2n,
        "NumPy, softmax - onehot": by_definition,
        "NumPy, 1 subtracted in place": in_place,
        "scipy.special.softmax": with_scipy,
        "torch, 2 threads": with_torch(),
        "JAX, jit": with_jax(),
    }
    lines = [
        "| shape | " + " | ".join(rivals) + " |",
        "|---|" + "---:|" * len(rivals),
    ]
    for n, c in SHAPES:
        rng = np.random.default_rng(0)
        logits = 3 * rng.standard_normal((n, c), dtype=np.float32)
        labels = rng.integers(0, c, n)
        expected = el2n(logits.astype(np.float64), labels)
        times: dict[str, list[float]] = {name: [] for name in rivals}
        for name, rival in rivals.items():
            error = np.abs(np.asarray(rival(logits, labels)) - expected).max()
            if error > 1e-5:
                raise SystemExit(f"{name} is off by {error}")
        for _ in range(repetitions):
            # In another order each time, and after a pause: idle threads of the one before may still spin.
            for name in rng.permutation(list(rivals)).tolist():
                rival = rivals[name]
                time.sleep(0.1)
                start = time.perf_counter()
                rival(logits, labels)
                times[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(each) for name, each in times.items()}
        ours = medians["prune_kit"]
        cells = [f"{1e3 * each:.1f} ms ({each / ours:.2f}x)" for each in medians.values()]
        lines.append(f"| ({n:,}, {c:,}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def memory() -> dict[str, float]:
    """Resident memory in MB: anonymous (this program's own) and file-backed (pages of mapped files)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {key: int(fields[key].split()[0]) / 1e3 for key in ("RssAnon", "RssFile", "VmRSS")}


def mapped(gigabytes: float, folder: str) -> str:
    """Score a file of `gigabytes` in both float types and report by how much memory grew at its peak."""
    lines = [
        "| file | shape | time | own memory grew by | all resident memory at its peak grew by |",
        "|---|---|---:|---:|---:|",
    ]
    for dtype in (np.float32, np.float16):
        c = 1_000
        n = int(gigabytes * 1e9) // (c * np.dtype(dtype).itemsize)
        labels = np.arange(n) % c
        handle, name = tempfile.mkstemp(suffix=".npy", dir=folder)
        os.close(handle)
        path = Path(name)
        try:
            write_logits(path, n, c, dtype)
            el2n(np.zeros((4, c), dtype), labels[:4])
            logits = np.load(path, mmap_mode="r")
            before = memory()
            peak = dict.fromkeys(before, 0.0)
            # Sampled from a thread of its own: the kernel keeps a peak of the total alone.
            with Sampler(peak):
                start = time.perf_counter()
                el2n(logits, labels)
                taken = time.perf_counter() - start
            size = f"{path.stat().st_size / 1e9:.2f} GB {np.dtype(dtype).name}"
            cells = [size, f"({n:,}, {c:,})", f"{taken:.1f} s"]
            cells += [f"{peak[key] - before[key]:.0f} MB" for key in ("RssAnon", "VmRSS")]
            lines.append("| " + " | ".join(cells) + " |")
            del logits
        finally:
            path.unlink()
    peak_total = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    lines.append(
        f"\nPeak resident memory of the whole process, as the kernel counts it: {peak_total:.0f} MB."
    )
    return "\n".join(lines)


class Sampler:
    """Keeps the largest values of `memory` while it is open."""

    def __init__(self, peak: dict[str, float]) -> None:
        import threading

        self.peak = peak
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.done.wait(0.005):
            for key, value in memory().items():
                self.peak[key] = max(self.peak[key], value)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()


def write_logits(path: Path, n: int, c: int, dtype: Any) -> None:
    """Write a .npy file of n rows, a part at a time and through no map."""
    rows = 5_000
    part = np.random.default_rng(0).standard_normal((rows, c), dtype=np.float32).astype(dtype)
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(part.dtype), "fortran_order": False, "shape": (n, c)}
        np.lib.format.write_array_header_2_0(file, header)
        for start in range(0, n, rows):
            part[: n - start].tofile(file)
        file.flush()
        os.fsync(file.fileno())


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    parts = [names[0] if names else platform.processor(), f"{os.cpu_count()} cores"]
    parts.append(f"Python {platform.python_version()}")
    parts += [f"{package} {version(package)}" for package in ("numpy", "scipy", "torch", "jax")]
    return ", ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument(
        "--memmap", type=float, metavar="GB", help="measure memory on a file of this size instead"
    )
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where that file is made and removed")
    parser.add_argument("--out", type=Path, help="append the table to this file")
    options = parser.parse_args()
    table = mapped(options.memmap, options.folder) if options.memmap else compare(options.repetitions)
    mode = f" --memmap {options.memmap:g}" if options.memmap else ""
    command = f"python benchmarks/el2n.py{mode}"
    text = f"{machine()}; load {os.getloadavg()[0]:.1f}\n\n{table}\n"
    print(text)
    if options.out:
        with options.out.open("a") as file:
            file.write(f"`{command}`\n\n{text}\n")


if __name__ == "__main__":
    main()
