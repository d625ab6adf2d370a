"""Collectives between GPUs, with stand-ins for CuPy and NCCL; the ranks are threads."""

import sys
from pathlib import Path

import numpy as np
import pytest
from on_device import SIMULATED, cupy

if not SIMULATED:
    pytest.skip("needs several GPUs, each with a process", allow_module_level=True)

import standin_nccl

sys.path.append(str(Path(__file__).parents[1] / "distributed"))
from threads import together

import tinygrad_opt as tg
import tinygrad_opt.distributed as dist
from tinygrad_opt.distributed import nccl, state
from tinygrad_opt.distributed.reducer import mean_of_gradients


@pytest.fixture(autouse=True)
def module(monkeypatch):
    standin_nccl.install(cupy, sys.modules)
    yield
    sys.modules.pop("cupy.cuda.nccl")


def of(rank, size=6, dtype="float32"):
    return (np.random.default_rng(rank).normal(size=size) * 100).astype(dtype)


def on_gpus(size, work):
    return together(size, lambda control: work(nccl.NCCLGroup(control), control.rank()))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_every_collective(size, dtype):
    rows = np.stack([of(r, 6, dtype) for r in range(size)])
    total, root = rows.sum(axis=0), size - 1
    bounds = [0, *([4] * (size - 1)), 6]  # one part is empty

    def work(group, me):
        x = cupy.asarray(rows[me])
        y = x.copy()
        group.all_reduce(y, "sum")
        assert np.allclose(y.get(), total)
        y = x.copy()
        group.broadcast(y, root)
        assert (y.get() == rows[root]).all()
        y = x.copy()
        group.reduce(y, root, "max")
        assert (y.get() == (rows.max(axis=0) if me == root else rows[me])).all()
        for call in (group.all_gather, lambda a, b: group.gather(a, b, root)):
            out = cupy.zeros((size, 6), dtype)
            call(x, out)
            assert (out.get() == rows).all() or me != root
        y = x.copy()
        group.reduce_parts(y, bounds, "sum")
        assert np.allclose(y.get()[bounds[me] : bounds[me + 1]], total[bounds[me] : bounds[me + 1]])
        group.spread_parts(y, bounds)
        assert np.allclose(y.get(), total)
        y = cupy.zeros(6, dtype)
        group.scatter(y, [cupy.asarray(r) for r in rows] if me == root else [], root)
        assert (y.get() == rows[me]).all()
        group.barrier()

    on_gpus(size, work)


def test_means_messages_and_refusals():
    def work(group, me):
        y = cupy.asarray(of(me))
        group.all_reduce(y, "avg")
        assert np.allclose(y.get(), (of(0) + of(1)) / 2)
        if me:
            group.send(y, 0, 0)
        else:
            z = cupy.zeros(6, "float32")
            assert group.recv(z, 1, 0) == 1
            assert (z.get() == y.get()).all()
        with pytest.raises(ValueError, match="say which, with src"):
            group.recv(y, None, 0)
        with pytest.raises(TypeError, match="sends tensors on GPUs, got one on the CPU"):
            group.all_reduce(of(me), "sum")
        with pytest.raises(TypeError, match="NCCL does not send complex64"):
            group.all_reduce(cupy.zeros(2, "complex64"), "sum")
        with pytest.raises(ValueError, match="NCCL has no reduction 'bxor'"):
            group.all_reduce(cupy.zeros(2, "int64"), "bxor")

    on_gpus(2, work)


def test_gradients_are_averaged_where_they_lie():
    def work(group, me):
        params = [tg.ones(n, device="cuda", requires_grad=True) for n in (2, 3)]
        for i, p in enumerate(params):
            p.grad = tg.full(p.shape, float(me + i), device="cuda")
        mean_of_gradients(params, group, group.size(), {})
        return [p.grad.cpu().tolist() for p in params]

    assert on_gpus(2, work) == [[[0.5] * 2, [1.5] * 3]] * 2


def test_two_ranks_do_not_share_a_gpu(monkeypatch):
    monkeypatch.setattr(cupy.cuda.Device, "pci_bus_id", "0000:01:00.0", raising=False)
    with pytest.raises(RuntimeError, match="ranks 0 and 1 would use the same GPU"):
        together(2, nccl.over)


def test_a_group_of_one(monkeypatch):
    monkeypatch.setattr(cupy.cuda.Device, "pci_bus_id", "0000:01:00.0", raising=False)
    monkeypatch.setattr(state.launch, "is_launched", lambda: False)
    assert dist.is_nccl_available()
    dist.init_process_group("nccl")
    x = tg.ones(3, device="cuda")
    dist.all_reduce(x)
    dist.all_gather_object([None], "x")
    assert (x.cpu().tolist(), dist.get_backend()) == ([1.0] * 3, "nccl")
    dist.destroy_process_group()


def test_errors_of_nccl_name_the_call():
    def work(group, me):
        with pytest.raises(dist.DistBackendError, match="NCCL, rank 0, send: NCCL_ERROR_INVALID"):
            group._do("send", 0, 3, 7, 1)

    on_gpus(1, work)
    with pytest.raises(TypeError, match="datatype: an integer is required"):
        standin_nccl.NcclCommunicator(1, standin_nccl.get_unique_id(), 0).send(1, 2, 1.5, 0, 0)
