"""The kernels of attention: shapes, layouts, masks, what is left to the formula."""

import itertools

import numpy as np
import pytest

from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.kernels import blas
from tinygrad_opt.kernels.fused import attention, layouts

PLAIN, FAST = Namespace(np), xp(np.zeros(1))
needs_openblas = pytest.mark.skipif(not blas.is_available(), reason="NumPy without OpenBLAS")


def normal(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def inputs(batch=(2, 3), length=5, keys=6, width=4, out=3, dtype="float64"):
    q, k = (
        normal(*batch, length, width, dtype=dtype),
        normal(*batch, keys, width, dtype=dtype, seed=1),
    )
    return q, k, normal(*batch, keys, out, dtype=dtype, seed=2)


def compare(arrays, tolerance=1e-13, scale=0.5, causal=False):
    """Value and gradients of the kernels against the formula in float64; the value."""
    y, back = FAST.attention_pair(*arrays, scale, causal)
    wide = [None if a is None else a.astype("float64") for a in arrays]
    expected, expected_back = PLAIN.attention_pair(*wide, scale, causal)
    g = normal(*y.shape, dtype=y.dtype, seed=3)
    found, right = [y, *back(g)], [expected, *expected_back(g.astype("float64"))]
    for a, b in zip(found, right, strict=True):
        assert (a.shape, a.dtype) == (b.shape, arrays[0].dtype)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(abs(b).max(), 1))
    return y


@pytest.fixture
def only_kernels(monkeypatch):
    """The formula is refused to the fast namespace, not to the plain one."""
    if not blas.is_available():
        pytest.skip("NumPy without OpenBLAS")
    monkeypatch.setattr(attention, "attention_pair", None)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 5e-6)])
@pytest.mark.parametrize(("length", "keys"), [(1, 1), (5, 6), (7, 3), (130, 140), (1, 40), (70, 2)])
def test_kernels_equal_the_formula(length, keys, dtype, tolerance, causal, only_kernels):
    arrays = inputs(length=length, keys=keys, dtype=dtype)
    compare((*arrays, None, None), tolerance, causal=causal)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (2, 1, 3), (1, 1)], ids=str)
def test_leading_axes(batch, only_kernels):
    compare((*inputs(batch), None, None))
    compare((*inputs(batch), normal(5, 6), normal(5, 6)))


MASKS = [
    (5, 6),
    (1, 6),
    (5, 1),
    (1, 1),
    (3, 5, 6),
    (3, 1, 6),
    (2, 1, 1, 6),
    (2, 3, 5, 6),
    (2, 1, 5, 6),
]


@pytest.mark.parametrize("shape", MASKS, ids=str)
def test_masks_and_factors_broadcast(shape, only_kernels):
    mask, factor = normal(*shape), normal(*shape, seed=4)
    arrays = inputs()
    compare((*arrays, mask, None))
    compare((*arrays, None, factor))
    compare((*arrays, mask, factor))


def test_a_mask_of_more_axes_than_the_scores(only_kernels):
    q, k, v = inputs((3,))
    compare((q, k, v, normal(2, 1, 5, 6), None))


def test_masks_of_nested_samples(only_kernels):
    arrays = inputs((2, 2, 3))
    compare((*arrays, normal(2, 1, 1, 1, 6), None))
    compare((*arrays, normal(1, 1, 1, 5, 6), None))


def test_shared_keys(only_kernels):
    q, k, v = inputs((2, 3))
    compare((q, k[:1], v[:, :1], None, None))
    compare((q[:1, :1], k, v, None, None))


def test_views_are_read_where_they_lie(only_kernels):
    whole = normal(2, 5, 3, 3, 4)  # samples, places, (query, key, value), heads, features
    q, k, v = whole.transpose(2, 0, 3, 1, 4)
    y = compare((q, k, v, None, None), causal=True)
    assert y.transpose(0, 2, 1, 3).flags.c_contiguous  # laid out as the query is
    for x in (q, k, v):
        assert attention._heads(x, (2, 3)) is x


def test_one_number_a_query_and_several_a_value(only_kernels):
    """Each axis of such a query may be taken for the last one; the result's is that of features."""
    q, k, v = (normal(2, 40, 3, width).transpose(0, 2, 1, 3) for width in (1, 1, 16))
    compare((q, k, v, None, None), causal=True)


def test_strange_layouts(only_kernels):
    q, k, v = inputs()
    turned = np.asfortranarray(k)
    backwards = v[..., ::-1]
    q.flags.writeable = False
    compare((q, turned, backwards, np.broadcast_to(0.5, (5, 6)), None))
    compare((np.broadcast_to(q[:, :, :1], q.shape), k, v[:, :, ::-1], None, None))


def test_hidden_keys_and_large_scores(only_kernels):
    q, k, v = inputs(dtype="float32")
    mask = np.zeros((5, 6), "float32")
    mask[:, 2:] = -np.inf
    k[..., 1, :] = 1e4
    y, back = FAST.attention_pair(100 * q, k, v, mask, None, 1.0, False)
    assert np.isfinite(y).all()
    dq, dk, dv = back(np.ones_like(y))
    assert not dk[:, :, 2:].any()
    assert not dv[:, :, 2:].any()
    assert np.isfinite(dq).all()


def test_a_query_without_keys_is_nan_as_in_the_formula(only_kernels):
    q, k, v = inputs()
    mask = np.zeros((5, 6))
    mask[2] = -np.inf
    y, _ = FAST.attention_pair(q, k, v, mask, None, 1.0, False)
    assert np.isnan(y[:, :, 2]).all()
    assert np.isfinite(np.delete(y, 2, axis=2)).all()


def test_nan_stays_with_its_query(only_kernels):
    q, k, v = inputs()
    q[0, 0, 1, 0] = np.nan
    y, _ = FAST.attention_pair(q, k, v, None, None, 1.0, True)
    assert np.isnan(y[0, 0, 1]).all()
    y[0, 0, 1] = 0
    assert np.isfinite(y).all()


@needs_openblas
def test_memory_is_of_the_order_of_the_inputs():
    """Nothing of queries times keys is kept for the way back."""
    q, k, v = inputs((1, 1), length=600, keys=700)
    _, back = FAST.attention_pair(q, k, v, None, None, 1.0, False)
    kept = [a for cell in back.__closure__ for a in arrays_in(cell.cell_contents)]
    assert len(kept) > 3
    assert max(a.size for a in kept) <= 700 * 4


def arrays_in(value):
    if isinstance(value, np.ndarray):
        return [value]
    return [a for v in value for a in arrays_in(v)] if isinstance(value, list | tuple) else []


@needs_openblas
@pytest.mark.parametrize("rows", [1, 3, 64])
def test_sizes_of_blocks_do_not_matter(rows, monkeypatch):
    for name in ("ROWS", "CAUSAL_ROWS"):
        monkeypatch.setattr(attention, name, rows)
    for causal in (False, True):
        compare((*inputs(length=40, keys=50), None, None), causal=causal)


LEFT = {
    "float16": lambda q, k, v: [x.astype("float16") for x in (q, k, v)] + [None, None],
    "other byte order": lambda q, k, v: [x.astype(">f8") for x in (q, k, v)] + [None, None],
    "no features": lambda q, k, v: [q[..., :0], k[..., :0], v, None, None],
    "no queries": lambda q, k, v: [q[:, :, :0], k, v, None, None],
    "no samples": lambda q, k, v: [q[:0], k[:0], v[:0], None, None],
    "mask of another type": lambda q, k, v: [q, k, v, np.zeros((5, 6), "float32"), None],
    "more rows than queries": lambda q, k, v: [q[:, :, :1], k, v, normal(5, 6), None],
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_the_formula(name, monkeypatch):
    arrays = LEFT[name](*inputs())
    expected = PLAIN.attention_pair(*arrays, 0.5, False)[0]
    monkeypatch.setattr(attention, "_kernel", None)  # it may not be asked
    y = FAST.attention_pair(*arrays, 0.5, False)[0]
    np.testing.assert_allclose(y, expected, rtol=2e-3 if name == "float16" else 1e-13)


def test_without_openblas_the_formula_does_it(monkeypatch):
    arrays = *inputs(), None, None
    monkeypatch.setattr(blas, "is_available", lambda: False)
    monkeypatch.setattr(attention, "_kernel", None)
    np.testing.assert_allclose(
        FAST.attention_pair(*arrays, 0.5, True)[0],
        PLAIN.attention_pair(*arrays, 0.5, True)[0],
        rtol=1e-13,
    )


@pytest.mark.parametrize("wrong", ["width", "keys", "samples", "mask"])
def test_shapes_that_do_not_go_together_never_reach_a_kernel(wrong, monkeypatch):
    monkeypatch.setattr(attention, "_kernel", lambda *_: pytest.fail("a kernel was asked for"))
    q, k, v = inputs()
    k = {"width": k[..., :3], "samples": k[:, :2]}.get(wrong, k)
    v = v[:, :, :5] if wrong == "keys" else v
    mask = normal(4, 6) if wrong == "mask" else None
    with pytest.raises(ValueError, match=r"mismatch|broadcast"):  # NumPy's own
        FAST.attention_pair(q, k, v, mask, None, 1.0, False)


@needs_openblas
def test_gradients_of_another_shape_are_refused():
    y, back = FAST.attention_pair(*inputs(), None, None, 1.0, False)
    with pytest.raises(ValueError, match="broadcast"):
        back(normal(2, 3, 6, 3))
    assert back(np.ones(y.shape, "float32"))[0].dtype == y.dtype


X = np.zeros((8, 16, 192), np.float32)
HEADS = X.reshape(8, 16, 3, 4, 16).transpose(2, 0, 3, 1, 4)
FLAT = X.reshape(-1)
APART = {
    "parts of rows": (list(HEADS), True),
    "backwards": (list(HEADS[::-1]), True),
    "one after the other": (list(FLAT.reshape(3, -1)), True),
    "every third": ([FLAT[i::3] for i in range(3)], True),
    "two the same": ([HEADS[0], HEADS[0], HEADS[2]], False),
    "windows": ([FLAT[i : i + 100] for i in (0, 99, 200)], False),
    "windows of rows": ([X[:, :, i : i + 64] for i in (0, 63, 128)], False),
    "stretched": ([np.broadcast_to(x[:1], x.shape) for x in HEADS], False),
    "of other shapes": ([FLAT[:5], FLAT[5:11]], False),
}


@pytest.mark.parametrize(("arrays", "expected"), APART.values(), ids=APART)
def test_arrays_that_share_no_memory(arrays, expected):
    assert layouts.are_apart(arrays) == expected
    pairs = itertools.combinations(arrays, 2)
    assert not expected or not any(np.shares_memory(a, b) for a, b in pairs)


def test_gradients_lie_as_what_they_are_of():
    made = layouts.like_each(list(HEADS))
    for x, d in zip(HEADS, made, strict=True):
        assert (x.shape, x.strides, x.dtype) == (d.shape, d.strides, d.dtype)
        d[...] = 1
    assert made[0].base is made[1].base is made[2].base is not X
    assert made[0].base.all()
    assert not X.any()


OTHERS = {
    "not all": HEADS[:2],
    "small": HEADS[:, :1, :, :4].copy()[:, 0],
    "two arrays": [HEADS[0], HEADS[1], HEADS[2].copy()],
    "all the same": [HEADS[0]] * 3,
}


@pytest.mark.parametrize("arrays", OTHERS.values(), ids=OTHERS)
def test_other_gradients_have_memory_of_their_own(arrays):
    made = layouts.like_each(list(arrays))
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(made, 2))
    assert all(d.base is None for d in made)
    assert [d.shape for d in made] == [x.shape for x in arrays]
