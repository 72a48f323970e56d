"""What recording costs: training with a `ScoreRecorder` beside the same training without, step by step.

    python benchmarks/recorder.py --out benchmarks/results/recorder.md
    python benchmarks/recorder.py --memory

Two networks with the same weights take the same batches in turn, in random order, each step timed by
itself, so that what slows the machine slows both; the recorder's end of epoch, with the part that it writes,
counts as its. The last column is the time inside the recorder's own calls. With --memory, a process trains a
linear model on many examples, with and without.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import prune_kit_torch as pkt
from prune_kit.data import load_examples

CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10" / "train.parquet"
BATCH = 128
_MEMORY_EXAMPLES = 4_000_000
_COLUMN_BYTES = 3 * 8 + 5 * 4  # id, label, predicted; p_label, el2n, logit_margin, times, step


def images(n: int) -> tuple[TensorDataset, str]:
    """CIFAR-10's first training images where they are at hand, else noise of the same shape."""
    if CIFAR10.is_file():
        examples = load_examples(CIFAR10)
        x = torch.tensor(examples.inputs[:n].transpose(0, 3, 1, 2)).float() / 255 - 0.5
        return TensorDataset(x, torch.tensor(examples.labels[:n])), "CIFAR-10"
    return TensorDataset(torch.randn(n, 3, 32, 32), torch.arange(n) % 10), "noise of CIFAR-10's shape"


class Side:
    """One of both trainings."""

    def __init__(self, model: torch.nn.Module, recorder: pkt.ScoreRecorder | None) -> None:
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
        self.recorder = recorder
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.own: list[float] = []

    def step(self, ids: Tensor, x: Tensor, y: Tensor, *, ends_epoch: bool) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        logits = self.model(x)
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits, y).backward()
        self.optimizer.step()
        if self.recorder is not None:
            own = time.perf_counter()
            self.recorder.update(ids, logits, y)
            if ends_epoch:
                self.recorder.end_epoch()
            self.own.append(time.perf_counter() - own)
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


def compare(network: str, examples: int, epochs: int, threads: int) -> str:
    """Return a row of the table for one network."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    data, what = images(examples)
    model = pkt.built_in_model(network, (data.tensors[0], data.tensors[1]))()
    loader = pkt.with_ids(DataLoader(data, batch_size=BATCH, shuffle=True))
    turns = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        recorder = pkt.ScoreRecorder(Path(folder) / "run", len(data))
        plain, recorded = Side(copy.deepcopy(model), None), Side(model, recorder)
        for epoch in range(epochs + 1):
            for number, (ids, (x, y)) in enumerate(loader, 1):
                sides = [plain, recorded]
                turns.shuffle(sides)
                for side in sides:
                    side.step(ids, x, y, ends_epoch=number == len(loader))
            if not epoch:  # the first epoch warms up
                for side in (plain, recorded):
                    side.wall, side.cpu, side.own = [], [], []
    same = all(
        torch.equal(a, b) for a, b in zip(plain.model.parameters(), recorded.model.parameters(), strict=True)
    )
    if not same:
        raise SystemExit("the recorder changed the training")
    ratios = [sum(getattr(recorded, kind)) / sum(getattr(plain, kind)) for kind in ("wall", "cpu")]
    median = statistics.median(plain.wall)
    own = sum(recorded.own)
    return (
        f"| {network}, {what}, {threads} thread{'s' if threads > 1 else ''} | {len(plain.wall)} | "
        f"{1e3 * median:.1f} ms | {ratios[0]:.3f} | {ratios[1]:.3f} | "
        f"{1e3 * own / len(plain.wall):.2f} ms, {own / sum(plain.wall):.2%} |"
    )


def peak_memory(recorded: bool) -> None:
    """Train a linear model on many examples; print resident memory after its steps and at its peak."""
    torch.set_num_threads(1)
    n = _MEMORY_EXAMPLES
    x, y = torch.randn(n, 4), torch.arange(n) % 10
    model = torch.nn.Linear(4, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with tempfile.TemporaryDirectory() as folder:
        # What a recorder imports is there on both sides.
        warm = pkt.ScoreRecorder(Path(folder) / "warm", 10)
        warm.update(torch.arange(10), model(x[:10]), y[:10])
        warm.end_epoch()
        recorder = pkt.ScoreRecorder(Path(folder) / "run", n) if recorded else None
        for epoch in range(2):
            for rows in torch.randperm(n).split(4096):
                logits = model(x[rows])
                optimizer.zero_grad()
                F.cross_entropy(logits, y[rows]).backward()
                optimizer.step()
                if recorder is not None:
                    recorder.update(rows, logits, y[rows])
            if epoch == 1:
                status = Path("/proc/self/status").read_text()
                print(int(status.split("VmRSS:")[1].split()[0]) * 1024)
            if recorder is not None:
                recorder.end_epoch()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def memory() -> str:
    """Return the peak of resident memory with and without a recorder, each in a process of its own."""
    sides = []
    for side in ("without", "with"):
        command = [sys.executable, __file__, "--peak", side]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        sides.append([int(line) for line in done.stdout.split()])
    columns = _COLUMN_BYTES * _MEMORY_EXAMPLES
    lines = [
        f"Columns of {_MEMORY_EXAMPLES:,} examples: {columns / 1e6:.0f} MB (id, label, predicted: int64; "
        "p_label, el2n, logit_margin, two counters: 4 bytes each).",
        "",
        "| resident memory | without | with | more, in units of the columns |",
        "|---|---:|---:|---:|",
    ]
    for name, without, recorded in zip(("after all steps of an epoch", "at its peak"), *sides, strict=True):
        more = (recorded - without) / columns
        lines.append(f"| {name} | {without / 1e6:.0f} MB | {recorded / 1e6:.0f} MB | {more:.2f} |")
    return "\n".join(lines)


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    parts = [names[0] if names else platform.processor(), f"{os.cpu_count()} cores"]
    return ", ".join([*parts, f"Python {platform.python_version()}", f"torch {version('torch')}"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=5_000)
    parser.add_argument("--epochs", type=int, default=5, help="timed, after one that warms up")
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--peak", choices=("with", "without"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="append the table to this file")
    options = parser.parse_args()
    if options.peak:
        peak_memory(options.peak == "with")
        return
    if options.memory:
        text, command = memory(), "python benchmarks/recorder.py --memory"
    else:
        rows = [
            "| network | steps | a step without | time, with / without | CPU, with / without | "
            "the recorder's calls, a step |",
            "|---|---:|---:|---:|---:|---:|",
            *(
                compare(network, options.examples, options.epochs, threads)
                for network, threads in (("simple-cnn", 1), ("simple-cnn", 2), ("small-cnn", 1))
            ),
        ]
        text, command = "\n".join(rows), "python benchmarks/recorder.py"
    text = f"`{command}`\n\n{machine()}; load {os.getloadavg()[0]:.1f}\n\n{text}\n"
    print(text)
    if options.out:
        with options.out.open("a") as file:
            file.write(f"{text}\n")


if __name__ == "__main__":
    main()
