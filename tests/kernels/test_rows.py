"""Adding rows of a table: against NumPy's add.at, and what is left to it."""

import numpy as np
import pytest

from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.kernels.fused import rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3), (5, 0), (1, 1)])
@pytest.mark.parametrize("places", [(0,), (7,), (2, 3), ()], ids=str)
def test_sums_are_those_of_numpy(dtype, shape, places):
    rng = np.random.default_rng(0)
    index = np.asarray(rng.integers(-shape[0], shape[0], places))
    g = rng.standard_normal((*places, *shape[1:])).astype(dtype)
    expected = np.zeros(shape, "float64")
    np.add.at(expected, index, g)
    y = xp(g).scatter_add(g, shape, index)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=0, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("places", [1, 3])
def test_what_comes_often_is_added_up_in_float64(places):
    index = np.arange(300_000) % places
    table, g = np.ones((places + 1, 2), "float32"), np.full((300_000, 2), 0.1, "float32")
    rows.add(table, index - (places + 1) * (index == 0), g)  # the first place by its negative name
    right = 1 + 300_000 // places * float(g[0, 0])
    np.testing.assert_allclose(table[:places], right, rtol=1e-7)
    np.testing.assert_array_equal(table[places:], 1)


def test_strange_layouts():
    table, index = np.zeros((4, 3)), np.array([0, 9, 1, 9, 3])[::2]
    g = np.asfortranarray(np.arange(9.0).reshape(3, 3))
    g.flags.writeable = False
    assert rows.fits(table, index, g)
    rows.add(table, index, g)
    np.testing.assert_array_equal(table, [[0, 1, 2], [3, 4, 5], [0, 0, 0], [6, 7, 8]])


@pytest.mark.parametrize("wrong", [4, -5])
def test_positions_outside_are_refused(wrong):
    table = np.zeros((4, 3))
    with pytest.raises(IndexError, match="index out of range: rows 0 to 3"):
        rows.add(table, np.array([0, wrong]), np.ones((2, 3)))
    assert not table.any()


def test_what_does_not_fit():
    g, index = np.ones((2, 3)), np.array([0, 1])
    assert rows.fits(np.zeros((4, 3)), index, g)
    for table, places, values in [
        (np.zeros((4, 3), "int64"), index, g.astype("int64")),
        (np.zeros((3, 4)).T, index, g),
        (np.zeros(4), index, np.ones(2)),
        (np.zeros((4, 3)), index > 0, g),
        (np.zeros((4, 3)), index, g[:1]),
        (np.zeros((4, 3)), index, g.astype("float32")),
        (np.zeros((4, 3)), (index,), g),
    ]:
        assert not rows.fits(table, places, values)


def test_full_indices_of_every_axis():
    rng = np.random.default_rng(0)
    index = (np.arange(4)[:, None], rng.integers(-5, 5, (4, 6)))
    g = rng.standard_normal((4, 6))
    expected = np.zeros((4, 5))
    np.add.at(expected, index, g)
    np.testing.assert_allclose(xp(g).scatter_add(g, (4, 5), index), expected, rtol=1e-14)
