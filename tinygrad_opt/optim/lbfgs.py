"""L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from .. import kernels
from ..arrays.quiet import quiet
from ..arrays.xp import array_namespace
from ..autograd.modes import enable_grad
from ..core.tensor import Tensor, wrap_plain
from .checks import check_writable
from .optimizer import Optimizer
from .settings import LearningRate, Params, declared
from .state import fitted

__all__ = ["LBFGS", "Point", "strong_wolfe"]


@declared
class LBFGS(Optimizer):
    """L-BFGS: quasi-Newton steps from the last changes of parameters and gradients.

    d = -H g, with H the inverse Hessian that `history_size` pairs s = change of x, y = change of g
    build from (s'y / y'y) I;  x = x + t d, with t = lr (at the very first step min(1, 1 / |g|_1)
    times that), or where the strong Wolfe conditions hold. x is one vector of all parameters;
    one that has no gradient counts as having zeros.

    {settings}
    state, on the first parameter: `func_evals`, `n_iter`, `al`, `d`, `t`, `old_dirs` (y),
    `old_stps` (s), `ro`, `H_diag`, `prev_flat_grad`, `prev_loss`.
    Raises ValueError for parameter groups, TypeError for a step without closure, RuntimeError for
    another line search.
    Source: Nocedal & Wright 2006, Alg. 7.4 and 7.5; loop and tolerances as minFunc and PyTorch.

    >>> w = tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 3) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure); w
    tensor([3.0000, 3.0000], requires_grad=True)
    """

    counts_steps = False
    free_states = ("d", "prev_flat_grad")

    params: Params
    lr: LearningRate = 1
    max_iter: Annotated[int, "iterations in a `step`"] = 20
    max_eval: Annotated[int | None, "evaluations in a `step`, 1.25 * max_iter if None"] = None
    tolerance_grad: Annotated[float, "a step ends when max |g| is not above it"] = 1e-7
    tolerance_change: Annotated[float, "as well for the change of x, and of the loss"] = 1e-9
    history_size: Annotated[int, "pairs kept, each as large as all parameters"] = 100
    line_search_fn: Annotated[str | None, "None or 'strong_wolfe'"] = None

    def _group_defaults(self, settings: dict[str, Any]) -> dict[str, Any]:
        if settings["max_eval"] is None:
            settings["max_eval"] = settings["max_iter"] * 5 // 4
        return settings

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        if s["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(
                f"LBFGS: only 'strong_wolfe' is supported, got line_search_fn="
                f"{s['line_search_fn']!r}; None for none"
            )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if self.param_groups:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        super().add_param_group(param_group)
        kinds = {(p.dtype, str(p.device)) for p in self.param_groups[0]["params"]}
        if len(kinds) > 1:
            raise ValueError(f"LBFGS: parameters must be of one dtype and device, got {kinds}")

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Up to `max_iter` iterations; returns what `closure` returned first.

        `closure`: clears the gradients, evaluates the model, calls backward, returns the loss.
        """
        group = self.param_groups[0]
        check_writable(self, group["params"])
        surface = _Surface(group["params"], closure)
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first, loss, g = surface.evaluate()
        state["func_evals"] += 1
        if not kernels.norm(g, float("inf")) <= group["tolerance_grad"]:
            memory = _Memory(state, group["history_size"], g)
            self._iterate(group, surface, memory, loss, g)
            memory.save()
        return first

    def _iterate(
        self, group: dict[str, Any], surface: _Surface, memory: _Memory, loss: float, g: Any
    ) -> None:
        tolerance, evaluations = group["tolerance_change"], 1
        for iteration in range(1, group["max_iter"] + 1):
            d = memory.direction(g, loss)
            lr, last = float(group["lr"]), iteration == group["max_iter"]
            t = lr * min(1.0, 1.0 / kernels.norm(g, 1)) if memory.n_iter == 1 else lr
            here = Point(0.0, loss, g, kernels.dot(g, d))
            memory.t = t
            if here.slope > -tolerance:
                return
            if group["line_search_fn"]:
                point, count = surface.search(here, t, d, group["max_eval"] - evaluations)
            else:
                point, count = surface.move(here, t, d, evaluate=not last)
            memory.t, memory.func_evals = point.t, memory.func_evals + count
            evaluations += count
            change, before, loss, g = abs(point.loss - loss), g, point.loss, point.gradient
            if (
                last
                or evaluations >= group["max_eval"]
                or (g is not before and kernels.norm(g, float("inf")) <= group["tolerance_grad"])
                or kernels.norm(d, float("inf")) * abs(point.t) <= tolerance
                or change < tolerance
            ):
                return


class _Surface:
    """The loss over one vector of all parameters: evaluating it, moving on it."""

    def __init__(self, params: list[Tensor], closure: Callable[[], Any]) -> None:
        self.params, self.closure = params, closure
        self.xp = array_namespace(params[0].array)

    def evaluate(self) -> tuple[Any, float, Any]:
        """What the closure returned, as number too, and the gradient, here."""
        with enable_grad():
            loss = self.closure()
        gradients = [
            self.xp.zeros(p.array.size, p.array.dtype) if p._grad is None
            else self.xp.ascontiguousarray(fitted(p._grad.to_dense(), p.array)).reshape(-1)
            for p in self.params
        ]  # fmt: skip
        return loss, float(loss), self.xp.concatenate(gradients)

    @quiet
    def place(self, x: Any, t: float, d: Any) -> None:
        """Puts the parameters to x + t d."""
        x = x.copy()
        kernels.step_along.launch((x, d), (1.0, -t))
        start = 0
        for p in self.params:
            stop = start + p.array.size
            p.array[...] = x[start:stop].reshape(p.array.shape)
            start = stop

    def here(self) -> Any:
        return self.xp.concatenate(
            [self.xp.ascontiguousarray(p.array).reshape(-1) for p in self.params]
        )

    def move(self, here: Point, t: float, d: Any, evaluate: bool) -> tuple[Point, int]:
        """The point at t, which becomes here; the old numbers unless they are wanted."""
        self.place(self.here(), t, d)
        if not evaluate:
            return here._replace(t=t), 0
        _, loss, g = self.evaluate()
        return Point(t, loss, g, 0.0), 1

    def search(self, here: Point, t: float, d: Any, limit: int) -> tuple[Point, int]:
        """The point that a line search finds, which becomes here; and how often it evaluated."""
        x = self.here()

        def at(t: float) -> Point:
            self.place(x, t, d)
            _, loss, g = self.evaluate()
            return Point(t, loss, g, kernels.dot(g, d))

        point, count = strong_wolfe(at, here, t, kernels.norm(d, float("inf")), limit)
        self.place(x, point.t, d)
        return point, count


class _Memory:
    """The pairs, and what else goes from one iteration to the next; kept in `state`."""

    vectors = ("d", "prev_flat_grad")

    def __init__(self, state: dict[str, Any], size: int, like: Any) -> None:
        self.state, self.size = state, size
        self.func_evals, self.n_iter = state["func_evals"], state["n_iter"]
        self.ys = [fitted(y, like) for y in state.get("old_dirs", ())]
        self.ss = [fitted(s, like) for s in state.get("old_stps", ())]
        self.ro = [float(r) for r in state.get("ro", ())]
        self.al = list(state.get("al", ()))
        self.scale, self.t = float(state.get("H_diag", 1.0)), float(state.get("t", 0.0))
        self.d, self.g = (fitted(state.get(name, like), like) for name in self.vectors)
        self.loss = state.get("prev_loss", 0.0)

    @quiet
    def direction(self, g: Any, loss: float) -> Any:
        """-H g, after taking in the step that led here."""
        self.n_iter += 1
        if self.n_iter == 1:
            self.ys, self.ss, self.ro, self.scale = [], [], [], 1.0
            d = -g
        else:
            self._learn(g)
            d = self._two_loops(g)
        self.d, self.g, self.loss = d, g, loss
        return d

    def _learn(self, g: Any) -> None:
        y, s = g - self.g, self.d * self.t
        ys = kernels.dot(y, s)
        if not ys > 1e-10:
            return  # no curvature along this step: the pair would make H indefinite
        if len(self.ys) == self.size:
            del self.ys[0], self.ss[0], self.ro[0]
        self.ys.append(y)
        self.ss.append(s)
        self.ro.append(1.0 / ys)
        self.scale = ys / kernels.dot(y, y)

    def _two_loops(self, g: Any) -> Any:
        """Nocedal & Wright, algorithm 7.4, with -g."""
        q = -g
        self.al += [None] * (self.size - len(self.al))
        for i in reversed(range(len(self.ys))):
            self.al[i] = kernels.dot(self.ss[i], q) * self.ro[i]
            kernels.step_along.launch((q, self.ys[i]), (1.0, self.al[i]))
        q *= self.scale
        for i in range(len(self.ys)):
            beta = kernels.dot(self.ys[i], q) * self.ro[i]
            kernels.step_along.launch((q, self.ss[i]), (1.0, beta - self.al[i]))
        return q

    def save(self) -> None:
        state = self.state
        state["func_evals"], state["n_iter"] = self.func_evals, self.n_iter
        if self.n_iter > 1:
            state["al"] = self.al
        state.update(
            d=wrap_plain(self.d), t=self.t, old_dirs=[wrap_plain(y) for y in self.ys],
            old_stps=[wrap_plain(s) for s in self.ss], ro=self.ro, H_diag=self.scale,
            prev_flat_grad=wrap_plain(self.g), prev_loss=self.loss,
        )  # fmt: skip


# The strong Wolfe line search of L-BFGS -----------------------------------------------------------


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
