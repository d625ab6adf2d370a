"""The ends of ranges: weights 0 and 1, infinite neighbours, narrow histograms."""

import math

import numpy as np
import pytest

import tinygrad_opt as tg

INF, NAN = math.inf, math.nan
T = tg.tensor

VALUES = {
    "lerp: weight 1": (lambda: tg.lerp(T([1e8]), T([1.0]), 1.0), [1]),
    "lerp: weight 0": (lambda: tg.lerp(T([1.0]), T([1e8]), 0.0), [1]),
    "lerp: tensor": (lambda: tg.lerp(T([1e8, 1.0]), T([1.0, 1e8]), T([1.0, 0.0])), [1, 1]),
    "lerp: broadcast": (lambda: T([[0.0], [8.0]]).lerp(T([4.0, 12.0]), 0.25), [[1, 3], [7, 9]]),
    "lerp_": (lambda: T([1e8]).lerp_(T([1.0]), 1.0), [1]),
    "lerp_: tensor": (lambda: T([1e8]).lerp_(T([1.0]), T(1.0)), [1]),
    "lerp: beyond": (lambda: tg.lerp(T([1.0]), T([2.0]), 3.0), [4]),
    "histc: narrow": (lambda: tg.histc(T([1e7, 1e7 + 1]), 4), [1, 0, 0, 1]),
    "histc: many bins": (lambda: tg.histc(T([1e7, 1e7 + 1]), 64).sum(), 2),
    "histc: the end": (lambda: tg.histc(T([0.0, 0.5, 1.0]), 2, 0, 1), [1, 2]),
    "histc: outside": (lambda: tg.histc(T([-1.0, 0.2, NAN, 7.0]), 2, 0, 1), [1, 0]),
    "linspace": (lambda: tg.linspace(0.1, 0.7, 7)[-1], 0.7),
    "logspace": (lambda: tg.logspace(0, 3, 4), [1, 10, 100, 1000]),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    call, right = VALUES[name]
    np.testing.assert_allclose(call().numpy(), right, rtol=1e-7)


# (values, q): linear, lower, higher, midpoint, nearest
QUANTILES = {
    "between -inf and 1": ([-INF, 1.0, 2.0], 0.25, [-INF, -INF, 1, -INF, -INF]),
    "a little above -inf": ([-INF, 1.0, 2.0], 0.1, [-INF, -INF, 1, -INF, -INF]),
    "at -inf": ([-INF, -INF, 2.0], 0.5, [-INF] * 5),
    "at a number": ([-INF, 1.0, INF], 0.5, [1] * 5),
    "a little below inf": ([1.0, 2.0, INF], 0.9, [INF, 2, INF, INF, INF]),
    "a little above 2": ([1.0, 2.0, INF], 0.6, [INF, 2, INF, INF, 2]),
    "between both": ([-INF, INF], 0.5, [NAN, -INF, INF, NAN, -INF]),
    "all inf": ([INF, INF], 0.3, [INF] * 5),
}
MODES = ("linear", "lower", "higher", "midpoint", "nearest")


@pytest.mark.parametrize("name", QUANTILES)
@pytest.mark.parametrize("function", ["quantile", "nanquantile"])
def test_quantiles_beside_infinities(name, function):
    values, q, right = QUANTILES[name]
    got = [getattr(T(values), function)(q, interpolation=mode).item() for mode in MODES]
    np.testing.assert_array_equal(got, right)


def test_quantile_of_equal_values_is_that_value():
    x = T([0.1, 0.1, 0.1])
    for q in np.linspace(0, 1, 11):
        assert x.quantile(float(q)).item() == x[0].item()


def test_gradient_of_a_quantile_beside_an_infinity():
    x = T([-INF, 1.0, 2.0], requires_grad=True)
    x.quantile(0.75).backward()
    assert x.grad.tolist() == [0, 0.5, 0.5]
