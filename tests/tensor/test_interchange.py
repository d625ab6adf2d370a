"""Sharing memory with NumPy, PyTorch and JAX on the CPU; on a GPU: tests/simulator."""

import gc

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.tensors import interchange

DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_from_numpy_and_back(dtype):
    theirs = np.arange(6).reshape(2, 3).astype(dtype)
    ours = tg.from_dlpack(theirs.T)
    assert ours.dtype == dtype
    assert ours.tolist() == theirs.T.tolist()
    ours[0, 1] = 1
    assert theirs[1, 0] == 1
    back = np.from_dlpack(ours)
    assert back.dtype == dtype
    assert np.shares_memory(back, theirs)


def test_numpy_by_force():
    w = tg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"Use tensor.detach\(\).numpy\(\)"):
        w.numpy()
    assert np.shares_memory(w.numpy(force=True), w.array)


def test_copies():
    theirs = np.zeros(2)
    assert not np.shares_memory(tg.from_dlpack(theirs, copy=True).array, theirs)
    assert np.shares_memory(tg.from_dlpack(theirs, copy=False, device="cpu").array, theirs)
    assert not np.shares_memory(np.from_dlpack(tg.from_dlpack(theirs), copy=True), theirs)


def test_what_is_refused():
    with pytest.raises(TypeError, match="with __dlpack__ and __dlpack_device__, got list"):
        tg.from_dlpack([1.0])
    with pytest.raises(TypeError, match="tensors have no type uint16"):
        tg.from_dlpack(np.zeros(1, np.uint16))
    with pytest.raises(BufferError, match=r"require gradient, use tensor\.detach\(\)"):
        np.from_dlpack(tg.ones(1, requires_grad=True))
    with pytest.raises(AttributeError, match=r"non-CUDA tensor type: torch\.FloatTensor"):
        tg.ones(1).__cuda_array_interface__  # noqa: B018
    assert tuple(map(int, tg.ones(1).__dlpack_device__())) == (1, 0)


def test_read_only_memory_stays_so():
    theirs = np.ones(2, np.float32)
    theirs.flags.writeable = False
    ours = tg.from_dlpack(theirs)
    with pytest.raises((ValueError, RuntimeError), match="read-only"):
        ours.add_(1)
    assert (ours + 1).tolist() == [2.0, 2.0]


def test_an_older_numpy_takes_all_for_read_only(monkeypatch):
    """What NumPy before 2.2 does; what others say of their memory holds all the same."""
    monkeypatch.setattr(interchange, "NUMPY_ASKS", False)
    now = np.from_dlpack

    def before(array):
        found = now(array).view()
        found.flags.writeable = False
        return found

    monkeypatch.setattr(np, "from_dlpack", before)
    theirs = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert not np.from_dlpack(theirs).flags.writeable
    tg.from_dlpack(theirs.T)[0, 1] = 7
    assert theirs[1, 0] == 7
    monkeypatch.setattr(np, "from_dlpack", lambda array: before(array.array))
    tg.from_dlpack(Old(theirs)).mul_(2)
    assert theirs[1, 0] == 14
    monkeypatch.setattr(np, "from_dlpack", before)
    theirs.flags.writeable = False
    with pytest.raises((ValueError, RuntimeError), match="read-only"):
        tg.from_dlpack(theirs).add_(1)


class Old:
    """An array that speaks the first DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Owner:
    """Memory behind a capsule, as another library hands it out."""

    def __init__(self, values):
        self.array = np.array(values, np.float32)

    def __dlpack__(self, **how):
        return self.array.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[1:]], ids=["whole", "a part"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "LAMB"])
def test_an_optimizer_steps_it_where_it_lies(name, view):
    theirs, gradient = Owner([1.0, 2.0, 3.0]), Owner([1.0, 1.0, 1.0])
    p, own = nn.Parameter(view(tg.from_dlpack(theirs))), nn.Parameter(tg.ones(2))
    p.grad, own.grad = view(tg.from_dlpack(gradient)), tg.ones(2)
    optimizer = getattr(optim, name)([p, own], lr=0.5)
    optimizer.step()
    first = theirs.array.copy()
    assert first[-1] < 3.0
    np.testing.assert_array_equal(first[-len(p) :], p.detach().numpy())
    gradient.array[...] = 0  # seen, too: it was not moved
    optimizer.step()
    np.testing.assert_array_equal(theirs.array[-len(p) :], p.detach().numpy())
    assert own.tolist()[0] < 1.0
    if name == "SGD":
        np.testing.assert_array_equal(theirs.array, first)


def test_the_owner_lives_as_long_as_the_tensor():
    ours = tg.from_dlpack(Owner([1.0, 2.0]))
    gc.collect()
    assert ours.tolist() == [1.0, 2.0]


@pytest.mark.peers
@pytest.mark.parametrize("dtype", DTYPES)
def test_pytorch(dtype):
    torch = pytest.importorskip("torch")
    theirs = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype))
    ours = tg.from_dlpack(theirs)
    assert ours.tolist() == theirs.tolist()
    ours[0, 0] = 1
    assert theirs[0, 0] == 1
    assert torch.from_dlpack(ours).data_ptr() == theirs.data_ptr() == ours.data_ptr()
    with pytest.raises(BufferError, match="require gradient"):
        torch.from_dlpack(tg.ones(1, requires_grad=True))


@pytest.mark.peers
def test_jax():
    jax = pytest.importorskip("jax")
    theirs = jax.numpy.arange(3.0)
    ours = tg.from_dlpack(theirs)
    assert ours.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises((ValueError, RuntimeError), match="read-only"):
        ours.add_(1)  # JAX's arrays never change
    assert jax.numpy.from_dlpack(tg.ones(3)).tolist() == [1.0] * 3
