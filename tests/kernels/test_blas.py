"""Products on the pool's threads: NumPy's, whatever the shapes, the layout and the threads."""

import ctypes
import functools
import threading

import numpy as np
import pytest

from tinygrad_opt.kernels import blas
from tinygrad_opt.kernels.pool import state

SHAPES = [
    (64, 784, 128), (784, 64, 128), (1024, 128, 384), (1, 700, 700), (700, 700, 1), (300, 1, 2000),
    (17, 1000, 33), (1000, 3, 1000), (129, 130, 131), (1, 400, 300), (300, 400, 1), (128, 1, 900),
    (64, 50, 60),
]  # fmt: skip


@functools.cache
def numbers(rows, columns, dtype):
    return np.random.default_rng(rows * 10_007 + columns).standard_normal((rows, columns), dtype)


def matrix(rows, columns, layout, dtype):
    """The same numbers, laid out in different ways; what lies between them is NaN."""
    x = numbers(rows, columns, dtype)
    place = {
        "rows": lambda: np.empty_like(x),
        "columns": lambda: np.empty_like(x, order="F"),
        "part": lambda: np.full((rows, columns + 2), np.nan, dtype)[:, 1:-1],
        "part of columns": lambda: np.full((rows + 2, columns), np.nan, dtype, "F")[1:-1],
        "every second": lambda: np.full((2 * rows, 2 * columns), np.nan, dtype)[::2, ::2],
        "backwards": lambda: np.empty_like(x)[::-1],
    }[layout]()
    place[...] = x
    return place


@functools.cache
def product(m, k, n, dtype):
    """The product of the numbers, as exact as can be, and the sum of its terms' sizes."""
    x, y = numbers(m, k, dtype), numbers(k, n, dtype)
    # No BLAS multiplies what is longer than float64: that takes its time.
    wider = {"float32": np.float64, "float64": np.longdouble}[dtype]
    wide = dtype == "float32" or m * k * n < 5e6
    exact = x.astype(wider) @ y.astype(wider) if wide else x @ y
    return exact.astype(float), np.abs(x).astype(float) @ np.abs(y).astype(float)


LAYOUTS = ["rows", "columns", "part", "part of columns", "every second", "backwards"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_any_layout(left, right, dtype):
    for m, k, n in SHAPES:
        exact, scale = product(m, k, n, dtype)
        error = np.abs(blas.multiply(matrix(m, k, left, dtype), matrix(k, n, right, dtype)) - exact)
        # Of 20, half of one is for what is exact, which float64 holds as near as that.
        assert (error / scale).max() < 19.5 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("left", LAYOUTS)
def test_what_stood_in_the_result_does_not_count(left, dtype):
    for m, k, n in SHAPES:
        exact, scale = product(m, k, n, dtype)
        out = np.full((m, n), np.nan, dtype)
        assert blas.multiply(matrix(m, k, left, dtype), matrix(k, n, "rows", dtype), out) is out
        assert (np.abs(out - exact) / scale).max() < 19.5 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_bias_is_added_to_results_of_every_shape(dtype):
    for m, k, n in SHAPES:
        exact, scale = product(m, k, n, dtype)
        x, weight, bias = (
            matrix(m, k, "rows", dtype),
            matrix(k, n, "columns", dtype).T,
            numbers(1, n, dtype)[0],
        )
        error = np.abs(blas.linear(x, weight, bias) - (exact + bias))
        assert (error / (scale + np.abs(bias))).max() < 19.5 * np.finfo(dtype).eps


def test_a_large_product_does_not_go_to_numpy(monkeypatch):
    if not blas.is_available():
        pytest.skip("NumPy brought no OpenBLAS")
    x = matrix(200, 200, "rows", "float32")
    expected = x @ x.T
    monkeypatch.setattr(np, "dot", None)
    monkeypatch.setattr(np, "matmul", None)
    np.testing.assert_allclose(blas.multiply(x, x.T), expected, rtol=1e-5, atol=1e-4)
    stacks = np.stack([x, x, x])
    np.testing.assert_allclose(
        blas.multiply_stacks(stacks, stacks.swapaxes(1, 2)),
        np.stack([expected] * 3),
        rtol=1e-5,
        atol=1e-4,
    )


def test_without_openblas_numpy_multiplies(monkeypatch):
    monkeypatch.setattr(blas, "_available", None)
    monkeypatch.setattr(blas, "_addresses", dict)
    monkeypatch.setattr(blas, "_kernels", {})
    x = matrix(200, 200, "rows", "float32")
    np.testing.assert_array_equal(blas.multiply(x, x), np.dot(x, x))
    np.testing.assert_array_equal(blas.multiply_stacks(x[None], x[None]), np.dot(x, x)[None])


@pytest.mark.parametrize("stack", [(7,), (2, 5)])
def test_stacks(stack):
    random = np.random.default_rng(0)
    x = random.standard_normal((*stack, 40, 64)).astype("f")
    y = random.standard_normal((*stack, 64, 48)).astype("f")
    z = random.standard_normal((*stack, 48, 64)).astype("f")
    np.testing.assert_allclose(blas.multiply_stacks(x, y), np.matmul(x, y), rtol=1e-5, atol=1e-4)
    turned = z.swapaxes(-1, -2)
    np.testing.assert_allclose(
        blas.multiply_stacks(x, turned), np.matmul(x, turned), rtol=1e-5, atol=1e-4
    )
    broadcast = np.broadcast_to(y[..., :1, :, :], y.shape)
    np.testing.assert_allclose(
        blas.multiply_stacks(x, broadcast), np.matmul(x, broadcast), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("shapes", [((200, 300), (299, 200)), ((3, 99, 80), (3, 79, 99))])
def test_shapes_that_do_not_fit_are_refused_as_numpy_does(shapes):
    x, y = (np.ones(shape, "f") for shape in shapes)
    with pytest.raises(ValueError, match=r"not aligned|mismatch in its core dimension"):
        blas.multiply_stacks(x, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_linear_layer(shape, dtype):
    m, k, n = shape
    x, weight = matrix(m, k, "rows", dtype), matrix(n, k, "rows", dtype)
    bias = np.random.default_rng(1).standard_normal(n, dtype)
    for b in (bias, np.repeat(bias, 2)[::2], None):
        exact = x.astype(float) @ weight.T.astype(float) + (0 if b is None else b)
        scale = np.abs(x).astype(float) @ np.abs(weight.T).astype(float) + 1
        error = np.abs(blas.linear(x, weight, b) - exact)
        assert (error / scale).max() < 20 * np.finfo(dtype).eps


def test_a_bias_of_another_type_or_length_is_added_as_numpy_does():
    x, weight = matrix(200, 300, "rows", "float32"), matrix(200, 300, "rows", "float32")
    wide = np.ones(200)
    np.testing.assert_array_equal(blas.linear(x, weight, wide), blas.multiply(x, weight.T) + 1)
    np.testing.assert_array_equal(blas.linear(x, weight, wide[:1]), blas.multiply(x, weight.T) + 1)
    for length in (199, 0):
        with pytest.raises(ValueError, match="broadcast"):
            blas.linear(x, weight, np.ones(length, "f"))


@pytest.mark.parametrize("rows", [2, 200])
@pytest.mark.parametrize("shape", [(), (1,), (1, 200), ("rows", 1), ("rows", 200)])
def test_whatever_broadcasts_is_a_bias(rows, shape):
    x, weight = matrix(rows, 300, "rows", "float32"), matrix(200, 300, "rows", "float32")
    shape = tuple(rows if n == "rows" else n for n in shape)
    bias = np.random.default_rng(1).standard_normal(shape).astype("f")
    np.testing.assert_array_equal(blas.linear(x, weight, bias), blas.linear(x, weight, None) + bias)


@pytest.mark.parametrize("n", [64, 70, 100])
def test_a_sum_of_nothing_is_zero(n):
    if not blas.bind("product", "s"):
        pytest.skip("NumPy brought no OpenBLAS")
    out = np.full((8, n), np.nan, "f")
    product, at = blas._bound["product", "s"].ctypes, out.ctypes.data
    product(blas.ROWS, blas.ROWS, 8, n, 0, at, 1, at, n, at, n, 0, 0)
    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("right", ["rows", "columns"])
@pytest.mark.parametrize("left", ["rows", "columns"])
def test_the_same_bits_for_any_number_of_threads(left, right, dtype):
    """A part more or less for each worker that might come; those that are there help."""
    shapes = [(900, 300, 500), (70, 1100, 399), (1030, 520, 65), (130, 131, 129)]
    factors = [(matrix(m, k, left, dtype), matrix(k, n, right, dtype)) for m, k, n in shapes]
    expected = [blas.multiply(x, y) for x, y in factors]
    before = state.words[state.WORKERS]
    try:
        for workers in (0, 1, 2, 3, 7, 30):
            state.words[state.WORKERS] = workers
            for (x, y), one in zip(factors, expected, strict=True):
                np.testing.assert_array_equal(blas.multiply(x, y), one)
    finally:
        state.words[state.WORKERS] = before


def test_numpy_keeps_its_threads():
    addresses = blas._addresses()
    if not addresses:
        pytest.skip("NumPy brought no OpenBLAS")
    count = ctypes.CFUNCTYPE(ctypes.c_int)(addresses["tinygrad_opt_blas_threads"])
    before = count()
    x = matrix(300, 300, "rows", "float32")

    def work():
        for _ in range(100):
            blas.multiply(x, x)

    callers = [threading.Thread(target=work) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert count() == before


@pytest.mark.parametrize("rows", [20, 400_000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore:invalid value encountered")  # operations are silent
def test_zero_times_nan_is_nan(dtype, rows):
    x = np.ones((rows, 1), dtype)
    x[7], x[8] = np.nan, np.inf
    for zero in (np.zeros((1, 1), dtype), np.broadcast_to(np.zeros((), dtype), (1, 1))):
        for y in (x, x[::-1]):
            assert np.isnan(blas.multiply(y, zero)).sum() == 2
            assert np.isnan(blas.multiply(zero, y.T)).sum() == 2
            assert np.isnan(blas.linear(y, zero, None)).sum() == 2
    with pytest.raises(ValueError, match="not aligned"):
        blas.multiply(x, np.zeros((2, 1), dtype))
