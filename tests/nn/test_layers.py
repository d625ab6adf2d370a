"""Layers and activations against values worked out by hand or by NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn

X = [-2.0, -0.5, 0.0, 0.5, 30.0]


def test_linear():
    layer = nn.Linear(2, 1)
    layer.weight.array[...] = [[2.0, 3.0]]
    layer.bias.array[...] = [1.0]
    assert layer(T.tensor([[1.0, 2.0], [0.0, 1.0]])).tolist() == [[9.0], [4.0]]
    assert layer(T.tensor([1.0, 2.0])).tolist() == [9.0]
    assert nn.Linear(2, 1, bias=False).bias is None
    assert nn.Linear(2, 1, dtype=T.float64).weight.dtype == np.float64
    assert F.linear(T.ones(1, 2), layer.weight).tolist() == [[5.0]]


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3), (2, 1, 4, 3), (0, 4, 3)])
def test_linear_is_one_operation_on_any_number_of_axes(shape):
    layer, x = nn.Linear(3, 2), T.ones(shape, requires_grad=True)
    y = layer(x)
    assert y.shape == (*shape[:-1], 2)
    assert [node for node, _ in y.grad_fn.next_functions] == [
        autograd.graph.get_gradient_edge(leaf).node for leaf in (x, layer.weight, layer.bias)
    ]


def test_linear_starts_as_pytorchs():
    layer = nn.Linear(100, 1000)
    for p in (layer.weight, layer.bias):
        assert p.abs().max().item() <= 0.1
        assert p.abs().max().item() > 0.099
        assert p.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.05)
    T.manual_seed(3)
    a = nn.Linear(4, 4).weight.tolist()
    T.manual_seed(3)
    assert nn.Linear(4, 4).weight.tolist() == a


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.ReLU(), lambda x: max(x, 0)),
        (nn.ReLU(inplace=True), lambda x: max(x, 0)),
        (nn.LeakyReLU(0.2), lambda x: x if x > 0 else 0.2 * x),
        (nn.ELU(2.0), lambda x: x if x > 0 else 2 * math.expm1(x)),
        (nn.SiLU(), lambda x: x / (1 + math.exp(-x))),
        (nn.GELU(), lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
        (nn.GELU("tanh"),
         lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        (nn.Sigmoid(), lambda x: 1 / (1 + math.exp(-x))),
        (nn.Tanh(), math.tanh),
        (nn.Softplus(), lambda x: x if x > 20 else math.log1p(math.exp(x))),
        (nn.Softplus(2.0, 0.1), lambda x: x if 2 * x > 0.1 else math.log1p(math.exp(2 * x)) / 2),
        (nn.Identity("any", thing=1), lambda x: x),
    ],
    ids=lambda x: repr(x) if isinstance(x, nn.Module) else None,  # a lambda's holds its address
)  # fmt: skip
def test_activations(module, expected):
    x = T.tensor(X, dtype=T.float64, requires_grad=True)
    y = module(x)
    np.testing.assert_allclose(y.detach().numpy(), [expected(v) for v in X], rtol=1e-14)
    assert x.tolist() == X  # inplace or not
    y.sum().backward()
    assert np.isfinite(x.grad.array).all()


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (nn.ReLU(), F.relu),
        (nn.SiLU(), F.silu),
        (nn.LeakyReLU(), F.leaky_relu),
        (nn.ELU(), F.elu),
        (nn.GELU(), F.gelu),
        (nn.Sigmoid(), F.sigmoid),
        (nn.Tanh(), F.tanh),
        (nn.Softplus(), F.softplus),
    ],
)
def test_modules_and_functions_agree(module, function):
    x = T.tensor(X)
    assert function(x).tolist() == module(x).tolist()
    if "inplace" in vars(module):
        assert function(x, inplace=True).tolist() == module(x).tolist()
        assert x.tolist() == X


def test_elu_at_zero_has_slope_alpha():
    x = T.zeros(1, requires_grad=True)
    F.elu(x, 3.0).backward()
    assert x.grad.item() == 3


def test_softmax():
    x = T.tensor([[1.0, 2.0], [3.0, 3.0]])
    expected = np.exp(x.array) / np.exp(x.array).sum(1, keepdims=True)
    np.testing.assert_allclose(nn.Softmax(dim=1)(x).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(nn.LogSoftmax(1)(x).numpy(), np.log(expected), rtol=1e-6)
    assert F.softmax(x, 0, dtype=T.float64).dtype == np.float64
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        assert nn.Softmax()(x).tolist() == nn.Softmax(1)(x).tolist()
    with pytest.warns(UserWarning, match="Implicit dimension choice for log_softmax"):
        assert F.log_softmax(x[0]).tolist() == F.log_softmax(x[0], 0).tolist()


def test_gelu_refuses_other_approximations():
    with pytest.raises(RuntimeError, match="approximate argument must be either none or tanh"):
        F.gelu(T.ones(1), "cube")


def test_flatten():
    x = T.arange(24).reshape(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Flatten(0, 1)(x).shape == (6, 4)


def test_dropout():
    layer, x = nn.Dropout(0.25), T.ones(10_000, requires_grad=True)
    y = layer(x)
    assert set(y.tolist()) == {0.0, np.float32(1 / 0.75).item()}
    assert y.dtype == np.float32
    assert np.mean(y.array == 0) == pytest.approx(0.25, abs=0.02)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, y.array)  # the same mask
    assert layer(x).tolist() != y.tolist()  # and another one next time
    assert layer.eval()(x) is x
    assert F.dropout(x, 1.0).tolist() == [0.0] * 10_000
    assert F.dropout(x, 0.0) is x
    a, b = (F.dropout(x, generator=T.Generator().manual_seed(1)).tolist() for _ in range(2))
    assert a == b


def test_dropouts_second_derivative_sees_the_same_mask():
    x = T.randn(6, dtype=T.float64, requires_grad=True)
    y = F.dropout(x)
    mask = y.array / x.array
    (g,) = autograd.grad((y * y).sum(), x, create_graph=True)
    (h,) = autograd.grad(g.sum(), x)
    np.testing.assert_allclose(h.array, 2 * mask**2)


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_dropout_checks_its_probability(p):
    for act in (lambda: nn.Dropout(p), lambda: F.dropout(T.ones(1), p)):
        with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but"):
            act()


def test_layer_norm():
    layer = nn.LayerNorm(4)
    layer.weight.array[...] = 2
    layer.bias.array[...] = 1
    x = T.randn(3, 4)
    a = x.array
    normal = (a - a.mean(1, keepdims=True)) / np.sqrt(a.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(x).detach().numpy(), 2 * normal + 1, rtol=2e-5, atol=1e-6)
    assert list(nn.LayerNorm((3, 4), bias=False).state_dict()) == ["weight"]
    assert not nn.LayerNorm(4, elementwise_affine=False).state_dict()
    with pytest.raises(RuntimeError, match=r"expected input with shape \[\*, 4\]"):
        layer(T.ones(4, 3))


def test_one_hot():
    y = F.one_hot(T.tensor([0, 2]))
    assert y.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert y.dtype == np.int64
    assert F.one_hot(T.tensor(1), 2).tolist() == [0, 1]
    for index, classes, text in [
        (T.tensor([1.0]), -1, "only applicable to index tensor"),
        (T.tensor([-1]), -1, "must be non-negative"),
        (T.tensor([3]), 3, "must be smaller than num_classes"),
        (T.tensor([], dtype=T.int64), -1, "Can not infer total number of classes"),
    ]:
        with pytest.raises(RuntimeError, match=text):
            F.one_hot(index, classes)


def test_normalize():
    y = F.normalize(T.tensor([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(y.numpy(), [[0.6, 0.8], [0, 0]], rtol=1e-6)


def _rng(*shape):
    return T.randn(*shape, dtype=T.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x: F.elu(x, 1.5), [(5,)]),
        (lambda x, w, b: F.layer_norm(x, (4,), w, b), [(3, 4), (4,), (4,)]),
        (lambda w: F.embedding(T.tensor([[0, 2], [2, 1]]), w), [(3, 2)]),
        (F.normalize, [(3, 4)]),
        (lambda x: F.gelu(x, "tanh"), [(5,)]),
        (F.linear, [(3, 4), (2, 4), (2,)]),
    ],
)
def test_derivatives(function, shapes):
    inputs = tuple(_rng(*shape) for shape in shapes)
    assert autograd.gradcheck(function, inputs)
    assert autograd.gradgradcheck(function, inputs)
