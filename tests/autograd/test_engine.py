"""Running graphs backwards: what is accumulated, freed, refused, and how deep and how often."""

import gc
import itertools
import math
import weakref

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import autograd
from tinygrad_opt.autograd import grad, op


def leaf(*values, dtype=tg.float64):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


@pytest.fixture
def calls():
    """The names of inputs whose pullback of `counted` has run."""
    return []


@pytest.fixture
def counted(calls):
    """x * y, noting which gradients are computed."""

    @op
    def counted(x, y):
        def to_x(g):
            calls.append("x")
            return g * y

        def to_y(g):
            calls.append("y")
            return g * x

        return x * y, to_x, to_y

    return counted


# Accumulation -------------------------------------------------------------------------------------


def test_backward_accumulates():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4]
    (3 * x).sum().backward()
    assert x.grad.tolist() == [5, 7]


def test_backward_accumulates_in_place():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert x.grad is first


def test_a_kept_gradient_is_not_overwritten_after_it_was_let_go():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    kept = x.grad
    x.grad = None
    (5 * x).sum().backward()
    assert kept.tolist() == [2, 4]
    assert x.grad.tolist() == [5, 5]


def test_shared_gradient_arrays_are_not_corrupted():
    # The pullbacks of add hand the same array to both inputs, that of sum a read-only view.
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    for create_graph in (False, True):
        x.grad = y.grad = None
        for expected in (1, 2, 3):
            (x + y).sum().backward(create_graph=create_graph)
            assert x.grad.tolist() == y.grad.tolist() == [expected] * 2
        (x + y).sum().backward()
        assert x.grad.tolist() == y.grad.tolist() == [4, 4]
        x.grad.mul_(10)
        assert y.grad.tolist() == [4, 4]


def test_the_seed_is_not_adopted():
    x = leaf(1.0, 2.0)
    seed = tg.ones(2, dtype=tg.float64)
    for _ in range(2):
        (x + 0).backward(seed)
    x.backward(seed)
    assert x.grad.tolist() == [3, 3]
    assert seed.tolist() == [1, 1]


@pytest.mark.parametrize("held", ["by nobody else", "by somebody", "in part", "across"])
def test_a_large_gradient_becomes_the_leafs_own_where_nobody_else_holds_it(held):
    places, kept = [], []

    @op
    def negative(x):
        def back(g):
            gx = -g.T.copy().T if held == "across" else -g
            places.append(gx.ctypes.data)
            if held in ("by somebody", "in part"):
                kept.append(gx[:1] if held == "in part" else gx)
            return gx

        return -x, back

    x = tg.ones(300, 400, dtype=tg.float64, requires_grad=True)
    negative(x).sum().backward()
    found = x.grad.numpy()
    assert (found.ctypes.data == places[0]) == (held == "by nobody else")
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, -np.ones((300, 400)))


def test_same_tensor_as_both_inputs():
    x = leaf(3.0)
    assert grad(x + x, x)[0].item() == 2
    assert grad(x * x, x)[0].item() == 6
    assert grad(x - x, x)[0].item() == 0
    assert grad(x / x, x)[0].item() == 0
    assert grad(x**x, x)[0].item() == pytest.approx(27 * (math.log(3) + 1))
    a = tg.randn(3, 3, dtype=tg.float64, requires_grad=True)
    assert autograd.gradcheck(lambda a: a @ a, a)


def test_leaf_used_twice_at_different_depths():
    x = leaf(2.0)
    (x * x * x + x).backward()
    assert x.grad.item() == 13


def test_diamonds_multiply_paths():
    x = leaf(1.0)
    y = x
    for _ in range(60):  # 2**60 paths
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_gradient_waits_for_all_paths(counted, calls):
    x = leaf(2.0)
    h = counted(x, 3.0)
    y = h * h + h.exp() + h
    y.backward()
    assert calls == ["x"]  # once, with the sum of what arrived
    assert x.grad.item() == pytest.approx(3 * (12 + math.exp(6) + 1))


def test_several_outputs():
    x, w = leaf(2.0), leaf(5.0)
    autograd.backward([x * w, x * x], [tg.tensor([1.0]), tg.tensor([10.0])])
    assert (x.grad.item(), w.grad.item()) == (45, 2)
    y = x * x
    assert grad([y, y, y * y], x)[0].item() == 2 * 4 + 32


def test_backward_of_a_leaf():
    x = leaf(2.0)
    x.backward()
    assert x.grad.item() == 1
    assert grad(x, x)[0].item() == 1


def test_gradient_of_one_element_needs_no_seed():
    for shape in ((), (1,), (1, 1)):
        x = tg.ones(shape, requires_grad=True)
        (2 * x).backward()
        assert x.grad.tolist() == tg.full(shape, 2.0).tolist()


def test_seed_is_cast_to_the_output():
    x = leaf(1.0, dtype=tg.float32)
    (2 * x).backward(tg.tensor([1.5], dtype=tg.float64))
    assert x.grad.dtype == tg.float32
    (2 * x).backward(np.array([1.0]))
    assert x.grad.item() == 5


# What is computed ---------------------------------------------------------------------------------


def test_nothing_is_computed_for_inputs_that_need_no_gradient(counted, calls):
    x, c = leaf(2.0), tg.tensor([3.0], dtype=tg.float64)
    counted(x, c).backward()
    assert calls == ["x"]
    counted(c, x).backward()
    assert calls == ["x", "y"]
    counted(x, 3.0).backward()
    assert calls == ["x", "y", "x"]


def test_nothing_is_computed_for_inputs_that_nobody_asked_for(counted, calls):
    x, w = leaf(2.0), leaf(3.0)
    h = counted(x, w)
    y = h * counted(w, w)
    grad(y, x)
    assert calls == ["x"]
    calls.clear()
    (w_only := counted(x, w)).backward(inputs=[w])
    assert calls == ["y"]
    assert x.grad is None
    assert isinstance(w_only.grad_fn, autograd.Node)


def test_backward_with_inputs():
    x, w = leaf(2.0), leaf(3.0)
    h = x * w
    (h * h).backward(inputs=[x, h])
    assert (x.grad.item(), h.grad.item(), w.grad) == (36, 12, None)
    with pytest.raises(RuntimeError, match="`inputs` argument to `backward\\(\\)` cannot be empty"):
        (x * x).backward(inputs=[])


def test_operations_are_recorded_only_where_needed():
    x, c = leaf(1.0), tg.ones(1)
    assert (c * c).grad_fn is None
    assert (x * c).grad_fn is not None
    assert not (x.detach() * c).requires_grad
    assert (x * c).requires_grad


# Freeing ------------------------------------------------------------------------------------------

SECOND_TIME = "Trying to backward through the graph a second time"


@pytest.mark.parametrize(
    "again",
    [
        lambda x, y: y.backward(),
        lambda x, y: y.backward(inputs=[x]),
        lambda x, y: grad(y, x),
        lambda x, y: grad(y, x, allow_unused=True),
        lambda x, y: (y * 2).backward(),
        lambda x, y: grad(y, x, create_graph=True),
    ],
)
def test_freed_graph_is_refused(again):
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=SECOND_TIME):
        again(x, y)
    assert x.grad.item() == 6


def test_a_path_through_a_freed_part_is_never_dropped_in_silence():
    x = leaf(3.0)
    h = x * x
    h.backward()
    with pytest.raises(RuntimeError, match=SECOND_TIME):
        grad(h + x, x)  # 1 would be wrong
    assert grad(h.detach() + x, x)[0].item() == 1


def test_retain_graph():
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    assert grad(y, x, retain_graph=True)[0].item() == 6
    y.backward()
    assert x.grad.item() == 18
    with pytest.raises(RuntimeError, match=SECOND_TIME):
        y.backward()


def test_create_graph_keeps_the_graph():
    x = leaf(3.0)
    y = x * x
    y.backward(create_graph=True)
    y.backward()
    assert x.grad.item() == 12


def test_graphs_that_share_a_part():
    x = leaf(3.0)
    h = x * x
    a, b = h * 2, h * 3
    a.backward(retain_graph=True)
    b.backward()
    assert x.grad.item() == 30
    with pytest.raises(RuntimeError, match=SECOND_TIME):
        a.backward()


def test_backward_frees_what_was_saved():
    x = leaf(1.0, 2.0)
    y = x.exp()
    z = (y * y).sum()
    saved = weakref.ref(y)
    del y
    assert saved() is not None
    z.backward()
    assert saved() is None


@pytest.mark.parametrize("keep", [False, True])
def test_a_value_that_nobody_needs_is_gone_before_its_gradient_is_computed(keep):
    """Of the largest arrays there is one less where memory is needed most."""
    there = []

    @op
    def watched(x):
        y = 2 * x
        value = weakref.ref(y)
        return y, lambda g: there.append(value() is not None) or 2 * g

    x = leaf(1.0, 2.0)
    (3 * watched(x)).sum().backward(retain_graph=keep)
    assert x.grad.tolist() == [6, 6]
    y = watched(x)
    (3 * y).sum().backward()
    assert there == [keep, True]


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("run", ["forward only", "backward", "create_graph", "retain_grad", "hook"])
def test_there_are_no_reference_cycles(run):
    x = leaf(1.0, 2.0)
    y = (x * x).exp()
    z = y.sum()
    if run == "retain_grad":
        y.retain_grad()
    if run == "hook":
        y.register_hook(lambda g: 2 * g)
    if run == "create_graph":
        (g,) = grad(z, x, create_graph=True)
        del g
    elif run != "forward only":
        z.backward()
    dead = [weakref.ref(y), weakref.ref(z), weakref.ref(y.array)]
    del y, z
    assert [ref() for ref in dead] == [None] * 3
    dead = weakref.ref(x)
    del x
    assert dead() is None


def test_chains_of_any_length():
    x = leaf(1.0)
    y = x
    for _ in range(5_000):
        y = y * 1.0 + 0.001
    y.backward(retain_graph=True)
    assert x.grad.item() == 1
    grad(y, x)
    assert y.item() == pytest.approx(6)
    del y  # neither the backward pass nor the destructor may recurse


def test_long_chains_are_deleted_without_backward():
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = -y
    dead = weakref.ref(y)
    del y
    assert dead() is None


def test_long_chains_with_create_graph():
    x = leaf(2.0)
    y = x
    for _ in range(1_000):
        y = y * 1.0
    y = y * y
    (g,) = grad(y, x, create_graph=True)
    assert grad(g, x)[0].item() == 2
    del g, y


# Higher derivatives -------------------------------------------------------------------------------


def derivatives(f, at, order):
    x = leaf(at)
    y, found = f(x).sum(), []
    for _ in range(order):
        (g,) = grad(y, x, create_graph=True)
        found.append(g.item())
        y = g.sum()
    return found


def test_higher_derivatives_are_exact():
    e = math.exp(0.5)
    assert derivatives(lambda x: x**5, 2.0, 5) == [80, 160, 240, 240, 120]
    assert derivatives(tg.exp, 0.5, 4) == pytest.approx([e] * 4, rel=1e-15)
    assert derivatives(lambda x: 1 / x, 2.0, 3) == pytest.approx([-0.25, 0.25, -0.375], rel=1e-14)
    s, c = math.sin(1.0), math.cos(1.0)
    assert derivatives(tg.sin, 1.0, 4) == pytest.approx([c, -s, -c, s], rel=1e-14)
    t = math.tanh(0.5)
    first = 1 - t * t
    expected = [first, -2 * t * first, first * (6 * t * t - 2)]
    assert derivatives(tg.tanh, 0.5, 3) == pytest.approx(expected, rel=1e-14)


def test_mixed_partials_agree():
    x, y = leaf(0.7), leaf(-1.3)
    z = (x * x * y).sin() + x / y
    gx, gy = grad(z, [x, y], create_graph=True)
    (xy,), (yx,) = grad(gx, y, retain_graph=True), grad(gy, x)
    assert xy.item() == pytest.approx(yx.item(), rel=1e-14)


def test_gradient_penalty_trains():
    w = tg.randn(3, 2, dtype=tg.float64, requires_grad=True)
    x = tg.randn(4, 3, dtype=tg.float64, requires_grad=True)
    (g,) = grad((x @ w).tanh().sum(), x, create_graph=True)
    penalty = (g.norm(dim=1) - 1).square().mean()
    penalty.backward()
    assert w.grad.shape == (3, 2)
    assert w.grad.norm().item() > 0


def test_backward_with_create_graph_makes_differentiable_grads():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad
    assert grad(x.grad, x)[0].item() == 18


def test_create_graph_works_under_no_grad():
    x = leaf(3.0)
    y = x**3
    with tg.no_grad():
        (g,) = grad(y, x, create_graph=True)
    assert grad(g, x)[0].item() == 18


def test_without_create_graph_gradients_have_no_history():
    x = leaf(3.0)
    (g,) = grad(x**3, x)
    assert not g.requires_grad


def test_operation_that_cannot_be_differentiated_twice_says_so():
    @op
    def through_numpy(x):
        y = np.exp(x.astype("float64"))
        return y, lambda g: g * y

    x = leaf(1.0)
    assert grad(through_numpy(x), x)[0].item() == pytest.approx(math.e)
    with pytest.raises(
        RuntimeError, match=r"through_numpy: the derivative .* differentiated again"
    ):
        grad(through_numpy(x), x, create_graph=True)


# grad() -------------------------------------------------------------------------------------------


def test_grad_touches_no_dot_grad():
    x = leaf(3.0)
    grad(x * x, x)
    assert x.grad is None


def test_grad_of_unused_inputs():
    x, unused = leaf(3.0), leaf(1.0, 2.0)
    message = "The differentiated Tensor at index 1 appears to not have been used in the graph"
    with pytest.raises(RuntimeError, match=message):
        grad(x * x, [x, unused])
    assert grad(x * x, [x, unused], allow_unused=True)[1] is None
    assert grad(x * x, [x, unused], materialize_grads=True)[1].tolist() == [0, 0]


def test_grad_of_inputs_that_need_none():
    x, c = leaf(3.0), tg.ones(1)
    with pytest.raises(
        RuntimeError, match=r"One of the differentiated Tensors does not require grad: inputs\[1\]"
    ):
        grad(x * c, [x, c])


def test_grad_of_non_leaves():
    x = leaf(3.0)
    h = x * x
    y = h * h
    assert [g.item() for g in grad(y, [h, x, y], retain_graph=True)] == [18, 108, 1]
    assert grad(y, h)[0].item() == 18  # x lies behind h and is not visited


def test_grad_of_the_same_input_twice():
    x = leaf(3.0)
    assert [g.item() for g in grad(x * x, [x, x])] == [6, 6]


def test_grad_with_grad_outputs():
    x = leaf(1.0, 2.0)
    assert grad(x * x, x, tg.tensor([1.0, 10.0]))[0].tolist() == [2, 40]
    assert grad([x * x], [x], [tg.tensor([1.0, 10.0])])[0].tolist() == [2, 40]


# Refused ------------------------------------------------------------------------------------------


def test_non_scalar_needs_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(
        RuntimeError, match="grad can be implicitly created only for scalar outputs"
    ):
        (x * x).backward()
    with pytest.raises(RuntimeError, match=r"shape \(2,\); reduce it first"):
        grad(x * x, x)


def test_backward_needs_something_that_requires_grad():
    message = "element 0 of tensors does not require grad and does not have a grad_fn"
    with pytest.raises(RuntimeError, match=message):
        tg.ones(()).backward()
    with pytest.raises(RuntimeError, match="element 1 of tensors"):
        autograd.backward([leaf(1.0), tg.ones(())])


def test_seeds_must_fit():
    x = leaf(1.0, 2.0)
    with pytest.raises(
        RuntimeError, match=r"grad_output\[0\] has a shape of \(3,\) and output\[0\]"
    ):
        (x * x).backward(tg.ones(3))
    with pytest.raises(RuntimeError, match="got 2 tensors and 1 gradients; give one for each"):
        autograd.backward([x.sum(), x.sum()], [tg.ones(())])
    with pytest.raises(TypeError, match="expected Tensors to differentiate, got float"):
        autograd.backward([1.0])


def test_pullback_of_a_wrong_shape_is_named():
    @op
    def shrinks(x):
        return x * 2, lambda g: g[:1, :2]

    x = tg.ones(3, 4, requires_grad=True)
    message = (
        r"shrinks: a pullback returned a gradient of shape \(1, 2\) for an input of shape \(3, 4\)"
    )
    with pytest.raises(RuntimeError, match=message):
        shrinks(x).sum().backward()


def test_an_exception_leaves_every_grad_unchanged_and_the_graph_if_it_is_retained():
    broken = itertools.count()

    @op
    def fails_once(x):
        def back(g):
            if next(broken) == 0:
                raise ValueError("broken pullback")
            return g

        return x * 1, back

    x, w = leaf(2.0), leaf(3.0)
    x.grad = leaf(100.0).detach()
    y = w * 5 + fails_once(x) * w
    with pytest.raises(ValueError, match="broken pullback"):
        y.backward(retain_graph=True)
    assert (x.grad.item(), w.grad) == (100, None)
    y.backward()
    assert (x.grad.item(), w.grad.item()) == (103, 7)


def test_what_an_operation_saved_is_freed_once_it_has_been_passed():
    x, saved, alive = leaf(2.0), [], []

    @op
    def saves(x):
        held = np.ones(3)
        saved.append(weakref.ref(held))

        def back(g):
            alive.append([ref() is not None for ref in saved])
            return g * held[0]

        return x * 1, back

    saves(saves(x)).backward()
    assert alive == [[True, True], [True, False]]


# retain_grad and hooks ----------------------------------------------------------------------------


def test_retain_grad():
    x = leaf(3.0)
    h = x * x
    h.retain_grad()
    h.retain_grad()  # twice is once
    (h * 5).backward(retain_graph=True)
    assert (h.grad.item(), x.grad.item()) == (5, 30)
    (h * 5).backward()
    assert h.grad.item() == 10
    x.retain_grad()  # nothing to do for a leaf
    with pytest.raises(
        RuntimeError, match="can't retain_grad on Tensor that has requires_grad=False"
    ):
        tg.ones(1).retain_grad()


def test_grads_of_non_leaves_are_not_kept():
    x = leaf(3.0)
    h = x * x
    h.backward()
    with pytest.warns(UserWarning, match="a Tensor that is not a leaf Tensor is being accessed"):
        assert h.grad is None


@pytest.mark.parametrize("inner", [False, True], ids=["leaf", "non-leaf"])
def test_hooks_see_and_replace_gradients(inner):
    x = leaf(3.0)
    h = x * 1 if inner else x
    seen = []
    first = h.register_hook(lambda g: seen.append(g.item()))
    second = h.register_hook(lambda g: 10 * g)
    (h * h).backward(retain_graph=True)
    assert seen == [6]
    assert x.grad.item() == 60
    second.remove()
    second.remove()  # a second time changes nothing
    assert grad(h * h + x, x, retain_graph=True)[0].item() == 7
    with first:
        pass
    grad(h * h, x)
    assert len(seen) == 2


def test_hooks_on_a_leaf_see_the_sum_and_also_run_in_grad():
    x = leaf(3.0)
    x.register_hook(lambda g: 2 * g)
    (x * x + x).backward()
    assert x.grad.item() == 14
    assert grad(x * x, x)[0].item() == 12


def test_hooks_take_part_in_create_graph():
    x = leaf(3.0)
    h = x * x
    h.register_hook(lambda g: g * x)
    (g,) = grad(h, x, create_graph=True)  # 2 x^2
    assert grad(g, x)[0].item() == 12


def test_retained_grad_is_what_the_hooks_made_of_it():
    x = leaf(3.0)
    h = x * x
    h.retain_grad()
    h.register_hook(lambda g: 10 * g)
    h.backward()
    assert h.grad.item() == 10


def test_hooks_need_a_gradient():
    with pytest.raises(
        RuntimeError, match="cannot register a hook on a tensor that doesn't require"
    ):
        tg.ones(1).register_hook(print)


# detach and custom operations ---------------------------------------------------------------------


def test_detach_stops_gradients_and_shares_memory():
    x = leaf(3.0)
    d = x.detach()
    assert not d.requires_grad
    assert d.array is x.array
    (x * d).backward()
    assert x.grad.item() == 3


def test_custom_operation():
    @op
    def cube(x, *, times=1.0):
        """x^3 times a number."""
        return times * x * x * x, lambda g: g * (3 * times) * x * x

    assert cube.__name__ == "cube"
    assert cube.__doc__ == "x^3 times a number."
    x = leaf(2.0)
    assert autograd.gradcheck(cube, x)
    assert autograd.gradgradcheck(lambda x: cube(x, times=2.0), x)
    assert cube(2.0) == 8  # without tensors: what the pair computes
    assert cube(np.array([2.0])).tolist() == [8]
    assert repr(cube(x).grad_fn) == "<CubeBackward0>"


def test_pullbacks_may_be_none():
    @op
    def pick(x, index):
        return x[index], lambda g: tg.ops.scatter_add(g, shape=x.shape, index=index), None

    x = leaf(1.0, 2.0)
    pick(x, 1).backward()
    assert x.grad.tolist() == [0, 1]


def test_next_functions_lead_to_the_leaves():
    x = leaf(2.0)
    y = (x * x).exp()
    assert repr(y.grad_fn) == "<ExpBackward0>"
    ((inner, index),) = y.grad_fn.next_functions
    assert (repr(inner), index) == ("<MulBackward0>", 0)
    ((first, _), (second, _)) = inner.next_functions
    assert first == second
    assert first.variable is x
    assert (repr(first), first.next_functions) == ("<AccumulateGrad>", ())


@pytest.mark.peers
def test_hooks_and_retained_grads_as_pytorch(torch):
    def run(m):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        h = x * x
        h.retain_grad()
        h.register_hook(lambda g: 3 * g)
        x.register_hook(lambda g: g + 1)
        (h * x).sum().backward(retain_graph=True)
        (h * x).sum().backward(retain_graph=True, inputs=[x])
        (g,) = m.autograd.grad((h * x).sum(), x)
        return [x.grad.tolist(), h.grad.tolist(), g.tolist()]

    assert run(tg) == run(torch)
