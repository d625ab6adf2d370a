"""When hooks run, and what `grad`, `.grad` and second derivatives see of them.

The expected values are PyTorch's: rows run in both libraries where PyTorch is installed.
"""

import numpy as np
import pytest
from ops_table import OPS

import tinygrad_opt as tg


def squared(m):
    """x = 2, y = 3 x, and y * y: dz/dy is 12, dz/dx 36."""
    x = m.tensor(2.0, dtype=m.float64, requires_grad=True)
    y = x * 3
    return x, y, y * y


def tenfold(g):
    return g * 10


def one_more(gradients):
    return (gradients[0] + 1,)


def of_leaf(m):
    x, _, z = squared(m)
    x.register_hook(tenfold)
    return m.autograd.grad(z, x)


def of_result(m):
    _, y, z = squared(m)
    y.register_hook(tenfold)
    return m.autograd.grad(z, [y, y])


def of_result_and_what_made_it(m):
    x, y, z = squared(m)
    y.register_hook(tenfold)
    return m.autograd.grad(z, [y, x])


def of_the_output_itself(m):
    _, y, _ = squared(m)
    y.register_hook(tenfold)
    return m.autograd.grad(y, y)


def of_the_output_itself_a_leaf(m):
    x, _, _ = squared(m)
    x.register_hook(tenfold)
    return m.autograd.grad(x, x)


def of_another(m):
    _, y, _ = squared(m)
    y.register_hook(tenfold)
    w = m.ones((), dtype=m.float64, requires_grad=True)
    return m.autograd.grad(y * w, w)


def retained(m):
    x, y, z = squared(m)
    y.retain_grad()
    y.register_hook(tenfold)
    (g,) = m.autograd.grad(z, x)
    return g, y.grad


def prehook_of_result(m):
    _, y, z = squared(m)
    y.grad_fn.register_prehook(one_more)
    return m.autograd.grad(z, y)


def prehook_and_retained(m):
    x, y, z = squared(m)
    y.grad_fn.register_prehook(one_more)
    y.register_hook(tenfold)
    y.retain_grad()
    z.backward()
    return y.grad, x.grad


def hook_then_prehook(m):
    x, y, z = squared(m)
    y.register_hook(tenfold)
    y.grad_fn.register_prehook(one_more)
    return m.autograd.grad(z, [x, y])


def backward_into_results(m):
    x, y, z = squared(m)
    y.register_hook(tenfold)
    z.backward(inputs=[y])
    assert x.grad is None
    assert y.retains_grad
    return (y.grad,)


def backward_into_a_retained_result(m):
    x, y, z = squared(m)
    y.retain_grad()
    z.backward(inputs=[y, x], retain_graph=True)
    z.backward(inputs=[y])
    return y.grad, x.grad


SCENES = [
    (of_leaf, [360]),
    (of_result, [120, 120]),
    (of_result_and_what_made_it, [12, 360]),
    (of_the_output_itself, [10]),
    (of_the_output_itself_a_leaf, [10]),
    (of_another, [6]),
    (retained, [360, 120]),
    (prehook_of_result, [12]),
    (prehook_and_retained, [120, 363]),
    (hook_then_prehook, [363, 12]),
    (backward_into_results, [120]),
    (backward_into_a_retained_result, [24, 36]),
]


@pytest.mark.parametrize(("scene", "expected"), SCENES, ids=[s.__name__ for s, _ in SCENES])
def test_turns(scene, expected):
    assert [g.item() for g in scene(tg)] == expected


@pytest.mark.peers
@pytest.mark.parametrize(("scene", "expected"), SCENES, ids=[s.__name__ for s, _ in SCENES])
def test_pytorchs_turns(torch, scene, expected):
    assert [g.item() for g in scene(torch)] == expected


# Second derivatives -------------------------------------------------------------------------------


def hooked_twice(m, call, arrays, hook):
    """The first and second derivatives through a result that has a hook."""
    inputs = [m.tensor(x, requires_grad=True) for x in arrays]
    y = call(m, *inputs)
    weights = np.random.default_rng(7).standard_normal(tuple(y.shape))
    y.register_hook(hook)
    first = m.autograd.grad(y, inputs, m.tensor(weights), create_graph=True)
    rough = [g for g in first if g.requires_grad]
    if not rough:
        return list(first)
    second = m.autograd.grad([(g * g).sum() for g in rough], inputs, materialize_grads=True)
    return [*first, *second]


@pytest.mark.parametrize(
    ("name", "at", "second"),
    [
        ("exp", 0.0, 9.0),  # y' = 3 y: the hook takes its turn in d(3 y)/dx = 3 * 3 y
        ("sqrt", 4.0, -9 / 32),
        ("tanh", 0.0, 0.0),
        ("sigmoid", 0.0, 0.0),
        ("expm1", 0.0, 9.0),
        ("rsqrt", 1.0, 6.75),
        ("log", 1.0, -3.0),
    ],
)
def test_hooks_have_a_turn_in_the_derivative_of_the_derivative(name, at, second):
    x = tg.tensor(at, dtype=tg.float64, requires_grad=True)
    y = getattr(tg, name)(x)
    y.register_hook(lambda g: g * 3)
    (g,) = tg.autograd.grad(y, x, create_graph=True)
    assert tg.autograd.grad(g, x)[0].item() == pytest.approx(second)


def test_a_hook_sees_the_sum_of_all_that_comes_back():
    x = tg.tensor(0.0, requires_grad=True)
    y = x.exp()
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    (g,) = tg.autograd.grad(y, x, create_graph=True)
    tg.autograd.grad(g + 2 * y, x)
    assert seen == [1, 3]


# What PyTorch computes from its result and these from their inputs, as that is rounded; and what is
# several operations here, so that the hook is on the last of them.
FROM_INPUTS = {
    "distances", "index_reduce", "logcumsumexp", "scatter_reduce",
}  # fmt: skip
SEVERAL = {
    "cholesky: upper", "cholesky_inverse", "cholesky_solve", "exp_of_gap", "lu: tall",
    "lu: wide", "lu_solve", "lu_solve: adjoint",
    "lu_solve: from the right", "lu_unpack: U", "qr", "qr: R", "qr: wide", "solve: from the right",
    "solve: unitriangular, from the right", "solve: vector",
}  # fmt: skip
HOOKED = [
    row
    for row in OPS
    if row.second and row.covers not in FROM_INPUTS and row.name not in SEVERAL
]  # fmt: skip


def cubed(g):
    return None if g is None else g * g * g  # None: PyTorch's, of a result among several


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", HOOKED, ids=lambda row: row.name)
def test_hooked_results_give_pytorchs_second_derivatives(torch, row):
    arrays = [np.asarray(x, "float64") for x in row.inputs()]
    given = (torch, row.peer or row.call), (tg, row.call)
    theirs, ours = (hooked_twice(m, call, arrays, cubed) for m, call in given)
    for peer, g in zip(theirs, ours, strict=False):
        peer = peer.detach().resolve_conj().resolve_neg().numpy(force=True)
        scale = max(1, np.abs(peer).max(initial=0))
        np.testing.assert_allclose(g.detach().numpy(), peer, rtol=0, atol=1e-9 * scale)
