"""CuPy's stand-in is as strict as CuPy, and it is what the library finds."""

import sys

import numpy as np
import pytest
from on_device import SIMULATED, cupy

import tinygrad_opt as tg
from tinygrad_opt.arrays.device import cupy as the_cupy

if not SIMULATED:
    pytest.skip("there is a GPU, and CuPy itself", allow_module_level=True)


def test_the_library_uses_the_stand_in():
    assert the_cupy() is cupy
    assert tg.cuda.is_available()
    assert tg.cuda.device_count() == 1


def test_synchronize_waits_for_the_device(monkeypatch):
    waited = []
    monkeypatch.setattr(cupy.cuda.runtime, "deviceSynchronize", lambda: waited.append(1))
    tg.cuda.synchronize()
    assert waited == [1]


def test_nothing_mixes_with_numpy():
    x, a = cupy.ones(3), np.ones(3)
    for mix in (lambda: x + a, lambda: a + x, lambda: cupy.add(x, a), lambda: np.where(x, a, x),
                lambda: x @ a, lambda: x.dot(a), lambda: x < a):  # fmt: skip
        with pytest.raises(TypeError, match="Unsupported type <class 'numpy"):
            mix()
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array"):
        np.asarray(x)
    with pytest.raises(ValueError, match="cannot be used for fill"):
        x[...] = a
    with pytest.raises(TypeError, match="unexpected keyword argument where"):
        x.sum(where=True)
    assert not hasattr(x, "setflags")
    assert not hasattr(cupy, "errstate")


def test_what_it_does_as_cupy_does():
    x = cupy.arange(6).reshape(2, 3)
    assert type(x.max()) is type(x[0, 0]) is cupy.ndarray
    assert x[0].base is x.base is not None
    assert x[cupy.asarray([3])].tolist() == [[3, 4, 5]]  # wraps around
    x[1][...] = 7
    x[0][1][...] = 5
    assert x.tolist() == [[0, 5, 2], [7, 7, 7]]
    with pytest.raises(IndexError):
        x[2]
    with pytest.raises(NotImplementedError):
        cupy.maximum.reduce(x)
    with pytest.raises(TypeError, match="atomic"):
        cupy.add.at(x, cupy.asarray([0]), 1)
    with pytest.raises(AttributeError, match="'int' object"):
        sys.modules["cupyx.scipy.special"].polygamma(1, cupy.ones(2))
