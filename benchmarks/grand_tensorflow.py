"""Gradient norms of every example in TensorFlow, against a plain pass and TensorFlow's own ways.

    python benchmarks/grand_tensorflow.py --quick      # without the jacobian: about three minutes
    python benchmarks/grand_tensorflow.py --tasks mlp,simple-cnn --methods jacobian
    python benchmarks/grand_tensorflow.py --threads 2 --methods prune_kit

A plain forward + backward pass of the summed loss at the same batch, in a `tf.function` without XLA, is the
unit. All methods run in turn within one process, round after round, and medians are compared, so that a busy
machine slows all of them. With one thread the clock is the process's CPU time, with more it is the wall.
Every method's norms are compared with a float64 loop of gradients over batches of one; one that is off is
shown with its error in brackets.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from grand_tensorflow_models import TASKS, Task
from numpy.typing import NDArray

from prune_kit_tensorflow.gradients import GradientNorms

Run = Callable[[], Any]
_CHECKED = 4
# Memory is corrupted within TensorFlow 2.21 with oneDNN ("free(): invalid size"), or norms are wrong.
_CRASHES = {("transformer", "vectorized_map")}
_HOPELESS = 15.0
_MEMORY = 2**28  # numbers of gradients at once: a peer above it is not run


def losses(model: keras.Model, x: Any, y: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=False))


def plain(model: keras.Model, x: Any, y: Any) -> Run:
    """One forward + backward pass of the summed loss: the unit."""

    def run(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(losses(model, x, y))
        return tape.gradient(loss, model.trainable_variables)

    graph = tf.function(run)
    return lambda: graph(x, y) and None


def ours(model: keras.Model, x: Any, y: Any) -> Run:
    engine = GradientNorms(model)
    return lambda: engine(x, y)


def jacobian(model: keras.Model, x: Any, y: Any) -> Run:
    """`GradientTape.jacobian` of the losses, 16 of them at once: all together take gigabytes."""
    if model.count_params() * len(x) > _MEMORY:
        raise MemoryError

    def run(x: Any, y: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            loss = losses(model, x, y)
            parts = [loss[i : i + 16] for i in range(0, len(x), 16)]
        rows = [tape.jacobian(part, model.trainable_variables) for part in parts]
        return tf.sqrt(tf.concat([sum(_squares(row) for row in part) for part in rows], axis=0))

    graph = tf.function(run)
    return lambda: graph(x, y)


def _squares(gradients: Any) -> Any:
    gradients = tf.convert_to_tensor(gradients)
    return tf.reduce_sum(tf.square(gradients), axis=list(range(1, gradients.shape.rank)))


def _one(model: keras.Model) -> Callable[[Any], Any]:
    """The norm of one example's gradient."""

    def norm(example: Any) -> Any:
        x, y = example
        with tf.GradientTape() as tape:
            loss = losses(model, x[None], y[None])
        gradients = tape.gradient(loss, model.trainable_variables)
        return tf.sqrt(sum(tf.reduce_sum(tf.square(tf.convert_to_tensor(g))) for g in gradients))

    return norm


def vectorized_map(model: keras.Model, x: Any, y: Any) -> Run:
    """`tf.vectorized_map` of the gradient, as many examples at once as fit 512 MiB."""
    chunk = max(1, min(len(x), _MEMORY // 2 // model.count_params()))

    def run(x: Any, y: Any) -> Any:
        norm = _one(model)
        pairs = [(x[i : i + chunk], y[i : i + chunk]) for i in range(0, len(x), chunk)]
        return tf.concat([tf.vectorized_map(norm, pair) for pair in pairs], axis=0)

    graph = tf.function(run)
    return lambda: graph(x, y)


def map_fn(model: keras.Model, x: Any, y: Any) -> Run:
    """A loop of batches of one, within the graph."""

    def run(x: Any, y: Any) -> Any:
        return tf.map_fn(_one(model), (x, y), fn_output_signature=tf.float32)

    graph = tf.function(run)
    return lambda: graph(x, y)


METHODS: dict[str, Callable[[keras.Model, Any, Any], Run]] = {
    "plain": plain,
    "prune_kit": ours,
    "jacobian": jacobian,
    "vectorized_map": vectorized_map,
    "map_fn": map_fn,
}


def prepare(task: Task) -> tuple[keras.Model, Any, Any, NDArray[Any]]:
    """The network with the statistics of no special point, one batch, the exact norms of its first rows."""
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = task.make()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.moving_variance.shape))
    x, y = tf.constant(task.inputs(rng, task.batch)), tf.constant(rng.integers(0, 10, task.batch))
    keras.config.set_dtype_policy("float64")
    wide = task.make()
    keras.config.set_dtype_policy("float32")
    wide.set_weights(model.get_weights())
    norm = _one(wide)
    rows = tf.cast(x, tf.float64) if x.dtype.is_floating else x
    return model, x, y, np.array([norm((rows[i], y[i])) for i in range(_CHECKED)])


def timed(run: Run, threads: int) -> float:
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    run()
    return clock() - start


def compare(name: str, methods: list[str], threads: int, seconds: float) -> dict[str, Any]:
    """Medians of every method, in seconds, its largest relative error, and what its first call took."""
    model, x, y, reference = prepare(TASKS[name])
    runs: dict[str, Run] = {}
    result: dict[str, Any] = {"seconds": {}, "error": {}, "failed": {}, "first": {}}
    unit = 0.0
    for method in methods:
        if (name, method) in _CRASHES:
            result["failed"][method] = "crashes"
            continue
        start = time.perf_counter()
        try:
            run = METHODS[method](model, x, y)
            norms = run()
        except MemoryError:
            result["failed"][method] = "too large"
            continue
        except (ValueError, TypeError, LookupError, NotImplementedError, tf.errors.OpError) as error:
            print(name, method, str(error).splitlines()[0][:200], file=sys.stderr)
            result["failed"][method] = "refuses"
            continue
        result["first"][method] = time.perf_counter() - start
        if norms is not None:
            result["error"][method] = float(np.max(np.abs(np.asarray(norms)[:_CHECKED] / reference - 1)))
        once = timed(run, threads)
        unit = unit or once
        result["seconds"][method] = [once] if once > _HOPELESS * unit else []
        if once <= _HOPELESS * unit:
            runs[method] = run
    end = time.perf_counter() + seconds
    while len(result["seconds"]["plain"]) < 5 or time.perf_counter() < end:
        for method, run in runs.items():
            result["seconds"][method].append(timed(run, threads))
    result["seconds"] = {method: statistics.median(s) for method, s in result["seconds"].items()}
    return result


def table(results: dict[str, dict[str, Any]], methods: list[str]) -> str:
    """Ratios to plain; an error above 1e-4 in brackets."""
    lines = ["| network (batch) | plain | target | " + " | ".join(methods[1:]) + " | first call |"]
    lines.append("|---" * (len(methods) + 3) + "|")
    for name, result in results.items():
        seconds, cells = result["seconds"], []
        for method in methods[1:]:
            if method in result["failed"]:
                cells.append(result["failed"][method])
                continue
            error = result["error"][method]
            wrong = f" [{error:.0e}]" if not error <= 1e-4 else ""
            cells.append(f"{seconds[method] / seconds['plain']:.2f}{wrong}")
        target = TASKS[name].target
        first = result["first"].get("prune_kit")
        lines.append(
            f"| {name} ({TASKS[name].batch}) | {1e3 * seconds['plain']:.1f} ms | {target or ''} | "
            f"{' | '.join(cells)} | {f'{first:.1f} s' if first else ''} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--methods", help="separated by commas")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    # The plain pass is the unit.
    chosen = arguments.methods.split(",") if arguments.methods else list(METHODS)
    if arguments.quick and not arguments.methods:
        chosen.remove("jacobian")
    methods = list(dict.fromkeys(["plain", *chosen]))
    results = {}
    for name in arguments.tasks.split(","):
        results[name] = compare(name, methods, arguments.threads, 4.0 if arguments.quick else 20.0)
        print(name, results[name], file=sys.stderr, flush=True)
    clock = "CPU time" if arguments.threads == 1 else "wall-clock time"
    text = f"TensorFlow {tf.__version__}, Keras {keras.__version__}, CPU, float32, "
    text += f"threads: {arguments.threads}, {clock}, ratio to plain:\n\n{table(results, methods)}"
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
