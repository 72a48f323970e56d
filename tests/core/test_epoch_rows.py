import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit.epoch_rows import EpochRows, merged

PROPERTY = settings(max_examples=80, deadline=None, derandomize=True)
STREAM = st.lists(st.integers(0, 6), min_size=1, max_size=40)


def batch(positions, first_step, values):
    n = len(positions)
    return {
        "position": np.array(positions),
        "step": np.arange(first_step, first_step + n, dtype=np.int32),
        "times": np.ones(n, np.int32),
        "value": np.array(values, np.float32),
    }


def filled(stream, size, offset=0.0):
    rows = EpochRows(7)
    for start in range(0, len(stream), size):
        part = stream[start : start + size]
        rows.add(batch(part, start, [offset + start + i for i in range(len(part))]))
    return rows


@PROPERTY
@given(STREAM, st.integers(1, 9))
def test_the_first_presentation_stays_whatever_the_batches(stream, size):
    rows = filled(stream, size)
    assert rows.seen.tolist() == sorted(set(stream))
    assert rows.times.tolist() == [stream.count(i) for i in range(7)]
    assert rows.columns()["value"].tolist() == [stream.index(i) for i in sorted(set(stream))]


@PROPERTY
@given(STREAM, STREAM, st.integers(1, 9))
def test_of_several_processes_the_earliest_step_stays(one, other, size):
    together = merged(
        7, [filled(one, size).rows(), filled(other, size, offset=100).rows(), EpochRows(7).rows()]
    )
    assert together.times.tolist() == [one.count(i) + other.count(i) for i in range(7)]
    want = []
    for i in sorted({*one, *other}):
        steps = [(stream.index(i), rank) for rank, stream in enumerate((one, other)) if i in stream]
        step, rank = min(steps)  # of the same step, the lower rank's
        want.append(step + 100 * rank)
    assert together.columns()["value"].tolist() == want


def test_rows_are_copies():
    rows = filled([0, 1, 2], 2)
    before = rows.rows()
    rows.add(batch([3], 9, [5.0]))
    assert before["position"].tolist() == [0, 1, 2]
    again = EpochRows(7)
    again.add(before)
    assert again.seen.tolist() == [0, 1, 2]
