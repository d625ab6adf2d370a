"""Where the time of a compiled step goes, line by line."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numba import njit

from ..arrays import random
from ..kernels.compiler import cache
from .binding import CompiledPart, EagerCall, row_major
from .text import Text
from .tracing import array_in

__all__ = ["timed"]


def timed(variant: Any, leaves: list[Any], calls: int) -> list[tuple[float, str]]:
    """(least seconds, line) of each line, over copies of all that the step writes to."""
    if len(leaves) != variant.leaves:
        raise ValueError(
            f"profile: expected the {variant.leaves} tensors that the step takes, got {len(leaves)}"
        )
    kinds = [(array_in(t).shape, array_in(t).dtype) for t in variant.stand_ins]
    if [(t.array.shape, t.array.dtype) for t in leaves] != kinds:
        raise ValueError(f"profile: expected tensors of the step's own kinds, {kinds}")
    text = Text(
        variant.trace, variant.schedule, variant.plan, variant.names, variant.origin,
        variant.text.arguments, timed=True,
    )  # fmt: skip
    functions = cache.compile_text("steps", text.text.replace("CACHE", "False"))
    instead = {key: array.copy() for key, array in text.written().items()}
    for number, i in variant.from_leaf:
        variant.places[number] = row_major(leaves[i].array)
    for fill, array in variant.draws:
        places = [(g, random.place_of(g)) for g in variant.generators]
        fill(array)
        for generator, place in places:
            random.put_back(generator, place)
    steps = [int(u.flat.steps.item(0)) + 1 for u in variant.updates]
    runs: list[tuple[Any, Any, list[str]]] = []
    number = 0
    for part in text.parts:
        if part.call is not None:
            runs.append((EagerCall(variant, part.call), None, [f"{part.call.name}(...)"]))
            continue
        ticks = np.zeros(len(part.lines) + 1, np.int64)
        call = CompiledPart(variant, functions[number], part, instead, ticks)
        runs.append((call, ticks, [line.partition("\n")[0] for line in part.lines]))
        number += 1
    per_tick = _seconds_per_tick()
    least: list[Any] = [[np.inf] * len(lines) for _, _, lines in runs]
    for _ in range(calls):
        for (call, ticks, _lines), best in zip(runs, least, strict=True):
            begin = perf_counter()
            call(steps)
            if ticks is None:
                best[:] = np.minimum(best, perf_counter() - begin)
            else:
                best[:] = np.minimum(best, np.diff(ticks) * per_tick)
    return [
        (float(seconds), line)
        for (_, _, lines), best in zip(runs, least, strict=True)
        for seconds, line in zip(best, lines, strict=True)
    ]


def _seconds_per_tick() -> float:
    from ..kernels.plain import ticks

    @njit
    def count() -> int:
        return ticks()  # type: ignore[call-arg]

    count()
    begin, first = perf_counter(), count()
    while perf_counter() - begin < 0.02:
        pass
    return (perf_counter() - begin) / max(count() - first, 1)
