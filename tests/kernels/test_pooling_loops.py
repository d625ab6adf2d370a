"""The loops of pooling against the definition: every window, cell by cell."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tinygrad_opt.kernels import micro
from tinygrad_opt.kernels.fused import pooling
from tinygrad_opt.kernels.fused.pooling import planning
from tinygrad_opt.kernels.micro.tiles import Registers

# image, kernel, stride, padding, dilation, for three axes
CASES = {
    "pairs": ((1, 6, 40), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
    "pairs in short lines": ((1, 9, 7), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
    "pairs of lines with padding": ((2, 5, 18), (2, 3, 2), (2, 4, 2), (1, 1, 0), (1, 1, 1)),
    "pairs with gaps": ((1, 7, 20), (1, 1, 2), (1, 3, 2), (0, 0, 0), (1, 1, 1)),
    "overlapping": ((1, 11, 13), (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
    "one apart": ((1, 6, 21), (1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1)),
    "three apart": ((1, 12, 30), (1, 3, 3), (1, 3, 3), (0, 0, 0), (1, 1, 1)),
    "dilated": ((1, 12, 14), (1, 2, 3), (1, 3, 2), (0, 1, 2), (1, 2, 2)),
    "three axes": ((4, 5, 6), (2, 3, 2), (1, 2, 3), (1, 1, 1), (2, 1, 2)),
    "without a cell": ((1, 1, 3), (1, 1, 2), (1, 1, 1), (0, 0, 1), (1, 1, 4)),
    "large": ((1, 60, 50), (1, 2, 3), (1, 2, 1), (0, 1, 1), (1, 1, 1)),
    "as large as the image": ((1, 7, 7), (1, 7, 7), (1, 7, 7), (0, 0, 0), (1, 1, 1)),
}


def windows(name):
    """The settings, the lengths of the result, and for each window its cells (tap, place)."""
    image, kernel, stride, low, dilation = CASES[name]
    output = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(image, low, dilation, kernel, stride, strict=True)
    )
    cells = {}
    for at in itertools.product(*map(range, output)):
        cells[at] = []
        for t, tap in enumerate(itertools.product(*map(range, kernel))):
            place = tuple(
                o * s - p + i * d
                for o, s, p, i, d in zip(at, stride, low, tap, dilation, strict=True)
            )
            if all(0 <= i < n for i, n in zip(place, image, strict=True)):
                cells[at].append((t, place))
    return image, kernel, output, (stride, low, dilation), cells


def images(dtype, shape, seed=0):
    """Few different values, so that many are equal; with NaN and infinities."""
    rng = np.random.default_rng(seed)
    x = np.round(2 * rng.standard_normal(shape)).astype(dtype)
    x[rng.random(shape) < 0.05] = np.nan
    x[rng.random(shape) < 0.1] = -np.inf
    x[rng.random(shape) < 0.02] = np.inf
    return x


@pytest.fixture(params=["own", "wide"])
def _width(request, monkeypatch):
    if request.param == "wide":
        monkeypatch.setattr(micro, "registers", lambda: Registers(64, 32))
    remembered = micro.kind_of, micro.loops, planning.plan
    for function in remembered:
        function.cache_clear()
    yield
    for function in remembered:
        function.cache_clear()


def chosen(image, cells):
    """(value, tap) of each window of an image: the first of equal cells, the last NaN."""
    for at, seen in cells.items():
        best, tap = -math.inf, seen[0][0] if seen else pooling.NONE
        for t, place in seen:
            value = image[place]
            if value > best or value != value:
                best, tap = value, t
        yield at, best, tap


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("_width")
def test_maxima_and_the_way_back(name, dtype):
    image, kernel, output, settings, cells = windows(name)
    x = images(dtype, (3, 2, *image))
    y, choice = pooling.window_maxima(x, kernel, output, *settings)
    expected, taps = np.empty_like(y), np.empty_like(choice)
    g = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    dx = np.zeros_like(x)
    for n, c in np.ndindex(3, 2):
        for at, value, tap in chosen(x[n, c], cells):
            expected[(n, c, *at)], taps[(n, c, *at)] = value, tap
            if tap != pooling.NONE:
                dx[(n, c, *dict(cells[at])[tap])] += g[(n, c, *at)]
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(choice, taps)
    found = pooling.spread_maxima(g, choice, image, kernel, *settings)
    np.testing.assert_allclose(found, dx, rtol=0, atol=1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("_width")
def test_means_and_the_way_back(name, dtype):
    image, kernel, output, settings, cells = windows(name)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 2, *image)).astype(dtype)
    weights = tuple(tuple(rng.uniform(0.5, 2, n)) for n in output)
    y = pooling.window_means(x, weights, kernel, output, *settings)
    expected, dx = np.zeros_like(y), np.zeros_like(x)
    g = rng.standard_normal(y.shape).astype(dtype)
    for at, seen in cells.items():
        weight = math.prod(w[i] for w, i in zip(weights, at, strict=True))
        for _, place in seen:
            expected[(..., *at)] += x[(..., *place)] * weight
            dx[(..., *place)] += g[(..., *at)] * weight
    tolerance = dict(rtol=0, atol=2e-5 if dtype == "float32" else 1e-13)
    np.testing.assert_allclose(y, expected, **tolerance)
    found = pooling.spread_means(g, weights, image, kernel, *settings)
    np.testing.assert_allclose(found, dx, **tolerance)


def test_an_infinite_cell_stays_where_it_is_seen():
    x = np.zeros((1, 1, 1, 1, 9), "f")
    x[..., 4] = np.inf
    y = pooling.window_means(x, ((1.0,), (1.0,), (1 / 3,) * 9), (1, 1, 3), (1, 1, 9), (1, 1, 1),
                             (0, 0, 1), (1, 1, 1))  # fmt: skip
    assert np.isinf(y).ravel().tolist() == [3 <= i <= 5 for i in range(9)]


def test_a_choice_that_names_no_tap_adds_nothing():
    g, choice = np.ones((1, 1, 1, 1, 4), "f"), np.full((1, 1, 1, 1, 4), 9, np.uint8)
    for kernel, stride in ((2, 2), (3, 1)):
        dx = pooling.spread_maxima(g, choice, (1, 1, 8), (1, 1, kernel), (1, 1, stride), (0, 0, 0),
                                   (1, 1, 1))  # fmt: skip
        assert not dx.any()
