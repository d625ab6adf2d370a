"""What only a GPU can show: streams, threads, other libraries' memory, compiled kernels."""

import math
import os
import threading

import numpy as np
import pytest
from on_device import SIMULATED, cupy, host

import tinygrad_opt as tg
from tinygrad_opt import kernels, nn, optim
from tinygrad_opt.kernels.compiler import cuda as adapter

if SIMULATED:
    pytest.skip("needs a GPU", allow_module_level=True)


def other(name):
    """PyTorch or JAX, if it sees the GPU too."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX takes all it gets
    module = pytest.importorskip(name)
    there = module.cuda.is_available() if name == "torch" else module.default_backend() == "gpu"
    return module if there else pytest.skip(f"{name} sees no GPU")


def test_pytorch_shares_memory():
    torch = other("torch")
    theirs = torch.arange(6.0, device="cuda").reshape(2, 3)
    for share in (tg.from_dlpack, tg.as_tensor, tg.Tensor):
        ours = share(theirs)
        assert type(ours.array) is cupy.ndarray
        assert ours.data_ptr() == theirs.data_ptr()
        assert ours.tolist() == theirs.tolist()
    ours.mul_(2)
    tg.cuda.synchronize()
    assert theirs[1, 2].item() == 10.0
    for back in (torch.from_dlpack(ours), torch.as_tensor(ours)):
        assert back.data_ptr() == theirs.data_ptr()
    copied = tg.tensor(theirs)
    assert copied.data_ptr() != theirs.data_ptr()
    assert copied.tolist() == theirs.tolist()


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_pytorchs_parameter_is_stepped_where_it_lies(name):
    torch = other("torch")
    theirs = torch.nn.Linear(3, 2, device="cuda")
    before = theirs.weight.detach().clone()
    p = nn.Parameter(tg.from_dlpack(theirs.weight.detach()))
    optimizer = getattr(optim, name)([p], lr=0.5)
    for _ in range(2):
        p.grad = tg.ones(2, 3, device="cuda")
        optimizer.step()
    tg.cuda.synchronize()
    assert p.data_ptr() == theirs.weight.data_ptr()
    np.testing.assert_array_equal(host(p), theirs.weight.detach().cpu().numpy())
    assert (theirs.weight < before).all()


def test_jax_shares_memory():
    jax = other("jax")
    theirs = jax.numpy.arange(3.0)
    ours = tg.from_dlpack(theirs)
    assert ours.tolist() == [0.0, 1.0, 2.0]
    assert jax.numpy.from_dlpack(ours * 2).tolist() == [0.0, 2.0, 4.0]


def test_kernels_are_launched_by_the_driver():
    p = cupy.ones(1000, "f4")
    kernels.sgd.launch((p, cupy.ones(1000, "f4")), (1.0, 0.0, 0.25))
    assert float(p[-1]) == 0.75
    assert adapter._packed
    assert None not in adapter._packed.values()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 255, 256, 257, 100_003, 2_500_001])
def test_every_element_is_stepped_once(dtype, size):
    values = np.random.default_rng(0).standard_normal((4, size)).astype(dtype)
    values[3] **= 2
    ours, cpu = [cupy.asarray(v) for v in values], [v.copy() for v in values]
    coefficients = np.linspace(0.1, 0.9, len(kernels.adam.coefficients)).tolist()
    kernels.adam.launch(ours, coefficients)
    kernels.adam.launch(cpu, coefficients)
    eps = float(np.finfo(dtype).eps)  # GPUs round a * b + c once, and terms of about 1 cancel
    for a, b in zip(ours, cpu, strict=True):
        np.testing.assert_allclose(a.get(), b, rtol=16 * eps, atol=4 * eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [*range(1, 12), *range(250, 262), 1023, 4097, 1_000_003])
def test_numbers_without_rounding_are_stepped_exactly(dtype, size):
    g = cupy.arange(size, dtype=dtype) % 1024 + 1
    p = cupy.zeros(size + 8, dtype)
    kernels.sgd.launch((p[4 : size + 4], g), (1.0, 0.0, 0.25))
    expected = np.zeros(size + 8, dtype)
    expected[4 : size + 4] = -0.25 * (np.arange(size) % 1024 + 1)
    np.testing.assert_array_equal(p.get(), expected)


def train(steps=10):
    q = tg.ones(1000, device="cuda", requires_grad=True)
    optimizer = optim.AdamW([q], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        (q * q).sum().backward()
        optimizer.step()
    return q


def test_a_loop_on_a_stream_of_its_own():
    with cupy.cuda.Stream(non_blocking=True) as stream:
        p = tg.ones(1 << 22, device="cuda", requires_grad=True)
        optimizer = optim.SGD([p], lr=0.125)
        for _ in range(20):
            optimizer.zero_grad()
            (p * p * 0.5).sum().backward()
            optimizer.step()
        stream.synchronize()
        assert float(p.array[-1]) == pytest.approx(0.875**20, rel=1e-5)


def test_threads_with_streams_of_their_own():
    ends = []

    def run():
        with cupy.cuda.Stream(non_blocking=True) as stream:
            q = train()
            stream.synchronize()
            ends.append(float(q.array[0]))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [float(train().array[0])] * 3


def test_a_thread_whose_first_call_is_a_step():
    p = tg.ones(3, device="cuda", requires_grad=True)
    p.grad = tg.ones(3, device="cuda")
    optimizer = optim.SGD([p], lr=0.25)
    optimizer.step()
    failed = []

    def run():
        try:
            optimizer.step()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failed == []
    assert p.tolist() == [0.5] * 3


def test_memory_does_not_grow():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)).to("cuda")
    optimizer, x, used = optim.AdamW(model.parameters()), tg.ones(32, 64, device="cuda"), []
    for _ in range(3):
        for _ in range(20):
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
        tg.cuda.synchronize()
        used.append(cupy.get_default_memory_pool().used_bytes())
    assert used[1] == used[2]


def test_products_are_float32_not_tf32():
    a, b = np.random.default_rng(0).standard_normal((2, 256, 256))
    ours = host(tg.tensor(a, dtype=tg.float32).cuda() @ tg.tensor(b, dtype=tg.float32).cuda())
    assert np.linalg.norm(ours - a @ b) / np.linalg.norm(a @ b) < 5e-6


def test_derivative_of_lgamma():
    x = tg.tensor([0.5, 2.5], device="cuda", requires_grad=True)
    tg.lgamma(x).sum().backward()
    np.testing.assert_allclose(host(x.grad), [-1.9635100, 0.7031566], atol=1e-5)


def test_norms_of_large_vectors():
    x = cupy.full((1 << 24) + 3, 1e-3, "f4")
    expected = float(np.float32(1e-3)) * math.sqrt(x.size)
    assert kernels.norm(x) == pytest.approx(expected, rel=1e-12)
    assert kernels.norm(x, 1) == pytest.approx(float(np.float32(1e-3)) * x.size, rel=1e-12)
    assert kernels.dot(x, x) == pytest.approx(expected**2, rel=1e-12)


def test_workers_of_a_loader_after_cuda_began():
    from tinygrad_opt.utils.data import DataLoader, TensorDataset

    tg.ones(1, device="cuda")
    data = tg.arange(64).float().reshape(32, 2)
    loader = DataLoader(TensorDataset(data), batch_size=8, num_workers=2, pin_memory=True)
    assert sum(float(batch[0].to("cuda").sum()) for batch in loader) == float(data.sum())
