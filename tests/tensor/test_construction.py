"""`Tensor(...)` and the constructors by type: values, types, whose memory, subclasses, errors.

Rows hold for PyTorch too, and are tried on it where it is installed.
"""

import ast
import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import Tensor, nn
from tinygrad_opt.tensors.memory import own_attributes

PACKAGE = Path(tg.__file__).parent


def of(dtype, values=(0, 1, 2, 3)):
    return np.array(values, dtype)


# What is made: the call, its values (None: uninitialised memory), its shape and its type.
MADE = {
    "nothing": (lambda m: m.Tensor(), [], (0,), "float32"),
    "size": (lambda m: m.Tensor(2, 3), None, (2, 3), "float32"),
    "size, NumPy's": (lambda m: m.Tensor(np.int64(2), 3), None, (2, 3), "float32"),
    "size, of tensors": (lambda m: m.Tensor(m.tensor(2), 3), None, (2, 3), "float32"),
    "Size": (lambda m: m.Tensor(m.Size([2, 3])), None, (2, 3), "float32"),
    "size=": (lambda m: m.Tensor(size=(1, 2)), None, (1, 2), "float32"),
    "data=": (lambda m: m.Tensor(data=[1, 2]), [1, 2], (2,), "float32"),
    "device": (lambda m: m.Tensor([1], device="cpu"), [1], (1,), "float32"),
    "ints": (lambda m: m.Tensor([1, 2]), [1, 2], (2,), "float32"),
    "tuple": (lambda m: m.Tensor((2, 3)), [2, 3], (2,), "float32"),
    "bools": (lambda m: m.Tensor([True, False]), [1, 0], (2,), "float32"),
    "range": (lambda m: m.Tensor(range(3)), [0, 1, 2], (3,), "float32"),
    "nested": (lambda m: m.Tensor([[1, 2]]), [[1, 2]], (1, 2), "float32"),
    "empty list": (lambda m: m.Tensor([]), [], (0,), "float32"),
    "empty lists": (lambda m: m.Tensor([[]]), [[]], (1, 0), "float32"),
    "list of tensors": (lambda m: m.Tensor([m.tensor(1.0)]), [1], (1,), "float32"),
    "float64": (lambda m: m.Tensor(of("f8")), [0, 1, 2, 3], (4,), "float32"),
    "float16": (lambda m: m.Tensor(of("f2")), [0, 1, 2, 3], (4,), "float32"),
    "int64": (lambda m: m.Tensor(of("i8")), [0, 1, 2, 3], (4,), "float32"),
    "bool array": (lambda m: m.Tensor(of("?", [True])), [1], (1,), "float32"),
    "0-d array": (lambda m: m.Tensor(np.array(3.0)), 3, (), "float32"),
    "transposed": (
        lambda m: m.Tensor(np.arange(6).reshape(2, 3).T), [[0, 3], [1, 4], [2, 5]], (3, 2),
        "float32"),
    "tensor": (lambda m: m.Tensor(m.ones(2)), [1, 1], (2,), "float32"),
    "tensor of its type": (lambda m: m.Tensor(m.arange(2)), [0, 1], (2,), "int64"),
    "LongTensor": (lambda m: m.LongTensor([1.5, 2]), [1, 2], (2,), "int64"),
    "LongTensor of floats": (lambda m: m.LongTensor(of("f8")), [0, 1, 2, 3], (4,), "int64"),
    "LongTensor of a size": (lambda m: m.LongTensor(2, 1), None, (2, 1), "int64"),
    "LongTensor of a tensor": (lambda m: m.LongTensor(m.arange(2)), [0, 1], (2,), "int64"),
    "FloatTensor of nothing": (lambda m: m.FloatTensor(), [], (0,), "float32"),
    "FloatTensor": (lambda m: m.FloatTensor(of("i8")), [0, 1, 2, 3], (4,), "float32"),
    "DoubleTensor": (lambda m: m.DoubleTensor(of("f4")), [0, 1, 2, 3], (4,), "float64"),
    "HalfTensor": (lambda m: m.HalfTensor([1, 2]), [1, 2], (2,), "float16"),
    "ByteTensor": (lambda m: m.ByteTensor([-1]), [255], (1,), "uint8"),
    "BoolTensor": (lambda m: m.BoolTensor([2, 0]), [True, False], (2,), "bool"),
    "CharTensor": (lambda m: m.CharTensor([-1]), [-1], (1,), "int8"),
    "ShortTensor": (lambda m: m.ShortTensor([1.5, -2]), [1, -2], (2,), "int16"),
    "IntTensor": (lambda m: m.IntTensor(of("f8")), [0, 1, 2, 3], (4,), "int32"),
    "new": (lambda m: m.ones(1).new(of("f8")), [0, 1, 2, 3], (4,), "float32"),
    "new of ints": (lambda m: m.arange(1).new(of("f8")), [0, 1, 2, 3], (4,), "int64"),
    "new_tensor": (lambda m: m.ones(1).new_tensor(of("f8")), [0, 1, 2, 3], (4,), "float32"),
    "tensor()": (lambda m: m.tensor(of("f8")), [0, 1, 2, 3], (4,), "float64"),
    "Parameter": (lambda m: m.nn.Parameter(m.Tensor(of("f8"))), [0, 1, 2, 3], (4,), "float32"),
    "Parameter of nothing": (lambda m: m.nn.Parameter(), [], (0,), "float32"),
    "Parameter of None": (lambda m: m.nn.Parameter(None), [], (0,), "float32"),
    "Buffer of nothing": (lambda m: m.nn.Buffer(), [], (0,), "float32"),
}  # fmt: skip


def check_made(m, row):
    call, values, shape, dtype = row
    made = call(m)
    assert tuple(made.shape) == shape
    assert str(made.dtype).rpartition(".")[2] == dtype
    assert values is None or made.tolist() == values


@pytest.mark.parametrize("name", MADE)
def test_made(name):
    check_made(tg, MADE[name])


@pytest.mark.peers
@pytest.mark.parametrize("name", MADE)
def test_made_in_pytorch(name, torch):
    check_made(torch, MADE[name])


# Whose memory: the call on a float32 array and whether what it makes shows later writes to it.
SHARED = {
    "Tensor(array)": (lambda m, a: m.Tensor(a), True),
    "FloatTensor(array)": (lambda m, a: m.FloatTensor(a), True),
    "from_numpy": (lambda m, a: m.from_numpy(a), True),
    "as_tensor": (lambda m, a: m.as_tensor(a), True),
    "asarray": (lambda m, a: m.asarray(a), True),
    "Tensor(tensor)": (lambda m, a: m.Tensor(m.from_numpy(a)), True),
    "FloatTensor(tensor)": (lambda m, a: m.FloatTensor(m.from_numpy(a)), True),
    "new(tensor)": (lambda m, a: m.ones(1).new(m.from_numpy(a)), True),
    "Parameter": (lambda m, a: m.nn.Parameter(m.from_numpy(a)), True),
    "Buffer": (lambda m, a: m.nn.Buffer(m.from_numpy(a)), True),
    "Variable": (lambda m, a: m.autograd.Variable(m.from_numpy(a)), True),
    "as_subclass": (lambda m, a: m.from_numpy(a).as_subclass(m.Tensor), True),
    "copy.copy": (lambda m, a: copy.copy(m.from_numpy(a)), True),
    "tensor": (lambda m, a: m.tensor(a), False),
    "new_tensor": (lambda m, a: m.ones(1).new_tensor(a), False),
    "asarray, copy": (lambda m, a: m.asarray(a, copy=True), False),
    "DoubleTensor(array)": (lambda m, a: m.DoubleTensor(a), False),
    "Tensor(list)": (lambda m, a: m.Tensor(a.tolist()), False),
    "as_tensor, other type": (lambda m, a: m.as_tensor(a, dtype=m.float64), False),
    "copy.deepcopy": (lambda m, a: copy.deepcopy(m.from_numpy(a)), False),
    "clone": (lambda m, a: m.from_numpy(a).clone(), False),
}


def check_sharing(m, name):
    make, shared = SHARED[name]
    array = np.zeros(3, np.float32)
    made = make(m, array)
    array[...] = 7
    assert made.flatten()[0].item() == (7 if shared else 0)


@pytest.mark.parametrize("name", SHARED)
def test_memory_is_shared_or_not(name):
    check_sharing(tg, name)


@pytest.mark.peers
@pytest.mark.parametrize("name", SHARED)
def test_memory_is_shared_or_not_in_pytorch(name, torch):
    check_sharing(torch, name)


def test_the_default_type_is_what_tensor_makes():
    tg.set_default_dtype(tg.float64)
    array = of("f8")
    assert Tensor(array).array is not array
    assert np.shares_memory(Tensor(array).array, array)
    assert Tensor(of("f4")).dtype == Tensor([1]).dtype == Tensor(2).dtype == tg.float64


def test_a_tensor_of_a_tensor_is_part_of_the_graph():
    x = tg.ones(2, requires_grad=True)
    y = Tensor(x)
    assert not y.is_leaf
    (y * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert not Tensor(x.detach()).requires_grad


def test_isinstance_of_a_type():
    assert isinstance(tg.ones(1), tg.FloatTensor)
    assert not isinstance(tg.ones(1), tg.LongTensor)
    assert not isinstance(np.ones(1), tg.DoubleTensor)


# Refusals: those of PyTorch (its words differ). ---------------------------------------------------

REFUSED = {
    "float": (lambda m: m.Tensor(2.0), TypeError, r"data must be a sequence \(got float\)"),
    "None": (lambda m: m.Tensor(None), TypeError, "data must be a sequence"),
    "bool": (lambda m: m.Tensor(True), TypeError, r"data must be a sequence \(got bool\)"),
    "NumPy's float": (lambda m: m.Tensor(np.float64(3)), TypeError, "data must be a sequence"),
    "dict": (lambda m: m.Tensor({1: 2}), TypeError, r"data must be a sequence \(got dict\)"),
    "set": (lambda m: m.Tensor({1}), TypeError, r"data must be a sequence \(got set\)"),
    "generator": (lambda m: m.Tensor(i for i in [1]), TypeError, "data must be a sequence"),
    "text": (lambda m: m.Tensor("ab"), TypeError, "invalid data type 'str'"),
    "bytes": (lambda m: m.Tensor(b"ab"), TypeError, "invalid data type 'bytes'"),
    "texts": (lambda m: m.Tensor(np.array(["a"])), TypeError, "can't convert np.ndarray of type"),
    "Nones": (lambda m: m.Tensor([None]), TypeError, "must be real number"),
    "ragged": (lambda m: m.Tensor([[1, 2], [3]]), ValueError, "expected sequences? of"),
    "negative": (lambda m: m.Tensor(-1), RuntimeError, "negative dimension"),
    "requires_grad": (
        lambda m: m.Tensor([1], requires_grad=True), TypeError, r"requires_grad="),
    "dtype": (lambda m: m.Tensor([1], dtype=m.float64), TypeError, "dtype="),
    "flag": (lambda m: m.Tensor([1], True), TypeError, "list, bool|list of"),
    "length": (lambda m: m.Tensor(2, 3.0), TypeError, r"int, float|got float"),
    "device": (
        lambda m: m.Tensor([1], device="cuda"), RuntimeError, "expects device type: cpu"),
    "other type": (lambda m: m.LongTensor(m.ones(2)), TypeError, "expected"),
    "integers": (
        lambda m: m.nn.Parameter(m.arange(2)), RuntimeError, "Only Tensors of floating point"),
    "no class": (lambda m: m.ones(1).as_subclass(3), TypeError, "cls must be a"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, kind, text = REFUSED[name]
    with pytest.raises(kind, match=text):
        call(tg)


@pytest.mark.peers
@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_pytorch(name, torch):
    call, kind, text = REFUSED[name]
    with pytest.raises(kind, match=text):
        call(torch)


# Subclasses ---------------------------------------------------------------------------------------


class Tagged(Tensor):
    """As PyTorch's documentation has it: `__new__` for the data, `__init__` for the rest."""

    @staticmethod
    def __new__(cls, data, tag=None):
        return super().__new__(cls, data)

    def __init__(self, data, tag=None):
        self.tag = tag


class Named(nn.Parameter):
    def __new__(cls, data, name=None):
        return super().__new__(cls, data, True)

    def __init__(self, data, name=None):
        super().__init__()
        self.called = name


class Frozen(Tensor):
    @staticmethod
    def __new__(cls, data):
        return Tensor._make_subclass(cls, data, True)


def test_subclasses():
    tagged = Tagged(of("f8"), tag="t")
    assert (type(tagged), tagged.dtype, tagged.tag) == (Tagged, tg.float32, "t")
    assert type(Tagged(tg.ones(2))) is Tagged
    named = Named(tg.ones(2), "weight")
    assert (type(named), named.requires_grad, named.called) == (Named, True, "weight")
    frozen = Frozen(tg.ones(2))
    assert frozen.requires_grad
    assert frozen.is_leaf
    seen = tg.ones(2).as_subclass(Tagged)
    assert type(seen) is Tagged
    assert not hasattr(seen, "tag")
    (frozen.as_subclass(Tagged) * 2).sum().backward()
    assert frozen.grad.tolist() == [2, 2]
    with pytest.raises(TypeError, match="as_subclass: cls must be a subclass of Tensor"):
        tg.ones(2).as_subclass(int)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Tagged([1.0], tag="t"),
        lambda: Named(tg.ones(1), "weight"),
        lambda: nn.Buffer(tg.ones(1), persistent=False),
        lambda: nn.Parameter(tg.ones(1), requires_grad=False),
        lambda: nn.UninitializedParameter(),
        lambda: tg.ones(1, requires_grad=True),
    ],
)
def test_copies_keep_class_and_attributes(make, copied):
    x = make()
    x.note = ["kept"]
    y = copied(x)
    assert type(y) is type(x)
    assert (y.tolist(), y.requires_grad) == (x.tolist(), x.requires_grad)
    assert own_attributes(y) == own_attributes(x)
    assert y.note is not x.note
    assert not np.shares_memory(x.array, y.array)


def test_copies_leave_the_graph_and_the_optimizer_behind():
    w = nn.Parameter(tg.ones(2))
    optimizer = tg.optim.SGD([w], lr=0.1)
    w.sum().backward()
    optimizer.step()
    w.register_hook(print)
    assert vars(copy.deepcopy(w)) == vars(pickle.loads(pickle.dumps(w))) == {}


def test_a_buffer_of_a_tensor_keeps_whether_it_requires_a_gradient():
    assert nn.Buffer(tg.ones(1, requires_grad=True)).requires_grad
    assert not nn.Buffer(tg.ones(1)).requires_grad


# Inside the package ------------------------------------------------------------------------------


def calls_of_tensor(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Tensor":
            yield f"{path.name}:{node.lineno}"


def test_results_are_made_past_the_constructor():
    """Its meaning is PyTorch's, which is not that of a result: `wrap_plain` keeps the type."""
    # The tour's hundred lines have a Tensor of their own.
    apart = {"__pycache__", "tour"}
    files = [path for path in PACKAGE.rglob("*.py") if not apart & {*path.parts}]
    assert len(files) > 100
    assert not [place for path in files for place in calls_of_tensor(path)]
