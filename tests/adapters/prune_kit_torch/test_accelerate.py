"""A plain Accelerate loop with the loader of `with_ids`, in one process and in two."""

import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator, DataLoaderConfiguration
from torch.utils.data import DataLoader, TensorDataset

import prune_kit_torch as pkt
from prune_kit import Run
from prune_kit.errors import PruneKitError

N, CLASSES, EPOCHS = 43, 3, 2


def examples():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, 6, generator=generator)
    x[:, 0] = torch.arange(N) / N  # says which example it is
    return TensorDataset(x, torch.randint(CLASSES, (N,), generator=generator))


def train(run, **options):
    """Train as Accelerate's users do; give the logits of each step as the model saw them, by example."""
    accelerator = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(**options))
    torch.manual_seed(0)
    data, model = examples(), torch.nn.Linear(6, CLASSES)
    heard = []
    model.register_forward_hook(lambda _, args, out: heard.append(((args[0][:, 0] * N).round().int(), out)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    loader = DataLoader(data, batch_size=8, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, pkt.with_ids(loader))
    recorder = pkt.ScoreRecorder(run, len(data))
    for _ in range(EPOCHS):
        for ids, (inputs, labels) in loader:
            optimizer.zero_grad()
            logits = model(inputs)
            accelerator.backward(torch.nn.functional.cross_entropy(logits, labels))
            optimizer.step()
            recorder.update(ids, logits, labels)
        recorder.end_epoch()
    return heard


def el2n(logits):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.linalg.norm(p - np.eye(CLASSES)[examples().tensors[1].numpy()], axis=1)


def check_against(heard, run):
    """`heard`: positions and logits of all steps, of one process after the other step by step."""
    positions = np.concatenate([position.numpy() for position, _ in heard])
    logits = np.concatenate([values.detach().double().numpy() for _, values in heard])
    assert run.parts() == [(0, epoch) for epoch in range(1, EPOCHS + 1)]
    for epoch, rows in enumerate(np.split(np.arange(len(positions)), EPOCHS), 1):
        _, first = np.unique(positions[rows], return_index=True)
        part = run.read_part(0, epoch)
        np.testing.assert_array_equal(part.ids, np.arange(N))
        np.testing.assert_allclose(part["el2n"], el2n(logits[rows][first]), rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"use_seedable_sampler": True}, {"dispatch_batches": True}], ids=str)
def test_prepared_loader_gives_ids_in_one_process(tmp_path, options):
    check_against(train(tmp_path / "run", **options), Run.open(tmp_path / "run"))


def test_prepared_loader_cannot_be_given_ids_any_more():
    loader = Accelerator(cpu=True).prepare(DataLoader(examples(), batch_size=8))
    with pytest.raises(PruneKitError, match=r"accelerator\.prepare"):
        pkt.with_ids(loader)


WAYS = {"shards": {}, "split": {"split_batches": True}, "dispatched": {"dispatch_batches": True}}


def one_of_two_processes(folder):
    warnings.filterwarnings("error", ".*examples were")
    for name, options in WAYS.items():
        heard = train(folder / name, **options)
        torch.save(heard, folder / f"{name}-{os.environ['RANK']}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_record_each_example_once_however_the_sampler_pads(tmp_path, in_two_processes):
    in_two_processes(__file__, tmp_path)
    for name in WAYS:
        both = [torch.load(tmp_path / f"{name}-{rank}.pt", weights_only=True) for rank in range(2)]
        heard = [step for steps in zip(*both, strict=True) for step in steps]
        assert sum(len(positions) for positions, _ in heard) > EPOCHS * N
        check_against(heard, Run.open(tmp_path / name))


if __name__ == "__main__":
    one_of_two_processes(Path(sys.argv[1]))
