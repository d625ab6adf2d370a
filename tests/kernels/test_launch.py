"""Launches by the driver: what it is given, with an emulated driver that reads the block back."""

import ctypes
import math
import sys
import threading
from enum import IntEnum
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba_cuda")

from tinygrad_opt.kernels import adam, sgd
from tinygrad_opt.kernels.compiler import cuda as adapter
from tinygrad_opt.kernels.compiler import launch

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class CupyArray:
    """Looks like a CuPy array; its memory is NumPy's."""

    def __init__(self, values, dtype=np.float32):
        self.values = np.array(values, dtype)
        self.data = SimpleNamespace(ptr=self.values.ctypes.data)

    def __getattr__(self, name):
        return getattr(self.values, name)


CupyArray.__module__ = "cupy"


class Result(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_LAUNCH_FAILED = 719
    CUDA_ERROR_INVALID_CONTEXT = 201


class CUkernel:
    pass


class Driver:
    """`cuda.bindings.driver`: a launch reads its arguments as a GPU would, and runs a function."""

    CUkernel = CUkernel

    def __init__(self, arrays, scalars, dtype, function=lambda *_: None, errors=()):
        self.arrays, self.scalars, self.dtype = arrays, scalars, dtype
        self.function, self.errors = function, list(errors)
        self.calls, self.configurations = [], []

    def CUfunction(self, handle):
        return f"function {handle}"

    def cuKernelGetFunction(self, kernel):
        return Result.CUDA_SUCCESS, "function of the kernel"

    def cuKernelGetParamInfo(self, kernel, index):
        """Where an argument lies: eight bytes for a word, then the scalars."""
        itemsize = self.dtype.itemsize
        assert index == 7 * self.arrays + self.scalars - 1  # one more would be an error to tracers
        offset = 56 * self.arrays + (self.scalars - 1) * itemsize
        return Result.CUDA_SUCCESS, offset + getattr(kernel, "moved", 0), itemsize

    def cuLaunchKernel(self, function, *configuration):
        *grid_block_shared, stream, parameters, extra = configuration
        assert extra == 0
        if self.errors:
            return (self.errors.pop(0),)
        places = ctypes.cast(parameters, ctypes.POINTER(ctypes.c_void_p))

        def word(k):
            return ctypes.cast(places[k], ctypes.POINTER(ctypes.c_uint64))[0]

        arrays = []
        for k in range(0, 7 * self.arrays, 7):
            meminfo, parent, size, itemsize, address, length, stride = map(word, range(k, k + 7))
            assert (meminfo, parent, length, itemsize, stride) == (
                0, 0, size, self.dtype.itemsize, self.dtype.itemsize,
            )  # fmt: skip
            memory = (ctypes.c_char * (size * itemsize)).from_address(address)
            arrays.append(np.frombuffer(memory, self.dtype))
        kind = ctypes.c_float if self.dtype == FLOAT32 else ctypes.c_double
        scalars = [
            ctypes.cast(places[7 * self.arrays + k], ctypes.POINTER(kind))[0]
            for k in range(self.scalars)
        ]
        self.calls.append((function, scalars))
        self.configurations.append((grid_block_shared, stream))
        self.function(arrays, scalars)
        return (Result.CUDA_SUCCESS,)


class Dispatcher:
    """`@cuda.jit`'s object; numba-cuda's own launch is counted."""

    def __init__(self, compiled):
        self.compiled, self.launched = compiled, []

    def compile(self, signature):
        self.signature = signature
        return SimpleNamespace(_codelibrary=SimpleNamespace(get_cufunc=lambda: self.compiled))

    def __getitem__(self, configuration):
        return lambda *arguments: self.launched.append(arguments)


KERNEL = SimpleNamespace(kernel=SimpleNamespace(handle=CUkernel()), handle=5)


@pytest.fixture
def emulated(monkeypatch):
    """Put an emulated driver in place; return what does so."""

    def use(rule, dtype=FLOAT32, compiled=KERNEL, **settings):
        counts = 2 + len(rule.states), len(rule.coefficients)
        driver = Driver(*counts, dtype, **settings)
        dispatcher = Dispatcher(compiled)
        monkeypatch.setitem(sys.modules, "cuda.bindings.driver", driver)
        monkeypatch.setitem(rule._kernels["cuda"], dtype, dispatcher)
        return driver, dispatcher

    entered = []
    device = SimpleNamespace(use=lambda: entered.append(threading.current_thread()))
    cuda = SimpleNamespace(
        get_current_stream=lambda: SimpleNamespace(ptr=7), Device=lambda number: device
    )
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(adapter, "_packed", {})
    adapter._streams.cache_clear()
    use.entered = entered
    yield use
    adapter._streams.cache_clear()
    for rule in (adam, sgd):
        rule._on_device.clear()


def run(rule):
    """The rule on the arrays and scalars that a launch was given."""
    return lambda arrays, scalars: rule.reference(arrays, scalars)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
@pytest.mark.parametrize("size", [1, 255, 257])
def test_a_launch_gives_what_the_rule_gives(emulated, dtype, size):
    coefficients = np.linspace(0.1, 0.9, len(adam.coefficients)).tolist()
    driver, dispatcher = emulated(adam, dtype, function=run(adam))
    rng = np.random.default_rng(0)
    plain = [rng.random(size).astype(dtype) for _ in range(2 + len(adam.states))]
    device = [CupyArray(a, dtype) for a in plain]
    for _ in range(2):
        adam.launch(device, coefficients)
        adam.reference(plain, coefficients)
    for ours, expected in zip(device, plain, strict=True):
        np.testing.assert_array_equal(ours.values, expected)
    blocks = -(-size // (launch.BLOCK * 16 // dtype.itemsize))
    assert driver.configurations == [([blocks, 1, 1, launch.BLOCK, 1, 1, 0], 7)] * 2
    assert {function for function, _ in driver.calls} == {"function of the kernel"}
    assert len(dispatcher.signature) == len(plain) + len(coefficients)
    assert dispatcher.launched == []


def test_large_grids_are_capped_and_empty_ones_skipped(emulated, monkeypatch):
    driver, _ = emulated(sgd)
    monkeypatch.setattr(adapter, "MOST_BLOCKS", 64)
    sgd.launch([CupyArray(np.zeros(10**5))] * 2, (1.0, 0.0, 0.1))
    assert driver.configurations[0][0][0] == 64
    sgd.launch([CupyArray([])] * 2, (1.0, 0.0, 0.1))
    assert len(driver.calls) == 1


def test_too_large_a_coefficient_is_infinity(emulated):
    driver, _ = emulated(sgd)
    sgd.launch([CupyArray([1.0])] * 2, (1.0, -1e300, 0.5))
    assert driver.calls[0][1] == [1.0, -math.inf, 0.5]


def test_a_thread_that_has_not_used_the_gpu_enters_its_context(emulated):
    driver, _ = emulated(sgd, errors=[Result.CUDA_ERROR_INVALID_CONTEXT])
    sgd.launch([CupyArray([1.0])] * 2, (1.0, 0.0, 0.1))
    assert len(driver.calls) == len(emulated.entered) == 1


def test_errors_of_the_driver_are_raised(emulated):
    emulated(sgd, errors=[Result.CUDA_ERROR_LAUNCH_FAILED])
    with pytest.raises(RuntimeError, match=r"could not be launched on the GPU: .*LAUNCH_FAILED"):
        sgd.launch([CupyArray([1.0])] * 2, (1.0, 0.0, 0.1))


def test_the_same_arrays_again(emulated):
    driver, _ = emulated(sgd, function=run(sgd))
    p, g, q = CupyArray([8.0] * 300), CupyArray([1.0] * 300), CupyArray([2.0] * 300)
    for grads, lr in ((g, 1.0), (g, 0.5), (q, 1.0), (g, 0.25), (g, 2)):
        sgd.launch([p, grads], (1.0, 0.0, lr))
    assert p.values.tolist() == [2.25] * 300
    assert len(sgd._on_device) == 1
    sgd.launch([p, g], (1.0, -1e300, 0.5))  # more than the block holds
    assert driver.calls[-1][1] == [1.0, -math.inf, 0.5]
    with pytest.raises(TypeError, match="coefficient wd must be a number"):
        sgd.launch([p, g], (1.0, "0", 0.1))
    assert len(driver.calls) == 6
    del p
    assert not sgd._on_device


LONGER = SimpleNamespace(kernel=SimpleNamespace(handle=CUkernel()), handle=5)
LONGER.kernel.handle.moved = 8


@pytest.mark.parametrize(
    "compiled",
    [None, SimpleNamespace(kernel=SimpleNamespace(), name="f"), LONGER],
    ids=["none", "other", "other arguments"],
)
def test_another_numba_cuda_launches_by_itself(emulated, compiled, monkeypatch):
    driver, dispatcher = emulated(sgd, compiled=compiled)
    monkeypatch.setattr(adapter, "_handle", lambda array: array)
    monkeypatch.setattr(adapter, "_stream", lambda array: 0)
    monkeypatch.setattr(adapter.numba.cuda.config, "CUDA_LOW_OCCUPANCY_WARNINGS", 1)
    for _ in range(2):
        sgd.launch([CupyArray([1.0])] * 2, (1.0, 0.0, 0.1))
    assert len(dispatcher.launched) == 2
    assert driver.calls == []
    assert not adapter.numba.cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS


def test_a_handle_instead_of_a_kernel(emulated):
    driver, _ = emulated(sgd, compiled=SimpleNamespace(handle=5))
    sgd.launch([CupyArray([1.0])] * 2, (1.0, 0.0, 0.1))
    assert driver.calls[0][0] == "function 5"


def test_a_kernel_that_the_driver_does_not_know(emulated, monkeypatch):
    driver, dispatcher = emulated(sgd)
    monkeypatch.setattr(driver, "cuKernelGetFunction", lambda k: (Result(719), None))
    monkeypatch.setattr(adapter, "_handle", lambda array: array)
    monkeypatch.setattr(adapter, "_stream", lambda array: 0)
    monkeypatch.setattr(adapter.numba.cuda.config, "CUDA_LOW_OCCUPANCY_WARNINGS", 1)
    sgd.launch([CupyArray([1.0])] * 2, (1.0, 0.0, 0.1))
    assert len(dispatcher.launched) == 1


WRONG = {
    "size": ([CupyArray([1.0]), CupyArray([1.0, 2.0])], (1.0, 0.0, 0.1), "one size"),
    "dtype": ([CupyArray([1.0]), CupyArray([1.0], np.float64)], (1.0, 0.0, 0.1), "one dtype"),
    "integers": ([CupyArray([1], np.int32)] * 2, (1.0, 0.0, 0.1), "float32 or float64, got int32"),
    "axes": ([CupyArray([[1.0]])] * 2, (1.0, 0.0, 0.1), "one dimension"),
    "devices": ([CupyArray([1.0]), np.ones(1, np.float32)], (1.0, 0.0, 0.1), "different devices"),
    "coefficient": ([CupyArray([1.0])] * 2, (1.0, "0", 0.1), "coefficient wd must be a number"),
    "too large": ([CupyArray([1.0])] * 2, (1.0, 10**400, 0.1), "wd is too large for float64"),
    "neither": ([object(), object()], (1.0, 0.0, 0.1), "NumPy or CuPy array, got object"),
}


@pytest.mark.parametrize(("arrays", "coefficients", "text"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(emulated, arrays, coefficients, text):
    driver, _ = emulated(sgd)
    with pytest.raises(TypeError if text != "one size" else ValueError, match=text):
        sgd.launch(arrays, coefficients)
    assert driver.calls == []


def test_scattered_memory_is_refused(emulated):
    driver, _ = emulated(sgd)
    scattered = CupyArray(np.zeros(4))
    scattered.values = np.zeros(8, np.float32)[::2]
    with pytest.raises(TypeError, match="contiguous"):
        sgd.launch([scattered] * 2, (1.0, 0.0, 0.1))
    assert driver.calls == []
