"""What becomes of each operation of `tinygrad_opt.ops`: a row in ROWS, by its name.

A row takes the graph and the event `e`, whose arguments are `e.x`, `e.axis` and so on, by the names
in `ops`; `e.shape` and `e.dtype` are the result's. It answers the name of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.size import WHOLE
from .graph import Graph, Value

__all__ = ["ROWS", "row"]

Row = Callable[[Graph, Any], Any]
ROWS: dict[str, Row] = {}


def row(*names: str) -> Callable[[Row], Row]:
    """Enter a function into ROWS."""

    def enter(function: Row) -> Row:
        for name in names:
            ROWS[name] = function
        return function

    return enter


# One node each ------------------------------------------------------------------------------------

_UNARY = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh",
    "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "clone": "Identity", "cos": "Cos",
    "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "hardswish": "HardSwish",
    "log": "Log", "neg": "Neg", "relu": "Relu", "sigmoid": "Sigmoid",
    "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "softsign": "Softsign", "sqrt": "Sqrt",
    "tan": "Tan", "tanh": "Tanh", "to_device": "Identity",
}  # fmt: skip
_BINARY = {
    "add": "Add", "div": "Div", "maximum": "Max", "minimum": "Min", "mul": "Mul", "pow": "Pow",
    "sub": "Sub",
}  # fmt: skip


def _unary(op: str) -> Row:
    return lambda g, e: g(op, g.operand(e.x, e.dtype))


def _binary(op: str) -> Row:
    return lambda g, e: g(op, g.operand(e.x, e.dtype), g.operand(e.y, e.dtype))


ROWS |= {name: _unary(op) for name, op in _UNARY.items()}
ROWS |= {name: _binary(op) for name, op in _BINARY.items()}
ROWS |= {
    "softmax": lambda g, e: g("Softmax", e.x, axis=e.axis),
    "log_softmax": lambda g, e: g("LogSoftmax", e.x, axis=e.axis),
    "leaky_relu": lambda g, e: g("LeakyRelu", e.x, alpha=float(e.negative_slope)),
    "prelu": lambda g, e: g("PRelu", e.x, e.weight),
    "cast": lambda g, e: g("Cast", e.x, to=g.type_of(e.dtype)),
    "reshape": lambda g, e: g.reshaped(e.x, e.given("shape")),
    "broadcast_to": lambda g, e: g("Expand", e.x, g.ints(e.shape)),
    "concatenate": lambda g, e: g("Concat", *(g.operand(p, e.dtype) for p in e.parts), axis=e.axis),
    "take_along_axis": lambda g, e: g("GatherElements", e.x, e.indices, axis=e.axis),
    "lookup": lambda g, e: g("Gather", e.weight, e.index, axis=0),
    "log_sigmoid": lambda g, e: g("Neg", g("Softplus", g("Neg", e.x))),
    "mish": lambda g, e: g("Mul", e.x, g("Tanh", g("Softplus", e.x))),
    "silu": lambda g, e: g("Mul", e.x, g("Sigmoid", e.x)),
    "cumsum": lambda g, e: g("CumSum", e.x, g.scalar(e.axis, np.int64)),
}


def _of_numbers(g: Graph, e: Any) -> tuple[Callable[[float], str], Callable[..., str]]:
    """(numbers in the result's type, nodes whose plain numbers are such)."""

    def number(value: float) -> str:
        return g.scalar(value, e.dtype)

    def node(op: str, *inputs: Any) -> str:
        return g(op, *(number(x) if isinstance(x, (int, float)) else x for x in inputs))

    return number, node


# Elements -----------------------------------------------------------------------------------------


@row("gelu")
def _gelu(g: Graph, e: Any) -> str:
    _, f = _of_numbers(g, e)
    half = f("Mul", e.x, 0.5)
    return f("Mul", half, f("Add", f("Erf", f("Mul", e.x, math.sqrt(0.5))), 1.0))


@row("gelu_tanh")
def _gelu_tanh(g: Graph, e: Any) -> str:
    _, f = _of_numbers(g, e)
    cube = f("Mul", f("Mul", e.x, e.x), e.x)
    u = f("Mul", f("Add", e.x, f("Mul", cube, 0.044715)), 2 * math.sqrt(2 / math.pi))
    return f("Mul", e.x, f("Sigmoid", u))


@row("elu")
def _elu(g: Graph, e: Any) -> str:
    if e.scale == 1.0 and e.rate == 1.0:
        return g("Elu", e.x, alpha=float(e.alpha))
    if e.rate == 1.0:
        return g("Selu", e.x, alpha=float(e.alpha), gamma=float(e.scale))
    _, f = _of_numbers(g, e)
    low = f("Sub", f("Exp", f("Mul", f("Min", e.x, 0.0), e.rate)), 1.0)
    below = f("Mul", low, e.scale * e.alpha)
    return f("Add", f("Mul", f("Max", e.x, 0.0), e.scale), below)


@row("softplus")
def _softplus(g: Graph, e: Any) -> str:
    _, f = _of_numbers(g, e)
    if e.beta == 1.0:
        return g("Softplus", e.x)
    return f("Div", f("Softplus", f("Mul", e.x, e.beta)), e.beta)


@row("mean_softplus")
def _mean_softplus(g: Graph, e: Any) -> str:
    return g.reduced("ReduceMean", _softplus(g, e), None, False)


@row("negative_log_likelihood")
def _negative_log_likelihood(g: Graph, e: Any) -> str:
    reduction = "mean" if e.mean else "none"
    return g("NegativeLogLikelihoodLoss", e.logp, e.index, reduction=reduction)


@row("hardtanh")
def _hardtanh(g: Graph, e: Any) -> str:
    number, _ = _of_numbers(g, e)
    return g("Clip", e.x, number(e.low), number(e.high))


@row("clip", "clamp")
def _clip(g: Graph, e: Any) -> str:
    x = g.operand(e.x, e.dtype)
    for op, bound in (("Max", e.min), ("Min", e.max)):
        if bound is not None:
            x = g(op, x, g.operand(bound, e.dtype))
    return g("Identity", x) if e.min is e.max is None else x


@row("threshold", "hardshrink", "softshrink")
def _thresholds(g: Graph, e: Any) -> str:
    _, f = _of_numbers(g, e)
    if e.name == "threshold":
        return f("Where", f("Greater", e.x, e.threshold), e.x, e.value)
    if e.name == "hardshrink":
        return f("Where", f("Greater", f("Abs", e.x), e.threshold), e.x, 0.0)
    return g("Shrink", e.x, lambd=float(e.threshold), bias=float(e.threshold))


@row("reciprocal", "rsqrt")
def _inverse(g: Graph, e: Any) -> str:
    return g("Reciprocal", e.x if e.name == "reciprocal" else g("Sqrt", e.x))


@row("scaled")
def _scaled(g: Graph, e: Any) -> str:
    return g("Mul", g.operand(e.x, e.dtype), g.operand(e.by, e.dtype))


@row("logit", "logit_within")
def _logit(g: Graph, e: Any) -> str:
    number, f = _of_numbers(g, e)
    x = g.operand(e.x, e.dtype)
    if e.name == "logit_within":
        x = g("Clip", x, number(e.eps), number(1 - e.eps))
    return f("Sub", f("Log", x), f("Log", f("Sub", 1.0, x)))


@row("expm1", "log1p", "log2", "log10", "exp2", "erfc", "round", "trunc")
def _composed(g: Graph, e: Any) -> str:
    _, f = _of_numbers(g, e)
    x = g.operand(e.x, e.dtype)
    if e.name == "round" and e.decimals:
        scale = 10.0**e.decimals
        return f("Div", f("Round", f("Mul", x, scale)), scale)
    return {
        "expm1": lambda: f("Sub", f("Exp", x), 1.0),
        "log1p": lambda: f("Log", f("Add", x, 1.0)),
        "log2": lambda: f("Mul", f("Log", x), 1 / math.log(2)),
        "log10": lambda: f("Mul", f("Log", x), 1 / math.log(10)),
        "exp2": lambda: f("Exp", f("Mul", x, math.log(2))),
        "erfc": lambda: f("Sub", 1.0, f("Erf", x)),
        "round": lambda: f("Round", x),
        "trunc": lambda: f("Mul", f("Sign", x), f("Floor", f("Abs", x))),
    }[e.name]()


@row("floor_divide", "remainder", "fmod", "lerp")
def _arithmetic(g: Graph, e: Any) -> str:
    x, y = g.operand(e.x, e.dtype), g.operand(e.y, e.dtype)
    if e.name == "lerp":
        return g("Add", x, g("Mul", g.operand(e.weight, e.dtype), g("Sub", y, x)))
    if e.name == "fmod":
        return g("Mod", x, y, fmod=1)
    if e.dtype.kind == "f":
        quotient = g("Floor", g("Div", x, y))
        return quotient if e.name == "floor_divide" else g("Sub", x, g("Mul", quotient, y))
    rest = g("Mod", x, y)
    return rest if e.name == "remainder" else g("Div", g("Sub", x, rest), y)


@row("absolute_error", "add_scaled", "addcdiv", "addcmul", "gated")
def _of_several(g: Graph, e: Any) -> str:
    if e.name == "gated":
        return g("Mul", e.x, g("Sigmoid", e.y))
    if e.name == "absolute_error":
        return g("Abs", g("Sub", e.x, e.y))
    if e.name == "add_scaled":
        return g("Add", e.x, g("Mul", e.y, g.operand(e.alpha, e.dtype)))
    both = g("Mul" if e.name == "addcmul" else "Div", e.y, e.z)
    return g("Add", e.x, g("Mul", both, g.operand(e.value, e.dtype)))


@row("hardsigmoid")
def _hardsigmoid(g: Graph, e: Any) -> str:
    return g("HardSigmoid", e.x, alpha=1 / 6, beta=0.5)


@row("where")
def _where(g: Graph, e: Any) -> str:
    condition = g.operand(e.condition, np.dtype(bool))
    return g("Where", condition, g.operand(e.x, e.dtype), g.operand(e.y, e.dtype))


# Products and sums --------------------------------------------------------------------------------


@row("linear")
def _linear(g: Graph, e: Any) -> str:
    if e.x.ndim == 2:
        return g("Gemm", e.x, e.weight, e.bias, transB=1)
    y = g("MatMul", e.x, g("Transpose", e.weight, perm=[1, 0]))
    return y if e.bias is None else g("Add", y, e.bias)


@row("matmul")
def _matmul(g: Graph, e: Any) -> str:
    return g("MatMul", g.operand(e.x, e.dtype), g.operand(e.y, e.dtype))


_REDUCTIONS = {
    "sum": "ReduceSum", "mean": "ReduceMean", "amax": "ReduceMax", "amin": "ReduceMin",
    "prod": "ReduceProd", "logsumexp": "ReduceLogSumExp", "norm2": "ReduceL2",
}  # fmt: skip


def axes_of(axis: Any) -> list[int] | None:
    """The axes of a reduction as a list; None for all."""
    return None if axis is None else [axis] if isinstance(axis, WHOLE) else list(axis)


@row(*_REDUCTIONS)
def _reduction(g: Graph, e: Any) -> str:
    return g.reduced(_REDUCTIONS[e.name], g.operand(e.x, e.dtype), axes_of(e.axis), e.keepdims)


@row("cosine")
def _cosine(g: Graph, e: Any) -> str:
    def unit(v: Any) -> str:
        norm = g.reduced("ReduceL2", g.operand(v, e.dtype), axes_of(e.axis), True)
        return g("Div", v, g("Max", norm, g.operand(e.eps, e.dtype)))

    return g.reduced("ReduceSum", g("Mul", unit(e.x), unit(e.y)), axes_of(e.axis), False)


@row("variance", "deviation")
def _variance(g: Graph, e: Any) -> str:
    axes = axes_of(e.axis)
    apart = g("Sub", e.x, g.reduced("ReduceMean", e.x, axes, True))
    total = g.reduced("ReduceSumSquare", apart, axes, e.keepdims)
    count = None
    for axis in range(e.x.ndim) if axes is None else axes:
        length = g.length(e.x.shape[axis], e.dtype)
        count = length if count is None else g("Mul", count, length)
    _, f = _of_numbers(g, e)
    variance = f("Div", total, f("Sub", count, float(e.correction)))
    return variance if e.name == "variance" else f("Sqrt", variance)


# Normalisation, attention -------------------------------------------------------------------------


@row("standardize", "rms_normalize")
def _standardize(g: Graph, e: Any) -> str:
    _, f = _of_numbers(g, e)
    axes = list(e.axes)
    apart = e.x
    if e.name == "standardize":
        apart = g("Sub", e.x, g.reduced("ReduceMean", e.x, axes, True))
    variance = g.reduced("ReduceMean", g("Mul", apart, apart), axes, True)
    y = f("Div", apart, f("Sqrt", f("Add", variance, float(e.eps))))
    y = y if e.weight is None else g("Mul", y, e.weight)
    return y if e.given("bias") is None else g("Add", y, e.bias)


@row("affine")
def _affine(g: Graph, e: Any) -> str:
    along = [-1, *(1,) * (e.x.ndim - 2)]
    scaled = g("Mul", e.x, g.reshaped(e.scale, along))
    return g("Add", scaled, g.reshaped(e.shift, along))


@row("attention")
def _attention(g: Graph, e: Any) -> str:
    if e.factor is not None:
        raise NotImplementedError("attention with dropout in training")
    number, f = _of_numbers(g, e)
    axes = list(range(e.key.ndim))
    turned = g("Transpose", e.key, perm=[*axes[:-2], axes[-1], axes[-2]])
    scores = f("MatMul", f("Mul", e.query, float(e.scale)), turned)
    low = number(-math.inf)
    if e.causal:
        ones = g("Expand", g.scalar(1, np.int64), g.ints([e.query.shape[-2], e.key.shape[-2]]))
        seen = g("Cast", g("Trilu", ones, upper=0), to=g.type_of(bool))
        scores = g("Where", seen, scores, low)
    elif isinstance(e.mask, Value) and e.mask.dtype == bool:
        scores = g("Where", e.mask, scores, low)
    elif e.mask is not None:
        scores = g("Add", scores, g.operand(e.mask, e.dtype))
    return g("MatMul", g("Softmax", scores, axis=-1), e.value)


# Shapes -------------------------------------------------------------------------------------------


@row("transpose")
def _transpose(g: Graph, e: Any) -> str:
    axes = range(e.x.ndim)
    order = list(reversed(axes)) if e.axes is None else [a % e.x.ndim for a in e.axes]
    return g("Transpose", e.x, perm=order)


@row("stack")
def _stack(g: Graph, e: Any) -> str:
    axis = e.axis % len(e.shape)
    parts = [g("Unsqueeze", g.operand(p, e.dtype), g.ints([axis])) for p in e.parts]
    return g("Concat", *parts, axis=axis)


@row("flip")
def _flip(g: Graph, e: Any) -> str:
    axes = axes_of(e.axis) or list(range(e.x.ndim))
    return g.sliced(e.x, axes, [-1] * len(axes), [-(2**63)] * len(axes), [-1] * len(axes))


@row("roll")
def _roll(g: Graph, e: Any) -> str:
    x = e.x
    for shift, axis in zip(np.atleast_1d(e.shift), np.atleast_1d(e.axis), strict=True):
        if shift:
            behind = g.sliced(x, [int(axis)], [-int(shift)], [2**63 - 1])
            before = g.sliced(x, [int(axis)], [0], [-int(shift)])
            x = g("Concat", behind, before, axis=int(axis))
    return g("Identity", x)
