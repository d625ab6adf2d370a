"""Subtracting means and dividing by deviations: what all normalising layers come down to.

The formulas, and their derivatives, stand in `kernels/fused/normalization.py`, as array code and as
kernels.
"""

from __future__ import annotations

from ..arrays.xp import xp
from ..core.node import Variable
from ..core.record import op
from .shared_work import shared

__all__ = ["affine", "rms_normalize", "standardize"]


@op
def standardize(x, weight, bias, *, axes, eps, known=None):
    """z * weight + bias, where z = (x - mean) / sqrt(variance + eps) over `axes`.

    `weight`, `bias`: None, or broadcast. `known`: (mean, variance) of x as raw arrays, where the
    caller has them already; a derivative of the derivative computes them again, from x.
    """
    known = None if isinstance(x, Variable) else known
    y, mean, rate = xp(x).standardize_step(x, weight, bias, axes, eps, known)
    return y, *shared(
        lambda g: xp(g).standardize_back(g, x, weight, bias, mean, rate, axes),
        lambda found: found[0],
        lambda found: found[1],
        lambda found: found[2],
    )


@op
def rms_normalize(x, weight=None, *, axes, eps):
    """x / sqrt(mean(x^2) + eps) over `axes`, then * weight, which is None or broadcast."""
    y, rate = xp(x).rms_step(x, weight, axes, eps)
    return y, *shared(
        lambda g: xp(g).rms_back(g, x, weight, rate, axes),
        lambda found: found[0],
        lambda found: found[1],
    )


@op
def affine(x, scale, shift):
    """x * scale + shift of each channel: x (N, C, ...), scale and shift (C,)."""
    return xp(x).affine_step(x, scale, shift), *shared(
        lambda g: xp(g).affine_back(g, x, scale),
        lambda found: found[0],
        lambda found: found[1],
        lambda found: found[2],
    )
