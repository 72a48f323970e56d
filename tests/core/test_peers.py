import threading

import pytest

from prune_kit.errors import PruneKitError, StoreError
from prune_kit.peers import Alone, everyones, on_rank_0


class Threads:
    """Peers that are threads of this process."""

    def __init__(self, size, rank, shared, barrier):
        self.size, self.rank = size, rank
        self._shared, self._barrier = shared, barrier

    def gather(self, value):
        self._shared[self.rank] = value
        self._barrier.wait(10)
        values = [self._shared[rank] for rank in range(self.size)]
        self._barrier.wait(10)
        return values


def together(work, size=3):
    """What `work(peers)` gives or raises in each of the peers."""
    shared, barrier, outcomes = {}, threading.Barrier(size), [None] * size

    def run(rank):
        try:
            outcomes[rank] = work(Threads(size, rank, shared, barrier))
        except PruneKitError as error:
            outcomes[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return outcomes


def test_values_come_by_rank():
    assert together(lambda peers: everyones(peers, lambda: peers.rank * 10)) == [[0, 10, 20]] * 3
    assert everyones(Alone(), lambda: 5) == [5]


def test_an_error_of_one_is_raised_in_all():
    def own(peers):
        if peers.rank == 1:
            raise StoreError("its own")
        return peers.rank

    outcomes = together(lambda peers: everyones(peers, lambda: own(peers)))
    assert isinstance(outcomes[1], StoreError)
    assert [str(each) for each in outcomes] == ["process 1: its own", "its own", "process 1: its own"]


def test_rank_0_acts_alone_and_its_error_is_raised_in_all():
    acted = []
    together(lambda peers: on_rank_0(peers, lambda: acted.append(peers.rank)))
    assert acted == [0]

    def fail():
        raise StoreError("full")

    outcomes = together(lambda peers: on_rank_0(peers, fail))
    assert [str(each) for each in outcomes] == ["full", "process 0: full", "process 0: full"]
    with pytest.raises(StoreError, match="full"):
        on_rank_0(Alone(), fail)
