"""Gradient norms of every example, against a plain forward + backward pass and against public libraries.

    python benchmarks/grand.py --quick                 # every network, fewer rounds: below four minutes
    python benchmarks/grand.py --out results/grand.md  # one and two threads, memory: about fifteen minutes

A plain pass of the summed loss at the same batch is the unit. All methods run in turn within one process,
round after round, and medians are compared, so that a busy machine slows all of them. With one thread the
clock is the process's CPU time, with more it is the wall. Every method's norms are compared with a float64
loop of backward passes over single examples; one that is off is shown with its error in brackets.
Libraries that are not installed are left out:
    pip install -c constraints.txt opacus
    pip install --no-deps backpack-for-pytorch unfoldNd einops   # or it replaces the CPU torch
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from grand_methods import METHODS
from grand_models import TASKS, Task
from torch import Tensor, nn

_CHECKED = 4
_HOPELESS = 15.0


def prepare(task: Task, device: str, dtype: torch.dtype) -> tuple[nn.Module, Tensor, Tensor]:
    """The network in inference mode, with the statistics and weights of no special point, and one batch."""
    torch.manual_seed(0)
    model = task.make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    x = task.inputs(task.batch)
    x = x.to(device, dtype) if x.is_floating_point() else x.to(device)
    return model.to(device, dtype).eval(), x, torch.randint(0, 10, (task.batch,)).to(device)


def exact(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    model = copy.deepcopy(model).double()
    x = x.double() if x.is_floating_point() else x
    norms = []
    for i in range(_CHECKED):
        loss = F.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
        grads = torch.autograd.grad(loss, list(model.parameters()))
        norms.append(torch.stack([g.square().sum() for g in grads]).sum().sqrt())
    return torch.stack(norms)


def timed(run: Callable[[], Any], device: str, threads: int) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    clock = time.process_time if device == "cpu" and threads == 1 else time.perf_counter
    start = clock()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def compare(
    name: str, methods: list[str], device: str, dtype: torch.dtype, threads: int, seconds: float
) -> dict[str, Any]:
    """Medians of every method, in seconds, and its largest relative error."""
    torch.set_num_threads(threads)
    model, x, y = prepare(TASKS[name], device, dtype)
    reference = exact(model, x, y)
    runs: dict[str, Callable[[], Any]] = {}
    result: dict[str, Any] = {"seconds": {}, "error": {}, "failed": {}}
    plain = 0.0
    for method in methods:
        try:
            run = METHODS[method](copy.deepcopy(model), x, y)
            norms: list[Tensor | None] = []
            first = timed(lambda: norms.append(run()), device, threads)  # noqa: B023 - called at once
            if norms[0] is not None:
                off = ((norms[0][:_CHECKED].double() - reference) / reference).abs().max()
                result["error"][method] = float(off)
            if first < max(2.0, 2 * _HOPELESS * plain):
                first = timed(run, device, threads)  # the first call also prepares
        except ImportError:
            continue
        except (
            RuntimeError,
            NotImplementedError,
            ValueError,
            AttributeError,
            KeyError,
            TypeError,
            AssertionError,
        ) as e:
            result["failed"][method] = (
                str(e).strip().splitlines()[0][:80] if str(e).strip() else type(e).__name__
            )
            continue
        plain = plain or first
        if first > _HOPELESS * plain:
            result["seconds"][method] = [first]
        else:
            runs[method] = run
            result["seconds"][method] = []
    end = time.perf_counter() + seconds
    while len(result["seconds"]["plain"]) < 5 or (
        time.perf_counter() < end and len(result["seconds"]["plain"]) < 60
    ):
        for method, run in runs.items():
            result["seconds"][method].append(timed(run, device, threads))
        if time.perf_counter() > end + 2 * seconds:
            break
    result["seconds"] = {method: statistics.median(s) for method, s in result["seconds"].items()}
    return result


def memory(name: str, method: str, device: str, dtype: str) -> float | None:
    """MiB above the resident model and batch, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", name, method, "--device", device, "--dtype", dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def memory_of(name: str, method: str, device: str, dtype: torch.dtype) -> float:
    torch.set_num_threads(1)
    model, x, y = prepare(TASKS[name], device, dtype)
    if device != "cpu":
        run = METHODS[method](model, x, y)
        run()
        torch.cuda.synchronize()
        start = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - start) / 2**20
    METHODS[method](copy.deepcopy(model), x[:2], y[:2])()  # modules and libraries load on first use
    run = METHODS[method](model, x, y)
    start = _status("VmRSS")
    run()
    run()
    return (_status("VmHWM") - start) / 1024


def _status(field: str) -> int:
    """Kilobytes, as the kernel counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise SystemExit(f"/proc/self/status has no {field}")


def table(results: dict[str, dict[str, Any]], methods: list[str]) -> str:
    """Ratios to plain; an error above 1e-4 in brackets."""
    lines = [
        "| network (batch) | plain | target | " + " | ".join(methods[1:]) + " |",
        "|---" * (len(methods) + 2) + "|",
    ]
    for name, result in results.items():
        task, seconds = TASKS[name], result["seconds"]
        cells = []
        for method in methods[1:]:
            if method in result["failed"]:
                cells.append("refuses")
            elif method not in seconds:
                cells.append("-")
            else:
                ratio, error = seconds[method] / seconds["plain"], result["error"].get(method, 0.0)
                cells.append(f"{ratio:.2f}" + (f" [{error:.0e}]" if error > 1e-4 else ""))
        target = f"{task.target:.2f}" if task.target else ""
        lines.append(
            f"| {name} ({task.batch}) | {1e3 * seconds['plain']:.0f} ms | {target} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--threads", default=None, help="e.g. 1,2")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", nargs=2, metavar=("TASK", "METHOD"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    dtype = getattr(torch, arguments.dtype)
    warnings.simplefilter("ignore")  # the libraries' own; errors are looked for in the numbers
    if arguments.memory_of:
        name, method = arguments.memory_of
        print(memory_of(name, method, arguments.device, dtype))
        return
    tasks = arguments.tasks.split(",")
    # The plain pass is the unit.
    methods = list(dict.fromkeys(["plain", *arguments.methods.split(",")]))
    threads = [int(n) for n in (arguments.threads or ("1" if arguments.quick else "1,2")).split(",")]
    seconds = 4.0 if arguments.quick else 20.0
    where = torch.cuda.get_device_name() if arguments.device != "cpu" else "CPU"
    text = [f"PyTorch {torch.__version__}, {where}, {arguments.dtype}."]
    every: dict[str, Any] = {}
    for count in threads:
        results = {}
        for name in tasks:
            results[name] = compare(name, methods, arguments.device, dtype, count, seconds)
            ratios = {
                m: round(s / results[name]["seconds"]["plain"], 2)
                for m, s in results[name]["seconds"].items()
            }
            print(name, ratios, results[name]["failed"], file=sys.stderr, flush=True)
        clock = "CPU time" if count == 1 and arguments.device == "cpu" else "wall-clock time"
        text += [
            "",
            f"{count} thread{'s' if count > 1 else ''}, {clock}, ratio to plain:",
            "",
            table(results, methods),
        ]
        every[str(count)] = results
    if not arguments.quick:
        text += ["", "Peak memory above the resident model, MiB:", ""]
        text += ["| network | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
        for name in tasks:
            slow = {m for m, s in every[str(threads[0])][name]["seconds"].items()
                    if s > 8 * every[str(threads[0])][name]["seconds"]["plain"]}  # fmt: skip
            failed = every[str(threads[0])][name]["failed"]
            used = {
                m: None if m in slow or m in failed else memory(name, m, arguments.device, arguments.dtype)
                for m in methods
            }
            every.setdefault("memory", {})[name] = used
            text.append(
                f"| {name} | " + " | ".join("-" if v is None else f"{v:.0f}" for v in used.values()) + " |"
            )
    print("\n".join(text))
    if arguments.out:
        arguments.out.write_text("\n".join(text) + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(every, indent=1))


if __name__ == "__main__":
    main()
