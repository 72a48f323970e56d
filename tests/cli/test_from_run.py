"""What a run was made from, found again."""

import json
import shutil

import numpy as np
import pytest

from prune_kit.errors import PruneKitError, StoreError
from prune_kit_cli.from_run import reopen

WORDS = ("score", "--framework", "torch", "--data", "tiny.npz", "--seeds", "1", "--epochs", "1")


@pytest.fixture
def run(prunekit, tiny):
    prunekit(*WORDS, "--learning-rate", "0.03", "--out", "run")
    return tiny.parent / "run"


def test_data_model_and_recipe_are_the_runs(run):
    found = reopen("run")
    assert found.run.path.name == "run"
    assert found.framework == "torch"
    assert found.verbs.__name__ == "prune_kit_torch"
    assert (found.data_source, found.model_name) == ("tiny.npz", "mlp")
    assert found.data.ids.tolist() == list(range(1000, 1064))
    assert found.make_model()[-1].out_features == 3
    assert (found.recipe.learning_rate, found.recipe.milestones) == (0.03, (60, 120, 160))
    assert found.config["scores"] == ["el2n"]


def test_options_come_first(run):
    shutil.move("tiny.npz", "moved.npz")
    (run.parent / "mine.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Linear(8, 3, bias=False)\n"
    )
    found = reopen("run", data="moved.npz", model="mine:make")
    assert found.data_source == "moved.npz"
    assert found.make_model().bias is None
    assert reopen("run", data="moved.npz", framework="tensorflow").verbs.__name__ == "prune_kit_tensorflow"


def test_data_that_is_gone_or_another_is_refused(run):
    shutil.copy("tiny.npz", "other.npz")
    with np.load("tiny.npz") as arrays:
        np.savez("other.npz", x=arrays["x"], y=arrays["y"], ids=arrays["ids"] + 1)
    with pytest.raises(
        PruneKitError, match=r"other.npz is not what run scored: that had 64 examples .*--data"
    ):
        reopen("run", data="other.npz")
    shutil.move("tiny.npz", "moved.npz")
    with pytest.raises(
        StoreError, match=r"the data of run cannot be read again: .*tiny.npz.*Hint: say with --data"
    ):
        reopen("run")
    with pytest.raises(StoreError, match=r"there is no file or folder nowhere.npz"):
        reopen("run", data="nowhere.npz")


def test_runs_that_do_not_say_what_they_are_of(prunekit, logits):
    prunekit(
        "score", "--framework", "arrays", "--logits", "seed*.npy", "--labels", "labels.npy", "--out", "run"
    )
    with pytest.raises(PruneKitError, match="made with the framework arrays, which trains nothing"):
        reopen("run")
    with pytest.raises(PruneKitError, match="does not say what its data was.* Hint: give --data"):
        reopen("run", framework="torch")


def changed(run, **config):
    content = json.loads((run / "run.json").read_text())
    content["config"] |= config
    (run / "run.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"recipe": None}, "does not say how its model was trained"),
        ({"replaced": {"loss": "f"}}, "was trained with loss given as a function"),
        ({"recipe": {"batch_size": 8}}, "the recipe is not what it should be"),
        ({"recipe": {"milestones": [], "colour": 1}}, "the recipe is not what it should be"),
    ],
)
def test_a_recipe_that_cannot_be_had(run, config, message):
    changed(run, **config)
    found = reopen("run")
    with pytest.raises(PruneKitError, match=message):
        _ = found.recipe
