"""Convolution, pooling and recurrent layers of traced arrays: launches of the eager kernels.

What makes a launch of an array's windows is `FastWindows`, as eagerly; here stands what has no
kernel, and stays a call between two parts, and what one kernel does for two operations.
"""

from __future__ import annotations

from typing import Any

from ..arrays.windows import FastWindows
from ..kernels.fused import passage_kernels
from ..kernels.fused.pooling import NONE
from . import launches
from .eager import call, passage
from .traced import Traced, current
from .values import Value

__all__ = ["FAMILIES", "add_families"]

# The operations whose pullbacks hand over whole arrays.
FAMILIES = {
    "columns", "convolve", "convolve_input", "convolve_weight", "gru", "lstm", "maxima", "means",
    "pick", "pick_maxima", "rnn", "spread", "spread_maxima", "spread_means", "uncolumns",
}  # fmt: skip

_WINDOWS = ("convolve", "convolve_input", "convolve_slopes", "convolve_weight", "means",
            "spread_maxima", "spread_means", "window_maxima")  # fmt: skip


def add_families(kind: type, eager: Any) -> None:
    """Give a namespace these functions; eager: NumPy's namespace, with its kernels."""
    for name in _WINDOWS:
        setattr(kind, name, _of_windows(name, getattr(eager, name)))
    kind.rnn_pair = _rnn_pair(eager.rnn_pair)  # type: ignore[attr-defined]
    kind.gru_pair = _gru_pair(eager.gru_pair)  # type: ignore[attr-defined]
    kind.lstm_pair = _lstm_pair(eager.lstm_pair)  # type: ignore[attr-defined]


# Windows ------------------------------------------------------------------------------------------


def _of_windows(name: str, eager: Any) -> Any:
    own = _OWN.get(name, getattr(FastWindows, name))

    def function(self: Any, *args: Any, **settings: Any) -> Any:
        given = [a for a in (*args, *settings.values()) if hasattr(a, "dtype")]
        kinds = {a.dtype for a in given if a.dtype.kind == "f"}
        if len(kinds) != 1 or given[0].dtype.kind != "f" or not kinds.pop().isnative:
            return call(name, eager, *args, why="arrays of several types", **settings)
        lifted = [_traced(a) for a in args]
        return own(self, *lifted, **{key: _traced(a) for key, a in settings.items()})

    return function


def _traced(x: Any) -> Any:
    """An array that is there already as a traced one; all else as it is."""
    there = not isinstance(x, Traced) and hasattr(x, "dtype")
    return Traced(current().lift(x)) if there else x


def _window_maxima(self: Any, x: Traced, at: Any) -> Any:
    """The maxima of relu(x) are those of x and 0: no pass for relu, and none for its gradient."""
    relu, known = x.value, id(x) in current().relus
    of = relu.args[0] if known and relu.op == "maximum" and relu.args[1:] == (0,) else None
    if not isinstance(of, Value) or of.shape != relu.shape or (at.first_taps == NONE).any():
        return FastWindows.window_maxima(self, x, at)
    y, choice = FastWindows.window_maxima(self, Traced(of), at, rectified=True)
    current().rectified[choice.value.root.number] = relu
    return y, choice


def _spread_maxima(self: Any, g: Traced, choice: Traced, at: Any) -> Any:
    """Where relu(x) is 0, nothing was chosen: its gradient is this one, see `elementwise`."""
    made = FastWindows.spread_maxima(self, g, choice, at)
    relu = current().rectified.get(choice.value.root.number)
    if relu is not None:
        current().rectified[made.value.root.number] = relu
    return made


_OWN = {"window_maxima": _window_maxima, "spread_maxima": _spread_maxima}


# Recurrent layers ---------------------------------------------------------------------------------


def _rnn_pair(eager: Any) -> Any:
    def rnn_pair(
        self: Any, z: Any, bias: Any, h: Any, w_hh: Any, sizes: Any, reverse: bool, relu: bool
    ) -> Any:
        if not passage_kernels.fits("rnn", z, (bias,), (h,), w_hh, sizes):
            args = z, bias, h, w_hh, sizes, reverse, relu
            return passage("rnn_pair", eager, args, 4, _why(sizes))
        y, way_back = launches.passage("rnn", z, (bias,), (h,), w_hh, sizes, reverse, relu)

        def back(g: Any) -> Any:
            dz, _, before, states = way_back(g)
            return dz, _sum(self, dz, bias), before, *states

        return y, back

    return rnn_pair


def _gru_pair(eager: Any) -> Any:
    def gru_pair(
        self: Any, z: Any, b_ih: Any, b_hh: Any, h: Any, w_hh: Any, sizes: Any, reverse: bool
    ) -> Any:
        if not passage_kernels.fits("gru", z, (b_ih, b_hh), (h,), w_hh, sizes):
            args = z, b_ih, b_hh, h, w_hh, sizes, reverse
            return passage("gru_pair", eager, args, 5, _why(sizes))
        y, way_back = launches.passage("gru", z, (b_ih, b_hh), (h,), w_hh, sizes, reverse)

        def back(g: Any) -> Any:
            dz, du, before, states = way_back(g)
            return dz, du, _sum(self, dz, b_ih), _sum(self, du, b_hh), before, *states

        return y, back

    return gru_pair


def _lstm_pair(eager: Any) -> Any:
    def lstm_pair(
        self: Any, z: Any, bias: Any, h: Any, c: Any, w_hh: Any, w_hr: Any, sizes: Any,
        reverse: bool,
    ) -> Any:  # fmt: skip
        fits = passage_kernels.fits("lstm", z, (bias,), (h, c), w_hh, sizes)
        if w_hr is not None or not fits:
            args = z, bias, h, c, w_hh, w_hr, sizes, reverse
            why = "an LSTM with a projection has no kernel" if w_hr is not None else _why(sizes)
            return passage("lstm_pair", eager, args, 6, why)
        y, way_back = launches.passage("lstm", z, (bias,), (h, c), w_hh, sizes, reverse)

        def back(g: Any) -> Any:
            dz, _, before, states = way_back(g)
            return dz, _sum(self, dz, bias), before, *states, None

        return y, back

    return lstm_pair


def _sum(space: Any, dz: Any, bias: Any) -> Any:
    return None if bias is None else space.sum_rows(dz)


def _why(sizes: Any) -> str:
    return f"the layer's kernel does not take these types or shapes ({len(sizes)} steps)"
