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


def test_so_is_another_shape_of_one_that_nobody_else_sees():
    container = [np.zeros(6).reshape(2, 3)]
    first = id(container[0])
    container[0] = unwritten.joined(container[0], np.ones((2, 3)))
    assert id(container[0]) == first
    kept = container[0].base.reshape(3, 2)
    container[0] = unwritten.joined(container[0], np.ones((2, 3)))
    np.testing.assert_array_equal(kept, 1.0)
    np.testing.assert_array_equal(container[0], 2.0)
    stretched = [np.broadcast_to(np.zeros(3), (2, 3))]
    np.testing.assert_array_equal(unwritten.joined(stretched[0], np.ones((2, 3))), 1.0)


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


WHOLE = np.arange(24.0).reshape(2, 3, 4)
FULL = slice(None)
STRETCHES = {
    "last axis": [(FULL, FULL, slice(0, 1)), (FULL, FULL, slice(1, 4))],
    "out of order": [(FULL, slice(2, 3)), (FULL, slice(0, 2))],
    "one by one": [1, 0],
    "from the end": [(slice(0, -1),), -1],
    "all": [FULL, slice(0, 0)],
}


def joined_parts(indices, values):
    held = [unwritten.Part(values(indices[0]), WHOLE.shape, indices[0])]
    for index in indices[1:]:
        held[0] = unwritten.joined(held[0], unwritten.Part(values(index), WHOLE.shape, index))
    return held[0]


@pytest.mark.parametrize("indices", STRETCHES.values(), ids=STRETCHES)
def test_parts_that_make_up_an_array(indices):
    part = joined_parts(indices, lambda index: WHOLE[index].copy())
    np.testing.assert_array_equal(part.whole(), WHOLE)
    np.testing.assert_array_equal(part.whole(np.full_like(WHOLE, 7)), WHOLE)


GAPS = {
    "between": [slice(0, 1), slice(2, 3)],
    "at the end": [slice(0, 1), slice(1, 2)],
    "at the beginning": [slice(1, 2), slice(2, 3)],
    "steps": [slice(0, 3, 2), slice(1, 2)],
    "other axes": [slice(0, 2), (FULL, slice(0, 1))],
    "corners": [(slice(0, 1), 0), slice(1, 3)],
    "twice": [slice(0, 3), slice(1, 3)],
    "new axis": [(None, 0), slice(1, 3)],
    "a mask": [np.array([True, False, False]), slice(1, 3)],
}


@pytest.mark.parametrize("indices", GAPS.values(), ids=GAPS)
def test_parts_that_do_not(indices):
    x = np.arange(12.0).reshape(3, 4)
    held, expected = None, np.zeros((3, 4))
    for index in indices:
        part = unwritten.Part(x[index], (3, 4), index)
        held = part if held is None else unwritten.joined(held, part)
        expected[index] += x[index]
    np.testing.assert_array_equal(held.whole(), expected)


def test_parts_that_lie_where_they_belong_are_not_copied():
    indices = STRETCHES["last axis"]
    made = joined_parts(indices, lambda index: WHOLE.reshape(-1).reshape(2, 3, 4)[index]).whole()
    assert np.shares_memory(made, WHOLE)
    np.testing.assert_array_equal(made, WHOLE)
    other = WHOLE[..., ::-1].copy()  # the same memory in another order
    made = joined_parts(indices, lambda index: other[..., ::-1][index]).whole()
    assert not np.shares_memory(made, other)
    np.testing.assert_array_equal(made, WHOLE)


def test_a_gradient_beside_parts_is_added_to_them():
    part = joined_parts(STRETCHES["one by one"], lambda index: WHOLE[index])
    np.testing.assert_array_equal(unwritten.joined(part, np.ones((2, 3, 4))), WHOLE + 1)
    np.testing.assert_array_equal(WHOLE, np.arange(24.0).reshape(2, 3, 4))


def projected_attention(x, kept=None):
    """A loss of attention between the parts of x (2, 64, 192), whose gradients go to `kept`."""
    q, k, v = (p.view(2, 64, 4, -1).transpose(1, 2) for p in x.split(64, dim=2))
    if kept is not None:
        for part in (q, k, v):
            part.register_hook(lambda g: kept.append((g, g.clone())))
    y = tg.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return (y * y).sum()


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_attention_between_parts_of_one_projection(dtype):
    start = of(2, 64, 192).detach().to(dtype)
    apart = [p.clone().requires_grad_() for p in start.split(64, dim=2)]
    projected_attention(tg.cat(apart, dim=2)).backward()
    x, kept = start.clone().requires_grad_(), []
    h = x * 1.0
    loss = projected_attention(h, kept) + h.sum()
    loss.backward(retain_graph=True)
    expected = np.concatenate([p.grad.numpy() for p in apart], axis=2)
    np.testing.assert_allclose(x.grad.numpy(), expected + 1, rtol=1e-6, atol=1e-9)
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * (expected + 1), rtol=1e-6, atol=1e-9)
    assert len(kept) == 6
    for g, then in kept:  # what a hook kept is as it was
        np.testing.assert_array_equal(g.numpy(), then.numpy())


def test_gradients_of_such_parts_are_made_as_one_array(monkeypatch):
    found = []
    whole = unwritten.Part.whole
    monkeypatch.setattr(
        unwritten.Part, "whole", lambda part: found.append((part, whole(part))) or found[-1][1]
    )
    h = of(2, 64, 192) * 1.0
    projected_attention(h).backward()
    ((part, made),) = found
    assert all(np.shares_memory(made, values) for _, values in part.parts)


def test_what_comes_last_among_the_inputs_gets_its_gradient_first():
    order = []

    @tg.autograd.op
    def join(x, y):
        return x + y, lambda g: order.append("x") or g, lambda g: order.append("y") or g

    join(of(2), of(2)).sum().backward()
    assert order == ["y", "x"]
