"""Complex numbers: their parts, their conjugates, Fourier transforms.

Gradients are PyTorch's (see `core/complexes.py`): of z = x + iy it is dL/dx + i dL/dy. Where the
result is complex, that file conjugates around the pullbacks here; where it is real, they are the
whole rule. `_plainly` is for rules that are easier to say as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.xp import array_namespace, xp
from ..core.outlines import saves_nothing
from ..core.record import op
from ..core.views import view
from .index import getitem

__all__ = [
    "angle", "conj", "fourier", "imag_part", "real_part", "sgn_complex",
    "view_as_complex", "view_as_real",
]  # fmt: skip


def _plainly(rule: Any) -> Any:
    """A pullback which after conjugation before and behind it is `rule`."""
    return lambda g: xp(g).conj(rule(xp(g).conj(g)))


@saves_nothing
@op
def conj(x):
    """x - iy of x + iy."""
    return xp(x).conj(x), lambda g: xp(g).conj(g)


@saves_nothing
@view
def real_part(x):
    """The real part."""
    return xp(x).real_part(x), lambda g: xp(g).cast(g, dtype=x.dtype)


@saves_nothing
@view
def imag_part(x):
    """The imaginary part."""
    return xp(x).imag_part(x), lambda g: g * 1j


@op
def angle(x):
    """The angle of x + iy, atan2(y, x); its gradient at 0 is taken as 0."""
    square = xp(x).real_part(x * xp(x).conj(x))
    square = xp(square).where(square == 0, 1, square)
    return xp(x).angle(x), lambda g: g * (1j * x) / square


@op
def sgn_complex(x):
    """x / |x|, and 0 at 0."""
    size = xp(x).abs(x)
    safe = xp(size).where(size == 0, 1, size)
    y = x / safe

    def rule(g):  # what goes outward changes nothing
        return xp(g).where(size == 0, 0, (g - y * xp(g).real_part(g * xp(y).conj(y))) / safe)

    return y, _plainly(rule)


@saves_nothing
@view
def view_as_real(x):
    """(..., 2): the real and the imaginary part."""
    return xp(x).view_as_real(x), lambda g: view_as_complex(g)


@saves_nothing
@view
def view_as_complex(x):
    """x[..., 0] + i x[..., 1]."""
    return xp(x).view_as_complex(x), lambda g: view_as_real(xp(g).conj(g))


# Fourier transforms -------------------------------------------------------------------------------


@saves_nothing
@op
def fourier(x, *, kind, n, axis, norm):
    """`fft`, `ifft`, `rfft` or `irfft` along one axis, of length n: x is cut, or filled with 0."""
    length = x.shape[axis]
    y = xp(x).fourier(x, kind=kind, n=n, axis=axis, norm=norm)

    def back(g):  # the matrices of fft and ifft are symmetric
        if kind == "irfft":
            return _to_length(_back_of_irfft(g, n, axis, norm), length, axis)
        if kind == "rfft":
            g = _to_length(g, n, axis)
        other = "ifft" if kind == "ifft" else "fft"
        return _to_length(xp(g).fourier(g, kind=other, n=n, axis=axis, norm=norm), length, axis)

    return y, back


def _back_of_irfft(g: Any, n: int, axis: int, norm: str) -> Any:
    """Each frequency but the first and, for even n, the last stands for two."""
    opposite = {"backward": "forward", "forward": "backward", "ortho": "ortho"}[norm]
    z = xp(g).fourier(g, kind="rfft", n=n, axis=axis, norm=opposite)
    twice = np.full(n // 2 + 1, 2.0)
    twice[0] = 1
    if n % 2 == 0:
        twice[-1] = 1
    shape = [1] * len(g.shape)
    shape[axis] = len(twice)
    raw = getattr(g, "array", g)
    return z * array_namespace(raw).asarray(twice.reshape(shape).astype(raw.dtype))


def _to_length(x: Any, n: int, axis: int) -> Any:
    """x cut along an axis, or with zeros behind it."""
    have = x.shape[axis]
    cut = (slice(None),) * (axis % len(x.shape))
    if have > n:
        return getitem(x, index=(*cut, slice(n)))
    if have == n:
        return x
    shape = list(x.shape)
    shape[axis] = n
    return xp(x).scatter_add(x, shape=tuple(shape), index=(*cut, slice(have)))
