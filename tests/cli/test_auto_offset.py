"""`prunekit prune --offset auto`: the window ends below as many of the hardest as labels are wrong."""

import json

import numpy as np
import pytest

from prune_kit.subset_file import read_ids
from prune_kit.table import ScoreTable

WORDS = ("prune", "scores.parquet", "--out", "kept.parquet", "--offset", "auto", "--flags", "flags.parquet")


@pytest.fixture
def table(scores):
    """The scores; and flags of twice as many examples, of which 21.7 labels are wrong: 10.85 of these 60."""
    flags = ScoreTable(np.arange(120), np.zeros(120, int), {"flagged": np.zeros(120, bool)}, {"wrong": 21.7})
    flags.to_parquet("flags.parquet")
    return ScoreTable.read(scores)


@pytest.mark.parametrize(("keep", "size"), [("0.5", 30), ("20", 20), ("49", 49)])
def test_the_window_ends_below_the_hardest(prunekit, table, keep, size):
    shown = prunekit(*WORDS, "--keep", keep)
    assert f"kept {size} of 60 examples (window)\n" in shown.stdout
    line = (
        f"offset {49 - size}: 18.1% of the labels are wrong by flags.parquet, so that the hardest 11 are left"
    )
    assert line in shown.stdout
    order = np.argsort(table["score"], kind="stable")
    assert read_ids("kept.parquet").tolist() == sorted(table.ids[order[49 - size : 49]].tolist())
    assert ScoreTable.read("kept.parquet").provenance["offset"] == 49 - size
    assert json.loads(prunekit(*WORDS, "--keep", keep, "--json").stdout)["offset"] == 49 - size


def test_what_does_not_fit_is_said(prunekit, table):
    result = prunekit(*WORDS, "--keep", "50", code=1)
    assert "50 of 60 examples are to be kept, and the hardest 11 left out" in result.stderr
    assert "Hint: keep 49 or fewer" in result.stderr
    table.to_parquet("flags.parquet")
    assert "flags.parquet has no estimate" in prunekit(*WORDS, "--keep", "5", code=1).stderr
    for words in (WORDS[:6], (*WORDS[:4], *WORDS[6:])):
        assert "--offset auto and --flags go together" in prunekit(*words, "--keep", "5", code=2).stderr
    both = (*WORDS, "--keep", "5", "--exclude-flagged", "flags.parquet")
    assert "--offset auto does not go with --exclude-flagged" in prunekit(*both, code=2).stderr
    other = prunekit(*WORDS, "--keep", "5", "--method", "hardest", code=2)
    assert "--offset does not go with --method hardest" in other.stderr
