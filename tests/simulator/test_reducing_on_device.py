"""Optimizers that reduce before they step, on a CUDA device, against the same on the CPU."""

import numpy as np
import pytest
from on_device import CUDA, host

import tinygrad_opt as tg
from tinygrad_opt import kernels, optim
from tinygrad_opt.kernels.fused import reduce
from tinygrad_opt.kernels.fused.on_device import sums as sums_on_device

SETTINGS = [
    ("Adafactor", dict(lr=0.1, weight_decay=0.1, maximize=True)),
    ("Muon", dict(lr=0.1)),
    ("Muon", dict(lr=0.1, nesterov=False, adjust_lr_fn="match_rms_adamw")),
    ("LAMB", dict(lr=0.1, weight_decay=0.1)),
    ("LARS", dict(lr=10.0, weight_decay=0.1)),
    ("Prodigy", dict(d0=0.1, weight_decay=0.1)),
    ("Prodigy", dict(d0=0.1, weight_decay=0.1, decouple=False)),
    ("SOAP", dict(lr=0.1, precondition_frequency=2)),
    ("SOAP", dict(lr=0.1, precondition_frequency=2, max_precond_dim=2)),
]

TOLERANCE = {"SOAP": 1e-6}  # its bases: eigenvectors, of which other libraries find other digits


def parameters(name, device):
    shapes = [(3, 2), (2, 3)] if name == "Muon" else [(3,), (2, 3)]
    values = [np.cos(np.arange(np.prod(s)).reshape(s) + i) for i, s in enumerate(shapes)]
    return [tg.tensor(v, device=device).requires_grad_() for v in values]


def go_on(params, optimizer, steps):
    for step in steps:
        for i, p in enumerate(params):
            # Of full rank: along a direction without gradients, rounding errors over eps decide.
            g = np.sin((step + 1.3) * (i + 1 + np.arange(p.numel()))).reshape(p.shape)
            p.grad = tg.tensor(g, device=p.device)
        optimizer.step()


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=str)
def test_they_end_where_they_end_on_the_cpu(name, settings):
    expected, params = parameters(name, "cpu"), parameters(name, "cuda")
    for ps in (expected, params):
        go_on(ps, getattr(optim, name)(ps, **settings), range(6))
    for p, q in zip(params, expected, strict=True):
        np.testing.assert_allclose(host(p), q.detach().numpy(), rtol=TOLERANCE.get(name, 1e-10))


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in SETTINGS))
def test_state_moves_with_the_parameters(name):
    settings = next(s for n, s in SETTINGS if n == name)
    expected, params = parameters(name, "cpu"), parameters(name, "cpu")
    optimizer = getattr(optim, name)(params, **settings)
    go_on(params, optimizer, range(3))
    for p in params:
        p.data = p.data.cuda()
    go_on(params, optimizer, range(3, 6))
    go_on(expected, getattr(optim, name)(expected, **settings), range(6))
    for p, q in zip(params, expected, strict=True):
        np.testing.assert_allclose(host(p), q.detach().numpy(), rtol=TOLERANCE.get(name, 1e-10))


@pytest.mark.parametrize("settings", [dict(lr=0.01), dict(line_search_fn="strong_wolfe")], ids=str)
def test_lbfgs_ends_where_it_ends_on_the_cpu(settings):
    def run(device):
        x = tg.tensor([-1.2, 0.3], dtype=tg.float64, device=device).requires_grad_()
        y = tg.tensor([[1.0, -0.5]], dtype=tg.float64, device=device).requires_grad_()
        optimizer = optim.LBFGS([x, y], max_iter=4, **settings)

        def closure():
            optimizer.zero_grad()
            loss = ((1 - x) ** 2).sum() + 100 * ((y - x * x) ** 2).sum()
            loss.backward()
            return loss

        for _ in range(2):
            optimizer.step(closure)
        return x, y

    for p, q in zip(run("cuda"), run("cpu"), strict=True):
        np.testing.assert_allclose(host(p), q.detach().numpy(), rtol=1e-10)


def test_products_of_device_vectors():
    x, y = (np.random.default_rng(i).standard_normal(1000).astype(np.float32) for i in (0, 1))
    on_device = kernels.dot(tg.tensor(x, device=CUDA).array, tg.tensor(y, device=CUDA).array)
    assert on_device == pytest.approx(kernels.dot(x, y), rel=1e-12)
    with pytest.raises(TypeError, match="of one dtype, on one device"):
        kernels.dot(tg.tensor(x, device=CUDA).array, y)


OFFSETS = (3, 3, 10, 60, 1000)
PARTS = {"norms": 1, "magnitudes": 1, "nonzeros": 1, "dots": 2}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PARTS)
def test_sums_of_parts(name, dtype, monkeypatch):
    monkeypatch.setattr(sums_on_device, "PIECE", 256)
    sums_on_device._pieces.cache_clear()
    sums_on_device._on_device.cache_clear()
    rng = np.random.default_rng(0)
    vectors = [rng.standard_normal(1000).astype(dtype) for _ in range(PARTS[name])]
    vectors[0][::7] = 0
    function = getattr(reduce, name)
    found = function(*(tg.tensor(v, device=CUDA).array for v in vectors), OFFSETS)
    assert found == pytest.approx(function(*vectors, OFFSETS), rel=1e-12)
    whole = function(*(tg.tensor(v, device=CUDA).array for v in vectors), (60, 1000))
    assert whole == found[-1:]  # whatever lies beside it
    sums_on_device._pieces.cache_clear()
    sums_on_device._on_device.cache_clear()


@pytest.mark.parametrize("order", [1, 2])
def test_norms_of_device_vectors(order):
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    on_device = tg.tensor(x, device=CUDA).array
    assert kernels.norm(on_device, order) == pytest.approx(kernels.norm(x, order), rel=1e-12)
    assert kernels.norm(on_device[:0], order) == 0.0


def test_parts_must_lie_within_the_vectors():
    x = tg.ones(4, device=CUDA).array
    for y, offsets in ((x, (0, 5)), (x, (-1, 4)), (x[:3], (0, 3))):
        with pytest.raises(ValueError, match="offsets must lie within the vectors, got 4 and"):
            reduce.dots(x, y, offsets)
