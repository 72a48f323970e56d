"""`prunekit compare`: how far runs and files of scores agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from string import ascii_uppercase
from typing import Any

import click

from prune_kit.compare import SIZES, ScoreComparison, compare_scores
from prune_kit.ids import some
from prune_kit.table import ScoreTable

from .class_names import class_name, class_names
from .compared import comparison_lines
from .output import json_option, show, warn
from .parameters import Size
from .sides import Side, SideType

_TIED_SHARE = 0.01


@click.command()
@click.argument("sides", metavar="RUN[:SCORE][@EPOCH]|FILE...", type=SideType(), nargs=-1, required=True)
@click.option(
    "--keep",
    type=Size(),
    multiple=True,
    default=SIZES,
    show_default=True,
    help="Of which subsets of the hardest to tell the overlap: a fraction or a count; may be repeated.",
)
@click.option("--common", is_flag=True, help="Compare the examples that are in all, leave the others out.")
@json_option
def compare(sides: tuple[Side, ...], keep: tuple[float, ...], common: bool, as_json: bool) -> None:
    """Tell how far two or more scores of the same data agree, matched by id.

    \b
    A side of the comparison is one of
      RUN               a run's first score, at the last epoch that every seed reached
      RUN:SCORE         another score of it, or one over its epochs, such as forgetting
      RUN@EPOCH         at another epoch
      RUN:SCORE@EPOCH   both
      FILE              mean scores that `prunekit aggregate` wrote

    \b
      prunekit compare RUN:el2n@6 RUN:el2n@20          other epochs
      prunekit compare RUN RUN2                        other architectures, other settings
      prunekit compare RUN:el2n RUN:grand RUN:forgetting

    Told are the rank correlation (Spearman) of the mean scores, the share of the kept examples that both
    keep, and both class by class. Scores from few seeds cannot agree well with anything: the ceiling is what
    seeds alone allow (the root of the product of both reliabilities), and the corrected correlation, which
    is correlation / ceiling (Spearman 1904), estimates what infinitely many seeds would give. Close to 1,
    the sides differ by little but chance.
    """  # noqa: D301, click wants the backspace character itself
    if not 2 <= len(sides) <= len(ascii_uppercase):
        raise click.UsageError(f"compare needs 2 to {len(ascii_uppercase)} sides; got {len(sides)}.")
    tables = [side.read() for side in sides]
    names = [str(side) for side in sides]
    compared = compare_scores(tables, sizes=keep, common=common, names=names)
    result = _result(compared, names, tables)
    show(as_json, result, comparison_lines(result))
    for message in _warnings(compared, names, tables):
        warn(message)


def _warnings(compared: ScoreComparison, names: Sequence[str], tables: Sequence[ScoreTable]) -> Iterator[str]:
    """What makes the comparison doubtful."""
    differing = compared.differing_labels.tolist()
    if differing:
        yield (
            f"{len(differing):,} of {len(compared.ids):,} examples do not have the same label on all sides: "
            f"{some(differing)}. Classes are those of the first side."
        )
    for name, shares in zip(names, compared.tied.T.tolist(), strict=True):
        of_sizes = zip(shares, compared.sizes, strict=True)
        if tied := [f"{share:.0%} of {size:,}" for share, size in of_sizes if share > _TIED_SHARE]:
            yield (
                f"{name}: of the kept examples {', '.join(tied)} have the same score as some that are not "
                "kept. Among these the place in the data decides, on every side: not all of the overlap is "
                "agreement."
            )
    fingerprints = {table.provenance.get("config", {}).get("data", {}).get("fingerprint") for table in tables}
    if len(fingerprints - {None}) > 1:
        yield (
            "the fingerprints of the data differ: other data under the same ids, or the same data read in "
            "another way (by another framework, or in a loop of your own)."
        )


def _result(compared: ScoreComparison, names: list[str], tables: list[ScoreTable]) -> dict[str, Any]:
    """The comparison as JSON values."""
    letters = ascii_uppercase[: len(names)]
    pairs = list(combinations(range(len(names)), 2))
    sides = [
        {
            "side": letter,
            "name": name,
            **{key: table.provenance.get(key) for key in ("score", "epoch", "epochs", "seeds")},
            "reliability": float(compared.reliability[i]),
            "left_out": compared.left_out[i],
        }
        for i, (letter, name, table) in enumerate(zip(letters, names, tables, strict=True))
    ]
    known = class_names(tables[0])
    return {
        "examples": len(compared.ids),
        "differing_labels": len(compared.differing_labels),
        "sides": sides,
        "sizes": [
            {"kept": kept, "chance": float(chance)}
            for kept, chance in zip(compared.sizes, compared.chance, strict=True)
        ],
        "pairs": [
            {
                "pair": f"{letters[a]}-{letters[b]}",
                "rank_correlation": float(compared.rank_correlation[a, b]),
                "ceiling": float(compared.ceiling[a, b]),
                "corrected": float(compared.corrected[a, b]),
                "overlap": compared.overlap[:, a, b].tolist(),
            }
            for a, b in pairs
        ],
        "classes": [
            {
                "label": int(label),
                "name": class_name(int(label), known),
                "examples": int(size),
                "share": float(size / len(compared.ids)),
                "share_of_hardest_half": dict(zip(letters, compared.class_shares[c].tolist(), strict=True)),
                "rank_correlation": {
                    f"{letters[a]}-{letters[b]}": float(compared.class_correlation[c, a, b]) for a, b in pairs
                },
            }
            for c, (label, size) in enumerate(zip(compared.classes, compared.class_sizes, strict=True))
        ],
    }
