"""The CUDA adapter's bookkeeping, with stand-ins for CuPy, Numba's CUDA and the kernel."""

import gc
import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba_cuda")

from tinygrad_opt.kernels import all_finite, norm, sgd, sum_of_powers
from tinygrad_opt.kernels.compiler import cuda as adapter

FLOAT32 = np.dtype(np.float32)


class CupyArray:
    """Looks like a CuPy array to the adapter; its memory is NumPy's."""

    def __init__(self, values):
        self.values = np.asarray(values, np.float32)

    def __getattr__(self, name):
        return getattr(self.values, name)

    def __array__(self, *_, **__):
        return self.values

    @property
    def __cuda_array_interface__(self):
        return {"array": self.values}


CupyArray.__module__ = "cupy"


class Kernel:
    """Records how it was launched."""

    def __init__(self):
        self.calls = []

    def __getitem__(self, configuration):
        return lambda *arguments: self.calls.append((configuration, arguments))


@pytest.fixture
def conversions(monkeypatch):
    """Replace Numba's CUDA and CuPy; return the list of arrays converted to handles."""
    converted = []

    def convert(interface, sync):
        assert not sync
        converted.append(interface["array"])
        return f"handle {len(converted)}"

    fake = SimpleNamespace(
        from_cuda_array_interface=convert,
        external_stream=lambda pointer: f"stream {pointer}",
    )
    stream = SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=7))
    monkeypatch.setattr(adapter, "cuda", fake)
    monkeypatch.setattr(adapter, "_handles", {})
    monkeypatch.setattr(adapter, "_packed", {})  # Numba launches: the kernel below is none of its
    monkeypatch.setattr(adapter.numba.cuda.config, "CUDA_LOW_OCCUPANCY_WARNINGS", 0)
    numpy_as_cupy = SimpleNamespace(cuda=stream)
    for name in ("sum", "square", "abs", "max", "float64"):
        setattr(numpy_as_cupy, name, getattr(np, name))
    monkeypatch.setitem(sys.modules, "cupy", numpy_as_cupy)
    for cached in (adapter._streams, adapter._external_stream):
        cached.cache_clear()
    yield converted
    for cached in (adapter._streams, adapter._external_stream):
        cached.cache_clear()


def test_launch_on_the_current_stream_with_scalars_of_the_dtype(conversions):
    kernel = Kernel()
    p, g = CupyArray(np.zeros(1000)), CupyArray(np.zeros(1000))
    adapter.launch(kernel, (p, g), (1.0, 2), FLOAT32)
    ((configuration, arguments),) = kernel.calls
    assert configuration == (1, adapter.BLOCK, "stream 7")
    assert arguments == ("handle 1", "handle 2", 1.0, 2.0)
    assert all(type(value) is np.float32 for value in arguments[2:])


def test_blocks_of_a_grid_and_empty_arrays(conversions):
    kernel = Kernel()
    adapter.launch(kernel, (CupyArray(np.zeros(10**6)),), (), FLOAT32)
    assert kernel.calls[0][0][0] == 977  # of 1,024 elements
    adapter.launch(kernel, (CupyArray([]),), (), FLOAT32)
    assert len(kernel.calls) == 1


def test_an_array_is_converted_once_and_not_kept_alive(conversions):
    kernel, p = Kernel(), CupyArray([1.0])
    for _ in range(3):
        adapter.launch(kernel, (p,), (), FLOAT32)
    assert len(conversions) == 1
    del p
    gc.collect()
    assert not adapter._handles


def test_rules_go_to_the_adapter(conversions, monkeypatch):
    kernel = Kernel()
    monkeypatch.setitem(sgd._kernels["cuda"], FLOAT32, kernel)
    sgd.launch((CupyArray([1.0]), CupyArray([2.0])), (1.0, 0.0, 0.1))
    assert len(kernel.calls) == 1


def test_numbas_own_arrays_need_no_conversion():
    array = object()
    assert adapter._handle(array) is array
    assert adapter._stream(array) == 0


@pytest.mark.parametrize("order", [3, math.inf])
def test_norms(conversions, order):
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    assert norm(CupyArray(values), order) == pytest.approx(norm(values, order), rel=1e-12)


def test_finite_checks_and_empty_arrays(conversions):
    assert all_finite(CupyArray([1.0, -2.0]))
    assert not all_finite(CupyArray([1.0, math.nan]))
    assert not all_finite(CupyArray([1.0, -math.inf]))
    assert all_finite(CupyArray([]))
    assert sum_of_powers(CupyArray([]), 2) == 0.0


def test_numba_cuda_is_imported_with_a_numpy_that_lost_a_name():
    """NumPy 2.5 has no row_stack; afterwards it has none again."""
    code = (
        "import numpy; vars(numpy).pop('row_stack', None)\n"
        "from tinygrad_opt.kernels.compiler import cuda\n"
        "from numba.cuda.np import arrayobj\n"
        "assert not hasattr(numpy, 'row_stack')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
