"""Where a stream of random numbers stands, as kernels on a GPU read it: from the GPU's memory.

A kernel gets two uint64, the stream's key and a place, and an offset from there with its launch.
Outside of a recording the place is 0 and the offset counts, so nothing is copied to the GPU.

Launches that are recorded, to be replayed as a graph, would draw the same numbers for ever. So a
`Recording` has two words of its own for each generator; offsets count from its beginning, and
`renew` takes as many places as the recorded step did and writes where they begin:

    with recording() as record:
        ...                      # launches are recorded, their draws with them
    for _ in range(steps):
        record.renew()           # on the current stream, before the replay
        graph.launch()

The first replay draws what the step would have drawn if it had been run instead of recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .device import cupy
from .random import Generator, put_back, take

__all__ = ["Recording", "on_device", "recording"]

_states: WeakKeyDictionary[Generator, tuple[int, Any]] = WeakKeyDictionary()  # key, two words


def on_device(generator: Generator, blocks: int) -> tuple[Any, int]:
    """Take so many blocks; return (the words that a kernel reads, its offset)."""
    key, place = take(generator, blocks)
    record = _active.get()
    if record is not None:
        return record.words_of(generator, place, blocks)
    known = _states.get(generator)
    if known is None or known[0] != key:
        words = cupy().empty(2, np.uint64)
        _write(words, key, 0)
        known = _states[generator] = key, words
    return known[1], place


def _write(words: Any, key: int, place: int) -> None:
    # Two launches that carry the numbers; a copy from the CPU's memory would have to be waited for.
    words[:1] = np.uint64(key % 2**64)
    words[1:] = np.uint64(place)


class Recording:
    """The draws of launches that are replayed.

    words: for each generator that was drawn from, CuPy's array of two uint64, its key and the place
    of the next replay.
    """

    def __init__(self) -> None:
        self.words: dict[Generator, Any] = {}
        self._first: dict[Generator, int] = {}
        self._taken: dict[Generator, int] = {}

    def words_of(self, generator: Generator, place: int, blocks: int) -> tuple[Any, int]:
        """The words for a launch that is being recorded, and its offset."""
        if generator not in self.words:
            self.words[generator] = self._new_words()
            self._first[generator] = place
        self._taken[generator] = place + blocks - self._first[generator]
        return self.words[generator], place - self._first[generator]

    def _new_words(self) -> Any:
        return cupy().empty(2, np.uint64)  # written by `renew`

    def take(self) -> list[tuple[Any, int, int]]:
        """Take the places of one replay; return (words, key, place) to be written into each."""
        return [
            (words, *take(generator, self._taken[generator]))
            for generator, words in self.words.items()
        ]

    def renew(self) -> None:
        """Let the next replay draw new numbers: take its places and write them, without a wait."""
        for words, key, place in self.take():
            _write(words, key, place)

    def end(self) -> None:
        """Put the generators back to where they were: nothing was drawn yet."""
        for generator, place in self._first.items():
            put_back(generator, place)


_active: ContextVar[Recording | None] = ContextVar("recording", default=None)


@contextlib.contextmanager
def recording(record: Recording | None = None) -> Iterator[Recording]:
    """In here draws on the GPU, of this thread, are those of launches that are recorded."""
    record = Recording() if record is None else record
    token = _active.set(record)
    try:
        yield record
    finally:
        _active.reset(token)
        record.end()
