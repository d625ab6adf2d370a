"""Every optimizer in every setting: against golden values, against PyTorch, flag by flag."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import problem
import pytest
from reducing import REDUCING
from table import LABELS, OPTIMIZERS

import tinygrad_opt
from tinygrad_opt import optim

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "optimizers.json").read_text())

every_row = pytest.mark.parametrize("row", OPTIMIZERS, ids=LABELS)


def ours(row, dtype, steps=problem.STEPS, **changed):
    settings = {**row.settings, **changed}
    return problem.run(tinygrad_opt, lambda ps: row.cls(ps, **settings), dtype, steps)


def relative_error(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def test_the_table_holds_every_public_optimizer():
    public = {n for n in optim.__all__ if inspect.isclass(getattr(optim, n))} - {"Optimizer"}
    public |= {f"textbook.{n}" for n in optim.textbook.__all__}
    elsewhere = {row.name for row in REDUCING} | {"LBFGS", "SparseAdam"}  # test_<name>.py
    assert {row.name for row in OPTIMIZERS} | elsewhere == public


def test_the_golden_values_are_those_of_the_table():
    assert sorted(GOLDEN) == sorted(LABELS)


@every_row
def test_float64_equals_the_golden_values(row):
    assert relative_error(ours(row, "float64"), np.array(GOLDEN[row.label])) < 1e-12


@pytest.mark.parametrize("row", [r for r in OPTIMIZERS if not r.exact_only], ids=lambda r: r.label)
def test_float32_is_as_good_as_float32_can_be(row):
    # 200 steps; where decay = 1 - lr * weight_decay is rounded to float32, as in PyTorch, each of
    # them may cost 3e-8.
    assert relative_error(ours(row, "float32"), np.array(GOLDEN[row.label])) < 1e-5


@every_row
def test_every_setting_changes_the_result(row):
    full = ours(row, "float64", steps=20)
    for name in row.settings:
        fewer = {k: v for k, v in row.settings.items() if k != name}
        if name == "momentum":  # nesterov and dampening need it
            fewer = {k: v for k, v in fewer.items() if k not in ("nesterov", "dampening")}
        without = problem.run(tinygrad_opt, lambda ps, f=fewer: row.cls(ps, **f), "float64", 20)
        assert relative_error(without, full) > 1e-6, f"{name} does nothing"


@every_row
def test_an_error_of_a_thousandth_is_noticed(row):
    """What the comparisons above would not see if they were any looser."""
    lr = row.settings.get("lr", inspect.signature(row.cls).parameters["lr"].default)
    wrong = ours(row, "float64", lr=lr * 1.001)
    assert relative_error(wrong, np.array(GOLDEN[row.label])) > 1e-5


# Against PyTorch ----------------------------------------------------------------------------------

with_twin = pytest.mark.parametrize("row", [r for r in OPTIMIZERS if r.twin], ids=lambda r: r.label)


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@with_twin
def test_it_follows_pytorch(torch, row, dtype):
    if dtype == "float32" and row.exact_only:
        pytest.skip("rounding may turn a step around")
    twin = getattr(torch.optim, row.twin)
    theirs = problem.run(torch, lambda ps: twin(ps, **row.settings), dtype)
    # A wrong bias correction or decay is off by 1e-3 or more.
    assert relative_error(ours(row, dtype), theirs) < (1e-12 if dtype == "float64" else 3e-6)


def by_position(parameters):
    return [n for n, p in parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]


@pytest.mark.peers
@with_twin
def test_arguments_defaults_and_state_are_pytorchs(torch, row):
    twin = getattr(torch.optim, row.twin)
    mine = {
        n: p
        for n, p in inspect.signature(row.cls).parameters.items()
        if n not in ("cautious", "state_dtype")
    }
    theirs = inspect.signature(twin).parameters
    assert {n: p.default for n, p in mine.items()} == {n: p.default for n, p in theirs.items()}
    assert [p.kind for p in mine.values()] == [p.kind for p in theirs.values()]
    assert by_position(mine) == by_position(theirs)

    def stepped(library, cls):
        p = library.tensor([1.0, 2.0]).requires_grad_()
        p.grad = library.tensor([0.5, -0.5])
        optimizer = cls([p], **row.settings)
        optimizer.step()
        return optimizer.state_dict()

    a, b = stepped(tinygrad_opt, row.cls), stepped(torch, twin)
    assert a["param_groups"] == b["param_groups"]
    assert {i: list(entry) for i, entry in a["state"].items()} == {
        i: list(entry) for i, entry in b["state"].items()
    }
    for i, entry in a["state"].items():
        for name, value in entry.items():
            np.testing.assert_allclose(value.numpy(), b["state"][i][name].numpy(), rtol=1e-6)
            assert str(value.dtype) == str(b["state"][i][name].dtype)


@pytest.mark.peers
def test_groups_with_settings_of_their_own_follow_pytorch(torch):
    def make(library):
        def build(params):
            groups = [
                {"params": params[:1], "lr": 0.1},
                {"params": params[1:], "weight_decay": 0.3, "betas": (0.5, 0.7)},
            ]
            return library.optim.AdamW(groups, lr=0.01)

        return build

    a = problem.run(tinygrad_opt, make(tinygrad_opt), "float64")
    b = problem.run(torch, make(torch), "float64")
    assert relative_error(a, b) < 1e-12


@pytest.mark.peers
@pytest.mark.parametrize("dampening", [0.0, 0.4])
def test_momentum_switched_on_and_off_in_mid_training_follows_pytorch(torch, dampening):
    """The first step with momentum takes the gradient as it is, whenever that step comes."""

    def end(library):
        params = problem.parameters(library, "float64")
        optimizer = library.optim.SGD(params, lr=0.05, dampening=dampening)
        for steps, momentum in ((range(7), 0.0), (range(7, 12), 0.9), (range(12, 15), 0.0),
                                (range(15, 25), 0.8)):  # fmt: skip
            optimizer.param_groups[0]["momentum"] = momentum
            problem.go_on(library, params, optimizer, steps)
        return problem.result(params, optimizer)

    assert relative_error(end(tinygrad_opt), end(torch)) < 1e-12
