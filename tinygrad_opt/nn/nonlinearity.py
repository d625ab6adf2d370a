"""The activations as functions. `inplace` is accepted everywhere, and the input keeps its values.

The formulas stand in `ops/`; here are PyTorch's names, arguments and checks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions, ops, random
from .._tensor import Tensor
from .._warn import warn_caller
from ..autograd.errors import axis_index
from ..autograd.graph import wrap_plain
from ..autograd.half import widened
from ..backend import device_of, to_device, xp
from ..ops import sigmoid, tanh
from ..public import publish

__all__ = [
    "celu", "elu", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "leaky_relu", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6",
    "rrelu", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign",
    "tanh", "tanhshrink", "threshold",
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
