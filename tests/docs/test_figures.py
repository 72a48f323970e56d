"""The paper's figures: their numbers by the definitions, from what the trainings left; that they go on."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import prune_kit as pk
from prune_kit.data import load_examples

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(name, *options, folder):
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *options],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def figure2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figure2")
    done = run_example("figure2_offset", "--quick", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "out" / "figure2-quick"


def test_windows_are_those_of_the_mean_scores(figure2):
    right = load_examples("digits").labels
    parts = list(pk.Run.open(figure2 / "randomised" / "scores").read_parts(2))
    assert len(parts) == 2
    labels = parts[0][1].labels
    assert 0.05 < np.mean(labels != right) <= 0.1
    mean = sum(table["el2n"].astype(np.float64) for _, table in parts) / 2
    n = len(right)
    order = sorted(range(n), key=lambda i: mean[i])
    size, start = round(0.4 * n), round(0.6 * n)
    wrong = {
        0.0: sum(labels[i] != right[i] for i in order[:size]),
        0.6: sum(labels[i] != right[i] for i in order[start : start + size]),
    }
    given = {
        float(row["offset"]): int(row["wrong_labels"])
        for row in rows_of(figure2 / "figure2_offset.csv")
        if row["labels"].startswith("10%") and row["offset"]
    }
    assert given[0.0] == wrong[0.0]
    assert given[0.6] == wrong[0.6]
    assert wrong[0.6] > wrong[0.0]


def test_accuracies_are_those_of_the_networks(figure2):
    right = load_examples("digits:test").labels
    row = next(r for r in rows_of(figure2 / "figure2_offset.csv") if r["subset"] == "offset 60%")
    parts = list(pk.Run.open(figure2 / "clean" / "retrained" / "runs" / "offset 60%").read_parts(4))
    a, b = (sum(p == q for p, q in zip(t["predicted"], right, strict=True)) / 450 for _, t in parts)
    assert float(row["accuracy"]) == pytest.approx((a + b) / 2, abs=1e-6)
    assert float(row["standard_error"]) == pytest.approx(abs(a - b) / 2, abs=1e-6)


def test_the_same_command_again_trains_nothing(figure2):
    def files():
        return {p: p.stat().st_mtime_ns for p in figure2.rglob("part-*.parquet")}

    before, numbers = files(), (figure2 / "figure2_offset.csv").read_bytes()
    (figure2 / "figure2_offset.png").unlink()
    done = run_example("figure2_offset", "--quick", folder=figure2.parents[1])
    assert done.returncode == 0, done.stderr
    assert files() == before
    assert (figure2 / "figure2_offset.csv").read_bytes() == numbers
    assert (figure2 / "figure2_offset.png").exists()


def test_transfer_says_how_far_the_scores_agree(tmp_path):
    done = run_example("transfer", "--quick", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out" / "transfer-quick"
    agreement = json.loads((out / "transfer.json").read_text(encoding="utf-8"))
    ranks = []
    for model in ("small-cnn", "mlp"):
        parts = pk.Run.open(out / "scores" / model).read_parts(2)
        mean = np.mean([table["el2n"].astype(np.float64) for _, table in parts], axis=0)
        ranks.append(np.argsort(np.argsort(mean)))
    assert agreement["rank_correlation"] == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-3)
    halves = [set(np.flatnonzero(r >= 1347 - 674)) for r in ranks]
    assert agreement["overlap"]["0.5"] == pytest.approx(len(halves[0] & halves[1]) / 674, abs=2e-3)
    assert {row["model"] for row in rows_of(out / "transfer.csv")} == {"small-cnn", "mlp"}


@pytest.mark.parametrize("name", ["figure1_epochs", "figure1_sizes", "figure2_offset", "transfer"])
def test_other_data_need_test_data(name, tmp_path):
    done = run_example(name, "--data", "train.parquet", folder=tmp_path)
    assert done.returncode == 2
    assert "--data needs --test-data" in done.stderr
    assert not list(tmp_path.iterdir())
