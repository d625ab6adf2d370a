"""Large arrays copied, put together, written into others and cast, beside NumPy."""

import numpy as np
import pytest

import tinygrad_opt as tg
import tinygrad_opt.nn.functional as fn
from tinygrad_opt.arrays import places
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.kernels.fused import copies, resampling

SPACE = xp(np.zeros(1))


def normal(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def check(found, expected):
    """Hold both equal; NumPy's own check, which looks for NaN first, says where they differ."""
    if not np.array_equal(found, expected):
        np.testing.assert_array_equal(found, expected)


ORDERS = [((600, 500), (1, 0)), ((64, 90, 80), (1, 0, 2)), ((64, 90, 80), (2, 0, 1)),
          ((8, 9, 60, 70), (0, 2, 1, 3)), ((8, 9, 60, 70), (3, 1, 2, 0)),
          ((5, 4, 6, 50, 60), (4, 2, 0, 1, 3)), ((8, 5, 2, 2, 30, 40), (0, 1, 4, 2, 5, 3)),
          ((8, 5, 30, 2, 40, 2), (0, 1, 3, 5, 2, 4))]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _kernels_are_made():
    for kind in copies._WHOLE.values():
        for name in ("copy_of_rows", "copy_of_blocks"):
            assert copies._kernels[name, kind.char]  # else it may be NumPy's turn


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16", "bool", "complex64"])
@pytest.mark.parametrize(("shape", "axes"), ORDERS, ids=str)
def test_copies(shape, axes, dtype):
    x = (50 * normal(*shape)).astype(dtype).transpose(axes)
    for part in (x, x[::-1], x[1:, ::2], x[:, 1:]):
        y = SPACE.copy(part)
        assert y.flags.carray
        assert y.dtype == x.dtype
        check(y, part)
        assert not np.shares_memory(y, x)
        check(SPACE.reshape(part, -1), part.reshape(-1))
    wide = np.broadcast_to(x[:1], x.shape)
    check(SPACE.copy(wide), wide)


def test_a_reshaped_view_stays_one():
    x = normal(600, 500).T
    assert np.shares_memory(SPACE.reshape(x, (500, 20, 30)), x)


LAYOUTS = {
    "whole": lambda x: x, "reversed": lambda x: x[::-1], "columns reversed": lambda x: x[:, ::-1],
    "part": lambda x: x[1:, 3:], "each second": lambda x: x[:, ::2], "transposed": lambda x: x.T,
    "one row": lambda x: np.broadcast_to(x[:1], x.shape), "empty": lambda x: x[:0],
    "one column": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "five axes": lambda x: x.reshape(len(x) // 60, 12, 5, 25, -1).transpose(2, 0, 3, 1, 4),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool", "float16", "complex64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_putting_together_gives_the_bits_and_the_order_of_numpy(layout, dtype):
    x = LAYOUTS[layout]((9 * normal(300, 1000)).astype(dtype))
    for axis in range(-x.ndim, x.ndim):
        for parts in ([x, x], [x, x.copy(), x]):
            found, expected = SPACE.concatenate(parts, axis=axis), np.concatenate(parts, axis)
            check(found, expected)
            assert (found.dtype, found.strides) == (expected.dtype, expected.strides)
        for n in (0, 1, -7, 10_000):
            found = SPACE.roll(x, shift=(n,), axis=(axis,))
            check(found, np.roll(x, n, axis))
    for axis in range(-x.ndim - 1, x.ndim + 1):
        found, expected = SPACE.stack([x, x], axis=axis), np.stack([x, x], axis)
        check(found, expected)
        assert found.strides == expected.strides
    check(SPACE.roll(x, shift=(1, 2), axis=(0, 1)), np.roll(x, (1, 2), (0, 1)))


def test_what_does_not_go_together_is_refused():
    x, y = normal(300, 500), normal(301, 500)
    for join in (SPACE.concatenate, SPACE.stack):
        with pytest.raises(ValueError, match="must"):
            join([x, y], axis=1)
        with pytest.raises(np.exceptions.AxisError):
            join([x, x], axis=3)
    mixed = SPACE.concatenate([x, x.astype(float)], axis=0)
    assert mixed.dtype == float


@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_writing_into_a_part_leaves_the_rest(layout, dtype):
    x = LAYOUTS[layout]((9 * normal(300, 1000)).astype(dtype))
    frame = np.full(tuple(n + 3 for n in x.shape), 7, dtype)
    inside = tuple(slice(1, -2) for _ in x.shape)
    expected = frame.copy()
    expected[inside] = x
    np.testing.assert_array_equal(SPACE.put(frame, x, index=inside), expected)
    backwards = (slice(-3, 0, -1), *inside[1:])
    if x.size:
        expected[inside] = x[::-1]
    np.testing.assert_array_equal(SPACE.put(frame, x, index=backwards), expected)
    assert (frame == 7).all()


TYPES = ["float32", "float64", "float16", "int32", "int64", "bool", "uint8", "int16"]


@pytest.mark.parametrize("target", TYPES)
@pytest.mark.parametrize("source", TYPES)
def test_other_types_have_the_bits_of_numpy(source, target):
    x = 100 * normal(300, 500, dtype="float64")
    with np.errstate(all="ignore"):
        x = (abs(x) if "uint8" in (source, target) else x).astype(source)
        if x.dtype.kind == "f" and np.dtype(target).kind in "fb":
            x[0, :6] = 0, -0.0, np.inf, -np.inf, np.nan, 1e-45
            x[1, :4] = 65504, 65519.9, 65520, 1e30
        if source == "int64":
            x[0, :3] = 2**62 + 1, 2**24 + 1, 2**53 + 1
        for part in (x, x[:, ::2], x.T, x[:2]):
            found, expected = SPACE.cast(part, dtype=target), part.astype(target)
            assert found.dtype == expected.dtype
            assert not np.shares_memory(found, x)
            np.testing.assert_array_equal(found, expected)
            if expected.dtype.kind == "f":
                np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_every_half_precision_number_goes_there_and_back():
    half = np.arange(65536, dtype=np.uint16).view(np.float16)
    wide = SPACE.cast(half, dtype="float32")
    np.testing.assert_array_equal(wide.view(np.uint32), half.astype(np.float32).view(np.uint32))
    finite = wide[np.isfinite(wide)]
    between = (finite[1:] + finite[:-1]) / 2  # where ties go to the even one
    with np.errstate(over="ignore", invalid="ignore"):
        for x in (wide, between, np.nextafter(between, np.float32(9e9)), wide * np.float32(1.0003)):
            found, expected = SPACE.cast(x, dtype="float16"), x.astype(np.float16)
            np.testing.assert_array_equal(found.view(np.uint16), expected.view(np.uint16))


@pytest.mark.parametrize("name", ["sigmoid", "exp", "sqrt", "tanh"])
def test_functions_of_parts_of_an_array(name):
    function, x = getattr(tg, name), normal(300, 400) ** 2
    for part in (x[:, ::2], x[:, :100], x[1:, 1:]):
        found = function(tg.from_numpy(part)).numpy()
        np.testing.assert_array_equal(found, function(tg.tensor(part.copy())).numpy())
    for part in (x[:, ::2], x.T):
        assert function(tg.from_numpy(part)).numpy().strides == np.exp(part).strides


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize("kind", ["int32", "int64", "uint8", "bool", "float64", "float16"])
@pytest.mark.parametrize("size", [10, 70_000])
def test_types_are_mixed_as_in_small_arrays(name, kind, size):
    x = normal(size)
    i = (1 + abs(9 * normal(size, seed=1))).astype(kind)
    operation = getattr(tg, name)
    for shape in ((size,), (size, 1), ()):
        j = i[:1].reshape(()) if shape == () else i[:size].reshape(shape)[-(len(i) // size) :]
        for given in ((x, j), (j, x)):
            if name == "sub" and kind == "bool":
                with pytest.raises(RuntimeError, match="bool"):
                    operation(*map(tg.tensor, given))
                continue
            wide = "float64" if kind == "float64" and j.ndim else "float32"
            expected = operation(*(tg.tensor(a.astype(wide)) for a in given))
            found = operation(*map(tg.tensor, given))
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found.numpy(), expected.numpy())
    t = tg.tensor(x, requires_grad=True)
    if (name, kind) != ("sub", "bool"):
        operation(t, tg.tensor(i)).sum().backward()
        assert t.grad.dtype == tg.float32


SIZES = [
    {"scale_factor": 2, "mode": "bilinear"}, {"scale_factor": 0.4, "mode": "bilinear"},
    {"size": (70, 33), "mode": "bilinear", "align_corners": True},
    {"scale_factor": 1.5, "mode": "bicubic"}, {"scale_factor": 0.5, "mode": "nearest"},
    {"scale_factor": 0.3, "mode": "bilinear", "antialias": True},
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", SIZES, ids=str)
def test_images_in_another_size(settings, dtype, monkeypatch):
    """The bits of the formula in `ops/images.py`."""
    calls, run = [], resampling.resample
    monkeypatch.setattr(resampling, "resample", lambda *a: calls.append(a) or run(*a))
    x = tg.tensor(normal(4, 5, 80, 60, dtype=dtype))
    x[0, 0, 0, 0] = float("nan")
    found = fn.interpolate(x, **settings)
    assert len(calls) == 2
    monkeypatch.setattr(places, "LEAST", 1 << 60)
    np.testing.assert_array_equal(found.numpy(), fn.interpolate(x, **settings).numpy())
    assert len(calls) == 2


def test_places_of_an_image_lie_within():
    x, weights = normal(20, 3), normal(1, 2)
    for axis in (0, 1):
        for wrong in (-1, x.shape[axis]):
            with pytest.raises(ValueError, match="outside"):
                resampling.resample(x, axis, np.array([[0, wrong]]), weights)
        with pytest.raises(ValueError, match="sizes differ"):
            resampling.resample(x, axis, np.array([[0, 1, 2]]), weights)


def test_bits_do_not_depend_on_the_number_of_threads():
    x, found = normal(600, 700), []
    for threads in (1, 2, 4):
        tg.set_num_threads(threads)
        try:
            cube = x.reshape(60, 10, 700)
            found.append([
                SPACE.sum(cube, 1), SPACE.sum(x, 0), SPACE.cumprod(x, 1), SPACE.amax(cube, 1),
                tg.dot(tg.tensor(x.ravel()), tg.tensor(x.ravel())).numpy(),
            ])  # fmt: skip
        finally:
            tg.set_num_threads(2)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_long_vectors(dtype):
    x, y = normal(300_001, dtype=dtype), normal(300_001, dtype=dtype, seed=1)
    exact = float(x.astype(np.longdouble) @ y.astype(np.longdouble))
    bound = 1e-7 if dtype == "float32" else 1e-16
    a, b = (tg.tensor(v, requires_grad=True) for v in (x, y))
    product = a @ b
    assert abs(product.item() - exact) < bound * len(x)
    product.backward(tg.tensor(2.5, dtype=product.dtype))
    np.testing.assert_array_equal(a.grad.numpy(), y * y.dtype.type(2.5))
    np.testing.assert_array_equal(b.grad.numpy(), x * x.dtype.type(2.5))
    for part in (a[::2], a[1:]):  # not in one piece, and not aligned to anything
        assert abs((part @ part).item() - float(part.double() @ part.double())) < bound * len(x)


# Gradients that nobody else holds become the `.grad` as they are ---------------------------------


def leaf(*shape):
    return tg.tensor(normal(*shape), requires_grad=True)


def test_a_gradient_is_no_view_of_another():
    g = tg.tensor(normal(300, 400))
    for function in (
        lambda x, y: x + y, lambda x, y: x - y, lambda x, y: tg.cat([x, y])[:300],
        lambda x, y: (x.reshape(-1) + y.reshape(-1)).reshape(300, 400), lambda x, y: x * y,
        lambda x, y: tg.stack([x, y])[0], lambda x, y: x.clone() + y.T.T,
        lambda x, y: (x + y).exp(),
    ):  # fmt: skip
        x, y = leaf(300, 400), leaf(300, 400)
        z = function(x, y)
        before = g.numpy().copy(), z.detach().numpy().copy()
        z.backward(g, retain_graph=True)
        first, other = x.grad.numpy().copy(), y.grad.numpy().copy()
        arrays = [t.array for t in (x, y, z, g, x.grad, y.grad)]
        for i, a in enumerate(arrays):
            for b in arrays[i + 1 :]:
                assert not np.shares_memory(a, b)
        x.grad.zero_()
        np.testing.assert_array_equal(y.grad.numpy(), other)
        np.testing.assert_array_equal(g.numpy(), before[0])
        x.grad = None
        z.backward(g)
        np.testing.assert_array_equal(x.grad.numpy(), first)


def test_what_a_hook_keeps_stays_its_own():
    kept = []
    x = leaf(300, 400)
    x.register_hook(lambda g: kept.append(g))
    y = x.exp()
    y.retain_grad()
    y.register_hook(lambda g: kept.append(g))
    y.sum().backward()
    for other in (*kept, y.grad, y):
        assert not np.shares_memory(x.grad.array, other.array)


def test_a_gradient_that_nobody_holds_is_not_copied():
    found = []

    class Twice(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            made = g * 2
            found.append(made.array.ctypes.data)
            return made

    x = leaf(300, 400)
    x.exp().sum().backward()
    assert x.grad.array.base is None
    x = leaf(300, 400)
    Twice.apply(x).backward(tg.ones(300, 400))
    assert x.grad.array.ctypes.data == found[0]
