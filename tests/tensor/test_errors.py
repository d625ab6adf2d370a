"""What users get wrong: the type and text of every error, and that PyTorch's tests would match it.

Rows of SAID_AS_PYTORCH hold for both libraries, with one pattern. Errors of backward and of the
modes stand with their own tests.
"""

import copy
import pickle
import sys
import types

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import ops
from tinygrad_opt.arrays import device, xp
from tinygrad_opt.core.errors import explain
from tinygrad_opt.core.tensor import wrap_plain


def leaf(m):
    return m.ones(2, requires_grad=True)


def assign(x, name, value):
    setattr(x, name, value)


SAID_AS_PYTORCH = {
    # shapes
    "broadcast": (
        RuntimeError,
        r"The size of tensor a \(2\) must match the size of tensor b \(3\) at non-singleton "
        r"dimension 0",
        lambda m: m.ones(2) + m.ones(3),
    ),
    "broadcast, more axes": (
        RuntimeError,
        r"The size of tensor a \(4\) must match the size of tensor b \(3\) at non-singleton "
        r"dimension 1",
        lambda m: m.ones(2, 4, 1) * m.ones(3, 5),
    ),
    "compare": (
        RuntimeError,
        r"The size of tensor a \(2\) must match the size of tensor b \(3\) at non-singleton",
        lambda m: m.ones(2) > m.ones(3),
    ),
    "add in place": (
        RuntimeError,
        r"The size of tensor a \(2\) must match the size of tensor b \(3\) at non-singleton",
        lambda m: m.ones(2).add_(m.ones(3)),
    ),
    "add in place, larger": (
        RuntimeError,
        r"output.* with shape .* doesn't match the broadcast shape",
        lambda m: m.ones(2).add_(m.ones(3, 2)),
    ),
    "matmul": (
        RuntimeError,
        r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\)",
        lambda m: m.ones(2, 3) @ m.ones(2, 3),
    ),
    "matmul of 0-d": (
        RuntimeError,
        r"both arguments .*need to be at least 1D, but they are 0D",
        lambda m: m.ones(()) @ m.ones(2),
    ),
    "matmul batches": (
        RuntimeError,
        r"The size of tensor a \(2\) must match the size of tensor b \(3\) at non-singleton "
        r"dimension 0",
        lambda m: m.ones(2, 4, 3) @ m.ones(3, 3, 5),
    ),
    "matmul dtypes": (
        RuntimeError,
        r"expected .* the same dtype, but got.*: .* != .*|expected both to have the same dtype",
        lambda m: m.ones(2, 2) @ m.ones(2, 2, dtype=m.float64),
    ),
    "dot": (
        RuntimeError,
        r"1D tensors expected, but got 2D and 1D tensors",
        lambda m: m.dot(m.ones(2, 2), m.ones(2)),
    ),
    "reshape": (
        RuntimeError,
        r"shape '\[4\]' is invalid for input of size 6",
        lambda m: m.ones(6).reshape(4),
    ),
    "view": (
        RuntimeError,
        r"shape '\[-1, 4\]' is invalid for input of size 6",
        lambda m: m.ones(2, 3).view(-1, 4),
    ),
    "cat sizes": (
        RuntimeError,
        r"Sizes of tensors must match except in dimension 0\. Expected size 3 but got size 2 for "
        r"tensor number 1 in the list",
        lambda m: m.cat([m.ones(2, 3), m.ones(2, 2)]),
    ),
    "cat axes": (
        RuntimeError,
        r"Tensors must have same number of dimensions: got 2 and 1",
        lambda m: m.cat([m.ones(2, 3), m.ones(2)]),
    ),
    "cat of nothing": (ValueError, r"expected a non-empty list of Tensors", lambda m: m.cat([])),
    "stack of nothing": (
        RuntimeError,
        r"stack.* expect.* a non-empty|expected a non-empty list of Tensors",
        lambda m: m.stack([]),
    ),
    "stack sizes": (
        RuntimeError,
        r"stack expects each tensor to be equal size, but got \[2\] at entry 0 and \[3\] at "
        r"entry 1",
        lambda m: m.stack([m.ones(2), m.ones(3)]),
    ),
    "t": (
        RuntimeError,
        r"t\(\) expects a tensor with <= 2 dimensions",
        lambda m: m.ones(1, 1, 1).t(),
    ),
    "flatten": (
        RuntimeError,
        r"flatten\(\) has invalid args: start_dim cannot come after end_dim",
        lambda m: m.ones(2, 3).flatten(1, 0),
    ),
    "chunk": (
        RuntimeError,
        r"chunk expects `chunks` to be greater than 0, got: 0",
        lambda m: m.ones(2).chunk(0),
    ),
    "deepcopy": (
        RuntimeError,
        r"Only Tensors created explicitly by the user \(graph leaves\) support the deepcopy",
        lambda m: copy.deepcopy(leaf(m) * 2),
    ),
    # values and types
    "item": (
        RuntimeError,
        r"a Tensor with 2 elements cannot be converted to Scalar",
        lambda m: m.ones(2).item(),
    ),
    "bool": (
        RuntimeError,
        r"Boolean value of Tensor with more than one value is ambiguous",
        lambda m: bool(m.ones(2)),
    ),
    "bool of nothing": (
        RuntimeError,
        r"Boolean value of Tensor with no values is ambiguous",
        lambda m: bool(m.ones(0)),
    ),
    "index": (
        TypeError,
        r"only integer tensors of a single element can be converted to an index",
        lambda m: [1, 2][m.tensor(1.0)],
    ),
    "len": (TypeError, r"len\(\) of a 0-d tensor", lambda m: len(m.tensor(1.0))),
    "iteration": (TypeError, r"iteration over a 0-d tensor", lambda m: list(m.tensor(1.0))),
    "numpy": (
        RuntimeError,
        r"Can't call numpy\(\) on Tensor that requires grad\. Use tensor\.detach\(\)\.numpy\(\)",
        lambda m: leaf(m).numpy(),
    ),
    "np.asarray": (
        RuntimeError,
        r"Can't call numpy\(\) on Tensor that requires grad",
        lambda m: np.asarray(leaf(m)),
    ),
    "mean of integers": (
        RuntimeError,
        r"mean\(\): could not infer output dtype",
        lambda m: m.tensor([1, 2]).mean(),
    ),
    "integer to a negative power": (
        RuntimeError,
        r"Integers to negative integer powers are not allowed",
        lambda m: m.tensor([2]) ** -1,
    ),
    "clamp without bounds": (
        RuntimeError,
        r"At least one of 'min' or 'max' must not be None",
        lambda m: m.clamp(m.ones(2)),
    ),
    "float into integers": (
        RuntimeError,
        r"can't be cast to the desired output type",
        lambda m: m.ones(2, dtype=m.int64).add_(0.5),
    ),
    "default dtype": (
        TypeError,
        r"only floating-point types are supported as the default type",
        lambda m: m.set_default_dtype(m.int64),
    ),
    "ragged": (ValueError, r"expected sequences? of", lambda m: m.tensor([[1], [1, 2]])),
    "from_numpy": (
        TypeError,
        r"expected np\.ndarray \(got list\)",
        lambda m: m.from_numpy([1.0]),
    ),
    "arange step": (RuntimeError, r"step must be nonzero", lambda m: m.arange(1, 2, 0)),
    "arange bounds": (
        RuntimeError,
        r"upper bound and l.* bound inconsistent with step sign",
        lambda m: m.arange(5, 0),
    ),
    "device": (RuntimeError, r"Expected .*device string", lambda m: m.device("x")),
    # gradients
    "integer with gradient": (
        RuntimeError,
        r"Only Tensors of floating point .*dtype can require gradients",
        lambda m: m.tensor([1, 2], requires_grad=True),
    ),
    "requires_grad_ of integers": (
        RuntimeError,
        r"(?i)only Tensors of floating point dtype can require gradients",
        lambda m: m.tensor([1, 2]).requires_grad_(),
    ),
    "requires_grad_ of a result": (
        RuntimeError,
        r"you can only change requires_grad flags of leaf variables",
        lambda m: (leaf(m) * 2).requires_grad_(False),
    ),
    "grad of another shape": (
        RuntimeError,
        r"attempting to assign a gradient of size '\[3\]' to a tensor of size '\[2\]'",
        lambda m: assign(leaf(m), "grad", m.ones(3)),
    ),
    "grad of another dtype": (
        RuntimeError,
        r"attempting to assign a gradient (of type|with dtype)",
        lambda m: assign(leaf(m), "grad", m.ones(2, dtype=m.float64)),
    ),
    "grad that is no tensor": (
        TypeError,
        r"assigned grad expected to be a Tensor or None but got grad of type int",
        lambda m: assign(leaf(m), "grad", 3),
    ),
    "data that is no tensor": (
        TypeError,
        r"Variable data has to be a tensor, but got int",
        lambda m: assign(leaf(m), "data", 3),
    ),
    "write to a leaf": (
        RuntimeError,
        r"a leaf Variable that requires grad is being used in an in-place operation",
        lambda m: leaf(m).add_(1),
    ),
    # indices
    "no such axis": (
        IndexError,
        r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)",
        lambda m: m.ones(2, 3).sum(2),
    ),
    "no such element": (
        IndexError,
        r"index 5 is out of bounds for (axis|dimension) 0 with size 2",
        lambda m: m.ones(2)[5],
    ),
    "too many indices": (IndexError, r"too many indices for", lambda m: m.ones(2)[0, 0]),
    "tensor of nothing": (
        RuntimeError,
        r"ould not infer (dtype of|a numeric type from) NoneType",
        lambda m: m.tensor(None),
    ),
    "tensor of nothing among numbers": (
        RuntimeError,
        r"ould not infer (dtype of|a numeric type from) NoneType",
        lambda m: m.tensor([[1, 2], [3, None]]),
    ),
    "tensor of a set": (
        RuntimeError,
        r"ould not infer (dtype of|a numeric type from) set",
        lambda m: m.tensor({1, 2}),
    ),
    "derivatives by nothing": (
        RuntimeError,
        r"`inputs` argument to `grad\(\)` cannot be empty",
        lambda m: m.autograd.grad(leaf(m).sum(), []),
    ),
    "float as index": (
        IndexError,
        r"(arrays|tensors) used as indices must be",
        lambda m: m.ones(2)[m.tensor([0.5])],
    ),
}  # fmt: skip

OURS = {
    "float": (
        ValueError,
        r"only one element tensors can be converted to Python scalars",
        lambda: float(tg.ones(2)),
    ),
    "text": (TypeError, r"could not infer a numeric type from str data", lambda: tg.tensor("a")),
    "text in a list": (
        TypeError, r"could not infer a numeric type from str data", lambda: tg.tensor(["a"])
    ),
    "bytes": (TypeError, r"could not infer a numeric type from bytes", lambda: tg.tensor(b"a")),
    "linear": (
        RuntimeError,
        r"linear: input has shape \(4, 5\), but the layer expects 3 features last: "
        r"mat1 and mat2 shapes cannot be multiplied \(4x5 and 3x2\)",
        lambda: ops.linear(tg.ones(4, 5), tg.ones(2, 3), None),
    ),
    "linear dtypes": (
        RuntimeError,
        r"mat1 and mat2 must have the same dtype, but got Double and Float \(input and weight\)",
        lambda: ops.linear(tg.ones(4, 3, dtype=tg.float64), tg.ones(2, 3), None),
    ),
    "target out of range": (
        IndexError,
        r"Target 5 is out of bounds",
        lambda: ops.cross_entropy(tg.ones(1, 3), index=np.array([5])),
    ),
    "negative target": (
        IndexError,
        r"Target -1 is out of bounds",
        lambda: ops.cross_entropy(tg.ones(1, 3), index=np.array([-1])),
    ),
    "text as operand": (
        TypeError,
        r"add: unsupported arguments \(Tensor float32 \(2,\), str\)",
        lambda: tg.ones(2) + "a",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "call"), SAID_AS_PYTORCH.values(), ids=SAID_AS_PYTORCH)
def test_errors(kind, text, call):
    with pytest.raises(kind, match=text) as caught:
        call(tg)
    assert type(caught.value) is kind
    assert caught.value.__cause__ is not caught.value


@pytest.mark.parametrize(("kind", "text", "call"), OURS.values(), ids=OURS)
def test_errors_in_our_words(kind, text, call):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.peers
@pytest.mark.parametrize(("kind", "text", "call"), SAID_AS_PYTORCH.values(), ids=SAID_AS_PYTORCH)
def test_errors_as_pytorch(torch, kind, text, call):
    with pytest.raises(kind, match=text):
        call(torch)


AXES = {
    "mean": lambda x: x.mean(5),
    "amax": lambda x: x.amax(-4),
    "cumsum": lambda x: x.cumsum(5),
    "softmax": lambda x: x.softmax(5),
    "log_softmax": lambda x: x.log_softmax(-3),
    "logsumexp": lambda x: x.logsumexp(5),
    "squeeze": lambda x: x.squeeze(5),
    "unsqueeze": lambda x: x.unsqueeze(5),
    "transpose": lambda x: x.transpose(0, 5),
    "flatten": lambda x: x.flatten(0, 5),
    "permute": lambda x: x.permute(0, 5),
    "flip": lambda x: x.flip(5),
    "split": lambda x: x.split(1, 5),
    "chunk": lambda x: x.chunk(1, -5),
    "gather": lambda x: x.gather(5, tg.tensor([[0]])),
    "index_select": lambda x: x.index_select(5, tg.tensor([0])),
    "cat": lambda x: tg.cat([x, x], 5),
    "stack": lambda x: tg.stack([x, x], 5),
    "var": lambda x: x.var(5),
    "norm": lambda x: x.norm(dim=5),
}


@pytest.mark.parametrize("call", AXES.values(), ids=AXES)
def test_axes_that_do_not_exist(call):
    with pytest.raises(
        IndexError, match=r"Dimension out of range \(expected to be in range of \[-"
    ):
        call(tg.ones(2, 3))


# Devices ------------------------------------------------------------------------------------------


class FakeDeviceArray:
    """What the library looks at to recognise an array on a GPU."""

    __module__ = "cupy"
    __cuda_array_interface__ = None
    shape, dtype, size, ndim = (2,), np.dtype("float32"), 2, 1

    class device:
        id = 1


@pytest.fixture
def cupy_is(monkeypatch):
    """Makes `import cupy` find a given module, or nothing."""

    def forget():
        device.cupy.cache_clear()
        xp._cupy_namespace.cache_clear()

    def use(module):
        monkeypatch.setitem(sys.modules, "cupy", module)
        forget()

    yield use
    forget()


@pytest.fixture
def far(cupy_is):
    cupy_is(types.ModuleType("cupy"))
    return wrap_plain(FakeDeviceArray())


def test_devices_may_be_missing(cupy_is):
    cupy_is(None)
    assert not tg.cuda.is_available()
    assert tg.cuda.device_count() == 0
    for move in (lambda x: x.to("cuda"), lambda x: x.cuda(), lambda x: x.to(tg.device("cuda", 1))):
        with pytest.raises(ImportError, match=r'pip install "tinygrad_opt\[cuda\]"'):
            move(tg.ones(1))


def test_mixed_devices_are_named(far):
    assert far.device == tg.device("cuda:1")
    error = explain("add", (tg.ones(2), far), TypeError("Unsupported type"))
    assert type(error) is RuntimeError
    assert "Expected all tensors to be on the same device, but found cpu and cuda:1" in str(error)


def test_arrays_of_another_device(far):
    with pytest.raises(TypeError, match="can't convert cuda:1 device type tensor to numpy"):
        far.numpy()
    with pytest.raises(RuntimeError, match="assign a gradient on cuda:1 to a tensor on cpu"):
        leaf(tg).grad = far


def test_device_objects():
    assert tg.device("cuda", 1) == tg.device("cuda:1") != tg.device("cuda:0")
    assert tg.device("cuda") == tg.device("cuda:0")
    assert tg.device(tg.device("cpu")) == tg.device("cpu") != tg.device("cuda")
    assert len({tg.device("cuda"), tg.device("cuda:0"), tg.device("cpu")}) == 2
    assert (str(tg.device("cuda:1")), str(tg.device("cuda"))) == ("cuda:1", "cuda")
    for text in ("gpu", "cuda:x", ""):
        with pytest.raises(RuntimeError, match="Expected a device string of the form"):
            tg.device(text)


def test_pickling_drops_history():
    y = pickle.loads(pickle.dumps(leaf(tg) * 2))
    assert y.tolist() == [2, 2]
    assert y.is_leaf
