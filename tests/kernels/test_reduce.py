"""Norms: against exact sums, and the same bits however they are run."""

import math
import platform

import numba
import numpy as np
import pytest

from tinygrad_opt.kernels import all_finite, dot, norm, sum_of_powers, sum_of_squares, threads
from tinygrad_opt.kernels.compiler import cache
from tinygrad_opt.kernels.fused import reduce

SIZES = [0, 1, 3, 127, 128, 129, 1000, reduce.CHUNK, reduce.CHUNK + 1, 200_003]
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def vector(dtype, size, seed=0):
    return np.random.default_rng(seed).standard_normal(size).astype(dtype)


@every_dtype
@pytest.mark.parametrize("size", SIZES)
def test_against_exact_sums(dtype, size):
    x = vector(dtype, size)
    values = [abs(float(v)) for v in x]
    assert sum_of_squares(x) == pytest.approx(math.fsum(v * v for v in values), rel=1e-14)
    assert norm(x) == pytest.approx(math.sqrt(math.fsum(v * v for v in values)), rel=1e-14)
    assert norm(x, 1) == pytest.approx(math.fsum(values), rel=1e-14)
    assert norm(x, 3) == pytest.approx(math.fsum(v**3 for v in values) ** (1 / 3), rel=1e-14)
    assert norm(x, 0.5) == pytest.approx(math.fsum(v**0.5 for v in values) ** 2, rel=1e-14)
    assert norm(x, math.inf) == max(values, default=0.0)
    assert all_finite(x)


def test_float32_is_added_up_in_float64():
    x = np.full(100_000, 0.1, np.float32)
    assert sum_of_powers(x, 1) == pytest.approx(100_000 * float(np.float32(0.1)), rel=1e-14)
    assert norm(np.full(4, 1e30, np.float32)) == pytest.approx(2e30, rel=1e-6)


@every_dtype
@pytest.mark.parametrize("order", [1, 2, 3, math.inf])
def test_same_bits_for_any_number_of_threads(dtype, order):
    x = vector(dtype, 40 * reduce.CHUNK + 77)
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(1)
        alone = norm(x, order)
        for count in range(2, before + 1):
            threads.set_num_threads(count)
            assert {norm(x, order) for _ in range(20)} == {alone}
    finally:
        threads.set_num_threads(before)


@every_dtype
@pytest.mark.parametrize("order", [1, 2, 3, math.inf])
@pytest.mark.parametrize("place", [0, 130, 999])
@pytest.mark.parametrize("bad", [math.nan, -math.nan, math.inf, -math.inf])
def test_nan_and_infinity_come_through(dtype, order, place, bad):
    x = vector(dtype, 1000)
    x[place] = bad
    assert not all_finite(x)
    assert str(norm(x, order)) == str(abs(bad)).replace("-", "")
    x[(place + 1) % 1000] = math.nan
    assert math.isnan(norm(x, order))


@every_dtype
def test_the_largest_float_is_finite(dtype):
    x = np.array([1.0, -np.finfo(dtype).max], dtype)
    assert all_finite(x)
    assert norm(x, math.inf) == np.finfo(dtype).max


@pytest.mark.parametrize("order", [0, -1, -math.inf, math.nan])
def test_order_is_checked(order):
    with pytest.raises(ValueError, match="norm: order must be positive or inf, got"):
        norm(np.ones(3), order)
    with pytest.raises(ValueError, match="sum_of_powers: order must be positive and finite, got"):
        sum_of_powers(np.ones(3), order)


@pytest.mark.parametrize("function", [norm, all_finite, sum_of_squares])
def test_arrays_are_checked(function):
    with pytest.raises(TypeError, match=r"x must have one dimension, got shape \(2, 2\)"):
        function(np.ones((2, 2)))
    with pytest.raises(TypeError, match="x must be float32 or float64, got int64"):
        function(np.ones(3, np.int64))
    with pytest.raises(TypeError, match="x must be contiguous, got stride 16 bytes"):
        function(np.ones(8)[::2])
    with pytest.raises(TypeError, match="x must be a NumPy or CuPy array, got list"):
        function([1.0])


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="x86 patterns")
def test_loop_is_packed():
    kernel = cache.compile_text("squares", reduce._text("squares", np.dtype(np.float32), False))
    text = next(iter(kernel.inspect_asm().values()))
    assert "mulpd" in text
    assert "cvtps2pd" in text


# Products -----------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("size", SIZES)
def test_dot_against_exact_sums(dtype, size):
    x, y = vector(dtype, size), vector(dtype, size, seed=1)
    exact = math.fsum(float(a) * float(b) for a, b in zip(x, y, strict=True))
    assert dot(x, y) == pytest.approx(exact, rel=1e-12, abs=1e-12)
    assert dot(x, x) == sum_of_squares(x)


@every_dtype
def test_dot_has_the_same_bits_serial_and_parallel(dtype, monkeypatch):
    x, y = (vector(dtype, 3 * reduce.CHUNK + 77, seed) for seed in (0, 1))
    monkeypatch.setattr(threads, "threshold", 10**9)
    serial = dot(x, y)
    monkeypatch.setattr(threads, "threshold", 1)
    before = numba.get_num_threads()
    for count in range(1, before + 1):
        numba.set_num_threads(count)
        assert dot(x, y) == serial
    numba.set_num_threads(before)


def test_dot_lets_nan_through_and_checks_its_arrays():
    x = np.ones(200)
    x[150] = np.nan
    assert math.isnan(dot(x, np.zeros(200)))
    with pytest.raises(ValueError, match="dot: x has 2 elements, y has 3"):
        dot(np.ones(2), np.ones(3))
    with pytest.raises(TypeError, match="dot: x and y must be of one dtype"):
        dot(np.ones(2), np.ones(2, np.float32))
    with pytest.raises(TypeError, match="dot: y must be a NumPy or CuPy array, got list"):
        dot(np.ones(2), [1.0, 1.0])
