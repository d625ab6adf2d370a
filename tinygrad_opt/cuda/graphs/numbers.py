"""The numbers of a graph that change from replay to replay: one block of the GPU's memory.

The host writes coefficients, step counts and places of random numbers into an image of the block,
and sends it before each replay: one asynchronous copy on the stream of the replay, from one of a
ring of pinned buffers. So the host may be some replays ahead, and nothing waits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays.stream_positions import Recording
from .refusals import Unsettled

__all__ = ["Draws", "Numbers", "Place"]

AHEAD = 8  # replays that the host may be ahead
SPARE = 256  # bytes for generators of random numbers, of which a rehearsal knows nothing


class Place:
    """Some numbers of one type in the block: `array` on the device, `image` on the host."""

    __slots__ = ("array", "image")

    def __init__(self, array: Any, image: Any) -> None:
        self.array, self.image = array, image

    def put(self, values: Any) -> None:
        """What the next replay finds there; beyond float32 is infinity, as in a kernel's launch."""
        with np.errstate(all="ignore"):
            self.image[...] = values


class Numbers:
    """The block, its image, and the ring.

    library: CuPy.  size: bytes for coefficients, of which `take` gives parts away.
    """

    def __init__(self, library: Any, size: int) -> None:
        self.size = -(-size // 8) * 8 + SPARE
        self.taken = 0
        self._cuda = library.cuda
        self._block = library.empty(self.size, "u1")
        self.image = np.zeros(self.size, np.uint8)
        self._buffers = [library.cuda.alloc_pinned_memory(self.size) for _ in range(AHEAD)]
        self._views = [np.frombuffer(b, np.uint8, self.size) for b in self._buffers]
        self._events = [library.cuda.Event(disable_timing=True) for _ in range(AHEAD)]
        self._sent = 0
        self._stream: int | None = None

    def take(self, count: int, dtype: Any) -> Place:
        """Room for so many numbers. Raises Unsettled where more are needed than at first."""
        a, b = self.taken, self.taken + count * np.dtype(dtype).itemsize
        if b > self.size:
            raise Unsettled
        self.taken = -(-b // 8) * 8
        return Place(self._block[a:b].view(dtype), self.image[a:b].view(dtype))

    def launch(self, graph: Any, stream: Any) -> None:
        """Send the image, and launch the graph after it, on a stream."""
        k, last = self._sent % AHEAD, (self._sent - 1) % AHEAD
        if self._sent >= AHEAD:
            self._events[k].synchronize()  # of the replay that this buffer was sent for
        if self._stream not in (None, stream.ptr):
            stream.wait_event(self._events[last])  # or two replays would be under way at once
        self._views[k][...] = self.image
        if self.taken:
            runtime = self._cuda.runtime
            runtime.memcpyAsync(self._block.data.ptr, self._buffers[k].ptr, self.size,
                                runtime.memcpyHostToDevice, stream.ptr)  # fmt: skip
        graph.launch(stream)
        self._events[k].record(stream)
        self._sent, self._stream = self._sent + 1, stream.ptr


class Draws(Recording):
    """The random numbers of a graph: where each generator stands lies in the block, too."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__()
        self._numbers = numbers
        self._places: list[Place] = []  # in the order of `words`

    def _new_words(self) -> Any:
        self._places.append(self._numbers.take(2, np.uint64))
        return self._places[-1].array

    def put(self) -> None:
        """Take the places of one replay."""
        for place, (_, key, first) in zip(self._places, self.take(), strict=True):
            place.put((key, first))
