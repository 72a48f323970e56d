"""`prunekit info` is never wider than 80 columns, whatever things are called, and says what was counted."""

import itertools
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from prune_kit.column_files import write_columns
from prune_kit.dynamics_files import VELOCITY_TYPES
from prune_kit.retraining import Retraining
from prune_kit.store import Run
from prune_kit.table import ScoreTable

N = 120
NAMES = [
    "a class with a name that goes on and on and on for ever and ever",
    "日本語のとても長いクラスの名前です",
    "x\n\x1b[31m\ty",
]
FOLDER = Path("a_folder_with_a_long_name_" * 3) / ("日本語" * 8)


def columns_of(line):
    """By the standard's own table, apart from the code that is tested."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in line)
    return len(line) + wide - sum(unicodedata.combining(each) > 0 for each in line)


def check(result):
    lines = result.stdout.splitlines()
    assert lines
    assert [line for line in lines if columns_of(line) > 80] == []
    assert "\x1b" not in result.stdout
    assert not any(ord(each) < 32 and each != "\n" for each in result.stdout)
    return lines


def name(label):
    return f"{label} {NAMES[label % 3]}"


@pytest.fixture
def made(prunekit, tmp_path):
    """A run of 30 classes with names, whose names are all too long, and its files."""
    FOLDER.mkdir(parents=True)
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 30
    config = {
        "framework": "torch" * 20,
        "scores": ["el2n" * 20, *(f"score_{i}_with_a_long_name" for i in range(12))],
        "data": {"examples": N, "fingerprint": "f" * 64},
        "data_source": f"/{'x' * 150}/train.parquet",
        "model_name": "module:" + "Model" * 30,
        "class_names": [name(label) for label in range(30)],
    }
    made_with = {f"library_{i}": f"{i}.0.0+some.local.version" for i in range(9)}
    score = config["scores"][0]
    opened = Run.start(
        FOLDER / "run", config=config, seeds=range(2), epochs=range(0, 60, 2), made_with=made_with
    )
    with opened as run:
        for seed, epoch in itertools.product(range(2), range(0, 60, 2)):
            values = {score: rng.random(N).astype(np.float32), "predicted": labels}
            run.write_part(seed, epoch, ScoreTable(np.arange(N), labels, values))
    prunekit("aggregate", FOLDER / "run", "--out", FOLDER / "scores.parquet")
    prunekit("prune", FOLDER / "scores.parquet", "--keep", "0.5", "--out", FOLDER / "kept.parquet")
    prunekit("flag", FOLDER / "run", "--highest", "30", "--out", FOLDER / "flags.parquet")
    return FOLDER


@pytest.mark.parametrize("what", ["run", "scores.parquet", "kept.parquet", "flags.parquet"])
def test_long_names_and_paths(prunekit, made, what):
    lines = check(prunekit("info", made / what))
    assert any(re.match(r"[23]\d classes|flagged labels, the 12 of 30", line) for line in lines)


def test_a_retraining(prunekit, tmp_path):
    names = ["full", *(f"a subset with a long name number {i}" for i in range(50))]
    subsets = {each: {"kept": 1_000_000 if each == "full" else 30_000, "of": 1_000_000} for each in names}
    content = {
        "format": 1,
        "config": {"recipe": {}},
        "subsets": subsets,
        "seeds": list(range(0, 100, 2)),
        "epochs": 200,
        "at_epochs": [200],
        "equal": "steps",
        "test": {"examples": 10_000, "fingerprint": "f", "data_source": "/" + "x" * 200},
        "made_with": {},
    }
    out = Path("r" * 120)
    out.mkdir()
    (out / "retrain.json").write_text(json.dumps(content))
    rows = [
        (each, subsets[each]["kept"], seed, 200, 78_000, 0.9 + seed / 1000)
        for each in names
        for seed in (0, 2)
    ]
    columns = dict(
        zip(
            ("subset", "kept", "seed", "epoch", "steps", "accuracy"),
            map(np.array, zip(*rows, strict=True)),
            strict=True,
        )
    )
    write_columns(out / "accuracy.parquet", columns, {})
    assert len(Retraining.read(out).rows) == 102
    lines = check(prunekit("info", out))
    row = next(line.split() for line in lines if line.split()[:1] == ["full"])
    error = np.std([0.9, 0.902], ddof=1) / 2**0.5
    assert row == ["full", "1,000,000", "100.0%", "2", "78,000", "0.9010", "±", f"{error:.4f}"]
    assert "  and 11 more; --json has them all" in lines
    told = json.loads(prunekit("info", out, "--json").stdout)
    assert len(told["subsets"]) == 51


def test_velocities(prunekit, tmp_path):
    rows = [
        (s, e, e + 1, g, 100 * g, 100 * g + 100, 0.5, 0.001 * g)
        for s in range(9)
        for e in range(60)
        for g in range(5)
    ]
    kinds = [np.int64] * 6 + [np.float64] * 2
    columns = {
        each: np.array(column, kind)
        for each, column, kind in zip(VELOCITY_TYPES, zip(*rows, strict=True), kinds, strict=True)
    }
    path = Path("v" * 150 + ".parquet")
    write_columns(path, columns, {})
    lines = check(prunekit("info", path))
    assert "  and 20 more; --json has them all" in lines


def test_numbers_of_any_size(prunekit, tmp_path):
    columns = {
        "score": np.array([-1e30, 1e-30, 3.0, np.inf]),
        "a_column_with_quite_a_long_name_indeed": np.array([1e300, -1e300, 0, 1]),
        "count": np.array([2**62, 1, 2, 3]),
    }
    ScoreTable([1, 2, 3, 4], [0, 1, 0, -(2**62)], columns).to_parquet("s.parquet")
    check(prunekit("info", "s.parquet"))


def test_the_histogram_and_the_classes_are_those_of_the_scores(prunekit, made):
    told = json.loads(prunekit("info", made / "scores.parquet", "--json").stdout)
    table = ScoreTable.read(made / "scores.parquet")
    scores = table["score"].astype(float)
    counts, edges = np.histogram(scores, bins=10)
    assert told["histogram"]["counts"] == counts.tolist()
    assert told["histogram"]["edges"] == pytest.approx(edges)
    hardest = set(sorted(range(N), key=lambda i: scores[i])[N // 2 :])
    for each in told["classes"]:
        of = [i for i in range(N) if table.labels[i] == each["label"]]
        assert each["name"] == name(each["label"])
        assert each["examples"] == len(of)
        assert each["mean_score"] == pytest.approx(sum(scores[i] for i in of) / len(of))
        assert each["share"] == pytest.approx(len(of) / N)
        assert each["share_of_hardest_half"] == pytest.approx(len(hardest & set(of)) / (N // 2))
    lines = prunekit("info", made / "scores.parquet").stdout.splitlines()
    shown = [float(line.split()[-3]) for line in lines if line.endswith("%") and " to " not in line]
    means = sorted((each["mean_score"] for each in told["classes"]), reverse=True)
    assert shown == pytest.approx([*means[:6], *means[-6:]], abs=5e-4)


def test_flags_are_counted_by_class(prunekit, tmp_path):
    flagged = np.array([True, True, False, True, False, False])
    columns = {"flagged": flagged, "suggested": np.array([1, 1, 0, 2, 0, 0])}
    made = {"config": {"class_names": ["cat", "dog", "owl"]}, "wrong": 2.6}
    ScoreTable(np.arange(6), [0, 0, 0, 0, 1, 2], columns, made).to_parquet("f.parquet")
    lines = [line.split() for line in prunekit("info", "f.parquet").stdout.splitlines()]
    assert ["cat", "4", "3", "dog", "(2)"] in lines
    assert ["owl", "1", "0", "-"] in lines
    assert ["wrong", "about", "3", "labels,", "estimated"] in lines
    told = json.loads(prunekit("info", "f.parquet", "--json").stdout)
    assert [row["flagged"] for row in told["flagged_by_class"]] == [3, 0, 0]


def test_kept_examples_have_the_names_of_the_scores(prunekit, made):
    told = json.loads(prunekit("info", made / "kept.parquet", "--json").stdout)
    assert {each["name"] for each in told["classes"]} <= {name(label) for label in range(30)}
    assert sum(each["examples"] for each in told["classes"]) == N // 2


def test_a_terminal_with_ascii_alone(made):
    import subprocess
    import sys

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from prune_kit_cli.main import cli; cli()",
            "info",
            str(made / "scores.parquet"),
        ],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PATH": "", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"#####" in done.stdout
    done.stdout.decode("ascii")
