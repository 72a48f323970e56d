import threading
import time

import pytest

from prune_kit.data.ahead import read_ahead
from prune_kit.data.reader import Part


def alive():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("prune_kit-")]


class Source:
    """Parts of four rows, which say when they are read."""

    def __init__(self, n, fails_at=None):
        self.n, self.fails_at = n, fails_at
        self.read, self.decoded, self.closed = 0, 0, False

    def parts(self):
        try:
            for i in range(self.n):
                if i == self.fails_at:
                    raise OSError(f"part {i}")
                self.read += 1
                yield Part(4 * i, range(4 * i, 4 * i + 4))
        finally:
            self.closed = True

    def decode(self, part):
        self.decoded += 1
        return list(part.rows)


def run(source, decode=None, chunk_rows=None, ahead=2, workers=2):
    return read_ahead(
        source.parts(), decode or source.decode, chunk_rows=chunk_rows, ahead=ahead, workers=workers
    )


@pytest.mark.parametrize("ahead", [1, 2, 7, 100])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk_rows", [None, 1, 3, 4, 9])
def test_the_order_is_that_of_the_parts(ahead, workers, chunk_rows):
    def decode(part):
        time.sleep(0.001 * (part.start % 3))  # later parts are ready first
        return list(part.rows)

    parts = [*run(Source(20), decode, chunk_rows, ahead, workers)]
    assert [[row for chunk in chunks for row in chunk] for chunks in parts] == [
        list(range(i, i + 4)) for i in range(0, 80, 4)
    ]
    assert {len(chunk) for chunks in parts for chunk in chunks} <= {1, 3, 4}
    assert alive() == []


def test_nothing_to_read():
    assert [*run(Source(0))] == []
    assert alive() == []


@pytest.mark.parametrize("ahead", [1, 3])
def test_no_more_is_read_than_asked_for(ahead):
    source = Source(50)
    running = run(source, ahead=ahead)
    for taken in range(1, 6):
        next(running)
        patience = time.monotonic() + 10
        while source.decoded < taken + ahead and time.monotonic() < patience:
            time.sleep(0.001)
        time.sleep(0.01)  # for what should not come
        assert source.read == source.decoded == taken + ahead
    running.close()
    assert source.closed
    assert alive() == []


@pytest.mark.parametrize(("chunk_rows", "ahead"), [(1, 1), (None, 4)])
def test_chunks_and_parts_are_decoded_at_the_same_time(chunk_rows, ahead):
    together = threading.Barrier(4, timeout=10)  # broken unless four threads wait at once

    def decode(part):
        together.wait()
        return part.start

    parts = [*run(Source(4), decode, chunk_rows, ahead, workers=4)]
    assert [chunk for chunks in parts for chunk in chunks] == list(range(0, 16, chunk_rows or 4))


def test_an_error_of_the_decoder_comes_in_its_place():
    def decode(part):
        if part.start == 8:
            raise ValueError("row 8")
        return part.start

    running = run(Source(20), decode)
    assert next(running) == [0]
    assert next(running) == [4]
    with pytest.raises(ValueError, match="row 8"):
        next(running)
    assert alive() == []
    assert [*running] == []


def test_an_error_of_the_reader_comes_in_its_place():
    source = Source(20, fails_at=2)
    running = run(source, ahead=5)
    assert [next(running), next(running)] == [[[0, 1, 2, 3]], [[4, 5, 6, 7]]]
    with pytest.raises(OSError, match="part 2"):
        next(running)
    assert source.closed
    assert alive() == []


def test_a_consumer_that_fails_leaves_no_threads():
    def consume():
        for _ in run(Source(1000)):
            raise RuntimeError("the consumer's own")

    with pytest.raises(RuntimeError, match="the consumer's own"):
        consume()
    assert alive() == []


def test_a_consumer_that_stops_leaves_no_threads():
    for chunks in run(Source(1000)):
        if chunks == [[8, 9, 10, 11]]:
            break
    assert alive() == []
