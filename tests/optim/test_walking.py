"""Parameters and gradients looked at in machine code: it finds all that Python finds."""

import sys

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import optim
from tinygrad_opt.kernels import objects
from tinygrad_opt.optim import ownership, walking

SHAPES = [(4,), (2, 3), (3, 2), (), (7,), (4,)]


def given(seed):
    """A gradient for each parameter."""
    random = np.random.default_rng(seed)
    return [tg.tensor(random.normal(size=s), dtype=tg.float32) for s in SHAPES]


def from_another_dtype(params, grads):
    params[0].grad.data = grads[0].double()


def from_another_size(params, grads):
    params[0].grad = tg.ones(4)
    params[0].grad.data = tg.ones(1)


def transposed(params, grads):
    params[1].grad = grads[2].T


def none_at_all(params, grads):
    params[3].grad = None


def a_subclass(params, grads):
    params[4].grad = tg.nn.Parameter(grads[4])


def of_another_parameter(params, grads):
    params[0].grad, params[5].grad = params[5].detach(), params[0].detach()


def read_only(params, grads):
    grads[4].array.flags.writeable = False
    params[4].grad = grads[4]


def unaligned(params, grads):
    memory = np.zeros(29, np.uint8)[1:]
    memory[:] = grads[4].array.view(np.uint8)
    params[4].grad = tg.as_tensor(memory.view(np.float32))


def moved(params, grads):
    params[2].data = params[2].detach().clone()


def moved_to_double(params, grads):
    params[2].data = params[2].detach().double()
    params[2].grad = grads[2].double()


def from_backward(params, grads):
    for p in params:
        p.grad = None
    sum((p * g).sum() for p, g in zip(params, grads, strict=True)).backward()


def elsewhere_from_backward(params, grads):
    from_backward(params, grads)
    params[1].grad.data = grads[1] * 2


EVENTS = [
    None, from_another_dtype, from_another_size, transposed, none_at_all, a_subclass,
    of_another_parameter, read_only, unaligned, from_backward, elsewhere_from_backward, None,
    moved, None, moved_to_double, None,
]  # fmt: skip


def trained(make):
    """The parameters after each event, and what was refused."""
    params = [g.requires_grad_() for g in given(0)]
    optimizer, seen = make(params), []
    for seed, event in enumerate(EVENTS, 1):
        grads = given(seed)
        for p, g in zip(params, grads, strict=True):
            p.grad = g.to(p.dtype)
        if event is not None:
            event(params, grads)
        try:
            optimizer.step()
        except ValueError as refused:
            seen.append(str(refused))
        seen.append([p.tolist() for p in params])
    return seen


@pytest.fixture
def _walks(monkeypatch):
    monkeypatch.setattr(ownership, "WALKS_PAY", 0)
    monkeypatch.setattr(ownership, "MANY", 1)


@pytest.mark.parametrize("name", ["SGD", "Adam", "LARS"])
def test_steps_are_those_of_python(name, monkeypatch):
    def make(params):
        return getattr(optim, name)(params, lr=0.5)

    expected = trained(make)
    found, call = [], walking.Walk.__call__

    def noted(walk, params):
        found.append(call(walk, params))
        return found[-1]

    monkeypatch.setattr(walking.Walk, "__call__", noted)
    monkeypatch.setattr(ownership, "WALKS_PAY", 0)
    monkeypatch.setattr(ownership, "MANY", 1)
    assert trained(make) == expected
    assert {True, False} == set(found)


@pytest.mark.usefixtures("_walks")
def test_another_parameter_in_the_groups_list():
    params = [tg.ones(3).requires_grad_() for _ in range(4)]
    optimizer = optim.SGD(params, lr=1.0)
    for _ in range(3):
        for p in params:
            p.grad = tg.ones(3)
        optimizer.step()
    new = tg.full((3,), 5.0).requires_grad_()
    new.grad = tg.ones(3)
    held = optimizer.param_groups[0]["params"]
    old, held[1] = held[1], new
    optimizer.step()
    assert old.tolist() == [-2.0] * 3
    assert new.tolist() == [4.0] * 3
    del held[1]
    optimizer.step()
    assert new.tolist() == [4.0] * 3
    assert params[0].tolist() == [-4.0] * 3
    optimizer.param_groups[0]["params"] = tuple(held)
    optimizer.step()
    assert params[0].tolist() == [-5.0] * 3


def test_it_begins_when_it_pays(monkeypatch):
    monkeypatch.setattr(ownership, "WALKS_PAY", 1000)
    params = [tg.ones(3).requires_grad_() for _ in range(20)]
    few = [tg.ones(3).requires_grad_() for _ in range(3)]
    optimizers = optim.SGD(params), optim.SGD(few)
    sum(p.sum() for p in params + few).backward()
    began = []
    for _ in range(60):
        for optimizer in optimizers:
            optimizer.step()
        began.append([o._flat[0][0]._homes._walk is not None for o in optimizers])
    assert began[20] == [False, False]
    assert began[-1] == [True, False]


@pytest.mark.usefixtures("_walks")
@pytest.mark.parametrize("fault", ["objects", "size"])
def test_there_is_none_where_it_must_not_be(fault, monkeypatch):
    if fault == "objects":
        monkeypatch.setattr(objects, "layout", lambda tensor: None)
    else:
        monkeypatch.setattr(walking, "LARGEST", 20)
    walking._code.cache_clear()
    params = [tg.ones(3).requires_grad_() for _ in range(2)]
    optimizer = optim.SGD(params, lr=1.0)
    for _ in range(3):
        for p in params:
            p.grad = tg.ones(3)
        optimizer.step()
    walking._code.cache_clear()
    assert [p.tolist() for p in params] == [[-2.0] * 3] * 2
    assert optimizer._flat[0][0]._homes._walk(optimizer.param_groups[0]["params"]) is False


@pytest.fixture(scope="module")
def fits():
    tensor = tg.zeros(2, 3)
    tensor.grad = tg.zeros(2, 3)
    return objects.fits(objects.layout(tensor))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (tg.zeros(2, 3), True),
        (tg.zeros(3, 2).T, True),
        (tg.zeros(3, 2), False),
        (tg.zeros(6), False),
        (tg.zeros(2, 3, 1), False),
        (tg.zeros(2, 3, dtype=tg.float64), False),
        (tg.nn.Parameter(tg.zeros(2, 3)), False),
        (np.zeros((2, 3), np.float32), False),
        (None, False),
    ],
)
def test_what_fits_a_matrix(fits, value, expected):
    for tensor in (tg.zeros(2, 3), tg.nn.Parameter(tg.zeros(2, 3))):
        before = [sys.getrefcount(x) for x in (tensor, value, True, False)]
        assert all(fits(tensor, value) is expected for _ in range(1000))
        after = [sys.getrefcount(x) for x in (tensor, value, True, False)]
        assert all(abs(a - b) < 100 for a, b in zip(before, after, strict=True))


def test_what_fits_a_number(fits):
    assert fits(tg.tensor(1.0), tg.tensor(2.0))
    assert not fits(tg.tensor(1.0), tg.tensor([2.0]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("sys.implementation.name", "pypy"), ("sys.byteorder", "big"), ("_NDIM", 64), ("_DATA", 24),
     ("_SHAPE", 16), ("_DTYPE", 48), ("_FLAGS", 24), ("_KIND", 16), ("_LENGTH", 24),
     ("_ITEMS", 8)],
)  # fmt: skip
def test_no_layout_where_objects_lie_otherwise(name, value, monkeypatch):
    tensor = tg.zeros(2, 3)
    tensor.grad = tg.zeros(2, 3)
    assert objects.layout(tensor)
    monkeypatch.setattr(f"tinygrad_opt.kernels.objects.{name}", value)
    assert objects.layout(tensor) is None
