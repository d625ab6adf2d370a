"""autograd.Function: what ctx keeps, what is handed on, and what is refused."""

import gc
import weakref

import pytest

import tinygrad_opt as tg
from tinygrad_opt import autograd
from tinygrad_opt.autograd import Function, gradcheck, gradgradcheck
from tinygrad_opt.autograd.function import once_differentiable


def leaf(*values, dtype=tg.float64):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


class Exp(Function):
    """Saves its own output."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class SumAndProduct(Function):
    """Two outputs, and an argument that is not a Tensor."""

    @staticmethod
    def forward(ctx, x, y, scale):
        ctx.scale = scale
        product = x * y * scale
        ctx.save_for_backward(x, y, product)
        return x + y, product

    @staticmethod
    def backward(ctx, g_sum, g_product):
        x, y, _ = ctx.saved_tensors
        return g_sum + g_product * y * ctx.scale, g_sum + g_product * x * ctx.scale, None


class Powers(Function):
    """Two outputs, both saved: exp(x), exp(2x)."""

    @staticmethod
    def forward(ctx, x):
        outputs = x.exp(), (2 * x).exp()
        ctx.save_for_backward(*outputs)
        return outputs

    @staticmethod
    def backward(ctx, g1, g2):
        y1, y2 = ctx.saved_tensors
        return g1 * y1 + 2 * g2 * y2


@pytest.mark.parametrize("function", [Cube, Exp, Powers])
def test_derivatives_of_any_order(function):
    x = leaf(0.5, -1.0)
    assert gradcheck(function.apply, x)
    assert gradgradcheck(function.apply, x)


def test_third_derivative_through_a_saved_output():
    x = leaf(0.5)
    for function in (Exp.apply, lambda x: Powers.apply(x)[0]):
        y = function(x)
        for _ in range(3):
            (y,) = autograd.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(tg.exp(x).item())


def test_several_outputs_and_other_arguments():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    a, b = SumAndProduct.apply(x, y, 10.0)
    (a.sum() + b.sum()).backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([31, 41], [11, 21])
    assert gradcheck(lambda x, y: SumAndProduct.apply(x, y, 2.0), [x, y])
    assert gradgradcheck(lambda x, y: SumAndProduct.apply(x, y, 2.0), [x, y])
    # one of the outputs alone: the other's gradient is zeros
    (g,) = autograd.grad(SumAndProduct.apply(x, y, 10.0)[1].sum(), x)
    assert g.tolist() == [30, 40]
    # only what is needed comes back
    (g,) = autograd.grad(SumAndProduct.apply(x, y.detach(), 10.0)[0].sum(), x)
    assert g.tolist() == [1, 1]


def test_setup_context():
    class Scale(Function):
        @staticmethod
        def forward(x, k):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.k = inputs
            ctx.save_for_backward(x, output)

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            assert (y == x * ctx.k).all()
            return g * ctx.k, None

    x = leaf(2.0)
    Scale.apply(x, 5.0).backward()
    assert x.grad.item() == 5


def test_needs_input_grad_and_what_backward_is_called_with():
    seen = {}

    class Watch(Function):
        @staticmethod
        def forward(ctx, *args):
            seen["needed"] = ctx.needs_input_grad
            seen["recording"] = tg.is_grad_enabled()
            ctx.set_materialize_grads(seen["materialize"])
            return args[0] * 1, args[0] > 0, "text", args[0] * 2

        @staticmethod
        def backward(ctx, *grads):
            seen["grads"] = grads
            seen["again"] = tg.is_grad_enabled()
            return (grads[0], *[None] * (len(ctx.needs_input_grad) - 1))

    x, c = leaf(1.0), tg.ones(1)
    for seen["materialize"] in (True, False):
        y, mask, text, _ = Watch.apply(x, c, 3)
        assert (seen["needed"], seen["recording"]) == ((True, False, False), False)
        assert (y.requires_grad, mask.requires_grad, text) == (True, False, "text")
        y.backward()
        first, second, third, fourth = seen["grads"]
        assert (first.item(), third, seen["again"]) == (1, None, False)
        if seen["materialize"]:
            assert (second.tolist(), fourth.tolist()) == ([False], [0])
        else:
            assert second is fourth is None
    autograd.grad(Watch.apply(x)[0], x, create_graph=True)
    assert seen["again"]


def test_outputs_without_gradient():
    class Sorted(Function):
        @staticmethod
        def forward(ctx, x):
            y, i = x * 1, x * 0
            ctx.mark_non_differentiable(i)
            return y, i

        @staticmethod
        def backward(ctx, g, _):
            return g * 7

    y, i = Sorted.apply(leaf(1.0))
    assert (y.requires_grad, i.requires_grad, i.grad_fn) == (True, False, None)


def test_nothing_is_recorded_where_nothing_is_needed():
    assert Cube.apply(tg.ones(2)).grad_fn is None
    with tg.no_grad():
        assert Cube.apply(leaf(1.0)).grad_fn is None


def test_none_is_no_gradient():
    class Blocks(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return g, None

    x, y = leaf(1.0), leaf(2.0)
    z = Blocks.apply(x, y * 1)
    z.backward()
    assert (x.grad.item(), y.grad) == (1, None)
    assert autograd.grad(Blocks.apply(x, y), [x, y], allow_unused=True)[1] is None


def test_an_argument_that_is_returned_is_another_tensor():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    x = leaf(2.0)
    y = Same.apply(x)
    assert y is not x
    assert y.array is x.array
    y.backward()
    assert x.grad.item() == 3
    assert x.is_leaf


class AddOne(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.add_(1)

    @staticmethod
    def backward(ctx, g):
        return g * 5


def test_mark_dirty():
    x = leaf(2.0)
    y = x * 3
    earlier = y + 0
    z = AddOne.apply(y)
    assert z is y
    assert (y.item(), y._version) == (7, 2)
    (earlier + y).backward()
    assert x.grad.item() == 3 + 15
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad has been used in"):
        AddOne.apply(x)


def test_dirty_arguments_must_be_returned():
    class Forgets(AddOne):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x + 1

    with pytest.raises(RuntimeError, match="marked as dirty during the forward method were not"):
        Forgets.apply(leaf(1.0) * 2)


def test_saved_tensors_are_freed_and_watched():
    x = leaf(2.0)
    y = Cube.apply(x)
    assert y.grad_fn.saved_tensors[0] is x
    y.backward()
    for use in (y.backward, lambda: y.grad_fn.saved_tensors):
        with pytest.raises(RuntimeError, match="Trying to backward through the graph a second"):
            use()
    y = Cube.apply(x)
    with tg.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    y = Cube.apply(x)
    y.backward(retain_graph=True)
    y.backward()


def test_once_differentiable():
    class Once(Cube):
        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x

    x = leaf(2.0)
    Once.apply(x).backward()
    assert x.grad.item() == 12
    (g,) = autograd.grad(Once.apply(x * x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        autograd.grad(g, x)


def wrong(result, arguments=1):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, *args):
            return args[0] * 1

        @staticmethod
        def backward(ctx, g):
            return result(g)

    return lambda: Wrong.apply(leaf(1.0, 2.0), *[3] * (arguments - 1)).sum().backward()


class Bare(Function):
    pass


class NoBackward(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1


class SavesNumber(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x, 3)


ERRORS = [
    (RuntimeError, r"returned an incorrect number of gradients \(expected 2, got 1\)",
     wrong(lambda g: g, 2)),
    (RuntimeError, r"returned an incorrect number of gradients \(expected 1, got 2\)",
     wrong(lambda g: (g, g))),
    (RuntimeError, "returned a gradient different than None at position 2, but the corresponding",
     wrong(lambda g: (g, g), 2)),
    (RuntimeError, r"invalid gradient at index 0 - got \[3\] but expected shape compatible",
     wrong(lambda g: tg.ones(3))),
    (RuntimeError, r"expected Variable or None \(got int\)", wrong(lambda g: 1)),
    (NotImplementedError, "You must implement the forward function", lambda: Bare.apply(leaf(1.0))),
    (NotImplementedError, "You must implement either the backward or vjp method",
     lambda: NoBackward.apply(leaf(1.0)).backward()),
    (TypeError, "can only save variables, but argument 1 is of type int",
     lambda: SavesNumber.apply(leaf(1.0))),
    (RuntimeError, "Legacy autograd function", lambda: Cube()(leaf(1.0))),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "message", "use"), ERRORS, ids=[m[:40] for _, m, _ in ERRORS])
def test_errors(kind, message, use):
    with pytest.raises(kind, match=message):
        use()


def test_gradients_are_fitted_to_the_argument():
    class Spread(Function):
        @staticmethod
        def forward(ctx, x):
            return x * tg.ones(3, 2, dtype=tg.float64)

        @staticmethod
        def backward(ctx, g):
            return g

    x = leaf(1.0, 2.0, dtype=tg.float32)
    Spread.apply(x).sum().backward()
    assert (x.grad.tolist(), x.grad.dtype) == ([3, 3], tg.float32)


def test_names_and_edges():
    x = leaf(2.0)
    y = x * 1
    a, b = SumAndProduct.apply(y, x, 2.0)
    for out in (a, b):
        assert out.grad_fn.name() == "SumAndProductBackward"
        assert repr(out.grad_fn) == "<SumAndProductBackward>"
        (first, _), (second, _) = out.grad_fn.next_functions
        assert first is y.grad_fn
        assert second.variable is x
        assert out.grad_fn.scale == 2.0


@pytest.mark.parametrize("function", [Cube, Exp, Powers])
def test_no_reference_cycles(function):
    gc.disable()
    try:
        x = leaf(1.0)
        y = function.apply(x)
        y = y if isinstance(y, tg.Tensor) else y[1]
        gone = weakref.ref(y)
        autograd.grad(y, x, create_graph=True)
        del y
        assert gone() is None
    finally:
        gc.enable()


def test_functions_inside_functions():
    class Outer(Function):
        @staticmethod
        def forward(ctx, x):
            with tg.enable_grad():
                ctx.x = x.detach().requires_grad_()
                ctx.y = Cube.apply(ctx.x)
            return ctx.y.detach()

        @staticmethod
        def backward(ctx, g):
            return autograd.grad(ctx.y, ctx.x, g)[0]

    x = leaf(2.0)
    (Outer.apply(x) * 2).backward()
    assert x.grad.item() == 24
