"""Sums of many float32 numbers along any axis, running sums, and gradients that are sums."""

import itertools

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.arrays.xp import xp

F = nn.functional
N = 1_000_003  # a prime: no block divides it

# (n, 2), in float64: 0.1 again and again is the worst case, each addition errs to the same side.
DATA = {
    "random": np.random.default_rng(0).random((N, 2)).astype("float32"),
    "equal": np.full((N, 2), 0.1, "float32"),
}


def logcumsumexp(x):
    return np.log(np.cumsum(np.exp(x), 0))


FUNCTIONS = {
    "sum": (lambda x: x.sum(0), lambda x: x.sum(0)),
    "sum: all": (lambda x: x.sum(), lambda x: x.sum()),
    "sum: transposed": (lambda x: x.t().sum(1), lambda x: x.sum(0)),
    "sum: every second": (lambda x: x[::2].sum(0), lambda x: x[::2].sum(0)),
    "sum: a column": (lambda x: x[:, 1].sum(), lambda x: x[:, 1].sum()),
    "sum: outer axes": (
        lambda x: x[:1_000_000].reshape(1000, 2, 1000).sum((0, 2)),
        lambda x: x[:1_000_000].reshape(1000, 2, 1000).sum((0, 2))),
    "nansum": (lambda x: x.nansum(0), lambda x: x.sum(0)),
    "mean": (lambda x: x.mean(0), lambda x: x.mean(0)),
    "nanmean": (lambda x: x.nanmean(0), lambda x: x.mean(0)),
    "norm": (lambda x: x.norm(dim=0), lambda x: np.sqrt((x * x).sum(0))),
    "norm: p=3": (lambda x: x.norm(3, 0), lambda x: (x**3).sum(0) ** (1 / 3)),
    "logsumexp": (lambda x: x.logsumexp(0), lambda x: np.log(np.exp(x).sum(0))),
    "softmax": (lambda x: x.softmax(0), lambda x: np.exp(x) / np.exp(x).sum(0)),
    "cumsum": (lambda x: x.cumsum(0), lambda x: x.cumsum(0)),
    "cumprod": (lambda x: (1 + x * 1e-5).cumprod(0),
                lambda x: (1 + x.astype("float32") * np.float32(1e-5)).cumprod(
                    0, dtype="float64")),
    "logcumsumexp": (lambda x: x.logcumsumexp(0), logcumsumexp),
    "trapezoid": (lambda x: tg.trapezoid(x, dim=0), lambda x: np.trapezoid(x, axis=0)),
    "loss": (lambda x: F.l1_loss(x.t(), 0 * x.t()), lambda x: x.mean()),
    "cross entropy": (
        lambda x: F.cross_entropy(x, tg.zeros(N, dtype=tg.int64)),
        lambda x: (np.log(np.exp(x).sum(1)) - x[:, 0]).mean()),
}  # fmt: skip


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_long_sums(name, data):
    ours, right = FUNCTIONS[name]
    x = DATA[data]
    y = ours(tg.tensor(x))
    assert y.dtype == tg.float32
    np.testing.assert_allclose(y.numpy(), right(x.astype("float64")), rtol=2e-6)


@pytest.mark.parametrize("name", ["std", "var", "std_mean", "var_mean"])
def test_spreads(name):
    x = DATA["random"] + np.float32(3)
    y = getattr(tg, name)(tg.tensor(x), 0)
    moment = "var" if name.startswith("var") else "std"
    right = getattr(x.astype("float64"), moment)(0, ddof=1)
    np.testing.assert_allclose((y[0] if "_" in name else y).numpy(), right, rtol=2e-6)
    if "_" in name:
        np.testing.assert_allclose(y[1].numpy(), x.mean(0, dtype="float64"), rtol=2e-6)


def test_spread_far_from_zero():
    x = np.array([1e6, 1e6 + 1, 1e6 + 2], "float32")
    np.testing.assert_allclose(tg.tensor(x).std().item(), 1, rtol=1e-6)


GRADIENTS = {
    "bias of a layer": (lambda g: lambda b: F.linear(g, tg.zeros(2, 2), b) * g, (2,)),
    "broadcast": (lambda g: lambda b: g * b, (2,)),
    "broadcast to the left": (lambda g: lambda b: g.t() * b, (2, 1)),
    "scale of a norm": (lambda g: lambda b: (g * b).reshape(-1), (1,)),
    "a row looked up": (
        lambda g: lambda b: F.embedding(tg.zeros(N, dtype=tg.int64), b) * g, (3, 2)),
    "indexed": (lambda g: lambda b: b[tg.zeros(N, dtype=tg.int64), 1:] * g, (1, 3)),
    "index_select": (
        lambda g: lambda b: b.index_select(1, tg.zeros(N, dtype=tg.int64)) * g.t(), (2, 3)),
    "gather": (
        lambda g: lambda b: b.gather(0, tg.zeros(N, 2, dtype=tg.int64)) * g, (1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_that_are_sums(name):
    function, shape = GRADIENTS[name]
    x = DATA["equal"]
    b = tg.zeros(shape, requires_grad=True)
    function(tg.tensor(x))(b).sum().backward()
    total = b.grad.numpy()
    right = x.astype("float64").sum() / (1 if total.size == 1 else 2)
    np.testing.assert_allclose(total[total != 0], right, rtol=2e-6)


SCATTERED = {
    "index_add": lambda places, x: tg.zeros(3).index_add(0, places, x),
    "scatter_add": lambda places, x: tg.zeros(3).scatter_add(0, places, x),
    "bincount": tg.bincount,
}


@pytest.mark.parametrize("name", SCATTERED)
def test_sums_by_place(name):
    x, places = tg.tensor(DATA["equal"][:, 0]), tg.arange(N) % 3
    y = SCATTERED[name](places, x)
    right = np.bincount(places.numpy(), x.numpy().astype("float64"))
    np.testing.assert_allclose(y.numpy(), right, rtol=2e-6)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3, 130, 2, 67), (300, 5), (1, 1000), (0, 200), (257,)])
def test_every_choice_of_axes(shape, order):
    x = np.asarray(np.random.default_rng(0).random(shape), "float32", order=order)
    for count in range(1, len(shape) + 1):
        for axes in itertools.combinations(range(-len(shape), 0), count):
            for kept in (False, True):
                y = xp(x).sum(x, axis=axes, keepdims=kept)
                right = x.astype("float64").sum(axis=axes, keepdims=kept)
                assert y.shape == right.shape
                assert y.dtype == "float32"
                np.testing.assert_allclose(y, right, rtol=1e-6)


def test_an_axis_that_is_not_there():
    with pytest.raises(IndexError, match="Dimension out of range"):
        tg.ones(300, 2).sum(2)


@pytest.mark.parametrize("n", [1, 128, 129, 256, 257, 40000])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_rows_added_up(n, dtype, columns):
    x = np.random.default_rng(0).random((n, *columns)).astype(dtype)
    y = xp(x).sum_rows(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, x.astype("float64").sum(0), rtol=2 * np.finfo(dtype).eps + 2e-7)
