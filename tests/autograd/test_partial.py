"""Gradients of slices, and sums of gradients: in place, and never behind anybody's back."""

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt.arrays import unwritten


def of(*shape):
    return tg.tensor(np.random.default_rng(1).standard_normal(shape), requires_grad=True)


SLICES = {
    "rows": [0, 1, 2],
    "overlapping": [slice(0, 3), slice(1, None), slice(None)],
    "steps": [slice(None, None, 2), slice(1, None, 2)],
    "backwards": [(slice(None), slice(2, 5)), (..., 3), (slice(0, 1), 0)],
    "new axes": [(None, 1), (slice(None), None, 2)],
    "lists between": [[0, 0, 2], 1, [2, 2]],
    "masks": [np.array([True, False, True]), 0],
    "one alone": [1],
    "one twice": [1, 1],
}


@pytest.mark.parametrize("slices", SLICES.values(), ids=SLICES)
def test_gradients_of_slices_add_up(slices):
    x = of(3, 6)
    whole = x * 1.0
    loss, expected = 0.0, np.zeros((3, 6))
    for k, index in enumerate(slices):
        part = whole[index]
        weight = np.arange(part.numel(), dtype=float).reshape(part.shape) + k
        loss = loss + (part * tg.tensor(weight)).sum()
        np.add.at(expected, index, weight)
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_slices_beside_the_whole():
    x = of(3, 4)
    h = x * 1.0
    ((h * 2).sum() + h[1].sum() + (h * 3).sum() + h[:, 0].sum()).backward()
    expected = np.full((3, 4), 5.0)
    expected[1] += 1
    expected[:, 0] += 1
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_second_derivatives_of_slices():
    x = of(4)
    h = x * x
    (g,) = tg.autograd.grad((h[1] * h[2] + h[2:].sum()).sum(), x, create_graph=True)
    g.sum().backward()
    a, b = x.detach().numpy()[1:3]
    # d/dx of 2 x1 x2^2 + 2 x2 x1^2 + 2 x2 + 2 x3
    np.testing.assert_allclose(
        x.grad.numpy(), [0, 2 * b * b + 4 * a * b, 4 * a * b + 2 * a * a + 2, 2], rtol=1e-14
    )


def test_what_a_hook_keeps_stays_as_it_was():
    x, kept = of(5), []
    h = x * 1.0
    y = h + 0.0
    y.register_hook(kept.append)
    z = h * 2.0
    (y.sum() + z.sum() + h.sum()).backward()
    np.testing.assert_array_equal(x.grad.numpy(), 4.0)
    np.testing.assert_array_equal(kept[0].numpy(), 1.0)


def test_a_seed_of_the_caller_stays_as_it_was():
    x, seed = of(5), tg.ones(5, dtype=tg.float64)
    y = x * 1.0
    tg.autograd.backward([y, y], [seed, seed])
    np.testing.assert_array_equal(x.grad.numpy(), 2.0)
    np.testing.assert_array_equal(seed.numpy(), 1.0)


def test_an_array_that_one_container_holds_is_added_to_in_place():
    container = [np.zeros(3)]
    first = id(container[0])
    container[0] = unwritten.joined(container[0], np.ones(3))
    assert id(container[0]) == first
    kept = container[0]
    container[0] = unwritten.joined(container[0], np.ones(3))
    np.testing.assert_array_equal(kept, 1.0)
    np.testing.assert_array_equal(container[0], 2.0)


def test_a_view_is_left_as_it_is():
    container = [np.zeros((2, 3))[0]]
    base = container[0].base
    container[0] = unwritten.joined(container[0], np.ones(3))
    np.testing.assert_array_equal(base, 0.0)


def test_one_array_is_filled_for_all_slices(monkeypatch):
    made = []
    whole = unwritten.Part.whole
    monkeypatch.setattr(unwritten.Part, "whole", lambda *part: made.append(1) or whole(*part))
    x = of(3, 4)
    q, k, v = (x * 1.0).unbind(0)
    (q * k * v).sum().backward()
    assert len(made) == 1


def test_a_part_is_an_array_to_whoever_looks_at_it():
    part = unwritten.Part(np.ones(2), (3,), slice(1, 3))
    np.testing.assert_array_equal(np.asarray(part), [0, 1, 1])
    assert np.asarray(part, np.float32).dtype == np.float32
    with pytest.warns(UserWarning, match="Anomaly"), tg.autograd.detect_anomaly():  # noqa: PT031
        x = of(3)
        (x * 1.0)[1:].sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 1, 1])
