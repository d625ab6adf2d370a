"""The fused kernels of networks against their twins in array code, and errors told later."""

import numpy as np
import pytest
from on_device import CUDA, cupy

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.arrays import xp as spaces
from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.kernels.fused import on_device
from tinygrad_opt.nn import functional as F

PLAIN = Namespace(np)
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def classes(rows, n, ignored=()):
    index = np.arange(rows) * 7 % n
    index[list(ignored)] = -100
    return index


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# What a namespace is called with; each has a kernel on the device.
CALLS = {
    "softmax": lambda normal: [(normal(2, 3, 5), -1), (normal(4, 1), 1), (normal(130), 0)],
    "softmax_back": lambda normal: [(normal(3, 5), normal(3, 5), -1), (normal(70), normal(70), 0)],
    "cross_entropy_rows": lambda normal: [
        (3 * normal(4, 70), classes(4, 70)),
        (3 * normal(2, 5, 3), classes(6, 5).reshape(2, 3)),
    ],
    "mean_cross_entropy_rows": lambda normal: [
        (3 * normal(5, 3), classes(5, 3), -100),
        (3 * normal(5, 3), classes(5, 3, [0, 3]), -100),
        (3 * normal(2, 3, 4), classes(8, 3, [0, 3]).reshape(2, 4), -100),
    ],
    "rows": lambda normal: [(normal(5, 3), np.array([[0, 4], [4, 1]]))],
    "lstm_step": lambda normal: [(normal(2, 12), normal(2, 12), normal(2, 3))],
    "lstm_step_back": lambda normal: [
        (sigmoid(normal(2, 12)), *(normal(2, 3) for _ in range(4))),
    ],
    "gru_step": lambda normal: [(normal(2, 9), normal(2, 9), normal(2, 3))],
    "gru_step_back": lambda normal: [
        (sigmoid(normal(2, 9)), normal(2, 9), normal(2, 3), normal(2, 3)),
    ],
    "relu_back": lambda normal: [(normal(3, 50), normal(3, 50).clip(0))],
}


@pytest.fixture
def launched(monkeypatch):
    """The names of the kernels that were launched."""
    names, launch = [], on_device._launch
    monkeypatch.setattr(on_device, "_launch", lambda *a: names.append(a[0]) or launch(*a))
    return names


def on_gpu(x):
    return cupy.asarray(x) if isinstance(x, np.ndarray) else x


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CALLS)
def test_a_kernel_equals_array_code(name, dtype, launched):
    rng = np.random.default_rng(0)
    for arguments in CALLS[name](lambda *shape: rng.standard_normal(shape).astype(dtype)):
        space = spaces.array_namespace(on_gpu(arguments[0]))
        launched.clear()
        found = as_tuple(getattr(space, name)(*map(on_gpu, arguments)))
        assert launched
        expected = as_tuple(getattr(PLAIN, name)(*arguments))
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.dtype == dtype
            assert ours.shape == np.shape(theirs)
            np.testing.assert_allclose(ours.get(), theirs, rtol=0, atol=TOLERANCE[dtype] * 4)


@pytest.mark.parametrize("affine", [(), ("weight",), ("bias",), ("weight", "bias")], ids=str)
@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 7)], ids=str)
def test_layer_norm(shape, affine, launched):
    rng = np.random.default_rng(0)
    values = {"x": rng.standard_normal(shape)}
    values |= {name: rng.standard_normal(shape[-1:]) for name in affine}
    g = rng.standard_normal(shape)

    def run(device):
        given = {k: tg.tensor(v, device=device, requires_grad=True) for k, v in values.items()}
        x = given["x"]
        y = F.layer_norm(x, shape[-1:], given.get("weight"), given.get("bias"))
        y.backward(tg.tensor(g, device=device))
        return [t.detach().cpu().numpy() for t in (y, *(p.grad for p in given.values()))]

    for ours, cpu in zip(run("cuda"), run("cpu"), strict=True):
        np.testing.assert_allclose(ours, cpu, rtol=0, atol=1e-12)
    assert launched == ["layer_norm", "layer_norm_back", *["column_sums"] * bool(affine)]


def test_large_layer_norms_leave_columns_to_cupy(launched, monkeypatch):
    monkeypatch.setattr("tinygrad_opt.arrays.gpu.SMALL", 1)
    x = tg.ones(3, 4, device="cuda", requires_grad=True)
    w = tg.ones(4, device="cuda", requires_grad=True)
    F.layer_norm(x, (4,), w, w).sum().backward()
    assert w.grad.tolist() == [3.0] * 4
    assert launched == ["layer_norm", "layer_norm_back"]


def test_what_a_kernel_does_not_take_is_left_to_array_code(launched):
    x = cupy.asarray(np.arange(6.0).reshape(2, 3))
    space = spaces.array_namespace(x)
    for given, axis in ((x, 0), (x.T, -1)):
        expected = PLAIN.softmax(given.get(), axis)
        np.testing.assert_allclose(space.softmax(given, axis).get(), expected, atol=1e-12)
    assert space.softmax(cupy.asarray(np.ones((2, 0))), 1).shape == (2, 0)
    assert launched == []


LATE = {
    "class": lambda: F.cross_entropy(tg.ones(2, 3, device=CUDA), tg.tensor([0, 3], device=CUDA)),
    "row": lambda: F.embedding(tg.tensor([0, -1], device=CUDA), tg.ones(2, 3, device=CUDA)),
}
WAITS = {
    "item": lambda y: y.sum().item(),
    "float": lambda y: float(y.sum()),
    "tolist": lambda y: y.tolist(),
    "cpu": lambda y: y.cpu(),
    "synchronize": lambda y: tg.cuda.synchronize(),
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize(("name", "text"), [("class", "Target 3 is out"), ("row", "self: -1 with")])
def test_an_index_out_of_range_is_told_at_the_next_wait(name, text, wait):
    y = LATE[name]()
    with pytest.raises(IndexError, match=text):
        WAITS[wait](y)
    assert np.isnan(y.cpu().numpy()).any()  # told once
    tg.cuda.synchronize()


def test_ignored_classes():
    def run(device):
        x = tg.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]], device=device, requires_grad=True)
        loss = F.cross_entropy(x, tg.tensor([0, -100, 1], device=device))
        (g,) = tg.autograd.grad(loss, x, create_graph=True)
        (h,) = tg.autograd.grad((g * g).sum(), x)
        none = F.cross_entropy(x, tg.tensor([-100] * 3, device=device))
        return [t.detach().cpu().numpy() for t in (loss, g, h, none)]

    for ours, cpu in zip(run("cuda"), run("cpu"), strict=True):
        np.testing.assert_allclose(ours, cpu, rtol=1e-5, atol=1e-7)


def test_a_step_waits_for_nothing_and_copies_nothing(monkeypatch):
    """What CuPy would wait for or upload in a step of a small network: counted, and none."""
    table, layer = nn.Embedding(7, 4), nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True)
    model = nn.Sequential(table, layer, nn.Linear(4, 5)).to("cuda")
    optimizer = tg.optim.AdamW(model.parameters())
    x, y = tg.tensor([[0, 6, 2]], device="cuda"), tg.tensor([1, 4, 0], device="cuda")

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).reshape(3, 5), y)
        loss.backward()
        optimizer.step()
        return loss

    step()
    crossings = []
    if cupy.__name__ == "cupy" and hasattr(cupy, "get_default_memory_pool"):
        pytest.skip("counted in the simulator: CuPy's own methods cannot be exchanged")
    kind = type(x.array)
    for name in ("get", "item", "tolist", "__float__", "__int__", "__bool__"):
        plain = getattr(kind, name)
        monkeypatch.setattr(
            kind, name, lambda a, n=name, plain=plain: crossings.append(n) or plain(a)
        )
    monkeypatch.setattr(cupy, "asarray", lambda *a, **k: crossings.append("asarray"))
    step()
    assert crossings == []
