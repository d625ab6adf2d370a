"""Functions of two large arrays, norms, extremes and the k largest, beside their formulas."""

import math

import numpy as np
import pytest

import tinygrad_opt as tg
import tinygrad_opt.nn.functional as F
from tinygrad_opt import ops
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.functions import sorting
from tinygrad_opt.kernels.fused import axis_sums, extremes, pairs
from tinygrad_opt.nn.losses import probabilities

FLOATS = ["float32", "float64"]
SPACE = xp(np.zeros(1))
KINDS = ["plain", "ties", "not finite"]
PAIRS = {
    "absolute_error": [()],
    "add_scaled": [{"alpha": 0.3}, {"alpha": -2}],
    "addcdiv": [{"value": 0.3}, {"value": 1}],
    "addcmul": [{"value": 0.3}, {"value": 1}],
    "huber": [{"delta": 0.7}, {"delta": 0.3, "scale": 0.3}],
    "lerp": [0.3, 0.8, 1, -2.0],
    "maximum": [()],
    "minimum": [()],
}


def chance(x):
    """Probabilities, 0 and 1 among them."""
    return 1 / (1 + np.exp(-np.nan_to_num(x)))


# Those that take exponentials or logarithms, and of which numbers: alike but for the last digits.
CURVED = {
    "bce": (probabilities._bce, lambda x, y: (chance(x), chance(y))),
    "bce_of_logits": (probabilities._bce_of_logits, lambda x, y: (x, chance(y))),
    "gated": (ops.gated, lambda x, y: (x, y)),
    "logaddexp": (ops.logaddexp, lambda x, y: (x, y)),
}


def sample(kind="plain", dtype="float32", shape=(700, 130), seed=0):
    x = np.random.default_rng(seed).standard_normal(shape)
    if kind == "ties":
        x = np.round(x)
    if kind == "not finite":
        x[seed::7, ::11], x[seed::5, 5], x[seed::6, 6] = np.nan, np.inf, -np.inf
        x[20], x[21], x[22, ::3] = -np.inf, np.inf, -0.0
    return x.astype(dtype)


def called(function, settings):
    """`function` of arrays, with further arguments of the table."""
    if isinstance(settings, dict):
        return lambda *arrays: function(*arrays, **settings)
    return lambda *arrays: function(*arrays, *(settings if settings == () else (settings,)))


def arrays_of(name, kind="plain", dtype="float32"):
    """As many samples as a row takes."""
    return [sample(kind, dtype, seed=i) for i in range(len(pairs.ROWS[name].slopes))]


@pytest.fixture
def used(monkeypatch):
    """The functions of pairs that kernels computed."""
    names = []
    run = pairs.run
    monkeypatch.setattr(pairs, "run", lambda f, *a: names.append(f.__name__) or run(f, *a))
    return names


def test_all_rows_are_tried():
    assert PAIRS.keys() | CURVED.keys() == pairs.ROWS.keys()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAIRS)
def test_pairs_have_the_bits_of_their_formula(name, kind, dtype, used):
    arrays, g = arrays_of(name, kind, dtype), sample(dtype=dtype, seed=3)
    pair = getattr(ops, name).pair
    kernels = [slope for slope in pairs.ROWS[name].slopes if slope is not None]
    for settings in PAIRS[name]:
        z, *backs = called(pair, settings)(*arrays)
        expected, *plain = called(pair.__wrapped__, settings)(*arrays)
        np.testing.assert_array_equal(z, expected)
        assert z.dtype == dtype
        for seed in (g, np.broadcast_to(g[:1], g.shape), np.broadcast_to(g[0, 0], g.shape)):
            for back, formula in zip(backs[: len(arrays)], plain, strict=False):
                found = back(seed)
                np.testing.assert_array_equal(found, formula(seed))
                assert found.dtype == dtype
    ours = [function for function in used if function != "sign"]  # which formulas take, too
    assert len(ours) == (1 + 3 * len(kernels)) * len(PAIRS[name])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CURVED)
def test_curved_pairs_have_the_numbers_of_their_formula(name, kind, dtype, used):
    operation, prepared = CURVED[name]
    rest = [None] if name == "bce_of_logits" else []
    arrays, g = prepared(*arrays_of(name, kind, dtype)), sample(dtype=dtype, seed=3)
    z, *backs = operation.pair(*arrays, *rest)
    expected, *plain = operation.pair.__wrapped__(*arrays, *rest)
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-13, "atol": 1e-15}
    np.testing.assert_allclose(z, expected, **close)
    for seed in (g, np.broadcast_to(g[0, 0], g.shape)):
        for back, formula in zip(backs[:2], plain, strict=False):
            found = back(seed)
            np.testing.assert_allclose(found, formula(seed), **close)
            assert found.dtype == z.dtype == dtype
    assert len(used) == 5
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(z * z.dtype.type(1.001), expected, **close)


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_not_for_kernels(name, used):
    x, y, *more = arrays_of(name)
    function = called(getattr(ops, name).pair, PAIRS[name][0])
    for a, b in ((x, y[:1]), (x, y.astype("float64")), (x[:5], y[:5]),
                 (x.astype(int), y.astype(int)), (x, 0.5)):  # fmt: skip
        function(a, b, *(0.5 for _ in more))
    assert not used
    z, *_ = ops.lerp.pair(x, y, np.float32(0.25) + 0 * x)
    np.testing.assert_array_equal(z, x + np.float32(0.25) * (y - x))
    assert not used


@pytest.mark.parametrize("name", PAIRS)
def test_views_are_put_in_order_where_a_formula_takes_many_passes(name, used):
    arrays = arrays_of(name)
    function = called(getattr(ops, name).pair, PAIRS[name][0])
    whole, views = [a[:, ::2].copy() for a in arrays], [a[:, ::2] for a in arrays]
    expected, found = function(*whole), function(*views)
    g = sample(seed=3, shape=whole[0].shape)
    many = pairs.ROWS[name].least < pairs.LEAST
    assert len(used) == 2 * many
    for a, b in zip([expected[0], *(f(g) for f in expected[1 : len(arrays) + 1])],
                    [found[0], *(f(g) for f in found[1 : len(arrays) + 1])],
                    strict=True):  # fmt: skip
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", FLOATS)
def test_mean_squared_error(dtype, used):
    x, y = sample(dtype=dtype), sample(dtype=dtype, seed=1)
    pair, g = ops.mean_squared_error.pair, np.array(0.7, dtype)
    z, back_x, back_y = pair(x, y)
    exact = ((x.astype(np.longdouble) - y) ** 2).mean()
    assert z.dtype == dtype
    assert abs(z - float(exact)) < (1e-7 if dtype == "float32" else 1e-14) * z
    _, plain_x, plain_y = pair.__wrapped__(x, y)
    np.testing.assert_array_equal(back_x(g), plain_x(g))
    np.testing.assert_array_equal(back_y(g), plain_y(g))
    assert used == ["times_difference"] * 2


SMOOTH = {
    "mse": F.mse_loss, "huber": lambda x, y: F.huber_loss(x, y, delta=0.7),
    "lerp": lambda x, y: (tg.lerp(x, y, 0.3) ** 2).sum(),
    "maximum": lambda x, y: (tg.maximum(x, y) ** 2).sum(),
    "norm": lambda x, y: (x - y).norm(dim=1).sum(),
    "logsumexp": lambda x, y: tg.logsumexp(x * y, 1).sum(),
    "amin": lambda x, y: (x * y).amin(1).pow(2).sum(),
    "topk": lambda x, y: ((x * y).topk(3, 1)[0] ** 2).sum(),
    "median": lambda x, y: ((x * y).median(1)[0] ** 2).sum(),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_are_those_of_small_arrays(name):
    """Of ten rows at a time no kernel of this file runs; losses are means."""
    x, y, v = (sample(dtype="float64", seed=i) for i in range(3))

    def curvature(rows):
        a, b = (tg.tensor(t[rows], requires_grad=True) for t in (x, y))
        (slope,) = tg.autograd.grad(SMOOTH[name](a, b), a, create_graph=True)
        return tg.autograd.grad((slope * tg.tensor(v[rows])).sum(), b)[0].numpy()

    parts = np.concatenate([curvature(slice(i, i + 10)) for i in range(0, 700, 10)])
    parts = parts / 70 if name in ("mse", "huber") else parts
    np.testing.assert_allclose(curvature(slice(None)), parts, rtol=1e-9, atol=1e-12)


def test_what_a_loss_was_taken_of_may_not_be_changed_before_its_gradient():
    x, y = (tg.tensor(sample(seed=i), requires_grad=True) for i in range(2))
    middle = x * 1
    loss = F.mse_loss(middle, y)
    with tg.no_grad():
        middle.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [1e-25, 1, 1e25])
def test_norms_keep_their_digits(size, dtype):
    x = sample(dtype=dtype) * np.dtype(dtype).type(size)
    for axis in (None, 0, 1, (0, 1)):
        exact = np.sqrt((x.astype(np.longdouble) ** 2).sum(axis)).astype(float)
        found = tg.norm(tg.tensor(x), dim=axis).numpy()
        assert found.dtype == dtype
        np.testing.assert_allclose(found, exact, rtol=3e-7 if dtype == "float32" else 1e-15)


def test_bits_do_not_depend_on_the_number_of_threads():
    x, y = sample(), sample(seed=1)
    found = []
    for threads in (1, 2, 4):
        tg.set_num_threads(threads)
        try:
            a, b = tg.tensor(x), tg.tensor(y)
            found.append([F.mse_loss(a, b), F.smooth_l1_loss(a, b), a.norm(), a.norm(dim=1),
                          tg.logaddexp(a, b), F.binary_cross_entropy_with_logits(a, b),
                          tg.logsumexp(a, 1), a.amax(1), *a.topk(5)])  # fmt: skip
        finally:
            tg.set_num_threads(2)
    for other in found[1:]:
        for p, q in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(p.numpy(), q.numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_products_of_rows(kind):
    x = sample(kind, shape=(70, 10, 130)) + np.float32(1.5)
    for keepdims in (False, True):
        for axis in (2, -1):
            found = SPACE.prod(x, axis, keepdims)
            expected = x.prod(axis, np.longdouble, keepdims=keepdims).astype("float32")
            assert found.dtype == x.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
def test_extremes_of_rows(kind, dtype):
    x = sample(kind, dtype, (70, 10, 130))
    for keepdims in (False, True):
        for axis in (2, -1):
            for name, reduce in (("amax", np.max), ("amin", np.min)):
                found = getattr(SPACE, name)(x, axis, keepdims)
                expected = reduce(x, axis, keepdims=keepdims)
                assert found.dtype == x.dtype
                np.testing.assert_array_equal(found, expected)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
def test_logarithms_of_sums(kind, dtype):
    """Rows by a kernel; the transposed matrix by the formula."""
    x = sample(kind, dtype)
    x[0] += 3e4
    results = []
    for given, axis in ((x, 1), (np.asfortranarray(x), 1), (x, -1)):
        t = tg.from_numpy(given).requires_grad_()
        y = tg.logsumexp(t, axis, keepdim=axis == -1)
        y.backward(tg.ones_like(y))
        results.append((y.detach().numpy().ravel(), t.grad.numpy()))
    error = 1e-6 if dtype == "float32" else 4e-15
    for y, slope in results[1:]:
        np.testing.assert_allclose(results[0][0], y, rtol=error)
        np.testing.assert_allclose(results[0][1], slope, rtol=error, atol=1e-30)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", [*KINDS, "rising", "falling"])
def test_places_of_the_largest(kind, dtype):
    """Those of a stable sort, in which NaN is the largest."""
    x = sample(kind, dtype, (300, 130))
    if kind in ("rising", "falling"):
        x = np.sort(x, 1) if kind == "rising" else -np.sort(-x, 1)
    for largest in (True, False):
        order = tg.argsort(tg.tensor(x), 1, descending=largest).numpy()
        for k in (1, 2, 5, extremes.MOST, extremes.MOST + 1):
            values, places = tg.topk(tg.tensor(x), k, largest=largest)
            np.testing.assert_array_equal(places.numpy(), order[:, :k])
            np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, order[:, :k], 1))


@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "uint8"])
@pytest.mark.parametrize("kind", KINDS)
def test_order_statistics_have_the_places_of_a_stable_sort(kind, dtype, monkeypatch):
    x = abs(sample("ties")).astype(dtype) if dtype[0] in "iu" else sample(kind, dtype)
    t = tg.tensor(x)
    finders = [tg.median, tg.nanmedian, lambda t, dim, **s: tg.kthvalue(t, 100, dim, **s)]
    calls = [(find, dim, keep) for find in finders for dim in (0, 1, -1) for keep in (False, True)]
    found = [find(t, dim, keepdim=keep) for find, dim, keep in calls]
    monkeypatch.setattr(sorting, "MANY", math.inf)
    for (find, dim, keep), pair in zip(calls, found, strict=True):
        for a, b in zip(pair, find(t, dim, keepdim=keep), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_kernels_refuse_arrays_that_do_not_fit():
    x, few = np.zeros((4, 5), np.float32), np.zeros(3, np.float32)
    for call in (
        lambda: axis_sums._kernels["distances_of_rows", "f"](x, x[:3], 1, np.empty(4)),
        lambda: axis_sums._kernels["squares_of_rows", "f"](x, 1, np.empty(3)),
        lambda: axis_sums._kernels["products_of_rows", "f"](x, 1, np.empty(3)),
        lambda: extremes._kernels["maximum_of_rows", "f"](x, few, 1),
        lambda: extremes._kernels["maximum_of_rows", "f"](x[:, :0].copy(), few, 1),
        lambda: extremes._kernels["log_of_sums", "f"](x, few, 1),
        lambda: extremes._kernels["largest", "f"](x, np.zeros((4, 6), np.int64), 1),
        lambda: extremes._kernels["smallest", "f"](x, np.zeros((4, 0), np.int64), 1),
        lambda: pairs._kernels[pairs.maximum, 0, 0, True, x.dtype](few, few[:2], few),
    ):
        with pytest.raises(ValueError, match="sizes differ"):
            call()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norms_of_rows_of_which_some_are_odd(dtype):
    """Zeros, and what leaves the range of the type when it is squared."""
    x = np.random.default_rng(0).standard_normal((700, 130)).astype(dtype)
    limits = np.finfo(dtype)
    x[3], x[5], x[7], x[9, 4], x[11, 2] = 0, limits.tiny, limits.max / 1e3, np.nan, np.inf
    wide = np.sqrt((x.astype(np.longdouble) ** 2).sum(1)).astype(dtype)
    for keepdim in (False, True):
        found = tg.tensor(x).norm(dim=1, keepdim=keepdim).numpy().reshape(-1)
        np.testing.assert_allclose(found, wide, rtol=1e-6 if dtype == "float32" else 1e-14)
