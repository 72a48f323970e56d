"""Recording inside a loop: whose row it is, what is missing, what is written, and how it goes on."""

import copy
import pickle
import threading
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import prune_kit as pk
from prune_kit import pending
from prune_kit.arrays import to_numpy
from prune_kit.errors import PruneKitError, RunConflictError, StoreError

array_api_strict = pytest.importorskip("array_api_strict")
N, C = 23, 4


@pytest.fixture
def data():
    """Logits of an epoch that does not depend on the order, labels, and the scores by their definition."""
    rng = np.random.default_rng(0)
    logits, labels = 2 * rng.normal(size=(N, C)), rng.integers(C, size=N)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return logits, labels, np.linalg.norm(p - np.eye(C)[labels], axis=1)


def epoch_of(recorder, logits, labels, *, order=None, size=5, convert=np.asarray, names=None):
    """One epoch of a loop: batches in some order."""
    order = np.random.default_rng(1).permutation(len(labels)) if order is None else np.asarray(order)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        ids = rows if names is None else names[rows]
        recorder.update(ids, convert(logits[rows]), convert(labels[rows]))


@pytest.mark.parametrize(
    "convert",
    [np.asarray, torch.tensor, jnp.asarray, array_api_strict.asarray],
    ids=["numpy", "torch", "jax", "strict"],
)
@pytest.mark.parametrize("elements", [1, 30, 1 << 20], ids=["every step", "every other step", "at the end"])
def test_rows_are_those_of_their_ids_whatever_the_order_and_the_library(data, convert, elements, monkeypatch):
    monkeypatch.setattr(pending, "HOST_ELEMENTS", elements)
    monkeypatch.setattr(pending, "DEVICE_ELEMENTS", elements)
    logits, labels, el2n = data
    recorder = pk.ScoreRecorder(None, N, scores=("el2n", "logit_margin", "entropy"))
    for epoch in (1, 2):
        epoch_of(recorder, logits, labels, order=np.random.default_rng(epoch).permutation(N), convert=convert)
        record = recorder.end_epoch()
        assert record.epoch == recorder.epoch == epoch
        assert record.table.ids.tolist() == list(range(N))
        assert record.table.labels.tolist() == labels.tolist()
        np.testing.assert_allclose(record.table["el2n"], el2n, rtol=2e-6)
        np.testing.assert_allclose(record.table["logit_margin"], pk.logit_margin(logits, labels), rtol=1e-5)
        assert record.table["predicted"].tolist() == logits.argmax(axis=1).tolist()
        assert len(record.missing) == len(record.doubled) == 0


def test_a_device_is_not_asked_for_values_at_a_step(data, monkeypatch):
    """Any look at a value (bool, int, float, a copy to the host) fails while the epoch goes on."""
    logits, labels, el2n = data
    strict = type(array_api_strict.asarray(0))

    def refuse(*_):
        raise AssertionError("a step waited for the device")

    recorder = pk.ScoreRecorder(None, N)
    rows = [np.arange(start, min(start + 5, N)) for start in range(0, N, 5)]
    batches = [(each, *(array_api_strict.asarray(x[each]) for x in (logits, labels))) for each in rows]
    with monkeypatch.context() as patched:
        for name in (
            "__bool__",
            "__int__",
            "__float__",
            "__index__",
            "__array__",
            "__buffer__",
            "__dlpack__",
        ):
            if hasattr(strict, name):
                patched.setattr(strict, name, refuse)
        with pytest.raises(AssertionError, match="waited"):
            bool(array_api_strict.asarray(True))
        for batch in batches:
            recorder.update(*batch)
    np.testing.assert_allclose(recorder.end_epoch().table["el2n"], el2n, rtol=2e-6)


def test_what_waits_on_a_device_is_bounded(data, monkeypatch):
    logits, labels, _ = data
    monkeypatch.setattr(pending, "DEVICE_ELEMENTS", 60)
    recorder = pk.ScoreRecorder(None, N)
    waiting = []
    for i in range(N):
        recorder.update([i], *(array_api_strict.asarray(x[i : i + 1]) for x in (logits, labels)))
        waiting.append(recorder._pending.rows)
    assert max(waiting) == 60 // C


def test_a_loop_may_change_its_arrays_after_an_update(data):
    logits, labels, el2n = data
    recorder = pk.ScoreRecorder(None, N)
    given = torch.tensor(logits, requires_grad=True)
    ids, targets = torch.arange(N), torch.tensor(labels)
    recorder.update(ids, given, targets)
    with torch.no_grad():
        given.zero_(), ids.zero_(), targets.zero_()
    np.testing.assert_allclose(recorder.end_epoch().table["el2n"], el2n, rtol=2e-6)


def test_a_run_is_written_that_the_rest_of_the_kit_reads(data, tmp_path):
    logits, labels, el2n = data
    names = np.array([f"img/{i:03}.png" for i in range(N)])[::-1]
    for seed in (0, 3):
        recorder = pk.ScoreRecorder(tmp_path / "run", names, seed=seed, described={"model_name": "mine"})
        for _ in range(2):
            epoch_of(recorder, logits, labels, names=names)
            record = recorder.end_epoch()
        assert record.path == tmp_path / f"run/scores/seed={seed}/epoch=2/part-0.parquet"
    run = pk.Run.open(tmp_path / "run")
    assert run.parts() == [(0, 1), (0, 2), (3, 1), (3, 2)]
    assert run.config["pass"] == "training"
    assert run.config["model_name"] == "mine"
    assert run.config["data"]["examples"] == N
    assert run.directions == {"el2n": "higher is harder", "logit_margin": "higher is harder"}
    table = pk.aggregate_run(run)
    assert table.ids.tolist() == names.tolist()
    np.testing.assert_allclose(table["score"], el2n, rtol=2e-6)
    np.testing.assert_array_equal(pk.aggregate_run(run, score="forgetting")["score"] == np.inf,
                                  logits.argmax(axis=1) != labels)  # fmt: skip


def test_missing_and_doubled_examples_are_reported_once_and_noted(data, tmp_path):
    logits, labels, el2n = data
    recorder = pk.ScoreRecorder(tmp_path / "run", N)
    order = [*range(20), 4, 4, 7]
    changed = logits + 1.0 * np.arange(C)
    epoch_of(recorder, logits, labels, order=order[:20])
    epoch_of(recorder, changed, labels, order=order[20:])
    with pytest.warns(UserWarning, match="examples were") as warned:
        record = recorder.end_epoch()
    assert record.missing.tolist() == [20, 21, 22]
    assert record.doubled.tolist() == [4, 7]
    told = sorted(str(each.message) for each in warned)
    assert told[0].startswith("2 examples were presented more than once in epoch 1 (ids 4, 7): their first")
    assert told[1].startswith("3 of 23 examples were not presented in epoch 1 (ids 20, 21, 22)")
    assert len(record.table) == 20
    np.testing.assert_allclose(record.table["el2n"], el2n[:20], rtol=2e-6)
    written = pk.Run.open(tmp_path / "run").read_part(0, 1)
    assert (written.provenance["missing"], written.provenance["doubled"]) == (3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        epoch_of(recorder, logits, labels, order=order)
        assert recorder.end_epoch().missing.tolist() == [20, 21, 22]


def test_of_an_example_presented_twice_the_first_stays_also_across_flushes(data, monkeypatch):
    logits, labels, el2n = data
    monkeypatch.setattr(pending, "HOST_ELEMENTS", 1)
    recorder = pk.ScoreRecorder(None, N)
    epoch_of(recorder, logits, labels)
    epoch_of(recorder, -logits, labels)
    with pytest.warns(UserWarning, match="23 examples were presented more than once"):
        record = recorder.end_epoch()
    np.testing.assert_allclose(record.table["el2n"], el2n, rtol=2e-6)


def test_an_epoch_with_missing_examples_is_no_aggregate_but_scores_over_epochs_are(data, tmp_path):
    logits, labels, el2n = data
    recorder = pk.ScoreRecorder(tmp_path / "run", N)
    epoch_of(recorder, logits, labels, order=range(20))
    with pytest.warns(UserWarning, match="not presented"):
        recorder.end_epoch()
    epoch_of(recorder, -logits, labels, order=range(3, N))
    recorder.end_epoch()
    run = pk.Run.open(tmp_path / "run")
    with pytest.raises(StoreError, match="seed 0, epoch 1: 3 examples were not presented .*drop_last=False"):
        pk.aggregate_run(run, epoch=1)
    table = pk.aggregate_run(run, score="last_el2n")
    assert table.ids.tolist() == list(range(N))
    np.testing.assert_allclose(table["score"][:3], el2n[:3], rtol=2e-6)
    np.testing.assert_allclose(table["score"][3:], pk.el2n(-logits, labels)[3:], rtol=2e-6)


@pytest.mark.parametrize("way", ["state_dict", "pickle", "deepcopy", "torch file"])
@pytest.mark.parametrize("steps", [0, 2])
def test_it_goes_on_from_a_checkpoint_also_within_an_epoch(data, tmp_path, way, steps):
    logits, labels, _ = data

    def batches(epoch):
        order = np.random.default_rng(epoch).permutation(N)
        return [order[i : i + 5] for i in range(0, N, 5)]

    def train(recorder, work):
        for epoch, rows in work:
            if rows is None:
                recorder.end_epoch()
            else:
                recorder.update(rows, epoch * logits[rows], labels[rows])

    work = [(e, rows) for e in (1, 2, 3) for rows in [*batches(e), None]]
    whole = pk.ScoreRecorder(tmp_path / "whole", N)
    train(whole, work)

    stop = len(batches(1)) + 1 + steps
    first = pk.ScoreRecorder(tmp_path / "run", N)
    train(first, work[:stop])
    if way == "pickle":
        later = pickle.loads(pickle.dumps(first))
    elif way == "deepcopy":
        later = copy.deepcopy(first)
    else:
        state = first.state_dict()
        later = pk.ScoreRecorder(tmp_path / "run", N)
        later.load_state_dict(state)
    train(first, work[stop : stop + 8])  # the past that the checkpoint leaves behind
    assert later.epoch == 1
    train(later, work[stop:])
    run, expected = (pk.Run.open(tmp_path / name) for name in ("run", "whole"))
    assert run.parts() == expected.parts() == [(0, 1), (0, 2), (0, 3)]
    for part in run.parts():
        assert run.read_part(*part).to_pandas().equals(expected.read_part(*part).to_pandas())


def test_parts_after_the_checkpoint_are_discarded_when_it_goes_on(data, tmp_path):
    logits, labels, _ = data
    recorder = pk.ScoreRecorder(tmp_path / "run", N)
    states = []
    for _ in range(4):
        epoch_of(recorder, logits, labels)
        recorder.end_epoch()
        states.append(recorder.state_dict())
    other_seed = pk.ScoreRecorder(tmp_path / "run", N, seed=1)
    epoch_of(other_seed, logits, labels)
    other_seed.end_epoch()
    later = pk.ScoreRecorder(tmp_path / "run", N)
    later.load_state_dict(states[1])
    assert pk.Run.open(tmp_path / "run").parts() == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1)]
    epoch_of(later, logits, labels)
    assert pk.Run.open(tmp_path / "run").parts() == [(0, 1), (0, 2), (1, 1)]


def test_an_epoch_that_a_state_holds_whole_is_written_and_stays(data, tmp_path):
    logits, labels, _ = data
    first = pk.ScoreRecorder(tmp_path / "run", N)
    epoch_of(first, logits, labels)
    state = first.state_dict()
    first.end_epoch()
    epoch_of(first, logits, labels)
    first.end_epoch()
    later = pk.ScoreRecorder(tmp_path / "run", N)
    later.load_state_dict(state)
    later.end_epoch()
    assert pk.Run.open(tmp_path / "run").parts() == [(0, 1)]
    epoch_of(later, logits, labels)
    assert pk.Run.open(tmp_path / "run").parts() == [(0, 1)]


def test_scores_that_are_there_are_never_lost_unasked(data, tmp_path):
    logits, labels, _ = data
    for _ in range(2):
        recorder = pk.ScoreRecorder(tmp_path / "run", N, overwrite=True)
        for _ in range(2):
            epoch_of(recorder, logits, labels)
            recorder.end_epoch()
    before = (tmp_path / "run/scores/seed=0/epoch=2/part-0.parquet").read_bytes()
    fresh = pk.ScoreRecorder(tmp_path / "run", N)
    for recorder in (fresh, pickle.loads(pickle.dumps(fresh))):
        with pytest.raises(RunConflictError, match="seed 0 already, at the epochs 1, 2.*overwrite=True"):
            recorder.update([0], logits[:1], labels[:1])
    unbegun = pk.ScoreRecorder(tmp_path / "run", N)
    unbegun.load_state_dict(fresh.state_dict())
    with pytest.raises(RunConflictError, match="already"):
        unbegun.update([0], logits[:1], labels[:1])
    assert (tmp_path / "run/scores/seed=0/epoch=2/part-0.parquet").read_bytes() == before
    again = pk.ScoreRecorder(tmp_path / "run", N, overwrite=True)
    again.update([0], logits[:1], labels[:1])
    assert pk.Run.open(tmp_path / "run").parts() == []


def test_training_and_evaluation_passes_never_mix(data, tmp_path):
    logits, labels, _ = data
    recorder = pk.ScoreRecorder(tmp_path / "run", N)
    epoch_of(recorder, logits, labels)
    recorder.end_epoch()
    evaluating = pk.ScoreRecorder(tmp_path / "run", N, seed=1, taken="evaluation")
    with pytest.raises(RunConflictError, match='pass was "training", is now "evaluation"'):
        epoch_of(evaluating, logits, labels)
    run = pk.Run.open(tmp_path / "run")
    evaluated = pk.ScoreTable(np.arange(N), labels, {"el2n": np.zeros(N), "predicted": labels})
    with pytest.raises(RunConflictError, match="of training passes; these are of an evaluation pass"):
        run.write_part(1, 1, evaluated)
    # Not even a file put there by hand.
    run.part_path(1, 1).parent.mkdir(parents=True)
    evaluated.to_parquet(run.part_path(1, 1))
    for score in ("el2n", "forgetting", "mean_el2n"):
        with pytest.raises(
            StoreError, match="seed 1, epoch 1 was taken in an evaluation pass, other parts in a"
        ):
            pk.aggregate_run(run, score=score)


def test_an_evaluation_pass_can_be_recorded_at_initialisation(data, tmp_path):
    logits, labels, el2n = data
    recorder = pk.ScoreRecorder(tmp_path / "run", N, taken="evaluation")
    for epoch in (0, 5):
        epoch_of(recorder, logits, labels)
        assert recorder.end_epoch(epoch).epoch == epoch
    run = pk.Run.open(tmp_path / "run")
    assert run.parts() == [(0, 0), (0, 5)]
    assert run.epochs == [0, 5]
    np.testing.assert_allclose(pk.aggregate_run(run, epoch=0)["score"], el2n, rtol=2e-6)


def test_two_trainings_record_into_one_run_at_the_same_time(data, tmp_path):
    """Each waits while the other writes."""
    logits, labels, _ = data
    recorders = [pk.ScoreRecorder(tmp_path / "run", N, seed=seed) for seed in range(2)]
    for recorder in recorders:
        epoch_of(recorder, logits, labels)
    config = pk.Run.open(tmp_path / "run").config
    start = {"seeds": [0], "epochs": [], "made_with": {}}
    begun, done = threading.Event(), []

    def hold():
        with pk.Run.start(tmp_path / "run", config=config, **start):
            begun.set()
            with pytest.raises(RunConflictError, match="another command is writing"), \
                 pk.Run.start(tmp_path / "run", config=config, **start, wait=0.2):  # fmt: skip
                pass
            done.append(len(pk.Run.open(tmp_path / "run").parts()))

    holding = threading.Thread(target=hold)
    holding.start()
    begun.wait()
    for recorder in recorders:
        recorder.end_epoch()
    holding.join()
    assert done == [0]
    assert pk.Run.open(tmp_path / "run").parts() == [(0, 1), (1, 1)]


def test_soft_labels_are_recorded_for_the_scores_that_take_them(data):
    logits, labels, _ = data
    soft = 0.9 * np.eye(C)[labels] + 0.1 / C
    recorder = pk.ScoreRecorder(None, N, scores=("el2n", "cross_entropy"))
    epoch_of(recorder, logits, soft)
    table = recorder.end_epoch().table
    np.testing.assert_allclose(table["el2n"], pk.el2n(logits, soft), rtol=1e-6)
    np.testing.assert_allclose(table.labels, soft, rtol=1e-6)
    recorder = pk.ScoreRecorder(None, N)
    epoch_of(recorder, logits, soft)
    with pytest.raises(PruneKitError, match="logit_margin must have one class per example"):
        recorder.end_epoch()


@pytest.mark.parametrize("convert", [np.asarray, array_api_strict.asarray], ids=["numpy", "strict"])
def test_values_that_cannot_be_scored_are_told_by_the_id_of_their_example(data, convert):
    logits, labels, _ = data
    for bad, message in ((np.nan, "got NaN"), (np.inf, "got an infinity")):
        recorder, broken = pk.ScoreRecorder(None, N), logits.copy()
        broken[17, 2] = bad
        epoch_of(recorder, broken, labels, convert=convert)
        with pytest.raises(PruneKitError, match=f"^epoch 1, example 17: `logits` must be finite; {message}"):
            recorder.end_epoch()
    wrong = labels.copy()
    wrong[11] = C
    recorder = pk.ScoreRecorder(None, N)
    epoch_of(recorder, logits, wrong, convert=convert)
    with pytest.raises(PruneKitError, match=r"example 11: `labels` must lie in 0 \.\.\. 3"):
        recorder.end_epoch()


def test_bad_updates_are_told_at_once(data):
    logits, labels, _ = data
    recorder = pk.ScoreRecorder(None, N)
    for ids, given, targets, message in (
        (
            [0, 1, 2],
            logits[:2],
            labels[:2],
            r"`ids` must have shape \(2,\), one per row of `logits`; got \(3,\)",
        ),
        ([0, 1], logits[:2], labels[:3], r"`labels` must have shape \(2,\)"),
        ([0, 1], logits[0], labels[:2], r"`logits` must have shape \(n, c\)"),
        ([0, 1], logits[:2] > 0, labels[:2], "`logits` must be real numbers; got bool"),
    ):
        with pytest.raises(PruneKitError, match=message):
            recorder.update(ids, given, targets)
    assert recorder.seen_in_epoch == 0


def test_unknown_ids_are_told(data):
    logits, labels, _ = data
    for examples, ids, message in (
        (N, [0, N], f"no example with the ids {N}"),
        (N, [-1, 0], "no example with the ids -1"),
        (N, ["a", "b"], "the ids of the recorder are integers; got strings"),
        (["a", "b"], ["a", "c"], "no example with the ids 'c'"),
        (["a", "b"], [0, 1], "are strings; got integers"),
        ([10, 20], [10, 11], "no example with the ids 11"),
    ):
        recorder = pk.ScoreRecorder(None, examples)
        recorder.update(ids, logits[:2], labels[:2])
        with pytest.raises(PruneKitError, match=message):
            recorder.end_epoch()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None, 0), {}, "`examples` must be how many there are, 1 or more"),
        ((None, True), {}, "`examples` must be how many"),
        ((None, []), {}, "at least one id"),
        ((None, ["a", "a"]), {}, "`examples` must name each example once; 'a' occur"),
        ((None, 5), {"seed": -1}, "`seed` must be a whole number"),
        ((None, 5), {"scores": ("nope",)}, "`scores` must be among"),
        ((None, 5), {"scores": ("grand_last_layer",)}, "`scores` must be among"),
        ((None, 5), {"scores": "el2n"}, "sequence of names"),
        ((None, 5), {"taken": "test"}, "`taken` must be 'training' or 'evaluation'"),
        ((None, 5), {"described": {"pass": "x"}}, "`described` must not have entries called .*; got pass"),
    ],
)
def test_bad_arguments_are_told(arguments, options, message):
    with pytest.raises(PruneKitError, match=message):
        pk.ScoreRecorder(*arguments, **options)


def test_epochs_go_up_and_hold_something(data):
    logits, labels, _ = data
    recorder = pk.ScoreRecorder(None, N)
    with pytest.raises(PruneKitError, match="nothing was recorded in epoch 1"):
        recorder.end_epoch()
    epoch_of(recorder, logits, labels)
    recorder.end_epoch(3)
    epoch_of(recorder, logits, labels)
    for epoch in (3, 2, -1, 1.5, True):
        with pytest.raises(
            PruneKitError, match="`epoch` must be a whole number above the last one recorded, 3"
        ):
            recorder.end_epoch(epoch)
    assert recorder.end_epoch().epoch == 4


def test_an_epoch_can_be_discarded(data):
    logits, labels, el2n = data
    recorder = pk.ScoreRecorder(None, N)
    epoch_of(recorder, -logits, labels)
    assert recorder.seen_in_epoch == N
    recorder.discard_epoch()
    assert recorder.seen_in_epoch == 0
    epoch_of(recorder, logits, labels)
    record = recorder.end_epoch()
    assert record.epoch == 1
    np.testing.assert_allclose(record.table["el2n"], el2n, rtol=2e-6)


def test_a_state_of_another_recorder_is_refused(data):
    state = pk.ScoreRecorder(None, N, seed=1).state_dict()
    for other, what in (
        (pk.ScoreRecorder(None, N), "seed was 1, is now 0"),
        (pk.ScoreRecorder(None, N, seed=1, scores=("el2n",)), "scores was"),
        (pk.ScoreRecorder(None, N - 1, seed=1), "examples was"),
        (pk.ScoreRecorder(None, N, seed=1, taken="evaluation"), "taken was training, is now evaluation"),
    ):
        with pytest.raises(PruneKitError, match=what):
            other.load_state_dict(state)


def test_a_part_that_cannot_be_written_loses_nothing(data, tmp_path, monkeypatch):
    logits, labels, el2n = data
    recorder = pk.ScoreRecorder(tmp_path / "run", N)
    epoch_of(recorder, logits, labels)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pyarrow.parquet.write_table", full)
        with pytest.raises(StoreError, match="No space left"):
            recorder.end_epoch()
    record = recorder.end_epoch()  # once there is space
    assert record.epoch == 1
    np.testing.assert_allclose(to_numpy(record.table["el2n"]), el2n, rtol=2e-6)


def test_memory_is_that_of_the_columns(data):
    """After an epoch of many steps nothing is held but arrays as long as the data set."""
    recorder = pk.ScoreRecorder(None, 10_000)
    rng = np.random.default_rng(0)
    for start in range(0, 10_000, 10):
        recorder.update(
            range(start, start + 10), rng.normal(size=(10, 3)).astype(np.float32), rng.integers(3, size=10)
        )
    assert recorder.seen_in_epoch == 10_000
    held = len(pickle.dumps(recorder))
    # ids and label int64, predicted int64, times and step int32, p_label, el2n, logit_margin float32
    assert held < 10_000 * (8 + 8 + 8 + 4 + 4 + 3 * 4) + 20_000
