"""Reading ahead: one thread reads, several decode, while the consumer works on what is ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .reader import Part

T = TypeVar("T")


def read_ahead(
    parts: Generator[Part],
    decode: Callable[[Part], T],
    /,
    *,
    chunk_rows: int | None,
    ahead: int,
    workers: int,
) -> Generator[list[T]]:
    """Decode each part, cut into chunks, and yield the chunks of a part together, in order.

    At most `ahead` parts are held beside the one that the consumer has. What a thread raises is raised in
    the consumer, at its place in the order. When the consumer stops, what was begun is finished, what was
    not is dropped, and the threads end.
    """
    reading = ThreadPoolExecutor(1, thread_name_prefix="prune_kit-read")
    decoding = ThreadPoolExecutor(workers, thread_name_prefix="prune_kit-decode")

    def read() -> list[Future[T]] | None:
        part = next(parts, None)
        return None if part is None else [decoding.submit(decode, chunk) for chunk in part.chunks(chunk_rows)]

    pending = deque(reading.submit(read) for _ in range(ahead))
    try:
        while (chunks := pending.popleft().result()) is not None:
            pending.append(reading.submit(read))
            yield [chunk.result() for chunk in chunks]
    finally:
        reading.shutdown(cancel_futures=True)  # first: it gives work to the others
        decoding.shutdown(cancel_futures=True)
        parts.close()
