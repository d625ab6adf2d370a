"""Devices by name, and what happens where there is no CuPy. `tests/simulator` has the rest."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.arrays import device, xp


@pytest.fixture
def no_cupy(monkeypatch):
    """CuPy cannot be imported, whether it is installed or not."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    device.cupy.cache_clear()
    yield
    device.cupy.cache_clear()


# Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "kind", "index"),
    [
        (("cpu",), "cpu", None),
        (("cuda",), "cuda", None),
        (("cuda:0",), "cuda", 0),
        (("cuda:12",), "cuda", 12),
        (("cuda", 1), "cuda", 1),
        ((tg.device("cuda:3"),), "cuda", 3),
        ((tg.device("cuda:3"), 2), "cuda", 2),
    ],
)
def test_spellings(arguments, kind, index):
    device = tg.device(*arguments)
    assert (device.type, device.index) == (kind, index)


@pytest.mark.parametrize(
    "name", ["gpu", "", "cuda:", "cuda:one", "cuda:-1", "cuda:1:2", "CPU", None]
)
def test_bad_names(name):
    with pytest.raises(RuntimeError, match="Expected a device string of the form") as raised:
        tg.device(name)
    assert str(raised.value).endswith(f"got {name!r}")


def test_bad_names_in_conversions():
    for convert in (tg.ones(2).to, nn.Linear(2, 2).to, lambda name: tg.ones(2, device=name)):
        with pytest.raises(RuntimeError, match="got 'tpu'"):
            convert("tpu")


def test_equality_and_hash():
    cuda = tg.device("cuda")
    assert cuda == tg.device("cuda:0")  # no index means the first
    assert hash(cuda) == hash(tg.device("cuda:0"))
    assert cuda != tg.device("cuda:1")
    assert cuda != tg.device("cpu")
    assert tg.device("cpu") == tg.device("cpu:0")
    assert hash(tg.device("cpu")) == hash(tg.device("cpu:0"))
    assert cuda != "cuda"
    assert {tg.device("cuda:1"): 5}[tg.device("cuda", 1)] == 5


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1"])
def test_text(name):
    device = tg.device(name)
    assert str(device) == name
    index = f", index={name[5:]}" if ":" in name else ""
    assert repr(device) == f"device(type='{name[:4].rstrip(':')}'{index})"


def test_tensors_lie_on_the_cpu():
    x = tg.ones(2)
    assert x.device == tg.device("cpu")
    assert not x.is_cuda
    assert x.to("cpu") is x
    assert x.cpu() is x
    assert tg.ones(2, device="cpu").device == x.device
    assert nn.Linear(2, 2).to("cpu").weight.device == x.device


# Without CuPy -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda: tg.ones(2).to("cuda"),
        lambda: tg.ones(2).cuda(),
        lambda: tg.ones(2, device="cuda:1"),
        lambda: nn.Linear(2, 2).to("cuda"),
        lambda: nn.Linear(2, 2).cuda(),
    ],
)
def test_the_error_names_the_extra(no_cupy, ask):
    with pytest.raises(ImportError, match=r'pip install "tinygrad_opt\[cuda\]"'):
        ask()


def test_a_failed_move_changes_nothing(no_cupy):
    layer = nn.Linear(2, 2)
    arrays = [p.array for p in layer.parameters()]
    with pytest.raises(RuntimeError, match="CuPy cannot be imported"):
        layer.to("cuda")
    assert all(p.array is a for p, a in zip(layer.parameters(), arrays, strict=True))


def test_no_device_is_available(no_cupy):
    assert tg.cuda.is_available() is False
    assert tg.cuda.device_count() == 0
    tg.cuda.synchronize()  # nothing to wait for


def test_cupy_without_a_gpu(monkeypatch):
    def no_driver():
        raise RuntimeError("cudaErrorNoDevice")

    runtime = SimpleNamespace(getDeviceCount=lambda: 2)
    module = SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", module)
    device.cupy.cache_clear()
    try:
        assert tg.cuda.is_available()
        assert tg.cuda.device_count() == 2
        runtime.getDeviceCount = lambda: 0
        assert not tg.cuda.is_available()
        runtime.getDeviceCount = no_driver
        assert not tg.cuda.is_available()
        assert tg.cuda.device_count() == 0
    finally:
        device.cupy.cache_clear()


def test_arrays_name_their_namespace():
    array = np.ones(2)
    assert xp.xp(array) is xp.xp(1.0) is xp.array_namespace(array)
    assert xp.xp(array).exp is np.exp
    assert device.to_device(array, "cpu") is array
