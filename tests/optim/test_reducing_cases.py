"""Optimizers that reduce before they step, one by one: what they refuse, what they are for."""

from __future__ import annotations

import numpy as np
import pytest
import reducing
from reducing import REDUCING

import tinygrad_opt as tg
from tinygrad_opt import optim
from tinygrad_opt.optim.matrix import _orthogonal


def leaf(values):
    return tg.tensor(values, dtype=tg.float64).requires_grad_()


def stepped(cls, p, g, **settings):
    optimizer = cls([p], **settings)
    p.grad = tg.tensor(g, dtype=p.dtype)
    optimizer.step()
    return optimizer


# Settings out of range ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("Adafactor", dict(lr=-1), "Adafactor: Learning rate should be >= 0 but is: -1"),
        ("Adafactor", dict(beta2_decay=0.8), "beta2_decay should be <= 0 but is: 0.8"),
        ("Adafactor", dict(eps=(-1, 0.1)), "epsilon1 should be >= 0 but is: -1"),
        ("Adafactor", dict(eps=(None, -0.1)), "epsilon2 should be >= 0 but is: -0.1"),
        ("Adafactor", dict(d=0.5), "Clipping threshold d should be >= 1 but is: 0.5"),
        ("Adafactor", dict(weight_decay=-1), "weight_decay should be >= 0 but is: -1"),
        ("Muon", dict(lr=-1), "Muon: Learning rate should be >= 0 but is: -1"),
        ("Muon", dict(momentum=-1), "momentum should be >= 0 but is: -1"),
        ("Muon", dict(weight_decay=-1), "weight decay should be >= 0 but is: -1"),
        ("Muon", dict(adjust_lr_fn="x"), "Adjust learning rate function x is not supported, only"),
        ("Muon", dict(ns_steps=100), "Number of steps must be less than 100 .* got ns_steps=100"),
        ("Muon", dict(ns_coefficients=(1, 2)), "Coefficients must be a tuple of exactly 3 values"),
        ("LAMB", dict(lr=-1), "LAMB: Invalid learning rate: -1"),
        ("LAMB", dict(betas=(0.9, 1.0)), "LAMB: Invalid beta parameter at index 1: 1.0"),
        ("LAMB", dict(eps=-1), "LAMB: Invalid epsilon value: -1"),
        ("LAMB", dict(weight_decay=-1), "LAMB: Invalid weight_decay value: -1"),
        ("LAMB", dict(trust_clip=-1), "LAMB: Invalid trust_clip value: -1"),
        ("LARS", dict(momentum=-1), "LARS: Invalid momentum value: -1"),
        ("LARS", dict(weight_decay=-1), "LARS: Invalid weight_decay value: -1"),
        ("LARS", dict(trust_coefficient=-1), "LARS: Invalid trust_coefficient value: -1"),
        ("LARS", dict(eps=-1), "LARS: Invalid epsilon value: -1"),
        ("Prodigy", dict(betas=(1.0, 0.9)), "Prodigy: Invalid beta parameter at index 0: 1.0"),
        ("Prodigy", dict(weight_decay=-1), "Prodigy: Invalid weight_decay value: -1"),
        ("Prodigy", dict(eps=0), r"Prodigy: Invalid epsilon value: 0 \(must be above 0\)"),
        ("Prodigy", dict(d0=0), "Prodigy: Invalid d0 value: 0"),
        ("Prodigy", dict(d_coef=-1), "Prodigy: Invalid d_coef value: -1"),
        ("Prodigy", dict(growth_rate=0), "Prodigy: Invalid growth_rate value: 0"),
        ("Prodigy", dict(beta3=1.0), "Prodigy: Invalid beta3 value: 1.0"),
        ("SOAP", dict(betas=(0.9, -1)), "SOAP: Invalid beta parameter at index 1: -1"),
        ("SOAP", dict(eps=-1), "SOAP: Invalid epsilon value: -1"),
        ("SOAP", dict(weight_decay=-1), "SOAP: Invalid weight_decay value: -1"),
        ("SOAP", dict(shampoo_beta=1), "SOAP: Invalid shampoo_beta value: 1"),
        ("SOAP", dict(precondition_frequency=0), "SOAP: Invalid precondition_frequency value: 0"),
    ],
)
def test_settings_out_of_range(name, settings, message):
    with pytest.raises(ValueError, match=message):
        getattr(optim, name)(None, **settings)  # settings come before parameters


def test_muon_takes_matrices_only():
    message = r"Muon only supports 2D parameters whereas we found a parameter with size: \(3,\)"
    with pytest.raises(ValueError, match=message):
        optim.Muon([leaf([[1.0]]), leaf([1.0, 2.0, 3.0])])
    optimizer = optim.Muon([leaf([[1.0]])])
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [leaf([1.0, 2.0, 3.0])]})
    assert len(optimizer.param_groups) == 1


# What is special about each -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_muon_steps_along_the_nearest_orthogonal_matrix(shape):
    u = np.random.default_rng(1).standard_normal(shape)
    left, sizes, right = np.linalg.svd(u, full_matrices=False)
    coefficients = (2.0, -1.5, 0.5)  # these converge
    stack, size = np.stack([u, 2.0 * u]), np.linalg.norm(u)
    settings = dict(ns_coefficients=coefficients, ns_steps=60, eps=1e-7)
    near, same = _orthogonal(stack, np.array([size, 2.0 * size]), settings)
    np.testing.assert_allclose(near, left @ right, atol=1e-12)
    np.testing.assert_allclose(same, near, atol=1e-12)
    usual = dict(ns_coefficients=(3.4445, -4.775, 2.0315), ns_steps=5, eps=1e-7)
    found = np.linalg.svd(_orthogonal(u[None], np.array([size]), usual)[0])[1]
    assert 0.6 < found.min() < found.max() < 1.25
    assert sizes.max() / sizes.min() > 2


def test_muon_scales_its_rate_by_the_shape():
    def moved(shape, **settings):
        p = leaf(np.zeros(shape))
        stepped(optim.Muon, p, np.eye(*shape), lr=1.0, **settings)
        return np.abs(p.detach().numpy()).max()

    square = moved((2, 2))
    assert moved((8, 2)) == pytest.approx(2 * square)
    assert moved((2, 8)) == pytest.approx(square)
    assert moved((2, 8), adjust_lr_fn="match_rms_adamw") == pytest.approx(0.2 * 8**0.5 * square)


@pytest.mark.parametrize("cls", [optim.LAMB, optim.LARS])
def test_a_parameter_of_zeros_is_moved_as_without_adaption(cls):
    p, q = leaf([0.0, 0.0]), leaf([0.0, 0.0])
    stepped(cls, p, [1.0, -2.0], lr=0.1)
    stepped(cls, q, [1.0, -2.0], lr=0.1, adapt=False)
    assert p.tolist() == q.tolist() != [0.0, 0.0]


@pytest.mark.parametrize("cls", [optim.LAMB, optim.LARS])
def test_adaption_may_be_switched_off_by_group(cls):
    weight, bias, alone = leaf([3.0, 4.0]), leaf([3.0, 4.0]), leaf([3.0, 4.0])
    groups = [{"params": [weight]}, {"params": [bias], "adapt": False}]
    optimizer = cls(groups, lr=0.1)
    weight.grad = bias.grad = tg.tensor([1.0, -2.0], dtype=tg.float64)
    optimizer.step()
    stepped(cls, alone, [1.0, -2.0], lr=0.1, adapt=False)
    assert bias.tolist() == alone.tolist() != weight.tolist()


def test_lars_steps_by_a_part_of_the_parameters_norm():
    p = leaf([3.0, 4.0])
    stepped(optim.LARS, p, [1e6, -1e6], lr=1.0, trust_coefficient=0.01)
    assert np.linalg.norm(p.detach().numpy() - [3.0, 4.0]) == pytest.approx(0.05)


def test_prodigy_finds_its_step_size():
    p = leaf([5.0, -3.0])
    optimizer = optim.Prodigy([p])
    for _ in range(400):
        p.grad = p.detach() * tg.tensor([1.0, 10.0], dtype=tg.float64)
        optimizer.step()
    assert p.detach().abs().max().item() < 0.2
    assert 1 < optimizer.param_groups[0]["d"] < 10
    assert optimizer.param_groups[0]["k"] == 400


def test_prodigys_estimate_is_common_to_all_groups_and_saved_with_them():
    p, q = leaf([5.0]), leaf([100.0])
    optimizer = optim.Prodigy([{"params": [p]}, {"params": [q]}], d0=0.1)
    for _ in range(5):
        p.grad, q.grad = p.detach(), q.detach()
        optimizer.step()
    a, b = optimizer.state_dict()["param_groups"]
    assert a["d"] == b["d"] > 0.1
    assert (a["d_max"], a["d_numerator"], a["k"]) == (b["d_max"], b["d_numerator"], 5)


def test_prodigy_waits_while_all_gradients_are_zero():
    p = leaf([1.0])
    optimizer = stepped(optim.Prodigy, p, [0.0], weight_decay=0.1)
    assert p.item() == 1.0
    assert optimizer.param_groups[0]["k"] == 0
    assert optimizer.state[p]["step"].item() == 0


def test_a_prodigy_group_with_a_rate_of_zero_stands_still():
    p, q = leaf([1.0]), leaf([1.0])
    optimizer = optim.Prodigy([{"params": [p]}, {"params": [q], "lr": 0.0}], weight_decay=0.1)
    p.grad, q.grad = (tg.tensor([1.0], dtype=tg.float64) for _ in range(2))
    optimizer.step()
    assert p.item() < q.item() == 1.0


def test_prodigy_refuses_groups_of_different_rates():
    groups = [{"params": [leaf([1.0])]}, {"params": [leaf([1.0])], "lr": 0.5}]
    with pytest.raises(RuntimeError, match="Setting different lr values in different parameter"):
        optim.Prodigy(groups).step()


def test_soap_rotates_a_vector_as_the_matrix_of_one_column():
    ends = []
    for shape in ((2,), (2, 1)):
        p = leaf(np.array([1.0, -2.0]).reshape(shape))
        optimizer = optim.SOAP([p], lr=0.1, precondition_1d=True, precondition_frequency=2)
        for step in range(20):
            p.grad = tg.tensor(np.cos(p.detach().numpy() * 3 + step))
            optimizer.step()
        ends.append(p.detach().numpy().ravel())
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)


def test_soap_without_bases_is_adamw_a_step_later():
    p, q = leaf([1.0, -2.0]), leaf([1.0, -2.0])
    one = optim.SOAP([p], lr=0.1, betas=(0.9, 0.99), eps=0.0, weight_decay=0.0)
    two = optim.AdamW([q], lr=0.1, betas=(0.9, 0.99), eps=0.0, weight_decay=0.0)
    for step in range(10):
        g = np.cos(np.array([1.0, 2.0]) + step)
        p.grad = tg.tensor(g)
        one.step()
        if step:
            q.grad = tg.tensor(g)
            two.step()
    np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-12)


def test_soaps_bases_are_orthogonal_and_only_where_axes_are_short():
    p = leaf(np.sin(np.arange(15.0)).reshape(3, 5))
    optimizer = optim.SOAP([p], max_precond_dim=4, precondition_frequency=1)
    for step in range(4):
        p.grad = tg.tensor(np.cos(p.detach().numpy() * 3 + step))
        optimizer.step()
    (left, right), (gram, _) = optimizer.state[p]["Q"], optimizer.state[p]["GG"]
    np.testing.assert_allclose(left.numpy() @ left.numpy().T, np.eye(3), atol=1e-14)
    assert right is None
    assert gram.shape == (3, 3)


@pytest.mark.parametrize("name", dict.fromkeys(row.name for row in REDUCING))
def test_nan_comes_through(name):
    row = next(row for row in REDUCING if row.name == name)
    params = reducing.parameters(tg, row, "float64")[:1]
    optimizer = row.cls(params, **row.settings)
    for value in (1.0, np.nan):
        params[0].grad = tg.full(tuple(params[0].shape), value, dtype=tg.float64)
        optimizer.step()
    assert np.isnan(params[0].detach().numpy()).any()
