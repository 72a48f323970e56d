"""Labels that `prunekit flag` suspects: which, between which classes, and how many it estimates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..classes import Positions
from ..errors import PruneKitError
from ..id_index import IdIndex
from ..table import ScoreTable
from .chart import SERIES, Chart, distinct, finished, values
from .needs import package
from .reported import Reported

_MOST_CLASSES = 20
_FITS_FLAT = 40  # letters in a row, on a phone too


@dataclass(frozen=True, eq=False)
class Suspects:
    """Flags, matched to the examples of a report."""

    table: ScoreTable
    places: Positions
    """Shape (m,): where each row of the table is in the report."""
    reported: Reported

    @property
    def count(self) -> int:
        """How many labels are flagged."""
        return int(self.table["flagged"].sum())

    @property
    def estimated(self) -> float | None:
        """How many labels are wrong, as far as the probabilities tell; None where flags are of scores."""
        wrong = self.table.provenance.get("wrong")
        return None if wrong is None else float(wrong)

    @cached_property
    def rows(self) -> Positions:
        """Positions in the report of the flagged examples, the most suspect first."""
        flagged = np.flatnonzero(self.table["flagged"])
        by = "probability" if "probability" in self.table else None
        suspicion = self.table[by][flagged] if by else self.reported.scores[self.places[flagged]]
        return self.places[flagged[np.argsort(-suspicion, kind="stable")]]

    @cached_property
    def _row_of(self) -> dict[int, int]:
        flagged = np.flatnonzero(self.table["flagged"])
        return dict(zip(self.places[flagged].tolist(), flagged.tolist(), strict=True))

    def about(self, position: int, /) -> dict[str, Any] | None:
        """What is suspected of an example of the report; None of one that is not flagged."""
        row = self._row_of.get(position)
        if row is None:
            return None
        found: dict[str, Any] = {}
        if "suggested" in self.table:
            found["suggested"] = self.reported.name_of(int(self.table["suggested"][row]))
        if "probability" in self.table:
            found["probability"] = f"{float(self.table['probability'][row]):.3f}"
        return found


def read_suspects(path: str | Path, reported: Reported, /) -> Suspects:
    """Read a file of `prunekit flag` and match it to a report by id.

    Raises
    ------
    PruneKitError
        If it has no flags, other examples, or other labels.
    """
    table = ScoreTable.read(path)
    if "flagged" not in table or table["flagged"].dtype != bool:
        raise PruneKitError(
            f"{path} must have a column flagged of true and false; it has none.",
            hint="`prunekit flag RUN --out flags.parquet` makes one",
        )
    places = IdIndex(reported.table.ids).positions(table.ids, where=str(reported.path))
    if not np.array_equal(table.labels, reported.table.labels[places]):
        raise PruneKitError(
            f"{path} has other labels than {reported.path} for some of the same ids.",
            hint="flag again: labels were changed since, or these are other data",
        )
    return Suspects(table, places, reported)


def suspect_charts(suspects: Suspects, /) -> Iterator[Chart]:
    """Flagged labels by class pair, where the flags suggest a class."""
    table, reported = suspects.table, suspects.reported
    flagged = table["flagged"]
    if "suggested" not in table or table.labels.ndim != 1 or not flagged.any():
        return
    given, suggested = table.labels[flagged], table["suggested"][flagged].astype(np.int64)
    involved, codes = np.unique(np.concatenate([given, suggested]), return_inverse=True)
    pairs = np.zeros((len(involved), len(involved)), np.int64)
    np.add.at(pairs, (codes[: len(given)], codes[len(given) :]), 1)
    busiest = np.sort(np.argsort(-(pairs.sum(axis=0) + pairs.sum(axis=1)), kind="stable")[:_MOST_CLASSES])
    names = distinct([reported.name_of(int(label)) for label in involved[busiest]])
    shown = pairs[np.ix_(busiest, busiest)]
    rows: list[dict[str, Any]] = [
        {"given": names[i], "suggested": names[j], "count": int(count)}
        for (i, j), count in np.ndenumerate(shown)
        if count
    ]
    left_out = int(pairs.sum() - shown.sum())
    total = int(pairs.sum())
    said = f"How many labels of each given class look as if they should be another: {total:,} in all."
    if left_out:
        said += f" Shown are the {_MOST_CLASSES} classes with most of them; {left_out:,} are of others."
    by_count = sorted(rows, key=lambda row: -row["count"])
    listing = [(row["given"], row["suggested"], row["count"]) for row in by_count[:100]]
    yield Chart(
        "confusion",
        "Suspected labels by class pair",
        said,
        _heat(rows, names),
        ("given", "suggested", "flagged"),
        listing,
    )


def _heat(rows: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    alt = package("altair")
    scale = alt.Scale(domain=names, paddingInner=0.06)
    angle = 0 if max(map(len, names)) * len(names) < _FITS_FLAT else -40
    flat = alt.Axis(labelAngle=angle)
    base = alt.Chart(values(rows)).encode(
        x=alt.X("suggested:N", scale=scale, sort=names, title="suggested class", axis=flat),
        y=alt.Y("given:N", scale=scale, sort=names, title="given class"),
        tooltip=["given:N", "suggested:N", alt.Tooltip("count:Q", title="flagged", format=",")],
    )
    shade = alt.Opacity("count:Q", scale=alt.Scale(type="sqrt", range=[0.08, 0.75]), legend=None)
    heat = base.mark_rect(color=SERIES[1]).encode(opacity=shade)
    return finished(
        heat + base.mark_text(color="var(--ink)", fontSize=11).encode(text="count:Q"),
        height=max(160, 26 * len(names)),
    )
