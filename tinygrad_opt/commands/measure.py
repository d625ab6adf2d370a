"""How fast a rule's kernels are, held against a plain copy of memory."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..kernels import UpdateRule, pool, threads

__all__ = ["SIZES", "Row", "crossover", "measure", "warm_up"]

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)


class Row(NamedTuple):
    """One size: seconds of one launch, on one thread and on several, and of a copy.

    Attributes:
        elements: of each vector.
        serial: seconds on the caller's thread.
        parallel: seconds on the pool's threads.
        copy: seconds of `np.copyto` for as many bytes as the rule reads and writes.
        bytes: that the rule reads and writes: every vector once, and those it writes again.
    """

    elements: int
    serial: float
    parallel: float
    copy: float
    bytes: int

    @property
    def best(self) -> float:
        """Seconds of the faster one."""
        return min(self.serial, self.parallel)

    @property
    def rate(self) -> float:
        """Bytes in a second, read and written, of the faster one."""
        return self.bytes / self.best

    @property
    def share(self) -> float:
        """The rate as a share of the copy's."""
        return self.copy / self.best


def measure(
    rules: Sequence[UpdateRule], dtype: Any, sizes: Sequence[int], seconds: float = 0.2
) -> list[list[Row]]:
    """The rows of each rule. All take turns, so that what disturbs one disturbs the others.

    seconds: how long to measure each size, all rules together; the least times count.
    """
    rows: list[list[Row]] = [[] for _ in rules]
    for n in sizes:
        works: list[Callable[[], Any]] = []
        counts = []
        for rule in rules:
            vectors = _vectors(rule, n, dtype)
            moved = (2 * len(vectors) - 1) * vectors[0].nbytes  # the gradient is not written
            half = np.zeros(moved // 2, np.uint8), np.ones(moved // 2, np.uint8)
            coefficients = _coefficients(rule)
            works += [
                _launch(rule, "serial", vectors, coefficients),
                _launch(rule, "parallel", vectors, coefficients),
                functools.partial(np.copyto, *half),
            ]
            counts.append(moved)
        least = iter(_least(works, seconds))
        for own, moved in zip(rows, counts, strict=True):
            own.append(Row(n, next(least), next(least), next(least), moved))
    return rows


def warm_up(rule: UpdateRule, dtype: Any) -> None:
    """Compile the rule's kernels for the CPU, and write them into the cache."""
    vectors, targets = _vectors(rule, 1, np.dtype(dtype)), ("serial", "parallel")
    for target in targets:
        _launch(rule, target, vectors, _coefficients(rule))()


def crossover(rows: Sequence[Row]) -> int | None:
    """From how many elements on several threads are faster: the first size of those that are."""
    faster = [row.parallel < 0.9 * row.serial for row in rows]  # by more than the clock's noise
    first = next((i for i in range(len(rows)) if all(faster[i:])), None)
    return None if first is None or pool.size() == 1 else rows[first].elements


def _vectors(rule: UpdateRule, n: int, dtype: Any) -> list[np.ndarray]:
    """Numbers as in training: gradients of both signs, states that are not negative."""
    random = np.random.default_rng(0)
    p, g = random.standard_normal((2, n)).astype(dtype)
    return [p, g * dtype.type(0.01), *(np.full(n, 1e-4, dtype) for _ in rule.states)]


def _coefficients(rule: UpdateRule) -> list[float]:
    return [0.001] * len(rule.coefficients)


def _launch(
    rule: UpdateRule, target: str, vectors: list[np.ndarray], coefficients: list[float]
) -> Callable[[], Any]:
    before = threads.threshold
    from_ = 1 if target == "parallel" else vectors[0].size + 1
    drawn: Any = {"seed": 0, "step": 1} if rule.draws else {}

    def work() -> None:
        threads.threshold = from_
        try:
            rule.launch(vectors, coefficients, **drawn)
        finally:
            threads.threshold = before

    return work


def _least(works: list[Callable[[], Any]], seconds: float) -> list[float]:
    """The least time of each work, in turns; short ones are repeated within a turn."""
    repeats = []
    for work in works:
        work()  # compiles
        start = time.perf_counter()
        work()
        repeats.append(max(1, int(2e-4 / (time.perf_counter() - start + 1e-9))))
    least = [float("inf")] * len(works)
    end, turns = time.perf_counter() + seconds, 0
    while turns < 3 or time.perf_counter() < end:
        turns += 1
        for i, work in enumerate(works):
            start = time.perf_counter()
            for _ in range(repeats[i]):
                work()
            least[i] = min(least[i], (time.perf_counter() - start) / repeats[i])
    return least
