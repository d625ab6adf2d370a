"""One pass of a DataLoader through its dataset: where it began, how far it is, how it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice, repeat
from typing import Any

from .. import random
from .recipe import Progress

__all__ = ["Epoch", "generators_of", "set_states"]


class Epoch(Progress):
    """The progress of an iteration, and its state as plain values.

    To resume, the order is drawn again by generators put back to where they stood when it was drawn
    (`start`), and as many batches are left out as had been handed out (`position`).
    """

    def __init__(self, saved: dict[str, Any] | None = None) -> None:
        """`saved`: the `state` of an epoch to go on with."""
        saved = saved or {}
        self.start: list[Any] | None = saved.get("start")
        self.position: int = saved.get("position", 0)
        self.seed: int | None = saved.get("seed")
        self.turn: int = saved.get("turn", 0)  # the worker whose batch comes next
        self.workers: list[dict[str, Any]] = [dict(w) for w in saved.get("workers", ())]
        self.ended = saved.get("ended", False)
        self.finished = False

    def state(self) -> dict[str, Any] | None:
        """For `Epoch(saved)`; None before the order is drawn and after the end."""
        if self.start is None or self.finished:
            return None
        return {
            "position": self.position, "start": self.start, "seed": self.seed, "turn": self.turn,
            "workers": [dict(w) for w in self.workers], "ended": self.ended,
        }  # fmt: skip

    @contextmanager
    def drawing(self, loader: Any) -> Iterator[None]:
        """In here the order is drawn: from where the generators stand, or stood at the start."""
        generators = generators_of(loader)
        if self.start is None:
            self.start = [g.get_state() for g in generators]
            yield
        else:
            with rewound(generators, self.start):
                yield

    def order(self, loader: Any) -> Iterator[Any]:
        """The indices that are left, one by one or in lists; call it while `drawing`."""
        if loader.streamed:
            return repeat(None)
        source = iter(loader.sampler if loader.batch_sampler is None else loader.batch_sampler)
        left = islice(source, self.position, None)
        first = list(islice(left, 1))  # samplers draw when they are asked for the first time
        return chain(first, left)


def generators_of(loader: Any) -> list[random.Generator]:
    """The current generator, and those of the loader and of its samplers."""
    sources = (loader, loader.sampler, loader.batch_sampler,
               getattr(loader.batch_sampler, "sampler", None))  # fmt: skip
    found = [random.current(), *(getattr(s, "generator", None) for s in sources)]
    return list({id(g): g for g in found if g is not None}.values())


@contextmanager
def rewound(generators: list[random.Generator], states: list[Any]) -> Iterator[None]:
    """The generators put to `states` for a while."""
    now = [g.get_state() for g in generators]
    set_states(generators, states)
    try:
        yield
    finally:
        set_states(generators, now)


def set_states(generators: list[random.Generator], states: list[Any]) -> None:
    """Each generator to its state."""
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
