"""Optimizer state: live views, state dicts by name and position, copies, pickles."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim


def leaf(*values):
    return tg.tensor([float(v) for v in values]).requires_grad_()


def backward(*params):
    """Gradients of 1, 2, 3... for the elements of each parameter."""
    loss = sum((p * tg.arange(1.0, p.numel() + 1)).sum() for p in params)
    loss.backward()


def stepped_adam():
    p, q = leaf(1.0, 2.0), leaf(3.0)
    optimizer = optim.Adam([p, q], lr=0.1)
    backward(p, q)
    optimizer.step()
    return optimizer, p, q


def test_state_is_live():
    optimizer, p, _ = stepped_adam()
    optimizer.state[p]["exp_avg"].zero_()
    optimizer.state[p]["exp_avg_sq"] = tg.full((2,), 4.0)
    p.grad = tg.zeros(2)
    before = p.tolist()
    optimizer.step()
    assert p.tolist() == before  # m = 0 and g = 0
    assert optimizer.state[p]["exp_avg_sq"].tolist() == pytest.approx([4.0 * 0.999] * 2)


def test_clearing_the_state_starts_afresh():
    optimizer, p, q = stepped_adam()
    optimizer.state.clear()
    for step in (1.0, 2.0):
        optimizer.zero_grad()
        backward(p, q)
        optimizer.step()
        assert optimizer.state[p]["step"].item() == step
    assert optimizer._flat[0][0]._homes.hold_all()  # and the new buffers are in use


def test_state_dict_round_trip_goes_on_with_the_same_bits():
    optimizer, p, q = stepped_adam()
    p2 = p.detach().clone().requires_grad_()
    q2 = q.detach().clone().requires_grad_()
    other = optim.Adam([p2, q2], lr=99.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert other.param_groups[0]["lr"] == 0.1
    for _ in range(3):
        for o, ps in ((optimizer, (p, q)), (other, (p2, q2))):
            o.zero_grad()
            backward(*ps)
            o.step()
    assert p.tolist() == p2.tolist()
    assert q.tolist() == q2.tolist()


def test_loading_copies():
    optimizer, p, _ = stepped_adam()
    p2, q2 = leaf(1.0, 2.0), leaf(3.0)
    other = optim.Adam([p2, q2])
    other.load_state_dict(optimizer.state_dict())
    backward(p2, q2)
    other.step()
    assert optimizer.state[p]["step"].item() == 1.0


def test_state_dicts_that_do_not_fit():
    optimizer, p, q = stepped_adam()
    saved = optimizer.state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optim.Adam([{"params": [p]}, {"params": [q]}]).load_state_dict(saved)
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group 0"):
        optim.Adam([p]).load_state_dict(saved)
    wrong = optim.Adam([leaf(1.0), leaf(3.0)], lr=0.5)
    with pytest.raises(ValueError, match="the loaded state dict does not fit") as raised:
        wrong.load_state_dict(saved)
    assert "[0]: exp_avg has shape (2,), the parameter (1,)\n" in str(raised.value)
    assert wrong.param_groups[0]["lr"] == 0.5
    assert not wrong.state


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copy_and_pickle(copied):
    model = nn.Linear(2, 1)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    model(tg.ones(4, 2)).sum().backward()
    optimizer.step()
    twin_model, twin = copied((model, optimizer))
    for m, o in ((model, optimizer), (twin_model, twin)):
        o.zero_grad()
        m(tg.ones(4, 2)).sum().backward()
        o.step()
    assert model.weight.tolist() == twin_model.weight.tolist()
    assert twin.state[twin_model.weight]["step"].item() == 2.0


# Names, settings and types ------------------------------------------------------------------------


def two_layers(dtype=None):
    return nn.Sequential(nn.Linear(2, 3, dtype=dtype), nn.Linear(3, 1, dtype=dtype))


def trained(model, params, **settings):
    optimizer = optim.Adam(params, **settings)
    model(tg.ones(4, 2, dtype=model[0].weight.dtype)).sum().backward()
    optimizer.step()
    return optimizer


def test_state_goes_by_name_where_there_are_names():
    model = two_layers()
    saved = trained(model, model.named_parameters()).state_dict()
    twin = copy.deepcopy(model)
    reordered = dict(reversed(list(twin.named_parameters())))
    other = optim.Adam(reordered.items())
    other.load_state_dict(saved)
    assert other.param_groups[0]["param_names"] == list(reordered)
    for number, name in enumerate(saved["param_groups"][0]["param_names"]):
        for key, value in saved["state"][number].items():
            np.testing.assert_array_equal(other.state[reordered[name]][key], value)


def test_state_goes_by_name_across_groups_if_settings_are_kept():
    model = two_layers()
    saved = trained(model, model.named_parameters()).state_dict()
    names = list(model.named_parameters())
    groups = [{"params": names[:1], "lr": 0.5}, {"params": names[1:]}]
    other = optim.Adam(groups)
    with pytest.raises(ValueError, match=r"parameter groups: 1, .* has 2"):
        other.load_state_dict(saved)
    other.load_state_dict(saved, keep_settings=True)
    assert [g["lr"] for g in other.param_groups] == [0.5, 1e-3]
    for number, (_, p) in enumerate(names):
        np.testing.assert_array_equal(other.state[p]["exp_avg"], saved["state"][number]["exp_avg"])


def test_different_names_are_listed():
    model = two_layers()
    saved = trained(model, model.named_parameters()).state_dict()
    saved["param_groups"][0]["param_names"] = ["a", "0.bias", "1.weight", "1.bias"]
    other = optim.Adam(two_layers().named_parameters())
    with pytest.raises(ValueError, match="doesn't match the size or the names") as raised:
        other.load_state_dict(saved)
    assert str(raised.value).endswith(
        "\n  0.weight: not in the state dict\n  a: only in the state dict"
    )


def test_a_long_list_of_differences_is_cut():
    params = [leaf(1.0, 2.0) for _ in range(12)]
    optimizer = optim.Adam(params)
    backward(*params)
    optimizer.step()
    with pytest.raises(ValueError, match=r"\.\.\. and 14 more"):
        optim.Adam([leaf(1.0) for _ in range(12)]).load_state_dict(optimizer.state_dict())


def test_settings_that_stay():
    model = two_layers()
    saved = trained(model, model.parameters(), lr=0.1, weight_decay=0.3).state_dict()
    for keep, expected in ((False, (0.1, 0.3)), (["lr"], (9.0, 0.3)), (True, (9.0, 0.2))):
        other = optim.Adam(two_layers().parameters(), lr=9.0, weight_decay=0.2)
        group = other.param_groups[0]
        other.load_state_dict(saved, keep_settings=keep)
        assert other.param_groups[0] is group  # who holds the group sees the change
        assert (group["lr"], group["weight_decay"]) == expected
        assert len(other.state) == 4


def test_state_is_never_cast():
    model = two_layers()
    saved = trained(model, model.parameters()).state_dict()
    other = optim.Adam(two_layers(tg.float64).parameters())
    with pytest.raises(ValueError, match="exp_avg is float32, the parameter float64"):
        other.load_state_dict(saved)
    assert not other.state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loaded_state_has_the_bits_of_the_saved(dtype):
    model = two_layers(getattr(tg, dtype))
    saved = trained(model, model.parameters()).state_dict()
    other = optim.Adam(copy.deepcopy(model).parameters())
    other.load_state_dict(saved)
    again = other.state_dict()
    assert again["param_groups"] == saved["param_groups"]
    for number, entry in saved["state"].items():
        for key, value in entry.items():
            assert again["state"][number][key].dtype == value.dtype
            np.testing.assert_array_equal(again["state"][number][key], value)


def test_arrays_of_other_libraries_are_taken():
    class Foreign:  # as a tensor of PyTorch: a shape, a type of its own, and __array__
        def __init__(self, array):
            self.array_, self.shape, self.dtype = array, array.shape, "foreign"

        def __array__(self, dtype=None, copy=None):
            return self.array_

    p = leaf(1.0, 2.0)
    state = {
        "step": Foreign(np.array(3.0, "f")),
        "exp_avg": Foreign(np.array([1.0, 2.0], "f")),
        "exp_avg_sq": Foreign(np.array([3.0, 4.0], "f")),
    }
    optimizer = optim.Adam([p])
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": {0: state}, "param_groups": groups})
    assert optimizer.state[p]["exp_avg"].tolist() == [1.0, 2.0]
    p.grad = tg.zeros(2)
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 4.0


def test_state_for_a_frozen_parameter_waits():
    model = two_layers()
    saved = trained(model, model.parameters()).state_dict()
    twin = copy.deepcopy(model)
    other = optim.Adam(twin.parameters())
    other.load_state_dict(saved)
    twin[0].requires_grad_(False)
    other.zero_grad()
    twin(tg.ones(4, 2)).sum().backward()
    other.step()
    assert other.state[twin[0].weight]["step"].item() == 1.0
    assert other.state[twin[1].weight]["step"].item() == 2.0
