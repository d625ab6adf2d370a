"""States that begin elsewhere than at zero, numbers beside the parameters, NaN, long gaps."""

from __future__ import annotations

import pytest

import tinygrad_opt as tg
from tinygrad_opt import optim


def leaf(*values):
    return tg.tensor([float(v) for v in values]).requires_grad_()


def step(optimizer, **gradients):
    """Gradients by the name of the parameter in the first group's order: a, b, c..."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for name, p in zip("abcdef", params, strict=False):
        p.grad = tg.tensor([float(g) for g in gradients[name]]) if name in gradients else None
    optimizer.step()


# Adagrad ------------------------------------------------------------------------------------------


def test_adagrads_state_is_there_from_the_beginning():
    p = leaf(1, 2)
    optimizer = optim.Adagrad([p], initial_accumulator_value=0.5)
    assert optimizer.state[p]["step"].item() == 0.0
    assert optimizer.state[p]["sum"].tolist() == [0.5, 0.5]
    saved = optimizer.state_dict()["state"]
    assert list(saved[0]) == ["step", "sum"]
    step(optimizer, a=[1, 2])
    assert optimizer.state[p]["step"].item() == 1.0
    assert optimizer.state[p]["sum"].tolist() == [1.5, 4.5]


def test_a_sum_that_was_changed_before_the_first_step_counts():
    p = leaf(1)
    optimizer = optim.Adagrad([p], lr=1.0, eps=0.0)
    optimizer.state[p]["sum"].fill_(9.0)
    step(optimizer, a=[4])
    assert p.item() == pytest.approx(1 - 4 / 5)


def test_adagrad_starts_groups_and_cleared_states_from_its_defaults():
    p, q = leaf(1), leaf(1)
    optimizer = optim.Adagrad([p], lr=0.1, initial_accumulator_value=0.5)
    step(optimizer, a=[1])
    optimizer.add_param_group({"params": [q], "initial_accumulator_value": 7.0})
    step(optimizer, a=[1], b=[1])
    assert optimizer.state[p]["sum"].tolist() == [2.5]
    assert optimizer.state[q]["sum"].tolist() == [1.5]  # as in PyTorch: the default's, 0.5
    optimizer.state.clear()
    step(optimizer, a=[1], b=[1])
    assert [optimizer.state[x]["sum"].item() for x in (p, q)] == [1.5, 1.5]
    assert [optimizer.state[x]["step"].item() for x in (p, q)] == [1.0, 1.0]


# Numbers beside the parameters --------------------------------------------------------------------


def test_nadams_product_belongs_to_each_parameter():
    a, b = leaf(1), leaf(1)
    optimizer = optim.NAdam([a, b])
    step(optimizer, a=[1])
    step(optimizer, a=[1], b=[1])
    products = [optimizer.state[p]["mu_product"].item() for p in (a, b)]
    mu = [0.9 * (1 - 0.5 * 0.96 ** (t * 4e-3)) for t in (1, 2)]
    assert products == pytest.approx([mu[0] * mu[1], mu[0]], rel=1e-6)
    assert optimizer.state[a]["mu_product"].dtype == tg.float32


def test_asgds_rate_and_average():
    p = leaf(1)
    optimizer = optim.ASGD([p], lr=0.5, lambd=0.1, alpha=1.0, t0=1, weight_decay=0.0)
    step(optimizer, a=[0])
    entry = optimizer.state[p]
    assert list(entry) == ["step", "eta", "mu", "ax"]
    assert p.item() == entry["ax"].item() == pytest.approx(0.95)
    assert entry["eta"].item() == pytest.approx(0.5 / 1.05)
    assert entry["mu"].item() == 1.0
    step(optimizer, a=[0])
    step(optimizer, a=[0])
    assert entry["mu"].item() == pytest.approx(0.5)
    step(optimizer, a=[0])
    assert entry["ax"].item() > p.item()  # it lags behind


def test_asgds_average_is_the_mean_of_the_path():
    p = leaf(0)
    optimizer = optim.ASGD([p], lr=0.25, lambd=0.0, t0=2)
    path = []
    for g in (1, -2, 3, 1, -4, 2):
        step(optimizer, a=[g])
        path.append(p.item())
    assert optimizer.state[p]["ax"].item() == pytest.approx(sum(path[3:]) / 3)


# Steps that depend on the count -------------------------------------------------------------------


def test_radam_takes_plain_steps_until_the_variance_can_be_trusted():
    p = leaf(0)
    optimizer = optim.RAdam([p], lr=1.0)
    lengths = []
    for _ in range(7):
        before = p.item()
        step(optimizer, a=[100])
        lengths.append(before - p.item())
    assert lengths[:5] == pytest.approx([100] * 5, rel=1e-4)  # as long as the gradient
    assert all(0 < x < 0.1 for x in lengths[5:])  # from now on as short as a share of lr


def test_adopts_first_step_only_looks():
    p = leaf(1, -1)
    optimizer = optim.ADOPT([p], lr=0.1, weight_decay=0.5, decouple=True)
    step(optimizer, a=[3, 0])
    assert p.tolist() == [1.0, -1.0]
    assert optimizer.state[p]["exp_avg_sq"].tolist() == [9.0, 0.0]
    assert optimizer.state[p]["exp_avg"].tolist() == [0.0, 0.0]
    step(optimizer, a=[3, 0])
    assert p.tolist() == pytest.approx([0.95 - 0.01, -0.95])


def test_adopt_clips_to_the_fourth_root_of_the_step():
    p = leaf(0)
    optimizer = optim.ADOPT([p], lr=1.0, betas=(0.0, 0.5))
    step(optimizer, a=[1])
    step(optimizer, a=[50])
    assert p.item() == -1.0
    optimizer.state[p]["exp_avg_sq"].fill_(1.0)
    step(optimizer, a=[50])
    assert p.item() == pytest.approx(-1.0 - 2**0.25)


def test_rprop_starts_with_lr_and_grows():
    p = leaf(0, 0)
    optimizer = optim.Rprop([p], lr=0.5, step_sizes=(0.1, 0.7))
    step(optimizer, a=[1, -1])
    assert p.tolist() == [-0.5, 0.5]
    step(optimizer, a=[1, 1])  # the second changed its sign: no step
    assert p.tolist() == pytest.approx([-1.1, 0.5])
    assert optimizer.state[p]["prev"].tolist() == [1.0, 0.0]
    step(optimizer, a=[1, 1])
    assert optimizer.state[p]["step_size"].tolist() == pytest.approx([0.7, 0.25])
    assert p.tolist() == pytest.approx([-1.8, 0.25])


# NaN ----------------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("name", ["Adamax", "Adagrad", "Adadelta", "NAdam", "RAdam"])
def test_nan_goes_where_it_goes_in_pytorch(torch, name):
    """One NaN gradient, then finite ones: where NaN stays, and what recovers."""

    def ends(library):
        p = library.tensor([1.0, 1.0]).requires_grad_()
        optimizer = getattr(library.optim, name)([p])
        for g in ([1.0, 1.0], [float("nan"), 1.0], [1.0, 1.0]):
            p.grad = library.tensor(g)
            optimizer.step()
        states = {k: v.isnan().tolist() for k, v in optimizer.state[p].items()}
        return p.detach().isnan().tolist(), states

    assert ends(tg) == ends(torch)


@pytest.mark.parametrize(
    "cls", [optim.Lion, optim.Adan, optim.ADOPT, optim.AdaBelief, optim.AdamW, optim.Adamax]
)
@pytest.mark.parametrize("cautious", [False, True])
def test_a_nan_gradient_is_not_hidden(cls, cautious):
    p = leaf(1, 1)
    optimizer = cls([p], cautious=cautious)
    step(optimizer, a=[1, 1])
    step(optimizer, a=[float("nan"), 1])
    a, b = p.tolist()
    assert a != a
    assert b == b
