"""What every optimizer shares: groups, missing gradients, where memory lies, state, errors."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.kernels import update_rule
from tinygrad_opt.optim.optimizer import required


def leaf(*values):
    return tg.tensor([float(v) for v in values]).requires_grad_()


def backward(*params):
    """Gradients of 1, 2, 3... for the elements of each parameter."""
    loss = sum((p * tg.arange(1.0, p.numel() + 1)).sum() for p in params)
    loss.backward()


# Groups and parameters ----------------------------------------------------------------------------


def test_groups_hold_their_own_settings_and_unknown_keys():
    a, b = leaf(1.0), leaf(1.0)
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5, "tag": "x"}], lr=0.1)
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.5]
    assert optimizer.param_groups[1]["tag"] == "x"
    backward(a, b)
    optimizer.step()
    assert (a.item(), b.item()) == pytest.approx((0.9, 0.5))


def test_a_group_added_after_a_step_is_stepped_too():
    a, b = leaf(1.0), leaf(1.0)
    optimizer = optim.SGD([a], lr=0.1)
    backward(a)
    optimizer.step()
    optimizer.add_param_group({"params": [b], "lr": 1.0})
    optimizer.zero_grad()
    backward(a, b)
    optimizer.step()
    assert (a.item(), b.item()) == pytest.approx((0.8, 0.0))


def test_named_parameters_keep_their_names_in_the_state_dict():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_parameters_of_two_types_in_one_group():
    a = leaf(1.0)
    b = tg.tensor([1.0], dtype=tg.float64).requires_grad_()
    optimizer = optim.Adam([a, b], lr=0.1)
    a.grad, b.grad = tg.tensor([1.0]), tg.tensor([1.0], dtype=tg.float64)
    optimizer.step()
    assert a.dtype == tg.float32
    assert b.dtype == tg.float64
    assert a.item() == pytest.approx(0.9)
    assert b.item() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "SGD: optimizer got an empty parameter list"),
        (iter([]), ValueError, "optimizer got an empty parameter list"),
        (tg.zeros(2), TypeError, "should be an iterable of Tensors or dicts, but got a Tensor"),
        (3, TypeError, "should be an iterable of Tensors or dicts, but got int"),
        ({tg.zeros(2)}, TypeError, "ordering of tensors in sets will change between runs"),
        ([{"params": {tg.zeros(2)}}], TypeError, "ordering of tensors in sets"),
        (["w"], TypeError, "can only optimize Tensors, but one of the params is str"),
        ([tg.zeros(2, requires_grad=True) * 2], ValueError, "can't optimize a non-leaf Tensor"),
        ([tg.arange(3)], TypeError, "parameters must be float32 or float64, got int64"),
        ([{"lr": 0.1}], ValueError, "a param_group needs a 'params' entry"),
        ([("a", tg.zeros(1)), tg.zeros(1)], ValueError, "Some param names are missing"),
        (
            [{"params": [("a", tg.zeros(1))]}, {"params": [tg.zeros(1)]}],
            ValueError,
            "all optimizer param groups should be with/without names",
        ),
        ([{"params": [tg.zeros(1)], "lr": -1}], ValueError, "Invalid learning rate: -1"),
        ([{"params": [tg.zeros(1)], "momentum": -1}], ValueError, "Invalid momentum value: -1"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        optim.SGD(params, lr=0.1)


def test_duplicates():
    p = leaf(1.0)
    with pytest.warns(UserWarning, match="parameter group with duplicate parameters"):
        optim.SGD([p, p], lr=0.1)
    with pytest.raises(ValueError, match="appear in more than one parameter group"):
        optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1)


def test_a_group_must_be_a_dict():
    with pytest.raises(TypeError, match="param_group must be a dict, but got <class 'list'>"):
        optim.SGD([leaf(1.0)], lr=0.1).add_param_group([leaf(1.0)])


def test_a_refused_group_leaves_the_optimizer_as_it_was():
    optimizer = optim.SGD([leaf(1.0)], lr=0.1)
    with pytest.raises(ValueError, match="Invalid momentum"):
        optimizer.add_param_group({"params": [leaf(2.0)], "momentum": -1})
    assert len(optimizer.param_groups) == 1


# Steps and gradients ------------------------------------------------------------------------------


def test_a_parameter_without_gradient_is_left_alone():
    a, b, c = leaf(1.0), leaf(1.0), leaf(1.0)
    optimizer = optim.Adam([a, b, c], lr=0.1, weight_decay=0.5)
    backward(a, c)
    optimizer.step()
    assert b.item() == 1.0
    assert b not in optimizer.state
    optimizer.zero_grad()
    backward(a, b, c)
    optimizer.step()
    assert [optimizer.state[p]["step"].item() for p in (a, b, c)] == [2.0, 1.0, 2.0]


def test_one_launch_for_a_whole_group(monkeypatch):
    params = [leaf(*range(1, n + 2)) for n in range(20)]
    optimizer = optim.SGD(params, lr=0.1)
    launches = []
    rule = optimizer.rule_for(optimizer.param_groups[0])
    launch = rule.launch
    monkeypatch.setattr(rule, "launch", lambda a, c: (launches.append(len(a[0])), launch(a, c)))
    for _ in range(3):
        optimizer.zero_grad()
        backward(*params)
        optimizer.step()
    assert launches == [sum(range(1, 21))] * 3


def test_closure_is_evaluated_with_recording_on_and_its_loss_returned():
    p = leaf(2.0)
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimizer.step(closure).item() == 4.0
    assert p.item() == pytest.approx(1.6)


def test_a_step_makes_older_graphs_stale():
    p = leaf(1.0, 2.0)
    optimizer = optim.SGD([p], lr=0.1)
    (p * p).sum().backward()
    optimizer.step()  # from here on the parameter lies in the optimizer's buffer
    early, late = (p * p).sum(), (p * 2).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        early.backward()
    late.backward()  # needs no value of p
    (p * p).sum().backward()


def test_zero_grad_to_none_and_to_zero():
    p = leaf(1.0, 2.0)
    optimizer = optim.SGD([p], lr=0.1)
    backward(p)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_gradients_accumulate_over_several_backwards():
    p = leaf(1.0, 1.0)
    optimizer = optim.SGD([p], lr=0.1)
    backward(p)
    optimizer.step()  # from now on the gradient lies in the flat buffer
    optimizer.zero_grad()
    backward(p)
    backward(p)
    assert p.grad.tolist() == [2.0, 4.0]


def test_a_gradient_that_somebody_keeps_is_not_overwritten():
    p, q = leaf(1.0, 1.0), leaf(1.0)
    optimizer = optim.SGD([p, q], lr=0.0)
    backward(p, q)
    optimizer.step()
    optimizer.zero_grad()
    backward(p, q)
    kept, raw = p.grad, q.grad.numpy()
    optimizer.zero_grad()
    (p.sum() * 7 + q.sum() * 5).backward()
    assert kept.tolist() == [1.0, 2.0]
    assert raw.tolist() == [1.0]
    assert p.grad.tolist() == [7.0, 7.0]
    assert q.grad.tolist() == [5.0]


def test_a_gradient_put_there_by_hand_is_used():
    p = leaf(1.0, 1.0)
    optimizer = optim.SGD([p], lr=1.0)
    for _ in range(2):
        p.grad = tg.tensor([0.25, 0.5])
        optimizer.step()
    assert p.tolist() == [0.5, 0.0]


def test_a_gradient_made_by_create_graph_is_used():
    p = leaf(3.0)
    optimizer = optim.SGD([p], lr=0.5)
    (p * p).sum().backward(create_graph=True)
    optimizer.step()
    assert p.item() == 0.0


def test_momentum_that_is_switched_on_later_is_shown_and_saved():
    p = leaf(1.0)
    optimizer = optim.SGD([p], lr=0.1)
    backward(p)
    optimizer.step()
    assert not optimizer.state
    optimizer.param_groups[0]["momentum"] = 0.9
    optimizer.step()
    assert optimizer.state[p]["momentum_buffer"].tolist() == [1.0]


def test_parameters_put_into_a_group_by_hand_are_stepped():
    p, q, r = leaf(1.0), leaf(1.0), leaf(1.0)
    optimizer = optim.SGD([p], lr=0.1)
    backward(p, q, r)
    optimizer.step()
    optimizer.param_groups[0]["params"].append(q)
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": [r]})
    optimizer.step()
    assert [x.item() for x in (p, q, r)] == pytest.approx([0.8, 0.9, 0.9])


def test_a_gradient_kept_from_before_the_first_step_stays_the_gradient():
    p = leaf(1.0)
    optimizer = optim.SGD([p], lr=0.1)
    backward(p)
    kept = p.grad
    optimizer.step()
    assert p.grad is kept


# Where memory lies --------------------------------------------------------------------------------


def test_replacing_a_parameters_data_is_noticed():
    p, q = leaf(1.0), leaf(1.0)
    optimizer = optim.SGD([p, q], lr=0.1, momentum=0.9)
    backward(p, q)
    optimizer.step()
    p.data = tg.tensor([10.0])
    optimizer.zero_grad()
    backward(p, q)
    optimizer.step()
    assert p.item() == pytest.approx(10.0 - 0.1 * 1.9)
    assert q.item() == pytest.approx(0.9 - 0.1 * 1.9)


def test_memory_that_others_look_at_stays_shared():
    array = np.ones(3, np.float32)
    p = tg.from_numpy(array).requires_grad_()
    other = p.detach()
    optimizer = optim.SGD([p], lr=0.5)
    p.grad = tg.ones(3)
    optimizer.step()
    assert array.tolist() == other.tolist() == [0.5] * 3


def test_scattered_memory_is_stepped_in_place():
    base = tg.zeros(2, 3)
    p = base.T.requires_grad_()
    optimizer = optim.SGD([p], lr=1.0)
    p.grad = tg.arange(6.0).reshape(3, 2)
    optimizer.step()
    assert (-base).tolist() == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]


def test_two_optimizers_share_parameters():
    p, q = leaf(1.0), leaf(1.0)
    one = optim.SGD([p, q], lr=0.1)
    two = optim.SGD([q], lr=1.0)
    for _ in range(2):
        one.zero_grad()
        backward(p, q)
        one.step()
        two.step()
    assert p.item() == pytest.approx(0.8)
    assert q.item() == pytest.approx(1.0 - 0.2 - 2.0)


def test_a_new_optimizer_takes_over():
    p, q = leaf(1.0), leaf(1.0)
    optimizer = optim.SGD([p, q], lr=0.1)
    for lr in (0.1, 0.2, 0.3):
        optimizer = optim.SGD([p, q], lr=lr)
        backward(p, q)
        optimizer.step()
        optimizer.zero_grad()
        assert optimizer._flat[0][0]._homes.hold_all() is False  # gradients are None now
        assert all(v is x.array for v, x in zip(optimizer._flat[0][0].views, (p, q), strict=True))
    assert p.item() == pytest.approx(0.4)


def test_freezing_and_unfreezing():
    p, q = leaf(1.0), leaf(1.0)
    optimizer = optim.SGD([p, q], lr=0.1)
    for frozen in (False, True, False):
        q.requires_grad_(not frozen)
        optimizer.zero_grad()
        loss = p.sum() + q.sum()
        loss.backward()
        optimizer.step()
    assert (p.item(), q.item()) == pytest.approx((0.7, 0.8))


def test_a_model_that_changes_its_type_goes_on_with_its_state():
    p = leaf(1.0)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5)
    p.grad = tg.tensor([1.0])
    optimizer.step()
    p.data = p.data.double()
    p.grad = tg.tensor([1.0], dtype=tg.float64)
    optimizer.step()
    assert p.dtype == tg.float64
    assert p.item() == pytest.approx(1 - 0.1 - 0.15)
    assert optimizer.state[p]["momentum_buffer"].dtype == tg.float64


def test_an_optimizer_and_what_it_holds_are_freed_without_the_garbage_collector():
    gc.disable()
    try:
        p = leaf(1.0)
        optimizer = optim.Adam([p], lr=0.1)
        backward(p)
        optimizer.step()
        ghosts = [weakref.ref(x) for x in (optimizer, p, optimizer.state[p]["exp_avg"])]
        del optimizer, p
        assert [ghost() for ghost in ghosts] == [None] * 3
    finally:
        gc.enable()


# What it prints, and classes of one's own ---------------------------------------------------------


def test_repr():
    text = repr(optim.SGD([leaf(1.0)], lr=0.5))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n")
    assert "    lr: 0.5\n" in text
    two = repr(optim.SGD([{"params": [leaf(1.0)]}, {"params": [leaf(2.0)]}], lr=0.5))
    assert "    weight_decay: 0\n\nParameter Group 1\n    dampening: 0\n" in two


# Optimizers of one's own --------------------------------------------------------------------------


@update_rule
def signed(p, g, lr, decay):
    step = lr if g > 0 else -lr
    p = decay * p - step
    return p


class Signed(optim.Optimizer):
    rule = signed

    def __init__(self, params, lr=0.1, decay=1.0):
        super().__init__(params, dict(lr=lr, decay=decay))


def test_an_optimizer_without_a_rule_says_so():
    p = leaf(1.0)
    backward(p)
    with pytest.raises(NotImplementedError, match="set the class attribute `rule`"):
        optim.Optimizer([p], {"lr": 0.1}).step()

    class Forgetful(optim.Optimizer):
        rule = signed

    missing = r"Forgetful: the rule signed has coefficients .*: decay;"
    with pytest.raises(ValueError, match=missing):  # at construction, not at the first step
        Forgetful([p], {"lr": 0.1})
    optimizer = Forgetful([p], {"lr": 0.1, "decay": 1.0})
    del optimizer.param_groups[0]["decay"]
    with pytest.raises(ValueError, match=missing):
        optimizer.step()
    assert p.item() == 1.0


def test_a_rule_that_is_a_bare_function_is_refused():
    class Bare(optim.Optimizer):
        rule = signed.function

    with pytest.raises(
        TypeError, match=r"Bare.rule must be an @update_rule, got a method; decorate"
    ):
        Bare([leaf(1.0)], {"lr": 0.1})


def test_a_rule_and_a_class_make_an_optimizer():
    p = leaf(1.0, -1.0)
    optimizer = Signed([p], lr=0.25, decay=0.5)
    (p * p).sum().backward()
    optimizer.step()
    assert p.tolist() == [0.25, -0.25]


def test_an_optimizer_written_for_pytorch():
    class Plain(optim.Optimizer):
        def __init__(self, params, lr=required):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    state["count"] = state.get("count", 0) + 1
                    p.add_(p.grad, alpha=-group["lr"])

    p = leaf(1.0, 1.0)
    optimizer = Plain([p], lr=0.5)
    backward(p)
    optimizer.step()
    assert p.tolist() == [0.5, 0.0]
    assert optimizer.state[p]["count"] == 1
    assert optimizer._opt_called
    with pytest.raises(ValueError, match=r"didn't specify a value of required optimization .* lr"):
        Plain([p])
