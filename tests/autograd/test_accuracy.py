"""Derivatives near poles, in tails and at huge values: digits that a rounded result has lost.

The right values are formulas that cancel nothing, in float64.
"""

import math

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn

F = nn.functional
SELU = (1.6732632423543772, 1.0507009873554805)

LEFT = [-1e-6, -1e-3, -0.1, -1.0, -5.0, -10.0, -20.0, -40.0, -80.0]
BOTH = [1e-6, 1e-3, 0.1, 1.0, 5.0, 20.0, 80.0, *LEFT]
INSIDE = [-1 + 6e-8, -0.999, -0.5, -1e-4, 1e-4, 0.5, 0.999, 1 - 6e-8]
HUGE = [1e4, 1e10, 1e20, -1e4, -1e20]


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def sinc_slope(x):
    if abs(x) > 0.3:
        return (math.cos(math.pi * x) - math.sin(math.pi * x) / (math.pi * x)) / x
    t = math.pi * x  # the next term is below 1e-9 of these
    return math.pi * (-t / 3 + t**3 / 30 - t**5 / 840 + t**7 / 45360 - t**9 / 3991680)


def gelu_tanh(x):
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


SLOPES = {
    "expm1": (tg.expm1, math.exp, LEFT),
    "elu": (F.elu, math.exp, LEFT),
    "elu: alpha": (lambda x: F.elu(x, 0.3), lambda x: 0.3 * math.exp(x), LEFT),
    "selu": (F.selu, lambda x: SELU[0] * SELU[1] * math.exp(x), LEFT),
    "celu": (lambda x: F.celu(x, 2.0), lambda x: math.exp(x / 2), LEFT),
    "sinc": (tg.sinc, sinc_slope, [1e-30, 1e-10, 1e-4, 1e-3, 0.01, -0.1, 0.29, 0.31, 0.6]),
    "asinh": (tg.asinh, lambda x: 1 / math.hypot(x, 1), [*BOTH, *HUGE]),
    "acosh": (tg.acosh, lambda x: 1 / (math.sqrt(x - 1) * math.sqrt(x + 1)),
              [1 + 2e-7, 1.001, 3.0, 1e10, 1e20]),
    "atanh": (tg.atanh, lambda x: 1 / ((1 - x) * (1 + x)), INSIDE),
    "asin": (tg.asin, lambda x: 1 / math.sqrt((1 - x) * (1 + x)), INSIDE),
    "acos": (tg.acos, lambda x: -1 / math.sqrt((1 - x) * (1 + x)), INSIDE),
    "softplus": (F.softplus, sigmoid, LEFT),
    "logsigmoid": (F.logsigmoid, lambda x: sigmoid(-x), BOTH),
    "bce with logits": (
        lambda x: F.binary_cross_entropy_with_logits(x, 0 * x, reduction="sum"), sigmoid, LEFT),
    "bce with logits: weight": (
        lambda x: F.binary_cross_entropy_with_logits(
            x, 0 * x + 1, pos_weight=tg.tensor(2.0, dtype=x.dtype), reduction="sum"),
        lambda x: -2 * sigmoid(-x), BOTH),
    "logit": (tg.logit, lambda x: 1 / (x * (1 - x)), [1e-30, 1e-6, 0.5, 1 - 6e-8]),
    "atan2: y": (lambda y: tg.atan2(y, y.detach()), lambda y: 0.5 / y, [1e-25, 1e-3, 1.0, 1e20]),
    "atan2: x": (lambda x: tg.atan2(x.detach(), x), lambda x: -0.5 / x, [1e-25, 1.0, 1e20]),
    "logaddexp": (lambda x: tg.logaddexp(x, x.detach() + 1), lambda x: sigmoid(-1.0),
                  [0.0, 1e3, 1e6, -1e6]),
    "logaddexp: equal": (lambda x: tg.logaddexp(x, x.detach()), lambda x: 0.5, [*HUGE, 1e38]),
    "logaddexp2: equal": (lambda x: tg.logaddexp2(x.detach(), x), lambda x: 0.5, [*HUGE, 1e38]),
    "logaddexp: far": (lambda x: tg.logaddexp(x, 0 * x.detach()), sigmoid, LEFT),
    "logsumexp: equal": (
        lambda x: tg.stack([x, x.detach()]).logsumexp(0), lambda x: 0.5, [*HUGE, 1e38]),
    "logcumsumexp: equal": (
        lambda x: tg.stack([x, x.detach(), x.detach()]).logcumsumexp(0)[2], lambda x: 1 / 3,
        [*HUGE, 1e38]),
}  # fmt: skip

VALUES = {
    "gelu": (F.gelu, lambda x: x * cdf(x), [-0.1, -1.0, -3.0, -5.0, -8.0, 2.0]),
    "gelu: tanh": (
        lambda x: F.gelu(x, approximate="tanh"), gelu_tanh, [-0.1, -1.0, -3.0, -5.0, 2.0]),
    "std": (lambda x: tg.stack([x, -x]).std(0), lambda x: math.sqrt(2) * x, [1e-30, 1.0, 1e20]),
    "norm": (lambda x: tg.stack([x, x]).norm(dim=0), lambda x: math.sqrt(2) * x,
             [1e-30, 1.0, 1e20]),
    "norm: p=3": (lambda x: tg.stack([x, x]).norm(3, 0), lambda x: 2 ** (1 / 3) * x,
                  [1e-30, 1.0, 1e20]),
    "norm: p=-2": (lambda x: tg.stack([x, x]).norm(-2, 0), lambda x: 2**-0.5 * x,
                   [1e-30, 1.0, 1e20]),
    "cosine_similarity": (
        lambda x: F.cosine_similarity(tg.stack([x, x], 1), tg.ones(1, 2, dtype=x.dtype)),
        lambda x: 1.0, [1e-3, 1e20]),
    "smooth_l1": (
        lambda x: F.smooth_l1_loss(x, 0 * x, reduction="none", beta=1e-30), abs, [1.0, -2.0]),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SLOPES)
def test_slopes(name, dtype):
    function, right, points = SLOPES[name]
    points = np.array(points, dtype)
    x = tg.tensor(points, requires_grad=True)
    function(x).sum().backward()
    expected = [right(float(p)) for p in points]
    close(x.grad, expected, 2e-5 if dtype == "float32" else 1e-8)


def close(got, expected, rtol):
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=rtol, atol=1e-44)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VALUES)
def test_values(name, dtype):
    function, right, points = VALUES[name]
    points = np.array(points, dtype)
    expected = [right(float(p)) for p in points]
    close(function(tg.tensor(points)), expected, 1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("name", ["gelu", "gelu: tanh"])
def test_slope_of_gelu_on_the_left(name):
    function, right, points = VALUES[name]
    x = tg.tensor(np.array(points, "float32"), requires_grad=True)
    function(x).sum().backward()
    h = 1e-5
    close(x.grad, [(right(p + h) - right(p - h)) / (2 * h) for p in points], 2e-4)


# Second derivatives -------------------------------------------------------------------------------

CURVATURES = {
    "huber: at 0": (lambda x: F.huber_loss(x, 0 * x.detach(), reduction="sum"), 0.0, 1.0),
    "huber: beyond": (lambda x: F.huber_loss(x, 0 * x.detach(), reduction="sum"), 2.0, 0.0),
    "smooth_l1: at 0": (
        lambda x: F.smooth_l1_loss(x, 0 * x.detach(), reduction="sum", beta=0.5), 0.0, 2.0),
    "logaddexp: equal": (lambda x: tg.logaddexp(x, x.detach()), 1e7, 0.25),
    "logaddexp2: equal": (lambda x: tg.logaddexp2(x, x.detach()), 1e7, math.log(2) / 4),
    "logsumexp: equal": (lambda x: tg.stack([x, x.detach()]).logsumexp(0), 1e7, 0.25),
    "logcumsumexp: equal": (
        lambda x: tg.stack([x, x.detach()]).logcumsumexp(0)[1], 1e7, 0.25),
    "sinc: at 0": (tg.sinc, 0.0, -(math.pi**2) / 3),
    "elu": (F.elu, -20.0, math.exp(-20)),
    "norm: p=3": (lambda x: tg.stack([x, x.detach() * 2], 1).norm(3, 1), 1.0, 16 / 9 ** (5 / 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", CURVATURES)
def test_curvatures(name):
    function, at, right = CURVATURES[name]
    x = tg.tensor([at], dtype=tg.float64, requires_grad=True)
    (slope,) = tg.autograd.grad(function(x).sum(), x, create_graph=True)
    (curvature,) = tg.autograd.grad(slope.sum(), x)
    np.testing.assert_allclose(curvature.numpy(), [right], rtol=1e-7)
