"""Chapter 10: a residual block."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_opt as torch
from tinygrad_opt import nn

from ..judging import Wrong, need, same, values

NAMES = ["inner.bias", "inner.weight", "outer.bias", "outer.weight"]


def check(answer: Any) -> str:
    """Registered parameters, the formula, state dicts, gradients, being part of a tree."""
    kind = need(answer, "Residual", "a class")
    torch.manual_seed(0)
    block = kind(3)
    if not isinstance(block, nn.Module):
        raise Wrong("Residual(3)", "a Module", type(block).__name__, "keep nn.Module as its base")
    names = sorted(name for name, _ in block.named_parameters())
    attributes = "assign two Modules: self.inner = nn.Linear(...), self.outer = ..."
    listed = "nothing is registered: a Module in a plain list, tuple or dict is not seen"
    same("the names of its parameters", names, NAMES, attributes, [([], listed)])
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    w = {name: p.detach().numpy().astype(float) for name, p in block.named_parameters()}
    same("the shape of inner.weight", w["inner.weight"].shape, (3, 3), "both are width to width")
    inside = np.tanh(x @ w["inner.weight"].T + w["inner.bias"])
    through = inside @ w["outer.weight"].T + w["outer.bias"]
    after = x @ w["inner.weight"].T + w["inner.bias"]
    after = np.tanh(after @ w["outer.weight"].T + w["outer.bias"])
    forward = "x + outer(tanh(inner(x))): nn.functional.tanh, or .tanh() of a tensor"
    values("Residual(3)(x)", block(torch.tensor(x)), x + through, forward, [
        (through, "the input itself is missing: x + ..."),
        (x + after, "tanh comes between the layers, and not after them"),
    ], rtol=1e-5)  # fmt: skip
    other = kind(3)
    other.load_state_dict(block.state_dict())
    copied = "state dicts are made of what is registered"
    values("a second block with the first one's state", other(torch.tensor(x)), x + through, copied,
           rtol=1e-5)  # fmt: skip
    tree = nn.Sequential(kind(3), kind(3))
    tree(torch.tensor(x)).sum().backward()
    without = [name for name, p in tree.named_parameters() if p.grad is None]
    same("parameters without a gradient in two blocks", without, [], "use both layers in forward")
    same("two blocks after eval()", {m.training for m in tree.eval().modules()}, {False}, "")
    return "four parameters, found by their names; gradients reach them all"
