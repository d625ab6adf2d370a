"""Every operation in the table: values, derivatives of two orders, layouts, shapes, dtypes."""

import importlib
import pkgutil

import numpy as np
import pytest
from each import each
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from op_rows.rows import Row
from ops_table import ELEMENTWISE, NO_GRADIENT, OPS

import tinygrad_opt as tg
from tinygrad_opt import autograd, functions, ops

every_row = pytest.mark.parametrize("row", OPS, ids=lambda row: row.name)
binary_rows = [row for row in ELEMENTWISE if row.arity == 2]


def leaves(arrays, dtype="float64"):
    return [tg.tensor(np.asarray(x, dtype), requires_grad=True) for x in arrays]


def weight(y, dtype="float64"):
    """A fixed cotangent of the shape of y."""
    return np.asarray(np.random.default_rng(7).standard_normal(tuple(y.shape)), dtype)


def pulled_back(row, tensors):
    """The value of the row at `tensors`, and the gradients there of a weighted sum."""
    y = row.call(tg, *tensors)
    y.backward(tg.tensor(weight(y, y.dtype)))
    return y.array, [x.grad.array for x in tensors]


# The table ----------------------------------------------------------------------------------------


def public_names():
    """All functions of `ops` and `functions`, and the operations that a file of `ops` hides.

    By the names they were defined with: aliases need no rows of their own.
    """
    found = list(functions.BARE.values())
    modules = [ops, *(importlib.import_module(i.name) for i in pkgutil.iter_modules(
        ops.__path__, ops.__name__ + "."))]  # fmt: skip
    for module in modules:
        found += [
            f for name, f in vars(module).items()
            if (hasattr(f, "pair") or module is ops)
            and getattr(f, "__module__", "").startswith(ops.__name__)
            and callable(f) and not isinstance(f, type) and not name.startswith("__")
            and (hasattr(f, "pair") or not name.startswith("_"))
        ]  # fmt: skip
    return {f.__name__.lstrip("_") for f in found}


def test_table_holds_every_differentiable_operation():
    assert public_names() == {row.covers for row in OPS} | NO_GRADIENT


def test_rows_have_different_names():
    assert len({row.name for row in OPS}) == len(OPS)


def test_names_without_gradient_record_nothing():
    x = tg.tensor([0.6, 1.4], requires_grad=True)
    for name in ("isnan", "isinf", "isfinite", "ones_like"):
        assert not getattr(ops, name)(x).requires_grad, name
    for compare in (tg.eq, tg.ne, tg.lt, tg.le, tg.gt, tg.ge):
        assert not compare(x, x).requires_grad


# Values and derivatives ---------------------------------------------------------------------------


@every_row
@each("dtype", ["float32", "float64"])
def test_forward_equals_numpy(row, dtype):
    inputs = [np.asarray(x, dtype) for x in row.inputs()]
    y = row.call(tg, *map(tg.tensor, inputs))
    expected = row.ref(*[x.astype("float64") for x in inputs])
    assert y.dtype == dtype
    assert y.shape == np.shape(expected)
    tolerance = 16 * np.finfo(dtype).eps * max(1, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(y.array, expected, rtol=0, atol=tolerance)


@every_row
def test_gradcheck(row):
    assert autograd.gradcheck(lambda *xs: row.call(tg, *xs), leaves(row.inputs()))


@pytest.mark.parametrize("row", [row for row in OPS if row.second], ids=lambda row: row.name)
def test_gradgradcheck(row):
    assert autograd.gradgradcheck(lambda *xs: row.call(tg, *xs), leaves(row.inputs()))


@every_row
@each("dtype", ["float32", "float64"])
def test_gradients_have_the_shape_and_dtype_of_their_inputs(row, dtype):
    tensors = leaves(row.inputs(), dtype)
    pulled_back(row, tensors)
    for x in tensors:
        assert x.grad.shape == x.shape
        assert x.grad.dtype == x.dtype == dtype
        assert isinstance(x.grad.array, np.ndarray)


@every_row
def test_create_graph_gives_the_same_gradients(row):
    tensors = leaves(row.inputs())
    _, gradients = pulled_back(row, tensors)
    y = row.call(tg, *tensors)
    recorded = autograd.grad(y, tensors, tg.tensor(weight(y)), create_graph=True)
    for g, expected in zip(recorded, gradients, strict=True):
        np.testing.assert_allclose(g.array, expected, rtol=1e-13, atol=1e-14)


@every_row
def test_inputs_are_not_written_to(row):
    arrays = row.inputs()
    tensors = leaves(arrays)
    for x in tensors:
        x.array.flags.writeable = False
    pulled_back(row, tensors)


@every_row
def test_constant_inputs_stop_recording(row):
    y = row.call(tg, *map(tg.tensor, row.inputs()))
    assert not y.requires_grad
    assert y.grad_fn is None


# Layouts and shapes -------------------------------------------------------------------------------


def every_second(x):
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan)
    wide[..., ::2] = x
    return wide[..., ::2]


LAYOUTS = {
    "column-major": np.asfortranarray,
    "every second element": every_second,
    "negative stride": lambda x: x[::-1].copy()[::-1],
}


@every_row
@each("layout", LAYOUTS)
def test_layout_in_memory_does_not_matter(row, layout):
    arrays = row.inputs()
    y, gradients = pulled_back(row, leaves(arrays))
    strange = [tg.from_numpy(layout(x) if x.ndim else x).requires_grad_() for x in arrays]
    y2, gradients2 = pulled_back(row, strange)
    np.testing.assert_allclose(y2, y, rtol=1e-13, atol=1e-14)
    for g2, g in zip(gradients2, gradients, strict=True):
        np.testing.assert_allclose(g2, g, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("row", ELEMENTWISE, ids=lambda row: row.name)
@each("shape", [(), (1,), (0,), (1, 1), (2, 0, 3), (2, 1, 3)])
def test_elementwise_shapes(row, shape):
    arrays = row.sample(np.random.default_rng(0), *[shape] * row.arity)
    y, gradients = pulled_back(row, leaves(arrays))
    assert y.shape == shape
    np.testing.assert_allclose(y, row.ref(*arrays), rtol=1e-13)
    assert all(g.shape == shape for g in gradients)


BROADCASTS = [
    ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((2, 3), ()), ((), (2, 3)),
    ((4, 1, 3), (2, 1)), ((1,), ()), ((0, 3), (3,)), ((1,), (0,)), ((1, 1), (2,)),
]  # fmt: skip


@pytest.mark.parametrize("row", binary_rows, ids=lambda row: row.name)
@each("shapes", BROADCASTS)
def test_broadcasting(row, shapes):
    arrays = row.sample(np.random.default_rng(0), *shapes)
    y, gradients = pulled_back(row, leaves(arrays))
    np.testing.assert_allclose(y, row.ref(*arrays), rtol=1e-13)
    # The gradient of a broadcast input is that of the full one, summed over what it was spread to.
    full = [np.broadcast_to(x, y.shape).copy() for x in arrays]
    _, wide = pulled_back(row, leaves(full))
    for g, w, x in zip(gradients, wide, arrays, strict=True):
        np.testing.assert_allclose(g, summed_to(w, x.shape), rtol=1e-12, atol=1e-13)


def summed_to(g, shape):
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


@pytest.mark.parametrize("row", binary_rows, ids=lambda row: row.name)
def test_broadcast_gradcheck(row):
    arrays = row.sample(np.random.default_rng(1), (2, 1, 3), (2, 1))
    assert autograd.gradcheck(lambda x, y: row.call(tg, x, y), leaves(arrays))
    assert autograd.gradgradcheck(lambda x, y: row.call(tg, x, y), leaves(arrays))


def small_arrays(shape):
    return hnp.arrays("float64", shape, elements=st.floats(0.25, 4, width=16))


ARITHMETIC = {
    "add": (np.add, lambda x, y: (1 + 0 * x * y, 1 + 0 * x * y)),
    "sub": (np.subtract, lambda x, y: (1 + 0 * x * y, -1 + 0 * x * y)),
    "mul": (np.multiply, lambda x, y: (y + 0 * x, x + 0 * y)),
    "div": (np.divide, lambda x, y: (1 / y + 0 * x, -x / y**2)),
}


@settings(deadline=None, max_examples=40)
@given(data=st.data(), shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4))
@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_broadcasts_as_numpy(name, data, shapes):
    compute, derivatives = ARITHMETIC[name]
    arrays = [data.draw(small_arrays(shape)) for shape in shapes.input_shapes]
    x, y = leaves(arrays)
    z = getattr(tg, name)(x, y)
    np.testing.assert_array_equal(z.array, compute(*arrays), strict=True)
    z.sum().backward()
    for leaf, full in zip((x, y), derivatives(*arrays), strict=True):
        np.testing.assert_allclose(leaf.grad.array, summed_to(full, leaf.shape), rtol=1e-12)


@st.composite
def arrays_and_axes(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
    axis = st.integers(-len(shape), len(shape) - 1)
    axes = hnp.valid_tuple_axes(len(shape), min_size=1)
    return draw(small_arrays(shape)), draw(st.none() | axis | axes), draw(st.booleans())


@settings(deadline=None, max_examples=60)
@given(arrays_and_axes())
@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin"])
def test_reductions_as_numpy(name, drawn):
    array, axis, keepdim = drawn
    (x,) = leaves([array])
    y = getattr(tg, name)(x, axis, keepdim)
    expected = getattr(np, name)(array, axis=axis, keepdims=keepdim)
    np.testing.assert_allclose(y.array, expected, rtol=1e-13)
    assert y.shape == np.shape(expected)
    w = weight(y)
    y.backward(tg.tensor(w))
    wide = np.broadcast_to(expected_kept(w, array, axis), array.shape)
    if name == "sum":
        np.testing.assert_array_equal(x.grad.array, wide)
    elif name == "mean":
        np.testing.assert_allclose(x.grad.array, wide * (w.size / array.size), rtol=1e-12)
    else:  # the extremes share out what arrives, in equal parts
        best = array == expected_kept(expected, array, axis)
        share = wide * best / best.sum(axis=axis, keepdims=True)
        np.testing.assert_allclose(x.grad.array, share, rtol=1e-12)


def expected_kept(y, array, axis):
    """y, a reduction of the array over `axis`, with the axes that are gone as length 1."""
    return np.reshape(y, array.sum(axis=axis, keepdims=True).shape)


# Conventions at kinks, and extremes ---------------------------------------------------------------


def gradient_at(f, *values):
    tensors = [tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in values]
    f(*tensors).sum().backward()
    return [x.grad.tolist() for x in tensors]


def test_kinks_follow_the_stated_conventions():
    assert gradient_at(tg.relu, [0.0]) == [[0.0]]
    assert gradient_at(tg.abs, [0.0]) == [[0.0]]
    assert gradient_at(tg.maximum, [1.0], [1.0]) == [[0.5], [0.5]]
    assert gradient_at(tg.minimum, [1.0], [1.0]) == [[0.5], [0.5]]
    assert gradient_at(lambda x: tg.clip(x, -1, 1), [-1.0, 1.0, 1.5]) == [[1.0, 1.0, 0.0]]
    assert gradient_at(lambda x: x.max(), [2.0, 2.0, 1.0]) == [[0.5, 0.5, 0.0]]
    assert gradient_at(lambda x: tg.amin(x, 0), [2.0, 2.0, 3.0]) == [[0.5, 0.5, 0.0]]
    assert gradient_at(lambda x: x.max(0).values, [2.0, 2.0, 1.0]) == [[1.0, 0.0, 0.0]]
    assert gradient_at(tg.norm, [0.0, 0.0]) == [[0.0, 0.0]]
    assert gradient_at(lambda x, y: x**y, [0.0, 0.0], [2.0, 3.0]) == [[0.0, 0.0], [0.0, 0.0]]
    assert gradient_at(lambda x: x**0, [0.0]) == [[0.0]]


def test_large_values_do_not_overflow():
    x = tg.tensor([-1000.0, 0.0, 1000.0], requires_grad=True)
    for f, expected in [
        (tg.sigmoid, [0, 0.5, 1]),
        (tg.tanh, [-1, 0, 1]),
        (lambda x: tg.softmax(x, 0), [0, 0, 1]),
        (lambda x: tg.log_softmax(x, 0), [-2000, -1000, 0]),
        (ops.softplus, [0, np.log(2), 1000]),
        (ops.gelu, [0, 0, 1000]),
        (ops.silu, [0, 0, 1000]),
    ]:
        y = f(x)
        np.testing.assert_allclose(y.array, expected, rtol=1e-6, atol=1e-6)
        (g,) = autograd.grad(y.sum(), x)
        assert np.isfinite(g.array).all()
    assert tg.logsumexp(x, 0).item() == 1000


def test_nan_is_passed_on():
    x = tg.tensor([np.nan, 1.0])
    for f in (tg.relu, tg.tanh, lambda x: tg.clip(x, 0, 1), lambda x: tg.maximum(x, x), tg.abs):
        assert np.isnan(f(x).array[0]), f


def test_sums_accumulate_no_large_error():
    assert tg.full((100_000,), 0.1).mean().item() == pytest.approx(0.1, rel=1e-6)


# PyTorch ------------------------------------------------------------------------------------------


def theirs(torch, row, arrays, dtype):
    """PyTorch's value, gradients, and second derivatives for a fixed cotangent."""
    call = row.peer or row.call
    tensors = [torch.tensor(np.asarray(x, dtype), requires_grad=True) for x in arrays]
    y = call(torch, *tensors)
    w = torch.tensor(weight(y, dtype))
    gradients = torch.autograd.grad(y, tensors, w, create_graph=True)
    return y, gradients, second_derivatives(torch.autograd.grad, torch, gradients, tensors, dtype)


def second_derivatives(grad, module, gradients, tensors, dtype):
    smooth = [g for g in gradients if g.requires_grad]
    if not smooth:
        return [0 * x for x in tensors]
    weights = [module.tensor(weight(g, dtype)) for g in smooth]
    return grad(smooth, tensors, weights, allow_unused=True, materialize_grads=True)


@pytest.mark.peers
@every_row
@pytest.mark.parametrize(("dtype", "relative"), [("float64", 1e-12), ("float32", 4e-6)])
def test_equals_pytorch(torch, row: Row, dtype, relative):
    arrays = row.inputs()
    y, gradients, seconds = theirs(torch, row, arrays, dtype)
    tensors = leaves(arrays, dtype)
    y2 = row.call(tg, *tensors)
    gradients2 = autograd.grad(y2, tensors, tg.tensor(weight(y2, dtype)), create_graph=True)
    seconds2 = second_derivatives(autograd.grad, tg, gradients2, tensors, dtype)
    for ours, peer in zip([y2, *gradients2, *seconds2], [y, *gradients, *seconds], strict=True):
        expected = peer.detach().numpy(force=True)
        assert ours.dtype == dtype
        scale = max(1, np.abs(expected).max(initial=0))
        np.testing.assert_allclose(
            ours.detach().numpy(),
            expected,
            rtol=0,
            atol=max(relative, row.rough) * scale,
            strict=True,
        )
