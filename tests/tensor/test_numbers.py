"""Tensors where Python asks for a number, an index, a shape or a type by name: as in PyTorch.

A row is tried on PyTorch too, where that is installed.
"""

import copy
import math
import operator
import pickle

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt.core.errors import explain

ONE_ELEMENT = "only one element tensors can be converted to Python scalars"
TO_INDEX = "only integer tensors of a single element can be converted to an index"
SEVERAL_PLACES = (
    "unsupported operation: more than one element of the written-to tensor refers to a single "
    r"memory location. Please clone\(\) the tensor"
)


def expanded(m):
    return m.zeros(1).expand(3)


def assigned(m, index, value):
    x = m.zeros(2, 3)
    x[index] = value
    return x


REFUSED = {
    "float": (lambda m: float(m.ones(3)), ValueError, ONE_ELEMENT),
    "int": (lambda m: int(m.ones(3)), ValueError, ONE_ELEMENT),
    "complex": (lambda m: complex(m.ones(3)), ValueError, ONE_ELEMENT),
    "float of nothing": (lambda m: float(m.zeros(0)), ValueError, ONE_ELEMENT),
    "math": (lambda m: math.isfinite(m.ones(3)), ValueError, ONE_ELEMENT),
    "sqrt": (lambda m: math.sqrt(m.ones(2, 2)), ValueError, ONE_ELEMENT),
    "percent": (lambda m: operator.mod("%d", m.ones(3)), ValueError, ONE_ELEMENT),
    "int of NaN": (lambda m: int(m.tensor(math.nan)), ValueError, "cannot convert float NaN"),
    "int of inf": (lambda m: int(m.tensor(math.inf)), OverflowError, "cannot convert float inf"),
    "item": (lambda m: m.ones(3).item(), RuntimeError, "3 elements cannot be converted to Scalar"),
    "bool": (lambda m: bool(m.ones(3)), RuntimeError, "more than one value is ambiguous"),
    "format": (lambda m: f"{m.ones(3):.2f}", TypeError, "unsupported format string"),
    "index": (lambda m: [1, 2][m.tensor([1, 0])], TypeError, TO_INDEX),
    "index, float": (lambda m: [1, 2][m.tensor(1.0)], TypeError, TO_INDEX),
    "range": (lambda m: range(m.arange(3)), TypeError, TO_INDEX),
    "Size of floats": (lambda m: m.Size([2.5]), TypeError, r"Size\(\) takes an iterable of 'int' "),
    "Size of text": (lambda m: m.Size([2, "a"]), TypeError, r"item 1 is 'str'"),
    "Size of one": (lambda m: m.Size(2), TypeError, "'int' object is not iterable"),
    "Size and list": (
        lambda m: operator.add(m.ones(2).shape, [1]), TypeError, "concatenate|unsupported"),
    "list and Size": (
        lambda m: operator.add([1], m.ones(2).shape), TypeError, "can only concatenate list"),
    "float as index": (
        lambda m: m.ones(2)[m.tensor(1.0)], IndexError, "tensors used as indices must be long"),
    "float as index of a write": (
        lambda m: assigned(m, m.tensor(1.0), 1), IndexError, "tensors used as indices must be"),
    "row too short": (
        lambda m: assigned(m, 0, m.ones(2)), RuntimeError,
        r"expanded size of the tensor \(3\) must match the existing size \(2\) at non-singleton "
        r"dimension 0.  Target sizes: \[3\].  Tensor sizes: \[2\]"),
    "column too long": (
        lambda m: assigned(m, (slice(None), 0), m.ones(3)), RuntimeError,
        r"expanded size of the tensor \(2\) must match the existing size \(3\)"),
    "too many axes": (
        lambda m: assigned(m, 0, m.ones(2, 3)), RuntimeError, "number of sizes|more dimensions"),
    "list of rows": (
        lambda m: assigned(m, [0, 1], m.ones(3, 3)), RuntimeError,
        r"shape mismatch: value tensor of shape \[3, 3\] cannot be broadcast to indexing result of "
        r"shape \[2, 3\]"),
    "mask": (
        lambda m: assigned(m, m.ones(2, 3).bool(), m.ones(2)), RuntimeError,
        r"value tensor of shape \[2\] cannot be broadcast to indexing result of shape \[6\]"),
    "mask of rows": (
        lambda m: assigned(m, m.ones(2).bool(), m.ones(3, 3)), RuntimeError,
        r"value tensor of shape \[3, 3\] cannot be broadcast to indexing result of shape \[2, 3\]"),
    "one element": (
        lambda m: assigned(m, (0, 0), m.ones(2)), RuntimeError, "number of sizes|more dimensions"),
    "text": (lambda m: assigned(m, 0, "a"), TypeError, "can't assign a str to a"),
    "None": (lambda m: assigned(m, 0, None), TypeError, "can't assign a NoneType to a"),
    "sum too large": (
        lambda m: m.ones(3).add_(m.ones(2, 3)), RuntimeError,
        r"output with shape \[3\] doesn't match the broadcast shape \[2, 3\]"),
    "copy too large": (
        lambda m: m.ones(3).copy_(m.ones(2, 3)), RuntimeError,
        r"output with shape \[3\] doesn't match the broadcast shape \[2, 3\]"),
    "add_ to expanded": (lambda m: expanded(m).add_(1), RuntimeError, SEVERAL_PLACES),
    "recorded": (
        lambda m: m.ones(1, requires_grad=True).clone().expand(3).mul_(2), RuntimeError,
        SEVERAL_PLACES),
    "copy_ to expanded": (lambda m: expanded(m).copy_(m.ones(3)), RuntimeError, SEVERAL_PLACES),
    "uniform_": (lambda m: expanded(m).uniform_(), RuntimeError, SEVERAL_PLACES),
    "relu_": (lambda m: expanded(m).relu_(), RuntimeError, SEVERAL_PLACES),
    "slice": (
        lambda m: expanded(m).__setitem__(slice(None), 1), RuntimeError, SEVERAL_PLACES),
    "type": (lambda m: m.ones(1).type("torch.FooTensor"), ValueError, "invalid type: 'torch.Foo"),
    "type without torch": (lambda m: m.ones(1).type("LongTensor"), ValueError, "invalid type: 'L"),
}  # fmt: skip


def check_refused(m, name):
    call, kind, text = REFUSED[name]
    with pytest.raises(kind, match=text):
        call(m)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    check_refused(tg, name)


@pytest.mark.peers
@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_pytorch(name, torch):
    check_refused(torch, name)


def test_read_only_memory_that_is_not_expanded():
    array = np.zeros(2, np.float32)
    array.flags.writeable = False
    with pytest.raises(RuntimeError, match="add_: the memory of the tensor is that of a read-only"):
        tg.from_numpy(array).add_(1)


@pytest.mark.skipif(tg.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there():
    with tg.device("cpu") as device:
        assert tg.ones(1).device == device
    with tg.device("cuda:0"), pytest.raises(ImportError, match="a CUDA device was asked for"):
        tg.ones(1)
    assert tg.ones(1).device == device


# What works: the call and its value ---------------------------------------------------------------

SAME = {
    "complex": (lambda m: complex(m.tensor(1.5)), 1.5 + 0j),
    "percent": (lambda m: operator.mod("%d %.1f", (m.tensor(1.5), m.tensor([1.5]))), "1 1.5"),
    "format": (lambda m: f"{m.tensor(1.5):.2f}", "1.50"),
    "index": (lambda m: ([1, 2][m.tensor(1)], [1, 2][m.tensor([1])]), (2, 2)),
    "range": (lambda m: list(range(m.tensor(2))), [0, 1]),
    "floor": (lambda m: math.floor(m.tensor(1.5)), 1),
    "one element": (lambda m: assigned(m, (0, 0), m.ones(1)).sum().item(), 1),
    "leading axes": (lambda m: assigned(m, 0, m.ones(1, 3)).sum().item(), 3),
    "type by name": (lambda m: m.ones(1).type("torch.LongTensor").type(), "torch.LongTensor"),
    "type by class": (lambda m: m.ones(1).type(m.DoubleTensor).type(), "torch.DoubleTensor"),
    "type=": (lambda m: m.ones(1).type(dtype="torch.HalfTensor").type(), "torch.HalfTensor"),
}


@pytest.mark.parametrize("name", SAME)
def test_same(name):
    call, right = SAME[name]
    assert call(tg) == right


@pytest.mark.peers
@pytest.mark.parametrize("name", SAME)
def test_same_in_pytorch(name, torch):
    call, right = SAME[name]
    assert call(torch) == right


def test_a_recorded_write_of_one_element_to_one_place():
    x = tg.ones(1, requires_grad=True)
    for index in ((0, 0), (0, 0, ...)):
        y = tg.zeros(2, 3)
        y[index] = x
        (g,) = tg.autograd.grad(y.sum(), x)
        assert g.tolist() == [1]
    z = tg.zeros(2)
    z[1] = x
    assert tg.autograd.grad(z.sum(), x)[0].tolist() == [1]


# Shapes -------------------------------------------------------------------------------------------

SHAPES = {
    "slice": (lambda s: s[:-1], (2, 3)),
    "step": (lambda s: s[::2], (2, 4)),
    "empty": (lambda s: s[3:], ()),
    "tuple added": (lambda s: operator.add(s, (5,)), (2, 3, 4, 5)),
    "added to a tuple": (lambda s: operator.add((5,), s), (5, 2, 3, 4)),
    "both": (lambda s: s[:1] + s[1:], (2, 3, 4)),
    "times": (lambda s: s[:1] * 2, (2, 2)),
    "times, left": (lambda s: 2 * s[:1], (2, 2)),
    "again": (lambda s: type(s)(s), (2, 3, 4)),
    "pickled": (lambda s: pickle.loads(pickle.dumps(s)), (2, 3, 4)),
    "copied": (copy.deepcopy, (2, 3, 4)),
}


def check_shape(m, name):
    change, right = SHAPES[name]
    for shape in (m.ones(2, 3, 4).shape, m.ones(2, 3, 4).size(), m.Size([2, m.tensor(3), 4])):
        changed = change(shape)
        assert type(changed) is m.Size
        assert changed == right
        assert hash(changed) == hash(right)
        assert changed.numel() == math.prod(right)


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_made_of_a_shape_is_a_shape(name):
    check_shape(tg, name)


@pytest.mark.peers
@pytest.mark.parametrize("name", SHAPES)
def test_what_is_made_of_a_shape_in_pytorch(name, torch):
    check_shape(torch, name)


def test_lengths_are_ints():
    shape = tg.ones(2, 3).shape
    assert (shape[0], shape[-1], shape[tg.tensor(1)]) == (2, 3, 3)
    assert type(shape[0]) is int
    assert (tg.Size(), tg.Size([-1])) == ((), (-1,))
    assert repr(shape[:1]) == "torch.Size([2])"


def test_matplotlib_draws_tensors():
    """It asks for floats, and takes ValueError for no."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    X, Y = tg.meshgrid(tg.linspace(0, 1, 5), tg.linspace(0, 1, 4), indexing="xy")
    figure = pyplot.figure()
    try:
        pyplot.contourf(X, Y, X * Y)
        pyplot.plot(X[0], Y[:, 0].mean() + X[0])
        pyplot.hist(X.flatten())
        pyplot.scatter(X, Y, c=X)
        pyplot.imshow(X)
    finally:
        pyplot.close(figure)


def test_errors_that_say_what_the_array_library_said():
    said = explain("setitem", (tg.ones(2),), ValueError("something else"))
    assert str(said) == "setitem: something else (input shapes: (2,))"
