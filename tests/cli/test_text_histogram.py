import io
import itertools
import sys

import numpy as np
import pytest

from prune_kit.histogram import histogram
from prune_kit_cli.text_histogram import histogram_lines

EIGHTHS = " ▏▎▍▌▋▊▉█"


def length(bar):
    """Of a bar, in columns."""
    return sum(EIGHTHS.index(each) / 8 for each in bar)


def parts(line):
    """Edges, bar, count and share of a line."""
    where, rest = line[: line.index(" to ") + 4], line[line.index(" to ") + 4 :]
    high, *bar, count, share = rest.split()
    return float(where.replace(" to ", "")), float(high), "".join(bar), int(count.replace(",", "")), share


def test_lines_say_what_is_in_the_intervals():
    scores = np.random.default_rng(0).gamma(1.0, 0.3, 2000)
    counted = histogram(scores, bins=10)
    rows = [parts(line) for line in histogram_lines(counted, blocks=True)]
    edges = np.linspace(scores.min(), scores.max(), 11)
    expected = [
        int(((scores >= low) & ((scores < high) | (i == 9))).sum())
        for i, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    assert [count for *_, count, _ in rows] == expected
    assert [low for low, *_ in rows] == pytest.approx(edges[:-1], abs=0.01)
    assert [high for _, high, *_ in rows] == pytest.approx(edges[1:], abs=0.01)
    assert [share for *_, share in rows] == [f"{count / 2000:.1%}" for count in expected]
    for _, _, bar, count, _ in rows:
        assert length(bar) == pytest.approx(32 * count / max(expected), abs=1 / 8)


def test_what_is_there_is_seen_and_what_is_not_is_not():
    rows = [
        parts(line) for line in histogram_lines(histogram(np.r_[np.zeros(9999), 1, 9.5], bins=5), blocks=True)
    ]
    assert [bool(bar) for _, _, bar, _, _ in rows] == [True, False, False, False, True]


def test_infinite_and_missing_scores_have_their_lines():
    lines = histogram_lines(histogram(np.array([0.0, 1, np.inf, np.nan, np.nan]), bins=4))
    assert [line.split() for line in lines[-2:]] == [["infinite", "1", "20.0%"], ["missing", "2", "40.0%"]]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminals_without_blocks_get_hashes(monkeypatch, encoding):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    lines = histogram_lines(histogram(np.array([0.0, 0.1, 1.0]), bins=2))
    assert ["#" * 32 in line for line in lines] == [True, False]
    assert lines[1].count("#") == 16
    "".join(lines).encode("ascii")


def test_a_terminal_with_blocks_gets_blocks(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert "█" * 32 in histogram_lines(histogram(np.array([0.0, 0.1, 1.0]), bins=2))[0]


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e6, 1e30])
def test_edges_can_be_told_apart_and_lines_fit(scale):
    scores = scale * (1 + np.random.default_rng(0).random(100))
    lines = histogram_lines(histogram(scores, bins=10), blocks=True)
    lows = [line.split(" to ")[0].strip() for line in lines]
    assert len(set(lows)) == 10
    assert max(map(len, lines)) <= 80
    assert [float(low.replace(",", "")) for low in lows] == pytest.approx(
        np.linspace(scores.min(), scores.max(), 11)[:-1], rel=0.01
    )
