"""Dropout: of elements, of whole channels, and the kind that keeps mean and variance.

`inplace` is accepted everywhere, and the input keeps its values. The functions draw from
`generator`, or from the default one; without `training` they return their input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import ops
from ..arrays import drawing, random
from ..arrays.device import device_of
from ..core.public import publish
from ..core.tensor import Tensor
from .errors import warn_caller
from .module import Module

__all__ = [
    "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout",
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
]  # fmt: skip


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False,
    *, generator: random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Zeroes each element with probability `p` and divides the others by 1 - p.

    Raises ValueError unless 0 <= p <= 1. Srivastava et al. 2014.
    """
    _check(p)
    if not training or p == 0:
        return input
    return _masked(input, input.array.shape, p, generator)


def _check(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _masked(input: Tensor, shape: Any, p: float, generator: random.Generator | None) -> Tensor:
    factor = 1 / (1 - p) if p < 1 else 0.0
    array = input.array
    # A constant for autograd: a derivative of the derivative sees the same mask.
    mask = drawing.chosen(shape, array.dtype, p, 0.0, factor, generator, device_of(array))
    return ops.mul(input, mask)


def _of_channels(input: Tensor, p: float, generator: random.Generator | None, axes: int) -> Tensor:
    """Dropout with one decision for each of the first `axes` axes' entries."""
    shape = input.array.shape
    return _masked(input, shape[:axes] + (1,) * (len(shape) - axes), p, generator)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False,
    *, generator: random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """`dropout` of whole channels: (N, C, L) or (C, L). RuntimeError for other shapes."""
    _check(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input: (C, L) or "
            "(N, C, L)"
        )
    if not training or p == 0:
        return input
    return _of_channels(input, p, generator, input.ndim - 1)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False,
    *, generator: random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """`dropout` of whole channels: (N, C, H, W). Warns for other numbers of axes.

    Three axes are taken as (N, C, L), as in PyTorch. Tompson et al. 2014, arXiv:1411.4280.
    """
    _check(p)
    if input.ndim == 3:
        warn_caller(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D "
            "dropout behavior is desired: the axes are (N, C, L). Use dropout1d for that."
        )
    elif input.ndim != 4:
        _warn_of_axes("dropout2d", input.ndim, "(N, C, H, W)")
    if not training or p == 0:
        return input
    return _of_channels(input, p, generator, min(2, input.ndim))


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False,
    *, generator: random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """`dropout` of whole channels: (N, C, D, H, W) or (C, D, H, W). Warns for other shapes."""
    _check(p)
    if input.ndim not in (4, 5):
        _warn_of_axes("dropout3d", input.ndim, "(N, C, D, H, W)")
    if not training or p == 0:
        return input
    return _of_channels(input, p, generator, 1 if input.ndim == 4 else min(2, input.ndim))


def _warn_of_axes(name: str, axes: int, expected: str) -> None:
    warn_caller(
        f"{name}: Received a {axes}-D input to {name}, which is deprecated and will result in an "
        f"error in a future release. It drops channels of {expected}; for single elements use "
        "dropout instead."
    )


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False,
    *, generator: random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Dropout for `selu`: keeps mean and variance of inputs that are standardised.

    Dropped elements take selu's lowest value. Raises ValueError unless 0 <= p <= 1. Klambauer et
    al. 2017, arXiv:1706.02515.
    """
    _check(p)
    if not training or p == 0:
        return input
    return _alpha(input, input.array.shape, p, generator)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False,
    *, generator: random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """`alpha_dropout` of whole channels: (N, C, ...). RuntimeError for fewer than two axes."""
    _check(p)
    if not training or p == 0:
        return input
    if input.ndim < 2:
        raise RuntimeError(
            "feature_alpha_dropout: Feature dropout requires at least 2 dimensions in the input, "
            f"got {input.ndim}"
        )
    shape = input.array.shape
    return _alpha(input, shape[:2] + (1,) * (len(shape) - 2), p, generator)


publish(globals(), (
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
))  # fmt: skip


def _alpha(input: Tensor, shape: Any, p: float, generator: random.Generator | None) -> Tensor:
    if p == 1:
        return ops.mul(input, 0.0)
    lowest = -1.7580993408473766  # -scale * alpha of selu
    a = 1 / math.sqrt((1 + p * lowest**2) * (1 - p))
    array = input.array
    kept = drawing.chosen(shape, array.dtype, p, 0.0, 1.0, generator, device_of(array))
    shift = (1 - kept) * (a * lowest) - a * p * lowest
    return ops.add(ops.mul(input, kept * a), shift)


# Modules ------------------------------------------------------------------------------------------


class _Dropout(Module):
    _function: Callable[..., Tensor]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        _check(p)
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return type(self)._function(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, zeroes each element with probability `p` and divides the others by 1 - p.

    In evaluation it returns its input. `inplace` is accepted, and the input keeps its values.
    Raises ValueError unless 0 <= p <= 1. Srivastava et al. 2014.
    """

    _function = staticmethod(dropout)


class Dropout1d(_Dropout):
    """In training, zeroes whole channels (N, C, L) with probability `p`; see `dropout1d`."""

    _function = staticmethod(dropout1d)


class Dropout2d(_Dropout):
    """In training, zeroes whole channels (N, C, H, W) with probability `p`; see `dropout2d`."""

    _function = staticmethod(dropout2d)


class Dropout3d(_Dropout):
    """In training, zeroes whole channels (N, C, D, H, W) with probability `p`."""

    _function = staticmethod(dropout3d)


class AlphaDropout(_Dropout):
    """In training, dropout that keeps mean and variance behind `SELU`; see `alpha_dropout`."""

    _function = staticmethod(alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels (N, C, ...)."""

    _function = staticmethod(feature_alpha_dropout)
