"""Memory on a CUDA device that others own: shared, stepped where it lies, never moved."""

import numpy as np
import pytest
from on_device import CUDA, cupy, host

import tinygrad_opt as tg
from tinygrad_opt import nn, optim


class Foreign:
    """An array of another library, on the device."""

    def __init__(self, values):
        self.array = cupy.asarray(np.asarray(values, np.float32))
        self.shape = self.array.shape

    @property
    def __cuda_array_interface__(self):
        return self.array.__cuda_array_interface__

    def __dlpack__(self, **how):
        return self.array.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def tolist(self):
        return self.array.tolist()


SHARING = {
    "from_dlpack": tg.from_dlpack,
    "as_tensor": tg.as_tensor,
    "asarray": lambda x: tg.asarray(x, copy=False),
    "Tensor": tg.Tensor,
    "FloatTensor": tg.FloatTensor,
}


@pytest.mark.parametrize("share", SHARING.values(), ids=SHARING)
@pytest.mark.parametrize("kind", [Foreign, lambda v: Foreign(v).array], ids=["other", "cupy"])
def test_memory_is_shared(share, kind):
    theirs = kind([1.0, 2.0])
    ours = share(theirs)
    assert ours.device == CUDA
    ours.mul_(2)
    assert theirs.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("copied", [tg.tensor, lambda x: tg.asarray(x, copy=True),
                                    lambda x: tg.from_dlpack(x, copy=True)])  # fmt: skip
def test_memory_is_copied(copied):
    theirs = Foreign([1.0, 2.0])
    ours = copied(theirs).mul_(2)
    assert host(ours).tolist() == [2.0, 4.0]
    assert theirs.tolist() == [1.0, 2.0]


def test_to_another_device():
    theirs = Foreign([1.0, 2.0])
    assert tg.from_dlpack(theirs, device="cpu").numpy().tolist() == [1.0, 2.0]
    assert host(tg.from_dlpack(np.ones(2, np.float32), device="cuda")).tolist() == [1.0, 1.0]
    assert tg.as_tensor(theirs, device="cpu").numpy().tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="only a copy can lie on cpu"):
        tg.from_dlpack(theirs, device="cpu", copy=False)
    with pytest.raises(ValueError, match="needs a copy"):
        tg.asarray(theirs, dtype=tg.float64, copy=False)


def test_another_gpu_is_refused():
    theirs = Foreign([1.0])
    theirs.__class__ = type("Elsewhere", (Foreign,), {"__dlpack_device__": lambda _: (2, 1)})
    with pytest.raises(RuntimeError, match="cuda:1: invalid device ordinal"):
        tg.from_dlpack(theirs)


def test_handing_out():
    ours = tg.tensor([1.0, 2.0], device="cuda")
    theirs = cupy.asarray(ours)
    theirs *= 2
    there = cupy.from_dlpack(ours)
    there += 1
    assert host(ours).tolist() == [3.0, 5.0]
    assert ours.__cuda_array_interface__["shape"] == (2,)
    assert tuple(map(int, ours.__dlpack_device__())) == (2, 0)
    assert not hasattr(tg.ones(1), "__cuda_array_interface__")
    for share in (cupy.asarray, cupy.from_dlpack):
        with pytest.raises(BufferError, match=r"use tensor\.detach\(\)"):
            share(tg.ones(2, device="cuda", requires_grad=True))


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[1:]], ids=["whole", "a part"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "LAMB"])
def test_an_optimizer_steps_it_where_it_lies(name, view):
    theirs, gradient = Foreign([1.0, 2.0, 3.0]), Foreign([1.0, 1.0, 1.0])
    p = nn.Parameter(view(tg.from_dlpack(theirs)))
    own = nn.Parameter(tg.ones(2, device="cuda"))
    p.grad = view(tg.from_dlpack(gradient))
    own.grad = tg.ones(2, device="cuda")
    optimizer = getattr(optim, name)([p, own], lr=0.5)
    optimizer.step()
    first = theirs.tolist()
    assert first == pytest.approx([*[1.0, 2.0, 3.0][: 3 - len(p)], *host(p)])
    assert first[-1] < 3.0
    gradient.array *= 0  # seen, too: it was not moved
    optimizer.step()
    assert theirs.tolist()[-1] == pytest.approx(host(p)[-1])
    assert own.tolist()[0] < 1.0
    if name == "SGD":
        assert theirs.tolist() == first
