"""`prunekit prune`: choose the subset to keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.classes import ClassCount, class_counts
from prune_kit.select import shared_scores
from prune_kit.subset_file import write_ids
from prune_kit.table import ScoreTable

from .apply import apply_subset
from .auto_offset import auto_offset
from .choose import DRAWN, METHODS, Choice
from .class_names import class_name, class_names
from .output import json_option, show, text_table, warn
from .parameters import Offset, Size

_MOST_CLASSES = 20
_TIED_SHARE = 0.01


@click.command()
@click.argument("scores", type=click.Path(path_type=Path))
@click.option(
    "--keep", type=Size(), required=True, help="How much stays: a fraction (0.5) or a count (25000)."
)
@click.option(
    "--offset",
    type=Offset(),
    default=None,
    help="How many of the lowest-scoring examples are left out first: a fraction or a count; --method "
    "window. auto: so many that the window ends below as many of the hardest as labels are wrong by --flags.",
)
@click.option(
    "--flags",
    type=click.Path(path_type=Path),
    default=None,
    help="With --offset auto: a file of prunekit flag, for its estimate of how many labels are wrong.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default=None,
    help="Which examples stay. [default: hardest; window with --offset]",
)
@click.option("--per-class", is_flag=True, help="Keep the same share of every class.")
@click.option(
    "--at-least",
    type=Size(),
    default=None,
    help="How much every class keeps whatever its scores, a fraction of it (0.1) or a count (50); the rest "
    "of --keep is chosen from all classes.",
)
@click.option(
    "--prune-hardest",
    type=Size(),
    default=None,
    help="With --method stratified: how many of the hardest are left out first, a fraction or a count. "
    "[default: 0]",
)
@click.option(
    "--strata",
    type=click.IntRange(min=1),
    default=None,
    help="With --method stratified: into how many intervals of equal width the scores are cut. [default: 50]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of --method random and stratified.",
)
@click.option("--column", default="score", show_default=True, help="The column to go by.")
@click.option(
    "--exclude-flagged",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FLAGS",
    help="A file of prunekit flag: examples whose labels it flags are not kept. --keep is of all examples "
    "nevertheless, an --offset or --prune-hardest of the others.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Where the kept ids go: .parquet, .txt, .npy or .csv; with --apply, a new folder for the data.",
)
@click.option(
    "--apply",
    "data",
    default=None,
    metavar="DATA",
    help="Write the kept examples themselves, of the data that was scored: a Parquet file, a folder of them, "
    "a quoted pattern, or a folder of class folders of images.",
)
@click.option("--link", is_flag=True, help="With --apply of images: make hard links, which take no space.")
@json_option
def prune(
    scores: Path,
    keep: float,
    offset: float | Literal["auto"] | None,
    flags: Path | None,
    method: str | None,
    per_class: bool,
    at_least: float | None,
    prune_hardest: float | None,
    strata: int | None,
    seed: int,
    column: str,
    exclude_flagged: Path | None,
    out: Path,
    data: str | None,
    link: bool,
    as_json: bool,
) -> None:
    """Choose which examples of SCORES (a file of `prunekit aggregate`) to keep, and write their ids.

    hardest: the highest scores. window: the lowest are left out up to --offset, the next --keep stay (the
    paper's Figure 2: with wrong labels among the hardest, leave the very hardest out by keeping fewer
    after an offset). stratified: without the --prune-hardest, about as many from each of --strata intervals
    of the scores, drawn at random (Zheng et al. 2023; for where little is kept, 30% or less). Always exactly
    as many as asked for; ties go by position.

    With --apply, --out is a new folder with the kept part of DATA: rows, columns and their order, images and
    their names as they are. OUT/.prune_kit/kept.parquet has the ids and scores. Where a class vanishes whose
    name gives its number (folders of images, names in a column), those after it are numbered anew.
    """
    method = method or ("hardest" if offset is None else "window")
    if (offset is not None) != (method == "window"):
        raise click.UsageError(
            "--method window needs --offset."
            if offset is None
            else f"--offset does not go with --method {method}."
        )
    if (flags is not None) != (offset == "auto"):
        raise click.UsageError("--offset auto and --flags go together.")
    if offset == "auto" and exclude_flagged is not None:
        raise click.UsageError("--offset auto does not go with --exclude-flagged: either leaves them out.")
    if (prune_hardest is not None or strata is not None) and method != "stratified":
        raise click.UsageError("--prune-hardest and --strata go with --method stratified.")
    if per_class and at_least is not None:
        raise click.UsageError("--at-least does not go with --per-class, which gives each class its share.")
    if data is None and link:
        raise click.UsageError("--link goes with --apply.")
    if data is None and out.is_dir():
        raise click.BadParameter(
            f"{str(out)!r} is a directory; with --apply it can be.", param_hint="'--out'"
        )
    table = ScoreTable.read(scores)
    explained = None
    if offset == "auto" and flags is not None:
        offset, explained = auto_offset(flags, len(table), keep)
    choice = Choice(
        method=method,
        keep=keep,
        offset=None if offset == "auto" else offset,
        prune_hardest=prune_hardest or 0.0,
        strata=strata or 50,
        per_class=per_class,
        at_least=at_least,
        seed=seed,
        column=column,
        exclude_flagged=exclude_flagged,
    )
    flagged = choice.flagged(table)
    kept_rows = choice.positions(table, flagged)
    kept = table.take(kept_rows)
    chosen = {**choice.as_dict(), "of": table.provenance}
    applied = None
    if data is None:
        write_subset(out, kept, chosen)
    else:
        chosen["applied_to"] = data
        record = ScoreTable(kept.ids, kept.labels, kept.columns, chosen)
        applied, line = apply_subset(data, out, record, link)
    counts = class_counts(table.labels, kept_rows) if table.labels.ndim == 1 else []
    result = {
        "out": str(out),
        "method": method,
        "examples": len(table),
        "kept": len(kept),
        "classes": [count._asdict() for count in counts],
    }
    lines = [f"{out}: kept {len(kept):,} of {len(table):,} examples ({method})"]
    if explained is not None:
        result["offset"] = offset
        lines.append(explained)
    if exclude_flagged is not None:
        result["excluded"] = int(flagged.sum())
        lines[0] += f", none of the {result['excluded']:,} flagged"
    if applied is not None:
        result["applied"] = applied
        lines.append(line)
    lines += _class_lines(counts, class_names(table))
    show(as_json, result, lines)
    is_by_class = per_class or at_least is not None
    if method not in DRAWN and not is_by_class and (message := _ties(table[column], kept_rows, flagged)):
        warn(message)
    gone = [str(count.label) for count in counts if not count.kept]
    if gone and len(kept):
        named = ", ".join(gone[:10])
        warn(
            f"nothing is kept of {len(gone)} classes ({named}); --per-class keeps a share of each, "
            "--at-least some."
        )


def _class_lines(counts: Sequence[ClassCount], names: Sequence[str]) -> list[str]:
    """How many of each class there were and are kept; of many classes those that lose most and least."""
    rows = [
        (
            class_name(c.label, names),
            c.before,
            c.kept,
            c.kept / c.before,
        )
        for c in counts
    ]
    lines = []
    if len(rows) > _MOST_CLASSES:
        lines.append(f"{len(rows)} classes; those that lose most and least:")
        rows.sort(key=lambda row: row[-1])
        rows = rows[: _MOST_CLASSES // 2] + rows[-_MOST_CLASSES // 2 :]
    return lines + text_table(("class", "before", "kept", "share"), rows) if rows else []


def _ties(scores: NumpyArray, kept: NumpyArray, flagged: NumpyArray) -> str | None:
    """What to say where a good part of the choice is among examples of one score; None where it is not."""
    is_left = ~flagged
    is_left[kept] = False
    left = scores[is_left]
    shared, are_tied = shared_scores(scores[kept], left)
    tied, others = int(are_tied.sum()), int(np.isin(left, shared).sum())
    if tied <= _TIED_SHARE * len(kept):
        return None
    values = ", ".join(f"{score:.6g}" for score in shared)
    return (
        f"{tied:,} of the {len(kept):,} kept examples have the same score as {others:,} that are not kept "
        f"({values}): among these, the place in the data decides. Fewer ties, or a smaller --keep, "
        "choose better."
    )


def write_subset(out: Path, kept: ScoreTable, provenance: dict[str, Any]) -> None:
    """Write the kept ids; a Parquet file has the other columns and the provenance too."""
    if out.suffix == ".parquet" and len(kept):  # write_ids refuses to write nothing
        ScoreTable(kept.ids, kept.labels, kept.columns, provenance).to_parquet(out)
    else:
        write_ids(out, kept.ids)
