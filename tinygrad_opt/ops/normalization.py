"""Subtracting means and dividing by deviations: what all normalising layers come down to."""

from __future__ import annotations

import math
from typing import Any

from ..arrays.xp import xp
from ..core.node import Variable
from ..core.record import op

__all__ = ["rms_normalize", "standardize"]


def moments(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """The mean and the (biased) variance over `axes`, which stay as axes of length 1."""
    mean = _mean(x, axes)
    centred = x - mean
    return mean, _mean(centred * centred, axes)


def _mean(x: Any, axes: tuple[int, ...]) -> Any:
    n = math.prod(x.shape[a] for a in axes)
    return xp(x).sum(x, axis=axes, keepdims=True) * (1 / max(n, 1))


@op
def standardize(x, weight, bias, *, axes, eps, known=None):
    """z * weight + bias, where z = (x - mean) / sqrt(variance + eps) over `axes`.

    `weight`, `bias`: None, or broadcast. `known`: (mean, variance) of x as raw arrays, where the
    caller has them already; a derivative of the derivative computes them again, from x.
    """
    # dz/dx: g -> (g - mean(g) - z mean(g z)) / s.  Ioffe & Szegedy 2015, arXiv:1502.03167
    if known is None and not isinstance(x, Variable):
        fused = xp(x).fused_standardize(x, weight, bias, axes, eps)
        if fused is not None:
            return fused
    mean, variance = moments(x, axes) if known is None or isinstance(x, Variable) else known
    rate = 1 / xp(x).sqrt(variance + eps)
    z = (x - mean) * rate

    def to_x(g):
        g = g if weight is None else g * weight
        return (g - _mean(g, axes) - z * _mean(g * z, axes)) * rate

    y = z if weight is None else z * weight
    return y if bias is None else y + bias, to_x, lambda g: g * z, lambda g: g


@op
def rms_normalize(x, *, axes, eps):
    # z = x / s, s = sqrt(mean(x^2) + eps);  g -> (g - z mean(g z)) / s.
    # Zhang & Sennrich 2019, arXiv:1910.07467
    rate = 1 / xp(x).sqrt(_mean(x * x, axes) + eps)
    z = x * rate
    return z, lambda g: (g - z * _mean(g * z, axes)) * rate
