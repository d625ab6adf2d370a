"""The special functions: identities that hold to the last digits, and PyTorch's values."""

import math

import numpy as np
import pytest

from tinygrad_opt.kernels.fused import special

X = np.concatenate([np.linspace(0.05, 20, 400), np.geomspace(1e-6, 1e6, 100)])
BELOW = -np.linspace(0.05, 9.05, 200)[np.arange(200) % 10 != 0]


def close(actual, expected, digits=4e-15):
    scale = np.maximum(np.abs(expected), 1)
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=digits)


def test_erfinv_is_the_inverse():
    y = np.concatenate([np.linspace(-0.999, 0.999, 501), np.geomspace(1e-300, 1e-3, 50)])
    np.testing.assert_allclose(special.erf(special.erfinv(y)), y, rtol=4e-16, atol=0)
    tail = 1 - np.geomspace(1e-15, 1e-2, 50)
    np.testing.assert_allclose(special.erfc(special.erfinv(tail)), 1 - tail, rtol=1e-14)
    ends = special.erfinv(np.array([-1.0, 0.0, 1.0, 1.5, -0.0, np.nan]))
    np.testing.assert_array_equal(ends, [-np.inf, 0, np.inf, np.nan, -0.0, np.nan])


def test_types():
    for function in (special.erf, special.erfc, special.erfinv, special.lgamma):
        assert function(np.float32([0.5])).dtype == "float32"
        assert function(np.float64([0.5])).dtype == "float64"
    assert special.polygamma(np.float32([0.5]), 1).dtype == "float32"
    assert special.polygamma(np.zeros((0, 2)), 0).shape == (0, 2)


def test_recurrence_of_polygamma():
    # psi_n(x + 1) = psi_n(x) + (-1)^n n! / x^(n + 1)
    x = X[X > 0.05]  # below, the sum loses digits
    for n in range(4):
        term = (-1) ** n * math.factorial(n) / x ** (n + 1)
        close(special.polygamma(x + 1, n), special.polygamma(x, n) + term, 1e-10)
        step = (-1) ** n * math.factorial(n) / BELOW ** (n + 1)
        np.testing.assert_allclose(
            special.polygamma(BELOW + 1, n), special.polygamma(BELOW, n) + step, rtol=1e-9
        )


def test_reflection_of_digamma():
    x = np.linspace(0.05, 0.95, 50)
    difference = special.polygamma(1 - x, 0) - special.polygamma(x, 0)
    np.testing.assert_allclose(difference, math.pi / np.tan(math.pi * x), rtol=1e-13, atol=1e-13)


def test_known_values():
    euler = 0.57721566490153286
    assert special.polygamma(np.array([1.0]), 0)[0] == pytest.approx(-euler, rel=1e-15)
    assert special.polygamma(np.array([1.0]), 1)[0] == pytest.approx(math.pi**2 / 6, rel=1e-15)
    assert special.polygamma(np.array([0.5]), 1)[0] == pytest.approx(math.pi**2 / 2, rel=1e-15)
    assert special.polygamma(np.array([1.0]), 2)[0] == pytest.approx(-2.4041138063191886, rel=1e-15)
    assert np.isnan(special.polygamma(np.array([np.nan]), 0)[0])
    assert special.polygamma(np.array([np.inf]), 0)[0] == np.inf


@pytest.mark.peers
def test_values_as_pytorch(torch):
    y = np.linspace(-0.999999, 0.999999, 501)
    np.testing.assert_allclose(special.erfinv(y), torch.erfinv(torch.tensor(y)), rtol=1e-13)
    close(special.polygamma(X, 0), torch.digamma(torch.tensor(X)).numpy(), 1e-14)
    close(special.polygamma(BELOW, 0), torch.digamma(torch.tensor(BELOW)).numpy(), 1e-12)
    for n in (2, 3):
        peer = torch.special.polygamma(n, torch.tensor(X)).numpy()
        np.testing.assert_allclose(special.polygamma(X, n), peer, rtol=1e-13)


FAR = [  # n, x, polygamma(n, x), worked out with 60 digits
    (0, -1e9 + 0.5, 20.72326583694641), (0, -123456.75, 8.582057567691884),
    (0, -1e15 + 0.5, 34.538776394910684), (0, -1e-10, 9999999999.422785),
    (1, -2.25, 19.37941051186914), (1, -1e9 + 0.5, 9.869604400089358), (2, -1e9 + 0.5, -1e-18),
    (3, -1e3 + 0.25, 1558.5454565420405), (4, -7.1, 2399973.8329840363),
]  # fmt: skip


@pytest.mark.parametrize(("n", "x", "expected"), FAR)
def test_far_below_zero(n, x, expected):
    y = special.polygamma(np.array([x]), n)[0]
    np.testing.assert_allclose(y, expected, rtol=2e-13)


def test_work_does_not_grow_with_the_number(monkeypatch):
    steps = []
    ratio = special._ratio
    monkeypatch.setattr(special, "_ratio", lambda *a: steps.append(1) or ratio(*a))
    for x in (-3e30, -1e9 + 0.5, -1e5, 1e300, -np.inf, np.nan):
        special.polygamma(np.array([x, 0.1]), 1)
    assert len(steps) < 6 * 30


def test_large_orders():
    # psi_n(x) = (-1)^(n + 1) n! / x^(n + 1) (1 + (x / (x + 1))^(n + 1) + ...)
    x = np.array([1.0, 2.0, 3.0])
    for n in (60, 120, 160):
        first = math.factorial(n) * np.exp(-(n + 1) * np.log(x))
        rest = sum((x / (x + k)) ** (n + 1) for k in range(40))
        np.testing.assert_allclose(special.polygamma(x, n), (-1) ** (n + 1) * first * rest, 1e-11)
    assert special.polygamma(np.array([1e5]), 200)[0] == 0
    assert np.isinf(special.polygamma(np.array([0.1]), 200)[0])


def test_poles_as_pytorch_says():
    at = np.array([0.0, -0.0, -1.0, -(2.0**60)])
    inf = np.inf
    np.testing.assert_array_equal(special.polygamma(at, 0), [-inf, inf, np.nan, np.nan])
    np.testing.assert_array_equal(special.polygamma(at, 1), [inf] * 4)
    np.testing.assert_array_equal(special.polygamma(at, 2), [-inf] * 4)
    mirrored = special.polygamma(np.array([3.5]), 2)  # pi cot(pi x) has no curvature at -2.5
    np.testing.assert_array_equal(special.polygamma(np.array([-2.5]), 2), mirrored)


def test_half_precision_stays():
    for function in (special.erf, special.erfc, special.erfinv, special.lgamma):
        assert function(np.float16([0.5])).dtype == "float16"
    assert special.polygamma(np.float16([0.5]), 0).dtype == "float16"
