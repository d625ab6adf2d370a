"""What holds for any shape, type and values: families of functions against NumPy and each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_opt as tg

DTYPES = ["float64", "float32", "int64", "int32", "uint8", "bool"]
shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)
some = settings(deadline=None, max_examples=20)


def elements(dtype):
    if dtype.startswith("float"):
        return st.integers(-12, 12).map(lambda n: n / 4)
    return st.booleans() if dtype == "bool" else st.integers(0, 9)


@st.composite
def arrays(draw, dtypes=tuple(DTYPES), sizes=shapes):
    dtype = draw(st.sampled_from(dtypes))
    return draw(hnp.arrays(dtype, draw(sizes), elements=elements(dtype)))


@st.composite
def arrays_and_axis(draw, dtypes=tuple(DTYPES)):
    array = draw(arrays(dtypes))
    return array, draw(st.integers(-array.ndim, array.ndim - 1))


@some
@given(arrays_and_axis(), st.booleans())
def test_sorting_orders_and_knows_where_from(drawn, descending):
    array, axis = drawn
    values, indices = tg.sort(tg.tensor(array), axis, descending)
    expected = np.sort(array, axis)
    np.testing.assert_array_equal(
        values.array, np.flip(expected, axis) if descending else expected, strict=True
    )
    np.testing.assert_array_equal(np.take_along_axis(array, indices.array, axis), values.array)
    assert indices.dtype == tg.int64


@some
@given(arrays_and_axis(), st.data())
def test_the_k_largest_are_the_first_of_the_order(drawn, data):
    array, axis = drawn
    k = data.draw(st.integers(0, array.shape[axis]))
    values, indices = tg.topk(tg.tensor(array), k, axis)
    expected = np.flip(np.sort(array, axis), axis).take(range(k), axis)
    np.testing.assert_array_equal(values.array, expected, strict=True)
    np.testing.assert_array_equal(np.take_along_axis(array, indices.array, axis), expected)
    if k:
        kth = tg.kthvalue(tg.tensor(array), k, axis).values
        np.testing.assert_array_equal(kth.array, np.sort(array, axis).take(k - 1, axis))


@some
@given(arrays_and_axis())
def test_running_totals_end_in_the_total(drawn):
    array, axis = drawn
    x = tg.tensor(array)
    for running, total in ((tg.cumsum, tg.sum), (tg.cumprod, tg.prod)):
        last = running(x, axis).select(axis, -1)
        assert last.dtype == total(x, axis).dtype
        np.testing.assert_allclose(last.array, total(x, axis).array, rtol=1e-5)
    for running, total in ((tg.cummax, tg.amax), (tg.cummin, tg.amin)):
        np.testing.assert_array_equal(
            running(x, axis).values.select(axis, -1).array, total(x, axis).array, strict=True
        )


@some
@given(arrays_and_axis(), st.data())
def test_pieces_make_the_whole(drawn, data):
    array, axis = drawn
    x, n = tg.tensor(array), array.shape[axis]
    count = data.draw(st.integers(1, n + 2))
    for pieces in (x.split(count, axis), x.chunk(count, axis), x.tensor_split(count, axis)):
        np.testing.assert_array_equal(tg.cat(pieces, axis).array, array, strict=True)
    np.testing.assert_array_equal(tg.stack(x.unbind(axis), axis).array, array, strict=True)


@some
@given(arrays_and_axis(), st.integers(-9, 9), st.integers(1, 3))
def test_moves_as_numpy(drawn, shift, times):
    array, axis = drawn
    x = tg.tensor(array)
    for ours, theirs in [
        (x.roll(shift, axis), np.roll(array, shift, axis)),
        (x.roll(shift), np.roll(array, shift)),
        (x.flip(axis), np.flip(array, axis)),
        (x.repeat_interleave(times, axis), np.repeat(array, times, axis)),
        (x.repeat(times, *(1,) * array.ndim), np.tile(array, (times, *(1,) * array.ndim))),
        (x.movedim(axis, 0), np.moveaxis(array, axis, 0)),
        (x.unsqueeze(axis).squeeze(axis), array),
    ]:
        np.testing.assert_array_equal(ours.array, theirs, strict=True)


@some
@given(arrays_and_axis(), st.data())
def test_scattering_undoes_gathering(drawn, data):
    array, axis = drawn
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    order = np.argsort(rng.random(array.shape), axis)
    x, index = tg.tensor(array), tg.tensor(order)
    there = x.gather(axis, index)
    np.testing.assert_array_equal(there.array, np.take_along_axis(array, order, axis), strict=True)
    back = tg.zeros_like(x).scatter(axis, index, there)
    np.testing.assert_array_equal(back.array, array, strict=True)
    np.testing.assert_array_equal(back.array, x.take_along_dim(index, axis).scatter(
        axis, index, there).array)  # fmt: skip


@some
@given(arrays(), st.data())
def test_masks_select_and_restore(array, data):
    mask = data.draw(hnp.arrays(bool, array.shape))
    x, m = tg.tensor(array), tg.tensor(mask)
    chosen = x.masked_select(m)
    np.testing.assert_array_equal(chosen.array, array[mask], strict=True)
    np.testing.assert_array_equal(x.masked_fill(m, 0).masked_scatter(m, chosen).array, array)
    np.testing.assert_array_equal(tg.where(m).__getitem__(0).array, np.nonzero(mask)[0])
    assert m.nonzero().tolist() == np.argwhere(mask).tolist()
    assert tg.count_nonzero(m).item() == mask.sum()


@some
@given(arrays())
def test_distinct_values(array):
    x = tg.tensor(array)
    values, inverse, counts = tg.unique(x, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(values.array, np.unique(array), strict=True)
    np.testing.assert_array_equal(values[inverse].array, array, strict=True)
    assert counts.sum().item() == array.size
    runs, inverse, counts = tg.unique_consecutive(x, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(runs[inverse].array, array, strict=True)
    np.testing.assert_array_equal(runs.repeat_interleave(counts).array, array.ravel(), strict=True)


@some
@given(arrays(("int64", "int32", "float64", "float32")), st.integers(1, 9), st.booleans())
def test_division_with_a_rest(array, divisor, negative):
    divisor = -divisor if negative else divisor
    x = tg.tensor(array)
    np.testing.assert_array_equal((x // divisor).array, array // divisor)
    np.testing.assert_array_equal((x % divisor).array, array % divisor)
    np.testing.assert_array_equal(tg.fmod(x, divisor).array, np.fmod(array, divisor))
    towards_zero = tg.div(x, divisor, rounding_mode="trunc")
    np.testing.assert_array_equal(towards_zero.array, np.trunc(array / divisor))
    assert towards_zero.dtype == x.dtype


@some
@given(arrays_and_axis(("float64",)), st.sampled_from([0, 0.25, 0.3, 0.5, 1]))
def test_quantiles_as_numpy(drawn, q):
    array, axis = drawn
    x = tg.tensor(array)
    np.testing.assert_allclose(tg.quantile(x, q, axis).array, np.quantile(array, q, axis))
    np.testing.assert_allclose(tg.nanquantile(x, q).item(), np.quantile(array, q))
    middle = np.sort(array, axis).take((array.shape[axis] - 1) // 2, axis)
    np.testing.assert_array_equal(x.median(axis).values.array, middle)


@some
@given(arrays(("float64",), st.just((6,))), st.integers(1, 6), st.integers(1, 3))
def test_windows_are_slices(array, size, step):
    x = tg.tensor(array, requires_grad=True)
    y = x.unfold(0, size, step)
    starts = range(0, 6 - size + 1, step)
    assert y.tolist() == [array[i : i + size].tolist() for i in starts]
    y.sum().backward()
    counts = np.zeros(6)
    for i in starts:
        counts[i : i + size] += 1
    assert x.grad.tolist() == counts.tolist()


@pytest.mark.peers
@some
@given(drawn=arrays_and_axis())
def test_reductions_as_pytorch(torch, drawn):
    array, axis = drawn
    for name in ("sum", "prod", "any", "all", "argmax", "count_nonzero", "cumsum", "amax"):
        if name == "argmax" and array.dtype == bool:
            continue  # refused there
        ours, theirs = (getattr(m, name)(m.tensor(array), axis) for m in (tg, torch))
        np.testing.assert_array_equal(ours.array, theirs.numpy(), strict=True, err_msg=name)
