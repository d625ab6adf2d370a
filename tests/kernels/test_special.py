"""The special functions: identities that hold to the last digits, and PyTorch's values."""

import math

import numpy as np
import pytest

from tinygrad_opt.kernels import special

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
