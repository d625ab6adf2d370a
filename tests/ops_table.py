"""OPS: one row for each differentiable operation and function, for the generic tests to run over.

A row's function takes the module first (`tinygrad_opt` or, in the peers tier, `torch`), since most
calls are spelled the same in both; `peer` is given where they are not. Samplers keep off kinks,
ties and poles, where finite differences say nothing.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_opt import ops

# Public functions without a gradient, for which the table needs no row.
NO_GRADIENT = {
    "all", "allclose", "any", "argmax", "argmin", "ceil", "eq", "equal", "floor", "ge", "gt",
    "isclose", "isfinite", "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or", "lt",
    "ne", "ones_like", "round", "sign", "zeros_like",
}  # fmt: skip


class Row(NamedTuple):
    """One operation with what is known of it."""

    name: str  # the public name, then after a colon what is special about this row
    call: Callable[..., Any]  # (module, *tensors) -> Tensor
    sample: Callable[..., Any]  # rng -> float64 arrays; elementwise rows: (rng, *shapes)
    ref: Callable[..., Any] | None  # arrays -> array, in NumPy
    peer: Callable[..., Any] | None = None  # (torch, *tensors), where `call` does not fit torch
    arity: int = 0  # number of inputs, for elementwise rows only
    second: bool = True  # whether the derivative can be differentiated

    @property
    def covers(self):
        """The public name that this row tests."""
        return self.name.partition(":")[0]

    def inputs(self, seed=0):
        """The sampled arrays, always the same."""
        rng = np.random.default_rng(seed)
        return self.sample(rng, *[(2, 3)] * self.arity) if self.arity else self.sample(rng)


# Values -------------------------------------------------------------------------------------------


def normal(rng, shape=(2, 3)):
    return rng.standard_normal(shape)


def positive(rng, shape=(2, 3)):
    return rng.uniform(0.3, 3.0, shape)


def off_zero(rng, shape=(2, 3)):
    return rng.uniform(0.2, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


def apart(rng, shape=(2, 3)):
    """Values of which no two are closer than 0.1."""
    n = math.prod(shape)
    return (rng.permutation(n) - n / 2 + rng.uniform(0.1, 0.9, n)).reshape(shape) / 3


def off_bounds(rng, shape=(2, 3)):
    """Values at least 0.1 away from the bounds -0.5 and 0.5."""
    x = rng.uniform(0.6, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
    return np.where(rng.uniform(size=shape) < 0.5, x, rng.uniform(-0.4, 0.4, shape))


def of(*shapes, values=normal):
    """A sampler of one array for each shape."""
    return lambda rng: tuple(values(rng, shape) for shape in shapes)


# Constructors of rows -----------------------------------------------------------------------------


def unary(name, ref, values=normal, call=None, peer=None):
    name_ = name.partition(":")[0]
    call = call or (lambda m, x: getattr(m, name_)(x))
    return Row(name, call, lambda rng, shape: (values(rng, shape),), ref, peer, arity=1)


def binary(name, ref, left=normal, right=normal, call=None, peer=None):
    name_ = name.partition(":")[0]
    call = call or (lambda m, x, y: getattr(m, name_)(x, y))

    def sample(rng, a, b):
        x, y = left(rng, a), right(rng, b)
        if left is apart:  # a choice between the two must not tie
            y = y + 0.05 * np.where(np.round(y, 1) == np.round(x, 1), 7, 1)
        return x, y

    return Row(name, call, sample, ref, peer, arity=2)


# References ---------------------------------------------------------------------------------------

np_erf = np.vectorize(math.erf, otypes=[float])


def np_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def np_softmax(x, axis):
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


def np_gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def np_scatter_add(g):
    y = np.zeros((3, 2))
    np.add.at(y, [2, 0, 2], g)
    return y


TARGET = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
MASK = np.array([[True, False, True], [False, False, True]])
LABELS = np.array([2, 0])
INDEX = np.array([[0, 2, 2], [1, 0, 1]])


def functional(name, **kwargs):
    """The function of torch.nn.functional of that name."""
    return lambda m, *xs: getattr(m.nn.functional, name)(*xs, **kwargs)


def mask(m):
    return m.tensor(MASK)


ELEMENTWISE = [
    binary("add", np.add),
    binary("add: alpha", lambda x, y: x + 0.5 * y, call=lambda m, x, y: m.add(x, y, alpha=0.5)),
    binary("sub", np.subtract),
    binary("sub: alpha", lambda x, y: x - 0.5 * y, call=lambda m, x, y: m.sub(x, y, alpha=0.5)),
    binary("mul", np.multiply),
    binary("div", np.divide, right=off_zero),
    binary("power", np.power, left=positive, call=lambda m, x, y: x**y),
    unary("power: cube", lambda x: x**3, call=lambda m, x: x**3),
    unary("power: zeroth", np.ones_like, call=lambda m, x: x**0),
    unary("power: minus half", lambda x: x**-0.5, positive, call=lambda m, x: x**-0.5),
    unary("power: of a number", lambda x: 2.0**x, call=lambda m, x: 2.0**x),
    binary("maximum", np.maximum, apart, apart),
    binary("minimum", np.minimum, apart, apart),
    binary("where", lambda x, y: np.where(x > 0, x, y), off_zero,
           call=lambda m, x, y: m.where(x > 0, x, y)),
    binary("lerp", lambda x, y: x + 0.3 * (y - x), call=lambda m, x, y: m.lerp(x, y, 0.3)),
    unary("neg", np.negative),
    unary("abs", np.abs, off_zero),
    unary("square", np.square),
    unary("reciprocal", np.reciprocal, off_zero),
    unary("sqrt", np.sqrt, positive),
    unary("rsqrt", lambda x: 1 / np.sqrt(x), positive),
    unary("exp", np.exp),
    unary("expm1", np.expm1),
    unary("log", np.log, positive),
    unary("log1p", np.log1p, positive),
    unary("log2", np.log2, positive),
    unary("log10", np.log10, positive),
    unary("sin", np.sin),
    unary("cos", np.cos),
    unary("erf", np_erf),
    unary("tanh", np.tanh),
    unary("sigmoid", np_sigmoid),
    unary("relu", lambda x: np.maximum(x, 0), off_zero),
    unary("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), off_zero,
          call=lambda m, x: ops.leaky_relu(x), peer=functional("leaky_relu")),
    unary("leaky_relu: slope", lambda x: np.where(x > 0, x, 0.2 * x), off_zero,
          call=lambda m, x: ops.leaky_relu(x, negative_slope=0.2),
          peer=functional("leaky_relu", negative_slope=0.2)),
    unary("softplus", lambda x: np.log1p(np.exp(x)),
          call=lambda m, x: ops.softplus(x), peer=functional("softplus")),
    unary("softplus: beta, threshold",
          lambda x: np.where(3 * x > 1, x, np.log1p(np.exp(3 * x)) / 3), off_bounds,
          call=lambda m, x: ops.softplus(x, beta=3.0, threshold=1.0),
          peer=functional("softplus", beta=3.0, threshold=1.0)),
    unary("silu", lambda x: x * np_sigmoid(x), call=lambda m, x: ops.silu(x),
          peer=functional("silu")),
    unary("gelu", lambda x: x * (1 + np_erf(x / math.sqrt(2))) / 2,
          call=lambda m, x: ops.gelu(x), peer=functional("gelu")),
    unary("gelu_tanh", np_gelu_tanh, call=lambda m, x: ops.gelu_tanh(x),
          peer=functional("gelu", approximate="tanh")),
    unary("clip", lambda x: np.clip(x, -0.5, 0.5), off_bounds,
          call=lambda m, x: m.clip(x, -0.5, 0.5)),
    unary("clip: one bound", lambda x: np.maximum(x, 0.5), off_bounds,
          call=lambda m, x: m.clip(x, min=0.5)),
    unary("clone", np.copy, call=lambda m, x: x.clone()),
    unary("copy", np.copy, call=lambda m, x: ops.copy(x), peer=lambda m, x: x.clone()),
    unary("cast", lambda x: x, call=lambda m, x: x.double().to(x.dtype)),
    unary("to_device", lambda x: x, call=lambda m, x: ops.to_device(x, device=x.device),
          peer=lambda m, x: x.clone()),
]  # fmt: skip

REDUCTIONS = [
    Row("sum", lambda m, x: m.sum(x), of((2, 3)), np.sum),
    Row("sum_rows", lambda m, x: ops.sum_rows(x), of((3, 2)), lambda x: x.sum(0),
        lambda m, x: x.sum(0)),
    Row("sum: axis", lambda m, x: m.sum(x, 1), of((2, 3)), lambda x: x.sum(1)),
    Row("sum: axes kept", lambda m, x: m.sum(x, (0, -1), keepdim=True), of((2, 3, 4)),
        lambda x: x.sum((0, -1), keepdims=True)),
    Row("mean", lambda m, x: m.mean(x), of((2, 3)), np.mean),
    Row("mean: axes", lambda m, x: m.mean(x, (0, 2)), of((2, 3, 4)), lambda x: x.mean((0, 2))),
    Row("mean: kept", lambda m, x: m.mean(x, -1, keepdim=True), of((2, 3)),
        lambda x: x.mean(-1, keepdims=True)),
    Row("var", lambda m, x: m.var(x, 1), of((2, 3)), lambda x: x.var(1, ddof=1)),
    Row("var: biased", lambda m, x: m.var(x, unbiased=False), of((2, 3)), np.var),
    Row("var: correction", lambda m, x: m.var(x, (0, 2), correction=2, keepdim=True), of((2, 3, 4)),
        lambda x: x.var((0, 2), ddof=2, keepdims=True)),
    Row("std", lambda m, x: m.std(x, 0), of((3, 2)), lambda x: x.std(0, ddof=1)),
    Row("norm", lambda m, x: m.norm(x), of((2, 3)), lambda x: np.sqrt((x * x).sum())),
    Row("norm: axis", lambda m, x: m.norm(x, dim=1, keepdim=True), of((2, 3)),
        lambda x: np.sqrt((x * x).sum(1, keepdims=True))),
    Row("norm: p=1", lambda m, x: m.norm(x, 1), of((2, 3), values=off_zero),
        lambda x: np.abs(x).sum()),
    Row("norm: p=3", lambda m, x: m.norm(x, 3, 1), of((2, 3), values=off_zero),
        lambda x: (np.abs(x) ** 3).sum(1) ** (1 / 3)),
    Row("norm: p=inf", lambda m, x: m.norm(x, math.inf), of((2, 3), values=apart),
        lambda x: np.abs(x).max()),
    Row("norm: p=-inf", lambda m, x: m.norm(x, -math.inf, 0), of((3, 2), values=apart),
        lambda x: np.abs(x).min(0)),
    Row("norm2", lambda m, x: ops.norm2(x, axis=0), of((2, 3)),
        lambda x: np.sqrt((x * x).sum(0)), lambda m, x: m.norm(x, dim=0)),
    Row("max", lambda m, x: m.max(x), of((2, 3), values=apart), np.max),
    Row("max: axis", lambda m, x: m.max(x, 1).values, of((2, 3), values=apart),
        lambda x: x.max(1)),
    Row("max: pairwise", lambda m, x: m.max(x, -x), of((2, 3), values=off_zero), np.abs),
    Row("min", lambda m, x: m.min(x), of((2, 3), values=apart), np.min),
    Row("min: axis kept", lambda m, x: m.min(x, -2, keepdim=True)[0], of((2, 3), values=apart),
        lambda x: x.min(0, keepdims=True)),
    Row("amax", lambda m, x: m.amax(x, (0, 1)), of((2, 3), values=apart), np.max),
    Row("amax: axis", lambda m, x: m.amax(x, 1, keepdim=True), of((2, 3), values=apart),
        lambda x: x.max(1, keepdims=True)),
    Row("amin", lambda m, x: m.amin(x, 0), of((2, 3), values=apart), lambda x: x.min(0)),
    Row("softmax", lambda m, x: m.softmax(x, 1), of((2, 3)), lambda x: np_softmax(x, 1)),
    Row("softmax: first axis", lambda m, x: m.softmax(x, 0), of((2, 3, 2)),
        lambda x: np_softmax(x, 0)),
    Row("log_softmax", lambda m, x: m.log_softmax(x, -1), of((2, 3)),
        lambda x: np.log(np_softmax(x, -1))),
    Row("logsumexp", lambda m, x: m.logsumexp(x, 1), of((2, 3)),
        lambda x: np.log(np.exp(x).sum(1))),
    Row("logsumexp: axes kept", lambda m, x: m.logsumexp(x, (0, 2), keepdim=True), of((2, 3, 2)),
        lambda x: np.log(np.exp(x).sum((0, 2), keepdims=True))),
    Row("cumsum", lambda m, x: m.cumsum(x, 1), of((2, 3)), lambda x: x.cumsum(1)),
    Row("cumsum: negative axis", lambda m, x: m.cumsum(x, -2), of((3, 2)), lambda x: x.cumsum(0)),
]  # fmt: skip

SHAPES = [
    Row("reshape", lambda m, x: m.reshape(x, (3, -1)), of((2, 3)), lambda x: x.reshape(3, 2)),
    Row("flatten", lambda m, x: m.flatten(x, 1), of((2, 3, 2)), lambda x: x.reshape(2, 6)),
    Row("flatten: 0-d", lambda m, x: m.flatten(x), of(()), lambda x: x.reshape(1)),
    Row("squeeze", lambda m, x: m.squeeze(x), of((1, 3, 1)), np.squeeze),
    Row("squeeze: axis", lambda m, x: m.squeeze(x, -1), of((1, 3, 1)), lambda x: x[..., 0]),
    Row("squeeze: longer axis", lambda m, x: m.squeeze(x, (0, 1)), of((1, 3, 1)), lambda x: x[0]),
    Row("unsqueeze", lambda m, x: m.unsqueeze(x, 1), of((2, 3)), lambda x: x[:, None]),
    Row("unsqueeze: last", lambda m, x: m.unsqueeze(x, -1), of((2, 3)), lambda x: x[..., None]),
    Row("transpose", lambda m, x: m.transpose(x, 0, -1), of((2, 3, 4)),
        lambda x: x.swapaxes(0, -1)),
    Row("swapaxes", lambda m, x: x.mT, of((2, 3, 4)), lambda x: x.swapaxes(-1, -2)),
    Row("permute", lambda m, x: m.permute(x, (2, 0, -2)), of((2, 3, 4)),
        lambda x: x.transpose(2, 0, 1)),
    Row("t", lambda m, x: m.t(x), of((2, 3)), np.transpose),
    Row("expand", lambda m, x: x.expand(4, -1, 3), of((2, 1)),
        lambda x: np.broadcast_to(x, (4, 2, 3))),
    Row("broadcast_to", lambda m, x: ops.broadcast_to(x, shape=(2, 3)), of((2, 1)),
        lambda x: np.broadcast_to(x, (2, 3)), lambda m, x: m.broadcast_to(x, (2, 3))),
    Row("flip", lambda m, x: m.flip(x, (0, 1)), of((2, 3)), lambda x: x[::-1, ::-1]),
    Row("cat", lambda m, x, y: m.cat([x, y], 1), of((2, 3), (2, 1)),
        lambda x, y: np.concatenate([x, y], 1)),
    Row("cat: negative axis", lambda m, x, y, z: m.cat([x, y, z], -2), of((1, 2), (3, 2), (0, 2)),
        lambda *xs: np.concatenate(xs, 0)),
    Row("concatenate", lambda m, x, y: ops.concatenate([x, y], axis=0), of((2, 3), (1, 3)),
        lambda x, y: np.concatenate([x, y]), lambda m, x, y: m.cat([x, y])),
    Row("stack", lambda m, x, y: m.stack([x, y], 1), of((2, 3), (2, 3)),
        lambda x, y: np.stack([x, y], 1)),
    Row("stack: negative axis", lambda m, x, y: m.stack([x, y], -1), of((2, 3), (2, 3)),
        lambda x, y: np.stack([x, y], -1)),
    Row("split", lambda m, x: m.split(x, 2, 1)[1], of((2, 3)), lambda x: x[:, 2:]),
    Row("split: sizes", lambda m, x: m.split(x, [1, 2], -1)[1], of((2, 3)), lambda x: x[:, 1:]),
    Row("chunk", lambda m, x: m.chunk(x, 2, 1)[0], of((2, 3)), lambda x: x[:, :2]),
    Row("masked_fill", lambda m, x: m.masked_fill(x, mask(m), 7.0), of((2, 3)),
        lambda x: np.where(MASK, 7.0, x)),
]  # fmt: skip

INDEXING_AND_PRODUCTS = [
    Row("getitem", lambda m, x: x[1:, 0], of((3, 2)), lambda x: x[1:, 0]),
    Row("getitem: repeated rows", lambda m, x: x[[0, 2, 2]], of((3, 2)), lambda x: x[[0, 2, 2]]),
    Row("getitem: mask", lambda m, x: x[mask(m)], of((2, 3)), lambda x: x[MASK]),
    Row("scatter_add", lambda m, g: ops.scatter_add(g, shape=(3, 2), index=np.array([2, 0, 2])),
        of((3, 2)), np_scatter_add,
        lambda m, g: m.zeros(3, 2, dtype=g.dtype).index_add(0, m.tensor([2, 0, 2]), g)),
    Row("take_along_axis",
        lambda m, x: ops.take_along_axis(x, indices=INDEX, axis=1), of((2, 3)),
        lambda x: np.take_along_axis(x, INDEX, 1), lambda m, x: m.gather(x, 1, m.tensor(INDEX))),
    Row("gather", lambda m, x: m.gather(x, -1, m.tensor(INDEX)), of((2, 3)),
        lambda x: np.take_along_axis(x, INDEX, 1)),
    Row("gather: smaller index", lambda m, x: m.gather(x, 0, m.tensor([[1, 0]])), of((2, 3)),
        lambda x: np.array([[x[1, 0], x[0, 1]]])),
    Row("index_select", lambda m, x: m.index_select(x, 1, m.tensor([2, 0, 2])), of((2, 3)),
        lambda x: x[:, [2, 0, 2]]),
    Row("matmul", lambda m, x, y: m.matmul(x, y), of((2, 3), (3, 4)), np.matmul),
    Row("matmul: batches", lambda m, x, y: x @ y, of((5, 2, 3), (5, 3, 4)), np.matmul),
    Row("matmul: broadcast batches", lambda m, x, y: x @ y, of((5, 1, 2, 3), (2, 3, 4)), np.matmul),
    Row("matmul: matrix, vector", lambda m, x, y: x @ y, of((2, 3), (3,)), np.matmul),
    Row("matmul: vector, batch", lambda m, x, y: x @ y, of((3,), (5, 3, 4)), np.matmul),
    Row("matmul: vectors", lambda m, x, y: x @ y, of((3,), (3,)), np.matmul),
    Row("dot", lambda m, x, y: m.dot(x, y), of((3,), (3,)), np.dot),
    Row("outer", lambda m, x, y: m.outer(x, y), of((2,), (3,)), np.outer),
    Row("linear", lambda m, x, w, b: ops.linear(x, w, b), of((5, 3), (2, 3), (2,)),
        lambda x, w, b: x @ w.T + b, functional("linear")),
    Row("linear: no bias, more axes", lambda m, x, w: ops.linear(x, w, None), of((4, 5, 3), (2, 3)),
        lambda x, w: x @ w.T, functional("linear")),
    Row("linear: one row", lambda m, x, w, b: ops.linear(x, w, b), of((3,), (2, 3), (2,)),
        lambda x, w, b: x @ w.T + b, functional("linear")),
    Row("addcmul", lambda m, x, y, z: m.addcmul(x, y, z, value=0.5), of((2, 3), (2, 1), (3,)),
        lambda x, y, z: x + 0.5 * y * z),
    Row("addcdiv", lambda m, x, y, z: m.addcdiv(x, y, z, value=0.5),
        of((2, 3), (2, 1), (3,), values=off_zero), lambda x, y, z: x + 0.5 * y / z),
    Row("cross_entropy", lambda m, x: ops.cross_entropy(x, index=LABELS, scale=0.5), of((2, 3)),
        lambda x: -np.log(np_softmax(x, 1))[[0, 1], LABELS].mean(),
        lambda m, x: m.nn.functional.cross_entropy(x, m.tensor(LABELS))),
    Row("cross_entropy: rows, many classes", lambda m, x: ops.cross_entropy(x, index=LABELS * 99),
        of((2, 200)), lambda x: -np.log(np_softmax(x, 1))[[0, 1], LABELS * 99],
        lambda m, x: m.nn.functional.cross_entropy(x, m.tensor(LABELS * 99), reduction="none")),
    Row("cross_entropy: beyond the fused kernel", lambda m, x: ops.cross_entropy(x, index=LABELS),
        of((2, 2100)), lambda x: -np.log(np_softmax(x, 1))[[0, 1], LABELS],
        lambda m, x: m.nn.functional.cross_entropy(x, m.tensor(LABELS), reduction="none")),
    Row("cross_entropy_rows", lambda m, x: ops.cross_entropy_rows(x, LABELS)[1], of((2, 3)),
        lambda x: np_softmax(x, 1) - np.eye(3)[LABELS],
        lambda m, x: m.softmax(x, 1) - m.tensor(np.eye(3)[LABELS], dtype=x.dtype)),
    Row("softmax_cross_entropy",
        lambda m, x: ops.softmax_cross_entropy(x, TARGET.astype(x.dtype), scale=0.5), of((2, 3)),
        lambda x: -(TARGET * np.log(np_softmax(x, 1))).sum() / 2,
        lambda m, x: m.nn.functional.cross_entropy(x, m.tensor(TARGET, dtype=x.dtype))),
    Row("softmax_cross_entropy: rows, soft targets",
        lambda m, x, t: ops.softmax_cross_entropy(x, t),
        of((2, 3), (2, 3), values=positive), lambda x, t: -(t * np.log(np_softmax(x, 1))).sum(1),
        functional("cross_entropy", reduction="none")),
    Row("mean_squared_error", lambda m, x, y: ops.mean_squared_error(x, y), of((2, 3), (2, 3)),
        lambda x, y: ((x - y) ** 2).mean(), functional("mse_loss")),
]  # fmt: skip

OPS = [*ELEMENTWISE, *REDUCTIONS, *SHAPES, *INDEXING_AND_PRODUCTS]
