"""Tensors on a CUDA device: operations, conversions, and what must not mix."""

import copy
import pickle

import numpy as np
import ops_table
import pytest
from on_device import CUDA, SIMULATED, cupy, host
from op_rows import pool, rows

import tinygrad_opt as tg
from tinygrad_opt.nn import functional as F


class OnCuda:
    """The module `tinygrad_opt`, except that new tensors lie on the CUDA device."""

    def __getattr__(self, name):
        return getattr(tg, name)

    def tensor(self, data, **kwargs):
        return tg.tensor(data, device="cuda", **kwargs)


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


# Kernels of their own on each side: where it counts most, both are equally far from float64.
# Of complex functions, what is left of large powers that cancel.
TOLERANCE = {"standardize": 8e-5, "rnn": 5e-5, "complex": 5e-4, "complex: sin": 5e-2}
USUAL = 4e-6 if SIMULATED else 1e-5


@pytest.mark.parametrize("row", ops_table.OPS, ids=lambda row: row.name)
def test_operations_give_what_they_give_on_the_cpu(row, monkeypatch):
    expected = results(row, tg, on("cpu", row.inputs()))
    named = [(rows, name) for name in ("TARGET", "LABELS", "INDEX", "PLACE")]
    for module, name in [*named, (pool, "CHOICE")]:  # arrays that the rows name
        monkeypatch.setattr(module, name, cupy.asarray(getattr(module, name)))
    for ours, cpu in zip(results(row, OnCuda(), on("cuda", row.inputs())), expected, strict=True):
        assert ours.dtype == cpu.dtype
        scale = np.abs(cpu.array).max(initial=1)
        family = TOLERANCE.get(row.name.split(":")[0], USUAL)
        atol = TOLERANCE.get(row.name, family) * scale
        np.testing.assert_allclose(host(ours), cpu.detach().numpy(), rtol=0, atol=atol)


LOSSES = {
    "cross_entropy: weights": lambda x, y, w: F.cross_entropy(x, y, w, label_smoothing=0.1),
    "cross_entropy: ignored": lambda x, y, w: F.cross_entropy(x, y, ignore_index=1),
    "cosine_similarity": lambda x, y, w: F.cosine_similarity(x, x * x).sum(),
    "multi_margin_loss": lambda x, y, w: F.multi_margin_loss(x, y),
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
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=2e-6, atol=2e-6)


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
    with pytest.raises(
        RuntimeError, match="cuda:3: invalid device ordinal: tensors lie on one GPU"
    ):
        tg.ones(1).to("cuda:3")
    with pytest.raises(RuntimeError, match="CUDA_VISIBLE_DEVICES=1"):
        tg.ones(1, device=tg.device("cuda", 1))


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
        F.cross_entropy(x, tg.tensor([0, 3], device="cuda")).item()  # told at the next wait
    with pytest.raises(IndexError, match="index out of range in self: 2 with 2 rows"):
        F.embedding(tg.tensor([0, 2], device="cuda"), x).tolist()
