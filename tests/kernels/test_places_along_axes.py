"""Taking and adding up by places along an axis, on several threads, beside NumPy's indexing."""

import math

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt.arrays import places as chosen
from tinygrad_opt.kernels.fused import places, rows

LEAST, MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
FLOATS = ["float32", "float64"]
SHAPES = [(150_000,), (1200, 130), (3, 50_000), (50_000, 3), (30, 70, 80)]
CASES = [(shape, axis) for shape in SHAPES for axis in range(len(shape))]


def normal(shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def names(shape, n, seed=1):
    return np.random.default_rng(seed).integers(0, n, shape)


@pytest.fixture
def used(monkeypatch):
    """The names of the kernels' functions that ran."""
    calls = []
    for module, name in (
        (places, "gather"), (places, "pick"), (places, "add"), (places, "put"), (rows, "add"),
    ):  # fmt: skip
        run = getattr(module, name)
        label = f"{module.__name__.rpartition('.')[2]}.{name}"
        monkeypatch.setattr(
            module, name, lambda *a, run=run, label=label, **k: calls.append(label) or run(*a, **k)
        )
    return calls


def along(x, index, axis):
    """Each element's place in the flattened x."""
    return np.ravel_multi_index(
        [index if a == axis else i for a, i in enumerate(np.indices(index.shape, sparse=True))],
        x.shape,
    )


def added(g, at, shape):
    """In float64, in the order of the index, and rounded once."""
    return np.bincount(at.reshape(-1), g.reshape(-1), math.prod(shape)).reshape(shape)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), CASES, ids=str)
def test_scatter(shape, axis, dtype, used):
    """Of what is sent to one place the last counts."""
    x, index, v = normal(shape, dtype), names(shape, shape[axis]), normal(shape, dtype, 2)
    y = tg.tensor(x).scatter(axis, tg.tensor(index), tg.tensor(v)).numpy()
    expected = x.copy()
    for place, value in zip(along(x, index, axis).ravel(), v.ravel(), strict=True):
        expected.reshape(-1)[place] = value
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == dtype
    assert used == ["places.put"]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), CASES, ids=str)
def test_gather(shape, axis, dtype, used):
    x, index, g = normal(shape, dtype), names(shape, shape[axis]), normal(shape, dtype, 2)
    t = tg.tensor(x, requires_grad=True)
    y = tg.gather(t, axis, tg.tensor(index))
    np.testing.assert_array_equal(y.detach().numpy(), np.take_along_axis(x, index, axis))
    y.backward(tg.tensor(g))
    expected = added(g, along(x, index, axis), shape).astype(dtype)
    np.testing.assert_array_equal(t.grad.numpy(), expected)
    assert used == ["places.gather", "places.add"]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), CASES, ids=str)
def test_scatter_add(shape, axis, dtype, used):
    x, index, src = normal(shape, dtype), names(shape, shape[axis]), normal(shape, dtype, 2)
    s = tg.tensor(src, requires_grad=True)
    y = tg.scatter_add(tg.tensor(x), axis, tg.tensor(index), s)
    expected = x + added(src, along(x, index, axis), shape).astype(dtype)
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    y.backward(tg.tensor(x))
    np.testing.assert_array_equal(s.grad.numpy(), np.take_along_axis(x, index, axis))
    assert used == ["places.add", "places.gather"]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), CASES, ids=str)
def test_slices(shape, axis, dtype, used):
    x, g = normal(shape, dtype), normal(shape, dtype, 2)
    n = shape[axis]
    index = names(n, max(n // 3, 1))
    t, s = tg.tensor(x, requires_grad=True), tg.tensor(g, requires_grad=True)
    y = tg.index_select(t, axis, tg.tensor(index))
    np.testing.assert_array_equal(y.detach().numpy(), x.take(index, axis))
    y.backward(tg.tensor(g))
    z = tg.index_add(tg.tensor(x), axis, tg.tensor(index), s)
    z.backward(tg.tensor(x))
    np.testing.assert_array_equal(s.grad.numpy(), x.take(index, axis))
    wide = np.moveaxis(np.zeros(shape), axis, 0)
    np.add.at(wide, index, np.moveaxis(g.astype(float), axis, 0))
    sums = np.moveaxis(wide, 0, axis)
    for found, expected in ((t.grad.numpy(), sums), (z.detach().numpy(), x + sums)):
        scale = abs(expected).max()
        error = abs(found - expected).max() / scale
        assert error < (5e-6 if dtype == "float32" else 1e-13)
    way = "rows.add" if axis == 0 and len(shape) > 1 else "places.add"
    assert used == ["places.pick", way, way, "places.pick"]


@pytest.mark.parametrize("padding", [None, 3])
def test_rows_of_a_table(padding, used):
    table, index = normal((50, 30)), names((70, 80), 50)
    F, t = tg.nn.functional, tg.tensor(table, requires_grad=True)
    y = F.embedding(tg.tensor(index), t, padding_idx=padding)
    np.testing.assert_array_equal(y.detach().numpy(), table[index])
    assert "places.pick" in used
    y.sum().backward()
    count = np.bincount(index.reshape(-1), minlength=50)
    if padding is not None:
        count[padding] = 0
    np.testing.assert_allclose(t.grad.numpy(), count[:, None] * np.ones((1, 30)), rtol=1e-6)


def test_negative_names_are_from_the_end():
    x = normal((1200, 130))
    index = names(x.shape, 130) - 130 * (names(x.shape, 2, seed=3) == 0)
    y = tg.take_along_dim(tg.tensor(x), tg.tensor(index), 1)
    np.testing.assert_array_equal(y.numpy(), np.take_along_axis(x, index, 1))
    np.testing.assert_array_equal(places.add(x, index, x.shape, 1),
                                  places.add(x, index % 130, x.shape, 1))  # fmt: skip
    vector = names(1200, 1200) - 1200 * (names(1200, 2, seed=3) == 0)
    np.testing.assert_array_equal(tg.tensor(x)[vector].numpy(), x[vector])
    np.testing.assert_array_equal(tg.tensor(x.T.copy())[:, vector].numpy(), x.T[:, vector])


def test_all_to_one_place():
    ones = tg.ones(300_000, 2)
    y = tg.zeros(3, 2).index_add(0, tg.ones(300_000, dtype=tg.int64), ones * 0.1)
    np.testing.assert_allclose(y.numpy()[1], 300_000 * float(np.float32(0.1)), rtol=1e-7)
    assert not y.numpy()[[0, 2]].any()
    z = tg.zeros(2, 300_000).scatter_add(1, tg.full((2, 300_000), 7), ones.T * 0.1)
    np.testing.assert_allclose(z.numpy()[:, 7], 300_000 * float(np.float32(0.1)), rtol=1e-7)
    assert (z.numpy() != 0).sum() == 2


def test_the_same_bits_on_any_number_of_threads():
    x, found = normal((900, 700)), []
    for threads in (1, 2, 4):
        tg.set_num_threads(threads)
        try:
            found.append([])
            for axis, n in enumerate(x.shape):
                index, vector = names(x.shape, n), names(n, 40)
                found[-1] += [places.gather(x, index, axis), places.pick(x, vector, axis),
                              places.add(x, index, x.shape, axis),
                              places.add(x, vector, x.shape, axis)]  # fmt: skip
            table = np.empty_like(x)
            rows.add(table, names(900, 40), x, fresh=True)
            found[-1].append(table)
        finally:
            tg.set_num_threads(2)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("axis", [0, 1])
def test_strange_layouts(axis):
    x, g = normal((600, 500)).T, normal((500, 1200), seed=2)[:, ::2]
    index = np.asfortranarray(names(x.shape, x.shape[axis]))
    for a in (x, g, index):
        a.flags.writeable = False
    t, places_ = tg.tensor(0.0).expand(500, 600), tg.from_numpy(index.copy("K"))
    np.testing.assert_array_equal(
        tg.gather(tg.tensor(x), axis, places_).numpy(), np.take_along_axis(x, index, axis)
    )
    np.testing.assert_array_equal(
        chosen.places.add(g, index, x.shape, axis),
        added(g, along(x, index, axis), x.shape).astype("float32"),
    )
    assert not tg.gather(t, axis, places_).numpy().any()


def test_an_index_of_fewer_places_than_there_are():
    x, index = normal((400, 300)), names((350, 200), 400)
    t = tg.tensor(x, requires_grad=True)
    y = tg.gather(t, 0, tg.tensor(index))
    np.testing.assert_array_equal(
        y.detach().numpy(), np.take_along_axis(x[:, :200], index, 0)
    )  # NumPy's turn
    y.sum().backward()
    np.testing.assert_array_equal(t.grad.numpy()[:, 200:], 0)
    assert t.grad.numpy().sum() == index.size
    more = names((900, 300), 400)  # and more along the axis itself
    np.testing.assert_array_equal(
        tg.gather(tg.tensor(x), 0, tg.tensor(more)).numpy(), np.take_along_axis(x, more, 0)
    )


def test_nothing():
    x, none = tg.zeros(400, 300), tg.zeros(400, 0, dtype=tg.int64)
    assert tg.gather(x, 1, none).shape == (400, 0)
    assert tg.equal(tg.scatter_add(x, 1, none, tg.zeros(400, 0)), x)
    empty = tg.zeros(0, dtype=tg.int64)
    assert tg.index_select(x, 0, empty).shape == (0, 300)
    assert tg.equal(tg.index_add(x, 1, empty, tg.zeros(400, 0)), x)


@pytest.mark.parametrize("dtype", ["int64", "float16", "uint8", "bool", "complex64"])
def test_other_types_are_left_to_numpy(dtype, used):
    x = (10 * normal((1200, 130))).astype(dtype)
    index = names(x.shape, 130)
    y = tg.gather(tg.tensor(x), 1, tg.tensor(index)).numpy()
    np.testing.assert_array_equal(y, np.take_along_axis(x, index, 1))
    y = tg.index_select(tg.tensor(x), 0, tg.tensor(index[:, 0])).numpy()
    np.testing.assert_array_equal(y, x[index[:, 0]])
    assert not used


@pytest.mark.parametrize("wrong", [130, -131, 2**40, LEAST, MOST])
def test_places_outside_are_refused(wrong):
    x, index = normal((1200, 130)), names((1200, 130), 130)
    index[1100, 70] = wrong
    for axis in (0, 1):
        by, to = (index, x) if axis else (index.T.copy(), x.T.copy())
        for function, arguments in (
            (places.gather, (to, by, axis)),
            (places.pick, (to, index[1100], axis)),
            (places.add, (to, by, to.shape, axis)),
            (places.add, (to, index[1100], to.shape, axis)),
        ):
            with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis {axis}"):
                function(*arguments)


@pytest.mark.parametrize("wrong", [130, -1, LEAST, MOST])
def test_errors_are_those_of_small_arrays(wrong):
    x, index = tg.tensor(normal((1200, 130))), names((1200, 130), 130)
    index[1100, 70] = wrong
    for run in (
        lambda: x.gather(1, tg.tensor(index)),
        lambda: x.scatter(1, tg.tensor(index), x),
        lambda: x.scatter_add(1, tg.tensor(index), x),
        lambda: x.clone().scatter_add_(1, tg.tensor(index), x),
        lambda: x.index_add(1, tg.tensor(index[1100]), x),
    ):
        with pytest.raises(RuntimeError, match=f"index {wrong} is out of bounds for dimension 1"):
            run()
    with pytest.raises(IndexError, match="out of range"):
        x.index_select(1, tg.tensor(index[1100]))


def test_kernels_refuse_arrays_that_do_not_fit():
    x, flags = np.zeros((4, 5), "uint32"), np.zeros(1, np.int64)
    index, values = np.zeros((4, 5), np.int64), np.zeros((4, 5), "float32")
    cube, at, sums = x.reshape(2, 2, 5), index.reshape(2, 2, 5), values.reshape(2, 2, 5)
    run = places._kernels
    for name, arguments in (
        ("look_at_places", (index[0], 0, 5, 1, flags[:0])),
        ("gather_in_rows", (x[:3], index, 1, x.copy(), flags)),
        ("gather_in_rows", (x, index[:3], 1, x.copy(), flags)),
        ("gather_in_rows", (x, index[:, :4].copy(), 1, x.copy(), flags)),
        ("gather_from_rows", (cube[:1], at, 1, cube.copy(), flags)),
        ("gather_from_rows", (cube, at[:1], 1, cube.copy(), flags)),
        ("pick_slices", (cube[:1], index[0, :2], 1, cube.copy(), flags)),
        ("pick_slices", (cube, index[0, :3], 1, cube.copy(), flags)),
        ("add_in_rows", (values[:3], index[:3], 1, values.copy(), flags)),
        ("add_in_rows", (values, index[:3], 1, values.copy(), flags)),
        ("add_to_rows", (sums[:1], at[:1], 1, 1, sums.copy(), flags)),
        ("add_to_rows", (sums, at[:, :1].copy(), 1, 1, sums.copy(), flags)),
        ("add_to_rows", (sums, at[:, :, :2].copy(), 1, 1, sums.copy(), flags)),
        ("add_to_rows", (sums, at, 0, 1, sums.copy(), flags)),
        ("put_in_rows", (x[:3], index, 1, x.copy(), flags)),
        ("put_in_rows", (x, index[:3], 1, x.copy(), flags)),
        ("put_in_rows", (x, index[:, :4].copy(), 1, x.copy(), flags)),
        ("put_to_rows", (cube[:1], at, 1, cube.copy(), flags)),
        ("put_to_rows", (cube, at[:, :1].copy(), 1, cube.copy(), flags)),
        ("put_to_rows", (cube, at[:, :, :2].copy(), 1, cube.copy(), flags)),
    ):  # fmt: skip
        kind = "l" if name == "look_at_places" else "f" if name.startswith("add") else "I"
        with pytest.raises(ValueError, match="sizes differ"):
            run[name, kind](*arguments)
