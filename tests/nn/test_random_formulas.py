"""Random functions by their formulas: exact, given what was drawn; and how often it is drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import references
from nn_rows import RANDOM
from nn_rows.samplers import numbers

import tinygrad_opt as T
from tinygrad_opt import nn
from tinygrad_opt.nn import functional as F

# function -> its layer, the shape it takes, and how many of the axes are decided one by one
DROPOUTS = {
    "dropout": (nn.Dropout, (200, 50), 2),
    "dropout1d": (nn.Dropout1d, (100, 50, 3), 2),
    "dropout2d": (nn.Dropout2d, (100, 50, 2, 3), 2),
    "dropout3d": (nn.Dropout3d, (100, 50, 2, 1, 3), 2),
}
ALPHA_DROPOUTS = {
    "alpha_dropout": (nn.AlphaDropout, (200, 50), 2),
    "feature_alpha_dropout": (nn.FeatureAlphaDropout, (100, 50, 3), 2),
}
SHARE = 0.3


def check_decisions(dropped, axes):
    """One decision for each channel, of the right share: within five standard deviations."""
    channels = dropped.reshape(*dropped.shape[:axes], -1)
    assert (channels == channels[..., :1]).all()
    count = math.prod(dropped.shape[:axes])
    assert abs(channels[..., 0].mean() - SHARE) < 5 * math.sqrt(SHARE * (1 - SHARE) / count)


def both_forms(name, layer, x):
    """The function's values; the layer draws the same ones from the same seed."""
    T.manual_seed(4)
    y = getattr(F, name)(T.tensor(x), SHARE, training=True).numpy()
    T.manual_seed(4)
    np.testing.assert_array_equal(layer(SHARE)(T.tensor(x)).numpy(), y)
    return y


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout_zeroes_or_divides(name):
    layer, shape, axes = DROPOUTS[name]
    x = numbers(*shape)
    y = both_forms(name, layer, x)
    dropped = y == 0
    np.testing.assert_allclose(y, np.where(dropped, 0, x / (1 - SHARE)), rtol=1e-14)
    check_decisions(dropped, axes)


@pytest.mark.parametrize("name", ALPHA_DROPOUTS)
def test_alpha_dropout_is_affine_around_the_lowest_value(name):
    """a * (x or lowest) + b, with a and b so that mean 0 and variance 1 stay (section 3)."""
    layer, shape, axes = ALPHA_DROPOUTS[name]
    x = numbers(*shape)
    y = both_forms(name, layer, x)
    lowest = -1.6732632423543772 * 1.0507009873554805
    a = ((1 - SHARE) * (1 + SHARE * lowest**2)) ** -0.5
    b = -a * SHARE * lowest
    dropped = abs(y - (a * lowest + b)) < 1e-12
    np.testing.assert_allclose(y, a * np.where(dropped, lowest, x) + b, rtol=1e-12, atol=1e-13)
    check_decisions(dropped, axes)


@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_gumbel_softmax_is_the_softmax_with_noise(tau):
    logits = numbers(6, 4)
    uniform = T.rand(6, 4, dtype=T.float64, generator=T.Generator().manual_seed(2)).numpy()
    noise = -np.log(-np.log(uniform))
    expected = references.softmax((logits + noise) / tau, -1)
    given = {"tau": tau, "generator": T.Generator().manual_seed(2)}
    np.testing.assert_allclose(F.gumbel_softmax(T.tensor(logits), **given), expected, rtol=1e-12)
    given["generator"].manual_seed(2)
    hard = F.gumbel_softmax(T.tensor(logits), hard=True, **given).numpy()
    np.testing.assert_allclose(hard, np.eye(4)[expected.argmax(1)], atol=1e-15)


def test_rrelu_multiplies_by_what_is_drawn():
    x = numbers(20, 10)
    T.manual_seed(5)
    slopes = 0.2 + 0.4 * T.rand(20, 10, dtype=T.float64).numpy()
    for form in (nn.RReLU(0.2, 0.6), lambda x: F.rrelu(x, 0.2, 0.6, training=True)):
        T.manual_seed(5)
        np.testing.assert_allclose(form(T.tensor(x)), np.where(x > 0, x, slopes * x), rtol=1e-14)


def test_every_random_function_has_a_formula():
    assert {*DROPOUTS, *ALPHA_DROPOUTS, "gumbel_softmax"} == RANDOM
