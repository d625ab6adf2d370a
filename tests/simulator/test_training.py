"""Networks, optimizers and their state on a CUDA device, against the same on the CPU."""

import copy
import gc
import pickle

import numpy as np
import pytest
from on_device import SIMULATED, cupy, host
from table import LABELS, OPTIMIZERS

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.kernels.compiler import cuda as adapter


@pytest.fixture
def launches(monkeypatch):
    """The sizes of the arrays of every kernel launch."""
    sizes, launch = [], adapter.launch

    def counted(kernel, arrays, coefficients, dtype, held=None):
        sizes.append(arrays[0].size)
        launch(kernel, arrays, coefficients, dtype)

    monkeypatch.setattr(adapter, "launch", counted)
    return sizes


# Training -----------------------------------------------------------------------------------------


def network(device="cpu"):
    tg.manual_seed(9)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).to(device)


RNG = np.random.default_rng(2)
X, Y = RNG.standard_normal((8, 4)).astype(np.float32), RNG.integers(0, 3, 8)


def train(model, optimizer, steps=5, clip=None):
    device = next(model.parameters()).device
    x, y = tg.tensor(X, device=device), tg.tensor(Y, device=device)
    losses = []
    if hasattr(optimizer, "train"):
        optimizer.train()  # schedule-free
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_same(model, expected, atol=2e-6 if SIMULATED else 3e-6):
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
    if "cautious" not in row.settings:  # which looks at each parameter by itself
        assert launches == [size] * 5  # one launch per step, for all parameters
    np.testing.assert_allclose(losses, cpu_losses, rtol=1e-5)
    assert_same(model, expected)
    pairs = zip(start.parameters(), expected.parameters(), strict=True)
    moved = [(p - q).abs().max().item() for p, q in pairs]
    assert min(moved) > 1e-3


def test_schedule_free_modes_on_a_device():
    def values(m):
        return [p.detach().cpu().numpy().copy() for p in m.parameters()]

    expected, model = network(), network("cuda")
    ends = []
    for m in (expected, model):
        optimizer = optim.AdamWScheduleFree(m.parameters(), lr=0.05)
        train(m, optimizer)
        y = values(m)
        optimizer.eval()
        ends.append(values(m))
        optimizer.train()
        assert all((a == b).all() for a, b in zip(values(m), y, strict=True))
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


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
    optimizer.step()
    assert view.tolist() == [0.0, 0.0]
    assert sorted(launches) == [2, 3]


def test_a_kept_gradient_is_not_overwritten(launches):
    p = nn.Parameter(tg.ones(3, device="cuda"))
    optimizer = optim.SGD([p], lr=1.0)
    kept = []
    for factor in (1.0, 2.0, 4.0):
        optimizer.zero_grad()
        (factor * p).sum().backward()
        optimizer.step()
        kept.append(p.grad)
    assert [g.tolist() for g in kept] == [[1.0] * 3, [2.0] * 3, [4.0] * 3]
    assert p.tolist() == [-6.0] * 3


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
