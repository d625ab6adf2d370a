"""The kernels of norms: digits of long sums, layouts, what is left to the formula."""

import numpy as np
import pytest

from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.kernels.fused import channel_norms, normalization, row_norms
from tinygrad_opt.kernels.fused.channel_norms import Layout

PLAIN, FAST = Namespace(np), xp(np.zeros(1))
AFFINE = [
    ((5, 7), (-1,), (7,)), ((5, 1), (-1,), (1,)), ((3, 4, 5), (-2, -1), (4, 5)),
    ((700, 3), (1,), (3,)), ((2, 9000), (1,), (9000,)), ((6,), (0,), (6,)),
]  # fmt: skip
CHANNELS = [
    ((4, 3, 5), (0, 2), (3, 1)), ((4, 3), (0,), (3,)), ((300, 3), (0,), (3,)),
    ((2, 3, 4, 5), (0, 2, 3), (3, 1, 1)), ((4, 3, 5), (2,), (3, 1)),
    ((2, 3, 4, 2), (2, 3), (3, 1, 1)),
    ((2, 2, 3, 5), (2, 3), (2, 3, 1)), ((2, 2, 3), (2,), (2, 3)), ((2, 1, 3, 5), (2, 3), (1, 3, 1)),
    ((2, 3, 1, 5), (2, 3), (3, 1, 1)), ((1, 2, 5000), (0, 2), (2, 1)), ((4, 1, 5), (0, 2), (1, 1)),
]  # fmt: skip


def made(shape, vector, dtype):
    rng = np.random.default_rng(0)
    arrays = (
        rng.standard_normal(shape) + 3,
        rng.standard_normal(vector),
        rng.standard_normal(vector),
    )
    return [a.astype(dtype) for a in arrays], rng.standard_normal(shape).astype(dtype)


def close(found, expected, tolerance):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(abs(b).max(), 1))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-13)])
@pytest.mark.parametrize(("shape", "axes", "vector"), AFFINE + CHANNELS, ids=str)
def test_kernels_equal_the_formula_in_float64(shape, axes, vector, dtype, tolerance, monkeypatch):
    (x, w, b), g = made(shape, vector, dtype)
    wide = [a.astype("float64") for a in (x, w, b)]
    expected, expected_back = normalization.standardize_pair(PLAIN, *wide, axes, 1e-5)
    monkeypatch.setattr(normalization, "standardize_pair", None)  # it may not be asked
    y, back = FAST.standardize_pair(x, w, b, axes, 1e-5)
    assert y.dtype == dtype
    close([y, *back(g)], [expected, *expected_back(g.astype("float64"))], tolerance)


@pytest.mark.parametrize(("shape", "axes", "vector"), AFFINE, ids=str)
def test_rms_norm(shape, axes, vector, monkeypatch):
    (x, w, _), g = made(shape, vector, "float64")
    expected, expected_back = normalization.rms_pair(PLAIN, x, w, axes, 1e-5)
    without, without_back = normalization.rms_pair(PLAIN, x, None, axes, 1e-5)
    monkeypatch.setattr(normalization, "rms_pair", None)
    y, back = FAST.rms_pair(x, w, axes, 1e-5)
    close([y, *back(g)], [expected, *expected_back(g)], 1e-13)
    y, back = FAST.rms_pair(x, None, axes, 1e-5)
    dx, nothing = back(g)
    assert nothing is None
    close([y, dx], [without, without_back(g)[0]], 1e-13)


@pytest.mark.parametrize("given", ["weight", "bias", "neither", "known"])
@pytest.mark.parametrize("axes", [(0, 2), (2,), (1, 2)])
def test_what_may_be_missing(given, axes):
    (x, w, b), g = made((4, 3, 5), (3, 1), "float64")
    w, b = (w if given == "weight" else None), (b if given == "bias" else None)
    known = PLAIN.moments(x, axes) if given == "known" else None
    y, back = FAST.standardize_pair(x, w, b, axes, 1e-5, known)
    expected, expected_back = PLAIN.standardize_pair(x, w, b, axes, 1e-5, known)
    found, right = [y, *back(g)], [expected, *expected_back(g)]
    assert [a is None for a in found] == [a is None for a in right]
    close([a for a in found if a is not None], [a for a in right if a is not None], 1e-13)


MOMENTS = [
    ((4, 3, 5), (0, 2)), ((4, 3, 5), (2,)), ((300, 3), (0,)), ((4, 3, 5), (1,)), ((0, 3), (0,)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "axes"), MOMENTS, ids=str)
def test_moments(shape, axes):
    x = np.random.default_rng(0).standard_normal(shape) + 100
    close(FAST.moments(x, axes), PLAIN.moments(x, axes), 1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_given_scales(shape, monkeypatch):
    rng = np.random.default_rng(0)
    x, scale, shift, g = (rng.standard_normal(s) for s in (shape, 3, 3, shape))
    expected, expected_back = normalization.affine_pair(PLAIN, x, scale, shift)
    monkeypatch.setattr(normalization, "affine_pair", None)
    y, back = FAST.affine_pair(x, scale, shift)
    close([y, *back(g)], [expected, *expected_back(g)], 1e-13)


LEFT = {
    "float16": (((4, 6), (1,)), "float16"),
    "integers of axes between": (((4, 6, 2), (1,)), "float64"),
    "nothing": (((0, 6), (1,)), "float64"),
    "other byte order": (((4, 6), (1,)), ">f8"),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_the_formula(name, monkeypatch):
    (shape, axes), dtype = LEFT[name]
    monkeypatch.setattr(row_norms, "forward", None)  # a kernel would fail
    monkeypatch.setattr(channel_norms, "moments", None)
    x = np.arange(float(np.prod(shape))).reshape(shape).astype(dtype)
    y, _ = FAST.standardize_pair(x, None, None, axes, 1e-5)
    expected, _ = PLAIN.standardize_pair(x.astype("float64"), None, None, axes, 1e-5)
    np.testing.assert_allclose(y, expected, rtol=0, atol=2e-3 if name == "float16" else 1e-12)


@pytest.mark.parametrize("vector", [(6, 1), (4, 1, 1), (4, 1, 5), (1, 4, 6, 5)])
def test_weights_of_strange_shapes(vector):
    """Some have a kernel, some have none."""
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 4, 6, 5)), rng.standard_normal((2, 4, 6, 5))
    for axes in ((1, 2, 3), (2, 3), (3,)):
        w = rng.standard_normal(vector)
        y, back = FAST.standardize_pair(x, w, w, axes, 1e-5)
        expected, expected_back = PLAIN.standardize_pair(x, w, w, axes, 1e-5)
        close([y, *back(g)], [expected, *expected_back(g)], 1e-12)


def test_strided_and_read_only_arrays():
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((3, 4, 5)), rng.standard_normal((5, 4, 3)).T
    w = np.broadcast_to(2.0, (4, 1))
    x.flags.writeable = False
    for axes in ((0, 2), (2,)):
        y, back = FAST.standardize_pair(x, w, w, axes, 1e-5)
        expected, expected_back = PLAIN.standardize_pair(x, w, w, axes, 1e-5)
        close([y, *back(g)], [expected, *expected_back(g)], 1e-12)


@pytest.mark.parametrize("axes", [(1,), (0,)])
def test_long_float32_sums_keep_their_digits(axes):
    shape = (2, 300_000) if axes == (1,) else (300_000, 2)
    x = np.full(shape, 0.1, "float32")
    x[..., :1] += np.float32(0.001)
    mean, variance = FAST.moments(x, axes)
    right = (
        x.astype("float64").mean(axes, keepdims=True),
        x.astype("float64").var(axes, keepdims=True),
    )
    # One sum after the other would be off by 1e-3; how many stand side by side is the compiler's.
    np.testing.assert_allclose(mean, right[0], rtol=4e-6)
    np.testing.assert_allclose(variance, right[1], rtol=1e-4, atol=1e-13)
    g = np.ones(shape, "float32")
    w = np.ones(shape[1] if axes == (1,) else 2, "float32")
    _, back = FAST.standardize_pair(x, w, w, axes, 1e-5)
    np.testing.assert_allclose(back(g)[2], shape[0], rtol=4e-6)


def test_nan_stays_in_its_row():
    x = np.ones((3, 4), "float32")
    x[1, 2] = np.nan
    y, _ = FAST.standardize_pair(x, None, None, (1,), 1e-5)
    assert np.isnan(y[1]).all()
    assert not y[[0, 2]].any()


def test_bits_do_not_depend_on_the_parts(monkeypatch):
    """The sums are those of fixed blocks, whoever adds them up."""
    (x, w, b), g = made((1000, 33), (33,), "float32")
    found = []
    for part in (row_norms.PART, 1 << 30):
        monkeypatch.setattr(row_norms, "PART", part)
        y, mean, rate = row_norms.forward(x, w, b, True, 1e-5)
        found.append([y, *row_norms.backward(g, x, mean, rate, w, True)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_statistics_of_some_stretches():
    x = np.arange(24.0).reshape(2, 4, 3)
    mean, variance = channel_norms.moments(x, Layout(4, 2, 2))
    np.testing.assert_allclose(mean, x.reshape(4, 6).mean(1))
    np.testing.assert_allclose(variance, x.reshape(4, 6).var(1))


@pytest.mark.parametrize(
    ("shape", "axes", "vector"), [AFFINE[0], CHANNELS[0], CHANNELS[1]], ids=str
)
def test_gradients_of_another_shape_are_refused(shape, axes, vector):
    (x, w, b), g = made(shape, vector, "float64")
    _, back = FAST.standardize_pair(x, w, b, axes, 1e-5)
    with pytest.raises(ValueError, match="broadcast"):
        back(g[:-1])
    assert back(g.astype("float32"))[0].dtype == "float64"


def test_statistics_and_scales_of_other_lengths_never_reach_a_kernel(monkeypatch):
    monkeypatch.setattr(
        channel_norms, "normalize", lambda *_: pytest.fail("a kernel was asked for")
    )
    x, few = np.ones((4, 3, 5)), np.ones((1, 2, 1))
    with pytest.raises(ValueError, match="broadcast"):  # NumPy's own
        FAST.standardize_pair(x, None, None, (0, 2), 1e-5, (few, few))
    with pytest.raises(ValueError, match="broadcast"):
        FAST.affine_pair(x, np.ones(2), np.ones(2))
