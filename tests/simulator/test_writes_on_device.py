"""Writes in place inside the graph, version counters and Functions on a CUDA device."""

import sys
from pathlib import Path

import numpy as np
import pytest
from on_device import CUDA, host

import tinygrad_opt as tg
from tinygrad_opt import autograd

sys.path.append(str(Path(__file__).parents[1] / "autograd"))
import test_recorded_writes
import test_writes_on_views

PROGRAMS = test_recorded_writes.PROGRAMS | test_writes_on_views.PROGRAMS
ON_THE_HOST = {"random_values", "random_values_and_zeros"}


class OnCuda:
    """The module `tinygrad_opt`, except that new tensors lie on the CUDA device."""

    def __getattr__(self, name):
        return getattr(tg, name)

    def tensor(self, data, **kwargs):
        return tg.tensor(data, device="cuda", **kwargs)

    def zeros(self, *size, **kwargs):
        return tg.zeros(*size, device="cuda", **kwargs)


def results(m, function):
    x, w = (
        m.tensor(values, dtype=tg.float64, requires_grad=True)
        for values in ([0.7, -1.2, 2.0], [1.5, 0.5, -0.3])
    )
    y = function(m, x, w)
    first = autograd.grad(y.sum(), [x, w], create_graph=True, materialize_grads=True)
    total = sum((g * g).sum() for g in first)
    second = ()
    if total.requires_grad:
        second = autograd.grad(total, [x, w], materialize_grads=True)
    return [y, *first, *second]


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in ON_THE_HOST])
def test_as_on_the_cpu(name):
    function, _ = PROGRAMS[name]
    for ours, cpu in zip(results(OnCuda(), function), results(tg, function), strict=True):
        np.testing.assert_allclose(host(ours), cpu.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_versions():
    x = tg.ones(3, device=CUDA, requires_grad=True)
    y = x * x
    assert x[1:]._version == 0
    with tg.no_grad():
        x[1:].add_(1)
    assert (x._version, x.detach()._version, y._version) == (1, 1, 0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_functions():
    class Scale(autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y, x + y

        @staticmethod
        def backward(ctx, g, h):
            x, y = ctx.saved_tensors
            return g * y + h, g * x + h

    x = tg.tensor([2.0], device=CUDA, requires_grad=True)
    y = tg.tensor([3.0], device=CUDA, requires_grad=True)
    a, _ = Scale.apply(x, y)
    (g,) = autograd.grad(a, x, create_graph=True)
    assert host(g).tolist() == [3]
    assert host(autograd.grad(g, y)[0]).tolist() == [1]
