"""Ways to fill a parameter before training, as `torch.nn.init`.

Each writes into its tensor, outside the graph, and returns it. `generator`: a Generator to draw
from in place of the default one.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import numpy as np

from ..arrays import drawing
from ..arrays.device import device_of, to_device
from ..arrays.random import Generator
from ..arrays.xp import xp
from ..core.tensor import Tensor

__all__ = [
    "calculate_gain", "constant", "constant_", "dirac", "dirac_", "eye", "eye_", "kaiming_normal",
    "kaiming_normal_", "kaiming_uniform", "kaiming_uniform_", "normal", "normal_", "ones_",
    "orthogonal", "orthogonal_", "sparse", "sparse_", "trunc_normal_", "uniform", "uniform_",
    "xavier_normal", "xavier_normal_", "xavier_uniform", "xavier_uniform_", "zeros_",
]  # fmt: skip

_GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0, "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3,
    "relu": math.sqrt(2), "selu": 0.75,
}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor on the standard deviation that suits a nonlinearity.

    tanh 5/3, relu sqrt(2), leaky_relu sqrt(2 / (1 + param^2)) with slope `param` (0.01), selu 3/4,
    linear, convolutions and sigmoid 1. Raises ValueError for any other name.
    """
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, (int, float))):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _fan(tensor: Tensor, mode: str) -> int:
    modes = ["fan_in", "fan_out"]
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]


def _fill(tensor: Tensor, value: Any) -> Tensor:
    if isinstance(value, np.ndarray):
        value = to_device(value, device_of(tensor.array))
    tensor.array[...] = value
    return tensor


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on [a, b)."""
    drawing.fill_uniform(tensor.array, a, b, generator)
    return tensor


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal with `mean` and standard deviation `std`."""
    drawing.fill_normal(tensor.array, mean, std, generator)
    return tensor


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal with `mean` and `std`, confined to [a, b].

    Uniform numbers between the distribution's values at a and b, through its inverse; in the
    upper tail, where these values round to 1, those of the mirrored lower tail.
    Raises RuntimeError for a > b, ZeroDivisionError for std = 0.
    """
    if a > b:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}"
        )
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    if std == 0:
        raise ZeroDivisionError("trunc_normal_: std must not be 0, got 0")
    low, high = sorted(((a - mean) / std, (b - mean) / std))
    array = tensor.array
    uniform = drawing.draw_uniform(array.shape, np.float64, generator, device_of(array))
    values = -_truncated(-high, -low, uniform) if low > 0 else _truncated(low, high, uniform)
    return _fill(tensor, np.clip(mean + std * values, a, b))


def _truncated(low: float, high: float, uniform: Any) -> Any:
    """Standard normal on [low, high], low <= 0: where `uniform` of the way lies between the two."""
    if high < _DEEP:
        return _truncated_deep(low, high, uniform)
    # NormalDist.cdf is 1 + erf, which has no digits left in the tail.
    first, last = (math.erfc(-z / math.sqrt(2)) / 2 for z in (low, high))
    drawn = first + (last - first) * uniform
    limits = np.finfo(np.float64)  # the inverse is infinite at 0 and 1
    return xp(drawn).ndtri(xp(drawn).clip(drawn, limits.tiny, 1 - limits.epsneg))


_DEEP = -36.0  # further down the distribution function leaves float64's range


def _truncated_deep(low: float, high: float, uniform: Any) -> Any:
    """The same far down, by ratios of the distribution function to its value at `high`.

    Phi(-t) = exp(-t^2 / 2) / (t sqrt(2 pi)) (1 - 1/t^2 + 3/t^4 - ...) (Abramowitz & Stegun 1964,
    26.2.12). The distance d from t = -high is found by Newton's method.
    """
    t = -high

    def series(t: Any) -> Any:
        s = 1 / (t * t)
        return 1 - s * (1 - 3 * s * (1 - 5 * s))

    def log_ratio(d: Any) -> Any:
        return -d * (t + d / 2) - np.log1p(d / t) + np.log(series(t + d) / series(t))

    with np.errstate(all="ignore"):
        rest = np.exp(log_ratio(min(high - low, 1e150)))  # of the distribution, below `low`
        share = np.maximum(rest + uniform * (1 - rest), np.finfo(np.float64).tiny)
    d = -2 * np.log(share) / (t + np.sqrt(t * t - 2 * np.log(share)))
    for _ in range(4):
        d = d + (log_ratio(d) - np.log(share)) * series(t + d) / (t + d)
    return high - d


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Sets all elements to `val`."""
    return _fill(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Sets all elements to 1."""
    return _fill(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Sets all elements to 0."""
    return _fill(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix; raises ValueError unless the tensor has two axes."""
    if tensor.array.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _fill(tensor, np.eye(*tensor.array.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Convolution kernels (out, in, ...) that pass their input on, as far as channels go.

    `groups`: each group of output channels does so. Raises ValueError unless the tensor has 3, 4
    or 5 axes and the first is a multiple of `groups`.
    """
    shape = tensor.array.shape
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, got {len(shape)}")
    if shape[0] % groups:
        raise ValueError(f"dim 0 must be divisible by groups, got {shape[0]} and {groups}")
    per_group = shape[0] // groups
    value = np.zeros(shape)
    middle = tuple(n // 2 for n in shape[2:])
    for first in range(0, shape[0], per_group or 1):
        for channel in range(min(per_group, shape[1])):
            value[(first + channel, channel, *middle)] = 1
    return _fill(tensor, value)


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """A normal matrix with a share `sparsity` of each column set to 0. Martens 2010.

    Raises ValueError unless the tensor has two axes.
    """
    if tensor.array.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.array.shape
    value = std * drawing.draw_normal((rows, columns), np.float64, generator)
    places = np.argsort(drawing.draw_uniform((rows, columns), np.float64, generator), axis=0)
    zeros = places[: math.ceil(sparsity * rows)]
    np.put_along_axis(value, zeros, 0, axis=0)
    return _fill(tensor, value)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on +-gain sqrt(6 / (fan_in + fan_out)). Glorot & Bengio 2010."""
    bound = gain * math.sqrt(6 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with std = gain sqrt(2 / (fan_in + fan_out)). Glorot & Bengio 2010."""
    std = gain * math.sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Uniform on +-gain sqrt(3 / fan). He et al. 2015, arXiv:1502.01852.

    `a`: the slope of leaky_relu below 0. `mode`: "fan_in" keeps the variance of the forward pass,
    "fan_out" that of the backward pass.
    """
    if _nothing_to_fill(tensor):
        return tensor
    bound = math.sqrt(3) * calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal with std = gain / sqrt(fan), otherwise as `kaiming_uniform_`."""
    if _nothing_to_fill(tensor):
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


def _nothing_to_fill(tensor: Tensor) -> bool:
    if 0 in tensor.array.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """`gain` times a (semi-)orthogonal matrix; axes after the first count as one.

    Raises ValueError for fewer than two axes. Saxe et al. 2013, arXiv:1312.6120.
    """
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.array.size == 0:
        return tensor
    rows, columns = shape[0], tensor.array.size // shape[0]
    drawn = drawing.draw_normal((rows, columns), np.float64, generator)
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q *= np.sign(np.diag(r))  # makes Q uniform over the orthogonal matrices
    return _fill(tensor, gain * (q.T if rows < columns else q).reshape(shape))


def _old_name(function: Any) -> Any:
    """The function under its name without the underscore, which warns."""
    new = function.__name__
    old = new.rstrip("_")

    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    renamed.__name__ = old
    return renamed


uniform, normal, constant, eye, dirac = map(_old_name, (uniform_, normal_, constant_, eye_, dirac_))
xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, orthogonal, sparse = map(
    _old_name,
    (xavier_uniform_, xavier_normal_, kaiming_uniform_, kaiming_normal_, orthogonal_, sparse_),
)
