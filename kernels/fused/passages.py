"""Recurrent layers: one direction of one layer through all time steps, forward and backward.

The formulas go step by step, with the steps of `recurrent.py` beside this, and are written with the
array protocol: `space` is a namespace (NumPy's, CuPy's, that of Tensors). On NumPy's arrays the
kernels of `passage_kernels.py` take their place, a call for all the steps; an LSTM's projection is
left to the formula. `tests/test_twins.py` holds both equal. `ops/recurrent.py` makes operations of
them.

z, the product of the inputs with their weights, holds the rows of all steps one after the other,
`sizes[t]` of them for step t. Sizes never increase: the sequences are sorted, the longest first,
and those that have ended are left out (PackedSequence). Backwards in time (`reverse`) a sequence
joins with its initial state at its own last step. The result is flat: outputs (sum of sizes, H),
then the final states (sizes[0], H), which for an LSTM are h and c.

A `pair` returns that, and a function from its gradient to: dz, the gradients of biases (None for
None), h before each row, the gradients of the initial states. It may write to z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import passage_kernels

State = tuple[Any, ...]
Sizes = tuple[int, ...]
Pair = tuple[Any, Callable[[Any], tuple[Any, ...]]]

# The formulas ------------------------------------------------------------------------------------


def _schedule(sizes: Sizes, reverse: bool) -> list[tuple[int, slice]]:
    """(t, the rows of step t) in the order of computation."""
    steps, start = [], 0
    for t, n in enumerate(sizes):
        steps.append((t, slice(start, start + n)))
        start += n
    return steps[::-1] if reverse else steps


def _merged(space: Any, old: State, new: State) -> State:
    """The states of all sequences, of which the first few have moved on to `new`."""
    return tuple(
        b if len(a) == len(b) else space.concatenate([b, a[len(b) :]], axis=0)
        for a, b in zip(old, new, strict=True)
    )


class _Passage:
    """The way through time, forwards; `back` goes it in the other direction.

    step(z, *state) -> (new state, what its derivative needs); state[0] is the output h.
    Kept per step, in the order of z's rows: the state before it (`before`), and `kept`.
    """

    def __init__(
        self, space: Any, step: Callable[..., Any], z: Any, state: State, sizes: Sizes,
        reverse: bool,
    ) -> None:  # fmt: skip
        self.space, self.schedule, self.sizes = space, _schedule(sizes, reverse), sizes
        steps = len(sizes)
        self.before: list[State] = [()] * steps
        self.kept: list[Any] = [None] * steps
        outputs: list[Any] = [None] * steps
        state = tuple(space.copy(s) for s in state)
        for t, rows in self.schedule:
            self.before[t] = tuple(s[: sizes[t]] for s in state)
            new, self.kept[t] = step(z[rows], *self.before[t])
            outputs[t] = new[0]
            state = _merged(space, state, new)
        self.shapes = [s.shape for s in state]
        flat = [part.reshape((-1,)) for part in (*outputs, *state)]
        self.result = space.concatenate(flat, axis=0)

    def back(self, step_back: Callable[..., Any], g: Any) -> tuple[list[Any], State]:
        """What `step_back` finds for each step, concatenated, and the initial state's gradients.

        step_back(t, *gradients of the new state) -> (arrays, gradients of the state before).
        """
        rows_end = sum(self.sizes) * self.shapes[0][1]
        g_outputs, state, start = g[:rows_end].reshape((-1, self.shapes[0][1])), [], rows_end
        for shape in self.shapes:
            stop = start + math.prod(shape)
            state.append(self.space.copy(g[start:stop].reshape(shape)))
            start = stop
        ahead: State = tuple(state)
        found: list[Any] = [None] * len(self.sizes)
        for t, rows in reversed(self.schedule):
            active = [s[: self.sizes[t]] for s in ahead]
            active[0] = active[0] + g_outputs[rows]
            found[t], before = step_back(t, *active)
            ahead = _merged(self.space, ahead, before)
        return [self.space.concatenate(part, axis=0) for part in zip(*found, strict=True)], ahead

    def states_before(self) -> Any:
        """h before each step, in the order of z's rows."""
        return self.space.concatenate([before[0] for before in self.before], axis=0)

    def all_kept(self, i: int) -> Any:
        """The i-th of what the steps kept, in the order of z's rows."""
        return self.space.concatenate([kept[i] for kept in self.kept], axis=0)


def rnn_pair(
    space: Any, z: Any, bias: Any, h: Any, w_hh: Any, sizes: Sizes, reverse: bool, relu: bool
) -> Pair:
    """h' = tanh(z + bias + W_hh h), or relu of it. Elman 1990."""
    recurrent = space.copy(w_hh.T)  # in the order in which all the steps read it

    def step(z: Any, h: Any) -> Any:
        z = z + space.dot(h, recurrent)
        new = space.maximum(z, 0) if relu else space.tanh(z)
        return (new,), (new,)

    def step_back(t: int, dh: Any) -> Any:
        (new,) = passage.kept[t]
        dz = dh * (new > 0) if relu else dh * (1 - new * new)
        return (dz,), (space.dot(dz, w_hh),)

    def back(g: Any) -> tuple[Any, ...]:
        (dz,), before = passage.back(step_back, g)
        return dz, _sum(space, dz, biased), passage.states_before(), *before

    biased = bias is not None
    passage = _Passage(space, step, z + bias if biased else z, (h,), sizes, reverse)
    return passage.result, back


def gru_pair(
    space: Any, z: Any, b_ih: Any, b_hh: Any, h: Any, w_hh: Any, sizes: Sizes, reverse: bool
) -> Pair:
    """The gates and the new state as in `recurrent.gru_step`, of z + b_ih and W_hh h + b_hh.

    After dz the way back returns du, the gradient of what comes of the state.
    """
    recurrent = space.copy(w_hh.T)
    biased = b_ih is not None, b_hh is not None

    def step(z: Any, h: Any) -> Any:
        u = space.dot(h, recurrent)
        u = u if b_hh is None else u + b_hh
        gates, new = space.gru_step(z, u, h)
        return (new,), (gates, u)

    def step_back(t: int, dh: Any) -> Any:
        gates, u = passage.kept[t]
        dz, du, direct = space.gru_step_back(gates, u, passage.before[t][0], dh)
        return (dz, du), (direct + space.dot(du, w_hh),)

    def back(g: Any) -> tuple[Any, ...]:
        (dz, du), before = passage.back(step_back, g)
        sums = (_sum(space, d, b) for d, b in zip((dz, du), biased, strict=True))
        return dz, du, *sums, passage.states_before(), *before

    passage = _Passage(space, step, z if b_ih is None else z + b_ih, (h,), sizes, reverse)
    return passage.result, back


def lstm_pair(
    space: Any, z: Any, bias: Any, h: Any, c: Any, w_hh: Any, w_hr: Any, sizes: Sizes, reverse: bool
) -> Pair:
    """The gates and the new state as in `recurrent.lstm_step`, of z + bias and W_hh h.

    Then h' = W_hr h', if that is given; its gradient comes last. Projection: Sak et al. 2014,
    arXiv:1402.1128.
    """
    recurrent = space.copy(w_hh.T)
    biased = bias is not None

    def step(z: Any, h: Any, c: Any) -> Any:
        gates, squashed, c, h = space.lstm_step(z, space.dot(h, recurrent), c)
        if w_hr is None:
            return (h, c), (gates, squashed)
        return (space.dot(h, w_hr.T), c), (gates, squashed, h)

    def step_back(t: int, dh: Any, dc: Any) -> Any:
        gates, squashed = passage.kept[t][:2]
        dm = dh if w_hr is None else space.dot(dh, w_hr)
        dz, dc = space.lstm_step_back(gates, squashed, passage.before[t][1], dm, dc)
        return (dz, dh), (space.dot(dz, w_hh), dc)

    def back(g: Any) -> tuple[Any, ...]:
        (dz, dh), before = passage.back(step_back, g)
        of_projection = None if w_hr is None else space.dot(dh.T, passage.all_kept(2))
        return dz, _sum(space, dz, biased), passage.states_before(), *before, of_projection

    passage = _Passage(space, step, z + bias if biased else z, (h, c), sizes, reverse)
    return passage.result, back


def _sum(space: Any, dz: Any, wanted: bool) -> Any:
    return space.sum_rows(dz) if wanted else None


# On NumPy's arrays -------------------------------------------------------------------------------


def fused_rnn_pair(
    space: Any, z: Any, bias: Any, h: Any, w_hh: Any, sizes: Sizes, reverse: bool, relu: bool
) -> Pair:
    """`rnn_pair` on NumPy's arrays."""
    if not passage_kernels.fits("rnn", z, (bias,), (h,), w_hh, sizes):
        return rnn_pair(space, z, bias, h, w_hh, sizes, reverse, relu)
    biased = bias is not None
    y, way_back = passage_kernels.run("rnn", z, (bias, None), (h,), w_hh, sizes, reverse, relu)

    def back(g: Any) -> tuple[Any, ...]:
        dz, _, before, states = way_back(g)
        return dz, _sum(space, dz, biased), before, *states

    return y, back


def fused_gru_pair(
    space: Any, z: Any, b_ih: Any, b_hh: Any, h: Any, w_hh: Any, sizes: Sizes, reverse: bool
) -> Pair:
    """`gru_pair` on NumPy's arrays."""
    if not passage_kernels.fits("gru", z, (b_ih, b_hh), (h,), w_hh, sizes):
        return gru_pair(space, z, b_ih, b_hh, h, w_hh, sizes, reverse)
    biased = b_ih is not None, b_hh is not None
    y, way_back = passage_kernels.run("gru", z, (b_ih, b_hh), (h,), w_hh, sizes, reverse)

    def back(g: Any) -> tuple[Any, ...]:
        dz, du, before, states = way_back(g)
        sums = (_sum(space, d, b) for d, b in zip((dz, du), biased, strict=True))
        return dz, du, *sums, before, *states

    return y, back


def fused_lstm_pair(
    space: Any, z: Any, bias: Any, h: Any, c: Any, w_hh: Any, w_hr: Any, sizes: Sizes, reverse: bool
) -> Pair:
    """`lstm_pair` on NumPy's arrays."""
    if w_hr is not None or not passage_kernels.fits("lstm", z, (bias,), (h, c), w_hh, sizes):
        return lstm_pair(space, z, bias, h, c, w_hh, w_hr, sizes, reverse)
    biased = bias is not None
    y, way_back = passage_kernels.run("lstm", z, (bias, None), (h, c), w_hh, sizes, reverse)

    def back(g: Any) -> tuple[Any, ...]:
        dz, _, before, states = way_back(g)
        return dz, _sum(space, dz, biased), before, *states, None

    return y, back
