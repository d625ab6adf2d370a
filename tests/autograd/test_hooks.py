"""Hooks of tensors and of Nodes, post-accumulate hooks, `requires_grad` by assignment."""

import pytest

import tinygrad_opt as tg
from tinygrad_opt import autograd, optim


def leaf(*values):
    return tg.tensor(values, requires_grad=True)


def test_hooks_that_remove_themselves():
    x = leaf(2.0)
    for tensor in (x, x * 1):
        seen = []

        def once(g, seen=seen):
            seen.append(g.item())
            seen[0].remove()

        seen.append(tensor.register_hook(once))
        other = tensor.register_hook(lambda g, seen=seen: seen.append("other"))
        for _ in range(2):
            (tensor * 3).backward(retain_graph=True)
        assert seen[1:] == [3.0, "other", "other"]
        other.remove()


def test_hooks_may_not_change_the_shape_or_the_type():
    for hook, kind, message in (
        (lambda g: tg.ones(5), RuntimeError, "has changed the size of value"),
        (lambda g: 3, TypeError, "expected Variable, but hook returned 'int'"),
    ):
        x = leaf(1.0, 2.0)
        x.register_hook(hook)
        with pytest.raises(kind, match=message):
            (x * 2).sum().backward()


def test_post_accumulate_hooks():
    x, y = leaf(2.0), leaf(1.0)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda p: seen.append((p is x, p.grad.item())))
    (x * x * y).backward()
    (x * x * y).backward()
    assert seen == [(True, 4), (True, 8)]
    autograd.grad(x * x, x)
    autograd.backward(x * y, inputs=[y])
    assert len(seen) == 2
    handle.remove()
    (x * x).backward()
    assert len(seen) == 2
    with pytest.raises(RuntimeError, match="cannot be registered on non-leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)


def test_a_step_in_the_backward_pass():
    """The use that post-accumulate hooks were made for."""
    w = leaf(1.0, 2.0)
    step = optim.SGD([w], lr=0.1)

    def update(p):
        step.step()
        p.grad = None

    w.register_post_accumulate_grad_hook(update)
    (w * w).sum().backward()
    assert w.grad is None
    assert w.tolist() == pytest.approx([0.8, 1.6])


def test_node_prehooks_and_hooks():
    x, w = leaf(2.0), leaf(5.0)
    y = x * w
    seen = []
    pre = y.grad_fn.register_prehook(lambda gs: (gs[0] * 10,))
    after = y.grad_fn.register_hook(lambda gin, gout: seen.append((gin, gout)))
    y.backward(retain_graph=True)
    ((gin, gout),) = seen
    assert ([g.item() for g in gin], gout[0].item()) == ([50, 20], 10)
    assert (x.grad.item(), w.grad.item()) == (50, 20)
    pre.remove()
    after.remove()
    y.grad_fn.register_hook(lambda gin, gout: (gin[0] * 2, gin[1]))
    assert [g.item() for g in autograd.grad(y, [x, w])] == [10, 2]
    z = x * tg.tensor([3.0])
    z.grad_fn.register_hook(lambda gin, gout: seen.append([g is None for g in gin]))
    z.backward()
    assert seen[-1] == [False, True]


def test_node_hooks_in_higher_derivatives():
    x = leaf(2.0)
    y = x * x
    y.grad_fn.register_hook(lambda gin, gout: tuple(g * x for g in gin))
    (g,) = autograd.grad(y, x, create_graph=True)
    assert g.item() == 8  # 2 x * x
    assert autograd.grad(g, x)[0].item() == 8


def test_requires_grad_by_assignment():
    x = tg.ones(2)
    x.requires_grad = True
    y = x * 2
    assert y.requires_grad
    x.requires_grad = False
    assert not (x * 2).requires_grad
    for value in (False, True):
        with pytest.raises(RuntimeError, match="you can only change requires_grad flags of leaf"):
            y.requires_grad = value
    assert y.requires_grad_() is y
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype can require"):
        tg.tensor([1]).requires_grad = True
    with pytest.raises(RuntimeError, match="requires_grad must be a bool, got int"):
        x.requires_grad = 1


def test_grad_of_a_non_leaf_warns():
    x = leaf(1.0)
    y = x * 2
    with pytest.warns(UserWarning, match="The .grad attribute of a Tensor that is not a leaf"):
        assert y.grad is None
    y.retain_grad()
    assert y.retains_grad
    assert not x.retains_grad
    assert y.grad is None  # no warning: it will come
    y.backward()
    assert y.grad.item() == 1


def test_old_code_wraps_tensors():
    x = autograd.Variable(tg.ones(2), requires_grad=True)
    assert isinstance(x, autograd.Variable)
    assert isinstance(x, tg.Tensor)
    assert isinstance(tg.ones(1), autograd.Variable)
    assert not isinstance(1, autograd.Variable)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 2]


# grad and backward --------------------------------------------------------------------------------


def test_is_grads_batched():
    x, w = leaf(1.0, 2.0, 3.0), leaf(2.0, 2.0, 2.0)
    y = x * x * w
    rows = tg.eye(3)
    gx, gw = autograd.grad(y, [x, w], rows, is_grads_batched=True)
    assert gx.tolist() == tg.stack([rows[i] * 2 * x * w for i in range(3)]).tolist()
    assert gw.tolist() == tg.stack([rows[i] * x * x for i in range(3)]).tolist()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()
    a, b = x * 1, x * 2
    (g,) = autograd.grad([a, b], x, [tg.ones(2, 3), tg.ones(2, 3)], is_grads_batched=True,
                         create_graph=True)  # fmt: skip
    assert g.tolist() == [[3, 3, 3]] * 2


def test_materialize_grads_and_allow_unused():
    x, w = leaf(1.0), leaf(2.0)
    assert autograd.grad(x * 2, [x, w], materialize_grads=True)[1].item() == 0
    for create_graph in (False, True):  # what is made of zeros may be differentiated again
        g = autograd.grad(x * 2, [x, w], create_graph=create_graph, materialize_grads=True)[1]
        assert g.requires_grad is create_graph
    with pytest.raises(ValueError, match="Expected allow_unused to be True or not passed"):
        autograd.grad(x * 2, [x, w], materialize_grads=True, allow_unused=False)
    with pytest.raises(ValueError, match="only_inputs=False"):
        autograd.grad(x * 2, x, only_inputs=False)


def test_grad_with_respect_to_a_result_leaves_what_made_it():
    x = leaf(3.0)
    h = x * x
    y = h * h
    assert autograd.grad(y, h)[0].item() == 18
    assert autograd.grad(h, x)[0].item() == 6


def test_mistakes():
    x = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match="gradients can be either Tensors or None, but got int"):
        (x * 2).backward(3)
    with pytest.raises(TypeError, match="expected Tensors to differentiate, got int"):
        autograd.grad([1], x)
    with pytest.raises(RuntimeError, match=r"inputs\[0\] does not require grad"):
        x.sum().backward(inputs=[tg.ones(1)])
