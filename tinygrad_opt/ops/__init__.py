"""The operations, by NumPy's names: what `xp(tensor)` answers to.

Each is one forward/pullback pair (see `autograd.graph.op`). The public functions and methods, by
PyTorch's names, are thin wrappers over these.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.tensor import wrap_plain
from ..kernels.fused import recurrent as recurrent_steps
from . import linalg
from .activation import (  # fmt: skip
    elu,
    gelu,
    gelu_tanh,
    hardshrink,
    hardswish,
    hardtanh,
    leaky_relu,
    log_sigmoid,
    mish,
    prelu,
    silu,
    softplus,
    softshrink,
    softsign,
    threshold,
)  # fmt: skip
from .arithmetic import (
    add,
    div,
    exp,
    expm1,
    lerp,
    log,
    log1p,
    log2,
    log10,
    mul,
    neg,
    pow,
    power,
    relu,
    sigmoid,
    sqrt,
    sub,
    tanh,
)
from .attention import attention
from .choice import abs, cast, clip, clone, maximum, minimum, to_device, where
from .images import (
    columns,
    convolve,
    convolve_input,
    convolve_weight,
    pick,
    resample,
    spread,
    uncolumns,
)
from .index import (
    diagonal,
    getitem,
    lookup,
    put,
    put_extremum,
    put_product,
    scatter_add,
    take_along_axis,
    windows,
)
from .loss import cross_entropy, huber, mean_squared_error, softmax_cross_entropy
from .mathematics import (
    acos,
    acosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    ceil,
    copysign,
    cos,
    cosh,
    erf,
    erfc,
    erfinv,
    exp2,
    floor,
    floor_divide,
    fmod,
    hypot,
    lgamma,
    logaddexp,
    logaddexp2,
    logit,
    nan_to_num,
    polygamma,
    remainder,
    round,
    sign,
    sin,
    sinc,
    sinh,
    tan,
    trunc,
    trunc_divide,
    xlogy,
)
from .normalization import rms_normalize, standardize
from .products import dot, linear, matmul
from .recurrent import gru, lstm, rnn
from .reduce import (
    amax,
    amin,
    cumprod,
    cumsum,
    deviation,
    log_softmax,
    logcumsumexp,
    logsumexp,
    mean,
    norm2,
    norm_p,
    prod,
    softmax,
    sum,
    variance,
)  # fmt: skip
from .shape import broadcast_to, concatenate, flip, reshape, roll, stack, transpose

copy = clone


# The formulas of recurrent layers, with this package as their namespace.
lstm_step, lstm_step_back, gru_step, gru_step_back = (
    functools.partial(formula, sys.modules[__name__])
    for formula in (
        recurrent_steps.lstm_step,
        recurrent_steps.lstm_step_back,
        recurrent_steps.gru_step,
        recurrent_steps.gru_step_back,
    )
)


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
    function.__doc__ = f"NumPy's `{name}`, without gradient."
    return function


zeros_like, ones_like = _constant("zeros_like"), _constant("ones_like")
isnan, isinf, isfinite, logical_not = map(_constant, ("isnan", "isinf", "isfinite", "logical_not"))


def expand_dims(x: Any, axis: int) -> Any:
    at = axis_index(axis, len(x.shape) + 1)
    return reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]))


def swapaxes(x: Any, a: int, b: int) -> Any:
    axes = list(range(len(x.shape)))
    a, b = axis_index(a, len(axes)), axis_index(b, len(axes))
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return transpose(x, axes=tuple(axes))
