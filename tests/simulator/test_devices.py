"""Everything on a CUDA device, run without one: CuPy's stand-in and numba-cuda's simulator.

Run with NUMBA_ENABLE_CUDASIM=1 pytest tests/simulator; it is skipped otherwise. What it cannot
show is what only a GPU does: compiled kernels, streams, and several devices.
"""

import copy
import gc
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("needs NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)
pytest.importorskip("numba_cuda")

sys.path[:0] = [str(Path(__file__).parent), *map(str, Path(__file__).parents[1:2])]
sys.path.insert(0, str(Path(__file__).parents[1] / "optim"))
import ops_table
import standin_cupy
from table import LABELS, OPTIMIZERS

cupy = standin_cupy.install()

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.backend import cupy as the_cupy
from tinygrad_opt.kernels import cuda as adapter
from tinygrad_opt.nn import functional as F

CUDA = tg.device("cuda", 0)


class OnCuda:
    """The module `tinygrad_opt`, except that new tensors lie on the CUDA device."""

    def __getattr__(self, name):
        return getattr(tg, name)

    def tensor(self, data, **kwargs):
        return tg.tensor(data, device="cuda", **kwargs)


@pytest.fixture(autouse=True, scope="module")
def _cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        yield


@pytest.fixture
def launches(monkeypatch):
    """The sizes of the arrays of every kernel launch."""
    sizes, launch = [], adapter.launch

    def counted(kernel, arrays, coefficients, dtype):
        sizes.append(arrays[0].size)
        launch(kernel, arrays, coefficients, dtype)

    monkeypatch.setattr(adapter, "launch", counted)
    return sizes


def host(x):
    """The values of a Tensor that must lie on the CUDA device."""
    assert type(x.array) is cupy.ndarray
    assert x.device == CUDA
    return x.detach().cpu().numpy()


# The stand-in itself ------------------------------------------------------------------------------


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
        with pytest.raises(TypeError, match="Unsupported type <class 'numpy.ndarray'>"):
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
    assert x.tolist() == [[0, 1, 2], [7, 7, 7]]
    with pytest.raises(IndexError):
        x[2]
    with pytest.raises(NotImplementedError):
        cupy.maximum.reduce(x)
    with pytest.raises(TypeError, match="atomic"):
        cupy.add.at(x, cupy.asarray([0]), 1)


# Operations ---------------------------------------------------------------------------------------


def on(device, arrays):
    return [tg.tensor(x, dtype=tg.float32, device=device).requires_grad_() for x in arrays]


def results(row, module, tensors):
    """The value, the gradients, and (where offered) the gradients of the squared gradients."""
    y = row.call(module, *tensors)
    (y * y).sum().backward()
    values = [y, *(x.grad for x in tensors)]
    if row.second:
        y = row.call(module, *tensors)
        first = tg.autograd.grad((y * y).sum(), tensors, create_graph=True)
        total = sum((g * g).sum() for g in first)
        if total.requires_grad:
            values += tg.autograd.grad(total, tensors, materialize_grads=True)
    return values


@pytest.mark.parametrize("row", ops_table.OPS, ids=lambda row: row.name)
def test_operations_give_what_they_give_on_the_cpu(row, monkeypatch):
    expected = results(row, tg, on("cpu", row.inputs()))
    for name in ("TARGET", "LABELS", "INDEX"):  # arrays that the rows name
        monkeypatch.setattr(ops_table, name, cupy.asarray(getattr(ops_table, name)))
    for ours, cpu in zip(results(row, OnCuda(), on("cuda", row.inputs())), expected, strict=True):
        assert ours.dtype == cpu.dtype
        scale = np.abs(cpu.array).max(initial=1)
        np.testing.assert_allclose(host(ours), cpu.detach().numpy(), rtol=0, atol=4e-6 * scale)


LOSSES = {
    "cross_entropy: weights": lambda x, y, w: F.cross_entropy(x, y, w, label_smoothing=0.1),
    "cross_entropy: ignored": lambda x, y, w: F.cross_entropy(x, y, ignore_index=1),
    "nll_loss": lambda x, y, w: F.nll_loss(tg.log_softmax(x, 1), y),
    "binary_cross_entropy": lambda x, y, w: F.binary_cross_entropy(tg.sigmoid(x), (x > 0).float()),
    "binary_cross_entropy: certain": lambda x, y, w: F.binary_cross_entropy(
        (x * 1e3).clip(0, 1), (x < 0).float()),
    "with_logits": lambda x, y, w: F.binary_cross_entropy_with_logits(x, (x > 0).float(), w),
    "l1_loss": lambda x, y, w: F.l1_loss(x, x.detach() * 0.5 - 1),
    "huber_loss": lambda x, y, w: F.huber_loss(x, x.detach() * 2),
    "embedding": lambda x, y, w: F.embedding(y, x, padding_idx=0).sum(),
    "layer_norm": lambda x, y, w: (F.layer_norm(x, [3], w, w) ** 2).sum(),
    "elu": lambda x, y, w: F.elu(x).sum(),
    "gelu": lambda x, y, w: F.gelu(x).sum(),
    "normalize": lambda x, y, w: (F.normalize(x) * w).sum(),
    "one_hot": lambda x, y, w: (x * F.one_hot(y, 3)).sum(),
    "dropout": lambda x, y, w: F.dropout(x, 0.5).sum(),
}  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_functional(loss):
    values = np.random.default_rng(1).standard_normal((4, 3))
    found = []
    for device in ("cpu", "cuda"):
        tg.manual_seed(5)
        (x,) = on(device, [values])
        y = tg.tensor([2, 0, 1, 2], device=device)
        out = loss(x, y, tg.tensor([1.0, 0.5, 2.0], device=device))
        out.backward()
        assert x.grad.device == out.device == tg.device(device)
        found.append((out.item(), x.grad.cpu().numpy()))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=2e-6)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=0, atol=1e-6)


def test_where_of_numbers_is_float32():
    y = tg.where(tg.tensor([True, False], device="cuda"), 1.0, 2.5)
    assert y.dtype == tg.float32
    assert host(y).tolist() == [1.0, 2.5]


def test_promotion_as_on_the_cpu():
    i = tg.tensor([1, 2], device="cuda")
    assert (i / 2).dtype == tg.float32
    assert (i // 2).dtype == tg.int64
    assert (i * tg.tensor([0.5, 0.5], device="cuda")).dtype == tg.float32
    assert tg.exp(i).dtype == tg.float32
    assert (tg.ones(2, device="cuda") * 2.0).dtype == tg.float32
    assert host(i.double() / 3).dtype == np.float64


def test_in_place():
    x = tg.zeros(2, 3, device="cuda")
    array = x.array
    x.add_(2.0).mul_(x).clamp_(max=3.5).sub_(tg.ones(3, device="cuda"))
    x += 1
    x[0, 1] = 9.0
    x[1] = tg.tensor([1.0, 2.0, 3.0], device="cuda")
    x.masked_fill_(tg.tensor([[True, False, False]], device="cuda"), -1.0)
    x[:, 2].copy_(tg.tensor([5.0, 6.0]))
    assert x.array is array
    assert host(x).tolist() == [[-1.0, 9.0, 5.0], [-1.0, 2.0, 6.0]]


# Conversions --------------------------------------------------------------------------------------


def test_there_and_back():
    x = tg.tensor([[1.0, 2.0]], requires_grad=True)
    y = x.to("cuda")
    assert y.is_cuda
    assert y.to("cuda:0") is y
    assert not y.cpu().is_cuda
    (y * y).sum().backward()
    assert type(x.grad.array) is np.ndarray  # the gradient comes back to where x lies
    assert x.grad.tolist() == [[2.0, 4.0]]
    y.detach().array[...] = 0
    assert x.tolist() == [[1.0, 2.0]]  # another memory
    assert y.to(tg.float64).device == CUDA
    assert x.detach().to(y).device == CUDA
    assert repr(tg.ones(1, device="cuda")) == "tensor([1.], device='cuda:0')"


def test_numpy_is_refused():
    x = tg.ones(2, device="cuda")
    message = "can't convert cuda:0 device type tensor to numpy"
    with pytest.raises(TypeError, match=message):
        x.numpy()
    with pytest.raises(TypeError, match=message):
        np.asarray(x)
    assert x.tolist() == [1.0, 1.0]
    assert x.sum().item() == 2.0


def test_a_device_that_is_not_there():
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        tg.ones(1).to("cuda:3")


def test_copies_stay_on_the_device():
    x = tg.ones(2, device="cuda", requires_grad=True)
    for copied in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert host(copied).tolist() == [1.0, 1.0]
        assert copied.requires_grad
        assert copied.array is not x.array
    assert tg.tensor(x.array).array is not x.array
    assert host(tg.ones_like(x)).tolist() == host(x.new_tensor([1, 1])).tolist()


@pytest.mark.parametrize("make", [tg.zeros, tg.ones, tg.rand, tg.randn], ids=lambda f: f.__name__)
def test_made_on_the_device(make):
    tg.manual_seed(3)
    expected = make(2, 3).numpy()
    tg.manual_seed(3)
    np.testing.assert_array_equal(host(make(2, 3, device="cuda")), expected)


MIXED = {
    "add": lambda x, y: x + y,
    "radd": lambda x, y: y + x,
    "mul": lambda x, y: x * y,
    "compare": lambda x, y: x < y,
    "matmul": lambda x, y: x @ y,
    "linear": lambda x, y: F.linear(x, y),
    "linear: bias": lambda x, y: F.linear(x, x, y[0]),
    "cat": lambda x, y: tg.cat([x, y]),
    "stack": lambda x, y: tg.stack([y, x]),
    "where": lambda x, y: tg.where(x > 0, y, y),
    "mse_loss": lambda x, y: F.mse_loss(y, x),
    "cross_entropy": lambda x, y: F.cross_entropy(x, y.long()[0]),
    "cross_entropy: weights": lambda x, y: F.cross_entropy(x, y.long()[0], x[0]),
    "nll_loss": lambda x, y: F.nll_loss(x, y.long()[0]),
    "embedding": lambda x, y: F.embedding(y.long(), x),
    "add_": lambda x, y: x.add_(y),
    "setitem": lambda x, y: x.__setitem__(slice(None), y),
    "grad": lambda x, y: setattr(x, "grad", y),
    "gradient": lambda x, y: (x.requires_grad_() * 2).backward(y),
}


@pytest.mark.parametrize("mix", MIXED.values(), ids=MIXED.keys())
@pytest.mark.parametrize("first", ["cpu", "cuda"])
def test_devices_do_not_mix(mix, first):
    second = "cuda" if first == "cpu" else "cpu"
    with pytest.raises(RuntimeError, match="same device"):
        mix(tg.ones(2, 2, device=first), tg.ones(2, 2, device=second))


def test_the_error_names_both_devices():
    with pytest.raises(RuntimeError) as raised:
        tg.ones(2, device="cuda") * tg.ones(2)
    assert "mul: Expected all tensors to be on the same device" in str(raised.value)
    assert "cuda:0 and cpu" in str(raised.value)


def test_errors_are_those_of_the_cpu():
    x = tg.ones(2, 3, device="cuda")
    with pytest.raises(RuntimeError, match=r"tensor a \(3\) must match the size of tensor b \(2\)"):
        x + tg.ones(2, device="cuda")
    with pytest.raises(IndexError, match="Dimension out of range"):
        x.sum(2)
    with pytest.raises(IndexError, match=r"Target 3 is out of bounds"):
        F.cross_entropy(x, tg.tensor([0, 3], device="cuda"))
    with pytest.raises(IndexError, match="index out of range in self: 2 with 2 rows"):
        F.embedding(tg.tensor([0, 2], device="cuda"), x)


# Training -----------------------------------------------------------------------------------------


def network(device="cpu"):
    tg.manual_seed(7)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).to(device)


RNG = np.random.default_rng(2)
X, Y = RNG.standard_normal((8, 4)).astype(np.float32), RNG.integers(0, 3, 8)


def train(model, optimizer, steps=5, clip=None):
    device = next(model.parameters()).device
    x, y = tg.tensor(X, device=device), tg.tensor(Y, device=device)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_same(model, expected, atol=1e-6):
    for p, q in zip(model.parameters(), expected.parameters(), strict=True):
        np.testing.assert_allclose(host(p), q.detach().numpy(), rtol=0, atol=atol)


def test_one_seed_gives_one_network():
    assert_same(network("cuda"), network(), atol=0)
    model = network("cuda")
    tg.manual_seed(1)
    for p in model.parameters():
        nn.init.normal_(p)
    expected = network()
    tg.manual_seed(1)
    for p in expected.parameters():
        nn.init.normal_(p)
    assert_same(model, expected, atol=0)


@pytest.mark.parametrize("row", OPTIMIZERS, ids=LABELS)
def test_training_ends_where_it_ends_on_the_cpu(row, launches):
    expected, model = network(), network("cuda")
    start = network()
    cpu_losses = train(expected, row.cls(expected.parameters(), **row.settings))
    assert launches == []
    losses = train(model, row.cls(model.parameters(), **row.settings))
    size = sum(p.numel() for p in model.parameters())
    assert launches == [size] * 5  # one launch per step, for all parameters
    np.testing.assert_allclose(losses, cpu_losses, rtol=1e-5)
    assert_same(model, expected)
    moved = [np.abs(p.numpy() - q.numpy()).max() for p, q in
             zip(start.state_dict().values(), expected.state_dict().values(), strict=True)]  # fmt: skip
    assert min(moved) > 1e-3


def test_one_launch_per_group_and_step(launches):
    model = network("cuda")
    first, _, last = model
    groups = [{"params": first.parameters()}, {"params": last.parameters(), "lr": 0.1}]
    train(model, optim.Adam(groups, lr=0.01), steps=2)
    assert launches == [30, 21] * 2


def test_a_missing_gradient_splits_the_launch(launches):
    model = network("cuda")
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, steps=1)
    model[0].bias.grad = None
    kept = host(model[0].bias)
    optimizer.step()
    assert launches == [51, 24, 21]
    np.testing.assert_array_equal(host(model[0].bias), kept)


def test_the_optimizer_may_come_before_the_move(launches):
    expected, model = network(), network()
    for m, device in ((expected, "cpu"), (model, "cuda")):
        optimizer = optim.Adam(m.parameters(), lr=0.02)
        train(m, optimizer, steps=2)  # both on the CPU
        m.to(device)
        train(m, optimizer, steps=3)
        for p in m.parameters():
            assert optimizer.state[p]["exp_avg"].device == tg.device(device)
            assert optimizer.state[p]["step"].item() == 5
    assert launches == [51] * 3
    assert_same(model, expected)


def test_parameters_and_gradients_are_views_of_flat_buffers():
    model = network("cuda")
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    train(model, optimizer, steps=2)
    for part in (lambda p: p.array, lambda p: p.grad.array,
                 lambda p: optimizer.state[p]["exp_avg"].array):  # fmt: skip
        bases = {id(part(p).base) for p in model.parameters()}
        assert len(bases) == 1
        assert part(next(model.parameters())).base.size == 51


def test_a_kept_view_is_not_cut_off(launches):
    """Reference counts tell on the device too who holds a parameter's memory."""
    p = nn.Parameter(tg.ones(3, device="cuda"))
    q = nn.Parameter(tg.ones(2, device="cuda"))
    view = p.data.array[1:]
    optimizer = optim.SGD([p, q], lr=1.0)
    (p.sum() + q.sum()).backward()
    kept = p.grad
    optimizer.step()
    assert view.tolist() == [0.0, 0.0]
    assert sorted(launches) == [2, 3]
    optimizer.zero_grad()
    (2 * p).sum().backward()
    assert kept.tolist() == [1.0, 1.0, 1.0]
    assert p.grad.tolist() == [2.0, 2.0, 2.0]


def test_gradients_accumulate():
    model, expected = network("cuda"), network()
    for m in (model, expected):
        optimizer = optim.SGD(m.parameters(), lr=0.1)
        train(m, optimizer, steps=1)
        train_again = nn.CrossEntropyLoss()(
            m(tg.tensor(X, device=next(m.parameters()).device)),
            tg.tensor(Y, device=next(m.parameters()).device),
        )
        train_again.backward()
    for p, q in zip(model.parameters(), expected.parameters(), strict=True):
        np.testing.assert_allclose(host(p.grad), q.grad.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3, float("inf")])
def test_clipping(order):
    norms, found = [], []
    for device in ("cpu", "cuda"):
        model = network(device)
        train(model, optim.SGD(model.parameters(), lr=0.0), steps=1)
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.05, order)
        assert norm.device == tg.device(device)
        assert norm.dtype == tg.float32
        norms.append(norm.item())
        found.append(nn.utils.get_total_norm([p.grad for p in model.parameters()], order).item())
    assert norms[1] == pytest.approx(norms[0], rel=1e-6)
    assert norms[1] > 0.1
    assert found == pytest.approx([0.05, 0.05], rel=1e-4)


def test_clipping_in_training():
    expected, model = network(), network("cuda")
    for m in (expected, model):
        train(m, optim.AdamW(m.parameters(), lr=0.02), clip=0.1)
    assert_same(model, expected)


def test_clipping_values_and_non_finite_norms():
    p = nn.Parameter(tg.zeros(3, device="cuda"))
    p.grad = tg.tensor([-3.0, 0.5, 3.0], device="cuda")
    nn.utils.clip_grad_value_([p], 1.0)
    assert p.grad.tolist() == [-1.0, 0.5, 1.0]
    p.grad[1] = float("nan")
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)


# State --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("saved_on", "loaded_on"), [("cuda", "cpu"), ("cpu", "cuda")])
@pytest.mark.parametrize("through", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))],
                         ids=["copied", "pickled"])  # fmt: skip
def test_state_moves_between_devices(saved_on, loaded_on, through):
    settings = dict(lr=0.02, betas=(0.7, 0.95))
    expected = network()
    train(expected, optim.Adam(expected.parameters(), **settings), steps=5)

    model = network(saved_on)
    optimizer = optim.Adam(model.parameters(), **settings)
    train(model, optimizer, steps=2)
    saved = through({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    assert all(t.device == tg.device(saved_on) for t in saved["model"].values())

    other = network(loaded_on)
    with tg.no_grad():
        for p in other.parameters():
            p.zero_()
    resumed = optim.Adam(other.parameters(), lr=0.5)
    other.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["optimizer"])
    for p in other.parameters():
        assert p.device == resumed.state[p]["exp_avg"].device == tg.device(loaded_on)
    train(other, resumed, steps=3)
    assert_same(other.cuda(), expected)


def test_modules_move_in_place():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Embedding(3, 2))
    parameters = list(model.parameters())
    model[0].weight.grad = tg.ones(2, 2)
    assert model.to("cuda") is model
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert all(p.is_cuda and p.is_leaf for p in parameters)
    assert host(model[0].weight.grad).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert not any(p.is_cuda for p in model.cpu().parameters())


def test_a_step_leaves_no_memory_behind():
    model = network("cuda")
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    train(model, optimizer, steps=2)

    def alive():
        gc.collect()
        return sum(type(x) is cupy.ndarray for x in gc.get_objects())

    before = alive()
    train(model, optimizer, steps=3)
    assert alive() == before
