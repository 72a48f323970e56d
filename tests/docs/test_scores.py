"""docs/scores.md is tested: its code runs, and it names every score that a task defines, and no other."""

import re
from pathlib import Path

import pytest

from prune_kit._tasks import DEFINED
from prune_kit.scores import SCORE_NAMES

TEXT = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")


def test_its_code_runs_as_it_stands():
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(code, {})


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_its_table_has_the_scores_of_the_task(task):
    section = TEXT.split(f'`task="{task}"`\n')[1].split("\n## ")[0]
    cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`(\w+)", cell)} - {"error_norm"}
    assert named == set(DEFINED.get(task, SCORE_NAMES))
