"""Recurrent layers: one direction of one layer, over all time steps, as one operation.

The input's product with its weights is one matmul for all steps, and so is the gradient of each
weight; only h W_hh^T and the gates go step by step.

x holds the rows of all steps one after the other, `sizes[t]` of them for step t. Sizes never
increase: the sequences are sorted, the longest first, and those that have ended are left out
(PackedSequence). Backwards in time (`reverse`) a sequence joins with its initial state at its own
last step. The result is flat: outputs (sum of sizes, H), then the final states (sizes[0], H), which
for an LSTM are h and c.

The gates of one step, and their derivatives, stand in `kernels/fused/recurrent.py`, as array code
and as kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..arrays.xp import xp
from ..core.record import op
from .shared_work import shared

__all__ = ["gru", "lstm", "rnn"]

State = tuple[Any, ...]


def _schedule(sizes: tuple[int, ...], reverse: bool) -> list[tuple[int, slice]]:
    """(t, the rows of step t) in the order of computation."""
    steps, start = [], 0
    for t, n in enumerate(sizes):
        steps.append((t, slice(start, start + n)))
        start += n
    return steps[::-1] if reverse else steps


def _merged(old: State, new: State) -> State:
    """The states of all sequences, of which the first few have moved on to `new`."""
    return tuple(
        b if len(a) == len(b) else xp(b).concatenate([b, a[len(b) :]], axis=0)
        for a, b in zip(old, new, strict=True)
    )


class _Passage:
    """The way through time, forwards; `back` goes it in the other direction.

    step(z, *state) -> (new state, what its derivative needs); state[0] is the output h.
    Kept per step, in the order of x's rows: the state before it (`before`), and `kept`.
    """

    def __init__(self, step: Callable[..., Any], z: Any, state: State, sizes: Any, reverse: bool):
        self.schedule, self.sizes = _schedule(sizes, reverse), sizes
        steps = len(sizes)
        self.before: list[State] = [()] * steps
        self.kept: list[Any] = [None] * steps
        outputs: list[Any] = [None] * steps
        for t, rows in self.schedule:
            self.before[t] = tuple(s[: sizes[t]] for s in state)
            new, self.kept[t] = step(z[rows], *self.before[t])
            outputs[t] = new[0]
            state = _merged(state, new)
        self.shapes = [s.shape for s in state]
        flat = [part.reshape((-1,)) for part in (*outputs, *state)]
        self.result = xp(z).concatenate(flat, axis=0)

    def back(self, step_back: Callable[..., Any], g: Any) -> tuple[list[Any], State]:
        """What `step_back` finds for each step, concatenated, and the initial state's gradients.

        step_back(t, *gradients of the new state) -> (arrays, gradients of the state before).
        """
        rows_end = sum(self.sizes) * self.shapes[0][1]
        g_outputs, state, start = g[:rows_end].reshape((-1, self.shapes[0][1])), [], rows_end
        for shape in self.shapes:
            stop = start + math.prod(shape)
            state.append(xp(g).copy(g[start:stop].reshape(shape)))
            start = stop
        ahead: State = tuple(state)
        found: list[Any] = [None] * len(self.sizes)
        for t, rows in reversed(self.schedule):
            active = [s[: self.sizes[t]] for s in ahead]
            active[0] = active[0] + g_outputs[rows]
            found[t], before = step_back(t, *active)
            ahead = _merged(ahead, before)
        return [xp(g).concatenate(part, axis=0) for part in zip(*found, strict=True)], ahead

    def states_before(self) -> Any:
        """h before each step, in the order of x's rows."""
        return xp(self.result).concatenate([before[0] for before in self.before], axis=0)

    def all_kept(self, i: int) -> Any:
        """The i-th of what the steps kept, in the order of x's rows."""
        return xp(self.result).concatenate([kept[i] for kept in self.kept], axis=0)


def _projected(x: Any, weight: Any, *biases: Any) -> Any:
    z = xp(x).dot(x, weight.T)
    for bias in biases:
        if bias is not None:
            z = z + bias
    return z


def _weight_gradients(x: Any, w_ih: Any, passage: _Passage) -> tuple[Any, ...]:
    """Functions from (dz, du) of all rows to the gradients of x, w_ih, w_hh, b_ih, b_hh."""
    space = xp(x)
    return (
        lambda dz, du: space.dot(dz, w_ih),
        lambda dz, du: space.dot(dz.T, x),
        lambda dz, du: space.dot(du.T, passage.states_before()),
        lambda dz, du: space.sum_rows(dz),
        lambda dz, du: space.sum_rows(du),
    )


@op
def rnn(x, h, w_ih, w_hh, b_ih, b_hh, *, sizes, reverse=False, relu=False):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it. Elman 1990."""
    space = xp(x)
    recurrent = space.copy(w_hh.T)  # in the order in which all the steps read it

    def step(z, h):
        z = z + space.dot(h, recurrent)
        new = space.maximum(z, 0) if relu else space.tanh(z)
        return (new,), (new,)

    z = _projected(x, w_ih, b_ih, b_hh)
    passage = _Passage(step, z, (space.copy(h),), sizes, reverse)

    def step_back(t, dh):
        (new,) = passage.kept[t]
        dz = dh * (new > 0) if relu else dh * (1 - new * new)
        return (dz,), (space.dot(dz, w_hh),)

    dx, dw_ih, dw_hh, db_ih, db_hh = (
        lambda found, f=f: f(found[0][0], found[0][0]) for f in _weight_gradients(x, w_ih, passage)
    )
    pullbacks = shared(
        lambda g: passage.back(step_back, g),
        dx, lambda found: found[1][0], dw_ih, dw_hh, db_ih, db_hh,
    )  # fmt: skip
    return passage.result, *pullbacks


@op
def gru(x, h, w_ih, w_hh, b_ih, b_hh, *, sizes, reverse=False):
    """The gates and the new state as in `kernels.fused.recurrent.gru_step`."""
    space = xp(x)
    recurrent = space.copy(w_hh.T)  # in the order in which all the steps read it

    def step(z, h):
        u = space.dot(h, recurrent)
        u = u if b_hh is None else u + b_hh
        gates, new = space.gru_step(z, u, h)
        return (new,), (gates, u)

    passage = _Passage(step, _projected(x, w_ih, b_ih), (space.copy(h),), sizes, reverse)

    def step_back(t, dh):
        gates, u = passage.kept[t]
        dz, du, direct = space.gru_step_back(gates, u, passage.before[t][0], dh)
        return (dz, du), (direct + space.dot(du, w_hh),)

    dx, dw_ih, dw_hh, db_ih, db_hh = (
        lambda found, f=f: f(*found[0]) for f in _weight_gradients(x, w_ih, passage)
    )
    pullbacks = shared(
        lambda g: passage.back(step_back, g),
        dx, lambda found: found[1][0], dw_ih, dw_hh, db_ih, db_hh,
    )  # fmt: skip
    return passage.result, *pullbacks


@op
def lstm(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, *, sizes, reverse=False):
    """The gates and the new state as in `kernels.fused.recurrent.lstm_step`.

    Then h' = W_hr h', if that is given. Projection: Sak et al. 2014, arXiv:1402.1128.
    """
    space = xp(x)
    recurrent = space.copy(w_hh.T)  # in the order in which all the steps read it

    def step(z, h, c):
        gates, squashed, c, h = space.lstm_step(z, space.dot(h, recurrent), c)
        if w_hr is None:
            return (h, c), (gates, squashed)
        return (space.dot(h, w_hr.T), c), (gates, squashed, h)

    z = _projected(x, w_ih, b_ih, b_hh)
    passage = _Passage(step, z, (space.copy(h), space.copy(c)), sizes, reverse)

    def step_back(t, dh, dc):
        gates, squashed = passage.kept[t][:2]
        dm = dh if w_hr is None else space.dot(dh, w_hr)
        dz, dc = space.lstm_step_back(gates, squashed, passage.before[t][1], dm, dc)
        return (dz, dh), (space.dot(dz, w_hh), dc)

    dx, dw_ih, dw_hh, db_ih, db_hh = (
        lambda found, f=f: f(found[0][0], found[0][0]) for f in _weight_gradients(x, w_ih, passage)
    )
    pullbacks = shared(
        lambda g: passage.back(step_back, g),
        dx, lambda found: found[1][0], lambda found: found[1][1], dw_ih, dw_hh, db_ih, db_hh,
        lambda found: space.dot(found[0][1].T, passage.all_kept(2)),
    )  # fmt: skip
    return passage.result, *pullbacks
