"""One gradient beyond all others: what it leaves behind must not be NaN for ever.

The square of 1e20 is not a float32, that of 1e200 no float64. What the spike does to the average is
PyTorch's: the element may stand still from then on, but it and its neighbours stay numbers.
"""

from __future__ import annotations

import numpy as np
import pytest
from reducing import REDUCING
from table import OPTIMIZERS

import tinygrad_opt as tg
from tinygrad_opt import kernels, optim

SPIKES = [("float32", 1e20), ("float32", -1e22), ("float64", 1e160), ("float64", -1e200)]
AT = [0, 1, 8]  # the first step, one of the first, a later one
# PyTorch too sums squares there: the rows and columns of a matrix have no number any more.
NEVER_FINITE = {"Adafactor"}
FINITE = [row for row in [*OPTIMIZERS, *REDUCING] if row.name not in NEVER_FINITE]
TWINS = [row for row in OPTIMIZERS if row.twin is not None]


def run(library, make, dtype, spike, at, shape=(6,), steps=12):
    p = library.tensor(np.linspace(0.5, 1.5, 6).reshape(shape), dtype=getattr(library, dtype))
    optimizer = make([p.requires_grad_()])
    if hasattr(optimizer, "train"):
        optimizer.train()
    path = []
    for step in range(steps):
        g = np.full(6, 1.0 - 0.1 * step)
        if step == at:
            g[:3] = spike
        p.grad = library.tensor(g.reshape(shape), dtype=p.dtype)
        optimizer.step()
        path.append(p.detach().numpy().copy().ravel())
    return np.array(path, float)


@pytest.mark.thorough
@pytest.mark.parametrize(("dtype", "spike"), SPIKES)
@pytest.mark.parametrize("row", FINITE, ids=lambda row: row.label)
def test_parameters_stay_numbers(row, dtype, spike):
    shape = (2, 3) if row.name in ("Muon", "SOAP") else (6,)
    for at in AT:
        path = run(tg, lambda ps: row.cls(ps, **row.settings), dtype, spike, at, shape)
        assert np.isfinite(path).all()


def test_adafactor_recovers_where_it_keeps_no_matrix():
    path = run(tg, lambda ps: optim.Adafactor(ps, lr=0.05), "float32", 1e20, 1)
    assert np.isfinite(path).all()


@pytest.mark.peers
@pytest.mark.parametrize(("dtype", "spike"), SPIKES)
@pytest.mark.parametrize("row", TWINS, ids=lambda row: row.label)
def test_spikes_follow_pytorch(torch, row, dtype, spike):
    if row.twin == "NAdam" and spike == 1e20:
        pytest.skip("PyTorch corrects v before the root, and loses it")
    for at in AT:
        ours = run(tg, lambda ps: row.cls(ps, **row.settings), dtype, spike, at)
        cls = getattr(torch.optim, row.twin)
        theirs = run(torch, lambda ps, cls=cls: cls(ps, **row.settings), dtype, spike, at)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4 if dtype == "float32" else 1e-10)


def test_adam_by_hand():
    """v = 0.001 * 1e20 * 1e20 is a float32, if multiplied from the left; then p hardly moves."""
    p = tg.zeros(1).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    for g in (1e20, 1.0):
        p.grad = tg.tensor([g])
        optimizer.step()
    assert optimizer.state[p]["exp_avg_sq"].item() == pytest.approx(0.999e37, rel=1e-5)
    # 0.1, then 0.1 * (0.09 / 0.19) / sqrt(0.000999 / 0.001999)
    assert p.item() == pytest.approx(-0.1 - 0.1 * 0.09 / 0.19 / (0.999 / 1.999) ** 0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("rule", "states"),
    [
        (kernels.adam, {"v": np.inf}),
        (kernels.adam_amsgrad, {"v": np.inf, "w": np.inf}),
        (kernels.adam_direction, {"v": np.inf}),
        (kernels.nadam, {"v": np.inf}),
        (kernels.adan, {"v": np.inf}),
        (kernels.adabelief, {"s": np.inf}),
        (kernels.adopt, {"v": np.inf}),
        (kernels.radam_start, {"v": np.inf}),
        (kernels.schedule_free_adamw, {"v": np.inf}),
        (kernels.rmsprop, {"s": np.inf}),
        (kernels.rmsprop_momentum, {"s": np.inf}),
        (kernels.rmsprop_centered, {"s": np.inf, "a": 1e30}),
        (kernels.rmsprop_centered_momentum, {"s": np.inf, "a": 1e30}),
        (kernels.adadelta, {"s": np.inf}),
        (kernels.adagrad, {"s": np.inf}),
        (kernels.prodigy, {"v": np.inf}),
        (kernels.textbook.adam, {"v": np.inf}),
        (kernels.textbook.rmsprop, {"s": np.inf}),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_an_infinite_average_stays_infinite_and_moves_nothing(rule, states):
    """What a file may hold; in both types, and a NaN gradient still comes through."""
    for dtype in (np.float32, np.float64):
        named = {name: np.full(3, states.get(name, 0.5), dtype) for name in rule.states}
        p = np.ones(3, dtype)
        g = np.array([1.0, -1.0, np.nan], dtype)
        values = {"sign": 1.0, "wd": 0.0, "decay": 1.0, "clip": 1.0, "c2": 2.0}
        rule.launch((p, g, *named.values()), [values.get(x, 0.5) for x in rule.coefficients])
        assert np.isfinite(p[:2]).all()
        assert np.isnan(p[2])
        for name, value in states.items():
            if np.isinf(value):
                assert np.isinf(named[name][:2]).all()


# Adam after 1, 1e20, 1, 1, -1 in float32, lr 0.01: PyTorch's values.
ADAM = [0.99, 0.982559, 0.976806, 0.972095, 0.968112]


def test_adam_goes_on_as_pytorch_does():
    p = tg.ones(1).requires_grad_()
    optimizer = optim.Adam([p], lr=0.01)
    for g, expected in zip((1.0, 1e20, 1.0, 1.0, -1.0), ADAM, strict=True):
        p.grad = tg.tensor([g])
        optimizer.step()
        assert p.item() == pytest.approx(expected, abs=2e-6)
