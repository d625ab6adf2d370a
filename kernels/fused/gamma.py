"""The incomplete gamma function over raw NumPy arrays; `gamma_kernels.py` holds the sums."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from ..compiler import cache

__all__ = ["igamma", "igamma_slope", "igammac", "log_variate_slope"]


@functools.cache
def _fill() -> Any:
    text = Path(__file__).with_name("gamma_kernels.py").read_text(encoding="utf-8")
    return cache.load(
        "fill", lambda on_disk: text if on_disk else text.replace("cache=True", "cache=False")
    )


def _filled(which: int, a: Any, x: Any) -> Any:
    kind = np.result_type(a, x)
    wide = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    y = np.empty(wide[0].size)
    _fill()(which, *(np.array(part).reshape(-1) for part in wide), y)
    return y.reshape(wide[0].shape).astype(kind if kind.kind == "f" else np.float64)


def igamma(a: Any, x: Any) -> Any:
    """P(a, x): the integral of t^(a - 1) e^-t from 0 to x, over gamma(a)."""
    return _filled(0, a, x)


def igammac(a: Any, x: Any) -> Any:
    """Q(a, x) = 1 - P(a, x), exact where it is small."""
    return _filled(1, a, x)


def igamma_slope(a: Any, x: Any) -> Any:
    """The derivative of P(a, x) by a."""
    return _filled(2, a, x)


def log_variate_slope(a: Any, log_x: Any) -> Any:
    """d(log x) / da of gamma variates x of the concentrations a (Figurnov et al. 2018)."""
    return _filled(3, a, log_x)
