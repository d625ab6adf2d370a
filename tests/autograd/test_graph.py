"""Ways into the graph: how saved values are kept, edges, hooks on several gradients, tangents."""

from contextlib import nullcontext

import numpy as np
import pytest
from ops_table import sampled_rows

import tinygrad_opt as tg
from tinygrad_opt import autograd, nn
from tinygrad_opt.autograd import forward_ad as fw
from tinygrad_opt.autograd import graph


def hooked(run, x):
    """The gradient of run(x), and what was packed on the way."""
    packed = []

    def pack(tensor):
        packed.append(tensor)
        return tensor.numpy().copy()

    with graph.saved_tensors_hooks(pack, lambda array: tg.tensor(array)):
        y = run(x)
    (g,) = autograd.grad(y.sum(), x)
    return g, packed


CASES = {
    "exp": lambda x: x.exp(),
    "mul": lambda x: x * x * 3,
    "mean of softmax": lambda x: tg.softmax(x, 0)[0] ** 2,
    "layers": lambda x: nn.functional.gelu(x @ tg.ones(3, 2)),
    "cat": lambda x: tg.cat([x, x * 2]).relu(),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_same(name):
    x = tg.randn(4, 3, requires_grad=True)
    g, packed = hooked(CASES[name], x)
    (expected,) = autograd.grad(CASES[name](x).sum(), x)
    np.testing.assert_array_equal(g, expected)
    assert packed


def test_what_backward_needs_is_packed_once():
    x, y = tg.ones(2, requires_grad=True), tg.full((2,), 3.0, requires_grad=True)
    _, packed = hooked(lambda x: x * y, x)
    assert [p.tolist() for p in packed] == [[3, 3], [1, 1]] or len(packed) == 2
    _, packed = hooked(lambda x: x + y, x)
    assert packed == []
    _, packed = hooked(lambda x: x.exp(), x)
    np.testing.assert_allclose(packed[0], np.e)
    assert len(packed) == 1


def test_hooks_change_what_is_kept():
    x = tg.tensor([2.0], requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: t * 10, lambda t: t):
        y = x * x
    y.backward()
    assert x.grad.item() == 40
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        with graph.saved_tensors_hooks(lambda t: 0 * t, lambda t: t):
            z = x.exp()  # the innermost counts
        w = x.exp()
    assert autograd.grad(z, x)[0].item() == 0
    assert autograd.grad(w, x)[0].item() > 7
    with graph.save_on_cpu(pin_memory=True):
        y = x.exp()
    assert autograd.grad(y, x)[0].item() == pytest.approx(np.exp(2))


def test_hooks_that_return_something_else():
    x = tg.ones(2, requires_grad=True)
    for unpack, kind, text in [
        (lambda t: 1, TypeError, "unpack_hook must return a Tensor, got int"),
        (lambda t: t[:1], RuntimeError, r"unpack_hook returned a tensor of .*32 \(1,\) for one"),
    ]:
        with graph.saved_tensors_hooks(lambda t: t, unpack):
            y = x.exp()
        with pytest.raises(kind, match=text):
            y.sum().backward()
    with (
        graph.disable_saved_tensors_hooks("not here"),
        pytest.raises(RuntimeError, match="not here"),
        graph.saved_tensors_hooks(lambda t: t, lambda t: t),
    ):
        pass


def test_hooks_and_second_derivatives():
    x = tg.tensor([2.0], requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: t.numpy(), lambda a: tg.tensor(a)):
        y = x * x * x
    (g,) = autograd.grad(y, x, create_graph=True)
    assert autograd.grad(g, x)[0].item() == 12


def test_edges():
    x = tg.tensor([2.0], requires_grad=True)
    y = x * 3
    z = y * y
    edge = graph.get_gradient_edge(y)
    assert edge.node is y.grad_fn
    assert edge.output_nr == 0
    assert isinstance(edge.node, graph.Node)
    assert isinstance(edge, graph.GradientEdge)
    assert autograd.grad(z, edge, retain_graph=True)[0].item() == 12
    leaf = graph.get_gradient_edge(x)
    assert leaf.node.variable is x
    assert autograd.grad(z, [leaf])[0].item() == 36
    with pytest.raises(RuntimeError, match="gradient edge for a Tensor that does not require"):
        graph.get_gradient_edge(tg.ones(1))


def test_hooks_on_several_gradients():
    a, b = (tg.ones(1, requires_grad=True) for _ in range(2))
    found, first = [], []
    handle = graph.register_multi_grad_hook([a, tg.ones(1), b], found.append)
    other = graph.register_multi_grad_hook((a, b), first.append, mode="any")
    for _ in range(2):
        (a * 2 + b * 3).sum().backward()
    assert [[g if g is None else g.item() for g in row] for row in found] == [[2, None, 3]] * 2
    assert len(first) == 2
    handle.remove()
    other.remove()
    (a * 2 + b * 3).sum().backward()
    assert (len(found), len(first)) == (2, 2)
    with pytest.raises(ValueError, match="Expects mode to be one of"):
        graph.register_multi_grad_hook([a], print, mode="some")


# Forward mode -------------------------------------------------------------------------------------


def test_tangents():
    x, t = tg.tensor([1.0, 2.0, 3.0]), tg.tensor([0.5, -1.0, 2.0])
    with fw.dual_level():
        dual = fw.make_dual(x, t)
        assert fw.unpack_dual(dual).tangent is t
        y = tg.softmax(dual, 0) * dual.sin()
        primal, tangent = fw.unpack_dual(y)
        assert not primal.requires_grad
        np.testing.assert_allclose(primal, tg.softmax(x, 0) * x.sin())
        assert fw.unpack_dual(x).tangent is None
        assert fw.unpack_dual(tg.ones(1, requires_grad=True) * 2).tangent is None
        assert (fw.unpack_dual(dual.floor()).tangent == 0).all()
    _, expected = tg.func.jvp(lambda x: tg.softmax(x, 0) * x.sin(), (x,), (t,))
    np.testing.assert_allclose(tangent, expected, rtol=1e-6)
    assert fw.unpack_dual(y).tangent is None


def test_tangents_of_several_tensors_and_of_layers():
    layer = nn.Linear(3, 2)
    x, t = tg.randn(4, 3), tg.randn(4, 3)
    with fw.dual_level():
        dual = fw.make_dual(x, t)
        weight = fw.make_dual(layer.weight, tg.ones(2, 3))
        found = fw.unpack_dual(nn.functional.linear(dual, weight, layer.bias)).tangent
    expected = t @ layer.weight.T + x @ tg.ones(3, 2)
    np.testing.assert_allclose(found, expected.detach(), rtol=1e-5, atol=1e-6)


def test_levels():
    with pytest.raises(RuntimeError, match="no level exists"):
        fw.make_dual(tg.ones(1), tg.ones(1))
    with pytest.raises(RuntimeError, match="exit a forward AD level that was not entered"):
        fw.exit_dual_level()
    assert fw.enter_dual_level() == 0
    with pytest.raises(RuntimeError, match="Nested forward mode AD is not supported"):
        fw.enter_dual_level()
    with pytest.raises(RuntimeError, match=r"Expected tangent of the size of the primal, \(1,\)"):
        fw.make_dual(tg.ones(1), tg.ones(2))
    with pytest.raises(ValueError, match="Expected primal to be floating point or complex"):
        fw.make_dual(tg.tensor([1]), tg.tensor([1]))
    assert isinstance(fw.unpack_dual(tg.ones(1)), fw.UnpackedDualTensor)
    fw.exit_dual_level()


@sampled_rows
def test_what_is_packed_comes_back_in_every_operation(row):
    arrays, found = row.inputs(), []
    for context in (nullcontext(), graph.saved_tensors_hooks(lambda t: t, lambda t: t)):
        inputs = [tg.tensor(x, requires_grad=True) for x in arrays]
        with context:
            y = row.call(tg, *inputs)
        y.backward(tg.ones_like(y))
        found.append([x.grad for x in inputs])
    for plain, packed in zip(*found, strict=True):
        assert (plain is None) == (packed is None)
        if plain is not None:
            np.testing.assert_allclose(packed.numpy(), plain.numpy(), rtol=1e-12, atol=1e-14)
