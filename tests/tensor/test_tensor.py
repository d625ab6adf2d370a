"""The class: what a tensor is, its conversions, the container and number protocols, indexing."""

import copy
import gc
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_opt as tg
from tinygrad_opt import Tensor, autograd

# What it is ---------------------------------------------------------------------------------------


def test_attributes():
    x = tg.zeros(2, 3, requires_grad=True)
    assert x.shape == x.size() == (2, 3)
    assert (x.size(1), x.size(-2), x.shape.numel()) == (3, 2, 6)
    assert x.ndim == x.dim() == 2
    assert x.numel() == x.nelement() == 6
    assert x.element_size() == 4
    assert x.dtype == tg.float32
    assert x.device == tg.device("cpu")
    assert not x.is_cuda
    assert x.is_floating_point()
    assert not x.long().is_floating_point()
    assert x.is_leaf
    assert x.grad_fn is None
    assert not (x * 2).is_leaf
    assert x.type() == "torch.FloatTensor"
    assert x.is_contiguous()
    assert not x.T.is_contiguous()


def test_assigning_grad():
    x = tg.ones(2, requires_grad=True)
    g = tg.ones(2)
    x.grad = g
    assert x.grad is g
    x.grad = None
    assert x.grad is None
    x.grad = g
    del x.grad
    assert x.grad is None


def test_data_shares_memory_and_can_be_replaced():
    x = tg.ones(2, requires_grad=True)
    x.data[0] = 5
    assert x.tolist() == [5, 1]
    assert not x.data.requires_grad
    x.data = tg.zeros(3)
    assert x.tolist() == [0, 0, 0]
    assert x.requires_grad


def test_requires_grad_():
    x = tg.ones(2)
    assert x.requires_grad_() is x
    assert x.requires_grad
    assert not x.requires_grad_(False).requires_grad
    y = tg.ones(2, requires_grad=True) * 2
    assert y.requires_grad_().requires_grad


# Conversions --------------------------------------------------------------------------------------


def test_to():
    x = tg.ones(2)
    assert x.to(tg.float32) is x.to("cpu") is x.cpu() is x.float() is x
    for y in (x.to(tg.float64), x.to(dtype=tg.float64), x.to("cpu", tg.float64), x.double()):
        assert y.dtype == tg.float64
    assert x.to(tg.ones(1, dtype=tg.int64)).dtype == x.type_as(tg.arange(2)).dtype == tg.int64
    assert x.type(tg.int32).dtype == x.int().dtype == tg.int32
    assert x.half().dtype == tg.float16
    assert x.bool().tolist() == [True, True]


def test_numpy_shares_memory():
    x = tg.ones(2)
    x.numpy()[0] = 7
    assert x.tolist() == [7, 1]
    assert np.asarray(x) is x.array
    assert np.array(x) is not x.array
    assert np.asarray(x, dtype="float64").dtype == "float64"
    assert np.stack([x, x]).shape == (2, 2)


def test_numbers():
    x = tg.tensor([2.5])
    assert (x.item(), float(x), int(x), bool(x), math.floor(x.item())) == (2.5, 2.5, 2, True, 2)
    assert type(tg.tensor(1).item()) is int
    assert type(tg.tensor(True).item()) is bool
    assert [10, 20, 30][tg.tensor(1)] == 20
    assert list(range(5))[tg.tensor(1) : tg.tensor(3)] == [1, 2]
    assert tg.tensor([[1, 2]]).tolist() == [[1, 2]]
    assert tg.tensor(2.5).tolist() == 2.5
    assert tg.tensor(0.5, requires_grad=True).item() == 0.5


def test_clone_and_contiguous():
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x.clone()
    assert y.array is not x.array
    assert x.contiguous() is x
    z = x.T.contiguous()
    assert z.is_contiguous()
    (y.sum() + (z * z).sum()).backward()
    assert x.grad.tolist() == [[3, 5], [7, 9]]


@pytest.mark.parametrize("make", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(make):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = make(x)
    assert y.tolist() == [1, 2]
    assert y.requires_grad
    y.array[0] = 9
    assert x.tolist() == [1, 2]


def test_deepcopy_takes_the_gradient_along_and_keeps_sharing():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    first, second = copy.deepcopy([x, x])
    assert first is second
    assert first.grad.tolist() == [2, 4]
    assert first.grad is not x.grad


def test_new_tensors_like_this_one():
    x = tg.ones(2, dtype=tg.float64)
    for y in (x.new_zeros(3), x.new_zeros((3,)), x.new_tensor([0, 0, 0])):
        assert (y.dtype, y.tolist()) == (tg.float64, [0, 0, 0])


# Protocols ----------------------------------------------------------------------------------------


def test_container():
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert len(x) == 2
    rows = list(x)
    assert [row.tolist() for row in rows] == [[1, 2], [3, 4]]
    a, b = x
    (a * b).sum().backward()
    assert x.grad.tolist() == [[3, 4], [1, 2]]
    assert 3 in x
    assert tg.tensor(5.0) not in x


def test_tensors_are_keys_by_identity():
    x, y = tg.ones(2), tg.ones(2)
    assert {x: 1, y: 2}[y] == 2
    assert len({x, y, x}) == 2


def test_equality_with_what_is_no_number():
    x = tg.ones(2)
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "a") is False
    assert (x == tg.ones(2)).tolist() == [True, True]
    assert (x != 1).tolist() == [False, False]


OPERATORS = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b,
    lambda a, b: a**b, lambda a, b: a % b, lambda a, b: a // b,
    lambda a, b: a < b, lambda a, b: a <= b, lambda a, b: a > b, lambda a, b: a >= b,
    lambda a, b: a == b, lambda a, b: a != b,
]  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_take_numbers_and_arrays_on_either_side(operator):
    a, b = np.array([3.0, 5.0, 7.0]), np.array([2.0, 5.0, 4.0])
    expected = operator(a, b)
    for x, y in [(tg.tensor(a), tg.tensor(b)), (tg.tensor(a), b), (a, tg.tensor(b))]:
        z = operator(x, y)
        assert isinstance(z, Tensor)
        np.testing.assert_allclose(z.array, expected)
    for number in (2.0, 2, np.float64(2)):
        for z, w in [(operator(tg.tensor(a), number), operator(a, 2.0)),
                     (operator(number, tg.tensor(a)), operator(2.0, a))]:  # fmt: skip
            assert isinstance(z, Tensor)
            np.testing.assert_allclose(z.array, w)


def test_other_operators():
    x = tg.tensor([-7, 7])
    assert (-x).tolist() == [7, -7]
    assert (+x).tolist() == [-7, 7]
    assert abs(x).tolist() == [7, 7]
    assert (x % 4).tolist() == [1, 3]
    assert (x // 4).tolist() == [-2, 1]
    assert (9 % x).tolist() == [-5, 2]
    assert (9 // x).tolist() == [-2, 1]
    p, q = tg.tensor([True, True, False]), tg.tensor([True, False, False])
    assert (p & q).tolist() == [True, False, False]
    assert (p | q).tolist() == [True, True, False]
    assert (p ^ q).tolist() == [False, True, False]
    assert (~p).tolist() == [False, False, True]
    assert (np.array([True, True, False]) & q).tolist() == [True, False, False]
    matrix = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert (np.ones((1, 2), "float32") @ matrix).tolist() == [[4, 6]]


def test_remainder_has_the_gradient_of_a_sawtooth():
    x = tg.tensor([5.5, -5.5], dtype=tg.float64, requires_grad=True)
    (x % 2).sum().backward()
    assert (x % 2).tolist() == [1.5, 0.5]
    assert x.grad.tolist() == [1, 1]


def test_methods_that_are_not_functions():
    x = tg.arange(6.0).reshape(2, 3)
    assert x.T.shape == x.mT.shape == x.t().shape == (3, 2)
    assert x.ravel().shape == x.view(-1).shape == x.view((6,)).shape == (6,)
    assert x.view_as(tg.ones(3, 2)).shape == (3, 2)
    assert tg.ones(3).expand_as(x).shape == (2, 3)
    assert x.where(x > 2, 0.0).tolist() == [[0, 0, 0], [3, 4, 5]]


def test_views_share_memory():
    x = tg.zeros(2, 3)
    for view in (x.view(3, 2), x.T, x[0], x[:, 1:], x.unsqueeze(0), x.flatten(), x.permute(1, 0)):
        x.fill_(0)
        view.fill_(1)
        assert x.sum().item() == view.numel()


def test_tensors_die_without_the_collector():
    gc.disable()
    try:
        import weakref

        x = tg.ones(2)
        dead = weakref.ref(x)
        del x
        assert dead() is None
    finally:
        gc.enable()


# Indexing -----------------------------------------------------------------------------------------

INDICES = {
    "integer": 1,
    "negative integer": -1,
    "slice": slice(1, 3),
    "step": slice(None, None, 2),
    "empty slice": slice(2, 2),
    "ellipsis": (..., 0),
    "none": (None, 1, None),
    "integers": (1, 2, 0),
    "mixed": (0, slice(1, None), None, -1),
    "list": [2, 0, 2],
    "list, integer": ([2, 0], 1),
    "two lists": ([0, 1, 1], [2, 2, 2]),
    "lists around a slice": ([0, 1], slice(None), [1, 1]),
    "array": np.array([[0, 2], [1, 1]]),
    "mask": np.array([True, False, True]),
    "mask of all axes": np.arange(24).reshape(3, 4, 2) % 3 == 0,
    "empty list": [],
    "no axis": (),
    "NumPy integer": np.int64(2),
    "boolean list": [True, False, True],
}


def as_tensors(index):
    """The index with its arrays and lists as tensors."""
    if isinstance(index, tuple):
        return tuple(map(as_tensors, index))
    return tg.tensor(index) if isinstance(index, list | np.ndarray) and len(index) else index


@pytest.mark.parametrize("convert", [lambda index: index, as_tensors], ids=["raw", "tensors"])
@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_indexing_as_numpy(index, convert):
    array = np.random.default_rng(0).standard_normal((3, 4, 2))
    index_ = np.array(index, int) if isinstance(index, list) and not index else index
    expected = array[index_]
    x = tg.tensor(array, requires_grad=True)
    y = x[convert(index)]
    np.testing.assert_array_equal(y.array, expected, strict=True)
    weights = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(tg.tensor(weights))
    gradient = np.zeros_like(array)
    np.add.at(gradient, index_, weights)
    np.testing.assert_allclose(x.grad.array, gradient, rtol=1e-14)
    assert autograd.gradgradcheck(lambda x: x[convert(index)] * x[convert(index)], x)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), shape=hnp.array_shapes(max_dims=3, max_side=4))
def test_basic_indexing_of_any_shape(data, shape):
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    parts = index if isinstance(index, tuple) else (index,)
    backward = [isinstance(part, slice) and (part.step or 1) < 0 for part in parts]
    index = tuple(slice(None) if b else part for b, part in zip(backward, parts, strict=True))
    array = np.arange(math.prod(shape), dtype="float64").reshape(shape)
    x = tg.tensor(array, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.array, array[index])
    y.sum().backward()
    gradient = np.zeros(shape)
    gradient[index] = 1
    np.testing.assert_array_equal(x.grad.array, gradient)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), shape=hnp.array_shapes(max_dims=3, max_side=4))
def test_integer_array_indexing_of_any_shape(data, shape):
    index = data.draw(hnp.integer_array_indices(shape))
    array = np.arange(math.prod(shape), dtype="float64").reshape(shape)
    x = tg.tensor(array, requires_grad=True)
    y = x[tuple(map(tg.tensor, index))]
    np.testing.assert_array_equal(y.array, array[index])
    y.sum().backward()
    gradient = np.zeros(shape)
    np.add.at(gradient, index, 1)
    np.testing.assert_array_equal(x.grad.array, gradient)


@pytest.mark.peers
@pytest.mark.parametrize("name", INDICES)
def test_indexing_as_pytorch(torch, name):
    def run(m):
        index = INDICES[name]
        x = m.arange(24.0).reshape(3, 4, 2).requires_grad_()
        y = x[index]
        (y * y).sum().backward()
        return list(y.shape), y.tolist(), x.grad.tolist()

    assert run(tg) == run(torch)
