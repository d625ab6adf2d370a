"""Chapter 1: pairs for the hundred lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..hundred_lines import Tensor, mean
from ..judging import Wrong, compare_gradients, need, values

RETURN = "the pair returns a tuple: the value, then a pullback for each input"


def check(answer: Any) -> str:
    """Values on numbers and arrays, pullbacks against differences, broadcasting."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 2)), rng.uniform(0.5, 2, size=2)
    _operation("sigmoid", need(answer, "sigmoid"), [x], 1 / (1 + np.exp(-x)))
    _operation("div", need(answer, "div"), [x, y], x / y)
    return "values and gradients agree with finite differences, broadcasting included"


def _operation(name: str, operation: Any, inputs: list[Any], expected: Any) -> None:
    if getattr(operation, "__name__", "") == name:
        raise Wrong(name, "an operation", "a plain function", "leave @op above it")
    made = operation(*(Tensor(x, requires_grad=True) for x in inputs))
    if not isinstance(made, Tensor):
        raise Wrong(f"what {name} returns", "a Tensor", type(made).__name__, "leave @op above it")
    values(f"{name} at {inputs[0][0]}, ...", made.array, expected, RETURN)
    count = len(made.node.pullbacks)
    if count != len(inputs):
        got = f"the value and {count} pullbacks"
        raise Wrong(f"what the pair of {name} returns", f"the value and {len(inputs)}", got, RETURN)

    def derive(weights: Any, *arrays: Any) -> list[Any]:
        tensors = [Tensor(a, requires_grad=True) for a in arrays]
        mean(operation(*tensors) * weights).backward()
        return [t.grad * weights.size for t in tensors]

    def forward(*arrays: Any) -> Any:
        return operation(*map(Tensor, arrays)).array

    compare_gradients(name, forward, derive, inputs, "xy"[: len(inputs)])
