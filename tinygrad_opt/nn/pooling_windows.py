"""What pooling has in common: where windows stand, from checked arguments; how layers print."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..arrays.size import WHOLE, fixed
from ..arrays.windows import Spans, Window
from ..core.tensor import Tensor
from .module import Module

__all__ = [
    "Pooling", "Settings", "Sizes", "adaptive_span", "even_window", "output_sizes", "settings",
    "sizes", "with_batch",
]  # fmt: skip

Sizes = int | Sequence[int]

_KEPT = 64  # windows of one layer's settings


class Pooling(Module):
    """A layer that shows the settings `shown`."""

    shown: tuple[str, ...] = ("kernel_size", "stride", "padding")

    def extra_repr(self) -> str:
        """The settings, as name=value."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


def settings(name: str, axes: int, *given: Any) -> Settings:
    """The checked arguments of a pooling function: those of a layer are checked at its first step.

    given: kernel_size, stride, padding, dilation, ceil_mode.
    """
    return _settings(name, axes, *map(fixed, given))


class Settings:
    """The checked arguments of a pooling function, and the windows on images that it has seen."""

    def __init__(
        self, name: str, axes: int, kernel: Sizes, stride: Any, padding: Sizes, dilation: Sizes,
        ceil_mode: bool, unpool: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.axes, self.ceil_mode = name, axes, ceil_mode
        self._windows: dict[tuple[int, ...], Window] = {}
        self.kernel = sizes(name, "kernel_size", kernel, axes)
        given = stride is not None and not (isinstance(stride, (tuple, list)) and not stride)
        self.stride = sizes(name, "stride", stride, axes) if given else self.kernel
        self.padding = sizes(name, "padding", padding, axes)
        self.dilation = sizes(name, "dilation", dilation, axes)
        if min(self.kernel) < 1:
            raise RuntimeError(
                f"{name}: kernel size should be greater than zero, but got {self.kernel}; stride "
                "should not be zero"
            )
        if min(self.stride) < 1:
            raise RuntimeError(f"{name}: stride should not be zero, got {self.stride}")
        if min(self.dilation) < 1:
            raise RuntimeError(f"{name}: dilation should be greater than zero, got {self.dilation}")
        for p, k, d in zip(self.padding, self.kernel, self.dilation, strict=True):
            if not unpool and not 0 <= p <= ((k - 1) * d + 1) // 2:
                raise RuntimeError(
                    f"{name}: pad should be at most half of effective kernel size, and not "
                    f"negative, but got pad={p}, kernel_size={k} and dilation={d}"
                )

    def _count(self, i: int, n: int) -> int:
        """How many windows there are along axis i of length n."""
        k, s, p, d = self.kernel[i], self.stride[i], self.padding[i], self.dilation[i]
        room = n + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if self.ceil_mode else room // s) + 1
        if self.ceil_mode and (count - 1) * s >= n + p:
            count -= 1  # the last window would begin in the padding
        if count < 1:
            raise RuntimeError(
                f"{self.name}: Given input size: {n} along axis {i} of the image. Calculated "
                f"output size: {count}. Output size is too small"
            )
        return count

    def _first(self, i: int, n: int) -> Any:
        """Where the windows begin along axis i of length n, padding below 0."""
        return np.arange(self._count(i, n)) * self.stride[i] - self.padding[i]

    def window(self, image: tuple[int, ...]) -> Window:
        """The windows on an image of these lengths."""
        found = self._windows.get(image)
        if found is None:
            output = tuple(self._count(i, n) for i, n in enumerate(image))
            found = _window(image, self.kernel, output, self.stride, self.padding, self.dilation)
            if len(self._windows) < _KEPT:
                self._windows[image] = found
        return found

    def span(self, i: int, n: int) -> Spans:
        """The part of each window that lies in the image."""
        first, d = self._first(i, n), self.dilation[i]
        stop = np.minimum(first + (self.kernel[i] - 1) * d + 1, n)
        return Spans(first + np.maximum(-(first // d), 0) * d, stop, d)

    def counts(self, i: int, n: int) -> Any:
        """How many cells of the image each window has."""
        span = self.span(i, n)
        return span.stop - span.start

    def padded_counts(self, i: int, n: int) -> Any:
        """How many cells each window has, in the image and its padding."""
        first = self._first(i, n)
        return np.minimum(first + self.kernel[i], n + self.padding[i]) - first

    def unpooled(self, small: tuple[int, ...], wanted: Sequence[int] | None) -> tuple[int, ...]:
        usual = tuple(
            (n - 1) * s + k - 2 * p
            for n, s, k, p in zip(small, self.stride, self.kernel, self.padding, strict=True)
        )
        if wanted is None:
            return usual
        sizes = tuple(int(n) for n in wanted)
        if len(sizes) not in (self.axes, self.axes + 2, self.axes + 1):
            raise ValueError(
                f"output_size should be a sequence containing {self.axes} or {self.axes + 2} "
                f"elements, but it has a length of {len(sizes)!r}"
            )
        sizes = sizes[-self.axes :]
        for i, (n, u, s) in enumerate(zip(sizes, usual, self.stride, strict=True)):
            if not u - s < n < u + s:
                raise ValueError(
                    f'invalid output_size "{sizes}" (dim {i} must be between {u - s} and {u + s})'
                )
        return sizes


_settings = lru_cache(maxsize=256, typed=True)(Settings)  # 2.0 is no size, though it equals one


def sizes(name: str, what: str, value: Any, axes: int) -> tuple[int, ...]:
    values = (int(value),) if isinstance(value, WHOLE) else tuple(int(v) for v in value)
    if len(values) not in (1, axes):
        number = ("one int", "two ints", "three ints")[axes - 1]
        raise RuntimeError(
            f"{name}: {what} must either be a single int, or a tuple of {number}, got {values}"
        )
    return values * axes if len(values) == 1 else values


def with_batch(name: str, axes: int, input: Tensor, channels: bool = True) -> Tensor:
    """The input with a batch axis. `channels`: whether an image alone must have some, as a batch.

    Only its first axis may be of length 0: in a batch the number of images.
    """
    if input.array.ndim not in (axes + 1, axes + 2):
        raise RuntimeError(
            f"{name}: Expected {axes + 1}D or {axes + 2}D (batch mode) tensor with optional 0 dim "
            f"batch size for input, but got: {list(input.shape)}; a non-empty {axes + 1}D or "
            f"{axes + 2}D (batch mode) tensor expected for input"
        )
    if 0 in input.array.shape[-axes - 1 if channels else 1 :]:
        raise RuntimeError(
            f"{name}: Expected {axes + 1}D or {axes + 2}D (batch mode) tensor with optional 0 dim "
            f"batch size: Expected input to have non-zero size for non-batch dimensions, but got:"
            f"{list(input.shape)}"
        )
    return input if input.array.ndim == axes + 2 else input.unsqueeze(0)


def output_sizes(name: str, output_size: Any, x: Tensor) -> tuple[int, ...]:
    image = tuple(x.shape[2:])
    values = (
        (output_size,) if output_size is None or isinstance(output_size, WHOLE) else output_size
    )
    sizes = tuple(values) * (len(image) if len(values) == 1 else 1)
    if len(sizes) != len(image):
        raise RuntimeError(f"{name}: output_size must be {len(image)} numbers, got {tuple(values)}")
    chosen = tuple(n if m is None else int(m) for m, n in zip(sizes, image, strict=True))
    if min(chosen) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{chosen}"
        )
    return chosen


def even_window(image: tuple[int, ...], output: tuple[int, ...]) -> Window | None:
    """The windows that cover an image, if all are alike: where its lengths are multiples."""
    if 0 in output or any(n % o for n, o in zip(image, output, strict=True)):
        return None
    sizes, ones = tuple(n // o for n, o in zip(image, output, strict=True)), (1,) * len(image)
    return _window(image, sizes, output, sizes, (0,) * len(image), ones)


# The same windows are asked for at each step, and keep what was derived from them.
_window = lru_cache(maxsize=256)(Window)


def adaptive_span(n: int, out: int) -> Spans:
    """Window o runs from floor(o n / out) to ceil((o + 1) n / out)."""
    o = np.arange(out)
    return Spans(o * n // max(out, 1), -(-(o + 1) * n // max(out, 1)), 1)
