"""Initialisation: bounds and spreads that the formulas promise, on enough numbers to see them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt import nn
from tinygrad_opt.nn import init

FAN_IN, FAN_OUT = 300, 200


def weight():
    return nn.Parameter(T.zeros(FAN_OUT, FAN_IN))


def uniform_std(bound):
    return bound / math.sqrt(3)


@pytest.mark.parametrize(
    ("fill", "bound", "std"),
    [
        (lambda w, g: init.uniform_(w, -2, 2, generator=g), 2, uniform_std(2)),
        (lambda w, g: init.normal_(w, 0, 3, generator=g), None, 3),
        (lambda w, g: init.trunc_normal_(w, 0, 1, -1, 1, generator=g), 1, 0.5396),
        (lambda w, g: init.xavier_uniform_(w, 2, generator=g), 2 * math.sqrt(6 / 500), None),
        (lambda w, g: init.xavier_normal_(w, 2, generator=g), None, 2 * math.sqrt(2 / 500)),
        (lambda w, g: init.kaiming_uniform_(w, math.sqrt(5), generator=g), 300**-0.5, None),
        (lambda w, g: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu", generator=g),
         math.sqrt(6 / 200), None),
        (lambda w, g: init.kaiming_normal_(w, generator=g), None, math.sqrt(2 / 300)),
        (lambda w, g: init.kaiming_normal_(w, nonlinearity="tanh", generator=g), None,
         5 / 3 / math.sqrt(300)),
    ],
)  # fmt: skip
def test_random_fills(fill, bound, std):
    w = weight()
    array = w.array
    assert fill(w, T.Generator().manual_seed(0)) is w
    assert w.array is array
    assert w.requires_grad
    assert w.is_leaf
    again = fill(weight(), T.Generator().manual_seed(0))
    np.testing.assert_array_equal(again.array, array)
    assert abs(array.mean()) < 0.02 * array.std()
    if bound is not None:
        assert 0.99 * bound < abs(array).max() <= np.float32(bound)
        std = uniform_std(bound) if std is None else std
    assert array.std() == pytest.approx(std, rel=0.02)


def test_constant_fills():
    w = T.zeros(2, 3)
    assert init.ones_(w).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert init.constant_(w, 0.5).tolist() == [[0.5] * 3] * 2
    assert init.eye_(w).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert init.zeros_(w).abs().sum() == 0


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (3, 2, 4)])
def test_orthogonal(shape):
    w = init.orthogonal_(T.zeros(*shape, dtype=T.float64), gain=2)
    m = w.numpy().reshape(shape[0], -1)
    gram = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)
    assert init.orthogonal_(T.zeros(0, 3)).shape == (0, 3)


def test_gains():
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
    assert init.calculate_gain("leaky_relu", 1) == 1
    assert init.calculate_gain("selu") == 0.75
    assert init.calculate_gain("conv2d") == 1


def test_fans():
    assert init._calculate_fan_in_and_fan_out(T.zeros(4, 3, 5, 2)) == (30, 40)


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: init.xavier_uniform_(T.zeros(3)), "fewer than 2 dimensions"),
        (lambda: init.kaiming_normal_(weight(), mode="fan"),
         r"Mode fan not supported, please use one of \['fan_in', 'fan_out'\]"),
        (lambda: init.calculate_gain("cube"), "Unsupported nonlinearity cube"),
        (lambda: init.calculate_gain("leaky_relu", "x"), "negative_slope x not a valid number"),
        (lambda: init.orthogonal_(T.zeros(3)), "with 2 or more dimensions"),
        (lambda: init.eye_(T.zeros(3)), "with 2 dimensions are supported"),
    ],
)  # fmt: skip
def test_errors(act, text):
    with pytest.raises(ValueError, match=text):
        act()


def test_warnings():
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        init.kaiming_uniform_(T.zeros(0, 3))
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        init.kaiming_normal_(T.zeros(0, 3))
    with pytest.warns(UserWarning, match="mean is more than 2 std from"):
        init.trunc_normal_(T.zeros(3), mean=9)
