"""Optimizers that others wrote for PyTorch run on our base class, unchanged."""

from __future__ import annotations

import importlib
import inspect
import warnings

import numpy as np
import pytest
from aliased import torch_is_ours

import tinygrad_opt as tg

OWN = ["AdaBelief", "OldRAdam", "ForeachAdam", "SAM", "Lookahead", "LARS"]
SHAPES = [(4, 3), (4,), (2, 4), (2,)]

# What they give after six steps, by PyTorch: the sum of all parameters, and of their squares.
GOLDEN = {
    "AdaBelief": (-1.134567, 17.214653),
    "OldRAdam": (-1.022508, 17.433434),
    "ForeachAdam": (-1.030580, 17.135082),
    "SAM": (0.689001, 17.780293),
    "Lookahead": (-0.927635, 16.965963),
    "LARS": (-2.850745, 18.556482),
}


def train(torch, make, steps=6):
    """Parameters after some steps of a small network, and the optimizer."""
    rng = np.random.default_rng(0)
    params = [torch.nn.Parameter(torch.tensor(rng.standard_normal(s).astype("f"))) for s in SHAPES]
    x, y = (torch.tensor(rng.standard_normal((16, n)).astype("f")) for n in (3, 2))
    optimizer = make(params)
    if hasattr(optimizer, "train"):
        optimizer.train()

    def closure():
        optimizer.zero_grad()
        h = torch.tanh(x @ params[0].t() + params[1])
        loss = ((h @ params[2].t() + params[3] - y) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(steps):
        closure()
        if type(optimizer).__name__ in ("SAM", "LBFGS"):
            optimizer.step(closure)
        else:
            optimizer.step()
    return np.concatenate([p.detach().numpy().ravel() for p in params]), optimizer


@pytest.mark.parametrize("name", OWN)
def test_an_optimizer_in_the_usual_idiom(name):
    with torch_is_ours("optimizers"):
        optimizers = importlib.import_module("optimizers")
        import torch

        assert torch is tg
        values, optimizer = train(torch, lambda params: optimizers.made(name, params))
    np.testing.assert_allclose([values.sum(), (values**2).sum()], GOLDEN[name], rtol=2e-5)
    assert optimizer.state_dict()


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", OWN)
def test_an_optimizer_in_the_usual_idiom_gives_pytorchs_numbers(torch, name):
    optimizers = importlib.import_module("optimizers")
    theirs, _ = train(torch, lambda params: optimizers.made(name, params))
    np.testing.assert_allclose([theirs.sum(), (theirs**2).sum()], GOLDEN[name], rtol=1e-5)
    with torch_is_ours("optimizers"):
        ours = importlib.import_module("optimizers")
        values, _ = train(tg, lambda params: ours.made(name, params))
    np.testing.assert_allclose(values, theirs, rtol=1e-4, atol=1e-5)


def test_the_state_of_an_optimizer_of_others_goes_through_a_file(tmp_path):
    with torch_is_ours("optimizers"):
        optimizers = importlib.import_module("optimizers")
        _, first = train(tg, lambda params: optimizers.made("AdaBelief", params), steps=2)
        tg.save(first.state_dict(), tmp_path / "state.pt")
        _, second = train(tg, lambda params: optimizers.made("AdaBelief", params), steps=0)
        second.load_state_dict(tg.load(tmp_path / "state.pt"))
    for a, b in zip(first.state.values(), second.state.values(), strict=True):
        assert a["step"] == b["step"] == 2
        assert tg.equal(a["exp_avg"], b["exp_avg"])


# From PyPI ----------------------------------------------------------------------------------------

# What to install, with `pip install --no-deps`, and the classes; () stands for all.
LIBRARIES = {
    "lion_pytorch": ("Lion",),
    "prodigyopt": ("Prodigy",),
    "schedulefree": ("AdamWScheduleFree", "SGDScheduleFree", "RAdamScheduleFree"),
    "came_pytorch": ("CAME",),
    "dadaptation": ("DAdaptAdam", "DAdaptSGD", "DAdaptAdaGrad", "DAdaptLion"),
    "adamp": ("AdamP", "SGDP"),
    "torch_optimizer": (
        "A2GradInc", "AccSGD", "AdaBelief", "AdaBound", "AdaMod", "AdamP", "AggMo", "Apollo",
        "DiffGrad", "Lamb", "MADGRAD", "NovoGrad", "PID", "QHAdam", "QHM", "RAdam", "Ranger",
        "SGDP", "SGDW", "SWATS", "Yogi",
    ),
    "pytorch_optimizer": (
        "ADOPT", "AdEMAMix", "AdaNorm", "AdaPNM", "Adai", "AdamS", "Adan", "Aida", "DiffGrad",
        "GrokFastAdamW", "Lamb", "LaProp", "MARS", "NovoGrad", "PNM", "StableAdamW", "Tiger",
        "Yogi",
    ),
}  # fmt: skip


def test_the_alias_is_taken_away_again():
    with torch_is_ours():
        import torch
        import torch.nn.functional as F

        assert (torch, F) == (tg, tg.nn.functional)
    import sys

    assert sys.modules.get("torch") is not tg
    assert tg.nn.functional.__name__ == "tinygrad_opt.nn.functional"
    assert inspect.ismodule(tg.optim)
    assert tg.optim.__spec__.name == "tinygrad_opt.optim"


@pytest.mark.peers
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_gives_the_same_numbers(torch, library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"not installed: pip install --no-deps {library}")

    def all_of(torch):
        module = importlib.import_module(library)
        found = {}
        for name in LIBRARIES[library]:
            torch.manual_seed(0)
            cls = getattr(module, name)
            lr = inspect.signature(cls).parameters["lr"].default
            settings = {} if isinstance(lr, float) else {"lr": 0.1}
            found[name], _ = train(torch, lambda p, c=cls, s=settings: c(p, **s))
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = all_of(torch)
        with torch_is_ours(library, "pytorch_ranger"):
            ours = all_of(tg)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
