"""Whatever is chosen is what would be chosen among the others alone, and as many as asked for."""

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import prune_kit as pk
from prune_kit.errors import PruneKitError

RNG = np.random.default_rng(0)
N = 200
SCORES = RNG.integers(0, 40, N) / 40  # with ties
LABELS = RNG.integers(0, 4, N)
FLAGS = SCORES + RNG.normal(0, 0.2, N) > 0.8
OTHERS = np.flatnonzero(~FLAGS)


@pytest.mark.parametrize(
    ("keep", "options"),
    [
        (pk.keep_hardest, {}),
        (pk.keep_easiest, {}),
        (pk.keep_window, {"offset": 10}),
        (pk.keep_window, {"offset": 0.1}),
        (pk.keep_stratified, {"prune_hardest": 5, "strata": 7, "seed": 3}),
    ],
)
def test_it_is_the_choice_among_the_others_and_the_size_is_of_all(keep, options):
    kept = pk.exclude_flagged(keep, SCORES, FLAGS, fraction=0.5, **options)
    expected = OTHERS[keep(SCORES[OTHERS], count=100, **options)]
    assert kept.tolist() == expected.tolist()
    assert len(kept) == 100
    per_class = pk.exclude_flagged(keep, SCORES, FLAGS, count=60, labels=LABELS, **options)
    expected = OTHERS[keep(SCORES[OTHERS], count=60, labels=LABELS[OTHERS], **options)]
    assert per_class.tolist() == expected.tolist()


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_the_hardest_of_the_others_by_a_written_out_sort(rows, fraction):
    scores, flags = np.array([s for s, _ in rows]), np.array([f for _, f in rows])
    others = sorted((score, place) for place, (score, flag) in enumerate(rows) if not flag)
    size = min(round(fraction * len(rows)), len(others))
    kept = pk.exclude_flagged(pk.keep_hardest, scores, flags, count=size)
    assert kept.tolist() == sorted(place for _, place in others[len(others) - size :])


def test_ids_and_labels_that_are_strings():
    ids = np.array([f"image-{i}" for i in range(N)])
    names = np.array(["cat", "dog", "eel", "fox"])[LABELS]
    kept = pk.exclude_flagged(pk.keep_hardest, SCORES, FLAGS, count=50, labels=names, ids=ids)
    expected = pk.exclude_flagged(pk.keep_hardest, SCORES, FLAGS, count=50, labels=LABELS)
    assert kept.tolist() == ids[expected].tolist()


@pytest.mark.parametrize("asarray", [torch.asarray, array_api_strict.asarray])
def test_the_library_of_the_scores(asarray):
    kept = pk.exclude_flagged(pk.keep_hardest, asarray(SCORES), asarray(FLAGS), fraction=0.25)
    assert type(kept) is type(asarray(SCORES))
    expected = pk.exclude_flagged(pk.keep_hardest, SCORES, FLAGS, fraction=0.25)
    assert [int(each) for each in kept] == expected.tolist()


def test_the_ends():
    none = np.zeros(N, bool)
    all_of = pk.exclude_flagged(pk.keep_hardest, SCORES, none, fraction=1.0)
    assert all_of.tolist() == list(range(N))
    others = pk.exclude_flagged(pk.keep_hardest, SCORES, FLAGS, count=len(OTHERS))
    assert others.tolist() == OTHERS.tolist()
    assert len(pk.exclude_flagged(pk.keep_hardest, SCORES, ~none, count=0)) == 0


def test_what_does_not_fit_is_said():
    with pytest.raises(PruneKitError, match="only [0-9]+ are not flagged. Hint: keep fewer, or flag fewer"):
        pk.exclude_flagged(pk.keep_hardest, SCORES, FLAGS, count=len(OTHERS) + 1)
    for wrong in (FLAGS[1:], FLAGS.astype(int), np.flatnonzero(FLAGS)):
        with pytest.raises(PruneKitError, match=r"`flags` must be bool of shape \(200,\), one per score"):
            pk.exclude_flagged(pk.keep_hardest, SCORES, wrong, count=5)
    with pytest.raises(PruneKitError, match=r"`labels` must have shape \(200,\)"):
        pk.exclude_flagged(pk.keep_hardest, SCORES, FLAGS, count=5, labels=LABELS[1:])
    with pytest.raises(PruneKitError, match="more than the [0-9]+ examples together"):
        pk.exclude_flagged(pk.keep_window, SCORES, FLAGS, count=len(OTHERS), offset=1)
