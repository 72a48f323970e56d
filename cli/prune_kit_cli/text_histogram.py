"""A histogram as lines of text: bars of block characters, or of # where the terminal has none."""

from __future__ import annotations

import math
import sys

from prune_kit.histogram import Histogram

BINS = 10
_BAR = 32
_BLOCKS = "▏▎▍▌▋▊▉█"
"""An eighth of a column to a whole one."""


def histogram_lines(counted: Histogram, *, blocks: bool | None = None) -> list[str]:
    """One line per interval: its edges, a bar, how many there are and which share.

    Parameters
    ----------
    counted
        What `prune_kit.histogram.histogram` gives.
    blocks
        Whether bars are of block characters; by default where the encoding of the output has them.
    """
    if blocks is None:
        blocks = can_print(_BLOCKS)
    total = max(1, int(counted.counts.sum()) + counted.infinite + counted.missing)
    most = max(1, int(counted.counts.max(initial=0)))
    edges = _numbers([float(edge) for edge in counted.edges])
    rows = [
        (f"{low} to {high}", _bar(count / most, blocks), count)
        for low, high, count in zip(edges[:-1], edges[1:], counted.counts.tolist(), strict=True)
    ]
    rows += [
        (what, "", count)
        for what, count in (("infinite", counted.infinite), ("missing", counted.missing))
        if count
    ]
    wide = max(len(where) for where, *_ in rows)
    digits = max(len(f"{count:,}") for *_, count in rows)
    return [
        f"  {where:>{wide}}  {bar:{_BAR}} {count:>{digits},} {count / total:>6.1%}"
        for where, bar, count in rows
    ]


def can_print(text: str) -> bool:
    """Whether the encoding of the standard output has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _bar(share: float, blocks: bool) -> str:
    """A bar of up to `_BAR` columns; what is not nothing is seen."""
    if share <= 0:
        return ""
    if not blocks:
        return "#" * max(1, round(share * _BAR))
    eighths = max(1, round(share * _BAR * 8))
    whole, rest = divmod(eighths, 8)
    return _BLOCKS[-1] * whole + (_BLOCKS[rest - 1] if rest else "")


def _numbers(edges: list[float]) -> list[str]:
    """Edges with as many digits as tell them apart."""
    step = edges[1] - edges[0]
    if step > 1e-6 and max(map(abs, edges)) < 1e9:
        decimals = max(0, 2 - math.floor(math.log10(step)))
        return [f"{edge:,.{decimals}f}" for edge in edges]
    for digits in range(3, 17):
        written = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(written)) == len(edges):
            break
    return written
