"""The first gradient of a parameter is written where it lies, and never behind anybody's back."""

import threading

import numpy as np
import pytest

import tinygrad_opt as torch
from tinygrad_opt.arrays import unwritten
from tinygrad_opt.optim import ownership

nn, F = torch.nn, torch.nn.functional
RANDOM = np.random.default_rng(0)
X = torch.tensor(RANDOM.standard_normal((6, 5), np.float32))
INDEX = torch.tensor(RANDOM.integers(4, size=(3, 2)))


@pytest.fixture(autouse=True)
def every_size(monkeypatch):
    """Gradients of a few elements count as large; gives where they were written to."""
    written = []
    for kind in (unwritten.Part, unwritten.Product, unwritten.Rows):
        monkeypatch.setattr(kind, "whole", _noted(kind.whole, written))
    monkeypatch.setattr(unwritten, "LARGE", 1)
    return written


def _noted(whole, written):
    def wrapper(self, out=None):
        written.append(out)
        return whole(self, out)

    return wrapper


def parameter(*shape):
    return nn.Parameter(torch.tensor(RANDOM.standard_normal(shape, np.float32)))


def linear(w):
    return (F.linear(X, w) ** 2).sum()


def twice(w):
    return linear(w) + (F.linear(X + 1, w) ** 3).sum()


def rows(w):
    return (F.embedding(INDEX, w) ** 2).sum()


def tied(w):  # the head's gradient comes first, the table's is added to it
    return (F.linear(F.embedding(INDEX, w, padding_idx=0), w) ** 2).sum()


def part(w):
    return (w[1:3] ** 2).sum()


LOSSES = {f.__name__: f for f in (linear, twice, rows, tied, part)}


def flat(w):
    """An optimizer that has taken w into its buffer."""
    optimizer = torch.optim.SGD([w], lr=0.0)
    w.grad = torch.zeros_like(w)
    optimizer.step()
    optimizer.zero_grad()
    return optimizer


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_is_written_into_the_buffer(loss, every_size):
    w = parameter(4, 5)
    (expected,) = torch.autograd.grad(loss(w), w)
    assert all(out is None for out in every_size)  # a value of the caller's
    flat(w)
    every_size.clear()
    loss(w).backward()
    places = [out for out in every_size if out is not None]
    assert [out is w._home.place for out in places] == [True]
    assert w.grad is w._home.tensor
    np.testing.assert_allclose(w.grad.numpy(), expected.numpy(), rtol=2e-6)
    loss(w).backward()  # accumulates
    np.testing.assert_allclose(w.grad.numpy(), 2 * expected.numpy(), rtol=2e-6)
    assert w._home._spare


def keeps_the_tensor(w):
    return w.grad


def keeps_its_memory(w):
    return w.grad.array


def keeps_a_part_of_its_memory(w):
    return w.grad.numpy()[1:]


def keeps_its_numbers_in_a_row(w):
    return w.grad.detach().flatten().numpy()


@pytest.mark.parametrize("keep", [
    keeps_the_tensor, keeps_its_memory, keeps_a_part_of_its_memory, keeps_its_numbers_in_a_row,
])  # fmt: skip
def test_what_somebody_kept_stays(keep):
    w = parameter(4, 5)
    optimizer = flat(w)
    linear(w).backward()
    kept = keep(w)
    before = np.array(kept)
    optimizer.zero_grad()
    twice(w).backward()
    np.testing.assert_array_equal(np.asarray(kept), before)
    assert not np.array_equal(w.grad.numpy(), before)


def test_a_seed_that_lies_there_is_not_added_to():
    w = parameter(6, 5)
    flat(w)
    linear(w).backward()
    seed, w.grad = w.grad, None
    before = seed.numpy().copy()
    torch.autograd.backward([w, linear(w)], [seed, None])
    np.testing.assert_array_equal(seed.numpy(), before)
    np.testing.assert_allclose(w.grad.numpy(), 2 * before, rtol=2e-6)


def test_a_hook_may_keep_what_it_sees():
    w, seen = parameter(4, 5), []
    optimizer = flat(w)
    w.register_hook(seen.append)
    linear(w).backward()
    before = seen[0].numpy().copy()
    optimizer.zero_grad()
    twice(w).backward()
    np.testing.assert_array_equal(seen[0].numpy(), before)


def test_an_error_later_in_the_pass_changes_no_grad():
    w, first = parameter(4, 5), parameter(6, 5)
    flat(w)

    def fails(g):
        raise ValueError("no")

    x = first * 1.0
    x.register_hook(fails)
    with pytest.raises(ValueError, match="no"):
        (F.linear(x, w) ** 2).sum().backward()
    assert w.grad is None
    assert first.grad is None
    assert w._home._spare
    linear(w).backward()
    assert w.grad is w._home.tensor


def test_a_pass_within_a_pass_has_an_array_of_its_own():
    w = parameter(4, 5)
    flat(w)
    (expected,) = torch.autograd.grad(linear(w) + (F.linear(X * 2, w) ** 2).sum(), w)
    x = (X * 2).requires_grad_()
    h = x * 1.0

    def inner(g):
        with torch.enable_grad():
            linear(w).backward()

    h.register_hook(inner)
    (F.linear(h, w) ** 2).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), expected.numpy(), rtol=2e-6)


def test_threads_share_a_parameter(monkeypatch):
    w = parameter(4, 5)
    flat(w)
    (one,) = torch.autograd.grad(linear(w), w)
    both_there, lend, lent = threading.Barrier(2), ownership.GradSlot.lend, []

    def meets(slot, *like):
        place = lend(slot, *like)
        lent.append(place)
        if len(lent) <= 2:
            both_there.wait(10)
        return place

    monkeypatch.setattr(ownership.GradSlot, "lend", meets)
    threads = [threading.Thread(target=lambda: linear(w).backward()) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [place is None for place in lent[:2]].count(True) == 1
    np.testing.assert_allclose(w.grad.numpy(), 2 * one.numpy(), rtol=2e-6)


@pytest.mark.parametrize("recorded", [False, True])
def test_anomaly_mode_and_recorded_passes(recorded):
    w = parameter(4, 5)
    (expected,) = torch.autograd.grad(tied(w), w)
    flat(w)
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        tied(w).backward(create_graph=recorded)
    np.testing.assert_allclose(w.grad.detach().numpy(), expected.numpy(), rtol=2e-6)


def test_anomaly_mode_looks_at_them():
    w = parameter(4, 5)
    x = torch.full((6, 5), float("inf"))
    with pytest.warns(UserWarning), torch.autograd.detect_anomaly():  # noqa: PT030, PT031
        loss = (F.linear(x, w) * 0.0).sum()
        with pytest.raises(RuntimeError, match="LinearBackward0' returned nan values in its 1th"):
            loss.backward()
