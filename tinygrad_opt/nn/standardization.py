"""The normalising layers as functions: one operation, over the axes that each of them names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes, ops
from .._quiet import quiet
from .._tensor import Size, Tensor
from ..autograd.half import HALF, in_float32, widened
from ..backend import xp
from ..ops.normalization import moments
from ..public import publish

__all__ = [
    "batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm",
]  # fmt: skip

Shape = Sequence[int]


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(input - mean) / sqrt(variance + eps) of each channel, then * weight + bias.

    input         (N, C, ...)
    running_mean  (C,), and running_var: the statistics to normalise by, or to update
    training      take the batch's own statistics, and move the running ones towards them by
                  `momentum`; the running variance takes n / (n - 1) of the batch's

    Raises ValueError for a single value per channel or eps = 0 in training and for eps < 0,
    RuntimeError for vectors that are not (C,), or missing. Ioffe & Szegedy 2015, arXiv:1502.03167.
    """
    shape = input.array.shape
    if training:
        _check_enough(shape, 1, math.prod(shape) // max(shape[1], 1) if len(shape) > 1 else 0)
    if eps < 0 or (training and eps == 0):
        bound = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {bound}, but got {eps}")
    if not training and (running_mean is None or running_var is None):
        missing = "running_mean" if running_mean is None else "running_var"
        raise RuntimeError(f"batch_norm: {missing} must be defined in evaluation mode")
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight,
               "bias": bias}  # fmt: skip
    _check_channels("batch_norm", input, vectors)
    if not training:
        return _in_type_of_input(_by_running, input, running_mean, running_var, weight, bias, eps)
    if (running_mean is None) != (running_var is None):
        raise ValueError(
            "batch_norm: running_mean and running_var must either both be None or neither be None"
        )
    axes = (0, *range(2, len(shape)))
    return _by_batch(input, axes, running_mean, running_var, weight, bias, momentum, eps)


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """`batch_norm` of each example by itself: (N, C, ...).

    The running statistics move towards the means over the examples. Without `use_input_stats`
    they are what is normalised by. Ulyanov et al. 2016, arXiv:1607.08022.
    """
    shape = input.array.shape
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight,
               "bias": bias}  # fmt: skip
    if use_input_stats:
        _check_enough(shape, 2, math.prod(shape[2:]))
        _check_channels("instance_norm", input, vectors)
        axes = tuple(range(2, len(shape)))
        return _by_batch(input, axes, running_mean, running_var, weight, bias, momentum, eps)
    if running_mean is None or running_var is None:
        raise RuntimeError(
            "instance_norm: Expected running_mean and running_var to be defined when "
            "use_input_stats is false"
        )
    _check_channels("instance_norm", input, vectors)
    return _in_type_of_input(_by_running, input, running_mean, running_var, weight, bias, eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """As `instance_norm`, but with the channels of a group taken together: (N, C, ...).

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
    axes = _last_axes("layer_norm", input, normalized_shape, {"weight": weight, "bias": bias})
    return _standardized(input, weight, bias, axes, eps)


def rms_norm(
    input: Tensor, normalized_shape: Shape, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """input / sqrt(mean(input^2) + eps) over the last axes, then * weight.

    `eps` None: the smallest step of the input's type. The rest as `layer_norm`. Zhang & Sennrich
    2019, arXiv:1910.07467.
    """
    axes = _last_axes("rms_norm", input, normalized_shape, {"weight": weight})
    eps = float(np.finfo(input.array.dtype).eps) if eps is None else eps
    return _in_type_of_input(_rms_normalized, input, weight, axes, eps)


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
    squares, channels = input * input, shape[1]
    total: Any = 0
    for shift in range(-(size // 2), (size - 1) // 2 + 1):  # the window of each channel
        if -channels < shift < channels:
            before, after = max(-shift, 0), max(shift, 0)
            total = total + _padded(squares[:, after : channels - before], before, after)
    return input / ops.power(total * (alpha / size) + k, beta)


def _padded(x: Tensor, before: int, after: int) -> Tensor:
    """`x` with zero channels around it."""
    shape = x.array.shape
    zeros = [xp(x.array).zeros((shape[0], n, *shape[2:]), x.array.dtype) for n in (before, after)]
    return ops.concatenate([zeros[0], x, zeros[1]], axis=1) if before or after else x


# What they share ----------------------------------------------------------------------------------


def _columns(vector: Any, shape: Shape) -> Any:
    """A vector of channels (C,) so that it broadcasts against (N, C, ...)."""
    return vector if vector is None else vector.reshape((-1,) + (1,) * (len(shape) - 2))


def _by_running(input: Tensor, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Tensor:
    """Normalised by given statistics: one multiplication and one addition for each element."""
    scale = 1 / ops.sqrt(var + eps)
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    shift = shift if bias is None else shift + bias
    shape = input.array.shape
    return input * _columns(scale, shape) + _columns(shift, shape)


@quiet
def _by_batch(
    input: Tensor, axes: tuple[int, ...], running_mean: Any, running_var: Any, weight: Any,
    bias: Any, momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    """Normalised by the statistics of the input itself over `axes`; updates the running ones."""
    x, known = input.array, None
    if (running_mean is not None or running_var is not None) and x.size:
        known = moments(x.astype("float32") if x.dtype is HALF else x, axes)
        n = math.prod(x.shape[a] for a in axes)
        for running, new, factor in zip(
            (running_mean, running_var), known, (1.0, n / max(n - 1, 1)), strict=True
        ):
            if running is not None:  # without recording, as all that is done to buffers
                mean = new.reshape(-1, x.shape[1]).mean(axis=0)
                running.array[...] += momentum * (factor * mean - running.array)
    weight, bias = _columns(weight, x.shape), _columns(bias, x.shape)
    return _standardized(input, weight, bias, axes, eps, known)


def _standardized(
    input: Tensor, weight: Any, bias: Any, axes: tuple[int, ...], eps: float, known: Any = None
) -> Tensor:
    if input.array.dtype is HALF:
        settings = {"axes": axes, "eps": eps, "known": known}
        return in_float32(ops.standardize, (input, weight, bias), settings)
    return ops.standardize(input, weight, bias, axes=axes, eps=eps, known=known)


def _in_type_of_input(function: Any, input: Tensor, *rest: Any) -> Tensor:
    """function(input, *rest); float16 stays float16, also beside float32 weights."""
    if input.array.dtype is HALF:
        return in_float32(function, (input, *rest), {})
    return function(input, *rest)


def _rms_normalized(input: Tensor, weight: Any, axes: tuple[int, ...], eps: float) -> Tensor:
    z = ops.rms_normalize(input, axes=axes, eps=eps)
    return z if weight is None else ops.mul(z, weight)


def _last_axes(
    name: str, input: Tensor, normalized_shape: Shape, vectors: dict[str, Tensor | None]
) -> tuple[int, ...]:
    """The axes that `normalized_shape` stands for; RuntimeError where something does not fit."""
    if isinstance(normalized_shape, int):
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
    _check_types(name, input, vectors)
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
    dtype = input.array.dtype
    for what, vector in vectors.items():
        if vector is not None and vector.array.dtype != dtype and dtype.itemsize > 2:
            raise RuntimeError(
                f"{name}: mixed dtype: all inputs must share same datatype, but the input is "
                f"{dtypes.name_of(dtype)} and {what} is {dtypes.name_of(vector.array.dtype)}; "
                "convert one, for instance with .float()"
            )


def _check_enough(shape: Shape, least_axes: int, values: int) -> None:
    """Raise ValueError where a mean would be over a single value."""
    if values == 1:
        what = "value per channel" if least_axes == 1 else "spatial element"
        raise ValueError(_too_few(what, shape))


def _too_few(what: str, shape: Shape) -> str:
    return f"Expected more than 1 {what} when training, got input size {Size(shape)}"


publish(globals(), __all__)
