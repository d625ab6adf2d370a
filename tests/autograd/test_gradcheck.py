"""The checker fails where it must: derivatives 0.1% off, of first and second order, and NaN."""

import itertools
import math

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.autograd import GradcheckError, gradcheck, gradgradcheck, op

SLIGHTLY = 1.001  # a derivative that is 0.1% wrong


def doubles(*shapes):
    return [tg.rand(*shape, dtype=tg.float64).add(0.5).requires_grad_() for shape in shapes]


# Derivatives that are wrong by `off` in one place: the pair, and the shapes of its inputs.


def planted(off):
    def exp(x):
        y = xp(x).exp(x)
        return y, lambda g: g * (y * off)

    def tanh(x):
        y = xp(x).tanh(x)
        return y, lambda g: g * (1 - off * y * y)

    def mul_right(x, y):
        return x * y, lambda g: g * y, lambda g: g * x * off

    def div_right(x, y):
        return x / y, lambda g: g / y, lambda g: -g * x / (y * y) * off

    def matmul_left(x, y):
        return x @ y, lambda g: (g @ y.T) * off, lambda g: x.T @ g

    def matmul_right(x, y):
        return x @ y, lambda g: g @ y.T, lambda g: (x.T @ g) * off

    def total(x):
        return xp(x).sum(x * x), lambda g: g * (x * (2 * off))

    def softmax(x):
        y = xp(x).softmax(x, axis=1)
        return y, lambda g: y * (g - off * xp(g).sum(g * y, axis=1, keepdims=True))

    def one_element(x):
        weights = np.ones(x.shape)
        weights[1, 2] = off
        return x * 2, lambda g: g * 2 * weights

    square = (3, 3)
    return [
        (exp, [square]), (tanh, [square]), (mul_right, [square, (3,)]),
        (div_right, [square, square]), (matmul_left, [square, square]),
        (matmul_right, [(5, 3), (3, 4)]), (total, [square]),
        (softmax, [square]), (one_element, [square]),
    ]  # fmt: skip


def names(cases):
    return [pair.__name__ for pair, _ in cases]


@pytest.mark.parametrize(("pair", "shapes"), planted(SLIGHTLY), ids=names(planted(1)))
def test_a_derivative_that_is_slightly_wrong_is_caught(pair, shapes):
    inputs = doubles(*shapes)
    with pytest.raises(GradcheckError, match=r"backward gives .* finite differences give"):
        gradcheck(op(pair), inputs)
    assert not gradcheck(op(pair), inputs, raise_exception=False)


@pytest.mark.parametrize(("pair", "shapes"), planted(1), ids=names(planted(1)))
def test_the_right_derivative_passes(pair, shapes):
    assert gradcheck(op(pair), doubles(*shapes))


def test_a_large_input_does_not_hide_one_slightly_wrong_element():
    pair, _ = planted(SLIGHTLY)[-1]
    with pytest.raises(GradcheckError):
        gradcheck(op(pair), doubles((30, 30)))


def test_the_message_names_the_input():
    @op
    def wrong(x, y):
        return x + y, lambda g: g, lambda g: 2 * g

    x, y = doubles((2, 3), (3,))
    with pytest.raises(GradcheckError, match=r"input 1 of shape \(3,\)"):
        gradcheck(wrong, [x, y])
    assert gradcheck(wrong, [x, y.detach()])


def test_a_missing_gradient_is_caught():
    @op
    def forgets(x, y):
        return x * y, lambda g: g * y, None

    with pytest.raises(GradcheckError, match="input 1"):
        gradcheck(forgets, doubles((3,), (3,)))
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: x.detach() * x, doubles((3,)))
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: x.detach() * 2, doubles((3,)))


# Second derivatives -------------------------------------------------------------------------------


def exp_with_wrong_second(x):
    y = xp(x).exp(x)

    @op
    def slope(y):  # its value is right, its own derivative is not
        return y * 1.0, lambda g: g * SLIGHTLY

    return y, lambda g: g * slope(y)


def matmul_with_wrong_second(x, y):
    @op
    def transposed(y):
        return y.T, lambda g: g.T * SLIGHTLY

    return x @ y, lambda g: g @ transposed(y), lambda g: x.T @ g


def square_with_lost_second(x):
    raw = getattr(x, "array", x)  # the constant 2x: right, but cut off from x
    return x * x, lambda g: g * (2 * raw)


@pytest.mark.parametrize(
    ("pair", "shapes"),
    [
        (exp_with_wrong_second, [(3,)]),
        (matmul_with_wrong_second, [(2, 3), (3, 2)]),
        (square_with_lost_second, [(3,)]),
    ],
)
def test_a_wrong_second_derivative_is_caught(pair, shapes):
    inputs = doubles(*shapes)
    assert gradcheck(op(pair), inputs)
    with pytest.raises(GradcheckError):
        gradgradcheck(op(pair), inputs)


def test_gradgradcheck_passes_where_the_second_derivative_is_right_or_zero():
    (x,) = doubles((2, 3))
    assert gradgradcheck(lambda x: x * x * x, x)
    assert gradgradcheck(lambda x: 2 * x, x)
    assert gradgradcheck(lambda x: x.sum(1), x)
    assert gradgradcheck(lambda x: x * x, x, grad_outputs=[tg.ones(2, 3, dtype=tg.float64)])


# NaN, dtypes, arguments ---------------------------------------------------------------------------


def test_nan_is_caught():
    (x,) = doubles((3,))

    @op
    def nan_gradient(x):
        return x * 2, lambda g: g * math.nan

    with pytest.raises(GradcheckError, match="backward gives nan"):
        gradcheck(nan_gradient, x)
    with pytest.raises(GradcheckError, match="finite differences give nan"):
        gradcheck(lambda x: x * math.nan, x)


def test_float32_warns_and_is_compared_all_the_same():
    x = tg.ones(3, requires_grad=True)
    with (
        pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision"),
        pytest.raises(GradcheckError),
    ):
        gradcheck(tg.exp, x)
    with pytest.warns(UserWarning, match="float32"):
        assert gradcheck(tg.exp, x, eps=1e-2, atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_something_must_require_a_gradient(check):
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        check(tg.exp, [tg.ones(3)])


def test_pytorchs_switches():
    (x,) = doubles((3,))
    assert gradcheck(tg.exp, x, fast_mode=True, check_undefined_grad=False, masked=None)
    assert gradgradcheck(tg.exp, x, check_rev_over_rev=True)
    with pytest.raises(NotImplementedError, match="there is no forward mode"):
        gradcheck(tg.exp, x, check_forward_ad=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'fast'"):
        gradcheck(tg.exp, x, fast=True)


def test_a_backward_that_changes_is_caught():
    drift = itertools.count()

    @op
    def drifts(x):
        return x * 2, lambda g: g * (2 + 1e-9 * next(drift))

    (x,) = doubles((3,))
    with pytest.raises(GradcheckError, match="Backward is not reentrant"):
        gradcheck(drifts, x)
    assert gradcheck(drifts, x, nondet_tol=1e-6)


def test_several_outputs_and_other_arguments():
    x, y = doubles((2, 3), (2, 3))
    assert gradcheck(lambda x, y, n: (x * y, x**n, tg.ones(2)), [x, y, 3])
    with pytest.raises(GradcheckError):
        gradcheck(lambda x, y: (x, x * y.detach()), [x, y])


def test_the_check_leaves_its_inputs_alone():
    (x,) = doubles((3,))
    before = x.tolist()
    gradcheck(tg.exp, x)
    gradgradcheck(tg.exp, x)
    assert x.tolist() == before
    assert x.grad is None
