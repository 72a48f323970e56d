import pickle

import pytest
import torch
from torch import nn

from prune_kit.errors import PruneKitError, StoreError
from prune_kit_torch import load_checkpoint, save_checkpoint


def make_model(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    model[1].running_mean += seed
    return model


def same(a, b):
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_safetensors_round_trip_keeps_weights_and_buffers(tmp_path):
    saved, loaded = make_model(1), make_model(2)
    save_checkpoint(saved, tmp_path / "deep" / "down.safetensors")
    load_checkpoint(loaded, tmp_path / "deep" / "down.safetensors")
    assert same(saved, loaded)


def test_tied_weights_stay_tied(tmp_path):
    def make():
        model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
        model[1].weight = model[0].weight
        return model

    saved, loaded = make(), make()
    save_checkpoint(saved, tmp_path / "tied.safetensors")
    load_checkpoint(loaded, tmp_path / "tied.safetensors")
    assert same(saved, loaded)
    assert loaded[1].weight is loaded[0].weight


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}]
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_torch_files_of_a_state_dict(tmp_path, wrap, prefix):
    saved, loaded = make_model(1), make_model(2)
    state = {prefix + name: tensor for name, tensor in saved.state_dict().items()}
    torch.save(wrap(state), tmp_path / "weights.pt")
    load_checkpoint(loaded, tmp_path / "weights.pt")
    assert same(saved, loaded)


class Payload:
    def __reduce__(self):
        return (pytest.fail, ("the checkpoint was unpickled",))


@pytest.mark.parametrize("save", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x, protocol=2))])
def test_nothing_is_unpickled(tmp_path, save):
    save({"weight": Payload()}, tmp_path / "evil.pt")
    with pytest.raises(StoreError, match="not unpickled|not a readable checkpoint"):
        load_checkpoint(make_model(), tmp_path / "evil.pt")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_a_file_cut_short_is_refused_and_the_model_untouched(tmp_path, name):
    model, before = make_model(1), make_model(1)
    if name.endswith("pt"):
        torch.save(make_model(2).state_dict(), tmp_path / name)
    else:
        save_checkpoint(make_model(2), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="not a readable checkpoint"):
        load_checkpoint(model, tmp_path / name)
    assert same(model, before)


def test_weights_of_another_architecture_are_refused_by_name(tmp_path):
    save_checkpoint(
        nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)), tmp_path / "w.safetensors"
    )
    with pytest.raises(PruneKitError, match=r"0\.weight is \(5, 3\), not \(4, 3\)"):
        load_checkpoint(make_model(), tmp_path / "w.safetensors")
    save_checkpoint(nn.Linear(3, 5), tmp_path / "v.safetensors")
    with pytest.raises(PruneKitError, match="unexpected weight|missing"):
        load_checkpoint(make_model(), tmp_path / "v.safetensors")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(StoreError, match="there is no checkpoint"):
        load_checkpoint(make_model(), tmp_path / "none.safetensors")


def test_a_saved_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = save_checkpoint(make_model(1), tmp_path / "w.safetensors")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("prune_kit_torch.checkpoints.save_file", full)
    with pytest.raises(StoreError, match="No space left"):
        save_checkpoint(make_model(2), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
