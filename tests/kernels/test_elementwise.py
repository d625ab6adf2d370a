"""The fused functions of one element: both forms of each kernel, and which arrays go there."""

import math
import re

import numpy as np
import pytest
from numba import config

import tinygrad_opt as tg
from tinygrad_opt import ops
from tinygrad_opt.arrays import fused
from tinygrad_opt.kernels import pool
from tinygrad_opt.kernels.compiler import cache, denormals
from tinygrad_opt.kernels.compiler.syntax import RuleError, parse_element
from tinygrad_opt.kernels.fused import elementwise

ROWS = elementwise.ROWS
every_row = pytest.mark.parametrize("name", ROWS)
every_type = pytest.mark.parametrize("dtype", ["float32", "float64"])
SETTINGS = {"alpha": 1.5, "scale": 0.7, "rate": 2.0, "low": -0.5, "high": 0.75,
            "negative_slope": 0.1, "beta": 1.5, "threshold": 4.0, "value": 7.0,
            "nan": 0.5, "posinf": 9.0, "neginf": -8.0}  # fmt: skip
SIMD = r"(?:mul|div|add|sub|fn?m\w+|min|max|cmp\w*|sqrt|and|xor)ps|p(?:and|xor)d"
MANY = 65_536 + 17  # more than a part of any row, and no multiple of a register


def settings(name):
    return {setting: SETTINGS[setting] for setting in ROWS[name].settings}


def samples(name, dtype, size):
    x = 3 * np.random.default_rng(0).standard_normal(size).astype(dtype)
    if name == "logit":
        return abs(x) / (abs(x) + 1)
    return abs(x) + x.dtype.type(0.01) if name in ("log", "log1p", "sqrt") else x


def run(name, way, *arrays, large=False):
    y = np.empty_like(arrays[0])
    kernel = elementwise.loop(name, way, y.dtype.name).load(y.dtype.name, large)
    kernel(*arrays, y, *settings(name).values())
    return y


def saved(name, x):
    return run(name, "value", x) if ROWS[name].saves_result else x


@every_row
def test_kernels_compute_what_the_row_says(name):
    """In plain Python, which computes in double."""
    row, x = ROWS[name], samples(name, "float64", 50)
    given, g = saved(name, x), np.cos(np.arange(50.0))
    plain = [row.value(v, **settings(name)) for v in x.tolist()]
    np.testing.assert_allclose(run(name, "value", x), plain, rtol=1e-13, atol=1e-15)
    plain = [row.slope(*v, **settings(name)) for v in zip(g.tolist(), given.tolist(), strict=True)]
    np.testing.assert_allclose(run(name, "slope", g, given), plain, rtol=1e-12, atol=1e-15)


@every_row
def test_slopes_are_those_of_the_values(name):
    x = samples(name, "float64", 400)
    x = x[np.min([abs(x - kink) for kink in (-4, -3, -0.5, 0, 0.75, 3, 4, 4 / 1.5)], axis=0) > 1e-3]
    h = 1e-6
    slope = run(name, "slope", np.ones_like(x), saved(name, x))
    difference = (run(name, "value", x + h) - run(name, "value", x - h)) / (2 * h)
    np.testing.assert_allclose(slope, difference, rtol=1e-7, atol=1e-8)


@pytest.mark.thorough
@every_row
def test_parts_on_threads_give_the_same_bits(name):
    x = samples(name, "float32", MANY)
    g = samples("tanh", "float32", MANY)[::-1].copy()
    y = run(name, "value", x)
    np.testing.assert_array_equal(y, run(name, "value", x, large=True))
    given = y if ROWS[name].saves_result else x
    alone = run(name, "slope", g, given)
    np.testing.assert_array_equal(alone, run(name, "slope", g, given, large=True))


@every_row
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.thorough)])
def test_ends_are_those_of_the_formula(name, dtype):
    ends = [
        0.0,
        -0.0,
        math.inf,
        -math.inf,
        math.nan,
        3.0,
        -3.0,
        88.0,
        -88.0,
        1e4,
        -1e4,
        1e30,
        -1e30,
    ]
    x = np.array(ends, dtype)
    pair = getattr(ops, name).pair.__wrapped__
    with np.errstate(all="ignore"):
        expected, back = pair(x, **settings(name))
        slope = back(np.full_like(x, 2))
    close = {"rtol": 1e-5, "atol": 1e-30} if dtype == "float32" else {"rtol": 1e-12}
    np.testing.assert_allclose(run(name, "value", x), expected, **close)
    given = expected if ROWS[name].saves_result else x
    np.testing.assert_allclose(run(name, "slope", np.full_like(x, 2), given), slope, **close)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name].near])
def test_neighbours_of_any_size_leave_the_bits_alone(name, dtype):
    """What is far off has its block take the longer formulas."""
    near = ROWS[name].near
    x = np.clip(samples(name, dtype, 1000), -near * 0.999, near * 0.999)
    x[::7] *= x.dtype.type(near / abs(x).max() * 0.999)
    for way in ("value", "slope"):
        given = x if way == "value" else saved(name, x)
        arrays = (given,) if way == "value" else (np.ones_like(x), given)
        alone = run(name, way, *arrays)
        for far in (math.nan, math.inf, -1e30, near):
            given = np.concatenate([arrays[-1], [far]]).astype(dtype)
            others = [np.append(a, a[0]) for a in arrays[:-1]]
            given[[100, -1]] = given[[-1, 100]]
            found = run(name, way, *others, given)
            kept = np.arange(1000) != 100
            np.testing.assert_array_equal(found[:1000][kept], alone[kept])
            np.testing.assert_array_equal(found[-1], alone[100])


def test_relu_of_nan_and_zeros():
    x = np.array([math.nan, -0.0, 0.0, -1.0, math.inf], "float32")
    y = run("relu", "value", x)
    np.testing.assert_array_equal(y, [math.nan, 0, 0, 0, math.inf])
    assert not np.signbit(y[1:]).any()
    for g in (np.full(5, math.inf, "float32"), np.full(5, math.nan, "float32")):
        expected = np.where(x <= 0, 0, g)  # as PyTorch: nothing comes through, be it infinite
        np.testing.assert_array_equal(run("relu", "slope", g, x), expected)


# One text writes the check for all.
@pytest.mark.parametrize(
    "name", [x if x == "softplus" else pytest.param(x, marks=pytest.mark.thorough) for x in ROWS]
)
def test_arrays_of_different_sizes_are_refused(name):
    for way, arrays, large in (("value", 2, False), ("slope", 3, False), ("slope", 3, True)):
        kernel = elementwise.loop(name, way, "float32").load("float32", large)
        given = [np.zeros(4, "float32") for _ in range(arrays)]
        given[0] = given[0][:3]
        with pytest.raises(ValueError, match="sizes differ"):
            kernel(*given, *settings(name).values())


@pytest.mark.thorough
@pytest.mark.versions
@pytest.mark.skipif(not denormals.X86, reason="reads x86 assembly")
@pytest.mark.skipif(
    bool(getattr(config, "BOUNDSCHECK", 0)), reason="a bounds check keeps SIMD away"
)
@every_row
def test_loops_are_vectorised(name):
    for way in ("value", "slope"):
        loop = elementwise.loop(name, way, "float32")
        kernel = cache.compile_text(f"{loop.name}_serial", loop.text("float32", False, False))
        assembly = next(iter(kernel.inspect_asm().values()))
        assert re.search(rf"\tv?(?:{SIMD})\t", assembly), way
        assert not re.search(r"\tv?cvt(?:ss2sd|ps2pd)\t", assembly), f"{way} computes in double"


def test_an_element_function_must_return_a_number():
    def nothing(x):
        x = x + 1

    with pytest.raises(RuleError, match="nothing: must end with a return of one number"):
        parse_element(nothing, "nothing")


# Operations ---------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """The names of the kernels that were asked for."""
    names = []

    def get(self, kind):
        name, way, large = self.what
        names.append(f"{name}_{way}_{'split' if large else 'serial'}")
        return elementwise.loop(name, way, kind.name).load(kind.name, large)

    monkeypatch.setattr(fused._Kernels, "__getitem__", get)
    return names


def both(x, function=lambda x: x.relu()):
    y = function(x)
    (y * y).sum().backward()
    return y.detach().numpy(), x.grad.numpy()


def test_kernels_run_forwards_and_backwards(asked):
    for size, form in ((2_000, "serial"), (70_000, "split")):
        both(tg.randn(size, requires_grad=True))
        assert asked == [f"relu_value_{form}", f"relu_slope_{form}"]
        asked.clear()


ODD = {
    "other byte order": lambda x: x.astype(">f4"),
    "half": lambda x: x.astype("float16"),
    "small": lambda x: x[0],
}
VIEWS = {
    "transposed": lambda x: x.T,
    "axes changed places": lambda x: x.reshape(40, 6, 10).transpose(1, 2, 0),
    "every second": lambda x: x[:, ::2],
    "backwards": lambda x: x[::-1],
    "repeated": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "read-only": lambda x: np.broadcast_to(x, x.shape),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_views_are_put_in_order_for_kernels(kind, asked):
    whole = np.random.default_rng(0).standard_normal((40, 60)).astype("float32")
    x = VIEWS[kind](whole)
    y, back = ops.tanh.pair(x)
    g = np.random.default_rng(1).standard_normal(x.shape).astype("float32")
    expected, expected_back = ops.tanh.pair(np.ascontiguousarray(x))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(back(g), expected_back(g))
    np.testing.assert_array_equal(back(np.float32(2)), expected_back(np.full_like(g, 2)))
    assert asked == ["tanh_value_serial"] * 2 + ["tanh_slope_serial"] * 4
    if kind in ("transposed", "axes changed places"):
        assert y.strides == x.strides


@pytest.mark.parametrize("kind", ODD)
def test_the_formula_runs_on_all_else(kind, asked):
    x = ODD[kind](np.random.default_rng(0).standard_normal((40, 60)).astype("float32"))
    y, back = ops.relu.pair(x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    np.testing.assert_array_equal(back(np.ones_like(x)), x > 0)
    assert asked == []


def test_settings_that_are_no_numbers_are_left_to_the_formula(asked):
    x = np.linspace(-2, 2, 2000)
    y, _ = ops.hardtanh.pair(x, low=np.float64(-1), high=1)
    np.testing.assert_array_equal(y, np.clip(x, -1, 1))
    assert asked == []


def test_gradients_of_any_layout():
    x = np.linspace(-2, 2, 2400).reshape(40, 60)
    _, back = ops.gelu.pair(x)
    g = np.random.default_rng(0).standard_normal((60, 40)).T
    np.testing.assert_array_equal(back(g), back(np.ascontiguousarray(g)))
    np.testing.assert_array_equal(back(np.broadcast_to(2.0, x.shape)), back(np.full(x.shape, 2.0)))
    np.testing.assert_allclose(back(g.astype("float32")), back(g), rtol=1e-6, atol=1e-7)


@every_row
def test_second_derivatives_go_by_the_formula(name):
    x = samples(name, "float64", 1200)
    function = lambda t: getattr(ops, name)(t, **settings(name))  # noqa: E731
    t = tg.tensor(x, requires_grad=True)
    (slope,) = tg.autograd.grad(function(t).sum(), t, create_graph=True)
    np.testing.assert_allclose(
        slope.detach().numpy(), run(name, "slope", np.ones_like(x), saved(name, x)),
        rtol=1e-11, atol=1e-13,
    )  # fmt: skip
    if slope.requires_grad:
        (bend,) = tg.autograd.grad(slope.sum(), t)
        assert np.isfinite(bend.numpy()).all()


@pytest.mark.parametrize(("name", "needs"), [("tanh", "y"), ("relu", "y"), ("log", "x")])
def test_what_is_saved_must_not_be_written_to(name, needs):
    for written in ("x", "y"):
        leaf = tg.rand(2000, requires_grad=True)
        x = leaf * 1.0
        y = getattr(x, name)()
        loss = (y * 2.0).sum()
        with tg.no_grad():
            (x if written == "x" else y).add_(1.0)
        if written == needs:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()
        else:
            loss.backward()


@pytest.mark.usefixtures("_whole_pool")
def test_one_thread_and_two_give_the_same_bits():
    x = tg.randn(300_000, requires_grad=True)
    found = []
    for threads in (1, 2):
        pool.resize(threads)
        x.grad = None
        found.append(both(x, lambda x: ops.gelu(x)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
