"""The strong Wolfe line search of L-BFGS.

Along a direction d from x, phi(t) = f(x + t d). A step t is good enough if the loss fell in
proportion to it, phi(t) <= phi(0) + c1 t phi'(0), and the slope got flatter, |phi'(t)| <= c2
|phi'(0)|. First the steps grow until such a t lies between two of them; then that bracket shrinks.

Source: Nocedal & Wright 2006, Numerical Optimization, Alg. 3.5 and 3.6, with the cubic steps and
the safeguards of minFunc (Schmidt 2005), which are PyTorch's too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Point", "strong_wolfe"]

_C1, _C2 = 1e-4, 0.9


class Point(NamedTuple):
    """A place along the direction: the step, and loss, gradient and slope there."""

    t: float
    loss: float
    gradient: Any
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    longest: float,
    limit: int,
    tolerance: float = 1e-9,
) -> tuple[Point, int]:
    """A point that satisfies both conditions, or the lowest found; and how many were looked at.

    evaluate: the point at a step.  start: the point at 0.  t: the first step to try.
    longest: max |d|; the search ends when the bracket moves no parameter by more than `tolerance`.
    limit: how many points to look at after the first.
    """
    search = _Search(evaluate, start, limit)
    bracket = search.bracket(t)
    if len(bracket) == 2:
        bracket = [search.zoom(bracket, longest, tolerance)]
    return bracket[0], search.count


class _Search:
    def __init__(self, evaluate: Callable[[float], Point], start: Point, limit: int) -> None:
        self.evaluate, self.start = evaluate, start
        self.limit, self.tries = limit, 0
        self.count = 0

    def at(self, t: float) -> Point:
        self.count += 1
        return self.evaluate(t)

    def too_high(self, point: Point) -> bool:
        return point.loss > self.start.loss + _C1 * point.t * self.start.slope

    def flat_enough(self, point: Point) -> bool:
        return abs(point.slope) <= -_C2 * self.start.slope

    def bracket(self, t: float) -> list[Point]:
        """Two points that have a good one between them, or that one alone."""
        previous, point = self.start, self.at(t)
        while self.tries < self.limit:
            if self.too_high(point) or (self.tries > 1 and point.loss >= previous.loss):
                return [previous, point]
            if self.flat_enough(point):
                return [point]
            if point.slope >= 0:
                return [previous, point]
            bounds = point.t + 0.01 * (point.t - previous.t), point.t * 10
            t = _cubic_minimum(previous, point, *bounds)
            previous, point = point, self.at(t)
            self.tries += 1
        return [self.start, point]

    def zoom(self, ends: list[Point], longest: float, tolerance: float) -> Point:
        """Replace one end after the other by a point between them, until that is good enough."""
        low = 0 if ends[0].loss <= ends[1].loss else 1
        stuck = False
        while self.tries < self.limit and not abs(ends[1].t - ends[0].t) * longest < tolerance:
            left, right = sorted(end.t for end in ends)
            t = _cubic_minimum(ends[0], ends[1], left, right)
            t, stuck = _away_from_the_ends(t, left, right, stuck)
            point = self.at(t)
            self.tries += 1
            if self.too_high(point) or point.loss >= ends[low].loss:
                ends[1 - low] = point
                low = 0 if ends[0].loss <= ends[1].loss else 1
                continue
            if self.flat_enough(point):
                return point
            if point.slope * (ends[1 - low].t - ends[low].t) >= 0:
                ends[1 - low] = ends[low]
            ends[low] = point
        return ends[low]


def _away_from_the_ends(t: float, left: float, right: float, stuck: bool) -> tuple[float, bool]:
    """`t`, moved inwards by a tenth if it keeps to an end; and whether it is close to one now."""
    margin = 0.1 * (right - left)
    if not min(right - t, t - left) < margin:
        return t, False
    if stuck or t >= right or t <= left:
        return (right - margin if abs(t - right) < abs(t - left) else left + margin), False
    return t, True


def _cubic_minimum(a: Point, b: Point, lowest: float, highest: float) -> float:
    """The minimum of the cubic through two points and their slopes, kept between the bounds.

    Nocedal & Wright, equation 3.59; the middle where the cubic has no minimum.
    """
    if a.t > b.t:
        a, b = b, a
    middle = (lowest + highest) / 2.0
    if a.t == b.t:
        return middle
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return middle
    d2 = math.sqrt(square)
    bend = b.slope - a.slope + 2 * d2
    if bend == 0 or not math.isfinite(bend):  # a loss that overflowed
        return middle
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / bend), lowest), highest)
