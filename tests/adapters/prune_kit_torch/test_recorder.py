"""The recorder in PyTorch loops: real training, checkpoints, two processes over gloo."""

import os
import socket
from importlib.metadata import version

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError


def digits():
    examples = load_examples("digits")
    x = torch.tensor(examples.inputs.reshape(len(examples), -1) / 255, dtype=torch.float32)
    return TensorDataset(x, torch.tensor(examples.labels))


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 10)
    )


def test_training_is_recorded_as_it_happens(tmp_path):
    """Logits stored by hand beside; the definition in float64 on them."""
    data, model = digits(), network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=100, shuffle=True)
    recorder = pkt.ScoreRecorder(tmp_path / "run", len(data))
    stored = torch.zeros(3, len(data), 10)
    for epoch in range(3):
        for ids, (x, y) in pkt.with_ids(loader):
            logits = model(x)
            stored[epoch, ids] = logits.detach()
            optimizer.zero_grad()
            F.cross_entropy(logits, y).backward()
            optimizer.step()
            recorder.update(ids, logits, y)
        recorder.end_epoch()
    run = pk.Run.open(tmp_path / "run")
    assert run.config["framework"] == "torch"
    assert run.made_with["torch"] == version("torch")
    labels = data.tensors[1].numpy()
    for epoch in range(3):
        part = run.read_part(0, epoch + 1)
        p = torch.softmax(stored[epoch].double(), dim=1).numpy()
        np.testing.assert_allclose(part["el2n"], np.linalg.norm(p - np.eye(10)[labels], axis=1), rtol=1e-5)
        np.testing.assert_allclose(part["p_label"], p[np.arange(len(labels)), labels], rtol=1e-5)
    correct = stored.argmax(dim=2).numpy() == labels
    np.testing.assert_array_equal(pk.aggregate_run(run, score="forgetting")["score"], pk.forgetting(correct))


def test_outputs_may_be_what_models_give():
    data = digits()
    x, y = data.tensors
    logits = network()(x)

    class Output:
        def __init__(self, logits):
            self.logits = logits

    want = pk.el2n(logits, y).numpy()
    for outputs in (logits, {"logits": logits, "loss": 0}, Output(logits), (logits, None)):
        recorder = pkt.ScoreRecorder(None, len(data))
        recorder.update(range(len(data)), outputs, y)
        np.testing.assert_allclose(recorder.end_epoch().table["el2n"], want, rtol=1e-6)
    with pytest.raises(PruneKitError, match="must give logits of shape"):
        recorder.update(range(3), "nothing", y[:3])


def test_bfloat16_logits_are_scored_in_float32():
    logits = torch.randn(50, 10, dtype=torch.bfloat16)
    labels = torch.arange(50) % 10
    recorder = pkt.ScoreRecorder(None, 50)
    recorder.update(torch.arange(50), logits, labels)
    table = recorder.end_epoch().table
    assert table["el2n"].dtype == np.float32
    np.testing.assert_allclose(table["el2n"], pk.el2n(logits.double(), labels).numpy(), rtol=1e-5)


def test_the_graph_of_a_step_is_not_held():
    recorder = pkt.ScoreRecorder(None, 4)
    logits = network()(torch.randn(4, 64))
    recorder.update(torch.arange(4), logits, torch.arange(4))
    waiting = recorder._pending.take()
    assert waiting.logits.grad_fn is None
    assert not waiting.logits.requires_grad


@pytest.mark.parametrize("steps", [0, 3])
def test_a_state_goes_through_a_checkpoint_file_that_is_not_unpickled(tmp_path, steps):
    data = digits()
    x, y = data.tensors
    logits = network()(x)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).split(100)

    def update(recorder, batches):
        for rows in batches:
            recorder.update(rows, logits[rows], y[rows])

    recorder = pkt.ScoreRecorder(tmp_path / "run", len(data))
    update(recorder, order)
    recorder.end_epoch()
    update(recorder, order[:steps])
    torch.save({"recorder": recorder.state_dict()}, tmp_path / "checkpoint.pt")
    later = pkt.ScoreRecorder(tmp_path / "run", len(data))
    later.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["recorder"])
    assert later.epoch == 1
    update(later, order[steps:])
    record = later.end_epoch()
    assert record.epoch == 2
    assert len(record.missing) == 0
    np.testing.assert_allclose(record.table["el2n"], pk.el2n(logits.detach(), y).numpy(), rtol=1e-6)


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def in_process_group(rank, size, port, work, *args):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=size)
    try:
        work(rank, *args)
    finally:
        torch.distributed.destroy_process_group()


def spawn(work, *args, size=2):
    """Run `work(rank, ...)` in processes that talk over gloo on loopback."""
    torch.multiprocessing.spawn(in_process_group, (size, free_port(), work, *args), nprocs=size)


def train_in_two(rank, folder):
    torch.manual_seed(0)
    data = TensorDataset(*digits()[:1001])  # 1001 is odd: the sampler pads
    model = torch.nn.parallel.DistributedDataParallel(network())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sampler = DistributedSampler(data, shuffle=True, seed=5)
    loader = pkt.with_ids(DataLoader(data, batch_size=64, sampler=sampler))
    recorder = pkt.ScoreRecorder(folder / "run", len(data))
    stored = torch.full((2, len(data), 10), torch.nan)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        for ids, (x, y) in loader:
            logits = model(x)
            new = stored[epoch, ids, 0].isnan()
            stored[epoch, ids[new]] = logits.detach()[new]
            optimizer.zero_grad()
            F.cross_entropy(logits, y).backward()
            optimizer.step()
            recorder.update(ids, logits, y)
        record = recorder.end_epoch()
        assert len(record.missing) == 0
        assert len(record.doubled) == 1  # by padding: not warned of, for warnings are errors here
        assert len(record.table) == 1001
    torch.save(stored, folder / f"stored-{rank}.pt")


@pytest.mark.filterwarnings("error")
def test_two_processes_give_each_example_once_however_the_sampler_pads(tmp_path):
    spawn(train_in_two, tmp_path)
    run = pk.Run.open(tmp_path / "run")
    assert run.parts() == [(0, 1), (0, 2)]
    labels = digits().tensors[1][:1001]
    stored = [torch.load(tmp_path / f"stored-{rank}.pt", weights_only=True) for rank in range(2)]
    for epoch in range(2):
        part = run.read_part(0, epoch + 1)
        assert part.ids.tolist() == list(range(1001))
        assert part.labels.tolist() == labels.tolist()
        seen = [~each[epoch, :, 0].isnan() for each in stored]
        assert int((seen[0] & seen[1]).sum()) == 1
        (twice,) = torch.nonzero(seen[0] & seen[1])[0].tolist()
        logits = torch.where(seen[0][:, None], stored[0][epoch], stored[1][epoch])
        want = pk.el2n(logits.double(), labels).numpy()
        np.testing.assert_allclose(np.delete(part["el2n"], twice), np.delete(want, twice), rtol=1e-5)
        # Padding comes last, so that the first presentation was at the first step of one of both.
        either = [float(pk.el2n(each[epoch, [twice]].double(), labels[[twice]])[0]) for each in stored]
        assert min(abs(part["el2n"][twice] / value - 1) for value in either) < 1e-5


def ids_above_2048(rank, folder):
    """Trap 15: ids gathered in half precision are corrupt above 2048."""
    n = 70_001
    recorder = pkt.ScoreRecorder(folder / "large", n)
    own = torch.arange(rank, n, 2)
    logits = torch.stack([own / n, torch.zeros(len(own))], dim=1)
    for rows in torch.arange(len(own)).split(5_000):
        recorder.update(own[rows], logits[rows].bfloat16(), torch.zeros(len(rows), dtype=torch.int64))
    record = recorder.end_epoch()
    assert record.table.ids.tolist() == list(range(n))


def one_of_two_fails(rank, folder):
    """An error of one process ends all of them; none waits for the others for ever."""
    recorder = pkt.ScoreRecorder(folder / "failed", 10)
    logits = torch.randn(5, 3)
    if rank == 1:
        logits[2] = torch.nan
    recorder.update(torch.arange(rank * 5, rank * 5 + 5), logits, torch.zeros(5, dtype=torch.int64))
    with pytest.raises(PruneKitError, match="example 7: `logits` must be finite; got NaN"):
        recorder.end_epoch()
    # Then one that cannot write, on process 0 alone.
    recorder = pkt.ScoreRecorder(folder / "unwritable", 10)
    recorder.update(
        torch.arange(rank * 5, rank * 5 + 5), torch.randn(5, 3), torch.zeros(5, dtype=torch.int64)
    )
    torch.distributed.barrier()
    if rank == 0:
        (folder / "unwritable" / "scores").write_text("in the way")
    with pytest.raises(PruneKitError, match="cannot be made"):
        recorder.end_epoch()


def state_of_each(rank, folder):
    """Each process has its own state, within an epoch as well."""

    def begin():
        return pkt.ScoreRecorder(folder / "resumed", 8)

    recorder = begin()
    logits, labels = (
        torch.randn(8, 3, generator=torch.Generator().manual_seed(0)),
        torch.zeros(8, dtype=torch.int64),
    )
    own = torch.arange(rank, 8, 2)
    recorder.update(own[:2], logits[own[:2]], labels[:2])
    later = begin()
    later.load_state_dict(recorder.state_dict())
    later.update(own[2:], logits[own[2:]], labels[:2])
    record = later.end_epoch()
    np.testing.assert_allclose(record.table["el2n"], pk.el2n(logits, labels).numpy(), rtol=1e-6)


def all_of_these(rank, folder):
    for work in (ids_above_2048, one_of_two_fails, state_of_each):
        work(rank, folder)


def test_two_processes_large_ids_errors_and_states(tmp_path):
    spawn(all_of_these, tmp_path)
    assert pk.Run.open(tmp_path / "failed").parts() == []
    assert pk.Run.open(tmp_path / "large").read_part(0, 1).ids[-1] == 70_000
