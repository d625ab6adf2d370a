"""Chapter 6: the engine's loop."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

import tinygrad_opt as torch

from ..judging import Wrong, array_of, need, same, values


def check(answer: Any) -> str:
    """Chains, sums over several ways, an order that depth gets wrong, several leaves, depth."""
    gradients = need(answer, "gradients")
    x = _leaf(3.0)
    _hold(gradients, "x * x + x at 3", x * x + x, [x], [
        (1.0, "several ways lead to x: add what arrives, do not overwrite it"),
        (3.0, "several ways lead to x: add what arrives, do not overwrite it"),
        (4.0, "x * x has x among its targets twice, with a pullback each"),
    ])  # fmt: skip
    a = x.exp()
    b = a * a
    c = b + a
    early = "a Node may only run when all of its gradient is there: take the newest, by rank"
    what, y = "c * a, with a = x.exp(), b = a * a, c = b + a", c * a
    ran = _counted(y)
    gradients(y)
    same(f"for {what}, how often the pullback of exp ran", ran["exp"], 1, early)
    _hold(gradients, what, y, [x])
    rng = np.random.default_rng(0)
    w, v, u = (_leaf(rng.normal(size=(3, 3))) for _ in range(3))
    constant = torch.tensor(rng.normal(size=(3, 3)))
    mixed = (constant @ w).tanh() * v - u
    _hold(gradients, "(constant @ w).tanh() * v - u, for three leaves", mixed, [w, v, u])
    y = x
    for _ in range(3000):
        y = y * 0.999
    _hold(gradients, "a chain of 3,000 products", y, [x])
    return "sums over all ways, newest first, several leaves, 3,000 deep"


def _counted(y: Any) -> Counter[str]:
    """How often the first pullback of each operation that made y has run, counted from now on."""
    ran: Counter[str] = Counter()
    todo = [y]
    while todo:
        node = todo.pop().node
        if node is None or hasattr(node.output[1], "counts"):
            continue

        def first(g: Any, pullback: Any = node.output[1], name: str = node.op.__name__) -> Any:
            ran[name] += 1
            return pullback(g)

        first.counts = True  # type: ignore[attr-defined]
        node.output = (node.output[0], first, *node.output[2:])
        todo += [x for x in node.targets if x is not None]
    return ran


def _leaf(data: Any) -> Any:
    return torch.tensor(data, dtype=torch.float64, requires_grad=True)


def _hold(
    gradients: Any, what: str, y: Any, leaves: list[Any], mistakes: Any = (),
    hint: str = "pullback(g) of each target is added to what its Node, or leaf, has got so far",
) -> None:  # fmt: skip
    found = gradients(y)
    if not isinstance(found, dict):
        raise Wrong(f"gradients of {what}", "a dict", type(found).__name__)
    if any(x.grad is not None for x in leaves):
        raise Wrong("the leaves' .grad", None, "a gradient", "do not call backward(): be it")
    keys = {id(key) for key in found}
    if keys != {id(x) for x in leaves}:
        hint = "keys are the leaves that require a gradient, and nothing else: no Nodes, no targets"
        same(f"how many keys gradients of {what} has", len(found), len(leaves), hint)
        raise Wrong(f"the keys of gradients of {what}", "the leaves", list(found), hint)
    expected = torch.autograd.grad(y.sum(), leaves)
    for i, (x, wanted) in enumerate(zip(leaves, expected, strict=True)):
        which = f"by leaf {i + 1}" if len(leaves) > 1 else "by x"
        label = f"the gradient of {what}, {which}"
        values(label, array_of(label, found[x]), wanted.array, hint, mistakes)
