"""Activations without corners."""

from __future__ import annotations

from ... import ops
from ...core.errors import axis_index
from ...core.half import widened
from ...core.public import publish
from ...core.tensor import Tensor
from ...functions.outputs import OUT
from ...ops import sigmoid, tanh
from ..layer import Layer, settings
from .base import Activation

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "LogSigmoid", "Mish", "SiLU", "Sigmoid", "Softplus",
    "Softsign", "Tanh", "Tanhshrink", "celu", "elu", "gelu", "glu", "logsigmoid", "mish", "selu",
    "sigmoid", "silu", "softplus", "softsign", "tanh", "tanhshrink",
]  # fmt: skip


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else alpha * (exp(input) - 1). Clevert et al. 2015."""
    return ops.elu(input, alpha=alpha)


class ELU(Activation):
    @settings(elu)
    def __init__(self) -> None: ...


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else alpha * (exp(input / alpha) - 1). Barron 2017.

    Raises RuntimeError for alpha = 0.
    """
    if alpha == 0:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0 for CELU")
    return ops.elu(input, alpha=alpha, rate=1 / alpha)


class CELU(Activation):
    @settings(celu)
    def __init__(self) -> None: ...


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(input, alpha), constants that keep mean 0 and variance 1.

    Klambauer et al. 2017, arXiv:1706.02515.
    """
    return ops.elu(input, alpha=1.6732632423543772, scale=1.0507009873554805)


class SELU(Activation, of=selu): ...


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`input` * sigmoid(input)."""
    return ops.silu(input)


class SiLU(Activation, of=silu): ...


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input` * tanh(softplus(input)). Misra 2019, arXiv:1908.08681."""
    return ops.mish(input)


class Mish(Activation, of=mish): ...


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`input` times its normal distribution function. Hendrycks & Gimpel 2016, arXiv:1606.08415.

    `approximate`: "none" for the exact function, "tanh" for the paper's approximation.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(
            f"approximate argument must be either none or tanh., got {approximate!r}"
        )
    return ops.gelu(input) if approximate == "none" else ops.gelu_tanh(input)


class GELU(Activation):
    @settings(gelu)
    def __init__(self) -> None: ...


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
    return ops.gated(input[(*before, slice(half))], input[(*before, slice(half, None))])


class GLU(Activation):
    @settings(glu)
    def __init__(self) -> None: ...


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input > threshold."""
    return ops.softplus(input, beta=beta, threshold=threshold)


class Softplus(Activation):
    @settings(softplus)
    def __init__(self) -> None: ...


def softsign(input: Tensor) -> Tensor:
    """`input` / (1 + |input|)."""
    return ops.softsign(input)


class Softsign(Layer, of=softsign): ...


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(input)), computed without overflow."""
    return ops.log_sigmoid(input)


class LogSigmoid(Layer, of=logsigmoid): ...


@widened
def tanhshrink(input: Tensor) -> Tensor:
    """`input` - tanh(input)."""
    return input - tanh(input)


class Tanhshrink(Layer, of=tanhshrink): ...


publish(globals(), __all__, out=OUT["nn.functional"])


# Operations, whose argument is only called `input` from here on.


class Sigmoid(Layer, of=sigmoid):
    """1 / (1 + exp(-x))."""


class Tanh(Layer, of=tanh):
    """tanh(x)."""
