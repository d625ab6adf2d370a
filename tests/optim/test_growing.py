"""Growing and pruning between steps: what 3D Gaussian splatting and growing networks do to Adam."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim


def replace_tensor_to_optimizer(library, optimizer, tensor, name):
    for group in optimizer.param_groups:
        if group["name"] == name:
            stored = optimizer.state.get(group["params"][0], None)
            stored["exp_avg"] = library.zeros_like(tensor)
            stored["exp_avg_sq"] = library.zeros_like(tensor)
            del optimizer.state[group["params"][0]]
            group["params"][0] = library.nn.Parameter(tensor.requires_grad_(True))
            optimizer.state[group["params"][0]] = stored


def prune_optimizer(library, optimizer, mask):
    for group in optimizer.param_groups:
        stored = optimizer.state.get(group["params"][0], None)
        kept = group["params"][0][mask].detach().requires_grad_(True)
        if stored is not None:
            stored["exp_avg"] = stored["exp_avg"][mask]
            stored["exp_avg_sq"] = stored["exp_avg_sq"][mask]
            del optimizer.state[group["params"][0]]
            group["params"][0] = library.nn.Parameter(kept)
            optimizer.state[group["params"][0]] = stored
        else:
            group["params"][0] = library.nn.Parameter(kept)


def cat_tensors_to_optimizer(library, optimizer, tensors):
    for group in optimizer.param_groups:
        assert len(group["params"]) == 1
        more = tensors[group["name"]]
        stored = optimizer.state.get(group["params"][0], None)
        grown = library.cat((group["params"][0].detach(), more), dim=0).requires_grad_(True)
        if stored is not None:
            for key in ("exp_avg", "exp_avg_sq"):
                stored[key] = library.cat((stored[key], library.zeros_like(more)), dim=0)
            del optimizer.state[group["params"][0]]
            group["params"][0] = library.nn.Parameter(grown)
            optimizer.state[group["params"][0]] = stored
        else:
            group["params"][0] = library.nn.Parameter(grown)


def splatting(library):
    """50 steps of Adam over points that are multiplied, pruned and reset."""
    kind = library.float64
    tensor = lambda a: library.tensor(a, dtype=kind)  # noqa: E731
    names = {"xyz": 3, "opacity": 1}
    groups = [
        {"params": [library.nn.Parameter(tensor(np.ones((8, n)) * 0.5))], "lr": lr, "name": name}
        for (name, n), lr in zip(names.items(), (0.1, 0.02), strict=True)
    ]
    optimizer = library.optim.Adam(groups, lr=0.0, eps=1e-15)
    for step in range(50):
        for group in optimizer.param_groups:
            p = group["params"][0]
            wave = np.sin(0.7 * step + np.arange(p.numel())).reshape(tuple(p.shape))
            p.grad = tensor(np.tanh(p.detach().numpy()) + wave)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        count = len(optimizer.param_groups[0]["params"][0])
        if step % 9 == 4:
            more = {name: tensor(np.full((3, n), 0.1 * step)) for name, n in names.items()}
            cat_tensors_to_optimizer(library, optimizer, more)
        elif step % 9 == 7:
            mask = np.arange(count) % 4 != 1
            prune_optimizer(library, optimizer, library.tensor(mask))
        elif step % 20 == 15:
            reset = optimizer.param_groups[1]["params"][0].detach().clone().clamp(max=0.01)
            replace_tensor_to_optimizer(library, optimizer, reset, "opacity")
    return [group["params"][0].detach().numpy() for group in optimizer.param_groups]


@pytest.mark.peers
def test_gaussian_splatting_follows_pytorch(torch):
    for ours, theirs in zip(splatting(tg), splatting(torch), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)


def test_a_pruned_parameter_goes_on_as_the_rows_that_were_kept():
    """By hand: what is pruned leaves the steps of the others as they would have been."""

    def end(rows, prune_at):
        p = nn.Parameter(tg.tensor([[1.0], [2.0], [3.0]])[rows] if prune_at is None else
                         tg.tensor([[1.0], [2.0], [3.0]]))  # fmt: skip
        optimizer = optim.Adam([{"params": [p], "name": "xyz"}], lr=0.1)
        for step in range(6):
            p = optimizer.param_groups[0]["params"][0]
            p.grad = p.detach() * (step - 2.5)
            optimizer.step()
            if step == prune_at:
                prune_optimizer(tg, optimizer, tg.tensor([True, False, True]))
        return optimizer.param_groups[0]["params"][0].tolist()

    assert end([0, 2], None) == end([0, 2], 2)


# What a growing network does to one parameter -----------------------------------------------------


def test_a_parameter_that_grows_in_place_needs_state_of_its_size():
    p = tg.tensor([1.0, 2.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    p.grad = tg.ones(2)
    optimizer.step()
    p.data = tg.cat([p.data, tg.ones(1)])
    p.grad = tg.ones(3)
    message = (
        r"Adam: the state of param_groups\[0\]\['params'\]\[0\]: exp_avg has shape \(2,\), the "
        r"parameter \(3,\); give both the same"
    )
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()
    assert p.tolist() == pytest.approx([0.9, 1.9, 1.0])
    entry = optimizer.state[p]
    for name in ("exp_avg", "exp_avg_sq"):
        entry[name] = tg.cat([entry[name], tg.zeros(1)])
    optimizer.step()
    assert p.tolist()[:2] == pytest.approx([0.8, 1.8])
    assert entry["step"].item() == 2.0


def test_a_size_is_of_no_matter_where_there_is_no_state():
    p = tg.tensor([1.0, 2.0]).requires_grad_()
    optimizer = optim.SGD([p], lr=0.1)
    for n in (2, 3, 1):
        p.data = tg.ones(n)
        p.grad = tg.ones(n)
        optimizer.step()
        assert p.tolist() == pytest.approx([0.9] * n)
