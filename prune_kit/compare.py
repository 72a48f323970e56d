"""How far two or more scores of the same data agree: in order, in the subset they keep, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ._matched import check_scores, shared_ids
from .aggregate import rank_agreement
from .arrays import NumpyArray
from .checks import is_whole_number, subset_size
from .classes import Positions, encode_labels, members
from .errors import PruneKitError
from .id_index import IdIndex
from .select import keep_hardest, shared_scores
from .table import ScoreTable

Floats = npt.NDArray[np.float64]

SIZES = (0.1, 0.3, 0.5, 0.7)
"""Of which sizes kept subsets are compared, if nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class ScoreComparison:
    """How far k scores of the same n examples agree; see `compare_scores`.

    Attributes
    ----------
    ids : array of shape (n,)
        The examples that were compared, in the order of the first table.
    left_out : tuple of int
        How many examples of each table were left out, for they are not in all.
    differing_labels : array of shape (m,)
        The ids whose label is not the same in all tables.
    reliability : array of shape (k,)
        Of each table's mean scores (see the function `reliability`), from its provenance; in [0, 1], NaN
        where unknown, as with one seed.
    rank_correlation : array of shape (k, k)
        Spearman correlation of the scores, in [-1, 1]; NaN where all scores of a table are equal.
    ceiling : array of shape (k, k)
        What the rank correlation would be on average if only the choice of seeds made a difference,
        sqrt(reliability of one * reliability of the other), in [0, 1]. NaN on the diagonal, where a
        reliability is unknown, and where both tables rest on the same networks.
    corrected : array of shape (k, k)
        The rank correlation that infinitely many seeds would give, `rank_correlation / ceiling`
        (Spearman 1904). It is an estimate, and may come out above 1. NaN where the ceiling is NaN or 0.
    sizes : tuple of int
        How many examples the subsets keep.
    overlap : array of shape (len(sizes), k, k)
        The share of the kept examples that both tables keep, in [0, 1]; NaN where a size keeps none.
    chance : array of shape (len(sizes),)
        The overlap to expect of subsets drawn at random.
    tied : array of shape (len(sizes), k)
        The share of the kept examples whose score an example has that is not kept: among these the position
        decides, in all tables alike, so that they overlap more than the scores agree.
    classes : array of shape (c,), int64
        The classes of the compared examples, by the first table, ascending; none where labels are soft.
    class_sizes : array of shape (c,), int64
        How many compared examples each has.
    class_correlation : array of shape (c, k, k)
        The rank correlation within each class; NaN as above, and of a class of one example.
    class_shares : array of shape (c, k)
        Each class's share of the hardest half, by each table; a column sums to 1.
    """

    ids: NumpyArray
    left_out: tuple[int, ...]
    differing_labels: NumpyArray
    reliability: Floats
    rank_correlation: Floats
    ceiling: Floats
    corrected: Floats
    sizes: tuple[int, ...]
    overlap: Floats
    chance: Floats
    tied: Floats
    classes: NumpyArray
    class_sizes: Positions
    class_correlation: Floats
    class_shares: Floats

    def __repr__(self) -> str:
        return f"ScoreComparison({len(self.reliability)} scores of {len(self.ids)} examples)"


def compare_scores(
    tables: Sequence[ScoreTable],
    /,
    *,
    sizes: Sequence[float] = SIZES,
    common: bool = False,
    names: Sequence[str] | None = None,
) -> ScoreComparison:
    """Compare mean scores of the same examples: of other networks, epochs, hyper-parameters, other scores.

    Parameters
    ----------
    tables
        Two or more, as `aggregate_run` returns them: a column "score", higher is harder. Examples are
        matched by id, in whatever order.
    sizes
        Of which subsets of the hardest the overlap is computed: a float is a fraction of the examples, an
        integer a count.
    common
        Whether to leave out the examples that are not in all tables.
    names
        What to call the tables in messages.

    Returns
    -------
    ScoreComparison
        Rank correlations, what the reliability of each side allows, overlaps, all of it pair by pair, and
        by class.

    Raises
    ------
    PruneKitError
        If there are fewer than two tables, one has no column "score" or has NaN in it, their ids differ
        (unless `common`) or have nothing in common, or a size is out of range.

    Notes
    -----
    Tables are taken to rest on the same networks where their provenance gives the same config, apart from the
    names of the scores, and a seed in common (`described` of a `ScoreRecorder` tells trainings apart). What
    is by chance in one is then in the other too, and the reliabilities say nothing about how far they can
    agree. Different settings with the same seeds may still share initial weights: their correlation can be
    somewhat above the ceiling.

    The correction is for ordinary correlations; of ranks it is an approximation.

    References
    ----------
    Spearman: The proof and measurement of association between two things, American Journal of Psychology
    15, 1904 (correction for attenuation). Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS
    2021, Figure 8.

    Examples
    --------
    >>> a = ScoreTable([0, 1, 2, 3], [0, 0, 1, 1], {"score": [0.1, 0.2, 0.3, 0.4]}, {"reliability": 0.8})
    >>> b = ScoreTable([3, 2, 1, 0], [1, 1, 0, 0], {"score": [4.0, 2.0, 3.0, 1.0]}, {"reliability": 0.9})
    >>> compared = compare_scores([a, b], sizes=[0.5])
    >>> round(float(compared.rank_correlation[0, 1]), 6), round(float(compared.ceiling[0, 1]), 6)
    (0.8, 0.848528)
    >>> float(compared.overlap[0, 0, 1])
    0.5
    """
    if len(tables) < 2:
        raise PruneKitError(f"a comparison needs two tables of scores or more; got {len(tables)}.")
    names = [f"tables[{i}]" for i in range(len(tables))] if names is None else names
    if len(names) != len(tables):
        raise PruneKitError(f"`names` must name each of the {len(tables)} tables; got {len(names)}.")
    if not len(sizes):
        raise PruneKitError("`sizes` must hold at least one size; got none.")
    for table, name in zip(tables, names, strict=True):
        check_scores(table, name)
    ids = shared_ids(tables, names, common)
    n = len(ids)
    counts = tuple(_count(n, size) for size in sizes)
    rows = [IdIndex(t.ids).positions(ids, where=name) for t, name in zip(tables, names, strict=True)]
    scores = np.stack([t["score"][r].astype(np.float64) for t, r in zip(tables, rows, strict=True)])
    labels = [t.labels[r] for t, r in zip(tables, rows, strict=True)]
    correlation = np.asarray(rank_agreement(scores))
    reliability = np.array([_reliability(table) for table in tables])
    ceiling = _ceiling(tables, reliability)
    kept = np.stack([[_kept(t, r, count) for t, r in zip(tables, rows, strict=True)] for count in counts])
    half = np.stack([_kept(t, r, round(n / 2)) for t, r in zip(tables, rows, strict=True)])
    classes, class_sizes, class_correlation, class_shares = _by_class(labels[0], scores, half)
    with np.errstate(invalid="ignore", divide="ignore"):  # of a subset of none everything is unknown
        corrected = np.where(ceiling > 0, correlation / ceiling, np.nan)
        overlap = np.stack([_overlap(masks) for masks in kept])
    return ScoreComparison(
        ids=ids,
        left_out=tuple(len(table) - n for table in tables),
        differing_labels=ids[np.any([_differ(labels[0], others) for others in labels[1:]], axis=0)],
        reliability=reliability,
        rank_correlation=correlation,
        ceiling=ceiling,
        corrected=corrected,
        sizes=counts,
        overlap=overlap,
        chance=np.array(counts) / n,
        tied=np.array([[_tied(s, mask) for s, mask in zip(scores, masks, strict=True)] for masks in kept]),
        classes=classes,
        class_sizes=class_sizes,
        class_correlation=class_correlation,
        class_shares=class_shares,
    )


def _count(n: int, size: float) -> int:
    is_count = is_whole_number(size, at_least=0)
    return subset_size(n, None, int(size)) if is_count else subset_size(n, size, None)


def _differ(labels: NumpyArray, others: NumpyArray) -> npt.NDArray[np.bool_]:
    """Which examples are labelled differently; a class index and a soft label are never the same."""
    n = len(labels)
    if labels.shape != others.shape:
        return np.ones(n, bool)
    return np.asarray((labels != others).reshape(n, -1).any(axis=1))


def _by_class(
    labels: NumpyArray, scores: Floats, half: NumpyArray
) -> tuple[NumpyArray, Positions, Floats, Floats]:
    """Classes, how many examples each has, the rank correlations in it, its shares of the masks `half`."""
    k = len(scores)
    if labels.ndim != 1:  # soft labels: an example is of no one class
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, k, k)), np.empty((0, k))
    classes, codes = encode_labels(labels)
    in_half = np.stack([np.bincount(codes[mask], minlength=len(classes)) for mask in half], axis=1)
    with np.errstate(invalid="ignore"):  # half of one example is none
        shares = in_half / half.sum(axis=1)
    correlation = np.stack([np.asarray(rank_agreement(scores[:, each])) for each in members(codes)])
    return classes, np.bincount(codes), correlation, shares


def _reliability(table: ScoreTable) -> float:
    known = table.provenance.get("reliability")
    return float("nan") if known is None else float(known)


def _ceiling(tables: Sequence[ScoreTable], reliability: Floats) -> Floats:
    ceiling = np.sqrt(np.outer(reliability, reliability))
    np.fill_diagonal(ceiling, np.nan)
    for a, b in combinations(range(len(tables)), 2):
        if _are_of_same_networks(tables[a], tables[b]):
            ceiling[a, b] = ceiling[b, a] = np.nan
    return ceiling


def _are_of_same_networks(a: ScoreTable, b: ScoreTable) -> bool:
    """Whether a seed of both is of one training, as far as the provenance tells."""
    one, other = (
        {key: value for key, value in (table.provenance.get("config") or {}).items() if key != "scores"}
        for table in (a, b)
    )
    return one == other and not set(a.provenance.get("seeds") or ()).isdisjoint(
        b.provenance.get("seeds") or ()
    )


def _kept(table: ScoreTable, rows: Positions, count: int) -> NumpyArray:
    """Which of the examples at `rows` are among the hardest `count` of them; ties as in the table's order."""
    own_order = np.sort(rows)
    is_kept = np.zeros(len(table), bool)
    is_kept[own_order[keep_hardest(table["score"][own_order], count=count)]] = True
    return is_kept[rows]


def _overlap(kept: NumpyArray) -> Floats:
    """Share of kept examples that each pair of masks, shape (k, n), has in common."""
    numbers = kept.astype(np.float64)
    return np.asarray(numbers @ numbers.T / kept[0].sum())


def _tied(scores: Floats, kept: NumpyArray) -> float:
    """Share of the kept examples that have the same score as one that is not kept."""
    shared, are_tied = shared_scores(scores[kept], scores[~kept])
    return float(are_tied.mean()) if shared.size else 0.0
