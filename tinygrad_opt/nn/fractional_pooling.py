"""Maxima over windows that begin at places drawn at random (Graham 2014, arXiv:1412.6071)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arrays.device import to_device
from ..arrays.random import stream
from ..core.public import publish
from ..core.tensor import Tensor, wrap_plain
from .module import Module

__all__ = [
    "FractionalMaxPool2d", "FractionalMaxPool3d", "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]  # fmt: skip


def _tuple(axes: int, value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes


def _starts(samples: Any, size: int, output: int, kernel: int) -> Any:
    """Where the windows of one axis begin: (planes, output), from a random number per plane."""
    if output == 1:
        return np.full((len(samples), 1), size - kernel)
    step = (size - kernel) / (output - 1)
    u = samples[:, None].astype(np.float64)
    found = ((np.arange(output) + u) * step).astype(np.int64) - (u * step).astype(np.int64)
    found[:, -1] = size - kernel
    return found


def _pooled(
    axes: int, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any
) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{axes}d"
    kernel = _tuple(axes, kernel_size)
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if input.ndim not in (axes + 1, axes + 2):
        raise RuntimeError(
            f"{name}(): Expected {axes + 1}D or {axes + 2}D tensor, but got: {input.ndim}D"
        )
    x = input if input.ndim == axes + 2 else input.unsqueeze(0)
    image = tuple(x.shape[2:])
    if output_size is None:
        ratios = _tuple(axes, output_ratio)
        output_size = [int(n * r) for n, r in zip(image, ratios, strict=True)]
    output = _tuple(axes, output_size)
    for n, k, m in zip(image, kernel, output, strict=True):
        if m + k - 1 > n or m < 1:
            raise RuntimeError(
                f"{name}(): windows of {kernel} with an output of {output} do not fit into an "
                f"image of {image}"
            )
    planes = x.shape[0] * x.shape[1]
    drawn = stream(None).random((planes, axes)) if samples is None else to_device(
        samples.array, "cpu").reshape(planes, axes)  # fmt: skip
    place = _largest(to_device(x.array, "cpu"), kernel, output, drawn)
    place = to_device(place, x.device)
    y = ops.pick(x, place=place, missing=-math.inf)
    return (y, wrap_plain(place)) if x is input else (y[0], wrap_plain(place[0]))


def _largest(x: Any, kernel: Any, output: Any, drawn: Any) -> Any:
    """The places in the flat image of the largest cells: (batch, channels, *output)."""
    image, axes = x.shape[2:], len(kernel)
    order = range(axes - 1, -1, -1) if axes == 2 else range(axes)  # PyTorch draws the width first
    flat: Any = 0
    for i, k in enumerate(order):
        cells = _starts(drawn[:, i], image[k], output[k], kernel[k])[..., None]
        cells = cells + np.arange(kernel[k])  # (planes, output, kernel)
        shape = [len(cells), *(1,) * (2 * axes)]
        shape[1 + k], shape[1 + axes + k] = output[k], kernel[k]
        flat = flat + cells.reshape(shape) * math.prod(image[k + 1 :])
    flat = flat.reshape(len(drawn), math.prod(output), -1)
    values = np.take_along_axis(
        x.reshape(len(drawn), -1), flat.reshape(len(drawn), -1), 1
    ).reshape(flat.shape)  # fmt: skip
    best = np.where(np.isnan(values), np.inf, values).argmax(-1)
    place = np.take_along_axis(flat, best[..., None], -1)
    return place.reshape(*x.shape[:2], *output)


def _functions(axes: int) -> tuple[Any, Any]:
    def with_indices(
        input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ) -> Any:  # fmt: skip
        return _pooled(axes, input, kernel_size, output_size, output_ratio, _random_samples)

    def pool(
        input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ) -> Any:  # fmt: skip
        both = _pooled(axes, input, kernel_size, output_size, output_ratio, _random_samples)
        return both if return_indices else both[0]

    name = f"fractional_max_pool{axes}d"
    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = f"""The maxima of windows that begin at random places.

    `input` (batch, channels, *image of {axes} axes), batch optional. `kernel_size` and
    `output_size`: an int or one for each axis; `output_ratio`: the share of the image's size
    instead. `return_indices`: the pair (maxima, their places in the flat image). Windows step by
    turns of two lengths; `_random_samples` (batch, channels, {axes}), in [0, 1), says where.
    Raises ValueError without a size or a ratio, RuntimeError for windows that do not fit.
    """
    with_indices.__name__ = with_indices.__qualname__ = f"{name}_with_indices"
    with_indices.__doc__ = f"The pair (maxima, places) of `{name}`."
    return pool, with_indices


fractional_max_pool2d, fractional_max_pool2d_with_indices = _functions(2)
fractional_max_pool3d, fractional_max_pool3d_with_indices = _functions(3)

publish(globals(), __all__)


class _FractionalMaxPool(Module):
    _axes = 0
    _random_samples: Tensor | None

    def __init__(
        self, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        self.kernel_size = _tuple(self._axes, kernel_size)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else _tuple(self._axes, output_size)
        self.output_ratio = None if output_ratio is None else _tuple(self._axes, output_ratio)
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        """The maxima of windows drawn anew at each call."""
        both = _pooled(self._axes, input, self.kernel_size, self.output_size, self.output_ratio,
                       self._random_samples)  # fmt: skip
        return both if self.return_indices else both[0]


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima of windows of (batch, channels, height, width) that begin at random places.

    `output_size`, or `output_ratio` of the image's size, between 0 and 1: one of the two.
    Raises ValueError for both or none.

    >>> FractionalMaxPool2d(2, output_size=3)(zeros(1, 1, 7, 7)).shape[2:].numel()
    9
    """

    _axes = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """Like `FractionalMaxPool2d`, of (batch, channels, depth, height, width).

    >>> FractionalMaxPool3d(2, output_ratio=0.5)(zeros(1, 1, 6, 6, 6)).shape[2:].numel()
    27
    """

    _axes = 3
