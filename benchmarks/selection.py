"""Choosing among ten million scores: how long it takes beside what does the same, and whether it is the same.

    python benchmarks/selection.py [--n 10000000]

The methods take turns, in random order in every round; medians of the ratios to `keep_hardest`. DuckDB and
pandas are measured where they are installed. "same subset": exactly half, the hardest, ties by position.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

import prune_kit as pk

Scores = npt.NDArray[np.float32]


def argsort(scores: Scores, count: int) -> Any:
    return np.sort(np.argsort(scores, kind="stable")[len(scores) - count :])


def pandas_nlargest(scores: Scores, count: int) -> Any:
    import pandas as pd

    return np.sort(pd.Series(scores).sort_values(kind="stable").index[len(scores) - count :].to_numpy())


def duckdb_top(scores: Scores, count: int) -> Any:
    import duckdb
    import pyarrow as pa

    query = f"SELECT id FROM scored ORDER BY score DESC, id DESC LIMIT {count}"
    with duckdb.connect() as connection:
        connection.register("scored", pa.table({"id": np.arange(len(scores)), "score": scores}))
        return np.sort(connection.execute(query).fetchnumpy()["id"])


METHODS: dict[str, Callable[[Scores, int], Any]] = {
    "prune_kit.keep_hardest": lambda scores, count: pk.keep_hardest(scores, count=count),
    "prune_kit.keep_window": lambda scores, count: pk.keep_window(
        scores, offset=len(scores) // 20, count=count
    ),
    "prune_kit.keep_stratified": lambda scores, count: pk.keep_stratified(scores, count=count, seed=0),
    "numpy argsort, stable": argsort,
    "pandas sort_values, stable": pandas_nlargest,
    "duckdb ORDER BY, LIMIT": duckdb_top,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    scores = np.random.default_rng(0).gamma(0.5, size=options.n).astype(np.float32)
    scores[: options.n // 10] = np.round(scores[: options.n // 10], 2)  # ties
    count = options.n // 2
    methods = {
        name: method
        for name, method in METHODS.items()
        if find_spec(name.split(maxsplit=1)[0].partition(".")[0]) is not None
    }
    expected = argsort(scores, count)
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    same = {}
    for _ in range(options.rounds):
        for name in random.sample(list(methods), len(methods)):
            start = time.perf_counter()
            kept = methods[name](scores, count)
            seconds[name].append(time.perf_counter() - start)
            same[name] = len(kept) == count and bool((np.asarray(kept) == expected).all())
    reference = seconds["prune_kit.keep_hardest"]
    print("| method | seconds | times keep_hardest | same subset |")
    print("|---|---:|---:|---|")
    for name, taken in seconds.items():
        ratio = statistics.median(t / r for t, r in zip(taken, reference, strict=True))
        print(f"| {name} | {statistics.median(taken):.2f} | {ratio:.1f} | {'yes' if same[name] else 'no'} |")


if __name__ == "__main__":
    main()
