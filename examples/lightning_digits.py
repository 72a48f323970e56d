"""Lightning: one line of the kit's records the scores of every example while a module of yours trains.

pip install "prune-kit[lightning]"
python examples/lightning_digits.py
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit.data import load_examples

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what Lightning imports
    import lightning.pytorch as pl

    from prune_kit_torch.lightning import ScoreCallback  # the kit


class Digits(pl.LightningModule):
    """A module as it was before the kit came."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
        )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Give the loss of a batch, and nothing else."""
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD."""
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


def main() -> None:
    """Train, and keep the half that was forgotten most."""
    parser = argparse.ArgumentParser(description="Scores from a training with Lightning.")
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--run", type=Path, default=Path("runs/lightning-digits"), help="the run directory")
    options = parser.parse_args()
    pl.seed_everything(0, verbose=False)
    warnings.filterwarnings("ignore", module="lightning")  # its advice on workers
    digits = load_examples("digits")
    images = torch.tensor(digits.inputs.transpose(0, 3, 1, 2) / 255, dtype=torch.float32)
    data = TensorDataset(images, torch.tensor(digits.labels))
    trainer = pl.Trainer(
        max_epochs=3 if options.quick else 12,
        callbacks=[ScoreCallback(options.run, overwrite=True)],  # the kit
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Digits(), DataLoader(data, batch_size=64, shuffle=True))

    run = pk.Run.open(options.run)
    forgotten = pk.aggregate_run(run, score="forgetting")
    never = int((forgotten["score"] == float("inf")).sum())
    print(f"{len(forgotten)} digits over epochs 1 to {forgotten.provenance['epoch']}:")
    for count in range(4):
        print(f"  forgotten {count} times: {int((forgotten['score'] == count).sum()):5}")
    print(f"  never learned:     {never:5}")
    kept = pk.keep_hardest(pk.aggregate_run(run, score="mean_el2n")["score"], fraction=0.5)
    print(
        f"kept {len(pkt.subset(data, kept))} of {len(data)} digits by mean EL2N; the run is in {options.run}"
    )


if __name__ == "__main__":
    main()
