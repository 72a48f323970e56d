"""What `prunekit compare` compares: RUN, RUN:SCORE, RUN@EPOCH, RUN:SCORE@EPOCH or a file of scores."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import click

from prune_kit.errors import PruneKitError
from prune_kit.store import Run
from prune_kit.summary import aggregate_run
from prune_kit.table import ScoreTable

_SIDE = re.compile(r"(?P<path>.+?)(?::(?P<score>[A-Za-z_]\w*))?(?:@(?P<epoch>\d+))?")


class Side(NamedTuple):
    """What is compared: the mean scores in a file, or one score of a run at one epoch."""

    path: Path
    score: str | None
    epoch: int | None

    def __str__(self) -> str:
        score = f":{self.score}" if self.score is not None else ""
        epoch = f"@{self.epoch}" if self.epoch is not None else ""
        return f"{self.path}{score}{epoch}"

    def read(self) -> ScoreTable:
        """The mean scores, one row per example."""
        if self.path.is_dir():
            run = Run.open(self.path)
            score = self.score or (run.config.get("scores") or ["el2n"])[0]
            return aggregate_run(run, score=score, epoch=self.epoch)
        if self.score is not None or self.epoch is not None:
            raise PruneKitError(
                f"{self}: a score and an epoch are chosen of a run; {self.path} is not a directory.",
                hint="name the file alone, or the run that it comes from",
            )
        return ScoreTable.read(self.path)


class SideType(click.ParamType[Any]):
    """PATH, RUN:SCORE, RUN@EPOCH or RUN:SCORE@EPOCH; a path that exists as it is written is a path."""

    name = "side"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give a Side."""
        if not isinstance(value, str):
            return value
        match = _SIDE.fullmatch(value)
        if match is None:
            self.fail(f"{value!r} names no run and no file", param, ctx)
        if Path(value).exists():
            return Side(Path(value), None, None)
        epoch = match["epoch"]
        return Side(Path(match["path"]), match["score"], None if epoch is None else int(epoch))
