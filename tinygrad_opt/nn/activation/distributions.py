"""Activations whose results are probabilities: they sum to 1 along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import functions
from ...arrays import drawing, random
from ...arrays.device import device_of
from ...arrays.xp import xp
from ...core.half import widened
from ...core.public import publish
from ...core.tensor import Tensor, wrap_plain
from ..errors import warn_caller
from ..module import Module
from .base import AlongDim

__all__ = [
    "LogSoftmax", "Softmax", "Softmax2d", "Softmin", "gumbel_softmax", "log_softmax", "softmax",
    "softmin",
]  # fmt: skip


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(input) / sum of exp(input) along `dim`."""
    return functions.softmax(input, _chosen(input, dim, "softmax"), dtype)


class Softmax(AlongDim, of=softmax): ...


class Softmax2d(Module):
    """softmax over the channels of images, (N, C, H, W) or (C, H, W); ValueError for others."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return softmax(input, -3)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-input) along `dim`."""
    return functions.softmax(-input, _chosen(input, dim, "softmin"), dtype)


class Softmin(AlongDim, of=softmin): ...


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(input)) along `dim`, computed without overflow."""
    return functions.log_softmax(input, _chosen(input, dim, "log_softmax"), dtype)


class LogSoftmax(AlongDim, of=log_softmax):
    def extra_repr(self) -> str:
        return "" if self.dim is None else f"dim={self.dim}"


def _chosen(input: Tensor, dim: int | None, name: str) -> int:
    if dim is not None:
        return dim
    warn_caller(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument."
    )
    return 0 if input.ndim in (0, 1, 3) else 1


@widened
def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1,
    *, generator: random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """A sample from the softmax of `logits`, relaxed so that gradients flow through it.

    tau   temperature: the lower, the closer to one-hot
    hard  one-hot values, with the gradient of the relaxed ones
    eps   deprecated, without effect

    Jang et al. 2016, arXiv:1611.01144; Maddison et al. 2016, arXiv:1611.00712.
    """
    if eps != 1e-10:
        warn_caller("`eps` parameter is deprecated and has no effect.")
    array = logits.array
    uniform = drawing.draw_uniform(array.shape, np.float64, generator, device_of(array))
    noise = -np.log(-np.log(np.maximum(uniform, np.finfo(np.float64).tiny)))
    soft = functions.softmax((logits + wrap_plain(noise.astype(array.dtype))) / tau, dim)
    if not hard:
        return soft
    first = xp(array).expand_dims(soft.array.argmax(axis=dim), dim)
    onehot = xp(array).zeros_like(soft.array)
    xp(array).put_along_axis(onehot, first, 1, axis=dim)
    return soft + wrap_plain(onehot - soft.array)


publish(globals(), __all__)
