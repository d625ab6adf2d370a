"""The loops of a matrix product: every way that matrices lie, sizes around those of blocks."""

import itertools

import numpy as np
import pytest
from numba import njit

from tinygrad_opt.kernels.fused.products import CACHE, GROUP, LOW, TERMS, WIDE
from tinygrad_opt.kernels.micro import Kind, written

WAYS = list(itertools.product((0, 1), repeat=2))
KINDS = [("float32", 64, 32), ("float64", 64, 32), ("float32", 32, 16)]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}")
def kind(request):
    """A kind of vectors, and the loops of products of such."""
    loops = written("tinygrad_opt.kernels.fused.products", "product", *request.param, 13)

    @njit
    def run(x_way, y_way, m, n, k, x, x_line, y, y_line, out, line, more, bias):
        loops(x_way, y_way, m, n, k, x, x_line, y, y_line, out, line, more, bias)

    return Kind(*request.param), run


def lying(numbers, way, more):
    """The numbers in rows (0) or columns (1), NaN between the lines; and from line to line."""
    lines = numbers.T if way else numbers
    place = np.full((lines.shape[0], lines.shape[1] + more), np.nan, numbers.dtype)
    place[:, : lines.shape[1]] = lines
    return place, place.shape[1]


def multiplied(kind, run, x, y, ways, before=None, bias=None):
    """The product; added to what stood there `before`, if anything did, or to a bias."""
    m, n = x.shape[0], y.shape[1]
    (x_place, x_line), (y_place, y_line) = (
        lying(a, way, 3) for a, way in zip((x, y), ways, strict=True)
    )
    out = np.full((m, n + 3), np.nan, kind.dtype)
    if before is not None:
        out[:, :n] = before
    addresses = x_place.ctypes.data, x_line, y_place.ctypes.data, y_line, out.ctypes.data
    row = 0 if bias is None else bias.ctypes.data
    run(*ways, m, n, x.shape[1], *addresses, n + 3, before is not None, row)
    assert np.isnan(out[:, n:]).all()  # what stands between the lines stays
    return out[:, :n]


@pytest.mark.parametrize("ways", WAYS)
def test_sizes_around_those_of_blocks(kind, ways):
    kind, run = kind
    random = np.random.default_rng(0)
    wide, tall = WIDE * kind.lanes, kind.tallest
    rows = {LOW, LOW + 1, tall - 1, tall, tall + 1, 2 * tall + LOW, 3 * tall + LOW + 1, 97}
    columns = {wide, wide + 1, 2 * wide - 1, 2 * wide, 3 * wide + 5}
    lengths = {1, 2, kind.lanes - 1, kind.lanes, kind.lanes + 1, 100}
    for m, n, k in itertools.product(sorted(rows), sorted(columns), sorted(lengths)):
        x, y = random.standard_normal((m, k)), random.standard_normal((k, n))
        x, y = x.astype(kind.dtype), y.astype(kind.dtype)
        error = np.abs(multiplied(kind, run, x, y, ways) - x.astype(float) @ y.astype(float))
        scale = np.abs(x).astype(float) @ np.abs(y).astype(float)
        assert (error / scale).max() < (k + 2) * np.finfo(kind.dtype).eps, (m, n, k)


@pytest.mark.parametrize("ways", WAYS)
def test_a_part_has_the_bits_of_the_whole(kind, ways):
    """With more panels than are made at once."""
    kind, run = kind
    random = np.random.default_rng(1)
    x = random.standard_normal((61, 1500)).astype(kind.dtype)
    y = random.standard_normal((1500, 15 * kind.lanes)).astype(kind.dtype)
    whole = multiplied(kind, run, x, y, ways)
    for columns in (slice(kind.lanes, 4 * kind.lanes), slice(kind.lanes - 3, 5 * kind.lanes + 2)):
        part = multiplied(kind, run, x[13:40], y[:, columns], ways)
        np.testing.assert_array_equal(part, whole[13:40, columns])


@pytest.mark.parametrize("ways", WAYS)
def test_columns_that_are_far_apart(kind, ways):
    """Strips are made of them; more terms than are added up at once, and columns left over."""
    kind, run = kind
    random = np.random.default_rng(4)
    m, k, n = 2 * GROUP * kind.tallest + 5, TERMS + 9, 7 * kind.lanes + 1
    x, y = random.standard_normal((m, k)), random.standard_normal((k, n))
    x, y = x.astype(kind.dtype), y.astype(kind.dtype)
    found = multiplied(kind, run, x, y, ways)
    error = np.abs(found - x.astype(float) @ y.astype(float))
    scale = np.abs(x).astype(float) @ np.abs(y).astype(float)
    assert (error / scale).max() < 40 * np.finfo(kind.dtype).eps
    np.testing.assert_array_equal(multiplied(kind, run, x, y[:, :-3], ways), found[:, :-3])


@pytest.mark.parametrize("ways", WAYS)
def test_the_last_panel_is_alone_in_its_group(kind, ways):
    """It begins within the group before it, whose sums are done."""
    kind, run = kind
    random, columns = np.random.default_rng(5), WIDE * kind.lanes
    for terms in (TERMS, TERMS // 2):
        number = CACHE // ((terms + 1) * columns * kind.size)
        m, k, n = 5 * kind.tallest + 3, terms + 9, number * columns + 5
        x = random.standard_normal((m, k)).astype(kind.dtype)
        y = random.standard_normal((k, n)).astype(kind.dtype)
        bias = random.standard_normal(n).astype(kind.dtype)
        for added in (None, bias):
            found = multiplied(kind, run, x, y, ways, bias=added)
            expected = x.astype(float) @ y.astype(float) + (0 if added is None else added)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e5 * np.finfo(kind.dtype).eps)


def test_what_is_not_finite_stays_where_it_belongs(kind):
    kind, run = kind
    x, y = np.ones((14, 20), kind.dtype), np.ones((20, 5 * kind.lanes), kind.dtype)
    x[13, 3], y[7, -1] = np.nan, np.inf
    expected = np.full((14, 5 * kind.lanes), 20.0)
    expected[:, -1], expected[13] = np.inf, np.nan
    for ways in WAYS:
        np.testing.assert_array_equal(multiplied(kind, run, x, y, ways), expected)


def test_sums_are_added_to_what_is_there(kind):
    kind, run = kind
    random = np.random.default_rng(2)
    for m in (LOW, kind.tallest + 1, 3 * kind.tallest + LOW + 1, 97):
        x = random.standard_normal((m, 40)).astype(kind.dtype)
        y = random.standard_normal((40, 3 * WIDE * kind.lanes + m % 5)).astype(kind.dtype)
        before = random.standard_normal((m, y.shape[1])).astype(kind.dtype)
        for ways in WAYS:
            found = multiplied(kind, run, x, y, ways, before)
            np.testing.assert_array_equal(found, before + multiplied(kind, run, x, y, ways))


def test_a_bias_is_added(kind):
    kind, run = kind
    random = np.random.default_rng(3)
    for m, n in ((LOW + 1, 3 * kind.lanes), (97, 7 * kind.lanes + 3)):
        x = random.standard_normal((m, 40)).astype(kind.dtype)
        y = random.standard_normal((40, n)).astype(kind.dtype)
        bias = random.standard_normal(n).astype(kind.dtype)
        for ways in WAYS:
            found = multiplied(kind, run, x, y, ways, bias=bias)
            np.testing.assert_array_equal(found, multiplied(kind, run, x, y, ways) + bias)
