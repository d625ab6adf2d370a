"""Connectionist temporal classification: paths through a lattice of states, as kernels.

The formulas are in `tinygrad_opt/nn/losses/ctc.py`, for any arrays; `tests/nn/test_ctc.py` holds
both equal. Here a thread takes some examples through all time steps. What cannot be has the
logarithm -infinity: so has what stands before the first state, where paths might come from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .by_type import ByType
from .layouts import plain

__all__ = ["fits", "paths", "slope"]

PART = 256  # states at a time step, of all examples that a thread takes at a time

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.ctc.
import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes, mask_ends
from tinygrad_opt.kernels.functions import exp, log
from tinygrad_opt.kernels.functions.primitives import maximum
from tinygrad_opt.kernels.pool import split

NEVER = np.{dtype}(-np.inf)
NOTHING = np.{dtype}(0)


@njit(error_model="numpy", nogil=True)
def join(stays, moves, skips, own, to):
    all_lanes()
    mask_ends()
    # to = own + the logarithm of the sum of what stays, moves on by one, and skips one.
    for s in range(to.shape[0]):
        p, q, r = stays[s], moves[s], skips[s]
        top = maximum(maximum(p, q), r)
        base = NOTHING if top == NEVER else top
        to[s] = own[s] + (base + log(exp(p - base) + exp(q - base) + exp(r - base)))

"""

_CHECK = """\
    if (classes.shape[0] != x.shape[1] or steps.shape[0] != x.shape[1]
            or skip.shape[0] != x.shape[1] or skip.shape[1] != classes.shape[1] + 2
            or alpha.shape[0] != x.shape[1] or alpha.shape[1] != x.shape[0]
            or alpha.shape[2] != classes.shape[1] + 2):
        raise ValueError("sizes differ")
"""

_FORWARD = """
@njit(error_model="numpy", nogil=True)
def some_examples(first, last, x, classes, skip, steps, alpha):
    length = classes.shape[1]
    room = np.empty((2, length), np.{dtype})
    own, skips = room[0], room[1]
    for n in range(first, last):
        for t in range(x.shape[0]):
            line, scores, now = classes[n], x[t, n], alpha[n, t]
            now[0], now[1] = NEVER, NEVER
            for s in range(length):
                own[s] = scores[line[s]]
            if t == 0:
                for s in range(length):
                    now[s + 2] = own[s] if s < 2 else NEVER
            else:
                before, may = alpha[n, t - 1], skip[n]
                for s in range(length):
                    skips[s] = before[s] + may[s]
                join(before[2:], before[1:], skips, own, now[2:])


@njit("void({dtype}[:, :, ::1], int64[:, ::1], {matrix}, int64[::1], int64, {dtype}[:, :, ::1])",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def ctc_paths(x, classes, skip, steps, grain, alpha):
{check}    split(some_examples, x.shape[1], grain, x, classes, skip, steps, alpha)
"""

# From a state at a time on: "here"; with what is said there, "after".
_BACKWARD = """
@njit(error_model="numpy", nogil=True)
def some_examples(first, last, x, classes, skip, steps, alpha, ends, loss, d):
    length = classes.shape[1]
    room = np.empty((4, length + 2), np.{dtype})
    here, after, skips, nothing = room[0], room[1], room[2], room[3]
    for s in range(length + 2):
        nothing[s] = NOTHING
    for n in range(first, last):
        line, may = classes[n], skip[n]
        for s in range(length + 2):
            after[s] = NEVER
        for i in range(steps[n]):
            t = steps[n] - 1 - i
            scores, share, slope = x[t, n], alpha[n, t], d[t, n]
            if i == 0:
                for s in range(length):
                    here[s] = NOTHING if ends[n] - 1 <= s and s <= ends[n] else NEVER
            else:
                for s in range(length):
                    skips[s] = after[s + 2] + may[s + 2]
                join(after, after[1:], skips, nothing, here[:length])
            for s in range(length):
                slope[line[s]] -= exp(share[s + 2] + here[s] + loss[n])
                after[s] = here[s] + scores[line[s]]


@njit("void({dtype}[:, :, ::1], int64[:, ::1], {matrix}, int64[::1], int64, {dtype}[:, :, ::1],"
      "int64[::1], {vector}, {dtype}[:, :, ::1])",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def ctc_slope(x, classes, skip, steps, grain, alpha, ends, loss, d):
{check}    if (ends.shape[0] != x.shape[1] or loss.shape[0] != x.shape[1]
            or d.shape[0] != x.shape[0] or d.shape[1] != x.shape[1] or d.shape[2] != x.shape[2]):
        raise ValueError("sizes differ")
    split(some_examples, x.shape[1], grain, x, classes, skip, steps, alpha, ends, loss, d)
"""

_TEXTS = {"ctc_paths": _HEAD + _FORWARD, "ctc_slope": _HEAD + _BACKWARD}
_kernels = ByType(_TEXTS.__getitem__, {"ctc_paths": "ctc_slope"}, check=_CHECK)


def fits(log_probs: Any, classes: Any) -> bool:
    """Whether the kernels take these: NumPy's arrays, with something in them."""
    kind = log_probs.dtype
    native = type(log_probs) is np.ndarray and kind.char in "fd" and kind.isnative
    return native and log_probs.size > 0 and classes.size > 0


def paths(log_probs: Any, classes: Any, skips: Any, steps: Any) -> Any:
    """(N, T, L) the logarithm of the probability of all paths that are in a state at a time.

    Args:
        log_probs: (T, N, C).
        classes: (N, L) the class of each state, in [0, C).
        skips: (N, L) whether a path may come from two states before.
        steps: (N,) time steps, in [0, T].
    """
    times, n, _ = log_probs.shape
    room = np.empty((n, times, classes.shape[1] + 2), log_probs.dtype)
    given = _given(log_probs, classes, skips, steps)
    _kernels["ctc_paths", log_probs.dtype.char](*given, room)
    return room[:, :, 2:]


def slope(
    log_probs: Any, classes: Any, skips: Any, steps: Any, paths: Any, ends: Any, loss: Any
) -> Any:
    """(T, N, C) minus the probability of being in a state of the class, given the labels.

    Args:
        paths: as `paths` returned them for these.
        ends: (N,) the last state of each example.
        loss: (N,) minus the logarithm of the probability of all paths, or 0 where that is 0.
    """
    d = np.zeros(log_probs.shape, log_probs.dtype)
    given = _given(log_probs, classes, skips, steps)
    _kernels["ctc_slope", log_probs.dtype.char](*given, paths.base, ends, loss, d)
    return d


def _given(log_probs: Any, classes: Any, skips: Any, steps: Any) -> tuple[Any, ...]:
    """What both kernels take first."""
    skip = np.full((len(classes), classes.shape[1] + 2), -np.inf, log_probs.dtype)
    skip[:, :-2][skips] = 0
    grain = max(1, PART // classes.shape[1])
    return plain(log_probs), classes, skip, steps, grain
