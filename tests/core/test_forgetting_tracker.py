"""Counting as training goes gives what the whole history gives."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import prune_kit as pk
from prune_kit import forgetting_tracker
from prune_kit.errors import PruneKitError

array_api_strict = pytest.importorskip("array_api_strict")
PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)
HISTORIES = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=60)


def by_definition(history, n):
    scores = []
    for example in range(n):
        own = [right for each, right in history if each == example]
        events = sum(a and not b for a, b in itertools.pairwise(own))
        scores.append(events if any(own) else np.inf)
    return scores


@PROPERTY
@given(HISTORIES, st.integers(1, 7))
def test_any_history_in_batches_of_any_size_with_examples_twice_in_a_batch(history, size):
    history = [(example, False) for example in range(5)] + history
    tracker = pk.ForgettingTracker(5)
    for start in range(0, len(history), size):
        ids, right = zip(*history[start : start + size], strict=True)
        tracker.update(np.array(ids), np.array(right))
    assert tracker.scores().tolist() == by_definition(history, 5)
    assert tracker.presentations.tolist() == [sum(e == i for e, _ in history) for i in range(5)]


def test_a_device_is_asked_for_values_only_when_many_updates_wait(monkeypatch):
    rng = np.random.default_rng(0)
    history = rng.random((40, 6)) > 0.5
    tracker, asked = pk.ForgettingTracker(6), []
    original = forgetting_tracker.to_numpy
    monkeypatch.setattr(forgetting_tracker, "to_numpy", lambda x: asked.append(x) or original(x))
    for right in history:
        tracker.update(np.arange(6), array_api_strict.asarray(right))
    assert not any(isinstance(x, type(array_api_strict.asarray(right))) for x in asked)
    assert tracker.scores().tolist() == pk.forgetting(history).tolist()
    monkeypatch.setattr(forgetting_tracker, "_WAITING_UPDATES", 3)
    waiting = pk.ForgettingTracker(6)
    for right in history:
        waiting.update(array_api_strict.asarray(np.arange(6)), array_api_strict.asarray(right))
        assert len(waiting._waiting) < 3
    assert waiting.scores().tolist() == tracker.scores().tolist()


def test_ids_on_a_device_are_checked_when_they_are_counted():
    tracker = pk.ForgettingTracker(3)
    tracker.update(array_api_strict.asarray([0, 7]), array_api_strict.asarray([True, True]))
    with pytest.raises(PruneKitError, match="`ids` must be from 0 to 2, .*; got 7"):
        tracker.scores()


def test_arrays_may_be_used_again_after_an_update():
    tracker = pk.ForgettingTracker(2)
    ids, right = np.array([0, 1]), torch.tensor([True, True])
    tracker.update(ids, right)
    ids[:], right[:] = 0, False
    tracker.update(np.array([0, 1]), np.array([True, False]))
    assert tracker.scores().tolist() == [0, 1]


@pytest.mark.parametrize("way", ["state_dict", "pickle"])
def test_it_goes_on_from_a_checkpoint(way):
    history = np.random.default_rng(3).random((10, 7)) > 0.5
    tracker = pk.ForgettingTracker(7)
    for right in history[:4]:
        tracker.update(np.arange(7), right)
    if way == "pickle":
        later = pickle.loads(pickle.dumps(tracker))
    else:
        later = pk.ForgettingTracker(7)
        later.load_state_dict(tracker.state_dict())
    for right in history[4:]:
        later.update(np.arange(7), right)
    assert later.scores().tolist() == pk.forgetting(history).tolist()


def test_a_state_is_a_copy():
    tracker = pk.ForgettingTracker(1)
    state = tracker.state_dict()
    tracker.update([0], np.array([True]))
    assert state["presentations"].tolist() == [0]


@pytest.mark.parametrize(
    ("ids", "correct", "message"),
    [
        ([0, 3], [True, True], "`ids` must be from 0 to 2, .*; got 3"),
        ([-1], [True], "got -1"),
        (["a"], [True], "`ids` must be integers"),
        ([0, 1], [True], r"`correct` must be bool of shape \(2,\)"),
        ([0], [1], "got int64 of shape .*Hint: predicted == labels"),
    ],
)
def test_bad_updates_are_told_and_change_nothing(ids, correct, message):
    tracker = pk.ForgettingTracker(3)
    with pytest.raises(PruneKitError, match=message):
        tracker.update(ids, np.array(correct))
    assert tracker.presentations.tolist() == [0, 0, 0]


def test_scores_need_every_example():
    tracker = pk.ForgettingTracker(3)
    tracker.update([1], np.array([True]))
    with pytest.raises(PruneKitError, match="2 were not: 0, 2"):
        tracker.scores()


def test_states_of_other_trackers_are_refused():
    tracker = pk.ForgettingTracker(3)
    with pytest.raises(PruneKitError, match="of 2 examples, this tracker of 3"):
        tracker.load_state_dict(pk.ForgettingTracker(2).state_dict())
    with pytest.raises(PruneKitError, match="lacks events"):
        tracker.load_state_dict({})
    with pytest.raises(PruneKitError, match="`num_examples`"):
        pk.ForgettingTracker(0)
