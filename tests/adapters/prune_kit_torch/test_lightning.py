"""ScoreCallback in real trainings with Lightning; each input says whose it is: every row is checked."""

import contextlib
import copy
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
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

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
        ids, epoch = x[:, 0].long().cpu(), self.current_epoch
        new = self.stored[epoch, ids, 0].isnan()
        self.stored[epoch, ids[new]] = logits.detach().float().cpu()[new]

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
    trainer.fit(module, None if loader is False else loader, **how)
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


class Augmented(Dataset):
    """Draws random numbers in workers."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        x, y = examples()[i]
        return torch.cat([x[:1], x[1:] + torch.randn(5)]), y


class Drawing(pl.Callback):
    """Draws random numbers between the making of the loader's iterator and its first batch."""

    def on_train_start(self, trainer, pl_module):
        torch.rand(3)


def is_as_it_was(trainer, module):
    assert "training_step" not in vars(module)
    for owner in (trainer.strategy, trainer.precision_plugin):
        assert not {"training_step", "process_dataloader", "convert_input"} & vars(owner).keys()
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())
    return True


@pytest.mark.parametrize("workers", [0, 2])
def test_the_training_is_the_one_without_the_callback(tmp_path, workers, monkeypatch):
    """Bit for bit: random numbers, also those of seeded workers, order, weights."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")
    monkeypatch.setenv("PL_SEED_WORKERS", "1")
    weights = []
    for callback in (None, ScoreCallback(tmp_path / "run")):
        module = Module()
        torch.manual_seed(7)
        loader = DataLoader(Augmented(), batch_size=8, shuffle=True, num_workers=workers)
        trainer = fit(module, callback, loader, callbacks=[Drawing()])
        weights.append(copy.deepcopy(module.state_dict()))
        assert is_as_it_was(trainer, module)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    check(tmp_path / "run", module.stored)


def test_loader_and_data_set_stay_the_users(tmp_path):
    """Code that looks at the trainer's loader finds its own things, also in workers."""
    data = examples()
    loader = DataLoader(data, batch_size=8, shuffle=True, num_workers=1, worker_init_fn=sees_a_tensor_dataset)

    class Looking(Module):
        def on_train_start(self):
            given = self.trainer.train_dataloader
            assert given.dataset is data
            for name in ("sampler", "batch_size", "collate_fn", "worker_init_fn"):
                assert getattr(given, name) is getattr(loader, name)

    module = Looking()
    fit(module, ScoreCallback(tmp_path / "run"), loader)
    check(tmp_path / "run", module.stored)


def sees_a_tensor_dataset(worker):
    assert type(torch.utils.data.get_worker_info().dataset) is TensorDataset


class BatchesWithoutLength:
    """A batch sampler of the user's; Lightning fetches a batch ahead where there is no length."""

    def __iter__(self):
        order = torch.randperm(N).tolist()
        return (tuple(order[i : i + 7]) for i in range(0, N, 7))


@pytest.mark.parametrize("ahead", [False, True], ids=["batch by batch", "a batch fetched ahead"])
def test_a_look_into_the_loader_does_not_move_the_ids(tmp_path, ahead):
    class Peeking(Module):
        def on_train_start(self):
            next(iter(self.trainer.train_dataloader))

        def on_train_epoch_start(self):
            assert ahead or sum(len(x) for x, _ in self.trainer.train_dataloader) == N

        def training_step(self, batch, batch_idx):
            next(iter(self.trainer.train_dataloader))
            return super().training_step(batch, batch_idx)

    module = Peeking()
    how = {"batch_sampler": BatchesWithoutLength()} if ahead else {"batch_size": 9, "shuffle": True}
    fit(module, ScoreCallback(tmp_path / "run"), DataLoader(examples(), **how))
    check(tmp_path / "run", module.stored)


@pytest.mark.filterwarnings("ignore:train_dataloader yielded None")
def test_batches_that_are_none_do_not_move_the_ids(tmp_path):
    calls = iter(range(1000))

    def collate(rows):
        return None if next(calls) % 5 == 1 else torch.utils.data.default_collate(rows)

    module = Module()
    loader = DataLoader(examples(), 9, shuffle=True, collate_fn=collate)
    with pytest.warns(UserWarning, match="9 of 45 examples were not presented in epoch 1"):
        fit(module, ScoreCallback(tmp_path / "run"), loader)
    check(tmp_path / "run", module.stored)


@pytest.mark.parametrize("kind", ["lr", "batch_size"])
def test_a_search_before_training_is_not_recorded(tmp_path, kind):
    class Searched(Module):
        lr, batch_size = 0.01, 2

        def train_dataloader(self):
            return DataLoader(examples(), batch_size=self.batch_size, shuffle=True)

        def on_fit_start(self):  # after the search, for callbacks come first
            self.stored[:] = torch.nan

    search = {"lr": pl.callbacks.LearningRateFinder(num_training_steps=20),
              "batch_size": pl.callbacks.BatchSizeFinder(max_trials=2)}[kind]  # fmt: skip
    module = Searched()
    fit(module, ScoreCallback(tmp_path / "run"), False, callbacks=[search], default_root_dir=tmp_path)
    check(tmp_path / "run", module.stored)


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


# torch.compile's own look at tensors that come out of one compiled piece and go into the next.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf Tensor")
@pytest.mark.parametrize("named", [{}, {"module": "net"}], ids=["found", "named"])
@pytest.mark.parametrize("how", ["wrapped", "in place", "whole"])
def test_a_compiled_network(tmp_path, named, how):
    torch._dynamo.reset()
    module = given = Module()
    module.remember = torch.compiler.disable(module.remember)
    if how == "wrapped":
        module.net = torch.compile(module.net, backend="eager")
    elif how == "in place":
        module.net.compile(backend="eager")
    else:
        given = torch.compile(module, backend="eager")
    fit(given, ScoreCallback(tmp_path / "run", **named))
    check(tmp_path / "run", module.stored)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())


def test_submodules_may_be_made_late(tmp_path):
    class Late(Module):
        def configure_model(self):
            self.net = network()

    module = Late()
    del module.net
    fit(module, ScoreCallback(tmp_path / "run", module="net"))
    check(tmp_path / "run", module.stored)


def test_ids_can_be_given(tmp_path):
    """As for a subset: the run then speaks of the examples of the whole."""
    kept = np.random.default_rng(0).permutation(1000)[:N]
    module = Module()
    fit(module, ScoreCallback(tmp_path / "run", examples=kept))
    part = pk.Run.open(tmp_path / "run").read_part(0, 3)
    assert part.ids.tolist() == kept.tolist()
    np.testing.assert_allclose(
        part["el2n"], pk.el2n(module.stored[2].double(), examples().tensors[1]), rtol=1e-5
    )


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
    with pytest.warns(UserWarning, match="training stopped inside epoch 2: no scores"):
        fit(module, ScoreCallback(tmp_path / "run"), max_steps=8)
    check(tmp_path / "run", module.stored, epochs=[1])


def test_an_epoch_whose_rest_is_skipped_is_written(tmp_path):
    class Skipping(Module):
        def on_train_batch_start(self, batch, batch_idx):
            return -1 if batch_idx == 3 else None

    module = Skipping()
    with pytest.warns(UserWarning, match="21 of 45 examples were not presented in epoch 1"):
        fit(module, ScoreCallback(tmp_path / "run"))
    check(tmp_path / "run", module.stored)


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


class Validated(Module):
    """Its checkpoints are saved after validation; the number of steps is asked for before all else."""

    def setup(self, stage):
        assert self.trainer.estimated_stepping_batches > 0

    def validation_step(self, batch, batch_idx):
        self.log("loss", F.cross_entropy(self(batch[0]), batch[1]), sync_dist=True)

    def val_dataloader(self):
        return DataLoader(examples(), batch_size=16)


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("kind", [Module, Validated])
@pytest.mark.parametrize(
    "when", [{}, {"every_n_train_steps": 6}], ids=["after the epoch", "after its last step"]
)
@pytest.mark.parametrize("until", [{"epochs": 4}, {"epochs": 9, "max_steps": 24}], ids=["epochs", "steps"])
def test_training_goes_on_from_a_checkpoint(tmp_path, kind, when, until):
    def saving(name):
        return {"enable_checkpointing": True, "callbacks": [pl.callbacks.ModelCheckpoint(
            tmp_path / "checkpoints", save_top_k=-1, filename=name + "{epoch}", **when)]}  # fmt: skip

    first, later = kind(epochs=4), kind(epochs=4)
    fit(first, ScoreCallback(tmp_path / "run"), **until, **saving("a-"))
    files = sorted((tmp_path / "checkpoints").glob("*.ckpt"))
    assert len(files) == 4
    torch.load(files[1], weights_only=True)
    epochs = (1, 2, 3, 4)
    with contextlib.ExitStack() as told:
        if kind is Module and not when and "max_steps" in until:
            # Lightning takes this checkpoint for one inside epoch 2, of which it trains one batch more.
            told.enter_context(pytest.warns(UserWarning, match="resumes inside epoch 2, which was complete"))
            told.enter_context(pytest.warns(UserWarning, match="training stopped inside epoch 4: no scores"))
            epochs = (1, 2, 3)
        fit(later, ScoreCallback(tmp_path / "run"), **until, **saving("b-"), ckpt_path=files[1])
    check(tmp_path / "run", torch.cat([first.stored[:2], later.stored[2:]]), epochs=epochs)


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
def test_what_a_checkpoint_inside_an_epoch_cannot_know_is_told(tmp_path):
    """Lightning begins the loader anew: some examples come twice, and as many never."""
    saving = pl.callbacks.ModelCheckpoint(tmp_path, save_top_k=-1, filename="{step}", every_n_train_steps=2)
    first, later = Module(), Module()
    fit(first, ScoreCallback(tmp_path / "run"), callbacks=[saving], enable_checkpointing=True)
    with pytest.warns(UserWarning, match="epoch 2") as warned:
        fit(later, ScoreCallback(tmp_path / "run"), ckpt_path=tmp_path / "step=8.ckpt")
    told = " ".join(str(each.message) for each in warned)
    assert "examples were not presented in epoch 2" in told
    assert "examples were presented more than once in epoch 2" in told
    run = pk.Run.open(tmp_path / "run")
    assert run.parts() == [(0, 1), (0, 2), (0, 3)]
    part = run.read_part(0, 2)
    assert len(part) == N - part.provenance["missing"] < N
    both = torch.stack([first.stored[1], later.stored[1]]).double()
    el2n = np.stack([pk.el2n(each.nan_to_num(), examples().tensors[1]) for each in both])[:, part.ids]
    assert np.isclose(part["el2n"], el2n, rtol=1e-5).any(axis=0).all()


@pytest.mark.parametrize("fails", [False, True])
def test_fit_can_be_called_once_more(tmp_path, fails):
    class Failing(Module):
        does_fail = fails

        def training_step(self, batch, batch_idx):
            if self.does_fail and self.current_epoch == 1 and batch_idx == 3:
                raise RuntimeError("of the user's")
            return super().training_step(batch, batch_idx)

    module = Failing()
    loader = DataLoader(examples(), batch_size=8, shuffle=True)
    trainer = pl.Trainer(
        max_epochs=3 if fails else 2, callbacks=[ScoreCallback(tmp_path / "run")], accelerator="cpu",
        logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="of the user's") if fails else contextlib.nullcontext():
        trainer.fit(module, loader)
    assert is_as_it_was(trainer, module)
    module.does_fail = False
    module.stored[1 if fails else 2] = torch.nan
    trainer.fit_loop.max_epochs = 3
    trainer.fit(module, loader)
    check(tmp_path / "run", module.stored)


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


class Features(Module):
    """The only module gives features; the logits are made of them by hand."""

    def __init__(self):
        super().__init__()
        self.net, self.weight = nn.Linear(5, 16), nn.Parameter(torch.ones(16, C))

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self(batch[0]) @ self.weight, batch[1])


class Shrinking(Module):
    def train_dataloader(self):
        return DataLoader(examples(N - self.current_epoch), batch_size=8)


class Streamed(IterableDataset):
    def __iter__(self):
        return iter(examples())


class Named(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, name):
        return examples()[int(name)]


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
        (
            Features,
            {},
            None,
            r"is of what no module gave: the module itself \(8, 16\) does not have its shape",
        ),
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
        (Module, {}, lambda: [DataLoader(examples(), 8)], "one training DataLoader, by itself.*; got list"),
        (Module, {}, lambda: DataLoader(examples(), 8, in_order=False), "it has in_order=False"),
        (Module, {}, lambda: DataLoader(Named(), batch_sampler=[["7"]]), r"must draw whole .*; got \['7'\]"),
        (Module, {"examples": range(40)}, None, r"`examples` must have shape \(45,\).*; got \(40,\)"),
        (Module, {"examples": [1, 1]}, None, "`examples` must name each example once"),
        (Module, {}, Batches, "must be a torch.utils.data.DataLoader; got Batches"),
        (Iterating, {}, None, "it takes dataloader_iter"),
        (Module, {"scores": ("nope",)}, None, "`scores` must be among"),
    ],
)
def test_what_cannot_be_recorded_is_told_before_an_epoch_is_spent(tmp_path, kind, options, data, message):
    module = kind()
    with pytest.raises(PruneKitError, match=message):
        fit(module, ScoreCallback(tmp_path / "run", **options), None if data is None else data())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())
    assert not (tmp_path / "run" / "scores").exists()


def test_another_data_set_is_told(tmp_path):
    with pytest.raises(PruneKitError, match="it had 45 examples, now it has 44"):
        fit(Shrinking(), ScoreCallback(tmp_path / "run"), False, reload_dataloaders_every_n_epochs=1)


def test_a_loader_that_is_made_too_early_is_told(tmp_path):
    class Early(pl.LightningDataModule):
        def train_dataloader(self):
            return DataLoader(examples(), batch_size=8)

        def setup(self, stage):
            assert self.trainer.estimated_stepping_batches > 0

    with pytest.raises(PruneKitError, match="Hint: DataModule.setup comes before the callback's"):
        fit(Module(), ScoreCallback(tmp_path / "run"), Early())


def test_the_older_name_of_lightning_and_none_at_all(tmp_path):
    """In a process of its own, where importing the adapter alone loads neither."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(
            """
            import sys
            import prune_kit_torch
            from prune_kit.errors import MissingExtraError
            assert not {"lightning", "pytorch_lightning"} & sys.modules.keys()
            sys.modules["lightning"] = sys.modules["pytorch_lightning"] = None
            try:
                import prune_kit_torch.lightning
            except MissingExtraError as error:
                print(error)
            del sys.modules["pytorch_lightning"]
            import pytorch_lightning
            from prune_kit_torch.lightning import ScoreCallback
            assert issubclass(ScoreCallback, pytorch_lightning.Callback)
            """
        )],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Lightning cannot be imported" in done.stdout
    assert done.stdout.strip().endswith('Hint: pip install "prune-kit[lightning]"')


@pytest.mark.filterwarnings("ignore::pytorch_lightning.utilities.warnings.PossibleUserWarning")
def test_the_trainer_of_pytorch_lightning(tmp_path):
    """`lightning` brings it along, and most code still imports it; the callback is the same."""
    import pytorch_lightning

    class Old(pytorch_lightning.LightningModule):
        __init__ = network_only
        forward, remember = Module.forward, Module.remember
        training_step, configure_optimizers = Module.training_step, Module.configure_optimizers

    module = Old()
    trainer = pytorch_lightning.Trainer(
        max_epochs=3, callbacks=[ScoreCallback(tmp_path / "run")], accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, DataLoader(examples(), batch_size=8, shuffle=True))
    check(tmp_path / "run", module.stored)


def network_only(self):
    super(type(self), self).__init__()
    self.net, self.stored = network(), torch.full((3, N, C), torch.nan)


def test_two_processes_give_each_example_once(tmp_path):
    """DDP over gloo on loopback: 45 examples, padded to 46; then once more from a checkpoint."""
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, warnings
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            warnings.simplefilter("ignore")
            import torch
            from torch.utils.data import DataLoader
            from test_lightning import ScoreCallback, Validated, examples, pl

            warnings.simplefilter("error", UserWarning)
            warnings.filterwarnings("ignore", module="lightning|torch")
            for name, checkpoint in (("first", None), ("later", r"{tmp_path}/epoch=0.ckpt")):
                saving = pl.callbacks.ModelCheckpoint(r"{tmp_path}", save_top_k=-1, filename="{{epoch}}")
                trainer = pl.Trainer(
                    max_epochs=3, accelerator="cpu", devices=2, strategy="ddp", logger=False,
                    callbacks=[ScoreCallback(r"{tmp_path}/run"), saving], enable_progress_bar=False,
                    enable_model_summary=False,
                )
                module = Validated()
                loader = DataLoader(examples(), batch_size=8, shuffle=True)
                trainer.fit(module, loader, ckpt_path=checkpoint)
                torch.save(module.stored, rf"{tmp_path}/{{name}}-{{trainer.global_rank}}.pt")
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    stored = torch.stack(
        [torch.cat([torch.load(tmp_path / f"{name}-{rank}.pt", weights_only=True)[epochs]
                    for name, epochs in (("first", slice(0, 1)), ("later", slice(1, 3)))])
         for rank in range(2)]
    )  # fmt: skip
    run, labels = pk.Run.open(tmp_path / "run"), examples().tensors[1]
    assert run.parts() == [(0, 1), (0, 2), (0, 3)]
    for epoch in range(3):
        part = run.read_part(0, epoch + 1)
        assert part.ids.tolist() == list(range(N))
        assert part.provenance["doubled"] == 1
        seen = ~stored[:, epoch, :, 0].isnan()
        once = torch.nonzero(seen[0] ^ seen[1])[:, 0]
        assert len(once) == N - 1
        logits = torch.where(seen[0][:, None], stored[0, epoch], stored[1, epoch])[once]
        np.testing.assert_allclose(part["el2n"][once], pk.el2n(logits.double(), labels[once]), rtol=1e-5)
