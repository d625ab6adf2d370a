"""Large arrays joined, turned round or taken in rows that lie apart; dots and distances of them."""

import itertools
import math

import numpy as np
import pytest

import tinygrad_opt as tg
import tinygrad_opt.nn.functional as F
from tinygrad_opt import ops
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.kernels.compiler import cache
from tinygrad_opt.kernels.functions import primitives
from tinygrad_opt.kernels.fused import casts, copies, distances, extremes, joins, layouts, pairs

FLOATS = ["float32", "float64"]
SPACE = xp(np.zeros(1))
SIZES = [(262_147,), (3, 90_001), (1_031, 129), (41, 5, 701), (7, 11, 13, 131), (40_000, 3)]


def normal(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def odd(*shape, dtype="float32", seed=0):
    """The same with NaN, infinities and zeros of both signs."""
    x = normal(*shape, dtype=dtype, seed=seed)
    for first, value in enumerate((math.nan, math.inf, -math.inf, 0.0, -0.0)):
        x.flat[first :: 997 + 2 * first + seed] = value
    return x


def on_threads(function):
    """What a function gives on one, two and three threads."""
    found = []
    for threads in (1, 2, 3):
        tg.set_num_threads(threads)
        try:
            found.append(function())
        finally:
            tg.set_num_threads(2)
    return found


def check_bits(found, expected):
    """Hold equal what all have, bit by bit: signs of zeros, and NaN, too."""
    for a in found:
        assert (a.dtype, a.shape) == (expected.dtype, expected.shape)
        assert a.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool", "float16", "complex64"])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_joining_and_turning_round(shape, dtype, monkeypatch):
    calls = []
    for name in ("beside", "turned"):
        run = getattr(joins, name)
        monkeypatch.setattr(joins, name, lambda *a, run=run: calls.append(a) or run(*a))
    x, y = (odd(*shape, dtype="float64", seed=i) for i in range(2))
    with np.errstate(invalid="ignore"):
        x, y = x.astype(dtype), y.astype(dtype)
    for axis in range(len(shape)):
        check_bits(on_threads(lambda axis=axis: SPACE.flipped(x, (axis,))), np.flip(x, axis).copy())
        for parts in ((x, y), (x, y[:0], x), (y.swapaxes(0, axis).copy().swapaxes(0, axis), x)):
            if axis and not parts[1].size:
                continue
            joined = np.ascontiguousarray(np.concatenate(parts, axis))
            found = on_threads(lambda parts=parts, axis=axis: SPACE.concatenate(parts, axis=axis))
            check_bits([np.ascontiguousarray(a) for a in found], joined)
        check_bits(
            on_threads(lambda axis=axis: SPACE.stack((x, y), axis=axis)), np.stack((x, y), axis)
        )
    every = tuple(range(len(shape)))
    check_bits([SPACE.flipped(x, every), tg.flip(tg.tensor(x), every).numpy()], np.flip(x).copy())
    assert len(calls) >= 5 * len(shape)


def test_gradients_of_what_is_joined_and_turned_round():
    x, y = (tg.tensor(normal(700, 200, seed=i), requires_grad=True) for i in range(2))
    g = normal(2, 700, 200, seed=2)
    for z, of_x, of_y in (
        (tg.cat([x, y]), g[0], g[1]), (tg.cat([x, y], 1), g[0], g[1]),
        (tg.stack([x, y]), g[0], g[1]), (tg.cat([x.flip(1), y.flip(0)]), g[0, :, ::-1], g[1, ::-1]),
    ):  # fmt: skip
        seed = np.stack(g, 0 if z.shape[0] != 700 else 1).reshape(z.shape)
        x.grad = y.grad = None
        z.backward(tg.tensor(seed))
        np.testing.assert_array_equal(x.grad.numpy(), of_x)
        np.testing.assert_array_equal(y.grad.numpy(), of_y)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_gates_of_halves_that_lie_apart(dim, dtype, monkeypatch):
    calls, run = [], pairs.run_rows
    monkeypatch.setattr(pairs, "run_rows", lambda *a: calls.append(a) or run(*a))
    x = odd(34, 62, 66, dtype=dtype)
    half = [n // 2 if axis == dim else n for axis, n in enumerate(x.shape)]
    g, wide = normal(*half, dtype=dtype, seed=1), x.astype(np.longdouble)
    a, b = np.split(wide, 2, dim)
    with np.errstate(all="ignore"):
        s = 1 / (1 + np.exp(-b))
        value, slope = a * s, np.concatenate([g * s, g * a * s * (1 - s)], dim)

    def both():
        t = tg.tensor(x, requires_grad=True)
        y = F.glu(t, dim)
        y.backward(tg.tensor(g))
        return np.concatenate([y.detach().numpy().ravel(), t.grad.numpy().ravel()])

    found = on_threads(both)
    check_bits(found, found[0])
    close = {"rtol": 3e-6, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-13, "atol": 1e-14}
    expected = np.concatenate([value.ravel(), slope.ravel()]).astype(dtype)
    np.testing.assert_allclose(found[0], expected, **close)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(found[0] * found[0].dtype.type(1.001), expected, **close)
    assert len(calls) == (9 if dim else 0)  # the first axis has halves in one piece


@pytest.mark.parametrize("name", ["lerp", "huber", "addcmul"])
def test_rows_that_lie_apart_have_the_bits_of_those_that_do_not(name):
    arrays = [odd(500, 150, seed=i) for i in range(3)][: len(pairs.ROWS[name].slopes)]
    settings = {"lerp": (0.3,), "huber": (), "addcmul": ()}[name]
    named = {"huber": {"delta": 0.7}, "addcmul": {"value": 0.3}}.get(name, {})
    pair, g = getattr(ops, name).pair, normal(500, 75, seed=5)
    for cut in (lambda x: x[:, 30:105], lambda x: x[::-1, :75], lambda x: x[:, ::2]):
        z, *backs = pair(*map(cut, arrays), *settings, **named)
        y, *plain = pair(*(cut(x).copy() for x in arrays), *settings, **named)
        np.testing.assert_array_equal(z, y)
        for back, formula in zip(backs[: len(arrays)], plain, strict=False):
            for seed in (g, np.broadcast_to(g[0, :1], g.shape)):
                np.testing.assert_array_equal(back(seed), formula(seed))


@pytest.mark.parametrize("shape", [(40_000, 2), (20_000, 2, 1), (20_000, 2, 3), (37, 2, 999, 1)])
@pytest.mark.parametrize("name", ["glu", "logaddexp", "huber_loss"])
def test_axes_of_one_element_may_have_any_stride(name, shape):
    whole, few = normal(*shape), normal(*shape[:1], *shape[2:], seed=1)
    strided = np.lib.stride_tricks.as_strided

    def run(x):
        t = tg.tensor(x).requires_grad_()
        y = F.glu(t, 1) if name == "glu" else None
        if y is None:
            function = getattr(F, name, None) or getattr(tg, name)
            named = {"reduction": "none"} if name == "huber_loss" else {}
            y = function(t[:, :1], t[:, 1:], **named)
        g = few[:, None]
        steps = tuple(s if n > 1 else 0 for s, n in zip(g.strides, g.shape, strict=True))
        y.backward(tg.from_numpy(strided(g, g.shape, steps, writeable=True)))
        return y.detach().numpy(), t.grad.numpy()

    for found, right in zip(run(whole), run(whole.astype(np.float64)), strict=True):
        np.testing.assert_allclose(found, right, rtol=2e-5, atol=1e-5)


def test_what_lies_in_rows():
    x = normal(6, 8, 10)
    for view, rows in (
        (x, (1, 480)), (x[:, :4], (6, 40)), (x[:, :, 1:], (48, 9)), (x[::-2], (3, 80)),
        (x[::2, :, 1:], None), (x[:, :, ::2], None), (x.T, None), (x[0], (8, 10)),
    ):  # fmt: skip
        found = layouts.as_rows((view, view))
        if rows is None:
            assert found is None
        else:
            for matrix in found:
                assert matrix.shape[1] * matrix.itemsize >= matrix.strides[1] * rows[1]
                assert np.shares_memory(matrix, x)
                np.testing.assert_array_equal(matrix.ravel(), view.ravel())
    assert layouts.as_rows((x, x[:5])) is None
    assert layouts.as_rows((x, x[:, :, :9], x)) is None


@pytest.mark.parametrize("dtype", [*FLOATS, "float16", "int64", "complex64", "bool"])
@pytest.mark.parametrize("size", [0, 1, 3, 2_049, 65_537, 300_001])
def test_dots(size, dtype):
    x, y = (3 * normal(size, dtype="float64", seed=i) for i in range(2))
    x, y = x.astype(dtype), y.astype(dtype)
    exact = (x.astype("complex128") if dtype == "complex64" else x.astype("longdouble")) @ y
    found = on_threads(lambda: (tg.tensor(x) @ tg.tensor(y)).numpy())
    check_bits(found, found[0])
    assert (found[0].dtype, found[0].shape) == (np.dtype(dtype), ())
    if dtype == "bool":
        assert found[0] == (x & y).any()
    else:
        precision = {"float16": 5e-4, "float64": 1e-15}.get(dtype, 1e-6)
        assert abs(found[0] - exact) <= precision * (abs(exact) + 9 * math.sqrt(size))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        tg.tensor(x) @ tg.ones(size + 2, dtype=tg.tensor(x).dtype)


def test_dots_of_what_is_not_finite():
    for value, other, expected in (
        (math.nan, 1, math.nan), (math.inf, 2, math.inf), (math.inf, -1, -math.inf),
        (math.inf, 0, math.nan),
    ):  # fmt: skip
        x, y = np.ones(70_001, np.float32), np.ones(70_001, np.float32)
        x[70_000], y[70_000] = value, other
        np.testing.assert_equal(SPACE.matmul(x, y)[()], np.float32(expected))


def test_second_gradients_of_dots():
    for size in (5, 70_001):
        x, y = (tg.tensor(normal(size, seed=i), requires_grad=True) for i in range(2))
        z = x @ y
        dx, dy = tg.autograd.grad(z * z, (x, y), create_graph=True)
        np.testing.assert_allclose(dx.detach().numpy(), 2 * z.item() * y.detach().numpy(), 1e-6)
        ddx, ddy = tg.autograd.grad((dx * dy).sum(), (x, y))
        a, b, s = x.detach().double(), y.detach().double(), z.item()
        # dx dy = 4 s^3 with s = x y, so its gradients are 12 s^2 y and 12 s^2 x.
        for found, expected in ((ddx, 12 * s * s * b), (ddy, 12 * s * s * a)):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), 1e-4)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rows", [1, 2, 8, 9, 17, 256, 257, 1_000, 3_001])
def test_extremes_of_columns(rows, dtype):
    for columns in (8, 65, 1_025):
        x = normal(2, rows, columns, dtype=dtype)
        x[1, rows // 2, ::7], x[0, -1, 3], x[0, 0, 5] = math.nan, math.inf, -math.inf
        for name, expected in (("maximum", x.max(1)), ("minimum", x.min(1))):
            found = on_threads(lambda name=name, x=x: extremes.extremes_of_middle(x, name))
            check_bits(found, found[0])
            np.testing.assert_array_equal(found[0], expected)


@pytest.mark.parametrize("dtype", FLOATS)
def test_distances(dtype):
    x, y = normal(203, 37, dtype=dtype), normal(101, 37, dtype=dtype, seed=1)
    wide = x.astype("longdouble")[:, None] - y.astype("longdouble")
    exact = np.sqrt((wide * wide).sum(-1)).astype(dtype)
    found = on_threads(lambda: tg.cdist(tg.tensor(x), tg.tensor(y)).numpy())
    check_bits(found, found[0])
    close = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(found[0], exact, close)
    for a, b in ((x[::2], y), (x, y[:, ::-1][:, ::-1]), (x[None], y), (x[:9], y[:9])):
        part = tg.cdist(tg.from_numpy(a), tg.from_numpy(b)).numpy()
        expected = exact[::2] if len(a) == 102 else exact[: a.shape[-2], : len(b)]
        np.testing.assert_allclose(part.reshape(expected.shape), expected, close)
    same = tg.cdist(tg.tensor(x), tg.tensor(x)).numpy()
    assert (abs(np.diag(same)) < (1e-2 if dtype == "float32" else 1e-6)).all()
    x[3, 3], x[4, 4] = math.nan, math.inf
    found = tg.cdist(tg.tensor(x), tg.tensor(y)).numpy()
    assert np.isnan(found[3]).all()
    assert not np.isfinite(found[4]).any()
    np.testing.assert_allclose(found[5:], exact[5:], close)


@pytest.mark.parametrize("mark", ["as it is", "no such mark"])
def test_half_precision_whatever_the_processor_has(mark, monkeypatch):
    if mark != "as it is":
        monkeypatch.setattr(primitives, "_CONVERTS", mark)
    # Each text is a file's of its own, so that no other test's code is found.
    made = []
    monkeypatch.setattr(cache, "load", lambda name, render, *_: made.append(render(False)))
    monkeypatch.setattr(casts.Loop, "load", lambda self, kind, large: self.text(kind, large, False))
    text = casts._Kernels()._made("float32", "float16")
    kernel = cache.compile_text("float32_to_float16_split", text)
    bits = np.arange(0, 1 << 32, 9_973, dtype=np.uint32)
    x, found = bits.view(np.float32), np.empty(len(bits), np.uint16)
    kernel(x, found)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(found, x.astype(np.float16).view(np.uint16))


@pytest.mark.parametrize("negative", [False, True])
def test_places_from_the_end(negative):
    x, rng = normal(300, 130), np.random.default_rng(1)
    index = rng.integers(-130 if negative else 0, 130, (300, 130))
    index[7] = index[7] % 130
    expected = np.take_along_axis(x, index, 1)
    take = ops.take_along_axis
    check_bits(on_threads(lambda: take(tg.tensor(x), indices=index, axis=1).numpy()), expected)
    t = tg.tensor(x, requires_grad=True)
    take(t, indices=index, axis=1).backward(tg.tensor(x))
    sums = np.zeros((300, 130))
    np.add.at(sums, (np.arange(300)[:, None], index), x)
    np.testing.assert_array_equal(t.grad.numpy(), sums.astype(np.float32))


def test_kernels_refuse_what_does_not_fit():
    x = np.zeros((4, 6), np.uint32)
    for name, calls in {
        "columns_beside": [(x, 0, 1, x[:3].copy()), (x, -1, 1, x.copy()), (x, 1, 1, x.copy())],
        "turned_columns": [(x, 1, x[:3].copy()), (x, 1, x[:, :5].copy())],
        "turned_rows": [(x[None], 1, x[None, :3].copy()), (x[None], 1, x[None, :, 1:].copy())],
    }.items():
        for arguments in calls:
            with pytest.raises(ValueError, match="sizes differ"):
                joins._kernels[name, "I"](*arguments)
    cube = x[None, None, None]
    for a, b in ((cube, cube[..., 1:]), (cube[..., :2, :], cube), (cube[:0], cube)):
        with pytest.raises(ValueError, match="sizes differ"):
            copies._kernels["copy_of_rows", "I"](a, False, 1, b.copy())
    for a, b in ((cube[..., ::2], cube[..., :3]), (cube, cube.copy()[..., ::-1])):
        with pytest.raises(ValueError, match="side by side"):
            copies._kernels["copy_of_rows", "I"](a, False, 1, b)
    f = np.zeros((4, 6), np.float32)
    for top, left, to in ((1, 0, f[None]), (0, 1, f[None]), (-1, 0, f[None]), (0, 0, f[None, :3])):
        with pytest.raises(ValueError, match="sizes differ"):
            copies._kernels["frame", "f"](f[None], top, left, 0.0, 1, to)
    with pytest.raises(ValueError, match="sizes differ"):
        distances._kernels["distances", "f"](f[0], f[0], 1, f)
    kernel = pairs._row_kernels[pairs.gated, 0, 0, False, f.dtype]
    for a, b in itertools.permutations((f, f[:3], f[:, :5].copy())[:2]):
        with pytest.raises(ValueError, match="sizes differ"):
            kernel(a, b, f.copy())
    with pytest.raises(ValueError, match="side by side"):
        kernel(f[:, ::2], f[:, :3], np.empty((4, 3), np.float32))


def test_what_stands_side_by_side_as_a_vector():
    text = (
        "from tinygrad_opt.kernels.compiler.lines import in_line\n"
        "from tinygrad_opt.kernels.direct import njit\n"
        '@njit("void(float64[:, :], float64[::1])", error_model="numpy")\n'
        "def last_rows(x, y):\n"
        "    row = in_line(x[1:])\n"
        "    for i in range(row.shape[0]):\n"
        "        y[i] = row[i]\n"
    )
    x, y = np.arange(12.0).reshape(3, 4), np.zeros(8)
    cache.compile_text("last_rows", text)(x, y)
    np.testing.assert_array_equal(y, x[1:].ravel())
