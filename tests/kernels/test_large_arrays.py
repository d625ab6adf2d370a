"""Arithmetic, sums, copies and choices of large arrays on several threads, beside NumPy's."""

import math

import numpy as np
import pytest
from numba import config

import tinygrad_opt as tg
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.kernels.direct import entry
from tinygrad_opt.kernels.fused import (
    arithmetic,
    axis_sums,
    casts,
    copies,
    distances,
    extremes,
    joins,
    places,
    resampling,
)

FLOATS = ["float32", "float64"]
SPACE = xp(np.zeros(1))
OPERATORS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}


def normal(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.fixture
def used(monkeypatch):
    """How many times a kernel of arithmetic ran."""
    calls = []
    for name in ("combine", "into"):
        run = getattr(arithmetic, name)
        monkeypatch.setattr(arithmetic, name, lambda *a, run=run: calls.append(a) or run(*a))
    return calls


# What goes with an array of shape (70, 30, 40), and how.
OTHERS = {
    "array": (70, 30, 40), "row": (40,), "rows": (30, 40), "column": (70, 30, 1),
    "short column": (70, 1, 1), "number": 2.5, "whole number": -3, "more axes": (2, 70, 30, 40),
    # NumPy's turn:
    "one": (1, 1, 1), "middle": (70, 1, 40), "plane": (1, 30, 1), "huge": 1e300, "nan": math.nan,
}  # fmt: skip
TAKEN = ("array", "row", "rows", "column", "short column", "number", "whole number", "more axes")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", OPERATORS)
def test_arithmetic_has_the_bits_of_numpy(name, kind, dtype, used):
    x, other = normal(70, 30, 40, dtype=dtype), OTHERS[kind]
    y = normal(*other, dtype=dtype, seed=1) if isinstance(other, tuple) else other
    operation = getattr(tg, name)
    for a, b in ((x, y), (y, x)):
        tensors = [tg.tensor(v, requires_grad=True) if hasattr(v, "dtype") else v for v in (a, b)]
        with np.errstate(over="ignore"):
            expected = OPERATORS[name](a, b)
        z = operation(*tensors)
        np.testing.assert_array_equal(z.detach().numpy(), expected)
        z.backward(tg.ones_like(z))
        if kind in TAKEN:
            check_slopes(name, (a, b), tensors, dtype)
    assert bool(used) == (kind in TAKEN)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", OPERATORS)
def test_a_column_with_a_row(name, dtype, monkeypatch):
    calls, run = [], arithmetic.outer
    monkeypatch.setattr(arithmetic, "outer", lambda *a: calls.append(a) or run(*a))
    x, y = normal(300, 1, dtype=dtype), normal(1, 400, dtype=dtype, seed=1)
    tensors = [tg.tensor(v, requires_grad=True) for v in (x, y)]
    z = getattr(tg, name)(*tensors)
    np.testing.assert_array_equal(z.detach().numpy(), OPERATORS[name](x, y))
    z.backward(tg.ones_like(z))
    check_slopes(name, (x, y), tensors, dtype)
    assert len(calls) == 1
    few = getattr(tg.ops, name).pair(x[:100], y)[0]
    np.testing.assert_array_equal(few, OPERATORS[name](x[:100], y))
    assert len(calls) == 1


@pytest.mark.parametrize("name", OPERATORS)
def test_float16_has_the_bits_of_numpy(name):
    x, y = (50 * normal(70, 130, seed=seed) for seed in range(2))
    x[3], x[5, ::3], y[7], y[9, ::2] = math.inf, math.nan, 0, 1e-7
    x, y = x.astype("float16"), y.astype("float16")
    for a, b in ((x, y), (x, y[:1]), (x.T, y.T)):
        with np.errstate(all="ignore"):
            expected, found = OPERATORS[name](a, b), getattr(tg.ops, name).pair(a, b)[0]
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found, expected)


def check_slopes(name, given, tensors, dtype):
    """Gradients of ones, beside those of the formula in float64."""
    wide = [v.astype(float) if hasattr(v, "dtype") else v for v in given]
    z, *backs = getattr(tg.ops, name).pair.__wrapped__(*wide)
    for tensor, back, x in zip(tensors, backs, wide, strict=True):
        if hasattr(x, "dtype"):
            g = np.broadcast_to(back(np.ones_like(z)), z.shape)
            g = g.sum(tuple(range(z.ndim - x.ndim)))
            g = g.sum(tuple(i for i, n in enumerate(x.shape) if n == 1), keepdims=True)
            error = abs(tensor.grad.numpy() - g).max() / abs(g).max()
            assert error < (1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", OPERATORS)
def test_writing_in_place(name, dtype, used):
    x, y = normal(300, 400, dtype=dtype), normal(300, 400, dtype=dtype, seed=1)
    for other in (y, 0.9, 7, y[0], y[:, :1].copy()):
        t = tg.tensor(x)
        getattr(t, f"{name}_")(tg.tensor(other) if hasattr(other, "dtype") else other)
        np.testing.assert_array_equal(t.numpy(), OPERATORS[name](x, other))
    assert used


@pytest.mark.parametrize("name", OPERATORS)
def test_writing_over_what_is_read(name):
    """NumPy reads all before it writes where memory overlaps."""
    x = normal(300, 400)
    t = tg.tensor(x)
    getattr(t[1:], f"{name}_")(t[:-1])
    np.testing.assert_array_equal(t.numpy()[1:], OPERATORS[name](x[1:], x[:-1]))
    t = tg.tensor(x)
    getattr(t, f"{name}_")(t)
    np.testing.assert_array_equal(t.numpy(), OPERATORS[name](x, x))


def test_what_may_not_be_written_to_stays():
    t = tg.tensor(1.0).expand(300, 400)
    with pytest.raises(RuntimeError):
        t.add_(1)
    x = normal(300, 400)
    x.flags.writeable = False
    assert not arithmetic.into("add", x, 1.0)


SHAPES = [(70_000,), (300, 700), (70_000, 3), (3, 70_000), (40, 50, 60), (2, 3, 4, 5_000)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_keep_their_digits(shape, dtype):
    x = normal(*shape, dtype=dtype) + 1
    n = len(shape)
    several = [(a, b) for a in range(n) for b in range(a + 1, n)]
    for axis in (None, *range(-n, n), *several):
        for keepdims in (False, True):
            exact = x.astype(np.longdouble).sum(axis, keepdims=keepdims)
            found = SPACE.sum(x, axis, keepdims)
            assert (found.shape, found.dtype) == (exact.shape, x.dtype)
            scale = abs(x).astype(float).sum(axis, keepdims=keepdims)
            error = abs(found - exact.astype(float)) / scale
            assert error.max() < (1e-6 if dtype == "float32" else 1e-14)


def test_sums_have_the_same_bits_on_any_number_of_threads():
    x = normal(900, 700)
    found = []
    for threads in (1, 2, 4):
        tg.set_num_threads(threads)
        try:
            found.append([SPACE.sum(x, axis) for axis in (None, 0, 1)])
        finally:
            tg.set_num_threads(2)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_sums_of_infinities():
    x = np.ones((300, 700), np.float32)
    x[5, 5], x[7, 7], x[7, 8], x[9, 9] = np.inf, np.inf, -np.inf, np.nan
    sums = SPACE.sum(x, 1)
    assert np.isposinf(sums[5])
    assert np.isnan(sums[[7, 9]]).all()
    assert np.isfinite(sums).sum() == 297


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(40_000,), (200, 300), (40, 50, 30)], ids=str)
def test_running_sums_and_products(shape, dtype):
    x = normal(*shape, dtype=dtype)
    for axis in range(-len(shape), len(shape)):
        for name in ("cumsum", "cumprod"):
            expected = getattr(x, name)(axis, np.float64).astype(dtype)
            found = getattr(tg, name)(tg.tensor(x), axis).numpy()
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", FLOATS)
def test_extremes_along_other_axes(dtype):
    for shape in ((300, 70), (3, 7000), (40, 50, 60), (70, 300, 9), (5, 4, 30, 50)):
        x = normal(*shape, dtype=dtype)
        x.flat[[3, 70, -5]] = np.nan, np.inf, -np.inf
        for axis in range(-len(shape), len(shape)):
            for keepdims in (False, True):
                found = SPACE.amax(x, axis, keepdims), SPACE.amin(x, axis, keepdims)
                np.testing.assert_array_equal(found[0], x.max(axis, keepdims=keepdims))
                np.testing.assert_array_equal(found[1], x.min(axis, keepdims=keepdims))


@pytest.mark.parametrize("dtype", FLOATS)
def test_signs(dtype):
    x = normal(70_000, dtype=dtype)
    x[:6] = 0, -0.0, np.nan, np.inf, -np.inf, 1e-40
    found, expected = SPACE.sign(x), np.nan_to_num(np.sign(x))  # of NaN it is 0, as in PyTorch
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[:2]), np.signbit(expected[:2]))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [50, 70_000])
def test_powers(size, dtype):
    x = normal(size, dtype=dtype)
    x[:6] = 0, -0.0, np.inf, -np.inf, np.nan, 2
    for y in (2, 3, 4, -2, -0.5, 3.0, 0, 1, 5, 0.5, -1, 2.5):
        with np.errstate(all="ignore"):
            expected = np.power(x.astype(np.longdouble), y).astype(dtype)
            found = SPACE.power(x, y)
        if y == -0.5:  # 1 / sqrt(x), as in PyTorch
            expected[1], expected[3] = -np.inf, np.nan
        if y == 0.5:  # the root, as in NumPy and PyTorch
            expected[1], expected[3] = -0.0, np.nan
        np.testing.assert_allclose(found, expected, rtol=4e-7 if dtype == "float32" else 1e-15)
        t = tg.tensor(x, requires_grad=True)
        (t**y).backward(tg.ones(size, dtype=t.dtype))
        if y:
            with np.errstate(all="ignore"):
                slope = y * np.power(x.astype(np.longdouble), y - 1)
            np.testing.assert_allclose(
                t.grad.numpy()[5:],
                slope[5:].astype(dtype),
                rtol=1e-6 if dtype == "float32" else 1e-14,
            )


@pytest.mark.parametrize("dtype", FLOATS)
def test_choices(dtype):
    x, y = normal(90, 100, dtype=dtype), normal(90, 100, dtype=dtype, seed=1)
    x[0, 0], y[0, 1] = np.nan, np.inf
    condition = normal(90, 100, seed=2) > 0
    for a, b in ((x, y), (x, 0), (0.5, y), (x, math.nan), (x[0], y), (x, y[:, :1]), (1, 2)):
        found, expected = SPACE.where(condition, a, b), np.where(condition, a, b)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    mixed = SPACE.where(condition, x, y.astype("float16"))
    np.testing.assert_array_equal(mixed, np.where(condition, x, y.astype("float16")))


@pytest.mark.parametrize("dtype", [*FLOATS, "int64"])
def test_choices_by_a_mask_for_each_item(dtype):
    x, y = (10 * normal(20, 30, 40, seed=i) for i in (0, 1))
    x, y = x.astype(dtype), y.astype(dtype)
    for shape in ((40,), (30, 40), (1, 40), (30, 1), (20, 1, 1), (1,), (), (2, 20, 30, 40)):
        condition = np.asarray(normal(*shape, seed=2) > 0) if shape else np.array(True)
        for a, b in ((x, y), (x, 0), (2, y)):
            found, expected = SPACE.where(condition, a, b), np.where(condition, a, b)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
    lower = tg.tensor(x).tril(-1)
    np.testing.assert_array_equal(lower.numpy(), np.tril(x, -1))


def test_kernels_refuse_arrays_that_do_not_fit():
    x, row = normal(4, 5), np.zeros(6, np.float32)
    with pytest.raises(ValueError, match="sizes differ"):
        arithmetic._by_rows["add_row", "f"](x, row, 1, np.empty_like(x))
    with pytest.raises(ValueError, match="sizes differ"):
        arithmetic._kernels["add", "array", x.dtype](row, row, np.empty(5, np.float32))
    for column, to in ((x, np.empty((4, 6), np.float32)), (x[:, :1].copy(), np.empty_like(x))):
        with pytest.raises(ValueError, match="sizes differ"):
            arithmetic._by_rows["add_outer", "f"](column, row, 1, to)
    with pytest.raises(ValueError, match="sizes differ"):
        axis_sums._kernels["sums_of_rows", "f"](x, 1, np.empty(3))
    with pytest.raises(ValueError, match="sizes differ"):
        axis_sums._kernels["sums_of_columns", "f"](x, 1, np.empty((1, 4), np.float32))
    for call in (
        lambda: axis_sums._kernels["sums_of_all", "f"](row, 0),
        lambda: axis_sums._kernels["dots_of_all", "f"](row, row[:5], 1),
        lambda: axis_sums._kernels["distances_of_all", "f"](row[:5], row, 1),
        lambda: extremes._kernels["maximum_of_middle", "f"](x[None], 2, np.zeros((2, 5), "f"), 1),
        lambda: extremes._kernels["maximum_of_middle", "f"](x[None], 1, np.zeros((1, 4), "f"), 1),
    ):
        with pytest.raises(ValueError, match="sizes differ"):
            call()


READ = [
    (arithmetic._by_rows, ["add_row", "div_column"]),
    (axis_sums._kernels, ["sums_of_rows", "sums_of_columns", "sums_of_middle", "squares_of_rows"]),
    (axis_sums._kernels, ["sums_of_all", "squares_of_all", "distances_of_all", "dots_of_all"]),
    (joins._kernels, ["columns_beside", "turned_rows", "turned_columns"]),
    (distances._kernels, ["distances"]),
    (copies._kernels, ["copy_of_rows", "cumsum_of", "cumprod_of"]),
    (extremes._kernels, ["maximum_of_rows", "maximum_of_middle"]),
    (resampling._kernels, ["resample_rows", "resample_slices"]),
    (places._kernels, ["gather_in_rows", "gather_from_rows", "pick_slices"]),
]


UNREAD = pytest.mark.skipif(
    bool(config.BOUNDSCHECK), reason="Numba compiles where it checks bounds"
)


@UNREAD
@pytest.mark.parametrize(("kernels", "name"), [(k, n) for k, names in READ for n in names], ids=str)
def test_kernels_are_read_without_numba(kernels, name):
    """Or each process would load all that Numba can compile, which takes as long as a step."""
    (made,) = kernels[name, "f"].overloads.values()
    assert isinstance(made.fndesc, entry.Described)


@UNREAD
@pytest.mark.parametrize("target", ["bool", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("source", ["bool", "int32", "int64", "float16", "float32", "float64"])
def test_casts_are_read_without_numba(source, target):
    if casts.cast(np.zeros(5, source), np.dtype(target)) is not None:
        (made,) = casts._kernels[np.dtype(source), np.dtype(target)].overloads.values()
        assert isinstance(made.fndesc, entry.Described)
