"""Chapter 5: an operation of two inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_opt as torch
from tinygrad_opt import autograd

from ..judging import Wrong, compare_gradients, need, values

AGAIN = (
    "the pair is run again on Tensors: use xp(x).exp and operators, as np.exp knows arrays alone"
)


def check(answer: Any) -> str:
    """Value, gradients by both inputs, broadcasting, the second derivative."""
    gauss = need(answer, "gauss")
    if not hasattr(gauss, "pair"):
        raise Wrong("gauss", "an operation", type(gauss).__name__, "leave @op above it")
    rng = np.random.default_rng(0)
    x, width = rng.normal(size=(3, 2)), rng.uniform(0.5, 2, 2)
    returned = gauss.pair(x, width)
    if not isinstance(returned, tuple) or len(returned) != 3:
        parts = len(returned) if isinstance(returned, tuple) else "no tuple"
        hint = "return the value, a pullback for x, a pullback for width"
        raise Wrong("what the pair returns", "three things", parts, hint)
    formula = "e to the minus (x / width)^2"
    values("gauss(x, width)", gauss(x, width), np.exp(-((x / width) ** 2)), formula)

    def derive(weights: Any, *arrays: Any) -> Any:
        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        total = (gauss(*tensors) * torch.tensor(weights)).sum()
        return autograd.grad(total, tensors, allow_unused=True)

    compare_gradients("gauss", gauss, derive, [x, width], ["x", "width"])
    _differentiated_twice(gauss, x, width)
    return "both gradients, broadcasting, and a second derivative that nobody wrote"


def _differentiated_twice(gauss: Any, x: Any, width: Any) -> None:
    t = torch.tensor(x, requires_grad=True)
    try:
        (slope,) = autograd.grad(gauss(t, torch.tensor(width)).sum(), t, create_graph=True)
        (second,) = autograd.grad(slope.sum(), t)
    except RuntimeError as error:
        raise Wrong("the second derivative by x", "a Tensor", error, AGAIN) from None
    expected = np.exp(-((x / width) ** 2)) * (4 * x * x / width**4 - 2 / width**2)
    values("the second derivative by x", second, expected, AGAIN)
