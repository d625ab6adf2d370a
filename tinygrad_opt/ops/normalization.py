"""Subtracting means and dividing by deviations: what all normalising layers come down to.

The formulas, and their derivatives, stand in `kernels/fused/normalization.py`, as array code and as
kernels.
"""

from __future__ import annotations

from ..arrays.xp import xp
from ..core.node import Variable
from ..core.record import op
from .fused import recomputed
from .shared_work import shared_entries

__all__ = ["affine", "rms_normalize", "standardize"]


@recomputed
@op
def standardize(x, weight, bias, *, axes, eps, known=None, channels=False):
    """z * weight + bias, where z = (x - mean) / sqrt(variance + eps) over `axes`.

    `weight`, `bias`: None, or broadcast; with `channels`, (C,) for x (N, C, ...). `known`: (mean,
    variance) of x as raw arrays, where the caller has them already; a derivative of the derivative
    computes them again, from x.
    """
    known = None if isinstance(x, Variable) else known
    if not channels:
        y, back = xp(x).standardize_pair(x, weight, bias, axes, eps, known)
        return y, *shared_entries(back, 3)
    shape = (-1,) + (1,) * (len(x.shape) - 2)
    columns = (v if v is None else v.reshape(shape) for v in (weight, bias))
    y, back = xp(x).standardize_pair(x, *columns, axes, eps, known)

    def of_vectors(g):
        dx, *sums = back(g)
        return dx, *(v if v is None else v.reshape((-1,)) for v in sums)

    return y, *shared_entries(of_vectors, 3)


@recomputed
@op
def rms_normalize(x, weight=None, *, axes, eps):
    """x / sqrt(mean(x^2) + eps) over `axes`, then * weight, which is None or broadcast."""
    y, back = xp(x).rms_pair(x, weight, axes, eps)
    return y, *shared_entries(back, 2)


@op
def affine(x, scale, shift):
    """x * scale + shift of each channel: x (N, C, ...), scale and shift (C,)."""
    y, back = xp(x).affine_pair(x, scale, shift)
    return y, *shared_entries(back, 3)
