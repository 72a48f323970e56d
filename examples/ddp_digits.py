"""Training in several processes (DistributedDataParallel): each example is recorded once, however they share.

Starts two processes on this machine that talk over gloo; yours are started by torchrun. 1,347 digits do not
divide among two: the sampler gives one of them twice, the recorder keeps its first presentation.

    python examples/ddp_digits.py
"""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import prune_kit as pk
import prune_kit_torch as pkt  # the kit
from prune_kit.data import load_examples

PROCESSES = 2


def train(rank: int, port: int, epochs: int, run: Path) -> None:
    """Train in one of the processes."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=PROCESSES)
    digits = load_examples("digits")
    x = torch.tensor(digits.inputs.reshape(len(digits), 64) / 255, dtype=torch.float32)
    data = TensorDataset(x, torch.tensor(digits.labels))
    sampler: DistributedSampler[Tensor] = DistributedSampler(data, shuffle=True)
    loader = DataLoader(data, batch_size=32, sampler=sampler)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1, momentum=0.9)

    recorder = pkt.ScoreRecorder(run, len(data), overwrite=True)  # the kit
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for ids, (inputs, labels) in pkt.with_ids(loader):  # the kit
            logits = parallel(inputs)
            optimizer.zero_grad()
            F.cross_entropy(logits, labels).backward()
            optimizer.step()
            recorder.update(ids, logits, labels)  # the kit
        record = recorder.end_epoch()  # the kit: every process calls it; process 0 writes
        if rank == 0:
            print(
                f"epoch {record.epoch}: {len(record.table)} examples, {len(record.missing)} missing, "
                f"{len(record.doubled)} twice (ids {record.doubled.tolist()})"
            )
    dist.destroy_process_group()


def main() -> None:
    """Train in two processes, then average over the epochs."""
    parser = argparse.ArgumentParser(description="Scores from distributed training.")
    parser.add_argument("--quick", action="store_true", help="fewer epochs")
    parser.add_argument("--run", type=Path, default=Path("runs/ddp-digits"), help="the run directory")
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = (port, 2 if options.quick else 8, options.run)
    spawn(train, arguments, nprocs=PROCESSES)
    table = pk.aggregate_run(pk.Run.open(options.run), score="mean_el2n")
    kept = pk.keep_hardest(table["score"], fraction=0.5, ids=table.ids)
    print(f"kept {len(kept)} of {len(table)} examples by mean EL2N over the epochs")


if __name__ == "__main__":
    main()
