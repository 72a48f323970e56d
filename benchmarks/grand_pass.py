"""What GraNd of a whole data set costs: one scoring pass, beside one epoch of training.

    python benchmarks/grand_pass.py
    python benchmarks/grand_pass.py --data CIFAR10/train.parquet --model simple-cnn --examples 10000

An epoch, a pass for EL2N and a pass for EL2N and GraNd take turns; medians of their CPU times on one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

import prune_kit_torch as pkt
from prune_kit.data import load_examples


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="digits")
    parser.add_argument("--model", default="small-cnn")
    parser.add_argument("--examples", type=int, help="the first so many only")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    examples = load_examples(options.data)
    if options.examples:
        examples = examples.take(np.arange(options.examples))
    source = pkt.as_source(examples)
    torch.manual_seed(0)
    model = pkt.built_in_model(options.model, source)()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def epoch() -> None:
        for batch in source.shuffled(128, 0):
            optimizer.zero_grad()
            F.cross_entropy(model(batch.inputs), batch.labels).backward()
            optimizer.step()

    methods: dict[str, Callable[[], object]] = {
        "epoch of training": epoch,
        "el2n": lambda: pkt.score(model, source, batch_size=128),
        "el2n and grand": lambda: pkt.score(model, source, scores=("el2n", "grand"), batch_size=128),
    }
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(options.rounds):
        for name, run in methods.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    unit = statistics.median(seconds["epoch of training"])
    print(f"{options.data}, {options.model}, {len(examples):,} examples, {options.rounds} rounds")
    for name, values in seconds.items():
        print(f"  {name:18} {statistics.median(values):8.2f} s   {statistics.median(values) / unit:5.2f}")
    table = pkt.score(model, source, scores=("el2n", "grand"))
    print(
        f"  Spearman correlation of el2n and grand: {spearmanr(table['el2n'], table['grand']).statistic:.3f}"
    )


if __name__ == "__main__":
    main()
