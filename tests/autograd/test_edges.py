"""NaN, infinities, bounds and kinks: values, slopes and the slopes of those as in PyTorch.

Where PyTorch's answer for NaN depends on whether an element falls to its SIMD loops or to what they
leave over, that of the loops counts: so each row is repeated, until they take all of it.
"""

import math

import numpy as np
import pytest

import tinygrad_opt as tg

INF, NAN = math.inf, math.nan
TIMES = 32  # a row is repeated
R = 0.57735026919  # 3^(-1/2)


def zeros(x):
    return 0 * x.detach().nan_to_num()


def given(x, *values):
    """What a row takes beside x."""
    return x.new_tensor(values).repeat(TIMES)


# Each: function of (module, x), x, the value, its slope, the slope of that (None: not looked at).
EDGES = {
    "relu6": (lambda m, x: m.nn.functional.relu6(x), [NAN, -INF, 0, 3, 6, INF],
              [NAN, 0, 0, 3, 6, 6], [0, 0, 0, 1, 0, 0], [0] * 6),
    "hardtanh": (lambda m, x: m.nn.functional.hardtanh(x), [NAN, -INF, -1, 0.5, 1, INF],
                 [NAN, -1, -1, 0.5, 1, 1], [0, 0, 0, 1, 0, 0], [0] * 6),
    "hardsigmoid": (lambda m, x: m.nn.functional.hardsigmoid(x), [NAN, -INF, -3, 0, 3, INF],
                    [NAN, 0, 0, 0.5, 1, 1], [0, 0, 0, 1 / 6, 0, 0], None),
    "hardswish": (lambda m, x: m.nn.functional.hardswish(x), [NAN, -INF, -3, 0, 3, INF],
                  [NAN, NAN, 0, 0, 3, INF], [NAN, 0, 0, 0.5, 1, 1], [0, 0, 0, 1 / 3, 0, 0]),
    "softshrink": (lambda m, x: m.nn.functional.softshrink(x), [NAN, -INF, -0.5, 0, 0.5, INF],
                   [NAN, -INF, 0, 0, 0, INF], [0, 1, 0, 0, 0, 1], [0] * 6),
    "hardshrink": (lambda m, x: m.nn.functional.hardshrink(x), [NAN, -INF, -0.5, 0, 0.5, INF],
                   [NAN, -INF, 0, 0, 0, INF], [0, 1, 0, 0, 0, 1], [0] * 6),
    "threshold": (lambda m, x: m.nn.functional.threshold(x, 1.0, 7.0), [NAN, -INF, 1, 2, INF],
                  [NAN, 7, 7, 2, INF], [1, 0, 0, 1, 1], [0] * 5),
    "elu": (lambda m, x: m.nn.functional.elu(x, 0.5), [NAN, -INF, -0.0, 0, 1, INF],
            [NAN, -0.5, 0, 0, 1, INF], [NAN, 0, 0.5, 0.5, 1, 1], [NAN, 0, 0, 0, 0, 0]),
    "celu": (lambda m, x: m.nn.functional.celu(x, 2.0), [NAN, -INF, -0.0, 0, 1, INF],
             [NAN, -2, 0, 0, 1, INF], [NAN, 0, 1, 1, 1, 1], [NAN, 0, 0, 0, 0, 0]),
    "selu": (lambda m, x: m.nn.functional.selu(x), [NAN, -0.0, 0],
             [NAN, 0, 0], [NAN, 1.75809934085, 1.75809934085], [NAN, 0, 0]),
    "softplus": (lambda m, x: m.nn.functional.softplus(x, 2.0, 3.0), [NAN, -INF, 1.5, 2, INF],
                 [NAN, 0, 1.52429367579, 2, INF], [NAN, 0, 0.952574126822, 1, 1],
                 [NAN, 0, 0, 0, 0]),
    "clamp": (lambda m, x: x.clamp(-1.0, 2.0), [NAN, -INF, -1, 2, INF],
              [NAN, -1, -1, 2, 2], [0, 0, 1, 1, 0], [0] * 5),
    "clamp: low": (lambda m, x: given(x, NAN, 1.0, 1.0, 1.0).clamp(x), [0, NAN, 1, 2],
                   [NAN, NAN, 1, 2], [0, 0, 0, 1], [0] * 4),
    "clamp: high": (lambda m, x: given(x, NAN, 1.0, 1.0, 1.0).clamp(max=x), [0, NAN, 1, 0.5],
                    [NAN, NAN, 1, 0.5], [0, 0, 0, 1], [0] * 4),
    "clamp: low above high": (
        lambda m, x: given(x, 0.0, 3.0, 0.0).clamp(x, given(x, 1.0, 1.0, 2.0)), [2, 2, 2],
        [1, 1, 2], [0, 0, 0], [0] * 3),
    "clamp: high below low": (
        lambda m, x: given(x, 0.0, 3.0, 0.0, NAN).clamp(given(x, 2.0, 2.0, 1.0, 0.0), x), [1] * 4,
        [1, 1, 1, NAN], [1, 1, 0, 0], [0] * 4),
    "cumprod: inf": (lambda m, x: x.reshape(TIMES, -1).cumprod(1).reshape(-1), [2, INF, 3],
                     [2, INF, INF], [INF, NAN, INF], [NAN] * 3),
    "cumprod: NaN": (lambda m, x: x.reshape(TIMES, -1).cumprod(1).reshape(-1), [2, NAN, 3],
                     [2, NAN, NAN], [NAN] * 3, [NAN] * 3),
    "prod: inf": (lambda m, x: x.reshape(TIMES, -1).prod(1), [2, INF, 3],
                  [INF], [INF, NAN, INF], None),
    "prod: NaN": (lambda m, x: x.reshape(TIMES, -1).prod(1), [2, NAN, 3],
                  [NAN], [NAN] * 3, None),
    "logit": (lambda m, x: m.logit(x), [NAN, -1, 0, 0.5, 1, 2],
              [NAN, NAN, -INF, 0, INF, NAN], [NAN, NAN, INF, 4, INF, NAN],
              [NAN, 0, NAN, 0, NAN, 0]),
    "logit: eps": (lambda m, x: m.logit(x, 0.25), [NAN, 0.25, 0.5, 0.75, 2],
                   [NAN, -1.09861228867, 0, 1.09861228867, 1.09861228867],
                   [0, 16 / 3, 4, 16 / 3, 0], [NAN, -128 / 9, 0, 128 / 9, 0]),
    "asin": (lambda m, x: m.asin(x), [NAN, -1, 0, 1, 2],
             [NAN, -math.pi / 2, 0, math.pi / 2, NAN], [NAN, INF, 1, INF, NAN],
             [NAN, -INF, 0, INF, NAN]),
    "acos": (lambda m, x: m.acos(x), [NAN, -1, 0, 1, 2],
             [NAN, math.pi, math.pi / 2, 0, NAN], [NAN, -INF, -1, -INF, NAN],
             [NAN, INF, 0, -INF, NAN]),
    "acosh": (lambda m, x: m.acosh(x), [NAN, -2, -1, 0.5, 1, 2],
              [NAN, NAN, NAN, NAN, 0, 1.31695789692], [NAN, R, INF, NAN, INF, R],
              [NAN, 2 * R / 3, INF, NAN, -INF, -2 * R / 3]),
    "atanh": (lambda m, x: m.atanh(x), [NAN, -1, 0, 1, 2],
              [NAN, -INF, 0, INF, NAN], [NAN, INF, 1, INF, -1 / 3], [NAN, -INF, 0, INF, 4 / 9]),
    "log_ndtr": (lambda m, x: m.special.log_ndtr(x), [NAN, 0, 50],
                 [NAN, -0.69314718056, 0], [NAN, 0.797884560803, 0], [NAN, -2 / math.pi, 0]),
    "i0": (lambda m, x: m.special.i0(x), [0, 1e308, -1e308],
           [1, INF, INF], [0, INF, -INF], [0.5, NAN, NAN]),
    "i0e": (lambda m, x: 1e155 * m.special.i0e(x), [1e308], [3.98942280401], [0], [0]),
    "fmod": (lambda m, x: m.fmod(given(x, 5.0, 5.0, 5.0), x), [NAN, 0, INF],
             [NAN, NAN, 5], [NAN, -INF, 0], [0, 0, 0]),
    "atan2": (lambda m, x: m.atan2(x, given(x, INF, NAN, 0.0)), [NAN, INF, 1],
              [NAN, NAN, math.pi / 2], [NAN, NAN, 0], [NAN, NAN, 0]),
    "copysign": (lambda m, x: m.copysign(x, given(x, 1.0, -1.0, -1.0)), [NAN, NAN, 2],
                 [NAN, NAN, -2], [NAN, NAN, -1], None),
    "huber_loss": (
        lambda m, x: m.nn.functional.huber_loss(x, zeros(x), reduction="none", delta=2.0),
        [NAN, -2, 0, 2, INF], [NAN, 2, 0, 2, INF], [NAN, -2, 0, 2, 2], [0, 0, 1, 0, 0]),
    "smooth_l1_loss": (
        lambda m, x: m.nn.functional.smooth_l1_loss(x, zeros(x), reduction="none", beta=0.5),
        [NAN, -0.5, 0, 0.5, INF], [NAN, 0.25, 0, 0.25, INF], [NAN, -1, 0, 1, 1], [0, 0, 2, 0, 0]),
}  # fmt: skip


def derivatives(m, function, points):
    """Value, slope, and the slopes of that by x and by the incoming gradient."""
    x = m.tensor(points * TIMES, dtype=m.float64, requires_grad=True)
    y = function(m, x)
    g = m.ones_like(y).detach().requires_grad_()
    (slope,) = m.autograd.grad(y, x, g, create_graph=True)
    if not slope.requires_grad:
        return y, slope, m.zeros_like(x), slope
    return y, slope, *m.autograd.grad(slope.sum(), [x, g], materialize_grads=True)


def check_edges(m, function, points, value, slope, bend):
    def assert_equal(found, expected):
        np.testing.assert_allclose(found.tolist(), expected * TIMES, rtol=1e-7, atol=1e-12)

    x = m.tensor(points * TIMES, dtype=m.float64, requires_grad=True)
    function(m, x).sum().backward()  # not recorded: by kernels, here
    assert_equal(x.grad, slope)
    if bend is None:
        return
    y, recorded, again, by_g = derivatives(m, function, points)
    assert_equal(y.detach(), value)
    assert_equal(recorded.detach(), slope)
    assert_equal(again, bend)
    here = m.isfinite(recorded.detach()) & ~m.isnan(x.detach())  # the slope is linear in g
    assert by_g[here].tolist() == pytest.approx(recorded.detach()[here].tolist())


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    check_edges(tg, *EDGES[name])


@pytest.mark.peers
@pytest.mark.parametrize("name", EDGES)
def test_pytorchs_edges(torch, name):
    check_edges(torch, *EDGES[name])


# d/dx of d/dy, where the one input is 0 -----------------------------------------------------------

MIXED = {
    "xlogy": (lambda m, x, y: m.xlogy(x, y), [0, -0.0, 0], [2, -4, INF], [0.5, -0.25, 0]),
    "xlog1py": (lambda m, x, y: m.special.xlog1py(x, y), [0, 0, 0], [1, -3, INF], [0.5, -0.5, 0]),
    "pow": (lambda m, x, y: x**y, [-1, -2, INF], [0, -0.0, 0], [-1, -0.5, 0]),
}


def check_mixed(m, function, x, y, expected):
    x, y = (m.tensor(z * TIMES, dtype=m.float64, requires_grad=True) for z in (x, y))
    (slope,) = m.autograd.grad(function(m, x, y).sum(), y, create_graph=True)
    (mixed,) = m.autograd.grad(slope.sum(), x)
    np.testing.assert_allclose(mixed.tolist(), expected * TIMES)


@pytest.mark.parametrize("name", MIXED)
def test_mixed_derivatives_at_zero(name):
    check_mixed(tg, *MIXED[name])


@pytest.mark.peers
@pytest.mark.parametrize("name", MIXED)
def test_pytorchs_mixed_derivatives_at_zero(torch, name):
    check_mixed(torch, *MIXED[name])


def bend_of_std(m):
    x = m.tensor([2.0, 2.0, 2.0], dtype=m.float64, requires_grad=True)
    (slope,) = m.autograd.grad(x.std(), x, create_graph=True)
    return m.autograd.grad(slope[0], x)[0].tolist()


def test_std_does_not_bend_where_all_are_equal():
    assert bend_of_std(tg) == [0, 0, 0]


@pytest.mark.peers
def test_pytorchs_std_does_not_either(torch):
    assert bend_of_std(torch) == [0, 0, 0]


@pytest.mark.parametrize(
    ("odd", "slopes"), [(INF, [INF, NAN, INF]), (NAN, [NAN] * 3), (0.0, [0, 6, 0])]
)
def test_products_of_a_vector_and_of_all(odd, slopes):
    for product in (lambda x: x.prod(), lambda x: x.prod(0), lambda x: x[None].prod()):
        x = tg.tensor([2.0, odd, 3.0], requires_grad=True)
        product(x).backward()
        np.testing.assert_array_equal(x.grad.array, slopes)
