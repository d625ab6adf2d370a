"""Chapter 7: an activation."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_opt as torch
from tinygrad_opt import autograd, nn

from ..judging import Wrong, compare_gradients, need, same, values


def check(answer: Any) -> str:
    """Value and slope in all three parts and at the joints, for several beta; the module."""
    smelu = need(answer, "smelu")
    for beta in (1.0, 0.5):
        about = f"smelu(x, beta={beta})"
        x = np.array([-2.0, -beta, -0.3, 0.0, 0.3, beta, 2.0])
        hint = "three parts: xp(x).where(x <= -beta, 0, xp(x).where(x >= beta, x, parabola))"
        fixed = [(_value(x, 1.0), "beta makes no difference: it is fixed at 1 somewhere")]
        values(f"{about} at {x}", smelu(x, beta=beta), _value(x, beta), hint, fixed)
        compare_gradients(
            about, lambda a, beta=beta: smelu(a, beta=beta),
            lambda w, a, beta=beta: _derived(smelu, w, a, beta),
            [np.array([-2.0, -0.3, 0.1, 0.3, 2.0])], "x",
        )  # fmt: skip
        joints = np.array([-beta, beta])
        told = "the slopes of the parabola and of the lines meet: 0 at -beta, 1 at beta"
        (found,) = _derived(smelu, np.ones(2), joints, beta)
        values(f"the slope of {about} at {joints}", found, [0.0, 1.0], told)
    _module(need(answer, "SmeLU", "a class"))
    return "value and slope in all parts, at the joints, and in a network"


def _module(kind: Any) -> None:
    module = kind(0.5)
    if not isinstance(module, nn.Module):
        raise Wrong("SmeLU(0.5)", "a Module", type(module).__name__)
    x = np.array([-2.0, -0.3, 0.2, 2.0])
    keep = "keep beta in __init__ (self.beta = beta), pass it on in forward"
    values(f"SmeLU(0.5) at {x}", module(torch.tensor(x)), _value(x, 0.5), keep)
    values(f"SmeLU() at {x}", kind()(torch.tensor(x)), _value(x, 1.0), "beta is 1 by default")
    network = nn.Sequential(nn.Linear(2, 2), kind())
    same("parameters of Linear and SmeLU", len(list(network.parameters())), 2, "beta is a number")


def _value(x: Any, beta: float) -> Any:
    return np.where(x <= -beta, 0, np.where(x >= beta, x, (x + beta) ** 2 / (4 * beta)))


def _derived(smelu: Any, weights: Any, x: Any, beta: float) -> Any:
    t = torch.tensor(x, requires_grad=True)
    total = (smelu(t, beta=beta) * torch.tensor(weights)).sum()
    return autograd.grad(total, [t], allow_unused=True)
