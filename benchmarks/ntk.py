"""The tangent kernel of some images against both ways of torch.func, in time and memory.

    python benchmarks/ntk.py --out benchmarks/results/ntk.md   # about ten minutes, 3 GB
    python benchmarks/ntk.py --full     # 100 images, ResNet-18: ours alone, two minutes, 3 GB

The two other ways are those of PyTorch's tutorial on tangent kernels: contraction of whole Jacobians, and
products of the kernel with each unit vector (a vjp and a jvp per pair of examples and logit). The Jacobian of
100 images and 10 classes for ResNet-18 takes 44 GB: they are measured on fewer images and a narrower network.
All methods run in turn in one process with one thread; the clock is the process's CPU time, and medians are
compared. Peak memory is that of a process of its own above the resident model. Every kernel is compared with
that of a float64 copy of the model from Jacobians.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from grand import _status
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vjp, vmap

from prune_kit_torch import neural_tangent_kernel
from prune_kit_torch.models import BasicBlock, resnet

_CLASSES = 10


@dataclass(frozen=True)
class Task:
    """A ResNet-18 of some width, and how many images."""

    width: int
    images: int
    methods: tuple[str, ...] = ("prune_kit", "jacobians", "vector products")


TASKS = {
    "resnet18, 4 images": Task(64, 4),
    "resnet18 / 4 as wide, 8 images": Task(16, 8),
    "resnet18 / 4 as wide, 40 images": Task(16, 40, ("prune_kit", "jacobians")),
}


def prepare(width: int, images: int) -> tuple[nn.Module, Tensor]:
    """The network in inference mode, with statistics of no special point, and images."""
    torch.manual_seed(0)
    model = resnet(BasicBlock, (2, 2, 2, 2), 3, _CLASSES, width).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
        if isinstance(module, nn.ReLU):
            module.inplace = False  # torch.func's forward mode refuses it
    return model, torch.randn(images, 3, 32, 32)


def ours(model: nn.Module, x: Tensor) -> Tensor:
    return neural_tangent_kernel(model, x)


def _one(model: nn.Module) -> tuple[dict[str, Tensor], Callable[[dict[str, Tensor], Tensor], Tensor]]:
    weights = {name: p.detach() for name, p in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def logits(own: dict[str, Tensor], image: Tensor) -> Tensor:
        result: Tensor = functional_call(model, (own, buffers), (image[None],))[0]
        return result

    return weights, logits


def jacobians(model: nn.Module, x: Tensor) -> Tensor:
    """Jacobians of all images, contracted weight by weight."""
    weights, logits = _one(model)
    found = vmap(jacrev(logits), (None, 0))(weights, x)
    rows = [j.flatten(2).flatten(0, 1) for j in found.values()]
    return torch.stack([row @ row.T for row in rows]).sum(0)


def vector_products(model: nn.Module, x: Tensor) -> Tensor:
    """For each pair of images, the kernel times every unit vector: a vjp, then a jvp."""
    weights, logits = _one(model)
    unit = torch.eye(_CLASSES)

    def of_pair(a: Tensor, b: Tensor) -> Tensor:
        def product(vector: Tensor) -> Tensor:
            pull = vjp(lambda own: logits(own, b), weights)[1]
            # jvp gives a third value where it is asked for, so that its type says nothing.
            column: Tensor = jvp(lambda own: logits(own, a), (weights,), pull(vector))[1]
            return column

        return vmap(product)(unit)  # rows are logits of b

    with torch.no_grad():
        rows = [torch.stack([of_pair(a, b).T for b in x], 1) for a in x]
    return torch.stack(rows).permute(0, 1, 2, 3).reshape(len(x) * _CLASSES, -1)


METHODS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "prune_kit": ours,
    "jacobians": jacobians,
    "vector products": vector_products,
}


def compare(task: Task, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds and largest relative error of each method."""
    model, x = prepare(task.width, task.images)
    few = min(4, task.images)
    exact = jacobians(copy.deepcopy(model).double(), x[:few].double())
    seconds: dict[str, list[float]] = {name: [] for name in task.methods}
    errors: dict[str, float] = {}
    for name in task.methods:
        METHODS[name](model, x[:2])
    for _ in range(rounds):
        for name in task.methods:
            start = time.process_time()
            kernel = METHODS[name](model, x)
            seconds[name].append(time.process_time() - start)
            rows = few * _CLASSES
            errors[name] = float((kernel[:rows, :rows].double() - exact).abs().max() / exact.abs().max())
    return {name: (statistics.median(seconds[name]), errors[name]) for name in task.methods}


def memory(name: str, method: str) -> float:
    """MiB above the resident model and images, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", name, method]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def memory_of(task: Task, method: str) -> float:
    model, x = prepare(task.width, task.images)
    METHODS[method](copy.deepcopy(model), x[:1, :, :8, :8])  # what loads on first use
    start = _status("VmRSS")
    METHODS[method](model, x)
    return (_status("VmHWM") - start) / 1024


def table(name: str, task: Task, rounds: int) -> list[str]:
    """A row for each method, ratios to ours."""
    found = compare(task, rounds)
    used = {method: memory(name, method) for method in task.methods}
    first, *_ = task.methods
    return [
        f"| {name} | {method} | {found[method][0]:.1f} s | {found[method][0] / found[first][0]:.1f} | "
        f"{used[method]:.0f} MiB | {used[method] / used[first]:.1f} | {found[method][1]:.0e} |"
        for method in task.methods
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory-of", nargs=2, metavar=("TASK", "METHOD"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        name, method = arguments.memory_of
        print(memory_of(TASKS[name], method))
        return
    if arguments.full:
        model, x = prepare(64, 100)
        ours(model, x[:1])
        resident, start = _status("VmRSS"), time.process_time()
        ours(model, x)
        jacobian = 100 * _CLASSES * sum(p.numel() for p in model.parameters()) * 4 / 2**20
        peak = (_status("VmHWM") - resident) / 1024
        print(f"{time.process_time() - start:.0f} s of CPU time, {peak:.0f} MiB; Jacobian {jacobian:.0f} MiB")
        return
    lines = [
        f"PyTorch {torch.__version__}, CPU, one thread, float32, {_CLASSES} classes, images of 32 x 32.",
        "",
        "| network | method | CPU time | ratio | peak memory | ratio | error |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, task in TASKS.items():
        rows = table(name, task, arguments.rounds)
        print("\n".join(rows), file=sys.stderr, flush=True)
        lines += rows
    print("\n".join(lines))
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
