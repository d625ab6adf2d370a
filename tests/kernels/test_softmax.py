"""Softmax, its logarithm and the cross-entropy of rows against float64 NumPy."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.kernels import micro, pool
from tinygrad_opt.kernels.fused import softmax, softmax_lanes
from tinygrad_opt.kernels.micro import machine

PLAIN = Namespace(np)


def formula(z, index):
    z = z.astype(np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(z)), index]), p - np.eye(z.shape[1])[index]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_loss_and_slope(dtype, tolerance):
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((7, 5)) * 4).astype(dtype)
    index = rng.integers(5, size=7)
    assert softmax.fits_loss(z, index)
    loss, slope, bad = softmax.cross_entropy(z, index)
    expected_loss, expected_slope = formula(z, index)
    assert bad == -1
    assert loss.dtype == slope.dtype == dtype
    np.testing.assert_allclose(loss, expected_loss, rtol=4 * tolerance, atol=tolerance)
    np.testing.assert_allclose(slope, expected_slope, atol=tolerance)


def test_large_scores_do_not_overflow_and_minus_infinity_is_no_chance():
    z = np.array([[1e30, 0.0], [-np.inf, 3.0]], np.float32)
    loss, slope, _ = softmax.cross_entropy(z, np.array([0, 1]))
    assert loss.tolist() == [0.0, 0.0]
    assert slope.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_nan_comes_through():
    z = np.array([[1.0, np.nan], [0.0, 0.0]], np.float32)
    loss, _, _ = softmax.cross_entropy(z, np.array([0, 1]))
    assert np.isnan(loss[0])
    assert loss[1] == np.float32(np.log(2))


@pytest.mark.parametrize("wrong", [-1, 3, -100])
def test_the_first_class_out_of_bounds_is_named(wrong):
    _, _, bad = softmax.cross_entropy(np.zeros((3, 3), np.float32), np.array([0, wrong, wrong]))
    assert bad == 1


def test_what_fits():
    z, index = np.zeros((4, 3), np.float32), np.zeros(4, np.int64)
    assert softmax.fits_loss(z, index)
    assert not softmax.fits_loss(z.T, index[:3])
    assert not softmax.fits_loss(z.astype(np.float16), index)
    assert not softmax.fits_loss(z.astype(">f4"), index)
    assert not softmax.fits_loss(z, index.astype(np.int32))
    assert not softmax.fits_loss(z, index[:3])
    assert not softmax.fits_loss(z[None], index[:1])
    assert not softmax.fits_loss(np.zeros((4, 0), np.float32), index)
    assert softmax.fits(z, z.copy())
    assert not softmax.fits(z, z.astype(np.float64))
    assert not softmax.fits(z, z[:3])
    z.flags.writeable = False
    assert not softmax.fits_loss(z, index)


# Sizes on either side of a vector, of what is put side by side, of a block of a sum, and of a part
# of the threads.
SHAPES = [
    (1, 1),
    (3, 1),
    (5, 7),
    (16, 16),
    (63, 17),
    (64, 47),
    (65, 48),
    (33, 64),
    (7, 100),
    (3000, 10),
    (900, 65),
    (2, 1023),
    (2, 1024),
    (2, 1025),
    (3, 4, 5),
    (40, 1000),
    (2, 40_000),
]
NAMES = ["softmax", "log_softmax", "softmax_back", "log_softmax_back"]


def arguments(name, shape, dtype):
    rng = np.random.default_rng(0)
    x, g = (4 * rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape).astype(dtype)
    return (getattr(PLAIN, name.removesuffix("_back"))(x, -1), g) if "back" in name else (x,)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("dtype", "digits"), [("float32", 2e-6), ("float64", 4e-15)])
@pytest.mark.parametrize("name", NAMES)
def test_along_the_last_axis(name, shape, dtype, digits):
    given = arguments(name, shape, dtype)
    assert softmax.fits(*given)
    y = getattr(xp(given[0]), name)(*given, -1)
    assert (y.dtype, y.shape) == (dtype, shape)
    expected = getattr(PLAIN, name)(*(a.astype(np.longdouble) for a in given), -1)
    np.testing.assert_allclose(y, expected, rtol=0, atol=digits * max(abs(expected).max(), 0.1))


@pytest.mark.parametrize("name", NAMES)
def test_other_axes_and_layouts(name):
    given = arguments(name, (4, 5, 6), "float32")
    for axis in (0, 1, -2, 2):
        expected = getattr(PLAIN, name)(*given, axis)
        np.testing.assert_allclose(getattr(xp(given[0]), name)(*given, axis), expected, atol=1e-6)
    turned = [a.transpose(2, 0, 1) for a in given]
    expected = getattr(PLAIN, name)(*turned, 1)
    np.testing.assert_allclose(getattr(xp(given[0]), name)(*turned, 1), expected, atol=1e-6)
    expected = getattr(PLAIN, name)(*turned, -1)
    np.testing.assert_allclose(getattr(xp(given[0]), name)(*turned, -1), expected, atol=1e-6)
    stretched = [*given[:-1], np.broadcast_to(given[-1][:1], given[-1].shape)]
    expected = getattr(PLAIN, name)(*stretched, -1)
    np.testing.assert_allclose(getattr(xp(given[0]), name)(*stretched, -1), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((4, 10, 16), 1),
        ((3, 5, 7, 7), 1),
        ((2, 3, 300), -2),
        ((7, 17), 0),
        ((2, 256, 33), 1),
        ((2, 257, 33), 1),
        ((4, 50, 3), 1),
        ((1, 2, 40_000), 1),
        ((5, 1, 31), 1),
    ],
    ids=str,
)
@pytest.mark.parametrize(("dtype", "digits"), [("float32", 2e-6), ("float64", 4e-15)])
@pytest.mark.parametrize("name", NAMES)
def test_rows_that_lie_across(name, shape, axis, dtype, digits):
    given = arguments(name, shape, dtype)
    y = softmax.across(name, range(len(shape))[axis], *given)
    assert (y.dtype, y.shape) == (dtype, shape)
    expected = getattr(PLAIN, name)(*(a.astype(np.longdouble) for a in given), axis)
    np.testing.assert_allclose(y, expected, rtol=0, atol=digits * max(abs(expected).max(), 0.1))


@pytest.mark.parametrize("n", [2, 10, 17, 47, 50, 100, 127, 129])
@pytest.mark.parametrize("rows", [1, 15, 64, 100, 2_000])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-14)])
def test_losses_of_rows_of_any_length(n, rows, dtype, tolerance):
    rng = np.random.default_rng(n)
    z, index = (4 * rng.standard_normal((rows, n))).astype(dtype), rng.integers(n, size=rows)
    loss, slope, bad = softmax.cross_entropy(z, index)
    expected_loss, expected_slope = formula(z, index)
    assert bad == -1
    np.testing.assert_allclose(loss, expected_loss, rtol=tolerance, atol=4 * tolerance)
    np.testing.assert_allclose(slope, expected_slope, atol=tolerance)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 50, 128])  # side by side, with masked ends, and as they are
def test_infinities_and_nan_are_those_of_the_formula(name, dtype, n):
    inf, nan = np.inf, np.nan
    rows = [[1, nan, 2], [inf, 0, 1], [-inf, 0, 1], [-inf] * 3, [1e30, -1e30, 0], [nan, inf, 0]]
    x = np.array([[*row, *[row[0]] * (n - 3)] for row in rows], dtype)
    with np.errstate(all="ignore"):
        expected = getattr(PLAIN, name)(x, -1)
    np.testing.assert_array_equal(np.isnan(softmax.along(name, x)), np.isnan(expected))
    np.testing.assert_allclose(softmax.along(name, x), expected, rtol=1e-6)


@pytest.mark.usefixtures("_whole_pool")
def test_one_thread_and_two_give_the_same_bits():
    rng = np.random.default_rng(0)
    z, index = rng.standard_normal((600, 100)).astype(np.float32), rng.integers(100, size=600)
    found = []
    for threads in (1, 2):
        pool.resize(threads)
        loss, slope, _ = softmax.cross_entropy(z, index)
        found.append((softmax.along("softmax", z), softmax.along("log_softmax", z), loss, slope))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_long_rows_keep_their_digits():
    x = np.zeros((1, 3_000_000), np.float32)
    np.testing.assert_allclose(softmax.along("softmax", x), 1 / x.size, rtol=1e-6)
    np.testing.assert_allclose(softmax.along("log_softmax", x), -np.log(x.size), rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("inner", [16, 17, 33, 196, 300, 1000])
def test_stretches_of_several_threads_do_not_overlap(inner, name):
    # A place that two write is divided twice if one of them is held up in between.
    items, n, kind = 2, 10, micro.kind_of("f")
    plan = np.array(softmax_lanes.plan(n, inner, kind.lanes), np.int64)
    write = getattr(softmax_lanes, f"{name}_across")
    _, address = machine.bind(*micro._named(write, "f"))
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)(address)
    x = np.random.default_rng(0).standard_normal((items, n, inner), np.float32)
    times = np.zeros(x.shape, int)
    for stretch in range(items * plan[2]):
        y = np.full(x.shape, np.nan, np.float32)
        run(stretch, stretch + 1, plan.ctypes.data, x.ctypes.data, y.ctypes.data, 0, 0)
        times += ~np.isnan(y)
    assert (times == 1).all()
