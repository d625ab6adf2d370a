"""Layers that normalise each example by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.size import WHOLE
from ..arrays.xp import xp
from ..core.half import HALF, in_float32, widened
from ..core.public import publish
from ..core.tensor import Size, Tensor
from ..tensors.creation import ones, zeros
from .layer import Layer, settings
from .module import Module
from .parameter import Parameter

__all__ = [
    "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm", "group_norm", "layer_norm",
    "local_response_norm", "rms_norm",
]  # fmt: skip

Shape = Sequence[int]


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Like `instance_norm`, but with the channels of a group taken together: (N, C, ...).

    Raises RuntimeError unless C is a multiple of `num_groups`. Wu & He 2018, arXiv:1803.08494.
    """
    shape = input.array.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"group_norm: Expected at least 2 dimensions for input tensor but received {len(shape)}"
        )
    n, channels, *rest = shape
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(
            "group_norm: Expected number of channels in input to be divisible by num_groups, but "
            f"got input of shape {list(shape)} and num_groups={num_groups}"
        )
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector.array.shape != (channels,):
            raise RuntimeError(
                f"group_norm: Expected {name} to be a vector of size equal to the number of "
                f"channels in input, but got {name} of shape {list(vector.array.shape)} and input "
                f"of shape {list(shape)}"
            )
    _check_types("group_norm", input, {"weight": weight, "bias": bias})
    if input.array.size and n * math.prod(rest) * (channels // num_groups) == 1:
        raise ValueError(_too_few("value per channel", shape))
    grouped = (num_groups, channels // num_groups)
    one = (1,) * len(rest)
    weight, bias = (v if v is None else v.reshape((*grouped, *one)) for v in (weight, bias))
    x = input.reshape((n, *grouped, *rest))
    axes = tuple(range(2, len(shape) + 1))
    return _standardized(x, weight, bias, axes, eps).reshape(shape)


def layer_norm(
    input: Tensor, normalized_shape: Shape, weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(input - mean) / sqrt(variance + eps) over the last axes, then * weight + bias.

    `normalized_shape`: the lengths of those axes, and the shape of weight and bias. Raises
    RuntimeError if the input ends otherwise. Ba et al. 2016, arXiv:1607.06450.
    """
    vectors = {"weight": weight, "bias": bias}
    axes = _last_axes("layer_norm", input, normalized_shape, vectors)
    _check_types("layer_norm", input, vectors)
    return _standardized(input, weight, bias, axes, eps)


def rms_norm(
    input: Tensor, normalized_shape: Shape, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """input / sqrt(mean(input^2) + eps) over the last axes, then * weight.

    `eps` None: the smallest step of the input's type. The rest as `layer_norm`. Zhang & Sennrich
    2019, arXiv:1910.07467.
    """
    axes = _last_axes("rms_norm", input, normalized_shape, {"weight": weight})
    _check_types("rms_norm", input, {})
    eps = float(np.finfo(input.array.dtype).eps) if eps is None else eps
    kinds = {input.array.dtype} if weight is None else {input.array.dtype, weight.array.dtype}
    if len(kinds) == 1 or kinds == {HALF, dtypes.float32}:
        return _in_type_of_input(ops.rms_normalize, input, weight, axes=axes, eps=eps)
    normal = ops.rms_normalize(input, None, axes=axes, eps=eps)
    return ops.cast(normal * weight, dtype=input.array.dtype)


@widened
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """input / (k + alpha * mean of the squares of `size` neighbouring channels)^beta.

    input: (N, C, ...) with at least three axes, else ValueError. Beyond the first and last channel
    lie zeros. Krizhevsky et al. 2012.
    """
    shape = input.array.shape
    if len(shape) < 3:
        raise ValueError(
            "local_response_norm: Expected 3D or higher dimensionality input (got "
            f"{len(shape)} dimensions)"
        )
    squares, channels, size = input * input, shape[1], index(size)
    total: Any = 0
    for shift in range(-(size // 2), (size - 1) // 2 + 1):  # the window of each channel
        if -channels < shift < channels:
            before, after = max(-shift, 0), max(shift, 0)
            total = total + _padded(squares[:, after : channels - before], before, after)
    return input / ops.power(total * (alpha / size) + k, beta)


publish(globals(), __all__)


def _padded(x: Tensor, before: int, after: int) -> Tensor:
    """`x` with zero channels around it."""
    shape = x.array.shape
    zeros = [xp(x.array).zeros((shape[0], n, *shape[2:]), x.array.dtype) for n in (before, after)]
    return ops.concatenate([zeros[0], x, zeros[1]], axis=1) if before or after else x


# What they share ----------------------------------------------------------------------------------


def _standardized(
    input: Tensor, weight: Any, bias: Any, axes: tuple[int, ...], eps: float, **settings: Any
) -> Tensor:
    return _in_type_of_input(ops.standardize, input, weight, bias, axes=axes, eps=eps, **settings)


def _in_type_of_input(function: Any, input: Tensor, *rest: Any, **settings: Any) -> Tensor:
    """function(input, *rest); float16 stays float16, also beside float32 weights."""
    if input.array.dtype is HALF:
        return in_float32(function, (input, *rest), settings)
    return function(input, *rest, **settings)


def _last_axes(
    name: str, input: Tensor, normalized_shape: Shape, vectors: dict[str, Tensor | None]
) -> tuple[int, ...]:
    """The axes that `normalized_shape` stands for; RuntimeError where something does not fit."""
    if isinstance(normalized_shape, WHOLE):
        raise TypeError(
            f"{name}(): argument 'normalized_shape' must be tuple of ints, not int: write "
            f"({normalized_shape},)"
        )
    wanted = tuple(normalized_shape)
    if not wanted:
        raise RuntimeError(
            f"{name}: Expected normalized_shape to be at least 1-dimensional, i.e., containing at "
            "least one element, but got normalized_shape = []"
        )
    for what, vector in vectors.items():
        if vector is not None and vector.array.shape != wanted:
            raise RuntimeError(
                f"{name}: Expected {what} to be of same shape as normalized_shape, but got {what} "
                f"of shape {list(vector.array.shape)} and normalized_shape = {list(wanted)}"
            )
    if tuple(input.array.shape[-len(wanted) :]) != wanted:
        raise RuntimeError(
            f"{name}: Given normalized_shape={list(wanted)}, expected input with shape [*, "
            f"{', '.join(map(str, wanted))}], but got input of size{list(input.array.shape)}"
        )
    return tuple(range(-len(wanted), 0))


def _check_channels(name: str, input: Tensor, vectors: dict[str, Tensor | None]) -> None:
    if input.array.ndim < 2:
        raise IndexError(
            f"{name}: Dimension out of range: expected an input (N, C, ...), got {input.ndim} axes"
        )
    channels = input.array.shape[1]
    for what, vector in vectors.items():
        if vector is not None and vector.array.size != channels:
            raise RuntimeError(
                f"{name}: {what} should contain {channels} elements not {vector.array.size}"
            )
    _check_types(name, input, vectors)


def _check_types(name: str, input: Tensor, vectors: dict[str, Tensor | None]) -> None:
    """Raise RuntimeError unless all are of one type; with float16 may go vectors of float32."""
    whose, dtype = "the input", input.array.dtype
    weight = vectors.get("weight")
    mixed = weight is not None and weight.array.dtype != dtype
    if dtype.kind != "f" and not (mixed and name in ("layer_norm", "group_norm")):  # as PyTorch
        raise NotImplementedError(f"\"{name}\" not implemented for '{dtypes.name_of(dtype)}'")
    for what, vector in vectors.items():
        if vector is None:
            continue
        other = vector.array.dtype
        if other != dtype and not (dtype is HALF and whose == "the input" and other == np.float32):
            raise RuntimeError(
                f"{name}: mixed dtype: all inputs must share same datatype, but {whose} is "
                f"{dtypes.name_of(dtype)} and {what} is {dtypes.name_of(other)}; "
                "convert one, for instance with .float()"
            )
        whose, dtype = what, other


def _check_enough(shape: Shape, least_axes: int, values: int) -> None:
    """Raise ValueError where a mean would be over a single value."""
    if values == 1:
        what = "value per channel" if least_axes == 1 else "spatial element"
        raise ValueError(_too_few(what, shape))


def _too_few(what: str, shape: Shape) -> str:
    return f"Expected more than 1 {what} when training, got input size {Size(shape)}"


# Layers that normalise each example by itself -----------------------------------------------------


def _register_affine(
    module: Module, shape: Any, weight: bool, bias: bool, device: Any, dtype: Any
) -> None:
    """Give `module` a weight of ones and a bias of zeros, or None in their places."""
    for name, make, wanted in (("weight", ones, weight), ("bias", zeros, bias)):
        value = Parameter(make(shape, device=device, dtype=dtype)) if wanted else None
        module.register_parameter(name, value)


class _Affine(Module):
    weight: Parameter | None
    bias: Parameter | None

    def reset_parameters(self) -> None:
        """Sets weight to ones and bias to zeros."""
        if self.weight is not None:
            self.weight.array[...] = 1
        if self.bias is not None:
            self.bias.array[...] = 0


class LayerNorm(_Affine):
    """(x - mean) / sqrt(variance + eps) over the last axes, then * weight + bias.

    normalized_shape    the lengths of those axes; an int for the last one
    elementwise_affine  whether weight and bias are there, both of `normalized_shape`
    bias                whether bias is there

    Ba et al. 2016, arXiv:1607.06450.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5,
        elementwise_affine: bool = True, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        affine = (elementwise_affine, elementwise_affine and bias)
        _register_affine(self, self.normalized_shape, *affine, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) over the last axes, then * weight.

    normalized_shape    the lengths of those axes; an int for the last one
    eps                 None: the smallest step of x's type
    elementwise_affine  whether weight, of `normalized_shape`, is there

    Zhang & Sennrich 2019, arXiv:1910.07467.
    """

    weight: Parameter | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None,
        elementwise_affine: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = ones(self.normalized_shape, device=device, dtype=dtype)
        self.register_parameter("weight", Parameter(weight) if elementwise_affine else None)

    def reset_parameters(self) -> None:
        """Sets weight to ones."""
        if self.weight is not None:
            self.weight.array[...] = 1

    def forward(self, input: Tensor) -> Tensor:
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(_Affine):
    """Normalises each example over groups of channels: (N, C, ...) -> the same shape.

    num_groups    how many groups; divides num_channels, else ValueError
    num_channels  C
    affine        whether weight and bias, (C,) each, are there
    bias          whether bias is there

    Wu & He 2018, arXiv:1803.08494.
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups "
                f"({num_groups})"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        _register_affine(self, (num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Layer):
    """Divides each channel by a power of its neighbours' squares; see `local_response_norm`.

    size  how many neighbouring channels count, itself included
    """

    @settings(local_response_norm)
    def __init__(self) -> None: ...

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _as_shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, WHOLE) else tuple(shape)
