"""Every optimizer in every setting: against golden values, against PyTorch, flag by flag."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import problem
import pytest
from table import LABELS, OPTIMIZERS

import tinygrad_opt
from tinygrad_opt import optim

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "optimizers.json").read_text())


def ours(row, dtype, steps=100):
    return problem.run(tinygrad_opt, lambda ps: row.cls(ps, **row.settings), dtype, steps)


def relative_error(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def test_the_table_holds_every_public_optimizer():
    public = {n for n in optim.__all__ if inspect.isclass(getattr(optim, n))} - {"Optimizer"}
    public |= {f"textbook.{n}" for n in optim.textbook.__all__}
    assert {row.name for row in OPTIMIZERS} == public


def test_the_golden_values_are_those_of_the_table():
    assert sorted(GOLDEN) == sorted(LABELS)


@pytest.mark.parametrize("row", OPTIMIZERS, ids=LABELS)
def test_float64_equals_the_golden_values(row):
    assert relative_error(ours(row, "float64"), np.array(GOLDEN[row.label])) < 1e-12


@pytest.mark.parametrize("row", OPTIMIZERS, ids=LABELS)
def test_float32_is_as_good_as_float32_can_be(row):
    assert relative_error(ours(row, "float32"), np.array(GOLDEN[row.label])) < 3e-6


@pytest.mark.parametrize("row", OPTIMIZERS, ids=LABELS)
def test_every_setting_changes_the_result(row):
    full = ours(row, "float64", steps=20)
    for name in row.settings:
        fewer = {k: v for k, v in row.settings.items() if k != name}
        if name == "momentum":  # nesterov and dampening need it
            fewer = {k: v for k, v in fewer.items() if k not in ("nesterov", "dampening")}
        without = problem.run(tinygrad_opt, lambda ps, f=fewer: row.cls(ps, **f), "float64", 20)
        assert relative_error(without, full) > 1e-6, f"{name} does nothing"


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("row", [r for r in OPTIMIZERS if r.twin], ids=lambda r: r.label)
def test_it_follows_pytorch(row, dtype):
    torch = pytest.importorskip("torch")
    twin = getattr(torch.optim, row.twin)
    theirs = problem.run(torch, lambda ps: twin(ps, **row.settings), dtype)
    # Measured: 5e-16 and 3e-7 at most. A wrong bias correction or decay is off by 1e-3 or more.
    assert relative_error(ours(row, dtype), theirs) < (1e-12 if dtype == "float64" else 1.5e-6)


@pytest.mark.peers
@pytest.mark.parametrize("row", [r for r in OPTIMIZERS if r.twin], ids=lambda r: r.label)
def test_arguments_defaults_and_state_are_pytorchs(row):
    torch = pytest.importorskip("torch")
    twin = getattr(torch.optim, row.twin)
    mine = inspect.signature(row.cls).parameters
    theirs = inspect.signature(twin).parameters
    assert {n: p.default for n, p in mine.items()} == {n: p.default for n, p in theirs.items()}
    assert [p.kind for p in mine.values()] == [p.kind for p in theirs.values()]

    def stepped(library, cls):
        p = library.tensor([1.0, 2.0]).requires_grad_()
        p.grad = library.tensor([0.5, -0.5])
        optimizer = cls([p], **row.settings)
        optimizer.step()
        return optimizer.state_dict()

    a, b = stepped(tinygrad_opt, row.cls), stepped(torch, twin)
    assert list(a["param_groups"][0]) == list(b["param_groups"][0])
    assert a["param_groups"] == b["param_groups"]
    assert {i: list(entry) for i, entry in a["state"].items()} == {
        i: list(entry) for i, entry in b["state"].items()
    }
    for i, entry in a["state"].items():
        for name, value in entry.items():
            np.testing.assert_allclose(value.numpy(), b["state"][i][name].numpy(), rtol=1e-6)
            assert str(value.dtype) == str(b["state"][i][name].dtype).removeprefix("torch.")


@pytest.mark.peers
def test_groups_with_settings_of_their_own_follow_pytorch():
    torch = pytest.importorskip("torch")

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
def test_a_state_dict_of_pytorch_goes_on_here():
    torch = pytest.importorskip("torch")
    for row in OPTIMIZERS:
        if not row.twin:
            continue
        theirs = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64).requires_grad_()
        mine = tinygrad_opt.tensor([1.0, -2.0, 3.0], dtype=tinygrad_opt.float64).requires_grad_()
        a = getattr(torch.optim, row.twin)([theirs], **row.settings)
        b = row.cls([mine], **row.settings)
        for step in range(10):
            g = problem.gradient(0, theirs.detach().numpy(), step)
            theirs.grad = torch.tensor(g)
            a.step()
            if step == 4:
                saved = a.state_dict()
                saved["state"] = {
                    i: {k: tinygrad_opt.tensor(v.numpy()) for k, v in entry.items()}
                    for i, entry in saved["state"].items()
                }
                b.load_state_dict(saved)
                mine.data = tinygrad_opt.tensor(theirs.detach().numpy())
            if step > 4:
                mine.grad = tinygrad_opt.tensor(problem.gradient(0, mine.detach().numpy(), step))
                b.step()
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=1e-12,
                                   err_msg=row.label)  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p, lr=-1), r"SGD: Invalid learning rate: -1"),
        (lambda p: optim.SGD(p, lr=float("nan")), r"SGD: Invalid learning rate: nan"),
        (lambda p: optim.SGD(p, momentum=-0.5), r"Invalid momentum value: -0.5"),
        (lambda p: optim.SGD(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.SGD(p, nesterov=True), r"Nesterov momentum requires a momentum and zero"),
        (
            lambda p: optim.SGD(p, momentum=0.9, dampening=0.1, nesterov=True),
            r"Nesterov .* dampening=0.1",
        ),
        (lambda p: optim.Adam(p, lr=-0.1), r"Adam: Invalid learning rate: -0.1"),
        (lambda p: optim.Adam(p, betas=(1.0, 0.9)), r"Invalid beta parameter at index 0: 1.0"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.5)), r"betas\[1\] must be in \[0, 1\), got 1.5"),
        (lambda p: optim.AdamW(p, eps=-1), r"AdamW: Invalid epsilon value: -1"),
        (lambda p: optim.AdamW(p, weight_decay=-1), r"AdamW: Invalid weight_decay value"),
        (lambda p: optim.RMSprop(p, alpha=-1), r"Invalid alpha value: -1"),
        (lambda p: optim.RMSprop(p, momentum=-1), r"Invalid momentum value: -1"),
        (lambda p: optim.RMSprop(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.RMSprop(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.textbook.Momentum(p, beta=1.0), r"Momentum: Invalid beta .*index 0: 1.0"),
        (lambda p: optim.textbook.RMSprop(p, beta=-1), r"RMSprop: Invalid beta"),
        (lambda p: optim.textbook.RMSprop(p, eps=-1), r"RMSprop: Invalid epsilon"),
        (lambda p: optim.textbook.Adam(p, betas=(0.9, 2)), r"Adam: Invalid beta .*index 1: 2"),
        (lambda p: optim.textbook.Adam(p, eps=-1), r"Adam: Invalid epsilon value: -1"),
        (
            lambda p: optim.SGD(p, lr=tinygrad_opt.tensor([1.0, 2.0])),
            r"SGD: Tensor lr must be 1-element",
        ),
        (
            lambda p: optim.Adam(p, lr=tinygrad_opt.tensor(0.1), foreach=True),
            r"lr as a Tensor is not supported for capturable=False and foreach=True",
        ),
    ],
)
def test_settings_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make(None)  # settings are looked at before parameters, as in PyTorch


def test_flags_of_pytorchs_implementations():
    p = tinygrad_opt.zeros(2, requires_grad=True)
    optim.SGD([p], lr=0.1, fused=True)
    optim.Adam([p], foreach=True, capturable=True)
    with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
        optim.Adam([p], fused=True, foreach=True)
    with pytest.raises(RuntimeError, match="differentiable=True is not supported"):
        optim.RMSprop([p], differentiable=True)


def test_a_learning_rate_may_be_a_tensor():
    def end(lr):
        p = tinygrad_opt.tensor([1.0]).requires_grad_()
        optimizer = optim.SGD([p], lr=lr)
        p.grad = tinygrad_opt.tensor([2.0])
        optimizer.step()
        return p.item()

    assert end(tinygrad_opt.tensor(0.25)) == end(0.25) == 0.5
