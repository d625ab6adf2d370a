"""`out=`: results written to a tensor that is given."""

import inspect

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt.functions.outputs import OUT

X = tg.tensor([[1.0, -2.0], [3.0, 4.0]])
V = tg.tensor([3.0, 1.0])
Y = tg.full((2, 2), 2.0)

CALLS = {
    "exp": lambda out: tg.exp(X, out=out),
    "add": lambda out: tg.add(X, Y, alpha=2, out=out),
    "mul": lambda out: tg.mul(X, 3, out=out),
    "sum": lambda out: tg.sum(X, 1, out=out),
    "sum, axis": lambda out: tg.sum(X, axis=1, keepdims=True, out=out),
    "matmul": lambda out: tg.matmul(X, Y, out=out),
    "mm": lambda out: tg.mm(X, Y, out=out),
    "bmm": lambda out: tg.bmm(X[None], Y[None], out=out),
    "dot": lambda out: tg.dot(V, V, out=out),
    "cat": lambda out: tg.cat([X, Y], 1, out=out),
    "stack": lambda out: tg.stack([X, Y], out=out),
    "clamp": lambda out: tg.clamp(X, 0, 1, out=out),
    "gt": lambda out: tg.gt(X, 0, out=out),
    "where": lambda out: tg.where(X > 0, X, Y, out=out),
    "max": lambda out: tg.max(X, 1, out=out),
    "sort": lambda out: tg.sort(V, out=out),
    "linalg.inv": lambda out: tg.linalg.inv(X, out=out),
    "linalg.slogdet": lambda out: tg.linalg.slogdet(X, out=out),
    "special.expit": lambda out: tg.special.expit(X, out=out),
    "fft.fft": lambda out: tg.fft.fft(V, out=out),
    "F.linear": lambda out: tg.nn.functional.linear(X, Y, out=out),
    "arange": lambda out: tg.arange(4, out=out),
    "ones": lambda out: tg.ones(2, 3, out=out),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_result_is_in_out(name):
    expected = CALLS[name](None)
    if not isinstance(expected, tuple):
        out = tg.empty(tuple(expected.shape), dtype=expected.dtype)
        memory, before = out.data_ptr(), out._version
        assert CALLS[name](out) is out
        assert out.data_ptr() == memory
        assert out._version > before
        assert out.dtype == expected.dtype
        np.testing.assert_array_equal(out.numpy(), expected.numpy())
    else:
        outs = tuple(tg.empty(0, dtype=part.dtype) for part in expected)
        result = CALLS[name](outs)
        assert type(result) is type(expected)
        for part, out, right in zip(result, outs, expected, strict=True):
            assert part is out
            np.testing.assert_array_equal(out.numpy(), right.numpy())


def test_the_table_holds_for_every_name():
    spaces = {"": tg, "creation": tg, "sampling": tg, "nn.functional": tg.nn.functional}
    for where, names in OUT.items():
        space = spaces.get(where) or getattr(tg, where)
        for name in names:
            assert "out" in inspect.signature(getattr(space, name)).parameters, (where, name)


def test_out_may_be_an_input():
    x = X.clone()
    assert tg.add(x, x.T, out=x) is x
    assert x.tolist() == [[2.0, 1.0], [1.0, 8.0]]


def test_another_shape_is_resized_with_a_warning_unless_it_is_empty():
    out = tg.empty(0)
    assert tg.exp(V, out=out).shape == (2,)
    with pytest.warns(
        UserWarning, match=r"was resized since it had shape \[2\], .* shape \[2, 2\]"
    ):
        assert tg.exp(X, out=out) is out
    assert out.shape == (2, 2)


def test_types_that_fit_are_cast_and_others_refused():
    assert tg.add(V, V, out=tg.empty(2, dtype=tg.float64)).tolist() == [6.0, 2.0]
    assert tg.sum(V > 2, 0, out=tg.empty(())).item() == 1.0
    assert tg.arange(3, out=tg.empty(0)).tolist() == [0.0, 1.0, 2.0]
    out = tg.zeros(2, dtype=tg.int64)
    with pytest.raises(RuntimeError, match=r"exp\(\): result type Float can't be cast .* Long"):
        tg.exp(V, out=out)
    values, indices = tg.zeros(2), tg.zeros(2, dtype=tg.bool)
    with pytest.raises(RuntimeError, match=r"max\(\): result type Long can't be cast .* Bool"):
        tg.max(X, 1, out=(values, indices))
    assert out.tolist() == values.tolist() == [0, 0]  # nothing half-written


@pytest.mark.parametrize("which", [0, 1, 2])
def test_gradients_are_refused_while_recording(which):
    tensors = [V.clone() for _ in range(3)]
    tensors[which].requires_grad_()
    with pytest.raises(RuntimeError, match=r"out=\.\.\. arguments don't support automatic diff"):
        tg.add(*tensors[:2], out=tensors[2])
    with pytest.raises(RuntimeError, match=r"out=\.\.\. arguments don't support automatic diff"):
        tg.stack(tensors[:2], out=tensors[2])
    with tg.no_grad():
        assert tg.add(*tensors[:2], out=tensors[2]).tolist() == [6.0, 2.0]


def test_backward_notices_what_was_written():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    factor = tg.ones(2)
    y = x * factor
    tg.exp(V, out=factor)
    with pytest.raises(RuntimeError, match=r"in-place|inplace"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: tg.max(X, 1, out=X), TypeError, "'out' must be tuple of 2 Tensors, not Tensor"),
        (lambda: tg.max(X, 1, out=(X,) * 3), TypeError, "tuple of 2 Tensors, not 3 of them"),
        (lambda: tg.exp(X, out=(X,)), TypeError, r"exp\(\): argument 'out' must be Tensor, not"),
        (lambda: tg.exp(V, out=tg.zeros(1).expand(2)), RuntimeError, "more than one element"),
        (lambda: X.exp(out=X), TypeError, "unexpected keyword argument 'out'"),
    ],
)  # fmt: skip
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
