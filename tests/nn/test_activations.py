"""What the tables do not say of activations: random ones, extremes, warnings and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn


def gradients(function, *values):
    x = T.tensor(values, dtype=T.float64, requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


@pytest.mark.parametrize(
    ("function", "at", "slopes"),
    [
        (F.hardtanh, (-1, 1), [0, 0]), (F.relu6, (0, 6), [0, 0]), (F.hardsigmoid, (-3, 3), [0, 0]),
        (F.hardswish, (-3, 3), [0, 1]), (F.hardshrink, (-0.5, 0.5), [0, 0]),
        (F.softshrink, (-0.5, 0.5), [0, 0]), (lambda x: F.threshold(x, 0.5, 7), (0.5,), [0]),
        (F.elu, (0,), [1]), (lambda x: F.celu(x, 2.0), (0,), [1]), (F.selu, (0,), [1.7580993408]),
        (lambda x: F.prelu(x, T.tensor([0.3]).double()), (0,), [0.3]), (F.softsign, (0,), [1]),
        (F.mish, (0,), [0.6]), (F.logsigmoid, (0,), [0.5]),
    ],
)  # fmt: skip
def test_slopes_at_kinks(function, at, slopes):
    np.testing.assert_allclose(gradients(function, *at), slopes, rtol=1e-7)


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (F.elu, -1, 1000), (F.selu, -1.7580993, 1050.7010), (F.celu, -1, 1000), (F.mish, 0, 1000),
        (F.logsigmoid, -1000, 0), (F.hardswish, 0, 1000), (F.softsign, -1, 1), (F.gelu, 0, 1000),
        (F.tanhshrink, -999, 999), (F.hardsigmoid, 0, 1), (F.silu, 0, 1000),
    ],
)  # fmt: skip
def test_far_out(function, low, high):
    x = T.tensor([-1000.0, 1000.0], requires_grad=True)
    y = function(x)
    np.testing.assert_allclose(y.detach(), [low, high], rtol=1e-2)
    y.sum().backward()
    assert np.isfinite(x.grad.array).all()
    assert math.isnan(function(T.tensor([math.nan])).item())


@pytest.mark.parametrize(
    "function",
    [
        F.relu, F.relu6, F.leaky_relu, F.hardtanh, F.hardsigmoid, F.hardshrink, F.softshrink,
        F.rrelu, lambda x: F.threshold(x, 0.1, 20), lambda x: F.prelu(x, T.tensor([0.25])),
        lambda x: F.rrelu(x, training=True),
    ],
)  # fmt: skip
def test_second_derivatives_of_straight_pieces_are_zeros(function):
    x = T.tensor([-4.0, -0.2, 0.3, 2.0], requires_grad=True)
    weight = T.ones(4, requires_grad=True)
    for total in (function(x).sum(), (function(3 * x) * weight).sum()):
        (slope,) = autograd.grad(total, x, create_graph=True)
        assert autograd.grad(slope.sum(), x, retain_graph=True)[0].tolist() == [0.0] * 4
    (bend,) = autograd.grad(slope.sum(), weight, create_graph=True)
    assert autograd.grad(bend.sum(), x)[0].tolist() == [0.0] * 4


def test_rrelu_draws_a_slope_for_each_element():
    x = T.full((10_000,), -1.0, requires_grad=True)
    y = nn.RReLU(0.2, 0.6)(x)
    slopes = -y.array
    assert 0.2 <= slopes.min() < 0.201
    assert 0.599 < slopes.max() <= 0.6
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, slopes)
    assert F.rrelu(x, 0.2, 0.6)[0].item() == pytest.approx(-0.4)
    assert F.rrelu(T.ones(1), training=True).item() == 1


def test_glu():
    x = T.tensor([[1.0, 2.0, 0.0, 100.0]], requires_grad=True)
    assert F.glu(x).tolist() == [[0.5, 2.0]]
    assert F.glu(x.T, 0).shape == (2, 1)


def test_softmin_and_softmax2d():
    x = T.randn(2, 3, 4, 5)
    np.testing.assert_allclose(F.softmin(x, 1), F.softmax(-x, 1))
    np.testing.assert_allclose(nn.Softmax2d()(x), F.softmax(x, 1))
    np.testing.assert_allclose(nn.Softmax2d()(x[0]), F.softmax(x[0], 0))
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmin"):
        nn.Softmin()(x)


def test_gumbel_softmax():
    logits = T.tensor([0.0, math.log(3.0)], requires_grad=True)
    many = T.from_numpy(np.broadcast_to(logits.array, (4000, 2)))
    hard = F.gumbel_softmax(many, hard=True)
    assert set(np.unique(hard.array.round(6))) == {0, 1}
    assert hard.array[:, 1].mean() == pytest.approx(0.75, abs=0.03)
    soft = F.gumbel_softmax(many, tau=0.5)
    np.testing.assert_allclose(soft.array.sum(1), 1, rtol=1e-5)
    assert soft.array.std() < F.gumbel_softmax(many, tau=0.1).array.std()
    draw = {"generator": T.Generator().manual_seed(1)}
    a = F.gumbel_softmax(logits, hard=True, **draw)
    (g,) = autograd.grad(a[0], [logits])
    draw = {"generator": T.Generator().manual_seed(1)}
    (h,) = autograd.grad(F.gumbel_softmax(logits, **draw)[0], [logits])
    np.testing.assert_array_equal(g, h)  # the gradient of the relaxed sample
    with pytest.warns(UserWarning, match="`eps` parameter is deprecated"):
        F.gumbel_softmax(logits, eps=0.1)


def test_prelu_starts_where_it_is_told():
    layer = nn.PReLU(2, init=0.1)
    np.testing.assert_allclose(layer.weight.detach(), 0.1, rtol=1e-6)
    layer(T.full((3, 2), -2.0)).sum().backward()
    assert layer.weight.grad.tolist() == [-6, -6]
    layer.weight.data += 1
    layer.reset_parameters()
    np.testing.assert_allclose(layer.weight.detach(), 0.1, rtol=1e-6)
    assert F.prelu(T.tensor(-2.0), T.tensor(0.5)).item() == -1


def test_the_old_names_of_hardtanh_warn():
    with pytest.warns(FutureWarning, match="`min_value` is deprecated and renamed to `min_val`"):
        assert nn.Hardtanh(min_value=-2.0).min_val == -2
    with pytest.warns(FutureWarning, match="`max_value` is deprecated"):
        assert nn.Hardtanh(max_value=2.0).max_val == 2


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: F.glu(T.ones(3)), RuntimeError, "Halving dimension must be even, but dimension 0"),
        (lambda: F.glu(T.tensor(1.0)), RuntimeError, "does not support scalars"),
        (lambda: F.glu(T.ones(2), 3), IndexError, "Dimension out of range"),
        (lambda: F.hardtanh(T.ones(1), 1, -1), ValueError, "min_val cannot be greater"),
        (lambda: nn.Hardtanh(1, -1), AssertionError, "must be greater than min_val"),
        (lambda: F.softshrink(T.ones(1), -1), RuntimeError, "lambda must be in range"),
        (lambda: F.celu(T.ones(1), 0), RuntimeError, "alpha cannot be 0 for CELU"),
        (lambda: F.prelu(T.ones(2, 3), T.ones(2)), RuntimeError, "Mismatch of parameter numbers"),
        (lambda: F.prelu(T.ones(2, 3), T.ones(1, 3)), RuntimeError, "scalar or 1D tensor"),
        (lambda: F.prelu(T.tensor(1.0), T.ones(2)), RuntimeError, "Not allow zero-dim input"),
        (lambda: F.rrelu(T.ones(1), 0.5, 0.1), RuntimeError, "Lower bound should be less"),
        (lambda: nn.Softmax2d()(T.ones(2, 3)), ValueError, "expected input to be 3D or 4D, got 2D"),
    ],
)
def test_errors(act, error, text):
    with pytest.raises(error, match=text):
        act()
