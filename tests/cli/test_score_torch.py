"""`prunekit score --framework torch`, from the data to a kept subset."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import prune_kit
from prune_kit.store import Run
from prune_kit.subset_file import read_ids
from prune_kit.table import ScoreTable

TINY = ("score", "--framework", "torch", "--data", "tiny.npz", "--batch-size", "16", "--out", "run")


def parts(path="run"):
    """Every array of every part, as bytes."""
    run = Run.open(path)
    tables = {place: run.read_part(*place) for place in run.parts()}
    return {
        place: (table.ids.tobytes(), table.labels.tobytes(), *(table[name].tobytes() for name in table))
        for place, table in tables.items()
    }


def stamps(path="run"):
    return {str(file): file.stat().st_mtime_ns for file in Path(path).rglob("*.parquet")}


def test_the_main_job_on_the_digits(prunekit):
    """Score, aggregate, prune: text for people, what to type next, nothing on stderr but warnings."""
    words = ("score", "--framework", "torch", "--seeds", "2", "--epochs", "2", "--out", "runs/digits")
    scored = prunekit(*words)
    assert scored.stdout.startswith("run directory: runs/digits\n")
    assert "scored 1,347 examples: 2 seeds at epochs 1, 2\n" in scored.stdout
    assert "between seeds" in scored.stdout
    assert scored.stdout.endswith(
        "  prunekit aggregate runs/digits --out scores.parquet\n"
        "  prunekit prune scores.parquet --keep 0.5 --out kept.parquet\n"
    )
    assert all(line.startswith("Warning: ") for line in scored.stderr.splitlines())
    aggregated = prunekit("aggregate", "runs/digits", "--out", "scores.parquet")
    assert "el2n of 1,347 examples, mean over 2 seeds at epoch 2" in aggregated.stdout
    pruned = prunekit("prune", "scores.parquet", "--keep", "0.5", "--out", "kept.parquet")
    assert "kept 674 of 1,347 examples (hardest)" in pruned.stdout
    assert pruned.stderr == ""
    # The ids lead back to the data set, and the scores mean what they say.
    table, digits = ScoreTable.read("scores.parquet"), load_digits()
    assert table.labels.tolist() == digits.target[table.ids].tolist()
    accuracy = np.mean(table["predicted"] == table.labels)
    assert accuracy > 0.6
    wrong = table["predicted"] != table.labels
    assert table["score"][wrong].mean() > 2 * table["score"][~wrong].mean()
    kept = read_ids("kept.parquet")
    expected = table.ids[prune_kit.keep_hardest(table["score"], fraction=0.5)]
    assert kept.tolist() == expected.tolist()


def test_json_is_one_object_on_stdout_and_nothing_else(prunekit, tiny):
    result = prunekit(*TINY, "--seeds", "2", "--epochs", "2", "--at-epochs", "0,2", "--json")
    told = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert {name: told[name] for name in ("run", "examples", "seeds", "epochs", "scores", "parts")} == {
        "run": "run",
        "examples": 64,
        "seeds": [0, 1],
        "epochs": [0, 2],
        "scores": ["el2n"],
        "parts": 4,
    }
    assert [row["epoch"] for row in told["agreement"]] == [0, 2]
    for words in (("aggregate", "run", "--out", "s.parquet"), ("info", "run"), ("info", "s.parquet")):
        result = prunekit(*words, "--json")
        assert isinstance(json.loads(result.stdout), dict)
        assert result.stdout.count("\n") == 1


def test_scores_taken_too_early_are_warned_of(prunekit, tiny):
    """At initialisation the seeds know nothing of the data."""
    result = prunekit(*TINY, "--seeds", "3", "--epochs", "0")
    assert "Warning: scores at epoch 0 may be taken too early: their rank agreement between" in result.stderr
    again = prunekit("aggregate", "run", "--out", "s.parquet")
    assert "too early" in again.stderr
    assert prunekit(*TINY[:-1], "other", "--seeds", "1", "--epochs", "2").stderr == ""


def test_epoch_0_is_scored_and_aggregated(prunekit, tiny):
    prunekit(*TINY, "--seeds", "2", "--epochs", "2", "--at-epochs", "0,1,2")
    run = Run.open("run")
    assert run.parts() == [(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    at = [run.read_part(0, epoch)["el2n"] for epoch in (0, 1, 2)]
    assert at[0].mean() > at[1].mean() > at[2].mean()
    prunekit("aggregate", "run", "--epoch", "0", "--out", "s.parquet")
    mean = (run.read_part(0, 0)["el2n"].astype(float) + run.read_part(1, 0)["el2n"]) / 2
    np.testing.assert_allclose(ScoreTable.read("s.parquet")["score"], mean, rtol=1e-6)


def test_the_same_command_again_does_nothing_and_says_the_same(prunekit, tiny):
    words = (*TINY, "--seeds", "2", "--epochs", "2")
    first = prunekit(*words)
    before = stamps()
    again = prunekit(*words)
    assert (again.stdout, again.stderr) == (first.stdout, first.stderr)
    assert stamps() == before


def test_the_same_command_elsewhere_gives_the_same_bytes(prunekit, tiny):
    prunekit(*TINY, "--seeds", "2", "--epochs", "2")
    first = parts()
    prunekit(*TINY[:-1], "other", "--seeds", "2", "--epochs", "2")
    assert parts("other") == first
    assert first[0, 2] != first[1, 2]


def test_more_seeds_and_epochs_leave_the_first_parts_alone(prunekit, tiny):
    prunekit(*TINY, "--seeds", "2", "--epochs", "2")
    before, bytes_before = stamps(), parts()
    prunekit(*TINY, "--seeds", "3", "--epochs", "3", "--at-epochs", "2,3")
    assert Run.open("run").parts() == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3)]
    now = stamps()
    assert {name: now[name] for name in before} == before
    prunekit(*TINY[:-1], "whole", "--seeds", "3", "--epochs", "3", "--at-epochs", "1,2,3")
    whole = parts("whole")
    assert bytes_before.items() <= whole.items()
    assert parts().items() <= whole.items()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--learning-rate", "0.2"], "what differs: recipe.learning_rate was 0.1, is now 0.2"),
        (["--batch-size", "8"], "what differs: recipe.batch_size was 16, is now 8"),
        (["--weight-decay", "0"], "what differs: recipe.weight_decay was 0.0005, is now 0"),
        (["--score", "margin"], 'what differs: scores was ["el2n"], is now ["margin"]'),
        (["--data", "other.npz"], "data.fingerprint was"),
        (["--model", "mymodel:make"], 'model_name was "mlp", is now "mymodel:make"'),
        (["--precision", "bfloat16"], 'precision was "float32", is now "bfloat16"'),
    ],
)
def test_another_option_on_the_same_run_is_refused_with_what_differs(prunekit, tiny, tmp_path, words, said):
    with np.load(tiny) as arrays:
        np.savez(tmp_path / "other.npz", x=arrays["x"] + 1, y=arrays["y"])
    (tmp_path / "mymodel.py").write_text("import torch\nmake = lambda: torch.nn.Linear(8, 3)\n")
    prunekit(*TINY, "--seeds", "1", "--epochs", "1")
    before = stamps()
    result = prunekit(*TINY, "--seeds", "1", "--epochs", "1", *words, code=1)
    assert "Error: run holds another run; what differs: " in result.stderr
    assert said in result.stderr
    assert "Hint: give another --out, or repeat the options" in result.stderr
    assert stamps() == before


def test_a_model_and_data_of_the_users_own(prunekit, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(4, 3)\n"
        "def data():\n"
        "    x = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))\n"
        "    return torch.utils.data.TensorDataset(x, x[:, :3].argmax(1), torch.arange(30) * 2)\n"
    )
    words = ("score", "--framework", "torch", "--model", "mine:Net", "--data", "mine:data")
    result = prunekit(*words, "--seeds", "0,4", "--epochs", "3", "--batch-size", "8", "--json")
    assert json.loads(result.stdout)["run"] == "runs/data-torch"
    part = Run.open("runs/data-torch").read_part(4, 3)
    assert part.ids.tolist() == list(range(0, 60, 2))
    assert part.provenance["model"]["class"] == "mine.Net"


def test_several_scores(prunekit, tiny):
    prunekit(*TINY, "--seeds", "1", "--epochs", "1", "--score", "margin,el2n", "--score", "grand_last_layer")
    part = Run.open("run").read_part(0, 1)
    assert set(part) >= {"predicted", "p_label", "margin", "el2n", "grand_last_layer"}
    # One of them is what the layer's input makes of the other.
    assert (part["grand_last_layer"] >= part["el2n"]).all()
    told = json.loads(prunekit("aggregate", "run", "--out", "s.parquet", "--json").stdout)
    assert told["score"] == "margin"
    told = json.loads(prunekit("aggregate", "run", "--out", "s.parquet", "--score", "el2n", "--json").stdout)
    assert told["score"] == "el2n"
    np.testing.assert_array_equal(ScoreTable.read("s.parquet")["score"], part["el2n"])


def test_checkpoints_give_the_scores_of_the_training_that_saved_them(prunekit, tiny):
    prunekit(*TINY, "--seeds", "2", "--epochs", "2", "--at-epochs", "0,2", "--save-checkpoints")
    files = sorted(str(file.relative_to("run/checkpoints")) for file in Path("run").rglob("*.safetensors"))
    assert files == [f"seed={seed}/epoch={epoch}.safetensors" for seed in (0, 1) for epoch in (0, 2)]
    words = ("score", "--framework", "torch", "--data", "tiny.npz", "--out", "again")
    prunekit(*words, "--checkpoint", "run/checkpoints/*/*.safetensors")
    assert parts("again") == parts("run")
    told = json.loads(prunekit("info", "again", "--json").stdout)
    assert told["complete"]
    # A checkpoint of another seed can be added, one that changed under its name is refused.
    Path("run/checkpoints/seed=0/epoch=2.safetensors").write_bytes(
        Path("run/checkpoints/seed=1/epoch=2.safetensors").read_bytes()
    )
    result = prunekit(*words, "--checkpoint", "run/checkpoints/*/*.safetensors", code=1)
    assert "what differs: checkpoints.seed=0/epoch=2 was" in result.stderr
    assert "checkpoints.seed=1" not in result.stderr


def test_a_checkpoint_of_another_epoch_of_a_seed_can_be_added(prunekit, tiny):
    prunekit(*TINY, "--seeds", "2", "--epochs", "2", "--at-epochs", "0,2", "--save-checkpoints")
    words = ("score", "--framework", "torch", "--data", "tiny.npz", "--out", "again")
    prunekit(*words, "--checkpoint", "run/checkpoints/seed=0/epoch=0.safetensors")
    prunekit(*words, "--checkpoint", "run/checkpoints/*/*.safetensors")
    assert parts("again") == parts("run")


def test_checkpoints_without_a_usual_name_need_their_epoch(prunekit, tiny, tmp_path):
    prunekit(*TINY, "--seeds", "2", "--epochs", "1", "--at-epochs", "0,1", "--save-checkpoints")
    for seed in (0, 1):
        Path(f"run/checkpoints/seed={seed}/epoch=0.safetensors").rename(f"w{seed}.safetensors")
    words = ("score", "--framework", "torch", "--data", "tiny.npz", "--checkpoint", "w*.safetensors")
    result = prunekit(*words, "--out", "again", code=1)
    assert "w0.safetensors does not say which epoch it is from" in result.stderr
    prunekit(*words, "--out", "again", "--at-epochs", "0")
    assert parts("again") == {place: part for place, part in parts("run").items() if place[1] == 0}


def test_seeds_are_added_until_the_mean_is_reliable(prunekit, tiny):
    words = (
        "score",
        "--framework",
        "torch",
        "--data",
        tiny,
        "--model",
        "mlp",
        "--epochs",
        "2",
        "--out",
        "run",
    )
    told = json.loads(prunekit(*words, "--until-reliability", "0.9", "--max-seeds", "9", "--json").stdout)
    row = told["agreement"][-1]
    assert told["reliability"] == pytest.approx(
        row["seeds"] * row["agreement"] / (1 + (row["seeds"] - 1) * row["agreement"])
    )
    assert told["reliability"] >= 0.9
    assert told["seeds"] == list(range(row["seeds"]))
    assert 3 <= row["seeds"] <= 9
    # The same command again has nothing to do.
    again = json.loads(prunekit(*words, "--until-reliability", "0.9", "--json").stdout)
    assert again == told
    result = prunekit(*words, "--until-reliability", "0.99999", "--max-seeds", "10")
    assert "reliability of the mean over 10 seeds" in result.stdout
    assert "below 0.99999. Score at a later epoch" in result.stderr


def test_options_of_reliability_go_together(prunekit):
    words = ("score", "--framework", "torch")
    both = prunekit(*words, "--until-reliability", "0.9", "--seeds", "4", code=2)
    assert "--seeds: not with --until-reliability" in both.stderr
    assert "--max-seeds: only with --until-reliability" in prunekit(*words, "--max-seeds", "4", code=2).stderr
    assert "0<x<1" in prunekit(*words, "--until-reliability", "1", code=2).stderr
