"""ScoreCallback in real trainings with Lightning; each input says whose it is: every row is checked."""

import contextlib
import copy
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import prune_kit as pk
from prune_kit.errors import PruneKitError, RunConflictError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Lightning's own imports
    import lightning.pytorch as pl

    from prune_kit_torch.lightning import ScoreCallback

pytestmark = [
    # Lightning's advice about workers, samplers and logging, none of which these small trainings follow.
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec.*is deprecated"),
    pytest.mark.filterwarnings("ignore:.*GPU available but not used"),
]
N, C = 45, 4


def examples(n=N):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 6, generator=generator)
    x[:, 0] = torch.arange(n)
    y = (x[:, 1:].sum(dim=1) > 0).long() + 2 * (x[:, 2] > 0).long()
    return TensorDataset(x, y)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, C))


class Module(pl.LightningModule):
    """A user's module; remembers what the test compares with: logits by epoch and id."""

    def __init__(self, epochs=3, n=N):
        super().__init__()
        self.net = network()
        self.stored = torch.full((epochs, n, C), torch.nan)

    def forward(self, x):
        return self.net(x[:, 1:])

    def remember(self, x, logits):
        ids = x[:, 0].long().cpu()
        new = self.stored[self.current_epoch, ids, 0].isnan()
        self.stored[self.current_epoch, ids[new]] = logits.detach().float().cpu()[new]

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        self.remember(x, logits)
        return F.cross_entropy(logits, y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def fit(module, callback, loader=None, *, epochs=3, ckpt_path=None, **options):
    how = {"ckpt_path": ckpt_path, "weights_only": True} if ckpt_path else {}
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "devices": 1,
    }
    options = {"enable_checkpointing": False, **quiet, **options}
    callbacks = [*options.pop("callbacks", []), *([callback] if callback else [])]
    trainer = pl.Trainer(max_epochs=epochs, callbacks=callbacks, **options)
    loader = DataLoader(examples(), batch_size=8, shuffle=True) if loader is None else loader
    trainer.fit(module, loader, **how)
    return trainer


def check(run, stored, labels=None, seed=0, epochs=(1, 2, 3)):
    """Every row of every part is that of its id: EL2N written out, in float64, of the remembered logits."""
    labels = examples().tensors[1].numpy() if labels is None else labels
    run = pk.Run.open(run)
    assert [e for s, e in run.parts() if s == seed] == list(epochs)
    for epoch in epochs:
        part = run.read_part(seed, epoch)
        p = torch.softmax(stored[epoch - 1].double(), dim=1).numpy()
        el2n = np.linalg.norm(p - np.eye(C)[labels], axis=1)
        there = part.ids
        assert there.tolist() == np.flatnonzero(~np.isnan(el2n)).tolist()
        np.testing.assert_allclose(part["el2n"], el2n[there], rtol=1e-5)
        assert part.labels.tolist() == labels[there].tolist()
    return run


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_workers": 2},
        {"num_workers": 1, "persistent_workers": True},
        {"batch_size": 45},
        {"batch_size": 1},
    ],
    ids=["shuffled", "workers", "persistent workers", "one batch", "batches of one"],
)
def test_every_row_is_that_of_its_id(tmp_path, options):
    module = Module()
    loader = DataLoader(examples(), **{"batch_size": 8, "shuffle": True, **options})
    callback = ScoreCallback(tmp_path / "run", described={"model_name": "mine"})
    fit(module, callback, loader)
    run = check(tmp_path / "run", module.stored)
    assert run.config["pass"] == "training"
    assert run.config["model_name"] == "mine"
    assert callback.record.epoch == 3
    correct = module.stored.argmax(dim=2).numpy() == examples().tensors[1].numpy()
    np.testing.assert_array_equal(pk.aggregate_run(run, score="forgetting")["score"], pk.forgetting(correct))


def test_the_training_is_the_one_without_the_callback(tmp_path):
    """Bit for bit: random numbers, order, weights."""
    weights = []
    for callback in (None, ScoreCallback(tmp_path / "run")):
        module = Module()
        torch.manual_seed(7)
        fit(module, callback)
        weights.append(copy.deepcopy(module.state_dict()))
        assert "training_step" not in vars(module)
        assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_hooks_see_the_batches_that_the_loader_makes(tmp_path):
    seen = []

    class Watching(Module):
        def on_before_batch_transfer(self, batch, dataloader_idx):
            seen.append(type(batch))
            return batch

        def on_after_batch_transfer(self, batch, dataloader_idx):
            x, y = batch  # augmentation on the device
            return x.clone(), y

        def on_train_batch_start(self, batch, batch_idx):
            seen.append(len(batch))

    module = Watching()
    fit(module, ScoreCallback(tmp_path / "run"))
    assert set(seen) == {list, 2}
    check(tmp_path / "run", module.stored)


class Returning(Module):
    """Computes its logits without a module, and returns them."""

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = F.linear(torch.relu(self.net[0](x[:, 1:])), self.net[3].weight)
        self.remember(x, logits)
        return {"loss": F.cross_entropy(logits, y), "logits": logits}


class Head(Module):
    """Two modules give what could be logits; the loss says which are."""

    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(5, 7), nn.Linear(7, C)

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = self.head(torch.relu(self.encoder(x[:, 1:])))
        self.remember(x, logits)
        return nn.CrossEntropyLoss()(logits, y)


class Dicts(Module):
    """Batches and outputs as in Hugging Face models."""

    def forward(self, x):
        return {"logits": super().forward(x)}

    def training_step(self, batch, batch_idx):
        logits = self(batch["x"])["logits"]
        self.remember(batch["x"], logits)
        return F.cross_entropy(logits, batch["labels"])


class Manual(Module):
    """Manual optimisation."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.optimizers().zero_grad()
        self.manual_backward(loss)
        self.optimizers().step()


class Lbfgs(Module):
    """An optimizer that runs the training step several times for each batch."""

    def configure_optimizers(self):
        return torch.optim.LBFGS(self.parameters(), lr=0.01, max_iter=3)


def collate_dict(rows):
    return {"x": torch.stack([x for x, _ in rows]), "labels": torch.stack([y for _, y in rows])}


@pytest.mark.parametrize("kind", [Returning, Head, Dicts, Manual, Lbfgs])
def test_kinds_of_training_steps(tmp_path, kind):
    module = kind()
    collate = collate_dict if kind is Dicts else None
    fit(module, ScoreCallback(tmp_path / "run"), DataLoader(examples(), 8, shuffle=True, collate_fn=collate))
    check(tmp_path / "run", module.stored)


def test_labels_can_be_told(tmp_path):
    class Odd(Module):
        def training_step(self, batch, batch_idx):
            x, _, _, y = batch
            return super().training_step((x, y), batch_idx)

    x, y = examples().tensors
    data = TensorDataset(x, x, x, y)
    module = Odd()
    callback = ScoreCallback(tmp_path / "run", labels=lambda batch: batch[3])
    fit(module, callback, DataLoader(data, batch_size=8, shuffle=True))
    check(tmp_path / "run", module.stored)
    with pytest.raises(PruneKitError, match="a batch must be"):
        fit(Odd(), ScoreCallback(tmp_path / "none"), DataLoader(data, batch_size=8))


@pytest.mark.parametrize(
    "options", [{"accumulate_grad_batches": 3}, {"precision": "bf16-mixed"}, {"gradient_clip_val": 0.1}]
)
def test_options_of_the_trainer(tmp_path, options):
    module = Module()
    fit(module, ScoreCallback(tmp_path / "run"), **options)
    check(tmp_path / "run", module.stored)


def test_a_compiled_network(tmp_path):
    module = Module()
    module.net = torch.compile(module.net, backend="eager")
    fit(module, ScoreCallback(tmp_path / "run", module="net"))
    check(tmp_path / "run", module.stored)


def test_validation_is_not_recorded(tmp_path):
    class Validated(Module):
        def validation_step(self, batch, batch_idx):
            x, y = batch
            self.log("loss", F.cross_entropy(self(x), y))

        def val_dataloader(self):
            return DataLoader(examples(), batch_size=16)

    module = Validated()
    fit(module, ScoreCallback(tmp_path / "run"), val_check_interval=0.5, num_sanity_val_steps=2)
    check(tmp_path / "run", module.stored)


def test_an_epoch_of_some_batches_is_written_and_what_is_missing_told(tmp_path):
    module = Module()
    with pytest.warns(UserWarning, match="29 of 45 examples were not presented in epoch 1"):
        fit(module, ScoreCallback(tmp_path / "run"), limit_train_batches=2)
    run = check(tmp_path / "run", module.stored)
    assert len(run.read_part(0, 1)) == 16


def test_an_epoch_in_which_training_stops_is_left_out(tmp_path):
    module = Module()
    with pytest.warns(UserWarning, match="training stopped inside epoch 2, after 2 of 6 batches: no scores"):
        fit(module, ScoreCallback(tmp_path / "run"), max_steps=8)
    check(tmp_path / "run", module.stored, epochs=[1])


def test_fast_dev_run_leaves_nothing_behind(tmp_path):
    fit(Module(), ScoreCallback(tmp_path / "run"), fast_dev_run=True)
    assert not (tmp_path / "run").exists()


def test_loaders_that_are_made_again_each_epoch(tmp_path):
    class Own(Module):
        def train_dataloader(self):
            return DataLoader(examples(), batch_size=8, shuffle=True)

    module = Own()
    trainer = pl.Trainer(
        max_epochs=3, callbacks=[ScoreCallback(tmp_path / "run")], reload_dataloaders_every_n_epochs=1,
        logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        accelerator="cpu",
    )  # fmt: skip
    trainer.fit(module)
    check(tmp_path / "run", module.stored)


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("validates", [False, True], ids=["after the epoch", "after its validation"])
def test_training_goes_on_from_a_checkpoint(tmp_path, validates):
    class Validated(Module):
        def validation_step(self, batch, batch_idx):
            self.log("loss", F.cross_entropy(self(batch[0]), batch[1]))

        def val_dataloader(self):
            return DataLoader(examples(), batch_size=16)

    kind = Validated if validates else Module
    saving = pl.callbacks.ModelCheckpoint(tmp_path / "checkpoints", save_top_k=-1, filename="{epoch}")
    first = kind(epochs=4)
    fit(first, ScoreCallback(tmp_path / "run"), epochs=3, callbacks=[saving], enable_checkpointing=True)
    files = sorted((tmp_path / "checkpoints").glob("*.ckpt"))
    assert len(files) == 3
    torch.load(files[1], weights_only=True)
    later = kind(epochs=4)
    saving = pl.callbacks.ModelCheckpoint(tmp_path / "checkpoints", save_top_k=-1, filename="again-{epoch}")
    how = {"callbacks": [saving], "enable_checkpointing": True}
    fit(later, ScoreCallback(tmp_path / "run"), epochs=4, ckpt_path=files[1], **how)
    stored = torch.cat([first.stored[:2], later.stored[2:]])
    check(tmp_path / "run", stored, epochs=(1, 2, 3, 4))


def test_a_run_that_is_there_is_not_overwritten(tmp_path):
    fit(Module(), ScoreCallback(tmp_path / "run"))
    with pytest.raises(RunConflictError, match="holds scores of seed 0 already"):
        fit(Module(), ScoreCallback(tmp_path / "run"))
    again = Module()
    fit(again, ScoreCallback(tmp_path / "run", overwrite=True), epochs=2)
    check(tmp_path / "run", again.stored, epochs=[1, 2])
    other = Module()
    fit(other, ScoreCallback(tmp_path / "run", seed=1), epochs=2)
    check(tmp_path / "run", other.stored, seed=1, epochs=[1, 2])


class TwoViews(Module):
    def training_step(self, batch, batch_idx):
        x, y = batch
        return F.cross_entropy(self(x), y) + F.cross_entropy(self(x + 1), y)


class TwoHeads(Head):
    def training_step(self, batch, batch_idx):
        x, y = batch
        a, b = self.net(x[:, 1:]), self.head(self.encoder(x[:, 1:]))
        return F.nll_loss(torch.log_softmax(a + b, dim=1), y)


class NoModule(Module):
    def training_step(self, batch, batch_idx):
        return F.cross_entropy(batch[0][:, 1:] @ self.net[0].weight.T, batch[1])


class Streamed(IterableDataset):
    def __iter__(self):
        return iter(examples())


class Batches:
    def __iter__(self):
        return iter([examples()[:8]])


class Iterating(Module):
    def training_step(self, dataloader_iter):
        raise AssertionError


@pytest.mark.parametrize(
    ("kind", "options", "data", "message"),
    [
        (TwoViews, {}, None, "the module itself is called 2 times in a training step.*Hint: name the module"),
        (TwoViews, {"module": "net"}, None, "net is called 2 times in a training step"),
        (TwoHeads, {}, None, r"several modules .*: net \(8, 4\), encoder \(8, 7\), head \(8, 4\)\."),
        (NoModule, {}, None, r"no module gave logits of shape \(8, classes\)"),
        (Module, {"module": "head"}, None, "must name a submodule of Module; got 'head'. Hint: .* net"),
        (Head, {"module": "net"}, None, r"net gave no logits of shape \(8, classes\)"),
        (Module, {}, lambda: DataLoader(Streamed(), batch_size=8), "the examples of Streamed stream"),
        (
            Module,
            {},
            lambda: {"a": DataLoader(examples(), 8), "b": DataLoader(examples(), 8)},
            "there must be one training DataLoader",
        ),
        (Module, {}, Batches, "must be a torch.utils.data.DataLoader; got Batches"),
        (Iterating, {}, None, "it takes dataloader_iter"),
        (Module, {"scores": ("nope",)}, None, "`scores` must be among"),
    ],
)
def test_what_cannot_be_recorded_is_told_before_an_epoch_is_spent(tmp_path, kind, options, data, message):
    module = kind()
    with pytest.raises(PruneKitError, match=message):
        fit(module, ScoreCallback(tmp_path / "run", **options), None if data is None else data())
    assert "training_step" not in vars(module)
    assert not (tmp_path / "run" / "scores").exists()


def test_methods_are_found_again_when_training_fails(tmp_path):
    class Failing(Module):
        def training_step(self, batch, batch_idx):
            if batch_idx == 2:
                raise RuntimeError("of the user's")
            return super().training_step(batch, batch_idx)

    module = Failing()
    with contextlib.suppress(RuntimeError):
        fit(module, ScoreCallback(tmp_path / "run"))
    assert "training_step" not in vars(module)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())


def test_two_processes_give_each_example_once(tmp_path):
    """DDP over gloo on loopback, in processes of its own: 45 examples, padded to 46."""
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, sys, warnings
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            warnings.simplefilter("ignore")
            import torch
            from torch.utils.data import DataLoader
            from test_lightning import Module, ScoreCallback, examples, pl

            module = Module()
            trainer = pl.Trainer(
                max_epochs=3, accelerator="cpu", devices=2, strategy="ddp", logger=False,
                callbacks=[ScoreCallback(r"{tmp_path}/run")], enable_progress_bar=False,
                enable_model_summary=False, enable_checkpointing=False,
            )
            warnings.simplefilter("error", UserWarning)
            warnings.filterwarnings("ignore", module="lightning|torch")
            trainer.fit(module, DataLoader(examples(), batch_size=8, shuffle=True))
            torch.save(module.stored, rf"{tmp_path}/stored-{{trainer.global_rank}}.pt")
            """
        )
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ranks = [torch.load(tmp_path / f"stored-{rank}.pt", weights_only=True) for rank in range(2)]
    run, labels = pk.Run.open(tmp_path / "run"), examples().tensors[1]
    assert run.parts() == [(0, 1), (0, 2), (0, 3)]
    for epoch in range(3):
        part = run.read_part(0, epoch + 1)
        assert part.ids.tolist() == list(range(N))
        assert part.provenance["doubled"] == 1
        seen = [~each[epoch, :, 0].isnan() for each in ranks]
        once = torch.nonzero(seen[0] ^ seen[1])[:, 0]
        assert len(once) == N - 1
        logits = torch.where(seen[0][:, None], ranks[0][epoch], ranks[1][epoch])[once]
        np.testing.assert_allclose(part["el2n"][once], pk.el2n(logits.double(), labels[once]), rtol=1e-5)
