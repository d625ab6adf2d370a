"""Discrete Fourier transforms: the functions of `torch.fft`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.size import WHOLE
from ..core.errors import axis_index
from ..core.tensor import Tensor, wrap_plain
from .arrange import roll
from .complexes import conj, refuse_half

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

_NORMS = ("backward", "forward", "ortho")


def _along(
    name: str, kind: str, input: Tensor, n: int | None, dim: int, norm: str | None
) -> Tensor:
    norm = "backward" if norm is None else norm
    if norm not in _NORMS:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    if not input.array.ndim:
        raise RuntimeError(f"{name}: Dimension specified as {dim} but tensor has no dimensions")
    axis = axis_index(dim, input.array.ndim)
    refuse_half(name, input)
    x = input
    if kind == "rfft" and x.array.dtype.kind == "c":
        raise RuntimeError(
            f"{name} expects a real input tensor, but got {dtypes.name_of(x.array.dtype)}"
        )
    if x.array.dtype.kind not in "fc":
        x = x.to(dtypes.get_default_dtype())
    if kind != "rfft" and x.array.dtype.kind == "f":
        x = x.to(dtypes.complex_of(x.array.dtype))
    length = x.array.shape[axis] if n is None else int(n)
    if n is None and kind == "irfft":
        length = 2 * (length - 1)
    if length < 1:
        raise RuntimeError(f"Invalid number of data points ({length}) specified")
    return ops.fourier(x, kind=kind, n=length, axis=axis, norm=norm)


def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """y[k] = sum of x[j] e^(-2 pi i j k / n) along `dim`, which is cut or filled up to `n`.

    `norm`: "backward" (none here, 1 / n in the inverse), "forward" (1 / n here), "ortho".
    """
    return _along("fft", "fft", input, n, dim, norm)


def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `fft`."""
    return _along("ifft", "ifft", input, n, dim, norm)


def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """`fft` of real numbers: the n // 2 + 1 frequencies from 0 on; the others are conjugates."""
    return _along("rfft", "rfft", input, n, dim, norm)


def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `rfft`: n real numbers, by default 2 (m - 1) of m frequencies."""
    return _along("irfft", "irfft", input, n, dim, norm)


_INVERSE = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """`fft` of what is its own conjugate when reversed, given by its first half: real numbers."""
    return _along("hfft", "irfft", conj(input), n, dim, _INVERSE.get(norm, norm))


def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `hfft`."""
    return conj(_along("ihfft", "rfft", input, n, dim, _INVERSE.get(norm, norm)))


# Several axes -------------------------------------------------------------------------------------


def _axes(input: Tensor, s: Any, dim: Any) -> list[tuple[int | None, int]]:
    """(length or None, axis) for each axis."""
    ndim = input.array.ndim
    sizes = None if s is None else [s] if isinstance(s, WHOLE) else list(s)
    if dim is None:
        dims = list(range(ndim)) if sizes is None else list(range(ndim - len(sizes), ndim))
    else:
        dims = [dim] if isinstance(dim, WHOLE) else list(dim)
    axes = [axis_index(d, ndim) for d in dims]
    if len(set(axes)) != len(axes):
        raise RuntimeError("FFT dims must be unique")
    if sizes is None:
        sizes = [None] * len(axes)
    if len(sizes) != len(axes):
        raise RuntimeError("When given, dim and shape arguments must have the same length")
    return [(None if n in (None, -1) else n, axis) for n, axis in zip(sizes, axes, strict=True)]


def fftn(
    input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None
) -> Tensor:
    """`fft` along several axes, by default all; `s`: their lengths."""
    return _over("fftn", "fft", input, _axes(input, s, dim), norm)


def ifftn(
    input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None
) -> Tensor:
    """The inverse of `fftn`."""
    return _over("ifftn", "ifft", input, _axes(input, s, dim), norm)


def _over(name: str, kind: str, x: Tensor, axes: Any, norm: str | None) -> Tensor:
    for n, axis in reversed(axes):
        x = _along(name, kind, x, n, axis, norm)
    return x


def rfftn(
    input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None
) -> Tensor:
    """`fftn` of real numbers: of the last axis the frequencies from 0 on."""
    *others, (n, axis) = _axes(input, s, dim)
    return _over("rfftn", "fft", _along("rfftn", "rfft", input, n, axis, norm), others, norm)


def irfftn(
    input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None
) -> Tensor:
    """The inverse of `rfftn`: real numbers."""
    *others, (n, axis) = _axes(input, s, dim)
    return _along("irfftn", "irfft", _over("irfftn", "ifft", input, others, norm), n, axis, norm)


def fft2(
    input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None
) -> Tensor:
    """`fftn` along the last two axes."""
    return fftn(input, s, dim, norm)


def ifft2(
    input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None
) -> Tensor:
    """The inverse of `fft2`."""
    return ifftn(input, s, dim, norm)


def rfft2(
    input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None
) -> Tensor:
    """`rfftn` along the last two axes."""
    return rfftn(input, s, dim, norm)


def irfft2(
    input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None
) -> Tensor:
    """The inverse of `rfft2`."""
    return irfftn(input, s, dim, norm)


# Frequencies --------------------------------------------------------------------------------------


def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of `fft` of n points at the distance d: 0, 1, ... -2, -1 over n d."""
    kind = dtypes.get_default_dtype() if dtype is None else dtype
    made = wrap_plain(np.fft.fftfreq(n, d).astype(np.dtype(kind)))
    return made if device is None else made.to(device)


def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of `rfft` of n points at the distance d: 0, 1, ... n // 2 over n d."""
    kind = dtypes.get_default_dtype() if dtype is None else dtype
    made = wrap_plain(np.fft.rfftfreq(n, d).astype(np.dtype(kind)))
    return made if device is None else made.to(device)


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """With frequency 0 in the middle."""
    axes = [axis for _, axis in _axes(input, None, dim)]
    return roll(input, [input.array.shape[a] // 2 for a in axes], axes)


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of `fftshift`."""
    axes = [axis for _, axis in _axes(input, None, dim)]
    return roll(input, [-(input.array.shape[a] // 2) for a in axes], axes)
