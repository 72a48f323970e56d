"""A training loop that exists: two lines of the kit's score every example along the way.

python examples/existing_loop.py
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import prune_kit as pk  # the kit
import prune_kit_torch as pkt  # the kit


def main(epochs: int) -> None:
    """Train a network on the digits and keep the half that was hardest at the last epoch."""
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y))
    loader = DataLoader(data, batch_size=64, shuffle=True)
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    for epoch in range(1, epochs + 1):
        for inputs, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        table = pkt.score(model, loader)  # the kit: in inference mode, in the data set's own order
        print(f"epoch {epoch}: mean EL2N {table['el2n'].mean():.4f}")

    kept = pk.keep_hardest(table["el2n"], fraction=0.5, ids=table.ids)  # the kit
    pruned = torch.utils.data.Subset(data, kept.tolist())
    print(f"kept {len(pruned)} of {len(data)} examples; the hardest scores {table['el2n'].max():.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Scores inside a training loop that exists.")
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    torch.manual_seed(0)
    main(epochs=2 if parser.parse_args().quick else 10)
