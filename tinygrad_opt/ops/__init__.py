"""The operations, by NumPy's names: what `xp(tensor)` answers to.

Each is one forward/pullback pair (see `autograd.graph.op`). The public functions and methods, by
PyTorch's names, are thin wrappers over these.
"""

from __future__ import annotations

from typing import Any

from ..autograd.errors import axis_index
from ..autograd.graph import Variable, wrap_plain
from ..backend import xp
from .elementwise import (
    abs,
    add,
    cast,
    clip,
    clone,
    cos,
    div,
    erf,
    exp,
    expm1,
    gelu,
    gelu_tanh,
    leaky_relu,
    log,
    log1p,
    log2,
    log10,
    maximum,
    minimum,
    mul,
    neg,
    power,
    relu,
    sigmoid,
    silu,
    sin,
    softplus,
    sqrt,
    sub,
    tanh,
    to_device,
    where,
)  # fmt: skip
from .index import getitem, scatter_add, take_along_axis
from .linalg import dot, linear, matmul
from .loss import cross_entropy, mean_squared_error, softmax_cross_entropy
from .reduce import (
    amax,
    amin,
    cumsum,
    log_softmax,
    logsumexp,
    mean,
    norm2,
    softmax,
    sum,
)  # fmt: skip
from .shape import broadcast_to, concatenate, flip, reshape, stack, transpose

copy = clone


def sum_rows(x: Any) -> Any:
    return sum(x, axis=0)


def cross_entropy_rows(z: Any, index: Any) -> tuple[Any, Any]:
    onehot = xp(index).zeros(z.array.shape, z.array.dtype)
    onehot[xp(index).arange(len(index)), index] = 1
    return cross_entropy(z, index=index), softmax(z, axis=1) - onehot


def _constant(name: str) -> Any:
    """A function without a gradient: the array library's own, result wrapped and not recorded."""

    def function(x: Any, *args: Any, **kwargs: Any) -> Any:
        raw = x.array if isinstance(x, Variable) else x
        args = tuple(a.array if isinstance(a, Variable) else a for a in args)
        y = getattr(xp(raw), name)(raw, *args, **kwargs)
        return wrap_plain(y) if isinstance(x, Variable) else y

    function.__name__ = name
    return function


sign, floor, ceil, round, zeros_like, ones_like = map(
    _constant, ("sign", "floor", "ceil", "round", "zeros_like", "ones_like")
)
isnan, isinf, isfinite, logical_not = map(_constant, ("isnan", "isinf", "isfinite", "logical_not"))


def swapaxes(x: Any, a: int, b: int) -> Any:
    axes = list(range(len(x.shape)))
    a, b = axis_index(a, len(axes)), axis_index(b, len(axes))
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return transpose(x, axes=tuple(axes))
