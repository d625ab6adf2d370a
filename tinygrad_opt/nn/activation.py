"""Activations as modules; the functions are in `nonlinearity`, the formulas in `ops/`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions, ops
from ..arrays import random
from ..arrays.device import device_of, to_device
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor, wrap_plain
from ..ops import sigmoid, tanh
from ..tensors.creation import full
from .errors import warn_caller
from .module import Module
from .parameter import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "celu",
    "elu",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]  # fmt: skip


# Piecewise linear ---------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0), with slope 0 at 0."""
    return ops.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input, 0), 6). Howard et al. 2017, arXiv:1704.04861."""
    return ops.hardtanh(input, low=0, high=6)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`input` where positive, else negative_slope * input."""
    return ops.leaky_relu(input, negative_slope=negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`input` where positive, else weight * input. He et al. 2015, arXiv:1502.01852.

    input   (N, C, ...), or any shape if `weight` has a single element
    weight  one slope, or (C,) one for each channel

    Raises RuntimeError for a weight of more axes, or of another length than C.
    """
    slopes, shape = weight.array.shape, input.array.shape
    if len(slopes) > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {len(slopes)}"
        )
    if weight.array.size != 1:
        if not shape:
            raise RuntimeError(
                "prelu: Not allow zero-dim input tensor with one slope for each channel"
            )
        channels = shape[1] if len(shape) > 1 else 1
        if channels != slopes[0]:
            raise RuntimeError(
                "prelu: Mismatch of parameter numbers and input channel size. Found parameter "
                f"numbers = {slopes[0]} and channel size = {channels}."
            )
    return ops.prelu(input, weight.reshape((-1,) + (1,) * (len(shape) - 2) if shape else ()))


def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
    inplace: bool = False,
) -> Tensor:  # fmt: skip
    """`input` where positive, else times a slope: random on [lower, upper), or their middle.

    `training`: draw a slope for each element. Raises RuntimeError for lower > upper.
    Xu et al. 2015, arXiv:1505.00853.
    """
    if lower > upper:
        raise RuntimeError(
            "rrelu: Lower bound should be less than or equal to the upper bound, got "
            f"{lower} and {upper}"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    drawn = random.draw_uniform(input.array.shape, input.array.dtype)
    slopes = to_device(drawn * (upper - lower) + lower, device_of(input.array))
    return ops.prelu(input, wrap_plain(slopes))


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """`input` limited to [min_val, max_val]. Raises ValueError for min_val > max_val."""
    if min_val > max_val:
        raise ValueError(
            f"hardtanh: min_val cannot be greater than max_val, got {min_val} and {max_val}"
        )
    return ops.hardtanh(input, low=min_val, high=max_val)


@widened
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(input + 3) / 6."""
    return relu6(input + 3) / 6


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input` * relu6(input + 3) / 6. Howard et al. 2019, arXiv:1905.02244."""
    return ops.hardswish(input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where |input| <= lambd, else the input."""
    return ops.hardshrink(input, threshold=lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`input` moved towards 0 by lambd, and 0 within. Raises RuntimeError for a negative lambd."""
    if not lambd >= 0:
        raise RuntimeError(f"softshrink: lambda must be in range [0, inf], but found {lambd}")
    return ops.softshrink(input, threshold=lambd)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`input` where above the threshold, else `value`."""
    return ops.threshold(input, threshold=threshold, value=value)


# Smooth -------------------------------------------------------------------------------------------


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else alpha * (exp(input) - 1). Clevert et al. 2015."""
    return ops.elu(input, alpha=alpha)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else alpha * (exp(input / alpha) - 1). Barron 2017.

    Raises RuntimeError for alpha = 0.
    """
    if alpha == 0:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0 for CELU")
    return ops.elu(input, alpha=alpha, rate=1 / alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(input, alpha), constants that keep mean 0 and variance 1.

    Klambauer et al. 2017, arXiv:1706.02515.
    """
    return ops.elu(input, alpha=1.6732632423543772, scale=1.0507009873554805)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`input` * sigmoid(input)."""
    return ops.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input` * tanh(softplus(input)). Misra 2019, arXiv:1908.08681."""
    return ops.mish(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`input` times its normal distribution function. Hendrycks & Gimpel 2016, arXiv:1606.08415.

    `approximate`: "none" for the exact function, "tanh" for the paper's approximation.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(
            f"approximate argument must be either none or tanh., got {approximate!r}"
        )
    return ops.gelu(input) if approximate == "none" else ops.gelu_tanh(input)


@widened
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of `input` along `dim`, times the sigmoid of the second.

    Raises RuntimeError for an odd length. Dauphin et al. 2016, arXiv:1612.08083.
    """
    shape = input.array.shape
    if not shape:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = axis_index(dim, len(shape))
    if shape[axis] % 2:
        raise RuntimeError(
            f"glu: Halving dimension must be even, but dimension {axis} is size {shape[axis]}"
        )
    before, half = (slice(None),) * axis, shape[axis] // 2
    return input[(*before, slice(half))] * sigmoid(input[(*before, slice(half, None))])


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input > threshold."""
    return ops.softplus(input, beta=beta, threshold=threshold)


def softsign(input: Tensor) -> Tensor:
    """`input` / (1 + |input|)."""
    return ops.softsign(input)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(input)), computed without overflow."""
    return ops.log_sigmoid(input)


@widened
def tanhshrink(input: Tensor) -> Tensor:
    """`input` - tanh(input)."""
    return input - tanh(input)


# Distributions ------------------------------------------------------------------------------------


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(input) / sum of exp(input) along `dim`."""
    return functions.softmax(input, _chosen(input, dim, "softmax"), dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-input) along `dim`."""
    return functions.softmax(-input, _chosen(input, dim, "softmin"), dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(input)) along `dim`, computed without overflow."""
    return functions.log_softmax(input, _chosen(input, dim, "log_softmax"), dtype)


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
    uniform = random.draw_uniform(array.shape, np.float64, generator)
    noise = -np.log(-np.log(np.maximum(uniform, np.finfo(np.float64).tiny)))
    moved = to_device(noise.astype(array.dtype), device_of(array))
    soft = functions.softmax((logits + wrap_plain(moved)) / tau, dim)
    if not hard:
        return soft
    first = xp(array).expand_dims(soft.array.argmax(axis=dim), dim)
    onehot = xp(array).zeros_like(soft.array)
    xp(array).put_along_axis(onehot, first, 1, axis=dim)
    return soft + wrap_plain(onehot - soft.array)


publish(globals(), __all__)


# Activations as modules; the functions are in `nonlinearity`, the formulas in `ops/` --------------


class _Activation(Module):
    """An activation with PyTorch's `inplace` argument: here it saves nothing, and changes nothing.

    The result is that of `inplace=False`, and the input keeps its values. `_shown` names the
    attributes that the repr shows.
    """

    _shown: tuple[str, ...] = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        shown = [f"{name}={getattr(self, name)}" for name in self._shown]
        return ", ".join([*shown, "inplace=True"] if self.inplace else shown)


# Piecewise linear ---------------------------------------------------------------------------------


class ReLU(_Activation):
    """max(x, 0)."""

    def forward(self, input: Tensor) -> Tensor:
        return relu(input)


class LeakyReLU(_Activation):
    """x where x > 0, else negative_slope x."""

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return leaky_relu(input, self.negative_slope)


class PReLU(Module):
    """x where x > 0, else weight x, with a trained slope.

    num_parameters  1 slope for all, or one for each channel of (N, C, ...)
    init            where `weight` (num_parameters,) starts

    He et al. 2015, arXiv:1502.01852.
    """

    weight: Parameter

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Sets the slopes to `init`."""
        self.weight.array[...] = self.init

    def forward(self, input: Tensor) -> Tensor:
        return prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(_Activation):
    """x where x > 0, else times a slope: drawn from [lower, upper) in training, else the middle."""

    _shown = ("lower", "upper")

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper

    def forward(self, input: Tensor) -> Tensor:
        return rrelu(input, self.lower, self.upper, self.training)


class Hardtanh(_Activation):
    """x limited to [min_val, max_val]; `min_value` and `max_value` are their old names.

    Raises AssertionError, as PyTorch does, unless min_val < max_val.
    """

    _shown: tuple[str, ...] = ("min_val", "max_val")

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False,
        min_value: float | None = None, max_value: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(inplace)
        self.min_val = _renamed("min", min_val, min_value)
        self.max_val = _renamed("max", max_val, max_value)
        if not self.max_val > self.min_val:
            raise AssertionError(
                f"Hardtanh: max_val ({self.max_val}) must be greater than min_val ({self.min_val})"
            )

    def forward(self, input: Tensor) -> Tensor:
        return hardtanh(input, self.min_val, self.max_val)


def _renamed(end: str, value: float, old: float | None) -> float:
    if old is None:
        return value
    warn_caller(
        f"keyword argument `{end}_value` is deprecated and renamed to `{end}_val`", FutureWarning
    )
    return old


class ReLU6(Hardtanh):
    """min(max(x, 0), 6). Howard et al. 2017, arXiv:1704.04861."""

    _shown = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Hardsigmoid(_Activation):
    """relu6(x + 3) / 6."""

    def forward(self, input: Tensor) -> Tensor:
        return hardsigmoid(input)

    def extra_repr(self) -> str:
        return ""  # PyTorch's shows nothing either


class Hardswish(_Activation):
    """x relu6(x + 3) / 6. Howard et al. 2019, arXiv:1905.02244."""

    def forward(self, input: Tensor) -> Tensor:
        return hardswish(input)

    def extra_repr(self) -> str:
        return ""  # PyTorch's shows nothing either


class _Shrink(Module):
    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """0 where |x| <= lambd, else x."""

    def forward(self, input: Tensor) -> Tensor:
        return hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """x moved towards 0 by lambd, and 0 within."""

    def forward(self, input: Tensor) -> Tensor:
        return softshrink(input, self.lambd)


class Threshold(_Activation):
    """x where x > threshold, else value."""

    _shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return threshold(input, self.threshold, self.value)


# Smooth -------------------------------------------------------------------------------------------


class ELU(_Activation):
    """x where x > 0, else alpha (exp(x) - 1)."""

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return elu(input, self.alpha)


class CELU(_Activation):
    """x where x > 0, else alpha (exp(x / alpha) - 1)."""

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return celu(input, self.alpha)


class SELU(_Activation):
    """scale elu(x, alpha), which keeps mean 0 and variance 1. Klambauer et al. 2017."""

    def forward(self, input: Tensor) -> Tensor:
        return selu(input)


class SiLU(_Activation):
    """x sigmoid(x), also called swish."""

    def forward(self, input: Tensor) -> Tensor:
        return silu(input)


class Mish(_Activation):
    """x tanh(softplus(x)). Misra 2019, arXiv:1908.08681."""

    def forward(self, input: Tensor) -> Tensor:
        return mish(input)


class GELU(Module):
    """x Phi(x), Phi the normal distribution function; `approximate="tanh"` approximates it."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class GLU(Module):
    """The first half of x along `dim`, times the sigmoid of the second. Dauphin et al. 2016."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, input: Tensor) -> Tensor:
        return sigmoid(input)


class LogSigmoid(Module):
    """log(sigmoid(x)), computed without overflow."""

    def forward(self, input: Tensor) -> Tensor:
        return logsigmoid(input)


class Tanh(Module):
    """tanh(x)."""

    def forward(self, input: Tensor) -> Tensor:
        return tanh(input)


class Tanhshrink(Module):
    """x - tanh(x)."""

    def forward(self, input: Tensor) -> Tensor:
        return tanhshrink(input)


class Softsign(Module):
    """x / (1 + |x|)."""

    def forward(self, input: Tensor) -> Tensor:
        return softsign(input)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


# Distributions ------------------------------------------------------------------------------------


class _AlongDim(Module):
    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """exp(x) / sum of exp(x) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return softmax(input, self.dim)


class Softmin(_AlongDim):
    """softmax(-x) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return softmin(input, self.dim)


class LogSoftmax(_AlongDim):
    """log(softmax(x)) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return "" if self.dim is None else f"dim={self.dim}"


class Softmax2d(Module):
    """softmax over the channels of images, (N, C, H, W) or (C, H, W); ValueError for others."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return softmax(input, -3)
