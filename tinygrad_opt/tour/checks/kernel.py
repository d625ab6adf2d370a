"""Chapter 15: a faster kernel, timed beside the slow one."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numba import njit

from ..judging import Wrong, need, values

ELEMENTS, ROUNDS, TIMES = 20_000, 40, 4.0


@njit
def _slow(p, g, lr):
    for i in range(p.size):
        p[i] = p[i] - lr * math.tanh(10.0 * g[i]) * (1.0 if p[i] > 0.0 else 0.5)


def check(answer: Any) -> str:
    """The same numbers as the slow kernel, in a quarter of its time at most."""
    step = need(answer, "step")
    rng = np.random.default_rng(0)
    start = rng.normal(size=ELEMENTS).astype(np.float32)
    g = rng.normal(0, 0.1, ELEMENTS).astype(np.float32)
    p, expected = start.copy(), start.copy()
    step(p, g, 0.1)
    _slow(expected, g, 0.1)
    inplace = "step writes into p, and returns nothing"
    values("p after step(p, g, 0.1)", p, expected, "p - lr * tanh(10 * g) * (1 if p > 0 else 0.5)",
           [(start, inplace)], 1e-5)  # fmt: skip
    slow, fast = _best_times(lambda x: _slow(x, g, 0.1), lambda x: step(x, g, 0.1), start)
    told = f"{slow * 1e6:.0f} us before, {fast * 1e6:.0f} us now"
    if slow < TIMES * fast:
        hint = (
            "an @update_rule brings everything along: float32 literals, tanh from "
            "kernels.functions, vector registers; in your own loop import that tanh, and keep "
            "doubles out: np.float32(10)"
        )
        if slow > 1.5 * fast:
            hint = "half way: is there a float64 left, or a call of math's? Read the assembly"
        about = f"the time of {ELEMENTS:,} elements, the best of {ROUNDS}"
        raise Wrong(about, f"{TIMES:g} times as fast", f"{slow / fast:.2f} times: {told}", hint)
    return f"{slow / fast:.1f} times as fast: {told}"


def _best_times(slow: Any, fast: Any, start: Any) -> tuple[float, float]:
    """The shortest time of each; they take turns, on numbers that begin the same."""
    best = [math.inf, math.inf]
    for _ in range(ROUNDS):
        for i, function in enumerate((slow, fast)):
            p = start.copy()
            before = time.perf_counter()
            function(p)
            best[i] = min(best[i], time.perf_counter() - before)
    return best[0], best[1]
