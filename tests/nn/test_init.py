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
        (lambda: init.sparse_(T.zeros(3), 0.1), "with 2 dimensions are supported"),
        (lambda: init.dirac_(T.zeros(3, 3)), "3, 4, or 5 dimensions are supported"),
        (lambda: init.dirac_(T.zeros(4, 3, 3), 3), "dim 0 must be divisible by groups"),
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


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_passes_its_input_on(groups):
    conv = nn.Conv1d(4, 4, 3, padding=1, groups=groups, bias=False)
    x = T.randn(2, 4, 6)
    init.dirac_(conv.weight, groups)
    np.testing.assert_allclose(conv(x).detach(), x)
    assert init.dirac_(T.zeros(4, 2, 3, 3)).array.sum() == 2
    assert init.dirac_(T.zeros(2, 3, 1, 3, 2))[1, 1, 0, 1, 1].item() == 1


def test_sparse():
    w = init.sparse_(T.zeros(10, 50), 0.25, std=2, generator=T.Generator().manual_seed(0))
    assert ((w.array == 0).sum(0) == 3).all()  # 2.5 of 10 in each column, rounded up
    assert w.array[w.array != 0].std() == pytest.approx(2, rel=0.15)
    assert len(np.unique((w.array == 0).argmax(0))) > 1


OLD_NAMES = {
    "uniform": (0, 1), "normal": (0, 1), "constant": (3,), "eye": (), "xavier_uniform": (),
    "xavier_normal": (), "kaiming_uniform": (), "kaiming_normal": (), "orthogonal": (),
    "sparse": (0.5,),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD_NAMES)
def test_names_without_underscore_warn(name):
    w = T.zeros(2, 3)
    with pytest.warns(FutureWarning, match=rf"`nn.init.{name}` is now deprecated in favor of"):
        assert getattr(init, name)(w, *OLD_NAMES[name]) is w
    with pytest.warns(FutureWarning, match="`nn.init.dirac_`"):
        init.dirac(T.zeros(1, 1, 1))


# mean, std, a, b; the mean and standard deviation of what is left (numerical integrals)
TAILS = [
    (0, 1, 10, 11, 10.098079, 0.0970985),
    (0, 1, -11, -10, -10.098079, 0.0970985),
    (0, 1, 8, 9, 8.1210899, 0.118764),
    (0, 1, 40, 41, 40.024969, 0.0249532),
    (0, 1, -1000, -999, -999.001001, 0.001001),
    (0, 1, 35, 36.5, 35.028525, 0.0285024),
    (3, 2, 33, float("inf"), 33.13216, 0.131589),
]


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
@pytest.mark.parametrize("row", TAILS)
@pytest.mark.parametrize("dtype", [T.float32, T.float64])
def test_truncated_normal_in_the_tails(row, dtype):
    *settings, mean, std = row
    x = init.trunc_normal_(T.empty(20_000, dtype=dtype), *map(float, settings)).double().array
    assert settings[2] <= x.min() < x.max() <= settings[3]
    assert x.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(x.size) + 1e-5 * (mean < -900))
    assert x.std() == pytest.approx(std, rel=0.05)


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_truncated_normal_of_float16():
    x = init.trunc_normal_(T.empty(2000, dtype=T.float16), 0.0, 1.0, 10.0, 11.0)
    assert x.float().std().item() > 0.05
