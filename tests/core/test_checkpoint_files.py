import hashlib
from pathlib import Path

import pytest

from prune_kit.checkpoint_files import check_weights_fit, file_digest, seeds_and_epochs
from prune_kit.errors import PruneKitError


def test_files_of_the_kit_are_the_seed_and_epoch_of_their_names():
    found = seeds_and_epochs(
        ["run/checkpoints/seed=3/epoch=20.safetensors", "x/seed=0/epoch=0.weights.h5"], None
    )
    assert [*found] == [(3, 20), (0, 0)]
    assert found[3, 20] == Path("run/checkpoints/seed=3/epoch=20.safetensors")


def test_other_files_are_seeds_in_the_order_given():
    assert [*seeds_and_epochs(["b.pt", "a.pt"], 5)] == [(0, 5), (1, 5)]


@pytest.mark.parametrize(
    ("files", "epoch", "said"),
    [
        ([], 1, "at least one file"),
        (["a.pt"], None, "which epoch it is from"),
        (["x/seed=0/epoch=2.pt", "y/seed=0/epoch=2.pt"], None, "both seed 0, epoch 2"),
        (["a.pt", "y/seed=0/epoch=2.pt"], 2, "both seed 0, epoch 2"),
    ],
)
def test_what_is_not_clear_is_refused(files, epoch, said):
    with pytest.raises(PruneKitError, match=said):
        seeds_and_epochs(files, epoch)


def test_the_digest_is_of_the_content(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"abc")
    assert file_digest(file) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(PruneKitError, match="there is no checkpoint"):
        file_digest(tmp_path / "none")


def test_weights_of_another_model_are_named():
    same = {"a": (2, 3), "b": (3,)}
    check_weights_fit(Path("w"), same, {"a": [2, 3], "b": [3]})
    with pytest.raises(
        PruneKitError, match=r"w does not fit the model: b is \(4,\), not \(3,\); unexpected c"
    ):
        check_weights_fit(Path("w"), {**same, "b": (4,), "c": (1,)}, same)
    with pytest.raises(
        PruneKitError, match=r"missing a; missing b; missing w0; missing w1; missing w2 \.\.\."
    ):
        check_weights_fit(Path("w"), {}, {**same, **{f"w{i}": (1,) for i in range(9)}})
