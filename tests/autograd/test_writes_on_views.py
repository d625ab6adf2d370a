"""Recorded writes through views, and to what they look at: as PyTorch, or PyTorch's error.

The programs are of the kind of those in `test_recorded_writes.py`: each has a twin without writes.
"""

import gc
import weakref

import numpy as np
import pytest
from test_recorded_writes import leaves, register, results

import tinygrad_opt as tg
from tinygrad_opt import autograd

PROGRAMS, program = register()


def table(m, x, w):
    return m.outer(x, w) * 2


@program(lambda m, x, w: (x * 2 * w)[1:] ** 2)
def the_base_after_the_view(m, x, w):
    y = x * 2
    v = y[1:]
    y.mul_(w)
    return v * v


@program(lambda m, x, w: (x * 2 + 1)[1:] + ((x * 2 + w) * 3)[1:])
def a_view_before_between_and_after(m, x, w):
    y = x * 2
    v = y[1:]
    y.add_(1)
    between = v * 1
    y.sub_(1)
    y.add_(w)
    y.mul_(3)
    return between + v


@program(lambda m, x, w: m.cat([x[:1] * 2, (x * 2 * w)[1:2], x[2:] * 2 * 4]) ** 2)
def through_one_view_seen_by_another(m, x, w):
    y = x * 2
    first, second = y[:2], y[1:]
    second.mul_(m.stack([w[1], 4 * w[1] / w[1]]))
    return m.cat([first, second[1:]]) ** 2


@program(lambda m, x, w: m.stack([x * x, (w * 2) ** 2]) + x)
def rows_of_a_buffer(m, x, w):
    out = m.zeros(2, 3, dtype=m.float64)
    rows = [out[i] for i in range(2)]
    rows[0].copy_(x)
    assert rows[1].grad_fn is not None  # which PyTorch needs to be asked for
    rows[1].add_(w)
    rows[1].mul_(2)
    return out * out + rows[0]


@program(lambda m, x, w: m.stack([m.zeros(3, dtype=m.float64), x]).sum(0) * w)
def a_buffer_with_a_view_begins_to_require_a_gradient(m, x, w):
    out = m.zeros(2, 3, dtype=m.float64)
    row, flat = out[1], out.view(-1)
    out[1] = x
    assert row.requires_grad
    assert flat.requires_grad
    return (row + flat[:3]) * w


@program(lambda m, x, w: table(m, x, w) + m.diag(table(m, x, w).diagonal() * (x - 1)))
def a_diagonal(m, x, w):
    y = table(m, x, w)
    y.diagonal().mul_(x)
    return y


@program(lambda m, x, w: (table(m, x, w).T + x) * table(m, x, w).T[0])
def a_transpose(m, x, w):
    y = table(m, x, w)
    flipped = y.T
    kept = flipped[0] * 1
    flipped.add_(x)
    return y.t() * kept


@program(
    lambda m, x, w: m.cat([table(m, x, w).reshape(-1)[:8] + 1, table(m, x, w)[2, 2:] * 5]) ** 2
)
def views_of_views(m, x, w):
    y = table(m, x, w)
    flat = y.view(-1)
    rows = flat[2:].narrow(0, 0, 6).unfold(0, 2, 2)
    flat[:2].add_(1)
    rows.add_(1)
    y[2][2].mul_(5)
    y[2][2:].squeeze().div_(1)
    return flat * flat


@program(lambda m, x, w: table(m, x, w).permute(1, 0)[1] ** 2)
def the_view_that_was_written_to_is_used(m, x, w):
    y = table(m, x, w) / 3
    column = y.unsqueeze(0).select(2, 1)
    column *= 3
    return column[0] * column[0]


@program(lambda m, x, w: m.stack([w, m.where(w > 0, -1.0, w), m.stack([x[0], w[1], x[1]])]) ** 2)
def indices_and_masks_on_views(m, x, w):
    y = m.zeros(3, 3, dtype=m.float64)
    y[:] = w
    rows = y[1:]
    rows[0].masked_fill_(w.detach() > 0, -1.0)
    rows[1][m.tensor([0, 2])] = x[:2]
    return y**2


@program(lambda m, x, w: m.stack([x * 2 + w, x * 2 + w]).sum(0) + x * 2)
def an_expanded_view_after_a_write(m, x, w):
    y = x * 2
    wide = y.expand(2, 3)
    early = wide[0] * 1
    y.add_(w)
    return wide.sum(0) + early


@program(lambda m, x, w: (x * 2 + w) * 3)
def part_of_an_expanded_tensor(m, x, w):
    y = x * 2
    y.expand(2, 3)[1].add_(w)
    with m.no_grad():
        m.ones(3, dtype=m.float64).expand(2, 3)[0].mul_(2)
    return y.expand(3, 3).sum(0)


@program(lambda m, x, w: m.cat([x[1:] * 2, x[2:] * 2]) ** 2)
def from_another_part_of_the_same_tensor(m, x, w):
    y = x * 2
    y[:2] = y[1:].clone()
    return m.cat([y[:2], y[2:]]) ** 2


@program(lambda m, x, w: m.stack([w * 0 + 0.5, x * 2 * 3 + w]) * w)
def random_values_and_zeros(m, x, w):
    y = m.stack([x, x]) * 2
    first, second = y[0], y[1]
    first.uniform_()
    first.zero_()
    first.fill_(0.5)
    second.mul_(3)
    y[1] += w
    return y * w


@program(lambda m, x, w: m.stack([x * 2 * 3, w * 3 + x]) ** 2)
def foreach(m, x, w):
    y = m.stack([x * 2, w])
    parts = [y[0], y[1]]
    m._foreach_mul_(parts, 3.0)
    m._foreach_add_(parts[1:], [x])
    return y * y


@program(lambda m, x, w: (table(m, x, w) * w).t() + table(m, x, w)[0])
def shapes_in_place(m, x, w):
    y = table(m, x, w)
    row = y[0]
    early = row * 1
    y.t_()
    row.unsqueeze_(0)
    row.mul_(w)
    y[:, 1:].mul_(w.unsqueeze(1))
    return y + early


@program(lambda m, x, w: m.stack([x * 3, w + x, x * w]).sum(0))
def real_and_imaginary_parts(m, x, w):
    z = m.complex(x, w)
    z.real.mul_(3)
    z.imag.add_(x)
    pairs = m.view_as_real(z)
    total = pairs.sum(-1)
    pairs[..., 1] = x * w
    return total + z.imag


@program(lambda m, x, w: m.stack([x, w * w], -1).reshape(-1)[1:4] * 2)
def numbers_seen_as_complex(m, x, w):
    y = m.stack([x, w], -1) * 1
    z = m.view_as_complex(y)
    z.imag.mul_(w)
    z.mul_(2)
    return y.reshape(-1)[1:4]


def doubled(m, x):
    class Double(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    return Double.apply(x)


@program(lambda m, x, w: m.cat([x[:1], x[1:] * 2 * w[1:]]) ** 2)
def a_function_that_writes(m, x, w):
    y = x * 1
    v = y[1:]
    assert doubled(m, v) is v
    v.mul_(w[1:])
    return y * y


@program(lambda m, x, w: x * w.detach() * 2 + (x * 2)[1])
def without_recording(m, x, w):
    y = x * 2
    y[1].mul_(1)
    kept = y[1] + 0
    d = w.detach().clone()
    with m.no_grad():
        d[1:].mul_(2)
        d[1:].mul_(0.5)
    return y * d + kept


programs = pytest.mark.parametrize("name", PROGRAMS)


@programs
def test_as_without_writes_in_place(name):
    function, without = PROGRAMS[name]
    for a, b in zip(results(tg, function), results(tg, without), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.peers
@programs
def test_as_pytorch(name, torch):
    for a, b in zip(*(results(m, PROGRAMS[name][0]) for m in (tg, torch)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


# Refusals: the same in both libraries -------------------------------------------------------------


def leaf(m, x, w):
    x[0].mul_(2)


def leaf_made_after_the_view(m, x, w):
    y = m.zeros(3, dtype=m.float64)
    v = y[1:]
    y.requires_grad_()
    v.mul_(2)


def shape_of_a_leafs_view(m, x, w):
    x[0].unsqueeze_(0)


def loop(m, x, w):
    for row in table(m, x, w):
        row.mul_(2)


def pieces(m, x, w):
    m.split(x * 2, 2)[0].mul_(2)


def view_of_a_piece(m, x, w):
    table(m, x, w).unbind(1)[0][1:].add_(x[1:])


def piece_of_a_buffer(m, x, w):
    m.zeros(2, 3, dtype=m.float64).chunk(2)[0].add_(x)


def piece_of_what_was_written_to(m, x, w):
    y = table(m, x, w)
    row, _, _ = y.unbind()
    y.add_(1)
    return row * w


def piece_of_a_buffer_that_was_written_to(m, x, w):
    y = m.zeros(2, 3, dtype=m.float64)
    row, _ = y.unbind()
    y[1] = x
    return row * w


def unrecorded_view(m, x, w):
    y = x * 2
    with m.no_grad():
        v = y[1:]
    v.mul_(2)


def unrecorded_view_of_a_buffer(m, x, w):
    y = m.zeros(3, dtype=m.float64)
    with m.no_grad():
        v = y[1:]
    v.mul_(w[1:])


def expanded(m, x, w):
    (x * 2).expand(2, 3).add_(1)


class Kept:
    """Makes a Function whose forward returns what `choose` makes of its argument."""

    def __init__(self, choose):
        self.choose, self.__name__ = choose, "kept"

    def __call__(self, m, x, w):
        class Returns(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return self.choose(x)

            @staticmethod
            def backward(ctx, g):
                return g

        Returns.apply(x * 1).mul_(2)


def two_results(m, x, w):
    class Two(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2), x + 1

    Two.apply((x * 2)[1:])


def saved_value(m, x, w):
    y = x * 2
    product = y[:1] * w
    y[2].mul_(3)
    return product


REFUSED = [
    (leaf, "a view of a leaf Variable that requires grad is being used in an in-place"),
    (leaf_made_after_the_view, "a view of a leaf Variable that requires grad is being used in"),
    (shape_of_a_leafs_view, "a view of a leaf Variable that requires grad is being used in"),
    (loop, "is the output of a function that returns multiple views"),
    (pieces, "is the output of a function that returns multiple views"),
    (view_of_a_piece, "is the output of a function that returns multiple views"),
    (piece_of_a_buffer, "is the output of a function that returns multiple views"),
    (piece_of_what_was_written_to, "its base or another view of its base ha[sd] been modified"),
    (piece_of_a_buffer_that_was_written_to, "its base or another view of its base ha[sd] been"),
    (unrecorded_view, "no_grad"),
    (unrecorded_view_of_a_buffer, "no_grad"),
    (expanded, "more than one element of the written-to tensor refers to a single memory"),
    (Kept(lambda x: x), "created inside a custom Function"),
    (Kept(lambda x: x.view(-1)), "is being modified inplace"),
    (two_results, "cannot return more than one Tensor"),
    (saved_value, "modified by an inplace operation"),
]  # fmt: skip
refused = pytest.mark.parametrize(
    ("function", "message"), REFUSED, ids=[function.__name__ for function, _ in REFUSED]
)


def run_refused(m, function, message):
    with pytest.raises(RuntimeError, match=message):
        function(m, *leaves(m)).sum().backward()


@refused
def test_refused(function, message):
    run_refused(tg, function, message)


@pytest.mark.peers
@refused
def test_refused_by_pytorch(function, message, torch):
    run_refused(torch, function, message)


def test_nothing_has_changed_after_a_refusal():
    x, w = leaves(tg)
    y = x * 2
    before, node, version = y.tolist(), y.grad_fn, y._version
    for wrong in (
        lambda: y.unbind()[0].mul_(2),
        lambda: y[1:].add_(w),
        lambda: y[1:].copy_(tg.ones(5)),
        lambda: y.expand(2, 3).mul_(2),
    ):
        with pytest.raises(RuntimeError):
            wrong()
    assert (y.tolist(), y.grad_fn, y._version) == (before, node, version)


# What views are -----------------------------------------------------------------------------------


def test_views_know_their_base():
    x, _ = leaves(tg)
    y = x * 2
    assert y._base is None
    for view in (y[0], y[1:][0], y.view(3, 1).T, y.expand(2, 3), y.unfold(0, 2, 1),
                 y.as_strided((2,), (1,)), y.reshape(-1), y.as_subclass(tg.Tensor)):  # fmt: skip
        assert view._base is y
    for other in (y.clone(), y.detach(), y[tg.tensor([0, 1])], y + 0, y[y > 0], y.data):
        assert other._base is None
    assert tg.outer(y, y).T.reshape(-1)._base is None  # a copy


def test_a_detached_alias_has_a_history_of_its_own():
    x, w = leaves(tg)
    y = x * 2
    d = y.detach()
    d.mul_(w)
    assert d.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
    d[1:].sum().backward()
    assert w.grad.tolist() == [0, *(2 * x.detach())[1:].tolist()]


def test_hooks_and_retained_gradients():
    x, w = leaves(tg)
    y = x * 2
    v, old, new = y[1:], [], []
    v.register_hook(lambda g: old.append(g.tolist()))
    early = v * 5
    v.retain_grad()
    y.retain_grad()
    y.mul_(w)
    assert repr(v.grad_fn) == "<AsStridedBackward0>"
    v.register_hook(lambda g: new.append(g.tolist()))
    (early.sum() + (v * 3).sum() + y.sum()).backward()
    assert old == [[5, 5]]
    assert new == [[3, 3]]
    assert v.grad.tolist() == [3, 3]
    assert y.grad.tolist() == [1, 4, 4]


def test_gradients_of_views_mean_them_as_they_are():
    x, w = leaves(tg)
    y = x * 2
    v = y[1:]
    early = v.sum()
    y.mul_(w)
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        autograd.grad(early, v, retain_graph=True)
    assert autograd.grad((v * v).sum() + early, v)[0].tolist() == (2 * v).tolist()


def test_a_view_does_not_live_longer_than_asked_for():
    out = tg.zeros(2, 3)
    row = out[0]
    gone = weakref.ref(row)
    out[1] = tg.ones(3, requires_grad=True)
    assert row.requires_grad
    del row
    assert gone() is None


def test_views_older_than_a_freeze_are_not_forgotten(monkeypatch):
    x, _ = leaves(tg)
    out = tg.zeros(3, dtype=tg.float64)
    row = out[1:]
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 1)
    monkeypatch.setattr(gc, "get_objects", list)  # `out` is not among them
    with pytest.raises(RuntimeError, match=r"made before gc\.freeze\(\)"):
        out.add_(x)
    assert row.tolist() == [0, 0]
    monkeypatch.setattr(gc, "get_objects", lambda: [out])
    out.add_(x)
    assert row.requires_grad


def test_memory_exchanged_under_a_view():
    x, w = leaves(tg)
    y = x * 2
    v = y[1:]
    y.data = tg.zeros(3, dtype=tg.float64)
    y.mul_(w)
    with pytest.raises(RuntimeError, match="no longer lies in the memory of its base"):
        v.sum().backward()


def test_a_view_that_is_a_leaf_cannot_have_two_histories():
    x, _ = leaves(tg)
    y = tg.zeros(3, dtype=tg.float64)
    v = y[1:].requires_grad_()
    with pytest.raises(RuntimeError, match="was made a leaf by requires_grad_"):
        y.add_(x)
    assert v.tolist() == [0, 0]


def test_long_chains_of_views_and_writes():
    x, _ = leaves(tg)
    y = x * 1
    v = y
    for _ in range(3000):
        v = v.view(3)
    v.add_(1)
    for _ in range(300):
        y[1:].mul_(1)
        v[0] += 1
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("form", ["owner", "of NumPy's", "part of NumPy's", "of Fortran's"])
def test_a_write_without_views_looks_through_no_objects(form, monkeypatch):
    """It would take milliseconds, in each step of a loop that adds to a total."""
    made = {
        "owner": lambda: tg.zeros(3, 3),
        "of NumPy's": lambda: tg.from_numpy(np.zeros((3, 3), "f")),
        "part of NumPy's": lambda: tg.from_numpy(np.zeros((5, 3), "f")[1:4]),
        "of Fortran's": lambda: tg.from_numpy(np.zeros((3, 3), "f", order="F")),
    }[form]
    x, total = tg.ones(3, 3, requires_grad=True), made()
    monkeypatch.setattr(gc, "get_referrers", None)
    for _ in range(3):
        total += x
        total.detach_()
    made()[1].add_(x[0])
    total += x
    total.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 1)


def test_a_write_finds_a_view_that_was_made_before():
    x, total = tg.ones(3, requires_grad=True), tg.zeros(3)
    view = total[1:]
    total += x
    assert view.requires_grad
    view.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 1, 1])
