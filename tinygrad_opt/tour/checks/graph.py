"""Chapter 3: walking the graph."""

from __future__ import annotations

from typing import Any

import tinygrad_opt as torch

from ..judging import need, same


def check(answer: Any) -> str:
    """A leaf, chains, shared parts, an order by time and not by place, a deep graph."""
    operations = need(answer, "operations")
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    same("operations(x) of a leaf", operations(x), [], "a leaf has no Node: x.node is None")
    y = (x * x + 1).exp()
    oldest = "that is oldest first; the newest Node has the lowest rank"
    same(
        "operations(y) of y = (x * x + 1).exp()", operations(y), ["exp", "add", "mul"],
        "begin at y.node, and go on to the nodes of its inputs",
        [(["mul", "add", "exp"], oldest)],
    )  # fmt: skip
    shared = x * 2
    first, second = shared.exp(), shared.tanh()
    names = ["add", "tanh", "exp", "mul"]
    same(
        "operations(first + second), where first = shared.exp() was made before second = "
        "shared.tanh(), and shared = x * 2",
        operations(first + second), names,
        "sort by rank: the order of creation, and not that of the inputs",
        [(["add", "exp", "mul", "tanh", "mul"], "keep a set of Nodes that you have seen"),
         (["add", "tanh", "mul", "exp", "mul"], "keep a set of Nodes that you have seen"),
         (["add", "tanh", "exp", "mul", "mul"], "`shared` is one Node: keep a set of those seen"),
         (names[::-1], oldest)],
    )  # fmt: skip
    y = x
    for _ in range(200):
        y = y + y
    same("operations of 200 sums y = y + y", len(operations(y)), 200, "keep a set of those seen")
    y = x
    for _ in range(3000):
        y = y * 2
    same("operations of a chain of 3,000", len(operations(y)), 3000, "each step is one Node")
    return "chains, shared parts and a graph 3,000 deep"
