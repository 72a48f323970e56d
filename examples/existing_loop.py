"""A training loop that exists: five lines of the kit's record the scores of every example as it trains.

The scores are of the forward passes that training does anyway; nothing is computed twice.

    python examples/existing_loop.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import prune_kit_torch as pkt  # the kit


def train(data: TensorDataset, epochs: int, run: Path) -> None:
    """Train a network on the digits."""
    loader = DataLoader(data, batch_size=64, shuffle=True)
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    recorder = pkt.ScoreRecorder(run, len(data), overwrite=True)  # the kit
    for epoch in range(1, epochs + 1):
        for ids, (inputs, labels) in pkt.with_ids(loader):  # the kit: whose examples they are
            logits = model(inputs)
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.update(ids, logits, labels)  # the kit
        recorder.end_epoch()  # the kit: writes the scores of this epoch
        print(f"epoch {epoch}: loss of the last batch {loss.item():.4f}")


def prune(data: TensorDataset, run: Path) -> None:
    """What the run is good for, as from the command line: `prunekit aggregate`, `prunekit prune`."""
    import prune_kit as pk

    recorded = pk.Run.open(run)
    for score in ("el2n", "forgetting", "aum", "variability"):
        table = pk.aggregate_run(recorded, score=score)
        hardest = table.ids[table["rank"] <= 5]
        print(f"{score:12} hardest examples: {', '.join(map(str, hardest))}")
    kept = pk.keep_hardest(pk.aggregate_run(recorded, score="aum")["score"], fraction=0.5)
    print(f"kept {len(pkt.subset(data, kept))} of {len(data)} examples by aum; the run is in {run}")


def main() -> None:
    """Train, then keep the half that was hardest."""
    parser = argparse.ArgumentParser(description="Scores from a training loop that exists.")
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--run", type=Path, default=Path("runs/existing-loop"), help="the run directory")
    options = parser.parse_args()
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y))
    train(data, 3 if options.quick else 10, options.run)
    prune(data, options.run)


if __name__ == "__main__":
    main()
