"""Chapter 12: AddSign."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_opt as torch
from tinygrad_opt import optim
from tinygrad_opt.kernels import UpdateRule

from ..judging import Wrong, need, same, values


def check(answer: Any) -> str:
    """Five steps of two groups against the formula; the state, and a state dict's round trip."""
    kind = need(answer, "AddSign", "a class")
    rule = getattr(kind, "rule", None)
    if not isinstance(rule, UpdateRule):
        hint = "put @update_rule above the function, and rule = add_sign into the class"
        raise Wrong("AddSign.rule", "an update rule", type(rule).__name__, hint)
    returned = "a rule returns the parameter, then every state; what it does not return is fixed"
    same("the states of the rule", rule.states, ("m",), returned)
    start, rates = np.array([1.0, -2.0, 0.5, 3.0]), (0.1, 0.02)
    parameters = [torch.tensor(start, dtype=torch.float32, requires_grad=True) for _ in rates]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(parameters, rates, strict=True)]
    optimizer = kind(groups)
    if not isinstance(optimizer, optim.Optimizer):
        raise Wrong("AddSign(...)", "an Optimizer", type(optimizer).__name__)
    settings = {name: optimizer.param_groups[0].get(name) for name in ("lr", "alpha", "beta")}
    given = "dict(lr=lr, alpha=alpha, beta=beta): the settings that the rule's letters follow from"
    same("its settings", settings, {"lr": 0.1, "alpha": 1.0, "beta": 0.9}, given)
    grads = np.random.default_rng(0).normal(size=(5, 4))
    expected = [_stepped(start, grads, lr) for lr in rates]
    for t, g in enumerate(grads):
        for p in parameters:
            p.grad = torch.tensor(g, dtype=torch.float32)
        optimizer.step()
        for p, path, lr in zip(parameters, expected, rates, strict=True):
            values(f"a parameter after step {t + 1}, lr = {lr}", p, path[t][0], FORMULA,
                   _mistakes(start, grads[: t + 1], lr), 1e-4)  # fmt: skip
    state = optimizer.state[parameters[0]].get("m")
    averaged = "m = b * m + omb * g, with omb = 1 - beta; the rule returns p, m"
    values("the state m after five steps", state, expected[0][-1][1], averaged, rtol=1e-4)
    other = kind([{"params": [p], "lr": lr} for p, lr in zip(parameters, rates, strict=True)])
    other.load_state_dict(optimizer.state_dict())
    return "five steps of two groups, its state, its state dict"


FORMULA = "m = b * m + omb * g first; then p - lr * (alpha + sign(g) * sign(m)) * g with that m"


def _stepped(p: Any, grads: Any, lr: float, old: bool = False, wrong: float = 1.0) -> Any:
    """[(p, m) after each step]; `old`: with the m before; `wrong`: -1 for the other direction."""
    m, path = np.zeros(4), []
    for g in grads:
        before, m = m, 0.9 * m + 0.1 * g
        p = p - wrong * lr * (1.0 + np.sign(g) * np.sign(before if old else m)) * g
        path.append((p, m))
    return path


def _mistakes(start: Any, grads: Any, lr: float) -> list[tuple[Any, str]]:
    return [
        (start, "it does not move: does the rule return the new p, and is lr no 0?"),
        (_stepped(start, grads, lr, old=True)[-1][0], "sign(m) is that of the new m"),
        (_stepped(start, grads, lr, wrong=-1.0)[-1][0], "downhill is minus the gradient"),
    ]
